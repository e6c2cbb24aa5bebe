"""Hand-made word lists with the features that the grammar needs.

Small on purpose (about a thousand word forms in all), so that a vocabulary of 1,200-2,000 subwords keeps most
words whole and a transformer of less than a million parameters learns them in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A common noun: singular and plural form and gender (``m`` or ``f``)."""

    singular: str
    plural: str
    gender: str


@dataclass(frozen=True)
class Adjective:
    """An adjective with its four forms in the order m. sg., f. sg., m. pl., f. pl."""

    lemma: str
    forms: tuple[str, str, str, str]

    def form(self, gender: str, plural: bool) -> str:
        return self.forms[2 * plural + (gender == "f")]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def plural_of(word: str) -> str:
    """Regular Spanish plural: -s after a vowel, -ces for -z, -es after another consonant (-ión loses its accent)."""
    if word == "déficit":
        return "déficits"
    if word.endswith("z"):
        return word[:-1] + "ces"
    for accented, plain in (("ón", "on"), ("és", "es"), ("án", "an"), ("ín", "in"), ("ús", "us")):
        if word.endswith(accented):
            return word[: -len(accented)] + plain + "es"
    return word + ("s" if word[-1] in "aeiouáéó" else "es")


def adjective(lemma: str) -> Adjective:
    """Adjective from its dictionary form: -o/-a inflects for gender, the rest only for number."""
    feminine = lemma[:-1] + "a" if lemma.endswith("o") else lemma + "a" if lemma.endswith("dor") else lemma
    return Adjective(lemma, (lemma, feminine, plural_of(lemma), plural_of(feminine)))


def _nouns(text: str) -> tuple[Noun, ...]:
    """``m:puente f:ley`` -> nouns."""
    pairs = (item.split(":") for item in text.split())
    return tuple(Noun(word, plural_of(word), gender) for gender, word in pairs)


NOUNS: dict[str, tuple[Noun, ...]] = {
    "politico": _nouns(
        "m:alcalde f:alcaldesa m:ministro f:ministra m:presidente f:presidenta m:diputado f:senadora m:gobernador f:jueza"
    ),
    "oficio": _nouns(
        "m:obrero f:enfermera f:ingeniera m:profesor f:doctora m:cocinero m:conductor m:pescador f:campesina m:pintor "
        "f:cantante m:vecino f:vecina m:turista f:estudiante"
    ),
    "directivo": _nouns(
        "m:director f:directora m:gerente f:consejera m:empresario f:empresaria m:accionista"
    ),
    "economista": _nouns("m:economista f:economista m:analista f:analista m:inversor f:inversora m:experto"),
    "familia": _nouns("m:padre f:madre m:hermano f:hermana m:hijo f:hija m:abuelo f:abuela m:amigo f:amiga"),
    "personaje": _nouns(
        "m:rey f:reina f:princesa m:príncipe f:bruja m:soldado f:pastora m:molinero f:anciana m:leñador m:niño f:niña"
    ),
    "animal": _nouns("m:perro m:gato m:lobo m:zorro f:oveja f:vaca m:caballo f:gallina m:oso f:paloma"),
    "obra": _nouns(
        "m:puente m:hospital f:escuela m:museo m:estadio f:carretera f:biblioteca m:puerto m:teatro f:plaza"
    ),
    "norma": _nouns("f:ley f:reforma m:decreto m:presupuesto m:tratado f:propuesta"),
    "instituto": _nouns(
        "m:gobierno m:parlamento m:tribunal m:ayuntamiento m:ministerio f:policía m:congreso"
    ),
    "compania": _nouns("f:empresa f:compañía f:fábrica f:firma f:filial f:aerolínea f:constructora"),
    "negocio": _nouns(
        "f:planta f:oficina f:tienda f:marca f:fusión f:venta m:contrato m:beneficio f:pérdida m:empleo"
    ),
    "indicador": _nouns(
        "f:inflación m:desempleo f:producción f:exportación m:consumo m:déficit f:deuda m:salario m:impuesto m:ahorro"
    ),
    "titulo": _nouns("f:acción m:bono m:dólar m:peso m:índice f:moneda m:valor m:fondo"),
    "materia": _nouns("m:trigo m:maíz m:petróleo m:gas m:cobre m:café m:azúcar m:oro m:arroz m:algodón"),
    "objeto": _nouns("m:anillo f:espada f:corona f:llave m:libro f:carta f:capa m:espejo m:cofre f:lámpara"),
    "paraje": _nouns("m:bosque m:castillo f:montaña m:río m:pueblo f:casa m:jardín f:cueva m:camino f:torre"),
    "pieza": _nouns(
        "m:botón f:pantalla m:cable m:motor f:puerta m:tornillo m:filtro f:tapa f:batería f:luz m:interruptor"
    ),
    "aparato": _nouns(
        "m:aparato f:lavadora m:horno f:impresora m:teléfono f:cámara m:ordenador f:bomba m:reloj"
    ),
    "dato": _nouns("m:archivo f:carpeta m:programa f:página m:menú f:clave f:red f:opción"),
    "comida": _nouns(
        "m:pan f:sopa f:manzana f:naranja m:queso m:pescado f:tortilla f:ensalada m:arroz f:leche"
    ),
    "fruta": _nouns("f:manzana f:naranja f:pera f:uva m:limón"),
    "vehiculo": _nouns("m:coche m:camión m:tren m:autobús m:barco"),
    "mueble": _nouns("f:mesa f:silla f:cama m:armario m:sofá"),
    "instrumento": _nouns("f:guitarra m:piano m:violín f:flauta m:tambor"),
    "flor": _nouns("f:rosa m:clavel f:violeta m:lirio f:margarita"),
    "cuadro": _nouns("m:cuadro m:mural m:retrato f:novela f:canción m:poema"),
}

HYPERNYMS: dict[str, Noun] = {
    "animal": Noun("animal", "animales", "m"),
    "fruta": Noun("fruta", "frutas", "f"),
    "vehiculo": Noun("vehículo", "vehículos", "m"),
    "mueble": Noun("mueble", "muebles", "m"),
    "instrumento": Noun("instrumento", "instrumentos", "m"),
    "flor": Noun("flor", "flores", "f"),
}

ADJECTIVES: dict[str, tuple[Adjective, ...]] = {
    name: tuple(map(adjective, text.split()))
    for name, text in {
        "calidad": "nuevo viejo grande pequeño moderno antiguo importante famoso público central",
        "caracter": "valiente triste alegre joven pobre rico amable cruel sabio curioso",
        "politico": "nacional municipal social electoral internacional judicial",
        "tecnico": "rojo verde negro blanco principal lateral eléctrico externo superior inferior",
        "economico": "anual mensual industrial agrícola comercial fiscal",
    }.items()
}

# Antonyms: what the first says of a thing the second denies.
ANTONYMS: tuple[tuple[Adjective, Adjective], ...] = tuple(
    (adjective(one), adjective(other))
    for one, other in (
        ("lleno", "vacío"),
        ("abierto", "cerrado"),
        ("limpio", "sucio"),
        ("claro", "oscuro"),
        ("tranquilo", "ruidoso"),
        ("seco", "mojado"),
    )
)

MALE_NAMES = _words("Luis Pedro Juan Carlos Miguel Andrés Pablo Diego Jorge Manuel Tomás Rafael")
FEMALE_NAMES = _words("Ana María Lucía Elena Carmen Sofía Julia Rosa Marta Teresa Irene Clara")
# Surnames that are cities as well: only the context tells a person from a place or a club.
AMBIGUOUS = _words("Toledo Soria Lugo Córdoba Sevilla León Cuenca Segovia Burgos Cáceres")
SURNAMES = (*_words("García Ruiz Torres Molina Vega Campos Navarro Ortega Castro Prieto"), *AMBIGUOUS)
CITIES = (*_words("Madrid Bilbao Lima Bogotá Quito Granada Valencia Montevideo Santiago Cádiz"), *AMBIGUOUS)
COUNTRIES = _words("España Chile México Perú Argentina Colombia Uruguay Portugal Francia Italia")
BRANDS = _words("Solaris Nortel Andina Ibersol Telmar Agrosur Metalia Covisa Lumex Petrosa Banesol Marítima")
ORG_HEADS = _words("Banco Universidad Hospital Partido Instituto Club")
PARTY_WORDS = _words("Verde Popular Liberal Unido")
EVENTS = _words("Copa Feria Premio Festival Torneo Tratado")
ACRONYMS = _words("EFE ONU CGT FMI UGT")

DAYS = _words("lunes martes miércoles jueves viernes sábado domingo")
MONTHS = _words("enero marzo abril mayo junio julio octubre diciembre")
NUMBER_WORDS = {
    2: "dos",
    3: "tres",
    4: "cuatro",
    5: "cinco",
    6: "seis",
    7: "siete",
    8: "ocho",
    9: "nueve",
    10: "diez",
}
# Few years and few amounts, so that each of them is a frequent word.
YEARS = tuple(str(y) for y in range(1960, 2020, 3))
AMOUNTS = tuple(
    str(n) for n in (12, 15, 18, 20, 24, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100, 120, 150, 200, 300, 500)
)

# Literal words of the patterns and their universal part of speech (AnCora's habits).
LITERALS: dict[str, str] = {}
for _upos, _forms in {
    "ADP": "a ante bajo con contra de desde durante en entre hacia hasta para por según sin sobre tras",
    "CCONJ": "y e o pero ni sino",
    "SCONJ": "que porque si cuando aunque mientras como",
    "ADV": "no ayer hoy mañana ya muy más menos nunca siempre también después antes luego aquí allí bien mal casi sólo "
    "ahora todavía temprano tarde lentamente rápidamente además tampoco así bastante demasiado finalmente dónde cuándo",
    "PRON": "se él ella ellos nos me te lo le les quien qué quién nadie nada algo esto todo yo tú",
    "DET": "el la los las un una unos unas este esta cada mi tu su sus otro otra ningún ninguna",
    "INTJ": "hola adiós ay bueno oye gracias claro",
    "PART": "ex pro",
    "SYM": "% € $",
    "X": "online software etc.",
    "PUNCT": '. , ; : ¿ ? ¡ ! ( ) " — - …',
    "NOUN": "semana mes año años hora tarde noche vez parte millones pesos euros kilos metros kilómetros precio precios "
    "mañana trabajo vino río vida tiempo gusto nombre punto puntos",
    "AUX": "es son era eran fue fueron está estaba están ha han había será",
}.items():
    for _word in _forms.split():
        LITERALS.setdefault(_word, _upos)
