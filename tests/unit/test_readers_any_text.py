"""Any text at all: what is written in a format comes out of its reader equal; what is no such format is refused by name."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ligero.common.errors import DataError, LigeroError
from ligero.settings.tasks import Columns, Reader
from ligero.tasks.examples import ClassificationExample, QuestionExample, TaggingExample, write_examples
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.readers.xnli import EVALUATION_COLUMNS

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LINE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\t\n\r\0"), max_size=15)
"""What a cell of a TSV file can hold: also empty, U+2028, quotes, combining marks, emoji."""
CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), max_size=15)
"""What a quoted cell can hold: also tabs and line ends."""
NLI = ("entailment", "neutral", "contradiction")
LABELS = st.sampled_from(NLI)


def examples(reader: Reader, path: Path, text: str, *labels: str, **options: Any) -> list[Any]:
    path.write_bytes(text.encode())
    return list(read(reader, path, ReaderContext(labels, **options)))


@QUICK
@given(st.lists(st.tuples(LINE, LINE, LABELS), min_size=1, max_size=5))
def test_xnli(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    lines = ["\t".join(EVALUATION_COLUMNS)]
    for number, (premise, hypothesis, label) in enumerate(rows):
        cells = {"language": "es", "sentence1": premise, "sentence2": hypothesis, "gold_label": label}
        cells |= {"pairID": f"pair{number}", "promptID": f"prompt{number // 3}"}
        for language in ("en", "es"):
            lines.append(
                "\t".join({**cells, "language": language}.get(name, "") for name in EVALUATION_COLUMNS)
            )
    found = examples("xnli", tmp_path / "f", "\n".join(lines) + "\n", *NLI)
    assert [(example.text, example.second_text, example.label) for example in found] == rows
    assert [example.group for example in found] == [f"prompt{number // 3}" for number in range(len(rows))]


@QUICK
@given(st.lists(st.tuples(CELL, CELL, LABELS), min_size=1, max_size=5))
def test_tables_with_quoting(tmp_path: Path, rows: list[tuple[str, str, str]]) -> None:
    columns = Columns(text="uno", second_text="otro", label="clase")
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerows(
        [("clase", "uno", "otro"), *((c, a, b) for a, b, c in rows)]
    )
    lines = [
        json.dumps(dict(zip(("uno", "otro", "clase"), row, strict=True)), ensure_ascii=False) for row in rows
    ]
    for name, text in (("f.csv", buffer.getvalue()), ("f.jsonl", "\n".join(lines) + "\n")):
        found = examples("table", tmp_path / name, text, *NLI, columns=columns)
        assert [(example.text, example.second_text, example.label) for example in found] == rows, name


@QUICK
@given(st.lists(st.tuples(LINE, LABELS), min_size=1, max_size=5))
def test_tables_without_quoting(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    lines = ["label\ttext", *(f"{label}\t{text}" for text, label in rows)]
    found = examples("table", tmp_path / "f.tsv", "\n".join(lines) + "\n", *NLI)
    assert [(example.text, example.label) for example in found] == rows


XML_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"), min_size=1, max_size=15
).filter(str.strip)


@QUICK
@given(st.lists(st.tuples(XML_TEXT, st.lists(XML_TEXT, max_size=3)), min_size=1, max_size=4))
def test_mldoc(tmp_path: Path, documents: list[tuple[str, list[str]]]) -> None:
    """Out of an archive of NewsML, whose white space is one space wherever it stands."""
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        for item, (headline, paragraphs) in enumerate(documents):
            body = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs)
            archive.writestr(
                f"REUTES1/{item}newsML.xml",
                f'<newsitem itemid="{item}"><headline>{escape(headline)}</headline><text>{body}</text><metadata>'
                '<codes class="bip:topics:1.0"><code code="MCAT"/></codes></metadata></newsitem>',
            )
    index = "".join(f"REUTES1-{item}\n" for item in range(len(documents)))
    found = examples("mldoc", tmp_path / "f", index, "MCAT", archives=(tmp_path / "r.zip",))
    assert [example.text for example in found] == [
        "\n".join(" ".join(text.split()) for text in (headline, *paragraphs))
        for headline, paragraphs in documents
    ]


@QUICK
@given(st.lists(st.lists(CELL.filter(str.strip), min_size=1, max_size=3), min_size=1, max_size=3))
def test_questions_with_several_answers(tmp_path: Path, passages: list[list[str]]) -> None:
    paragraphs: list[dict[str, Any]] = []
    for number, parts in enumerate(passages):
        context = "¡" + "".join(parts)
        starts = [1 + sum(map(len, parts[:place])) for place in range(len(parts))]
        given_answers = [
            {"text": part, "answer_start": start} for part, start in zip(parts, starts, strict=True)
        ]
        paragraphs.append(
            {"context": context, "qas": [{"id": f"{number}", "question": parts[0], "answers": given_answers}]}
        )
    text = json.dumps({"data": [{"title": "T", "paragraphs": paragraphs}]}, ensure_ascii=False)
    for example, parts in zip(examples("squad", tmp_path / "f", text), passages, strict=True):
        assert (example.context, example.question) == ("¡" + "".join(parts), parts[0])
        wanted = [part.strip() for part in parts if part.strip().strip("\ufeff")]
        assert [answer.text for answer in example.answers] == wanted
        for answer in example.answers:
            assert example.context[answer.start : answer.start + len(answer.text)] == answer.text


@QUICK
@given(st.lists(CELL, min_size=1, max_size=4))
def test_what_is_kept_as_parquet(tmp_path: Path, texts: list[str]) -> None:
    import pyarrow.parquet as pq

    kept: list[Any] = [ClassificationExample(f"{n}", f"{n}", text, None, "b") for n, text in enumerate(texts)]
    write_examples(tmp_path / "c", "sequence_classification", ["a", "b"], kept)
    assert pq.read_table(tmp_path / "c").column("text").to_pylist() == texts
    kept = [TaggingExample("1", "1", tuple(texts), ("a",) * len(texts))]
    write_examples(tmp_path / "t", "token_classification", ["a", "b"], kept)
    assert pq.read_table(tmp_path / "t").column("words").to_pylist() == [texts]
    kept = [QuestionExample("1", "1", texts[0], texts[-1], ())]
    write_examples(tmp_path / "q", "question_answering", [], kept)
    assert pq.read_table(tmp_path / "q").column("context").to_pylist() == texts[:1]


# --- what is refused --------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["data", "paragraphs", "title", "context", "qas", "id", "question", "answers", "text"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def nested(*keys: str) -> Any:
    """JSON with anything at all under the innermost key of otherwise well-formed SQuAD."""
    whole: dict[str, Any] = {"context": "a b", "qas": [], "id": "1", "question": "a", "title": "T"}
    return st.tuples(JSON, st.just(keys)).map(lambda pair: _nest(pair[0], pair[1], whole))


def _nest(value: Any, keys: tuple[str, ...], whole: dict[str, Any]) -> Any:
    for key in reversed(keys):
        value = {**whole, key: value if isinstance(value, list) else [value]}
    return value


@settings(QUICK, max_examples=100)
@given(
    JSON
    | nested("data")
    | nested("data", "paragraphs")
    | nested("data", "paragraphs", "qas")
    | nested("data", "paragraphs", "qas", "answers")
)
def test_any_json_is_squad_or_a_data_error(tmp_path: Path, value: Any) -> None:
    try:
        examples("squad", tmp_path / "f", json.dumps(value))
    except LigeroError as error:
        assert str(tmp_path / "f") in str(error)


@settings(QUICK, max_examples=80)
@given(st.sampled_from([".csv", ".tsv", ".jsonl"]), st.binary(max_size=60), st.booleans())
def test_any_bytes_are_a_table_or_a_data_error(
    tmp_path: Path, kind: str, garbage: bytes, headed: bool
) -> None:
    path = tmp_path / f"f{kind}"
    path.write_bytes((b"text,label\n" if headed else b"") + garbage)
    try:
        list(read("table", path, ReaderContext(("A",))))
    except LigeroError as error:
        assert str(path) in str(error)


REST = "\t_" * 6
WORD = f"1\tla\tla\tDET{REST}\n"
MALFORMED: list[tuple[Reader, str, str, tuple[str, ...], str]] = [
    ("xnli", "f", "premise\thypothesis\tlabel\n", NLI, r"f:1: expected the header 'language.* or 'premise\\thypo"),
    ("xnli", "f", "premise\thypo\tlabel\na\tneutral\n", NLI, r"f:2: expected 3 cells .*found 2"),
    ("xnli", "f", "premise\thypo\tlabel\na\tb\tneut", NLI, r"f:2: label 'neut' .* Did you mean 'neutral'\?"),
    ("conll2002", "f", "Ana\t\tO\n\n", ("O",), r"f:1: expected columns 'word ... tag', found 'Ana"),
    ("conll2002", "f", "Ana O\nen SP O\n\n", ("O",), r"f:2: expected 2 columns as on line 1, found 3"),
    ("conllu", "f", f"2\tla\tla\tDET{REST}\n\n", ("DET",), r"f:1: expected word number 1, found '2'"),
    ("conllu", "f", f"x\tla\tla\tDET{REST}\n\n", ("DET",), r"f:1: expected word number 1, found 'x'"),
    ("conllu", "f", WORD + "# text\n2 el\n\n", ("DET",), r"f:3: expected 10 tab-separated columns, found 1"),
    ("squad", "f", "[]", (), r"f: expected a JSON object with the key 'data'"),
    ("squad", "f", '{"data": ["a"]}', (), r"f: an article: expected a list under 'paragraphs'"),
    ("squad", "f", '{"data": [{"title": "T", "paragraphs": [{}]}]}', (), r"article 'T': expected a text under 'context'"),
    ("table", "f.csv", "text,label\na\n", ("A",), r"f\.csv:2: expected 2 cells \(text, label\), found 1"),
    ("table", "f.tsv", "text\tlabel\na\tA\tb\n", ("A",), r"f\.tsv:2: expected 2 cells"),
    ("table", "f.tsv", "text\tlabel\na\tB\n", ("A",), r"f\.tsv:2: label 'B' is not in the task's label set"),
    ("table", "f.tsv", "text\tlabel\na", ("A",), r"f\.tsv:2: expected 2 cells"),
    ("table", "f.jsonl", "[1]\n", ("A",), r"f\.jsonl:1: expected a JSON object"),
    ("table", "f.jsonl", '{"text": null, "label": "A"}\n', ("A",), r"f\.jsonl:1: column 'text' is null"),
    ("mldoc", "f", "R-1\n\nR/2\n", ("CCAT",), r"f:3: expected an id such as REUTES7-70473"),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "name", "text", "labels", "message"), MALFORMED)
def test_malformed_files(
    reader: Reader, name: str, text: str, labels: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        examples(reader, tmp_path / name, text, *labels)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("Ana", r"question 'q': an answer needs 'text' and an integer 'answer_start'"),
        ({"text": "Ana"}, r"question 'q': an answer needs 'text' and an integer 'answer_start'"),
        ({"text": "Ana", "answer_start": "0"}, r"an answer needs 'text' and an integer"),
        ({"text": "Ana", "answer_start": 99}, r"answer 'Ana' is not at answer_start 99"),
    ],
)
def test_malformed_answers(tmp_path: Path, answer: Any, message: str) -> None:
    paragraph = {"context": "Ana ríe", "qas": [{"id": "q", "question": "¿?", "answers": [answer]}]}
    with pytest.raises(DataError, match=message):
        examples("squad", tmp_path / "f", json.dumps({"data": [{"title": "T", "paragraphs": [paragraph]}]}))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("R/1newsML.xml", '<newsitem itemid="2"/>', r"is named after item 1 but holds item 2"),
        ("R/1newsML.xml", "<other/>", r"expected <newsitem itemid"),
        ("R/1newsML.xml", "", r"not well-formed XML"),
    ],
)
def test_malformed_documents_of_an_archive(tmp_path: Path, name: str, content: str, message: str) -> None:
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        archive.writestr(name, content)
    with pytest.raises(DataError, match=message) as caught:
        examples("mldoc", tmp_path / "f", "R-1\n", "CCAT", archives=(tmp_path / "r.zip",))
    assert f"r.zip/{name}" in str(caught.value)


def test_a_damaged_archive_of_documents(tmp_path: Path) -> None:
    (tmp_path / "r.zip").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(DataError, match=r"r\.zip: cannot be read as an archive"):
        examples("mldoc", tmp_path / "f", "R-1\n", "CCAT", archives=(tmp_path / "r.zip",))
