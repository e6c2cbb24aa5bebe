"""`ligero train`: the study that it writes, and what it does not replace."""

from __future__ import annotations

import csv
import json
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ligero.command import train
from ligero.command.examples import UserData
from ligero.command.main import main
from ligero.command.planning import Budget, Plan, Weights, slug, written
from ligero.command.train import hub_answers
from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import write_text
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from ligero.synthetic.table import labelled_texts
from tests.builders.user_files import BERT, data_of, table, tokenizer_of_letters


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
    assert study["corpus"] is None and study["efficiency"]["labels"] == 4  # type: ignore[index]
    for stage in ("fine_tuning", "distillation"):
        assert study[stage]["options"]["head_learning_rate_factor"] == 10.0  # type: ignore[index]
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
    options = study["fine_tuning"]["options"]  # type: ignore[index]
    assert (options["max_length"], options["doc_stride"]) == (256, 64)
    write_text(tmp_path / "short/config.json", json.dumps({**BERT, "max_position_embeddings": 128}))
    short = Weights.read(str(tmp_path / "short"), "--teacher")
    assert plan(data_of(str(tmp_path / "b.json")), short, 1).length == 128


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


@pytest.mark.parametrize(("examples", "epochs"), [(100, 12), (1600, 6), (100_000, 3)])
def test_training_takes_about_600_steps_in_3_to_12_epochs(
    news: Path, monkeypatch: pytest.MonkeyPatch, examples: int, epochs: int
) -> None:
    made = plan(data_of(str(news), "--text", "texto", "--label", "tema"), BETO_UNCASED, 4)
    monkeypatch.setattr(made.splits["train"], "examples", made.splits["train"].examples[:1] * examples)
    study = replace(made, seed=7).configuration()
    assert study["fine_tuning"]["grid"]["epochs"] == [epochs]
    assert study["distillation"]["grid"]["epochs"] == [3 * epochs]
    assert study["seed"] == study["fine_tuning"]["options"]["seed"] == 7


def test_a_local_teachers_student_keeps_a_third_of_its_layers(tmp_path: Path) -> None:
    for layers, kept in ((12, 4), (2, 1)):
        write_text(tmp_path / "config.json", json.dumps({**BERT, "num_hidden_layers": layers}))
        assert train._student(None, Weights.read(str(tmp_path), "--teacher")) == kept


def test_a_seed_that_numpy_refuses_is_refused_at_once(news: Path, tmp_path: Path) -> None:
    command = [*planning_into(tmp_path / "work", news), "--teacher", BETO_UNCASED.place, "--seed"]
    with pytest.raises(ConfigurationError, match=r"--seed 4294967296: expected a whole number from 0 to"):
        main([*command, str(2**32)])
    assert main([*command, str(2**32 - 1)]) == 0
