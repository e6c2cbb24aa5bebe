"""Files as people have them: what is ordinary is read, what is doubtful is said, and everything wrong is listed at once."""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import CombinedError, DataError, LigeroError, naming
from ligero.common.files import atomic_directory, read_json
from ligero.common.run_end import failures
from ligero.settings.base import Settings, UserPath
from ligero.settings.jobs import TaskJob
from ligero.settings.load import load_study
from ligero.settings.program import note_soundness, refuse_unsound_data
from ligero.settings.sources import Source
from ligero.settings.tasks import Columns, Reader, Task
from ligero.settings.yaml_files import read_yaml
from ligero.sources.archives import members, open_member
from ligero.tasks.examples import TaggingExample, write_examples
from ligero.tasks.prepare import prepare_task
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.readers.context import is_numbered
from ligero.tasks.readers.squad import reference_answers
from ligero.tasks.splits import load_split
from ligero.tasks.tagged_files import aligned_tags, read_columns

SPLITS = ("train", "validation", "test")
REST = "\t_" * 6


def examples(
    reader: Reader, path: Path, text: str | bytes, *labels: str, **options: Any
) -> tuple[list[Any], Counter[str]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    context = ReaderContext(labels, **options)
    return list(read(reader, path, context)), context.notes


def task(
    reader: Reader, kind: str, metric: str, labels: list[str], splits: dict[str, Any], **more: Any
) -> Task:
    values = {
        "name": "t",
        "type": kind,
        "reader": reader,
        "splits": splits,
        "labels": labels,
        "metric": metric,
    }
    return Task.model_validate({**values, **more})


def treebank(*sentences: tuple[str, str]) -> str:
    """Sentences of (comment, words) in CoNLL-U, every word a NOUN."""
    lines = []
    for comment, words in sentences:
        rows = [f"{n}\t{word}\t_\tNOUN{REST}" for n, word in enumerate(words.split(), 1)]
        lines += [*([comment] if comment else []), *rows, ""]
    return "\n".join(lines) + "\n"


# --- ids and groups -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "numbered"),
    [
        *[(name, True) for name in ("0", "17", "s17", "sent_17", "q-3", "DOC12", "row3")],
        *[
            (name, False)
            for name in (
                "es-train-1",
                "REUTES1-5",
                "56be4db0acb8001400a502ec",
                "1345678901234567890",
                "a",
                "",
            )
        ],
    ],
)
def test_numbers_are_no_names(name: str, numbered: bool) -> None:
    assert is_numbered(name) == numbered


def pos(tmp_path: Path, train: list[str], **of_train: Any) -> Task:
    spec = {
        "train": {"sources": train, **of_train},
        "validation": {"sources": ["dev"]},
        "test": {"sources": ["test"]},
    }
    return task("conllu", "token_classification", "token_accuracy", ["NOUN", "VERB"], spec)


def test_sentence_ids_of_ud_1_and_files_without_ids(tmp_path: Path) -> None:
    files = {
        "train": treebank(("# sent_id es-train-1", "el gato"), ("# sent_id es-train-2", "la casa")),
        "dev": treebank(("# sent_id es-dev-1", "el tren")),
        "test": treebank(("# sent_id es-test-1", "la mesa"), ("# sent_id es-train-2", "el sol")),
        "plain": treebank(("", "un perro"), ("# sent_id = 1", "otro perro")),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    loaded = load_split(pos(tmp_path, ["train", "plain"]), "train", lambda source: tmp_path / source)
    assert [example.id for example in loaded.examples] == ["es-train-1", "es-train-2", "plain/0", "plain/1"]
    without = load_split(
        pos(tmp_path, ["train"], without_ids_of=["test"]), "train", lambda source: tmp_path / source
    )
    assert [example.id for example in without.examples] == ["es-train-1"]
    (tmp_path / "test").write_text(files["plain"])
    with pytest.raises(
        DataError, match=r"test: its ids are only numbers within the file \(such as '0'\).*without_ids_of"
    ):
        load_split(
            pos(tmp_path, ["train"], without_ids_of=["test"]), "train", lambda source: tmp_path / source
        )


def test_same_numbers_in_two_splits_are_no_leak(tmp_path: Path) -> None:
    for name, words in (("train", "uno dos"), ("dev", "tres"), ("test", "cuatro")):
        (tmp_path / name).write_text(treebank(("", words), ("# sent_id = s1", f"{words} más")))
    info = prepared(tmp_path, pos(tmp_path, ["train"]), ["train", "dev", "test"])
    assert all(counts["same_id"] == 0 for counts in info["leaks"].values())


def prepared(folder: Path, wanted: Task, sources: list[str], **options: Any) -> dict[str, Any]:
    job = TaskJob(task_id="t", task=wanted, sources={source: Source(path=source) for source in sources})
    return prepare_task(job, folder, folder / "out", **options)


def cut(
    tmp_path: Path, reader: Reader, text: str, labels: list[str], kind: str, metric: str
) -> dict[str, str]:
    """Where each example falls: its text or words -> split."""
    name = {"table": "all.csv"}.get(reader, "all")
    (tmp_path / name).write_text(text)
    shares = {"train": (0.0, 0.6), "validation": (0.6, 0.8), "test": (0.8, 1.0)}
    spec = {split: {"sources": ["all"], "share": share} for split, share in shares.items()}
    wanted = task(reader, kind, metric, labels, spec)
    found = {}
    for split in SPLITS:
        for example in load_split(wanted, split, lambda _: tmp_path / name).examples:
            found[" ".join(example.words) if isinstance(example, TaggingExample) else example.text] = split  # type: ignore[union-attr]
    return found


def test_a_cut_stays_when_a_row_is_removed(tmp_path: Path) -> None:
    rows = [f"queja número {number},{'ab'[number % 2]}\n" for number in range(60)]
    table = ("table", ["a", "b"], "sequence_classification", "accuracy")
    sentences = [f"palabra{number} O\n\n" for number in range(60)]
    documents = [f"-DOCSTART- O\n\nuno{number} O\n\ndos{number} O\n\n" for number in range(40)]
    columns = ("conll2002", ["O", "B-X", "I-X"], "token_classification", "seqeval_f1")
    trees = [treebank(("", f"palabra{number}")) for number in range(60)]
    treebanks = ("conllu", ["NOUN", "VERB"], "token_classification", "token_accuracy")
    cases: list[tuple[Any, str, list[str]]] = [
        (table, "text,label\n", rows), (columns, "", sentences), (columns, "", documents), (treebanks, "", trees),
    ]  # fmt: skip
    for (reader, labels, kind, metric), head, parts in cases:
        before = cut(tmp_path, reader, head + "".join(parts), labels, kind, metric)
        after = cut(tmp_path, reader, head + "".join(parts[1:30] + parts[31:]), labels, kind, metric)
        assert set(before.values()) == set(SPLITS)
        assert after == {text: before[text] for text in after}, (reader, parts[0])


# --- marks, and one reader for tasks and scores -------------------------------------------------------------------------


def test_a_document_never_begins_inside_a_sentence(tmp_path: Path) -> None:
    text = "Ana B-PER\nvive O\n-DOCSTART- O\nLuis B-PER\ncorre O\n\nEl O\n-DOCSTART- O\n\n\nLa O\n"
    found, notes = examples("conll2002", tmp_path / "f", text, "O", "B-PER", "I-PER")
    assert [example.words for example in found] == [("Ana", "vive"), ("Luis", "corre"), ("El",), ("La",)]
    groups = [example.group for example in found]
    assert groups[1] == groups[2] and len(set(groups)) == 3
    assert notes["files whose last sentence has no blank line after it (complete, or cut off there?)"] == 1
    (tmp_path / "p").write_text(text)
    gold, _ = aligned_tags(tmp_path / "f", tmp_path / "p")
    assert [len(tags) for tags in gold] == [2, 2, 1, 1], "score.py reads the same sentences"


def test_a_treebank_is_known_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "gold.txt").write_text(
        "\ufeff# newdoc\n"
        + treebank(("# sent_id a", "del perro")).replace("1\t", "1-2\tx\t_\t_" + REST + "\n1\t")
    )
    assert [
        [(word, tag) for _, word, tag in sentence] for sentence in read_columns(tmp_path / "gold.txt")
    ] == [[("del", "NOUN"), ("perro", "NOUN")]]


def test_a_word_that_begins_like_a_comment_is_a_word_within_a_sentence(tmp_path: Path) -> None:
    text = "# id 17\tdomain=es\nel\tO\n# text mining\tB-X\n# text = el\n\n# id 18\tdomain=es\nla\tO\n\n"
    found, notes = examples("conll2002", tmp_path / "f", text, "O", "B-X")
    assert [example.words for example in found] == [("el", "# text mining"), ("la",)]
    assert notes["comment lines passed over"] == 3


def test_any_number_of_columns(tmp_path: Path) -> None:
    text = "# id 17\nAna\tNP\tx\tB-PER\n\t\n\nLa  casa\tDA\ty\tO"
    found, notes = examples("conll2002", tmp_path / "f", text, "O", "B-PER", "I-PER")
    assert [example.words for example in found] == [("Ana",), ("La  casa",)]
    assert notes["comment lines passed over"] == 1
    named = Columns(word=2, tag=3)
    found, _ = examples("conll2002", tmp_path / "f", text.replace("  ", "_"), "x", "y", columns=named)
    assert [(example.words, example.labels) for example in found] == [(("NP",), ("x",)), (("DA",), ("y",))]
    with pytest.raises(DataError, match=r"f:\d: 4 columns, but the task reads column 5.*columns\.tag"):
        examples("conll2002", tmp_path / "f", text, "x", columns=Columns(tag=5))


# --- tables -------------------------------------------------------------------------------------------------------------

TEXTS = [("sí, claro", "a"), ('dijo "no"; y ya', "b")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_separates_cells_is_found(tmp_path: Path, delimiter: str) -> None:
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in TEXTS]
    text = (
        "\ufeff"
        + "\n".join(delimiter.join(row) for row in [["label ", "text"], *[row[::-1] for row in quoted]])
        + "\n"
    )
    found, _ = examples("table", tmp_path / "f.CSV", text, "a", "b")
    assert [(example.text, example.label) for example in found] == TEXTS
    found, _ = examples("table", tmp_path / "f.csv", text, "a", "b", columns=Columns(delimiter=delimiter))  # type: ignore[arg-type]
    assert len(found) == 2


@pytest.mark.parametrize("columns", [Columns(), Columns(delimiter=",")])  # type: ignore[arg-type]
def test_rows_of_an_old_mac_beside_others(tmp_path: Path, columns: Columns) -> None:
    for text in ("text,label\rsí,a\rno,b\n", "\rtext,label\rsí,a\nno,b\r"):
        found, _ = examples("table", tmp_path / "f.csv", text, "a", "b", columns=columns)
        assert [(example.text, example.label) for example in found] == [("sí", "a"), ("no", "b")]


def test_spreadsheets_and_exports(tmp_path: Path) -> None:
    long = "palabra " * 30_000
    text = f"sep=;\ntext;label\n{long};a\n;a\nNULL;b\n;\n;\n"
    found, notes = examples("table", tmp_path / "f.csv", text, "a", "b")
    assert [example.text for example in found] == [long, "", "NULL"]
    assert notes["empty texts kept as they are"] == 1 and notes["blank lines passed over"] == 3
    assert notes["texts that are only 'null', 'nan' or the like, kept as they are"] == 1
    _, notes = examples("table", tmp_path / "f.tsv", 'text\tlabel\n"dijo ""sí"""\ta\n"\tb', "a", "b")
    assert [count for what, count in notes.items() if "double quotes" in what] == [1]
    found, _ = examples(
        "table", tmp_path / "f.jsonl", '{"text": "x", "label": 1}\n\n{"text": 7, "label": "1"}\n\n', "1"
    )
    assert [example.text for example in found] == ["x", "7"]


WRONG_TABLES = [
    ("f.csv", "text,text,label\na,b,c\n", r"f\.csv:1: column 'text' occurs twice"),
    (
        "f.csv",
        "Text;Label\na;b\n",
        r"f\.csv:1: no column 'text' \(columns: Text, Label\)\. Did you mean 'Text'\?",
    ),
    ("f.csv", "text+label\na+b\n", r"f\.csv:1: no column 'text' .*columns\.delimiter"),
    (
        "f.csv",
        'text,label\n"a,A\nb,A\n',
        r"f\.csv:2: a double quote that is opened in this row is never closed",
    ),
    ("f.json", "[]", r"f\.json: expected a file named .*jq"),
    ("f.jsonl", '{"text": ["a"], "label": "A"}\n', r"f\.jsonl:1: column 'text' is a JSON list"),
    ("f.csv", b"PK\x03\x04rest", r"f\.csv: is a ZIP archive \(or a workbook such as \.xlsx\)"),
    ("f.csv", b"\x1f\x8brest", r"f\.csv: is a gzip file, not text\. Unpack it"),
    ("f.csv", b"<!DOCTYPE html><p>", r"f\.csv: is an HTML page"),
    ("f.csv", b"version https://git-lfs.github.com/spec/v1\n", r"f\.csv: is a Git LFS pointer"),
    ("f.csv", "text,label\nñ,A\n".encode("utf-16"), r"f\.csv:1: not UTF-8: .*iconv -f utf-16 "),
    ("f.csv", "text,label\nñ,A\n".encode("latin1"), r"f\.csv:2: not UTF-8: byte 0xf1 .*iconv -f latin1 "),
    (
        "f.csv",
        "text,label\n\u201cñ,A\n".encode("cp1252"),
        r"f\.csv:2: not UTF-8: byte 0x93 .*iconv -f windows-1252 ",
    ),
    (
        "f.csv",
        "text,label\na,1.0\n",
        r"f\.csv:2: label '1\.0' .*Did you mean '1'\? \(A spreadsheet or pandas",
    ),
    ("f.csv", "text,label\na,opinio\u0301n\n", r"f\.csv:2: label .*It looks like 'opinión' but .*NFD"),
    ("f.jsonl", '[{"text": "a"}]', r"f\.jsonl:1: expected a JSON object\. .*jq"),
    (
        "f.csv",
        "text,label\na\0b,A\n",
        r"f\.csv:2: a NUL byte at byte offset 12\. It is no text file, or a damaged one",
    ),
    ("f.csv", "text,label\na,ñ".encode()[:-1], r"f\.csv:2: ends inside a character .*truncated"),
]


@pytest.mark.parametrize(("name", "content", "message"), WRONG_TABLES)
def test_wrong_tables_are_called_what_they_are(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        examples("table", tmp_path / name, content, "A", "1", "opinión")


def test_all_bad_rows_at_once(tmp_path: Path) -> None:
    rows = ["a,positivo", "b,Positivo", "c", "d,positvo", "e,Positivo", "f,otro"]
    with pytest.raises(CombinedError) as caught:
        examples("table", tmp_path / "f.csv", "\n".join(["text,label", *rows, ""]), "positivo", "negativo")
    lines = [
        line.removeprefix("error: ").removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()
    ]
    known = "is not in the task's label set (positivo, negativo)"
    fix = "Correct the file, or add the label to the task's 'labels'."
    assert lines == [
        f"f.csv:3: label 'Positivo' {known}. (2 times, also on line 6) Did you mean 'positivo'? {fix}",
        "f.csv:4: expected 2 cells (text, label), found 1. In CSV a text with separators or line ends is in double quotes; "
        "in TSV no text may hold tabs.",
        f"f.csv:5: label 'positvo' {known}. Did you mean 'positivo'? {fix}",
        f"f.csv:7: label 'otro' {known}. {fix}",
    ]


# --- questions ----------------------------------------------------------------------------------------------------------


def questions(path: Path, *entries: dict[str, Any]) -> Path:
    given = [{"id": number, "question": "¿?", **entry} for number, entry in enumerate(entries)]
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": "Ana ríe", "qas": given}]}]}))
    return path


RIGHT = {"answers": [{"text": "ríe", "answer_start": 4}]}
UNANSWERABLE: list[dict[str, Any]] = [
    {"answers": [], "is_impossible": True},
    {**RIGHT, "is_impossible": True},
]


def test_questions_without_an_answer(tmp_path: Path) -> None:
    path = questions(tmp_path / "q", RIGHT, *UNANSWERABLE)
    with pytest.raises(DataError, match=r"2 of 3 questions have no answer .*'1'.*unanswerable: drop"):
        list(read("squad", path, ReaderContext()))
    with pytest.raises(DataError, match="--unanswerable drop"):
        reference_answers(path)
    assert reference_answers(path, drops_unanswerable=True) == {"0": ["ríe"]}
    splits = {split: {"sources": ["q"], "expected": 3} for split in SPLITS}
    info = prepared(
        tmp_path, task("squad", "question_answering", "squad_f1", [], splits, unanswerable="drop"), ["q"]
    )
    assert info["left_out"] == dict.fromkeys(SPLITS, 2) and info["counts"] == dict.fromkeys(SPLITS, 1)
    assert "train: q: 2 questions left out because they have no answer (unanswerable: drop)" in info["notes"]
    with pytest.raises(ValueError, match="'unanswerable' is for the reader squad"):
        task("table", "sequence_classification", "accuracy", ["a", "b"], splits, unanswerable="drop")


def test_flat_rows_of_questions_are_called_so(tmp_path: Path) -> None:
    rows = json.dumps([{"id": "1", "context": "Ana", "answers": {"text": ["Ana"], "answer_start": [0]}}])
    with pytest.raises(DataError, match=r"f: expected a JSON object with the key 'data' .*flat rows"):
        examples("squad", tmp_path / "f", rows)


def test_unpaired_surrogates_are_replaced_and_offsets_stay(tmp_path: Path) -> None:
    text = r'{"data": [{"title": "T", "paragraphs": [{"context": "\ud83d Ana", "qas": [{"id": 1, "question": "¿\udc00?", '
    text += r'"answers": [{"text": "Ana", "answer_start": 2}]}]}]}]}'
    (found,), notes = examples("squad", tmp_path / "f", "\ufeff" + text)
    assert (found.id, found.context, found.question, found.answers[0].start) == (
        "1",
        "\ufffd Ana",
        "¿\ufffd?",
        2,
    )
    assert [count for what, count in notes.items() if "surrogate" in what] == [2]
    (found,), _ = examples(
        "table", tmp_path / "f.jsonl", r'{"text": "x \ud83d\ude00 \ud83d", "label": "A"}' + "\n", "A"
    )
    assert found.text == "x 😀 \ufffd"


# --- folders, archives, paths -------------------------------------------------------------------------------------------


def document(item: int) -> bytes:
    return (
        f'<newsitem itemid="{item}"><title>Título {item}</title><text><p>Uno.</p></text><metadata>'
        '<codes class="bip:topics:1.0"><code code="CCAT"/></codes></metadata></newsitem>'
    ).encode()


def test_documents_behind_links_and_in_capitals(tmp_path: Path) -> None:
    (tmp_path / "disk" / "REUTES1").mkdir(parents=True)
    (tmp_path / "disk" / "REUTES1" / "1NEWSML.XML").write_bytes(document(1))
    (tmp_path / "disk" / "REUTES1" / "round").symlink_to(tmp_path / "disk")
    (tmp_path / "rcv").mkdir()
    (tmp_path / "rcv" / "REUTES1").symlink_to(tmp_path / "disk" / "REUTES1")
    for folder in (tmp_path / "rcv", tmp_path / "disk"):
        found, _ = examples("mldoc", tmp_path / "index", "REUTES1-1\n\n", "CCAT", rcv_dir=folder)
        assert [example.text for example in found] == ["Título 1\nUno."]


def test_archives_of_windows(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "DATOS.ZIP", "w") as archive:
        entry = zipfile.ZipInfo("x")
        entry.filename = "REUTES1\\1newsML.xml"  # ZipInfo itself would read os.sep alone
        archive.writestr(entry, document(1))
    assert [name for name, _, _ in members(tmp_path / "DATOS.ZIP")] == ["REUTES1/1newsML.xml"]
    with open_member(tmp_path / "DATOS.ZIP", "REUTES1\\1newsML.xml") as (size, _):
        assert size == len(document(1))
    found, _ = examples(
        "mldoc", tmp_path / "index", "REUTES1-1\n", "CCAT", archives=(tmp_path / "DATOS.ZIP",)
    )
    assert len(found) == 1
    with (
        pytest.raises(DataError, match=r"has no file 'REUTES1/1newsml\.xml'; nearest: REUTES1/1newsML\.xml"),
        open_member(tmp_path / "DATOS.ZIP", "REUTES1/1newsml.xml"),
    ):
        pass
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        entry = zipfile.ZipInfo("x")
        entry.filename = "..\\..\\evil"
        archive.writestr(entry, b"")
    with pytest.raises(DataError, match="unsafe member name"):
        list(members(tmp_path / "evil.zip"))


def test_home_in_every_path(
    default_config: dict[str, Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ana")

    class Paths(Settings):
        path: UserPath

    assert Paths(path="~/datos").path == "/home/ana/datos"
    assert Paths(path="https://x.org/~ana/d").path == "https://x.org/~ana/d"
    model = default_config["models"]["bertin"]
    del model["tokenizer"]
    model |= {"weights": "local", "local": "~/bertin"}
    default_config["tasks"]["mldoc"] |= {"rcv_dir": "~/rcv"}
    default_config |= {"mirror": "~/datos", "results_dir": "~/mine"}
    study = load_study(default_config, project)
    found = (study.mirror, study.results_dir, study.models["bertin"].local, study.tasks["mldoc"].rcv_dir)
    assert found == ("/home/ana/datos", "/home/ana/mine", "/home/ana/bertin", "/home/ana/rcv")
    with pytest.raises(LigeroError, match="mirror: ~nobody-has-this-name/x: no home folder is known for"):
        load_study({**default_config, "mirror": "~nobody-has-this-name/x"}, project)


def test_configurations_and_json_in_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("\ufeffname: Año\n".encode())
    assert read_yaml(tmp_path / "a.yaml") == {"name": "Año"}
    (tmp_path / "a.yaml").write_bytes("# x\nname: Año\n".encode("latin1"))
    with pytest.raises(LigeroError, match=r"a\.yaml:2: not UTF-8: byte 0xf1 .*iconv -f latin1"):
        read_yaml(tmp_path / "a.yaml")
    (tmp_path / "a.json").write_bytes('\ufeff{"a": 1}'.encode())
    assert read_json(tmp_path / "a.json") == {"a": 1}


# --- what errors and warnings say ---------------------------------------------------------------------------------------


def test_no_error_names_a_file_that_the_program_makes_on_its_way(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match=rf"^{tmp_path}/out/a: wrong"),
        atomic_directory(tmp_path / "out") as staging,
    ):
        raise DataError(staging / "a", None, "wrong")
    with pytest.raises(DataError, match=r"^mine/a: wrong"), naming("theirs", "mine"):
        raise DataError("theirs/a", None, "wrong")


def test_errors_of_all_splits_name_the_users_files(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for split in SPLITS:
        (tmp_path / split).write_text(treebank(("", "uno dos")).replace("NOUN", f"N{split}", 1))
        (tmp_path / "mine" / split).write_text("")
    spec = {split: {"sources": [split]} for split in SPLITS}
    wanted = task("conllu", "token_classification", "token_accuracy", ["NOUN", "VERB"], spec)
    with pytest.raises(CombinedError) as caught:
        prepared(tmp_path, wanted, list(SPLITS), mirror=tmp_path / "mine")
    for line, split in zip(str(caught.value).splitlines(), SPLITS, strict=True):
        assert line.removeprefix("error: ").startswith(f"{tmp_path}/mine/{split}:1: uno: label 'N{split}'")


def test_warnings_of_a_task(tmp_path: Path) -> None:
    rows = {
        "train": [*(f"texto {number},a" for number in range(12)), "raro,b", "doble,a", "doble,b"],
        "dev": ["otro,a", "más,b"],
        "test": ["texto 3,a", ",a"],
    }
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,label", *lines, ""]))
    spec = {split: {"sources": [source]} for split, source in zip(SPLITS, rows, strict=True)}
    wanted = task("table", "sequence_classification", "accuracy", ["a", "b", "c"], spec)
    job = TaskJob(task_id="t", task=wanted, sources={name: Source(path=f"{name}.csv") for name in rows})
    assert prepare_task(job, tmp_path, tmp_path / "out")["warnings"] == [
        "leak: 1 examples of test (50.0 %) have the same text as one of train",
        "test: test: 1 empty texts kept as they are",
        "train: 1 texts occur with different labels",
        "train: no example of c",
        "validation: no example of c",
        "test: no example of b, c",
        "train: fewer than 10 examples of b (2)",
        "test: 2 examples are few; a score is uncertain by up to 69 points to each side",
    ]


def test_nothing_is_trained_in_a_run_that_found_wrong_data(tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    refuse_unsound_data(config)
    note_soundness(config, "ner", DataError("a", 1, "wrong"))
    with pytest.raises(DataError, match=r"tasks: nothing is trained until the data of ner are corrected"):
        refuse_unsound_data(config)
    os.utime(tmp_path / "state" / "unsound" / "ner", (1, 1))
    refuse_unsound_data(config)  # another run found it
    note_soundness(config, "ner", DataError("a", 1, "wrong"))
    note_soundness(config, "ner", None)
    refuse_unsound_data(config)


LOG = """\
Error in rule prepare_task:
Logfile logs/a.log:
=====
a: some progress
error: a.csv:2: wrong.
error: b.csv: could not be fetched:
  - not there
=====
Logfile logs/b.log:
=====
error: a.csv:2: wrong.
=====
Logfile logs/c.log:
=====
Traceback (most recent call last):
IndexError: index out of range in self
=====
"""


def test_the_errors_of_failed_jobs_once_each() -> None:
    assert list(failures(LOG)) == [
        "error: a.csv:2: wrong.",
        "error: b.csv: could not be fetched:\n  - not there",
        "error: logs/c.log: the job stopped unexpectedly: IndexError: index out of range in self",
    ]


# --- files that other libraries open ------------------------------------------------------------------------------------


def test_prepared_tasks_open_in_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    sentence = TaggingExample("1", "g", ("Ana", "ríe"), ("B-PER", "O"))
    write_examples(tmp_path / "t.parquet", "token_classification", ["O", "B-PER"], [sentence])
    found = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "t.parquet"), cache_dir=str(tmp_path), split="train"
    )
    assert found[0] == {"id": "1", "group": "g", "words": ["Ana", "ríe"], "labels": [1, 0]}
    assert found.features["labels"].feature.names == ["O", "B-PER"]
    assert isinstance(found.features["labels"].feature, datasets.ClassLabel)
