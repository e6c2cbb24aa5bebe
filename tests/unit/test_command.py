"""`ligero`: what it refuses, what it writes, what it finds in data, what it recommends."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from ligero.command import train
from ligero.command.check import findings
from ligero.command.examples import UserData
from ligero.command.main import _parser, main
from ligero.command.planning import Budget, Plan, Weights, slug, written
from ligero.command.systems import (
    below_twin,
    cut_examples,
    printed_alternatives,
    printed_systems,
)
from ligero.command.train import hub_answers
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.files import write_text
from ligero.common.hashing import digest_file
from ligero.common.records import DamagedError, write_listing, write_record
from ligero.models.digests import write_weights_digest
from ligero.reporting.artefact_digests import CARDS_REMEDY, verify_results
from ligero.reporting.recommendation import Limits, System, alternatives, ranked
from ligero.reporting.results import Results
from ligero.serving.app import Limits as ServerLimits
from ligero.serving.app import _listen
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.yaml_files import read_yaml
from ligero.synthetic.table import labelled_texts
from tests.builders.results import write_artefacts

BERT = {
    "model_type": "bert", "hidden_size": 96, "num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 192,
    "max_position_embeddings": 512,
}  # fmt: skip


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("texto", "tema"), *rows])
    return path


@pytest.fixture
def news(tmp_path: Path) -> Path:
    return table(tmp_path / "noticias.csv", labelled_texts(1, 200))


def data_of(*arguments: str) -> UserData:
    return UserData.of(_parser().parse_args(["check", *arguments]))


def found_in(path: Path, *more: str) -> dict[str, str]:
    data = data_of(str(path), "--text", "texto", "--label", "tema", *more)
    return {
        one.what: f"{one.level}: {one.text} {'; '.join(one.where)}" for one in findings(data, data.load())
    }


# --- the command line -------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy(project: Path) -> None:
    heavy = ("torch", "transformers", "pandas", "numpy", "pydantic", "pyarrow", "yaml", "snakemake")
    code = (
        "import sys; from ligero.command.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(project / "workflow")},
    )  # fmt: skip
    assert done.stderr.strip() == "[]" and "train" in done.stdout and "exit status" in done.stdout


def test_the_help_of_serve_has_the_limits_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, value in asdict(ServerLimits()).items():
        described = said.rpartition(f" --{name.replace('_', '-')} ")[2]
        assert described.partition("(default: ")[2].partition(")")[0] == f"{value:.0f}", name


def test_the_program_works_from_another_folder_in_the_locale_c(project: Path, news: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(project / "workflow/scripts/run_command.py"), "check", "noticias.csv", "--text", "texto", "--label", "tema"],
        capture_output=True, cwd=news.parent, env={"LC_ALL": "C", "LANG": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    assert "economía 50" in done.stdout.decode()


def test_the_command_runs_the_clone_whose_folder_it_is_called_in(project: Path, tmp_path: Path) -> None:
    clone, other, linked = tmp_path / "a clone", tmp_path / "other", tmp_path / "ligero"
    for folder in (clone, other):
        (folder / "workflow/scripts").mkdir(parents=True)
        (folder / "workflow/scripts/run_command.py").touch()
    (clone / "requirements.lock").touch()
    (clone / ".venv/bin").mkdir(parents=True)
    (clone / ".venv/.installed").touch()
    write_text(clone / ".venv/bin/python", '#!/bin/sh\necho "$@"\n')
    (clone / ".venv/bin/python").chmod(0o755)
    made = ["make", "-s", "-C", str(clone), "-f", str(project / "Makefile"), "setup"]
    assert "activate" in subprocess.run(made, capture_output=True, text=True, check=True).stdout
    assert subprocess.run(made, capture_output=True, text=True, check=True).stdout == ""
    (other / ".venv").symlink_to(clone / ".venv")
    linked.symlink_to(clone / ".venv/bin/ligero")
    for command, at in ((other / ".venv/bin/ligero", other), (linked, clone)):
        done = subprocess.run([command, "ls", "a b"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{at}/workflow/scripts/run_command.py ls a b\n"
    inside = subprocess.run([".venv/bin/ligero"], capture_output=True, text=True, cwd=other)
    assert inside.stdout == f"{other}/workflow/scripts/run_command.py\n"


def test_bad_input_is_one_line_and_status_2(project: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(project / "workflow/scripts/run_command.py"), "check", "missing.csv"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: missing.csv: no such file.") and "Traceback" not in done.stderr


def test_a_column_that_is_not_named_lists_those_that_are_there(news: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"--label: name the column of the label in .*\(texto, tema\)"
    ):
        data_of(str(news), "--text", "texto")


def test_questions_without_an_answer_are_left_out_on_demand(tmp_path: Path, news: Path) -> None:
    path = tmp_path / "squad2.json"
    answer = {"answers": [{"text": "ríe", "answer_start": 4}]}
    asked = [
        {"id": str(number), "question": f"¿{number}?", **(answer if number % 3 else {"answers": []})}
        for number in range(90)
    ]
    articles = [{"title": one["id"], "paragraphs": [{"context": "Ana ríe", "qas": [one]}]} for one in asked]
    path.write_text(json.dumps({"data": articles}), encoding="utf-8")
    with pytest.raises(DataError, match=r"30 of 90 questions have no answer .*--unanswerable drop"):
        data_of(str(path))
    data = data_of(str(path), "--unanswerable", "drop")
    assert data.examples == 60 and data.settings() == {"reader": "squad", "unanswerable": "drop"}
    assert sum(len(split.examples) for split in data.load().values()) == 60
    with pytest.raises(ConfigurationError, match=r"--unanswerable: only SQuAD files .* read as table"):
        data_of(str(news), "--text", "texto", "--label", "tema", "--unanswerable", "drop")


def test_an_unknown_ending_asks_for_the_reader(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(
        ConfigurationError,
        match=r"the name says no format; known endings: \.csv, .*Rename it, or name the format with --reader",
    ):
        data_of(str(tmp_path / "data.txt"))
    (tmp_path / "data.txt").write_text("Ana B-PER\nvive O\n\n" * 10)
    assert data_of(str(tmp_path / "data.txt"), "--reader", "conll2002").labels["O"] == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "~nosuchuser/a.csv"],
        ["train", "NEWS", "--text", "texto", "--label", "tema", "--out", "~nosuchuser/a"],
        ["train", "NEWS", "--text", "texto", "--label", "tema", "--teacher", "~nosuchuser/a"],
        ["check", "NEWS", "--text", "texto", "--label", "tema", "--model", "~nosuchuser/a"],
        ["plan", "~nosuchuser/a.yaml"],
        ["export", "~nosuchuser/a"],
        ["status", "~nosuchuser/a"],
        ["why", "~nosuchuser/a.csv"],
        ["bench", "~nosuchuser/a"],
        ["bench-serve", "~nosuchuser/a"],
    ],
)
def test_a_home_that_is_nobodys(news: Path, arguments: list[str]) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^~nosuchuser/.*: no home folder is known for '~nosuchuser'; write"
    ):
        main([str(news) if one == "NEWS" else one for one in arguments])


def test_known_models_are_those_of_no_study() -> None:
    with pytest.raises(ConfigurationError, match=r"^--results: .* say `ls systems`"):
        main(["ls", "models", "--results", "study"])


def test_known_models_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", "models", "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["dccuchile/albert-tiny-spanish"]["hidden"] == 312


# --- check ------------------------------------------------------------------------------------------------------------


def test_clean_data_has_only_notes(news: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(news), "--text", "texto", "--label", "tema", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {one["level"] for one in answer["findings"]} == {"note"}
    assert sum(answer["counts"].values()) == 200 and answer["labels"]["sociedad"] == 50


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Es una buena informaciÃ³n, Â¿verdad?", "'informaciÃ³n,' for 'información,'"),
        ("Dijo: â€œno lo sÃ©â€\x9d.", "'â€œno' for '“no'"),
        ("¿Información? «Sí», dijo Àngels en São Paulo; 3.ª edición, 25 £ é €.", None),
    ],
)
def test_mojibake_is_found(text: str, found: str | None, tmp_path: Path) -> None:
    rows = [*labelled_texts(1, 120), (text, "sociedad")]
    warned = found_in(table(tmp_path / "a.csv", rows)).get("mojibake", "")
    assert (warned == "") if found is None else (found in warned and warned.endswith("id 120"))


def test_what_check_finds(tmp_path: Path) -> None:
    rows = labelled_texts(1, 120)
    rows += [(rows[0][0], rows[0][1]), (rows[0][0].upper() + " ", rows[0][1])]
    rows += [
        (rows[4][0], "mercados"),
        ("  ", "sociedad"),
        ("Otra cosa.", "Sociedad"),
        ("Más.", "socieda"),
        ("Ya.", "raro"),
    ]
    found = found_in(table(tmp_path / "a.csv", rows))
    assert (
        found["repeated"].startswith("warning: 2 examples repeat an earlier one")
        and "ids 0=120=121" in found["repeated"]
    )
    assert "1 texts have more than one label empresas: id 4; mercados: id 122" in found["contradictions"]
    assert "1 empty texts id 123" in found["empty_texts"]
    assert "2 labels have fewer than 10 training examples Sociedad: 1; socieda: 1" in found["rare_labels"]
    assert found["labels_not_in_train"] == "error: labels without an example in the split train raro"
    assert "near_labels" in found and "small_test" in found


def test_labels_that_nearly_agree(tmp_path: Path) -> None:
    rows = [
        (f"Texto {n}.", label)
        for n in range(20)
        for label in ("Facturación", "facturacion", "servicio", "servicios", "otro")
    ]
    data = data_of(str(table(tmp_path / "a.csv", rows)), "--text", "texto", "--label", "tema")
    said = [
        f"{one.text}: {', '.join(one.where)}"
        for one in findings(data, data.load())
        if one.what == "near_labels"
    ]
    assert said == [
        "labels that differ by case, accents, space or punctuation only: 'Facturación', 'facturacion'",
        "labels that differ by one letter: servicio, servicios",
    ]


def test_both_marks_of_an_entity_are_one_type(tmp_path: Path) -> None:
    sentences = "".join(f"Ana{n} B-PER\nLuz I-PER\nva O\n\nLima{n} B-LOC\nSur I-LOC\n\n" for n in range(40))
    (tmp_path / "a.conll").write_text(sentences)
    data = data_of(str(tmp_path / "a.conll"))
    splits = data.load()
    assert {one.what for one in findings(data, splits)} == {"small_test", "lengths"}
    assert len(splits["train"].examples) == pytest.approx(56, abs=8), "a small file gives 70 % to training"


def tokenizer_of_letters(folder: Path, positions: int = 512) -> Path:
    """A local model, each of whose tokens is a letter, without marks."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")  # type: ignore[assignment]
    write_text(folder / "config.json", json.dumps({**BERT, "max_position_embeddings": positions}))
    backend.save(str(folder / "tokenizer.json"))
    return folder


@pytest.mark.parametrize(
    ("words", "warned"),
    [(50, None), (600, "4 examples may have more than the 512 tokens that are read")],
)
def test_texts_that_may_be_cut_are_named(tmp_path: Path, words: int, warned: str | None) -> None:
    rows = [*labelled_texts(1, 120), *[(f"{n} " + "sí " * words, "sociedad") for n in range(4)]]
    found = found_in(table(tmp_path / "a.csv", rows)).get("too_long", "")
    assert (found == "") if warned is None else (warned in found and "id 120; id 121" in found)


def test_texts_that_are_cut_are_counted_by_the_models_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*labelled_texts(1, 120), *[(f"{n}" + "í" * 499, "sociedad") for n in range(4)]]
    path = str(table(tmp_path / "a.csv", rows))
    model = str(tokenizer_of_letters(tmp_path / "model", 400))
    assert main(["check", path, "--text", "texto", "--label", "tema", "--model", model]) == 0
    said = capsys.readouterr().out
    assert "warning: 4 examples have more than the 400 tokens that are read; their ends are cut off (" in said
    assert "longest 500" in said


def test_contexts_of_questions_are_not_called_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are read in windows that overlap."""
    paragraphs = [
        {"context": f"Ana vive en Lima{n}. " + "Ríe. " * 300, "qas": [{"id": str(n), "question": "¿Dónde?", "answers": [{"text": f"Lima{n}", "answer_start": 12}]}]}
        for n in range(40)
    ]  # fmt: skip
    articles = [{"title": str(n), "paragraphs": [paragraph]} for n, paragraph in enumerate(paragraphs)]
    write_text(tmp_path / "b.json", json.dumps({"version": "1.1", "data": articles}))
    model = tokenizer_of_letters(tmp_path / "model")
    for more in ([], ["--model", str(model)]):
        assert main(["check", str(tmp_path / "b.json"), *more]) == 0
        assert "cut" not in capsys.readouterr().out


def test_entities_that_training_lacks_or_hardly_has_are_named(tmp_path: Path) -> None:
    """Words of other splits do not help; both marks count."""
    train = ["PER"] * 40 + ["LOC"] * 6 + ["ORG"] * 4
    for name, kinds in (("a", train), ("b", ["PER", "LOC", "DATE"] * 20), ("c", train)):
        sentences = [f"X{name}{n} B-{kind}\nY{n} I-{kind}\nva O\n\n" for n, kind in enumerate(kinds)]
        (tmp_path / f"{name}.conll").write_text("".join(sentences))
    data = data_of(
        str(tmp_path / "a.conll"),
        "--test",
        str(tmp_path / "b.conll"),
        "--validation",
        str(tmp_path / "c.conll"),
    )
    said = {
        one.what: f"{one.level}: {one.text} {'; '.join(one.where)}" for one in findings(data, data.load())
    }
    assert said["labels_not_in_train"] == "warning: labels without a word in the split train DATE"
    assert said["labels_not_in_test"] == "warning: labels without a word in the split test ORG"
    assert said["rare_labels"] == "warning: 1 labels have fewer than 10 words in train ORG: 8"


def test_leaks_between_files(tmp_path: Path) -> None:
    rows = labelled_texts(1, 120)
    train, test = table(tmp_path / "a.csv", rows[:100]), table(tmp_path / "b.csv", [*rows[100:], rows[0]])
    found = found_in(train, "--test", str(test))
    assert "1 examples of test (4.8 %) have the same text as one of train" in found["leak"]


def test_texts_in_the_place_of_labels_are_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [(f"Texto {n}.", str(n)) for n in range(50)])
    assert found_in(path)["labels_like_texts"].startswith("error: 50 labels for 50 examples")
    assert main(["check", str(path), "--text", "texto", "--label", "tema"]) == 1
    with pytest.raises(LigeroError, match="nothing was trained"):
        main(["train", str(path), "--text", "texto", "--label", "tema", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_single_label_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every example has the label 'uno'"):
        data_of(
            str(table(tmp_path / "a.csv", [("Sí.", "uno"), ("No.", "uno")])),
            "--text",
            "texto",
            "--label",
            "tema",
        )


# --- train ------------------------------------------------------------------------------------------------------------


def plan(data: UserData, teacher: Weights, student: Weights | int, family: bool = False) -> Plan:
    return Plan("noticias", data, data.load(), teacher, student, family, 42)


def checked(written_plan: Plan, project: Path, tmp_path: Path) -> dict[str, object]:
    """The configuration after YAML and every check of the settings."""
    path = tmp_path / "study.yaml"
    path.write_text(written(written_plan.configuration(), ["A line."]), encoding="utf-8")
    read = read_yaml(path)
    assert read == written_plan.configuration()
    return load_study(read, project).model_dump()


def test_a_study_from_the_hub(news: Path, project: Path, tmp_path: Path) -> None:
    data = data_of(str(news), "--text", "texto", "--label", "tema")
    study = checked(plan(data, Weights("hub", "dccuchile/bert-base-spanish-wwm-uncased"), Weights("hub", "dccuchile/albert-tiny-spanish")), project, tmp_path)  # fmt: skip
    assert list(study["models"]) == ["bert-base-spanish-wwm-uncased", "albert-tiny-spanish"]  # type: ignore[call-overload]
    assert study["teachers"]["candidates"] == ("bert-base-spanish-wwm-uncased",)  # type: ignore[index]
    assert study["tasks"]["noticias"]["labels"] == ("economía", "empresas", "mercados", "sociedad")  # type: ignore[index]
    assert study["corpus"] is None
    lines = [line for line in (tmp_path / "study.yaml").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) <= 40


def test_a_study_with_a_local_teacher_and_a_budget(news: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder/config.json").write_text(json.dumps(BERT))
    data = data_of(str(news), "--text", "texto", "--label", "tema")
    study = checked(
        plan(data, Weights.read(str(tmp_path / "encoder"), "--teacher"), 4, family=True), project, tmp_path
    )
    students = study["distillation"]["students"]  # type: ignore[index]
    assert {name: student["num_hidden_layers"] for name, student in students.items()} == {
        "encoder-4": 4,
        "encoder-2": 2,
        "encoder-1": 1,
    }


BETO_UNCASED = Weights("hub", "dccuchile/bert-base-spanish-wwm-uncased")


@pytest.mark.parametrize(
    ("student", "depths"),
    [("albert-tiny-spanish", [2, 1]), ("albert-base-2-spanish", [1]), ("distilbert-base-spanish-uncased", [3, 1])],
)  # fmt: skip
def test_a_budget_halves_the_layers_that_the_student_has(
    news: Path, project: Path, tmp_path: Path, student: str, depths: list[int]
) -> None:
    data = data_of(str(news), "--text", "texto", "--label", "tema")
    study = checked(
        plan(data, BETO_UNCASED, Weights("hub", f"dccuchile/{student}"), family=True), project, tmp_path
    )
    students = study["distillation"]["students"]  # type: ignore[index]
    assert [one["num_hidden_layers"] for one in students.values()] == [None, *depths]


def test_a_student_has_no_more_layers_than_its_teacher(news: Path, tmp_path: Path) -> None:
    command = [*planning_into(tmp_path / "work", news), "--teacher", BETO_UNCASED.place, "--student"]
    with pytest.raises(ConfigurationError, match=r"--student 20: expected .* from 1 to the teacher's 12"):
        main([*command, "20"])
    assert main([*command, "12"]) == 0


@pytest.mark.parametrize("short", ["teacher", "student"])
def test_no_input_is_longer_than_teacher_and_student_can_read(
    project: Path, tmp_path: Path, short: str
) -> None:
    rows = [(f"{text} " + "sí " * 1000, label) for text, label in labelled_texts(1, 60)]
    data = data_of(str(table(tmp_path / "largos.csv", rows)), "--text", "texto", "--label", "tema")
    for name in ("teacher", "student"):
        write_text(
            tmp_path / name / "config.json",
            json.dumps({**BERT, "max_position_embeddings": 128 if name == short else 512}),
        )
    models = [Weights.read(str(tmp_path / name), f"--{name}") for name in ("teacher", "student")]
    study = checked(plan(data, models[0], models[1]), project, tmp_path)
    assert study["distillation"]["options"]["max_length"] == 128  # type: ignore[index]


def test_the_length_is_counted_by_a_local_teachers_tokenizer(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it is guessed, by the letters of what has few words."""
    rows = [(10 * f" #Día{n}DelLibroEnEspañol", ("sociedad", "mercados")[n % 2]) for n in range(60)]
    path = table(tmp_path / "a.csv", rows)
    data = data_of(str(path), "--text", "texto", "--label", "tema")
    teacher = Weights.read(str(tokenizer_of_letters(tmp_path / "model")), "--teacher")
    assert plan(data, BETO_UNCASED, 4).length == 128
    assert plan(data, teacher, 4).length == 256
    tokenizer_of_letters(tmp_path / "model", 128)
    assert plan(data, teacher, 4).length == 128
    assert main([*planning_into(tmp_path / "work", path), "--teacher", teacher.place]) == 0
    assert "60 examples have more than the 128 tokens that are read" in capsys.readouterr().err


def test_what_was_cut_is_said(project: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results, task = Results(study, tmp_path), "complaints"
    model = next(iter(study.models))
    folder = Path(results.layout.encoded(model)) / task
    count = {"examples": 90, "truncated": 0}
    info = {"vocabulary": folder.parts[-2], "job": {"task_id": task, "max_length": 64}}
    write_record(folder / "info.json", {**info, "counts": {"train": count, "test": count}})
    assert cut_examples(results, task) == []
    cut = {"examples": 90, "truncated": 1200, "lost_words": 7}
    write_record(folder / "info.json", {**info, "counts": {"train": cut, "test": count}})
    (found,) = cut_examples(results, task)
    assert str(found).startswith(
        f"Cut at 64 tokens of {folder.parts[-2]}: 1,200 examples of train; 7 words are lost."
    )


def test_a_study_from_scratch_reads_training_texts_only(
    news: Path,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    command = ["train", str(news), "--text", "texto", "--label", "tema", "--dry-run"]
    assert main(command) == 0
    said = capsys.readouterr().err
    assert "No pretrained weights" in said and "--configfile" in said and "snakemake" in said
    study = load_study(read_yaml(tmp_path / "noticias" / "study.yaml"), project)
    assert study.corpus is not None and study.corpus.parts[0] == "noticias-texts"
    texts = set((tmp_path / "noticias/data/noticias-texts.txt").read_text(encoding="utf-8").splitlines())
    splits = data_of(str(news), "--text", "texto", "--label", "tema").load()
    assert texts == {" ".join(e.text.split()) for e in splits["train"].examples}  # type: ignore[union-attr]
    assert main(command) == 0, "the same again resumes"
    table(news, labelled_texts(2, 200))
    with pytest.raises(ConfigurationError, match="already exists and differs"):
        main(command)
    assert main([*command, "--overwrite"]) == 0
    head = (tmp_path / "noticias/study.yaml").read_text(encoding="utf-8").splitlines()
    assert (
        head[0].startswith("# Written by: ligero")
        and head[1].startswith("# Run it: ")
        and "--snakefile" in head[1]
    )


def test_the_same_command_resumes_whether_or_not_there_is_network(
    news: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = planning_into(tmp_path / "work", news)
    study = tmp_path / "work/study.yaml"
    for there_is, from_scratch in ((False, True), (True, False)):
        monkeypatch.setattr(train, "hub_answers", lambda there_is=there_is: there_is)
        assert main([*command, "--overwrite"]) == 0
        assert ("corpus" in read_yaml(study)) == from_scratch
        before = study.read_text(encoding="utf-8")
        monkeypatch.setattr(train, "hub_answers", lambda there_is=there_is: not there_is)
        assert main(command) == 0 and study.read_text(encoding="utf-8") == before


def planning_into(folder: Path, news: Path) -> list[str]:
    return ["train", str(news), "--text", "texto", "--label", "tema", "--out", str(folder), "-n"]


@pytest.mark.parametrize(
    "place",
    ["model/config.json", "data/noticias.csv", "data/noticias-texts.txt", "results/summary.csv", "run.log"],
)
def test_what_no_study_wrote_is_not_replaced(
    news: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    there = tmp_path / "work" / place
    there.parent.mkdir(parents=True)
    there.write_text("mine")
    named = there.parent if place.startswith(("model", "results")) else there
    command = planning_into(tmp_path / "work", news)
    for more in ([], ["--overwrite"]):
        with pytest.raises(ConfigurationError, match=rf"{named} already exists, and no study here wrote it"):
            main([*command, *more])
    assert there.read_text() == "mine" and not (tmp_path / "work/study.yaml").exists()
    there.unlink()
    if place.startswith("model"):
        there.parent.rmdir()
    assert main(command) == 0 == main(command)


@pytest.mark.parametrize("name", ["all", "A-l-l", "embedded-raw-noticias"])
def test_a_file_whose_name_means_something_else_in_a_study(
    news: Path, tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`all` is the mean over tasks; the other is generated text that a study from scratch reads."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(planning_into(tmp_path / "work", news.rename(tmp_path / f"{name}.csv"))) == 0
    study = load_study(read_yaml(tmp_path / "work/study.yaml"), project)
    assert list(study.tasks) == [f"{name.lower()}-study"]
    assert study.sources["embedded-raw-noticias"].generated


def test_a_file_may_have_a_long_name(news: Path, tmp_path: Path, project: Path) -> None:
    """The names of sources and folders that are made of it are no longer than ids may be."""
    name = "encuesta de satisfaccion " * 6
    assert main(planning_into(tmp_path / "work", news.rename(tmp_path / f"{name}.csv"))) == 0
    study = load_study(read_yaml(tmp_path / "work/study.yaml"), project)
    assert all(task.startswith("encuesta-de-satisfaccion") for task in study.tasks)


def test_no_study_is_written_that_the_workflow_would_refuse(news: Path, tmp_path: Path) -> None:
    made = plan(
        data_of(str(news), "--text", "texto", "--label", "tema"), Weights("scratch"), Weights("scratch")
    )
    with pytest.raises(ConfigurationError, match=r"tasks\.all: 'all' is what tables"):
        train.write_study(replace(made, name="all"), tmp_path / "work", [], overwrite=False)
    assert not (tmp_path / "work").exists()


def test_a_column_whose_name_has_a_line_break(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is written above the study as comments."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("texto", "tipo de\nqueja"), *labelled_texts(1, 60)])
    folder = tmp_path / "work"
    arguments = [
        str(tmp_path / "a.csv"),
        "--text",
        "texto",
        "--label",
        "tipo de\nqueja",
        "--out",
        str(folder),
    ]
    monkeypatch.setattr(sys, "argv", ["ligero", "train", *arguments, "-n"])
    assert main(sys.argv[1:]) == 0 == main(sys.argv[1:])
    study = load_study(read_yaml(folder / "study.yaml"), project)
    assert study.tasks["a"].columns.label == "tipo de\nqueja"


def test_a_models_folder_that_no_export_wrote_stays_even_beside_a_study(
    news: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    command = planning_into(tmp_path / "work", news)
    assert main(command) == 0
    write_text(tmp_path / "work/model/config.json", "mine")
    with pytest.raises(ConfigurationError, match="Choose another --out"):
        main([*command, "--overwrite"])


@pytest.mark.parametrize("option", ["--teacher", "--student"])
def test_a_model_of_the_hub_whose_architecture_is_unknown_is_refused_at_once(
    news: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["--teacher", "dccuchile/bert-base-spanish-wwm-uncased"] if option == "--student" else []
    command = ["train", str(news), "--text", "texto", "--label", "tema", "--out", str(tmp_path / "out"), "-n"]
    said = (
        rf"{option} deepset/gbert-base: no folder of this name is here, and `ligero ls models` does not list"
    )
    with pytest.raises(ConfigurationError, match=said):
        main([*command, *known, option, "deepset/gbert-base"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    for mistyped in ("./beto", "../beto", "models/beto"):
        with pytest.raises(ConfigurationError, match=f"{option} {mistyped}: no such folder$"):
            main([*command, *known, option, mistyped])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--teacher", "--student"])
def test_a_checkpoint_without_a_tokenizer_is_refused_at_once(news: Path, tmp_path: Path, option: str) -> None:
    write_text(tmp_path / "encoder/config.json", json.dumps(BERT))
    command = [*planning_into(tmp_path / "work", news), "--teacher", BETO_UNCASED.place]
    with pytest.raises(DataError, match=r"encoder: it has none of the files that hold a tokenizer's tokens"):
        main([*command, option, str(tmp_path / "encoder")])
    write_text(tmp_path / "encoder/vocab.txt", "[PAD]\n")
    assert main([*command, option, str(tmp_path / "encoder")]) == 0


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(LigeroError, match=r"cannot listen on 127\.0\.0\.1:80000: .*0-65535.*choose another"):
        _listen("127.0.0.1", 80000)


def test_no_address_is_not_every_address() -> None:
    with pytest.raises(LigeroError, match=r"^--host: it is empty; .*0\.0\.0\.0 for other machines"):
        _listen("", 0).close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", ""],
        ["check", "a.csv", "--validation", ""],
        ["train", "a.csv", "--test", " "],
        ["train", "a.csv", "--second-text", ""],
        ["check", "a.csv", "--model="],
        ["plan", "a.yaml", "--measured", ""],
        ["serve", "model", "--host", ""],
        ["predict", "model", ""],
    ],
)
def test_an_empty_argument_is_not_an_absent_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2 and "it is empty; give a value, or leave it out" in said
    name = next((one.rstrip("=") for one in arguments if one.startswith("--")), "")
    assert f"argument {name}" in said


def test_the_hub_is_asked_through_the_proxy_that_downloads_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind one there is no direct way, not even a name."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    for name in ("HF_HUB_OFFLINE", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert not hub_answers()
    with HTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
        assert hub_answers() and asked == ["http://hub.invalid/"]
        server.shutdown()


def test_tagging_and_questions_take_their_own_files(project: Path, tmp_path: Path) -> None:
    sentence = "Ana B-PER\nLuz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\n"
    (tmp_path / "a.conll").write_text("".join(sentence.replace("Lima", f"Lima{n}") for n in range(40)))
    study = checked(
        plan(data_of(str(tmp_path / "a.conll")), Weights("scratch"), Weights("scratch")), project, tmp_path
    )
    assert study["tasks"]["noticias"]["labels"] == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")  # type: ignore[index]
    paragraphs = [
        {"context": f"Ana vive en Lima{n}.", "qas": [{"id": str(n), "question": "¿Dónde?", "answers": [{"text": f"Lima{n}", "answer_start": 12}]}]}
        for n in range(40)
    ]  # fmt: skip
    articles = [{"title": str(n), "paragraphs": [paragraph]} for n, paragraph in enumerate(paragraphs)]
    (tmp_path / "b.json").write_text(json.dumps({"version": "1.1", "data": articles}))
    study = checked(
        plan(data_of(str(tmp_path / "b.json")), Weights("scratch"), Weights("scratch")), project, tmp_path
    )
    assert study["tasks"]["noticias"]["type"] == "question_answering"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "amount", "kind"),
    [("5ms", 5, "ms"), ("0.5 MB", 0.5, "MB"), ("95%", 95, "%"), ("100%", 100, "%")],
)
def test_budgets(text: str, amount: float, kind: str) -> None:
    assert Budget.read(text) == Budget(amount, kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["5", "ms", "-5ms", "0MB", "5 s", "0%", "101%", "100.5 %"])
def test_budgets_that_say_nothing(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected milliseconds"):
        Budget.read(text)


def test_names_become_ids() -> None:
    assert [slug(name) for name in ("Mis quejas (2024)", "ñandú", "a_b.c")] == [
        "mis-quejas-2024",
        "and",
        "a-b-c",
    ]


# --- recommend --------------------------------------------------------------------------------------------------------


def system(
    model: str, score: float, megabytes: float, milliseconds: float | None, regime: str = "distillation"
) -> System:
    return System(
        regime,
        model,
        model,
        score,
        score - 1,
        score + 1,
        megabytes,
        milliseconds,
        512 if milliseconds else None,
        "torch fp32",
        "f",
        model,
        int(1e6 * megabytes),
    )  # type: ignore[arg-type]


SYSTEMS = [
    system("teacher", 90, 400, 50, "fine-tuning"),
    system("twin", 86, 20, 5, "fine-tuning"),
    system("small", 85, 20, 5),
    system("tiny", 80, 5, 1),
    system("unmeasured", 95, 5, None),
]


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        (Limits(milliseconds=5), ["twin", "small", "tiny"]),
        (Limits(megabytes=10), ["unmeasured", "tiny"]),
        (Limits(milliseconds=5, megabytes=10, score=80), ["tiny"]),
        (Limits(milliseconds=0.5), []),
        (Limits(macs=20e6), ["unmeasured", "twin", "small", "tiny"]),
    ],
)
def test_ranked_by_score_among_those_that_keep_the_limits(limits: Limits, names: list[str]) -> None:
    assert [kept.model for kept in ranked(SYSTEMS, limits)] == names


def test_a_time_is_printed_with_the_length_that_was_timed() -> None:
    """In torch inputs of the study's length are timed, of an export one of median length: the column says which."""
    exported = replace(SYSTEMS[3], milliseconds=0.2, tokens=37, engine="ONNX int8")
    assert [line.split()[-4:] for line in printed_systems([SYSTEMS[1], exported, SYSTEMS[4]]).splitlines()[1:]] == [
        ["5.00", "512", "torch", "fp32"], ["0.20", "37", "ONNX", "int8"], ["-", "-", "torch", "fp32"],
    ]  # fmt: skip


def test_a_student_below_its_twin_is_named() -> None:
    twin, student = system("tiny", 81, 5, 1, "fine-tuning"), system("tiny", 80, 5, 1)
    assert below_twin([*SYSTEMS, twin]) == [(SYSTEMS[3], twin)]
    assert below_twin([system("tiny", 79, 5, 1, "fine-tuning"), student]) == []


def test_what_needs_no_language_model_is_printed_with_what_it_takes(project: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    write_artefacts(study, tmp_path)
    found = alternatives(Results(study, tmp_path), "complaints")
    cost = "50.00 (48.50 to 51.50), 2.00 MB, 0.25 ms."
    assert printed_alternatives(found) == [
        f"Without a language model (n-grams, logistic regression): {cost}",
        f"Without a language model (static embeddings of BETO cased, logistic regression): {cost}",
    ]
    path = tmp_path / "static_embeddings" / "complaints.json"
    path.unlink()
    assert printed_alternatives(alternatives(Results(study, tmp_path), "complaints"))[1] == (
        "Without a language model (static embeddings, logistic regression): not measured, "
        "run snakemake RESULTS/static_embeddings/complaints.json (RESULTS is the key results_dir)."
    )
    write_record(path, {"scored": None, "reason": "all training examples have the same label"})
    assert printed_alternatives(alternatives(Results(study, tmp_path), "complaints"))[1].endswith(
        "logistic regression): not measured, all training examples have the same label."
    )


def test_a_folder_without_results_is_refused_in_words_for_every_command(tmp_path: Path) -> None:
    """`verify`, `status` and `pack` have no option --results."""
    for command in (["verify", str(tmp_path)], ["ls", "tasks", "--results", str(tmp_path)]):
        with pytest.raises(
            DataError, match=r"no results: .* Name the results of a study, or the folder that"
        ):
            main(command)


# --- verify -----------------------------------------------------------------------------------------------------------


def test_verify_finds_what_was_changed(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results = tmp_path / "study" / "results"
    write_artefacts(study, results)
    write_resolved(results / "config.json", study)
    baseline = results / "baselines" / "complaints.json"
    before = json.loads(baseline.read_text())
    assert str(baseline) not in json.dumps(_verified(tmp_path / "study", capsys)["findings"])
    baseline.write_text(json.dumps({**before, "score": 99.0}))
    (found,) = [
        one for one in _verified(tmp_path / "study", capsys)["findings"] if one["path"] == str(baseline)
    ]
    assert "it was changed after it was written" in found["problem"]
    assert main(["verify", str(results)]) == 1
    assert f"{baseline}: it was changed" in capsys.readouterr().out


def test_remedies_are_commands_that_do_something(project: Path, tmp_path: Path) -> None:
    """Snakemake has nothing to do where only the configuration, or one card in a folder of them, is missing."""
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results = tmp_path / "study" / "results"
    write_resolved(results / "config.json", study)
    card = results / "cards" / "fine-tuning" / "m" / "t.md"
    write_text(card, "card")
    write_listing(results / "cards" / "digests.json", ["fine-tuning/m/t.md"])
    trial = results / "state" / "distillation" / "s" / "t" / "x"
    of = {"trial": {"model": "s", "task": "t"}, "id": "x"}
    write_record(trial / "result.json", {**of, "weights_digest": "w"})
    (trial / "best").mkdir()
    (trial / "best" / "config.json").write_text("{}")
    (trial / "best" / "model.safetensors").write_bytes(b"weights")
    write_weights_digest(trial / "best")
    card.write_text("another card")
    config = results / "config.json"
    config.write_text(config.read_text().replace('"seed": 42', '"seed": 43', 1))
    assert {one.path.name: one.remedy for one in verify_results(results).findings} == {
        "t.md": "Write the cards again: snakemake --forcerun write_cards.",
        "config.json": "Start snakemake again, which writes it anew; if nothing is to be done, with --forcerun make_summary.",
        "best": "Run its trials again: snakemake --forcerun distill_student.",
    }
    with pytest.raises(DamagedError, match="with --forcerun make_summary"):
        main(["verify", str(results)])
    (results / "cards" / "digests.json").unlink()
    (found,) = [one for one in verify_results(results).findings if "cards" in one.path.parts]
    assert (found.path, found.remedy) == (results / "cards" / "digests.json", CARDS_REMEDY)


@pytest.mark.parametrize(
    ("model", "distillation", "finding"),
    [
        ("m", None, None),
        ("other", None, "its model is 'other'"),
        ("m", {"loss": "kl"}, "it is not of fine-tuning"),
    ],
)
def test_the_trials_of_another_shard_are_found(
    model: str, distillation: dict[str, str] | None, finding: str | None, tmp_path: Path
) -> None:
    shard = {"settings": {"t": {"distillation": distillation}}, "trials": [{"trial": {"model": model}}]}
    write_record(tmp_path / "trials" / "fine-tuning" / "m" / "shard-0.json", shard)
    found = verify_results(tmp_path).findings
    assert [finding in one.problem for one in found] == ([True] if finding else [])
    assert all(one.remedy == "Run its trials again: snakemake --forcerun finetune_model." for one in found)


def test_scores_in_the_place_of_others_are_found(tmp_path: Path) -> None:
    run = {"task": "t", "method": "kl", "seed": 1}
    write_record(tmp_path / "ablation" / "t" / "kl" / "seed-1.json", run)
    write_record(tmp_path / "static_embeddings" / "t.json", {"scored": {"task": "t"}, "reason": ""})
    write_record(tmp_path / "static_embeddings" / "u.json", {"scored": None, "reason": "one label"})
    for folder in ("logits", "augmented/logits"):
        write_record(tmp_path / folder / "t" / "meta.json", {"task": "t", "teacher": "m"})
    assert not verify_results(tmp_path).findings
    write_record(tmp_path / "ablation" / "t" / "kl" / "seed-2.json", run)
    write_record(tmp_path / "ablation" / "t" / "mse" / "seed-1.json", run)
    write_record(tmp_path / "static_embeddings" / "v.json", {"scored": {"task": "t"}, "reason": ""})
    for folder, task in (("logits", "v"), ("augmented/logits", "w")):
        write_record(tmp_path / folder / task / "meta.json", {"task": "t", "teacher": "m"})
    assert {"/".join(one.path.parts[-2:]): one.problem for one in verify_results(tmp_path).findings} == {
        "kl/seed-2.json": "it belongs elsewhere: its seed is 1.",
        "mse/seed-1.json": "it belongs elsewhere: its method is 'kl'.",
        "static_embeddings/v.json": "it belongs elsewhere: its task is 't'.",
        "v/meta.json": "it belongs elsewhere: its task is 't'.",
        "w/meta.json": "it belongs elsewhere: its task is 't'.",
    }


@pytest.mark.parametrize("damage", [lambda path: path.write_text("Ana O\n"), Path.unlink])
def test_answers_of_an_ablation_are_compared_with_its_run(
    project: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    study = load_study(read_yaml(project / "config.yaml"), project)
    answers = tmp_path / "predictions/ablation/kl/seed-1/ner.conll"
    write_text(answers, "Ana B-PER\n")
    run = {"task": "ner", "method": "kl", "seed": 1, "predictions_digest": digest_file(answers)}
    write_record(tmp_path / "ablation/ner/kl/seed-1.json", run)
    assert not verify_results(tmp_path, study).findings
    damage(answers)
    (found,) = verify_results(tmp_path, study).findings
    assert (found.path, found.remedy) == (answers, "Run it again: snakemake --forcerun train_method.")
    without = study.model_copy(update={"tasks": {k: v for k, v in study.tasks.items() if k != "ner"}})
    assert not verify_results(tmp_path, without).findings, "of a task that the study no longer has"


def _verified(place: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    main(["verify", str(place), "--json"])
    return json.loads(capsys.readouterr().out)
