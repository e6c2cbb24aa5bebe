"""`ligero predict`, `serve` and `export`: what they read, what they refuse, what they pass on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ligero.command import predict
from ligero.command.main import main
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.serving.readers import InputError


class Echo:
    """Stands for a predictor: answers each item with itself."""

    def __init__(self, folder: str, precision: str, threads: int | None, full_depth: bool) -> None:
        self.asked = (folder, precision, threads, full_depth)

    def predict(self, items: Iterable[Any]) -> Iterator[dict[str, Any]]:
        return ({"item": item} for item in items)


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(predict, "Predictor", Echo)

    def run(*arguments: str, standard_input: str = "") -> list[Any]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(standard_input.encode())))
        assert main(["predict", "folder", *arguments]) == 0
        return [json.loads(line)["item"] for line in capsys.readouterr().out.splitlines()]

    return run


def test_lines_are_texts_or_objects(answered: Any) -> None:
    assert answered(standard_input='Uno, dos.\n\n{"id": 7, "text": "Ñandú"}\n') == [
        "Uno, dos.",
        {"id": 7, "text": "Ñandú"},
    ]


def test_all_that_is_written_is_json(answered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Echo, "predict", lambda self, items: ({"score": float("nan")} for _ in items))
    with pytest.raises(ValueError, match="not JSON compliant"):
        answered(standard_input="Uno\n")


def test_columns_of_a_table(answered: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,texto,otro\n1,"Uno, ""dos"".",x\n2,"Dos\nlíneas.",y\n', encoding="utf-8-sig"
    )
    found = answered(str(tmp_path / "a.csv"), "--text", "texto", "--id", "id")
    assert found == [{"text": 'Uno, "dos".', "id": "1"}, {"text": "Dos\nlíneas.", "id": "2"}]
    (tmp_path / "a.tsv").write_text('a\tb\n"Uno\tDos\n', encoding="utf-8")
    assert answered(str(tmp_path / "a.tsv"), "--text", "a", "--second-text", "b") == [
        {"text": '"Uno', "second_text": "Dos"}
    ]


def test_the_file_may_follow_the_options(answered: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,texto\n1,Uno\n")
    assert answered("--text", "texto", str(tmp_path / "a.csv")) == [{"text": "Uno"}]
    assert answered("--threads", "1", "-", standard_input="Uno\n") == ["Uno"]
    for arguments in (["--text", "texto", "a.csv", "b.csv"], ["--texts", "texto"], ["-x"]):
        with pytest.raises(SystemExit) as ended:
            answered(*arguments)
        assert ended.value.code == 2


def test_sentences_and_questions(answered: Any, tmp_path: Path) -> None:
    (tmp_path / "a.conll").write_text("-DOCSTART- O\n\n# id 1\nAna NC B-PER\nvive V O\n\nSí R O\n")
    assert answered(str(tmp_path / "a.conll")) == [{"words": ["Ana", "vive"]}, {"words": ["Sí"]}]
    (tmp_path / "a.bio").write_text("Ana\nvive")
    assert answered(str(tmp_path / "a.bio")) == [{"words": ["Ana", "vive"]}]
    rows = [f"{number}\t{word}" + "\t_" * 8 for number, word in (("1-2", "del"), (1, "de"), (2, "el"))]
    (tmp_path / "a.conllu").write_text("\n".join(["# sent_id = 1", *rows, ""]))
    assert answered(str(tmp_path / "a.conllu")) == [{"words": ["de", "el"]}]
    squad = {
        "data": [{"paragraphs": [{"context": "Ana vive.", "qas": [{"id": "q", "question": "¿Quién?"}]}]}]
    }
    (tmp_path / "a.json").write_text(json.dumps(squad))
    assert answered(str(tmp_path / "a.json")) == [{"id": "q", "question": "¿Quién?", "context": "Ana vive."}]


def test_tables_are_read_as_those_of_tasks(answered: Any, tmp_path: Path) -> None:
    """What `train` reads, `predict` reads: another separator, an ending in capitals, blank rows, JSON lines with named columns."""
    for name, text in (
        ("a.CSV", "sep=;\ntexto ;tema\nUno;x\n;\nDos;y\n"),
        ("a.tsv", "tema\ttexto\nx\tUno\n\ny\tDos\n"),
        ("a.ndjson", '{"texto": "Uno", "tema": 1}\n\n{"texto": "Dos"}\n'),
    ):
        (tmp_path / name).write_text(text)
        assert answered(str(tmp_path / name), "--text", "texto") == [{"text": "Uno"}, {"text": "Dos"}]


def test_numbers_are_texts_as_in_training_and_ids_what_they_are(answered: Any, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"t": 12, "n": 7}\n{"t": true, "n": "8"}\n')
    found = answered(str(tmp_path / "a.jsonl"), "--text", "t", "--id", "n")
    assert found == [{"text": "12", "id": 7}, {"text": "true", "id": "8"}]


def test_what_readers_noticed_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A quote that is closed ten rows later takes these for one text: fewer answers than the user counts on."""
    path = tmp_path / "a.csv"
    path.write_text("t,u\n" + '"open,x\n' + "text,x\n" * 9 + 'end",x\n,\n')
    assert len(list(predict.items_of_file(path, {"text": "t"}))) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{path}: 1 blank lines passed over"
    assert said[1].startswith(f"{path}: 1 texts that hold lines with as many separators as a row")
    for name, text, columns, noticed in (
        ("one.csv", 't\n"uno\ndos\ntres\ncuatro"\n', {"text": "t"}, ""),  # any line has no separator
        ("b.csv", "t,n\nUno,1\n,2\n", {"text": "t", "id": "n"}, "1 rows with an empty cell, answered all the same"),
        ("c.jsonl", r'{"text": "Sí \ud83d"}' + "\n", {}, "1 halves of surrogate pairs (an emoji cut in two by an exporter) read as U+FFFD"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
        assert list(predict.items_of_file(tmp_path / name, columns))
        assert capsys.readouterr().err == (noticed and f"{tmp_path / name}: {noticed}\n")


def test_blank_lines_of_a_text_file_are_counted_and_an_old_macs_line_ends_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Answers are pasted beside the lines; and three texts would get one answer."""
    path = tmp_path / "a.txt"
    path.write_bytes(b'uno\r\n\r\n  \n{"text": "dos"}\n')
    assert list(predict.items_of_file(path, {})) == ["uno", {"text": "dos"}]
    assert capsys.readouterr().err == f"{path}: 2 blank lines passed over\n"
    path.write_bytes(b"uno\rdos\rtres\r")
    with pytest.raises(
        DataError, match=r"a\.txt:1: a carriage return within the line.*Convert the line ends"
    ):
        list(predict.items_of_file(path, {}))


def test_columns_of_standard_input_are_refused(answered: Any) -> None:
    """Each line would be read whole, its other columns too."""
    with pytest.raises(
        ConfigurationError, match="--text: standard input is read as lines, which has no named columns"
    ):
        answered("--text", "texto", standard_input="id,texto\n1,Uno\n")


REFUSED: list[tuple[str, str | bytes, list[str], str]] = [
    (
        "a.txt",
        "Uno.\n{not json",
        [],
        r"a\.txt:2: not valid JSON: .*\. A line that begins with \{ is a JSON object; a text",
    ),
    (
        "a.txt",
        "texto,tema\nUno,x\n",
        ["--text", "texto"],
        r"^--text: .*a\.txt is read as lines, which has no named columns",
    ),
    (
        "a.conll",
        "Ana O\n",
        ["--text", "t", "--id", "n"],
        r"^--text, --id: .*a\.conll is read as sentences, which",
    ),
    (
        "a.json",
        "[]",
        ["--second-text", "t"],
        r"^--second-text: .*a\.json is read as SQuAD questions, .* jq -c",
    ),
    (
        "a.tsv",
        "t;u\na;b\n",
        ["--text", "t"],
        r"no column 't' .*--label\); a file whose cells are not separated by tabs is named \*\.csv\.$",
    ),
    (
        "a.tsv",
        " texto \ttema\na\tb\n",
        ["--id", "tema"],
        r"--text: name the column of the text in .*\(texto, tema\)",
    ),
    (
        "a.jsonl",
        f'{{"text": "a", "id": {"1" * 5000}}}\n',
        [],
        r"a\.jsonl:1: not valid JSON: a number has 5,000 digits; write it in quotes",
    ),
    (
        "a.txt",
        'Uno.\n{"text": "a", "id": -1e999}\n',
        [],
        r"a\.txt:2: not valid JSON: a number is beyond 1\.8e308, .*; write it in quotes",
    ),
    ("a.jsonl", '{"text": "Uno"}\n"Dos"\n', [], r"a\.jsonl:2: expected a JSON object\..*jq"),
    (
        "a.csv",
        "texto,tema\na,b\n",
        ["--id", "tema"],
        r"--text: name the column of the text in .*\(texto, tema\)",
    ),
    ("a.csv", "texto;tema\na;b\n", [], r"--text: name the column of the text in .*\(texto, tema\)"),
    ("a.csv", "Text,tema\na,b\n", ["--text", "text"], r"a\.csv:1: no column 'text' .*Did you mean 'Text'"),
    ("a.csv", "t,t\na,b\n", ["--text", "t"], r"a\.csv:1: column 't' occurs twice"),
    ("a.csv", "t,u\na,b\na,b,c\n", ["--text", "t"], r"a\.csv:3: expected 2 cells \(t, u\), found 3"),
    ("a.csv", "t,u\n", ["--text", "t"], r"a\.csv: holds nothing to answer"),
    ("a.csv", ",\n,\n", ["--text", "t"], r"a\.csv:1: no column 't' \(columns: \)"),
    (
        "a.jsonl",
        '{"t": "a"}\n{"u": "b"}\n',
        ["--text", "t"],
        r"a\.jsonl:2: no column 't' \(columns: u\)\. .*--label\)\.$",
    ),
    (
        "a.jsonl",
        '{"t": "a"}\n\n{"t": null}\n',
        ["--text", "t"],
        r"a\.jsonl:3: column 't' is null; expected a text",
    ),
    (
        "a.jsonl",
        '{"t": ["a", "b"]}\n',
        ["--text", "t"],
        r"a\.jsonl:1: column 't' is a JSON list; expected a text",
    ),
    ("a.json", "[]", [], r"a\.json: not SQuAD JSON .*jq"),
    (
        "a.json",
        '{"data": [{"paragraphs": [{"qas": [{}]}]}]}',
        [],
        r"a\.json: not SQuAD JSON .*'id' is missing",
    ),
    ("a.conll", "Ana B-PER\nvive\n", [], r"a\.conll:2: expected 2 columns as on line 1, found 1"),
    ("a.txt", "\n \n", [], r"a\.txt: holds nothing to answer"),
    ("a.txt", "uno\nseñor\n".encode("latin1"), [], r"a\.txt:2: not UTF-8: .*iconv -f latin1"),
    ("a.csv", "t\nseñor\n".encode("latin1"), ["--text", "t"], r"a\.csv:2: not UTF-8: .*iconv -f latin1"),
    ("a.txt", "uno\n".encode("utf-16"), [], r"a\.txt:1: not UTF-8: .*iconv -f utf-16"),
    ("a.txt", b"PK\x03\x04rest", [], r"a\.txt: is a ZIP archive"),
]


@pytest.mark.parametrize(("name", "content", "options", "message"), REFUSED)
def test_what_is_refused(
    answered: Any, tmp_path: Path, name: str, content: str | bytes, options: list[str], message: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(LigeroError, match=message):
        answered(str(tmp_path / name), *options)


def test_a_missing_file_is_named(answered: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.csv: no such file"):
        answered(str(tmp_path / "missing.csv"))


def test_pipes_are_read_and_folders_called_so(answered: Any, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=("Uno\nDos\n",), daemon=True)
    writing.start()
    assert answered(str(pipe)) == ["Uno", "Dos"]
    writing.join()
    with pytest.raises(DataError, match=r"is a folder\. Name a \.csv"):
        answered(str(tmp_path))
    with pytest.raises(DataError, match="null: holds nothing to answer"):
        answered("/dev/null")


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("a.jsonl", [], r"a\.jsonl:4"),
        ("a.txt", [], r"a\.txt:4"),
        ("b.jsonl", ["--text", "text"], r"b\.jsonl"),
    ],
)
def test_a_bad_item_is_found_in_its_file(
    answered: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, options: list[str], place: str
) -> None:
    def refuse(_: Echo, items: Iterable[Any]) -> Iterator[dict[str, Any]]:
        assert len(list(items)) == 3
        raise InputError("item 3: unknown key 'x'", 3)

    monkeypatch.setattr(Echo, "predict", refuse)
    (tmp_path / name).write_text(
        '{"text": "a"}\n\u00a0\n{"text": "b"}\n{"text": "c", "x": 1}\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match=rf"{place}: item 3: unknown key 'x'\.$"):
        answered(str(tmp_path / name), *options)


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    for command in (["predict", str(tmp_path), "-"], ["serve", str(tmp_path)]):
        with pytest.raises(DataError, match=r"no manifest\.json"):
            main(command)
    with pytest.raises(DataError, match=r"contains no study\.yaml"):
        main(["export", str(tmp_path)])


def test_predicting_imports_neither_pydantic_nor_torch(project: Path) -> None:
    code = (
        "import sys, ligero.command.predict\n"
        "print(sorted({'torch', 'transformers', 'pandas', 'pydantic', 'yaml'} & {name.split('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project / "workflow", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_serve_passes_its_limits_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from ligero.command import serve

    seen: dict[str, Any] = {}
    monkeypatch.setattr(serve, "serve", lambda *places, **options: seen.update(places=places, **options))
    assert main(["serve", "folder", "--port", "0", "--items", "3", "--precision", "fp32"]) == 0
    assert seen["places"] == ("folder", "127.0.0.1", 0) and seen["precision"] == "fp32"
    assert seen["limits"].items == 3 and seen["limits"].tokens == 32768
    with pytest.raises(ConfigurationError, match="--items 0: expected a number above 0"):
        main(["serve", "folder", "--items", "0"])


def test_nothing_is_reported_to_anybody(project: Path, tmp_path: Path) -> None:
    """onnxruntime 1.32 keeps a device id below the home folder and sends what it counts to its makers, unless told not to."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    done = subprocess.run(
        [sys.executable, "-c", "import ligero, onnxruntime, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"],
        capture_output=True, text=True, env={**kept, "HOME": str(tmp_path), "PYTHONPATH": str(project / "workflow")},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "1\n", done.stderr
    assert list(tmp_path.rglob("*onnxruntime*")) == []
