"""Readers: what each published format yields, and the error that each malformed file gets."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ligero.common.errors import DataError, LigeroError
from ligero.settings.tasks import Columns, Reader
from ligero.tasks.examples import ClassificationExample, QuestionExample, TaggingExample
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.readers.context import content_group
from ligero.tasks.readers.newsml import parse_newsml
from ligero.tasks.readers.xnli import EVALUATION_COLUMNS
from ligero.tasks.tagged_files import read_columns, write_columns

NLI = ("entailment", "neutral", "contradiction")
NER = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
UPOS = ("DET", "NOUN", "VERB", "ADP", "PUNCT")


def examples(reader: Reader, path: Path, text: str | bytes, *labels: str, **options: Any) -> list[Any]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read(reader, path, ReaderContext(labels, **options)))


def evaluation_row(**cells: str) -> str:
    return "\t".join(cells.get(column, "") for column in EVALUATION_COLUMNS)


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_pawsx_has_no_quoting(tmp_path: Path) -> None:
    text = 'id\tsentence1\tsentence2\tlabel\n7\t"Hola\tEl ""sí"\t1\n8\t"Hola\tNS\t0\n9\tNS\tUno\t0\n10\tNS\tDos\t0\n'
    context = ReaderContext(("0", "1"))
    (tmp_path / "f.tsv").write_text(text)
    found = list(read("pawsx", tmp_path / "f.tsv", context))
    assert found[0] == ClassificationExample("7", '"Hola', '"Hola', 'El ""sí"', "1")
    assert found[1].group == found[0].group, "pairs that share their first sentence belong together"
    assert found[2].group != found[3].group, "what was not translated is no sentence that pairs share"
    assert sum(context.notes.values()) == 3


def test_xnli_takes_the_rows_of_spanish(tmp_path: Path) -> None:
    rows = [
        "\t".join(EVALUATION_COLUMNS),
        evaluation_row(
            language="en", gold_label="neutral", sentence1="a", sentence2="b", promptID="1", pairID="1"
        ),
        evaluation_row(
            language="es", gold_label="neutral", sentence1="á", sentence2="¿é?", promptID="1", pairID="2"
        ),
    ]
    assert examples("xnli", tmp_path / "f", "\n".join(rows) + "\n", *NLI) == [
        ClassificationExample("2", "1", "á", "¿é?", "neutral")
    ]
    with pytest.raises(DataError, match="no row has language 'es'"):
        examples("xnli", tmp_path / "f", "\n".join(rows[:2]) + "\n", *NLI)


def test_xnli_without_numbers_is_grouped_by_premise(tmp_path: Path) -> None:
    # InferES leaves promptID blank: all its pairs were one group, which a share takes or leaves whole.
    rows = [
        evaluation_row(language="es", gold_label="neutral", sentence1=premise, sentence2=hypothesis)
        for premise, hypothesis in (("Llueve.", "Truena."), ("llueve. ", "Hace sol."), ("Nieva.", "Truena."))
    ]
    text = "\n".join(["\t".join(EVALUATION_COLUMNS), *rows]) + "\n"
    found = examples("xnli", tmp_path / "f", text, *NLI)
    assert [example.id for example in found] == ["1", "2", "3"]
    assert [example.group for example in found] == [
        content_group([p]) for p in ("Llueve.", "Llueve.", "Nieva.")
    ]


def test_xnli_mt_spells_one_label_otherwise(tmp_path: Path) -> None:
    text = "premise\thypo\tlabel\nuno\tdos\tcontradictory\nuno\t\tentailment\n"
    found = examples("xnli", tmp_path / "f", text, *NLI)
    assert [example.label for example in found] == ["contradiction", "entailment"]
    assert [example.group for example in found] == ["uno", "uno"]


def test_conll2002(tmp_path: Path) -> None:
    text = "\ufeff-DOCSTART- -X- O\n\nJosé NP B-PER\nvive VMI O\n\n\nen SP O\nLeón NP B-LOC\n\n"
    found = examples("conll2002", tmp_path / "f", text.replace("\n", "\r\n"), *NER)
    first = content_group(("José", "vive"))
    assert found == [
        TaggingExample("0", first, ("José", "vive"), ("B-PER", "O")),
        TaggingExample("1", first, ("en", "León"), ("O", "B-LOC")),
    ]


def test_conllu_passes_over_ranges_and_empty_nodes(tmp_path: Path) -> None:
    rest = "\t_" * 6
    text = (
        "# newdoc id = d1\n# sent_id = s1\n# text = del perro\n1-2\tdel\t_\t_" + rest + "\n1\tde\tde\tADP" + rest
        + "\n2\tel\tel\tDET" + rest + "\n2.1\tx\tx\tVERB" + rest + "\n3\tperro\tperro\tNOUN" + rest + "\n\n"
        "# sent_id = s2\n1\t.\t.\tPUNCT" + rest + "\n\n"
    )  # fmt: skip
    assert examples("conllu", tmp_path / "f", text, *UPOS) == [
        TaggingExample("s1", "d1", ("de", "el", "perro"), ("ADP", "DET", "NOUN")),
        TaggingExample("s2", "d1", (".",), ("PUNCT",)),
    ]


def squad(context: str, *answers: tuple[str, int], identity: str = "q1") -> str:
    entry = {
        "id": identity,
        "question": "¿Qué?",
        "answers": [{"text": text, "answer_start": start} for text, start in answers],
    }
    return json.dumps({"data": [{"title": "T", "paragraphs": [{"context": context, "qas": [entry]}]}]})


def test_squad_takes_off_byte_order_marks_and_shifts_offsets(tmp_path: Path) -> None:
    found = examples("squad", tmp_path / "f", squad("\ufeffLos Panthers 🏈 ganaron", ("ganaron", 16)))
    assert found[0].context == "Los Panthers 🏈 ganaron"
    assert found[0].answers[0].start == 15


def test_squad_leaves_out_empty_answers(tmp_path: Path) -> None:
    context = ReaderContext()
    (tmp_path / "f").write_text(squad("Ana ríe", ("", 0), ("ríe", 4)))
    (found,) = read("squad", tmp_path / "f", context)
    assert isinstance(found, QuestionExample) and [answer.text for answer in found.answers] == ["ríe"]
    assert context.notes == {"empty answers left out": 1}
    (tmp_path / "f").write_text(squad("Ana ríe", ("", 0)))
    assert list(read("squad", tmp_path / "f", context)) == []
    assert context.notes["questions left out because all their answers are empty"] == 1


def test_squad_takes_white_space_off_answers(tmp_path: Path) -> None:
    (found,) = examples("squad", tmp_path / "f", squad("Ana  ríe", ("  ríe", 3)))
    assert [(answer.text, answer.start) for answer in found.answers] == [("ríe", 5)]


def test_tables_of_ones_own(tmp_path: Path) -> None:
    columns = Columns(text="frase", second_text="otra", label="clase", id="n")
    group = content_group(['uno, "dos"\ntres', "x"])
    wanted = [ClassificationExample("a", group, 'uno, "dos"\ntres', "x", "0")]
    csv_text = 'n,frase,otra,clase\na,"uno, ""dos""\ntres",x,0\n'
    assert examples("table", tmp_path / "f.csv", csv_text, "0", columns=columns) == wanted
    json_text = json.dumps({"n": "a", "frase": 'uno, "dos"\ntres', "otra": "x", "clase": 0}) + "\n"
    assert examples("table", tmp_path / "f.jsonl", json_text, "0", columns=columns) == wanted
    tsv = examples("table", tmp_path / "f.tsv", 'text\tlabel\n"sí\tA\nno\tA\n', "A")
    assert [(example.id, example.text) for example in tsv] == [("0", '"sí'), ("1", "no")]


def newsml(item: str, *topics: str, encoding: str = "iso-8859-1", head: str = "") -> bytes:
    codes = "".join(f'<code code="{topic}"></code>' for topic in topics)
    return (
        f'<?xml version="1.0" encoding="{encoding}"?>{head}<newsitem itemid="{item}"><title>ESPAÑA: Título</title>'
        f"<headline>Año &amp; día</headline><text><p>Uno  dos.</p>\n<p>Tres.</p></text><copyright>x</copyright>"
        f'<metadata><codes class="bip:countries:1.0"><code code="CCAT"/></codes><codes class="bip:topics:1.0">{codes}'
        "</codes></metadata></newsitem>"
    ).encode(encoding)


MLDOC = ("CCAT", "ECAT", "GCAT", "MCAT")


def test_mldoc_from_archive_and_folder(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr("REUTES7/70473newsML.xml", newsml("70473", "GCAT", "G15"))
        archive.writestr("REUTES7/readme.txt", "no")
    (tmp_path / "rcv" / "deep" / "REUTES1").mkdir(parents=True)
    (tmp_path / "rcv" / "deep" / "REUTES1" / "5.xml").write_bytes(
        newsml("5", "E11", "ECAT", encoding="utf-8")
    )
    found = examples(
        "mldoc", tmp_path / "index", "REUTES7-70473\nREUTES1-5\n", *MLDOC,
        archives=(tmp_path / "r.zip",), rcv_dir=tmp_path / "rcv",
    )  # fmt: skip
    text = "Año & día\nUno dos.\nTres."
    assert found == [
        ClassificationExample("REUTES7-70473", "REUTES7-70473", text, None, "GCAT"),
        ClassificationExample("REUTES1-5", "REUTES1-5", text, None, "ECAT"),
    ]


# --- what is refused --------------------------------------------------------------------------------------------------

HEAD = "id\tsentence1\tsentence2\tlabel\n"
WORD = "1\tla\tla\tDET\t_\t_\t_\t_\t_\t_\n"
MALFORMED: list[tuple[Reader, str | bytes, tuple[str, ...], str]] = [
    ("pawsx", "", ("0", "1"), r"f: the file is empty\. Is it the right file\?$"),
    ("pawsx", "id\ta\tb\tlabel\n", ("0", "1"), r"f:1: expected the header 'id\\tsentence1"),
    ("pawsx", HEAD + "1\ta\tb\n", ("0", "1"), r"f:2: expected 4 cells .*found 3"),
    ("pawsx", HEAD + "1\ta\tb\t2\n", ("0", "1"), r"f:2: label '2' is not in the task's label set \(0, 1\)"),
    (
        "pawsx",
        HEAD + "1\ta\tb\t1\n2\ta\tb",
        ("0", "1"),
        r"f:3: expected 4 cells .*found 3",
    ),
    (
        "pawsx",
        HEAD.encode() + b"1\tma\xf1ana\tb\t1\n",
        ("0", "1"),
        r"f:2: not UTF-8: byte 0xf1 at byte offset 33.*iconv",
    ),
    ("pawsx", (HEAD + "1\ta\tb\t1\n").encode("utf-16"), ("0", "1"), r"not UTF-8: .*iconv -f utf-16 "),
    ("xnli", "premise\thypo\tlabel\na\tb\t-\n", NLI, r"f:2: label '-'"),
    (
        "conll2002",
        "Ana NP B-PER\nrí",
        NER,
        r"f:2: expected columns 'word ... tag', found 'rí'. Columns are separated by spaces or tabs",
    ),
    ("conll2002", "Ana NP B-PER\nríe O\n\n", NER, r"f:2: expected 3 columns as on line 1, found 2: 'ríe O'"),
    ("conll2002", "Ana NP B-ORG\n\n", NER, r"f:1: label 'B-ORG' is not in the task's label set"),
    ("conllu", WORD + WORD + "\n", UPOS, r"f:2: expected word number 2, found '1'"),
    ("conllu", WORD.replace("la", "", 1) + "\n", UPOS, r"f:1: the form \(column 2\) of word 1 is empty"),
    ("conllu", "9" * 5000 + WORD[1:], UPOS, r"f:1: expected word number 1, found '9{20}'"),
    ("conllu", "1-" + "9" * 5000 + WORD[1:], UPOS, r"f:1: expected word number 1, found '1-9{18}'"),
    (
        "conllu",
        "2-1" + WORD[1:] + WORD,
        UPOS,
        r"f:1: expected a range from word 1 to a later one, found '2-1'",
    ),
    (
        "conllu",
        WORD + "1-2" + WORD[1:],
        UPOS,
        r"f:2: expected a range from word 2 to a later one, found '1-2'",
    ),
    (
        "conllu",
        "1-5" + WORD[1:] + WORD + "\n",
        UPOS,
        r"f:2: a range combines words up to 5, but the sentence ends with word 1",
    ),
    (
        "conllu",
        "1-2" + WORD[1:] + WORD,
        UPOS,
        r"f:2: a range combines words up to 2, but the sentence ends with word 1",
    ),
    ("conllu", "1\tla\tDET\n\n", UPOS, r"f:1: expected 10 tab-separated columns, found 3"),
    ("conllu", WORD.replace("DET", "DETE") + "\n", UPOS, r"f:1: la: label 'DETE'"),
    ("conllu", "# sent_id = 1\n\n", UPOS, r"f:2: the sentence begun on line 1 has no words"),
    ("squad", '{"data": [\n{"tit', (), r"f:2: not valid JSON.*truncated"),
    ("squad", '{"data": {}}', (), r"f: top level: expected a list under 'data'"),
    (
        "squad",
        squad("Ana ríe", ("ríe", 3)),
        (),
        r"f: question 'q1': answer 'ríe' is not at answer_start 3, .*' rí'",
    ),
    ("squad", squad("Ana ríe", ("ríe", -3)), (), r"f: question 'q1': answer 'ríe' is not at answer_start -3"),
    (
        "squad",
        squad("Ana ríe"),
        (),
        r"f: 1 of 1 questions have no answer .*the first is 'q1'.*unanswerable: drop",
    ),
    ("table", "text\tlabel\n", ("A",), r"f: expected a file named \*\.csv, \*\.tsv, \*\.jsonl, \*\.ndjson"),
    ("mldoc", "REUTES7:70473\n", MLDOC, r"f:1: expected an id such as REUTES7-70473"),
    ("mldoc", "R-1\nR-1\n", MLDOC, r"f:2: id R-1 is here and on line 1"),
    (
        "mldoc",
        "R-1\n",
        MLDOC,
        r"f:1: 1 of 1 documents were not found, the first is R-1\..*nist\.gov.*rcv_dir",
    ),
]


@pytest.mark.parametrize(("reader", "text", "labels", "message"), MALFORMED)
def test_malformed_files_get_an_error_with_place_and_remedy(
    reader: Reader, text: str | bytes, labels: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        examples(reader, tmp_path / "f", text, *labels)


@pytest.mark.parametrize("reader", ["pawsx", "xnli", "conllu", "conll2002", "squad", "mldoc"])
def test_a_missing_file_is_named(reader: Reader, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such file"):
        list(read(reader, tmp_path / "nowhere", ReaderContext(("0",))))


def test_questions_with_one_id_are_refused(tmp_path: Path) -> None:
    both = json.loads(squad("Ana ríe", ("ríe", 4)))
    both["data"] *= 2
    with pytest.raises(DataError, match="question id 'q1' occurs twice"):
        examples("squad", tmp_path / "f", json.dumps(both))


def test_malformed_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"f\.csv:1: no column 'label' \(columns: text, clase\).*'columns'"):
        examples("table", tmp_path / "f.csv", "text,clase\na,b\n", "A")
    with pytest.raises(DataError, match=r"f\.csv:3: expected 2 cells"):
        examples("table", tmp_path / "f.csv", "text,label\na,A\nb\n", "A")
    with pytest.raises(DataError, match=r"f\.csv:2: not valid CSV"):
        examples("table", tmp_path / "f.csv", 'text,label\n"a" b,A\n', "A")
    with pytest.raises(DataError, match=r"f\.jsonl:1: not valid JSON"):
        examples("table", tmp_path / "f.jsonl", "{\n", "A")


def test_reuters_documents_that_are_there_twice(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "rcv" / folder).mkdir(parents=True)
        (tmp_path / "rcv" / folder / "1newsML.xml").write_bytes(newsml("1", "CCAT"))
    (found,) = examples("mldoc", tmp_path / "f", "R-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")
    assert isinstance(found, ClassificationExample) and found.label == "CCAT"
    (tmp_path / "rcv" / "y" / "1newsML.xml").write_bytes(newsml("1", "GCAT"))
    message = r"y/1newsML\.xml: holds another document of item 1 than .*x/1newsML\.xml.* folder R\."
    with pytest.raises(DataError, match=message):
        examples("mldoc", tmp_path / "f", "R-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")
    (found,) = examples("mldoc", tmp_path / "f", "x-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")
    assert isinstance(found, ClassificationExample) and found.label == "CCAT", "the folder decides"
    for folder, topic in (("x", "CCAT"), ("y", "GCAT")):
        (tmp_path / "rcv" / folder / "REUTES1").mkdir()
        (tmp_path / "rcv" / folder / "REUTES1" / "1newsML.xml").write_bytes(newsml("1", topic))
    with pytest.raises(
        DataError, match=r"y/REUTES1/1newsML\.xml: another document with this folder and item id"
    ):
        examples("mldoc", tmp_path / "f", "REUTES1-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")


def test_reuters_documents_without_one_topic_or_well_formed_xml(tmp_path: Path) -> None:
    folder = tmp_path / "rcv" / "R"
    folder.mkdir(parents=True)
    for topics in ((), ("CCAT", "GCAT")):
        (folder / "1newsML.xml").write_bytes(newsml("1", *topics))
        with pytest.raises(DataError, match=r"R-1 has the top-level topics .*exactly one"):
            examples("mldoc", tmp_path / "f", "R-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")
    (folder / "1newsML.xml").write_bytes(newsml("1", "CCAT")[:-20])
    with pytest.raises(DataError, match=r"1newsML\.xml:2: not well-formed XML"):
        examples("mldoc", tmp_path / "f", "R-1\n", *MLDOC, rcv_dir=tmp_path / "rcv")
    bomb = newsml("1", "CCAT", head='<!DOCTYPE x [<!ENTITY a "b">]>')
    with pytest.raises(DataError, match="declares XML entities"):
        parse_newsml("x.xml", bomb)
    with pytest.raises(DataError, match="cannot be read"):
        parse_newsml("x.xml", b'<?xml version="1.0" encoding="klingon"?><newsitem itemid="1"/>')


# --- any text at all --------------------------------------------------------------------------------------------------

UNICODE = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\t\n\r\0"), min_size=1, max_size=12
)
WORDS = UNICODE.filter(
    lambda word: not any(c.isspace() for c in word) and not word.startswith(("-DOC", "#", "\ufeff"))
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(st.lists(st.tuples(UNICODE, UNICODE), min_size=1, max_size=5))
def test_any_unicode_survives_tsv(tmp_path: Path, pairs: list[tuple[str, str]]) -> None:
    rows = "".join(f"{number}\t{one}\t{other}\t1\n" for number, (one, other) in enumerate(pairs))
    found = examples("pawsx", tmp_path / "f", HEAD + rows, "1")
    assert [(example.text, example.second_text) for example in found] == pairs
    rows = "".join(f"{one}\t{other}\tneutral\n" for one, other in pairs)
    found = examples("xnli", tmp_path / "f", "premise\thypo\tlabel\n" + rows, *NLI)
    assert [(example.text, example.second_text) for example in found] == pairs


@QUICK
@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=4))
def test_any_words_survive_the_tagging_formats(tmp_path: Path, sentences: list[list[str]]) -> None:
    columns = "".join("".join(f"{word} X O\n" for word in sentence) + "\n" for sentence in sentences)
    found = examples("conll2002", tmp_path / "f", columns, "O")
    assert [list(example.words) for example in found] == sentences
    rows = "".join(
        "".join(f"{n}\t{word}\t_\tX" + "\t_" * 6 + "\n" for n, word in enumerate(sentence, 1)) + "\n"
        for sentence in sentences
    )
    found = examples("conllu", tmp_path / "f", rows, "X")
    assert [list(example.words) for example in found] == sentences
    tags = [["O"] * len(sentence) for sentence in sentences]
    write_columns(tmp_path / "p", sentences, tags, tags)
    assert [[word for _, word, _ in sentence] for sentence in read_columns(tmp_path / "p")] == sentences


@QUICK
@given(UNICODE, UNICODE, UNICODE, st.booleans())
def test_any_unicode_survives_squad(
    tmp_path: Path, before: str, answer: str, after: str, ascii_only: bool
) -> None:
    document = json.loads(squad(before + answer + after, (answer, len(before))))
    text = json.dumps(document, ensure_ascii=ascii_only)
    if not answer.strip().strip("\ufeff") or (before + answer).startswith("\ufeff"):
        return
    (found,) = examples("squad", tmp_path / "f", text)
    start = found.answers[0].start
    assert found.context[start : start + len(answer.strip())] == answer.strip() == found.answers[0].text


@QUICK
@example("xnli", b"\xef\xbb\xbf")
@given(st.sampled_from(["pawsx", "xnli", "conllu", "conll2002", "squad", "mldoc"]), st.binary(max_size=80))
def test_garbage_is_a_data_error_or_nothing_at_all(tmp_path: Path, reader: Reader, garbage: bytes) -> None:
    try:
        examples(reader, tmp_path / "f", garbage, "O")
    except LigeroError as error:
        assert str(tmp_path / "f") in str(error)
