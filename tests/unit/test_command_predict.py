"""`ligero predict`, `serve` and `export`: what they read, what they refuse, what they pass on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ligero.command import predict
from ligero.command.main import main
from ligero.command.predict import items_of_lines, items_of_table, questions_of, sentences_of
from ligero.common.errors import ConfigurationError, DataError


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
        monkeypatch.setattr("sys.stdin", io.StringIO(standard_input))
        assert main(["predict", "folder", *arguments]) == 0
        return [json.loads(line)["item"] for line in capsys.readouterr().out.splitlines()]

    return run


def test_lines_are_texts_or_objects(answered: Any) -> None:
    assert answered(standard_input='Uno, dos.\n\n{"id": 7, "text": "Ñandú"}\n') == [
        "Uno, dos.",
        {"id": 7, "text": "Ñandú"},
    ]


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
    (tmp_path / "a.conll").write_text("-DOCSTART- O\n\nAna NC B-PER\nvive V O\n\nSí\n")
    assert answered(str(tmp_path / "a.conll")) == [{"words": ["Ana", "vive"]}, {"words": ["Sí"]}]
    squad = {
        "data": [{"paragraphs": [{"context": "Ana vive.", "qas": [{"id": "q", "question": "¿Quién?"}]}]}]
    }
    (tmp_path / "a.json").write_text(json.dumps(squad))
    assert answered(str(tmp_path / "a.json")) == [{"id": "q", "question": "¿Quién?", "context": "Ana vive."}]


def test_what_is_refused(tmp_path: Path) -> None:
    here = tmp_path / "a.csv"
    with pytest.raises(DataError, match=r"a\.csv:2: not valid JSON"):
        list(items_of_lines(["Uno.", "{not json"], here))
    with pytest.raises(ConfigurationError, match=r"--text: name the column of the text in .*\(texto, tema\)"):
        list(items_of_table(io.StringIO("texto,tema\na,b\n"), here, {"id": "tema"}))
    with pytest.raises(DataError, match=r"a\.csv:1: no column 'text' \(columns: texto, tema\)"):
        list(items_of_table(io.StringIO("texto,tema\na,b\n"), here, {"text": "text"}))
    with pytest.raises(DataError, match=r"a\.csv:3: expected 2 cells \(texto, tema\), found 3"):
        list(items_of_table(io.StringIO("texto,tema\na,b\na,b,c\n"), here, {"text": "texto"}))
    (tmp_path / "b.json").write_text("[]")
    with pytest.raises(DataError, match="not SQuAD JSON"):
        list(questions_of(tmp_path / "b.json"))


def test_a_missing_file_is_named(answered: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.csv: no such file"):
        answered(str(tmp_path / "missing.csv"))


def test_a_folder_that_is_no_export_is_refused(tmp_path: Path) -> None:
    for command in (["predict", str(tmp_path), "-"], ["serve", str(tmp_path)]):
        with pytest.raises(DataError, match=r"no manifest\.json"):
            main(command)
    with pytest.raises(DataError, match=r"contains no study\.yaml"):
        main(["export", str(tmp_path)])


def test_sentences_end_without_a_blank_line() -> None:
    assert list(sentences_of(["Ana\tO\n", "Luz\tO"])) == [{"words": ["Ana", "Luz"]}]


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
        [sys.executable, "-c", "import ligero.serving.session, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"],
        capture_output=True, text=True, env={**kept, "HOME": str(tmp_path), "PYTHONPATH": str(project / "workflow")},
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "1\n", done.stderr
    assert list(tmp_path.rglob("*onnxruntime*")) == []
