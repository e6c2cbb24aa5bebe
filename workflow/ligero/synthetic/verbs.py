"""Conjugation: third person of the tenses that the texts use, and the non-finite forms."""

from __future__ import annotations

from functools import cache

# Endings: present, preterite, imperfect, future (added to the infinitive), each 3rd singular and plural.
_ENDINGS = {
    "ar": {"pres": ("a", "an"), "pret": ("ó", "aron"), "impf": ("aba", "aban"), "part": "ado", "ger": "ando"},
    "er": {
        "pres": ("e", "en"),
        "pret": ("ió", "ieron"),
        "impf": ("ía", "ían"),
        "part": "ido",
        "ger": "iendo",
    },
    "ir": {
        "pres": ("e", "en"),
        "pret": ("ió", "ieron"),
        "impf": ("ía", "ían"),
        "part": "ido",
        "ger": "iendo",
    },
}
# Only what differs from the regular pattern.
_IRREGULAR: dict[str, dict[str, tuple[str, str] | str]] = {
    "abrir": {"part": "abierto"},
    "caer": {"pret": ("cayó", "cayeron"), "part": "caído", "ger": "cayendo"},
    "cerrar": {"pres": ("cierra", "cierran")},
    "construir": {
        "pres": ("construye", "construyen"),
        "pret": ("construyó", "construyeron"),
        "ger": "construyendo",
    },
    "contar": {"pres": ("cuenta", "cuentan")},
    "costar": {"pres": ("cuesta", "cuestan")},
    "dar": {"pret": ("dio", "dieron")},
    "decir": {
        "pres": ("dice", "dicen"),
        "pret": ("dijo", "dijeron"),
        "fut": ("dirá", "dirán"),
        "part": "dicho",
    },
    "descubrir": {"part": "descubierto"},
    "despedir": {"pres": ("despide", "despiden"), "pret": ("despidió", "despidieron"), "ger": "despidiendo"},
    "destruir": {
        "pres": ("destruye", "destruyen"),
        "pret": ("destruyó", "destruyeron"),
        "ger": "destruyendo",
    },
    "detener": {
        "pres": ("detiene", "detienen"),
        "pret": ("detuvo", "detuvieron"),
        "fut": ("detendrá", "detendrán"),
    },
    "dormir": {"pres": ("duerme", "duermen"), "pret": ("durmió", "durmieron"), "ger": "durmiendo"},
    "encender": {"pres": ("enciende", "encienden")},
    "encontrar": {"pres": ("encuentra", "encuentran")},
    "escribir": {"part": "escrito"},
    "estar": {"pres": ("está", "están"), "pret": ("estuvo", "estuvieron")},
    "hacer": {"pret": ("hizo", "hicieron"), "fut": ("hará", "harán"), "part": "hecho"},
    "ir": {"pres": ("va", "van"), "pret": ("fue", "fueron"), "impf": ("iba", "iban"), "ger": "yendo"},
    "jugar": {"pres": ("juega", "juegan")},
    "leer": {"pret": ("leyó", "leyeron"), "part": "leído", "ger": "leyendo"},
    "medir": {"pres": ("mide", "miden"), "pret": ("midió", "midieron")},
    "mostrar": {"pres": ("muestra", "muestran")},
    "morir": {
        "pres": ("muere", "mueren"),
        "pret": ("murió", "murieron"),
        "part": "muerto",
        "ger": "muriendo",
    },
    "nacer": {},
    "pedir": {"pres": ("pide", "piden"), "pret": ("pidió", "pidieron"), "ger": "pidiendo"},
    "perder": {"pres": ("pierde", "pierden")},
    "poder": {"pres": ("puede", "pueden"), "pret": ("pudo", "pudieron"), "fut": ("podrá", "podrán")},
    "probar": {"pres": ("prueba", "prueban")},
    "querer": {"pres": ("quiere", "quieren"), "pret": ("quiso", "quisieron"), "fut": ("querrá", "querrán")},
    "romper": {"part": "roto"},
    "seguir": {"pres": ("sigue", "siguen"), "pret": ("siguió", "siguieron"), "ger": "siguiendo"},
    "servir": {"pres": ("sirve", "sirven"), "pret": ("sirvió", "sirvieron"), "ger": "sirviendo"},
    "ser": {"pres": ("es", "son"), "pret": ("fue", "fueron"), "impf": ("era", "eran")},
    "soñar": {"pres": ("sueña", "sueñan")},
    "tener": {"pres": ("tiene", "tienen"), "pret": ("tuvo", "tuvieron"), "fut": ("tendrá", "tendrán")},
    "vencer": {},
    "ver": {"pret": ("vio", "vieron"), "impf": ("veía", "veían"), "part": "visto"},
    "vestir": {"pres": ("viste", "visten"), "pret": ("vistió", "vistieron")},
    "volver": {"pres": ("vuelve", "vuelven"), "part": "vuelto"},
}

_FEATS = {
    "pres": "Mood=Ind|Number={}|Person=3|Tense=Pres|VerbForm=Fin",
    "pret": "Mood=Ind|Number={}|Person=3|Tense=Past|VerbForm=Fin",
    "impf": "Mood=Ind|Number={}|Person=3|Tense=Imp|VerbForm=Fin",
    "fut": "Mood=Ind|Number={}|Person=3|Tense=Fut|VerbForm=Fin",
}


@cache
def conjugate(lemma: str, tense: str, plural: bool = False, gender: str = "m") -> str:
    """Form of ``lemma``: tense is pres, pret, impf, fut, inf, ger, imp (usted) or part (agrees with the subject)."""
    if tense == "inf":
        return lemma
    irregular = _IRREGULAR.get(lemma, {})
    stem, ending = lemma[:-2], lemma[-2:]
    if tense in ("part", "ger"):
        form = irregular.get(tense, stem + str(_ENDINGS[ending][tense]))
        assert isinstance(form, str)
        if tense == "part":
            form = form[:-1] + ("a" if gender == "f" else "o") + ("s" if plural else "")
        return form
    if tense == "imp":
        present = conjugate(lemma, "pres")
        base, vowel = present[:-1], "e" if ending == "ar" else "a"
        if ending == "ar":
            base = (
                base[:-1] + "qu" if base.endswith("c") else base[:-1] + "gu" if base.endswith("g") else base
            )
            base = base[:-1] + "c" if base.endswith("z") else base
        return base + vowel
    if tense in irregular:
        return irregular[tense][plural]
    if tense == "fut":
        return lemma + ("án" if plural else "á")
    return stem + _ENDINGS[ending][tense][plural]


def features(tense: str, plural: bool, gender: str) -> str:
    """CoNLL-U features of that form."""
    number = "Plur" if plural else "Sing"
    if tense == "part":
        return f"Gender={'Fem' if gender == 'f' else 'Masc'}|Number={number}|Tense=Past|VerbForm=Part"
    if tense == "inf":
        return "VerbForm=Inf"
    if tense == "ger":
        return "VerbForm=Ger"
    if tense == "imp":
        return "Mood=Imp|Number=Sing|Person=3|VerbForm=Fin"
    return _FEATS[tense].format(number)
