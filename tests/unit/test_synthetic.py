"""The embedded study's generator: same bytes, strict formats, agreement, no test text in train."""

from __future__ import annotations

import csv
import itertools
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from ligero.settings.sources import GENERATED
from ligero.synthetic import domains
from ligero.synthetic.files import FILES
from ligero.synthetic.generator import PRODUCERS, QA_FILES, SPLITS, XNLI_COLUMNS, StudySizes, generate
from ligero.synthetic.grammar import Voice, noun_phrase, render, say
from ligero.synthetic.inference import LABELS, draw_triple
from ligero.synthetic.lexicon import NOUNS, Noun, adjective, plural_of
from ligero.synthetic.paraphrases import draw_pair, people, roles
from ligero.synthetic.questions import MAKERS, draw_paragraph
from ligero.synthetic.tagging import attach, draw_sentence
from ligero.synthetic.verbs import conjugate
from tests.builders.upos import UPOS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study")
    generate(out, seed=3, scale=0.3)
    return out


def tsv(path: Path) -> list[dict[str, str]]:
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    assert len({line.count("\t") for line in lines}) == 1, "every line has the header's columns"
    return list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))


def blocks(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8")
    assert text.endswith("\n\n")
    return [block.split("\n") for block in text.rstrip("\n").split("\n\n")]


def test_writes_exactly_its_files(study: Path) -> None:
    assert sorted(str(p.relative_to(study)) for p in study.rglob("*") if p.is_file()) == sorted(
        [*FILES, GENERATED]
    )


def test_same_bytes_whatever_the_hash_seed(study: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "77", "PYTHONPATH": str(ROOT / "workflow")}
    program = ROOT / "workflow/scripts/generate_study.py"
    command = [sys.executable, str(program), "--out", str(tmp_path), "--seed", "3", "--scale", "0.3"]
    subprocess.run(command, check=True, env=environment)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (study / name).read_bytes(), name


def test_another_seed_gives_other_text() -> None:
    small = StudySizes().scaled(0.02)
    for producer in PRODUCERS:
        one, other = dict(producer(1, small)), dict(producer(2, small))
        assert all(one[name] != other[name] for name in one)


def test_imports_only_the_standard_library() -> None:
    probe = "import sys, ligero.synthetic.generator; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    done = subprocess.run(
        [sys.executable, "-c", probe], check=True, env=environment, capture_output=True, text=True
    )
    assert not {"torch", "transformers", "numpy", "pandas", "datasets"} & set(done.stdout.split())


def test_mldoc_index_and_archive(study: Path) -> None:
    seen: dict[str, str] = {}
    labels: Counter[str] = Counter()
    outside = 0
    ids = [
        (study / f"mldoc-indices/spanish.{name}").read_text().split("\n")
        for name in ("train.10000", "dev", "test")
    ]
    assert [lines.pop() for lines in ids] == ["", "", ""]
    index = [i for lines in ids for i in lines]
    assert len(set(index)) == len(index)
    split_of = {i: split for split, lines in zip(SPLITS, ids, strict=True) for i in lines}
    with zipfile.ZipFile(study / "rcv2/rcv2-spanish.zip") as archive:
        members = archive.namelist()
        assert {f"{i.replace('-', '/')}newsML.xml" for i in index} <= set(members)
        encodings = set()
        for member in members:
            data = archive.read(member)
            encodings.add(re.search(rb'encoding="([^"]+)"', data)[1])  # type: ignore[index]
            root = ElementTree.fromstring(data)
            assert root.tag == "newsitem" and member.endswith(f"/{root.get('itemid')}newsML.xml")
            codes = root.findall("metadata/codes[@class='bip:topics:1.0']/code")
            top = [c.get("code") for c in codes if c.get("code") in ("CCAT", "ECAT", "GCAT", "MCAT")]
            doc_id = member.removesuffix("newsML.xml").replace("/", "-")
            texts = [p.text for p in root.findall("text/p")]
            assert 2 <= len(texts) <= 5 and root.findtext("title") and root.findtext("headline")
            if doc_id not in split_of:
                outside += 1
                assert len(top) != 1
                continue
            assert len(top) == 1
            labels[str(top[0])] += 1
            for text in texts:
                assert seen.setdefault(str(text), split_of[doc_id]) == split_of[doc_id], "text in two splits"
    assert outside and encodings == {b"iso-8859-1", b"utf-8"}
    assert max(labels.values()) - min(labels.values()) <= 3


def test_pawsx(study: Path) -> None:
    texts = []
    for name in ("translated_train", "dev_2k", "test_2k"):
        rows = tsv(study / f"pawsx/es/{name}.tsv")
        assert list(rows[0]) == ["id", "sentence1", "sentence2", "label"]
        labels = Counter(row["label"] for row in rows)
        assert set(labels) == {"0", "1"} and abs(labels["0"] - labels["1"]) <= 1
        assert all(row["sentence1"] != row["sentence2"] for row in rows)
        assert all(len(f"{row['sentence1']} {row['sentence2']}".split()) <= 30 for row in rows)
        texts.append({row[c] for row in rows for c in ("sentence1", "sentence2")})
    assert not any(a & b for a, b in itertools.combinations(texts, 2))


@pytest.mark.parametrize("maker", [roles, people])
def test_swapped_roles_have_the_same_words(maker) -> None:  # type: ignore[no-untyped-def]
    """A paraphrase and its swapped twin draw the same things: sorted, their words are the same."""
    for seed in range(60):
        good, bad = (maker(Voice(random.Random(seed)), label) for label in (1, 0))
        assert good.first == bad.first and good.second != bad.second
        assert sorted(good.second.lower().split()) == sorted(bad.second.lower().split())


def test_xnli(study: Path) -> None:
    train = tsv(study / "xnli/multinli.train.es.tsv")
    assert list(train[0]) == ["premise", "hypo", "label"]
    assert set(Counter(r["label"] for r in train)) == {"entailment", "neutral", "contradictory"}
    assert len(set(Counter(r["label"] for r in train).values())) == 1
    premises = {r["premise"] for r in train}
    for split in ("dev", "test"):
        rows = tsv(study / f"xnli/xnli.{split}.es.tsv")
        assert tuple(rows[0]) == XNLI_COLUMNS and len(XNLI_COLUMNS) == 19
        assert not premises & {r["sentence1"] for r in rows}
        premises |= {r["sentence1"] for r in rows}
        for prompt, group in itertools.groupby(rows, key=lambda r: r["promptID"]):
            members = list(group)
            assert {r["gold_label"] for r in members} == {"entailment", "neutral", "contradiction"}, prompt
            assert len({r["sentence1"] for r in members}) == 1
        assert len({r["pairID"] for r in rows}) == len(rows)
        assert {r["language"] for r in rows} == {"es"}


def pairs(task: str, seed: int, count: int) -> list[tuple[str, str, int]]:
    """First text, second text, number of the label."""
    rng = random.Random(seed)
    if task == "pawsx":
        drawn = [draw_pair(rng, number % 2) for number in range(count)]
        return [(pair.first, pair.second, pair.label) for pair in drawn]
    triples = [draw_triple(rng) for _ in range(count // 3)]
    return [(t.premise, t.hypotheses[label], number) for t in triples for number, label in enumerate(LABELS)]


@pytest.mark.parametrize(("task", "majority", "bound"), [("pawsx", 50.0, 58.0), ("xnli", 33.4, 72.0)])
def test_words_alone_do_not_solve_pairs(task: str, majority: float, bound: float) -> None:
    """Neither the most frequent label nor which words are in which text suffice: the texts must be read and compared."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def words(rows: list[tuple[str, str, int]]) -> list[str]:
        return [
            " ".join(
                f"{side}{word}"
                for side, text in enumerate(row[:2])
                for word in re.findall(r"\w+", text.lower())
            )
            for row in rows
        ]

    train, test = pairs(task, 1, 1500), pairs(task, 2, 1500)
    labels = [row[2] for row in test]
    assert 100 * max(Counter(labels).values()) / len(labels) <= majority
    model = make_pipeline(CountVectorizer(token_pattern=r"\S+"), LogisticRegression(C=0.3, max_iter=300))
    model.fit(words(train), [row[2] for row in train])
    assert 100 * model.score(words(test), labels) < bound


def test_hypotheses_differ() -> None:
    rng = random.Random(5)
    for _ in range(300):
        triple = draw_triple(rng)
        assert len({triple.premise, *triple.hypotheses.values()}) == 4, triple
        longest = max(len(h.split()) for h in triple.hypotheses.values())
        assert longest + len(triple.premise.split()) <= 32


def test_conllu(study: Path) -> None:
    texts, tags = [], set()
    for split in SPLITS:
        own = set()
        for lines in blocks(study / f"ud_ancora/es_ancora-ud-{split}.conllu"):
            assert lines[0].startswith("# sent_id = ") and lines[1].startswith("# text = ")
            text, rows = lines[1].removeprefix("# text = "), [line.split("\t") for line in lines[2:]]
            assert all(len(row) == 10 and "" not in row for row in rows)
            words = [row for row in rows if "-" not in row[0]]
            assert [int(row[0]) for row in words] == list(range(1, len(words) + 1))
            heads = [int(row[6]) for row in words]
            assert heads.count(0) == 1 and all(0 <= h <= len(words) for h in heads)
            for start in range(1, len(words) + 1):
                node, steps = start, 0
                while node and steps <= len(words):
                    node, steps = heads[node - 1], steps + 1
                assert node == 0, f"cycle in {text}"
            covered = 0
            rebuilt = ""
            for row in rows:
                if "-" in row[0]:
                    first, last = map(int, row[0].split("-"))
                    assert last == first + 1 and row[1].lower() in ("del", "al")
                    covered = last
                elif int(row[0]) <= covered:
                    continue
                rebuilt += row[1] + ("" if "SpaceAfter=No" in row[9] else " ")
            assert rebuilt.strip() == text
            tags |= {row[3] for row in words}
            own.add(text)
        texts.append(own)
    assert tags <= set(UPOS) and len(tags) >= 15
    assert not any(a & b for a, b in itertools.combinations(texts, 2))


def test_conll2002(study: Path) -> None:
    texts, kinds = [], Counter()  # type: ignore[var-annotated]
    for name in ("train", "testa", "testb"):
        own = set()
        for lines in blocks(study / f"conll2002/esp.{name}"):
            before = "O"
            for line in lines:
                _, _, tag = line.split(" ")
                assert re.fullmatch(r"O|[BI]-(PER|LOC|ORG|MISC)", tag)
                if tag.startswith("I-"):
                    assert before[1:] == tag[1:], "an entity begins with B-"
                if tag.startswith("B-"):
                    kinds[tag[2:], line.split(" ")[0]] += 1
                before = tag
            own.add(" ".join(line.split(" ")[0] for line in lines))
        texts.append(own)
    assert not any(a & b for a, b in itertools.combinations(texts, 2))
    assert (
        sum(all(kinds[kind, name] for kind in ("PER", "LOC", "ORG")) for name in ("Toledo", "Soria", "Lugo"))
        >= 2
    )


@pytest.mark.parametrize("task", QA_FILES)
def test_squad_files(study: Path, task: str) -> None:
    identifiers: list[str] = []
    contexts = []
    for name in QA_FILES[task][2]:
        document = json.loads((study / name).read_text(encoding="utf-8"))
        own = set()
        for article in document["data"]:
            for paragraph in article["paragraphs"]:
                own.add(paragraph["context"])
                assert len(paragraph["context"].split()) <= 50
                for qa in paragraph["qas"]:
                    identifiers.append(qa["id"])
                    assert qa["question"].startswith("¿") and qa["question"].endswith("?")
                    assert len(qa["question"].split()) <= 10
                    for answer in qa["answers"]:
                        start = answer["answer_start"]
                        assert paragraph["context"][start : start + len(answer["text"])] == answer["text"]
        contexts.append(own)
    assert len(set(identifiers)) == len(identifiers)
    assert not any(a & b for a, b in itertools.combinations(contexts, 2))


@pytest.mark.parametrize("maker", MAKERS)
def test_answers_stand_once_in_their_context(maker: str) -> None:
    rng = random.Random(8)
    for _ in range(100):
        paragraph = draw_paragraph(rng, maker, 3)
        for question in paragraph.questions:
            found = re.findall(rf"\b{re.escape(question.answer)}\b", paragraph.context)
            assert len(found) == 1, (question, paragraph.context)


def test_raw_corpus_is_dirty_spanish(study: Path) -> None:
    text = (study / "raw/manuales.txt").read_text(encoding="utf-8")
    assert "http" in text and re.search(r"^(\* |- |\d\. )", text, re.MULTILINE) and "   " in text
    documents = text.split("\n\n")
    assert len(set(documents)) < len(documents), "some documents stand twice"
    tagged = [document.split("\nEtiquetas: ") for document in documents if "\nEtiquetas: " in document]
    assert 0.15 < len(tagged) / len(documents) < 0.35
    for body, line in tagged:
        words = line.strip().removesuffix(".").split(", ")
        assert 3 <= len(words) <= 6 and set(words) <= set(re.findall(r"\w+", body.lower()))


def test_sizes_at_full_scale() -> None:
    assert StudySizes().scaled(1.0) == StudySizes()
    assert StudySizes().scaled(0.001).pawsx == (12, 12, 12)


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("ley", "leyes"),
        ("luz", "luces"),
        ("acción", "acciones"),
        ("café", "cafés"),
        ("autobús", "autobuses"),
        ("mesa", "mesas"),
    ],
)
def test_plurals(word: str, plural: str) -> None:
    assert plural_of(word) == plural


@pytest.mark.parametrize(
    ("lemma", "tense", "plural", "form"),
    [
        ("comprar", "pret", False, "compró"),
        ("vender", "pret", True, "vendieron"),
        ("abrir", "part", False, "abierto"),
        ("construir", "pret", True, "construyeron"),
        ("decir", "fut", False, "dirá"),
        ("buscar", "imp", False, "busque"),
        ("apagar", "imp", False, "apague"),
        ("cerrar", "imp", False, "cierre"),
        ("leer", "ger", False, "leyendo"),
    ],
)
def test_conjugation(lemma: str, tense: str, plural: bool, form: str) -> None:
    assert conjugate(lemma, tense, plural) == form


def test_agreement_contraction_and_spacing() -> None:
    voice = Voice(random.Random(0))
    women = noun_phrase("los", Noun("jueza", "juezas", "f"), adjective("sabio"))
    assert (
        say("$W v:ser.pret v:ver.part por $W .", voice, W=women)
        == "Las juezas sabias fueron vistas por las juezas sabias."
    )
    man = noun_phrase("el", Noun("rey", "reyes", "m"))
    assert say("de $M a $M", voice, M=man) == "Del rey al rey"
    assert say("¿ dónde está $M ?", voice, M=man) == "¿Dónde está el rey?"
    assert say("la/DET reina/NOUN y ideas/NOUN", voice) == "La reina e ideas"


def test_every_noun_phrase_agrees() -> None:
    article = {("m", False): "el", ("f", False): "la", ("m", True): "los", ("f", True): "las"}
    for noun in itertools.chain.from_iterable(NOUNS.values()):
        for det, plural in (("el", False), ("los", True)):
            text = render(noun_phrase(det, noun).tokens, capital=False)
            assert text == f"{article[noun.gender, plural]} {noun.plural if plural else noun.singular}"


def test_every_pattern_realises_as_one_tree() -> None:
    groups = (domains.NEUTRAL_NEWS, *domains.NEWS.values(), domains.TALES, domains.MANUALS, domains.TALK)
    rng = random.Random(1)
    for patterns in (*groups, domains.AMBIGUOUS_POS, domains.ENTITY_NEWS):
        for pattern in patterns:
            tokens = draw_sentence(rng, [[pattern]])
            assert [head for head, _ in attach(tokens)].count(0) == 1
            assert {t.upos for t in tokens} <= set(UPOS)
