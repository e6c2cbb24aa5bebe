"""The whole DAG, for real: every stage on a study of a minute."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ligero.command.main import main as ligero
from ligero.reporting import registry
from ligero.reporting.registry import TABLES
from ligero.serving.manifest import Manifest
from ligero.serving.predictor import Predictor
from ligero.settings.load import load_study
from ligero.tasks.tagged_files import read_columns
from ligero.training.records import read_static_embeddings
from tests.builders.workflow import POCKET, Snakemake, planned_jobs, snakemake_command
from tests.faults.injections import BUGS, LIGHT, inject
from tests.faults.study import Study

pytestmark = pytest.mark.slow


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_summary_has_a_row_a_system_and_says_its_scale(pocket: Path) -> None:
    summary = rows(pocket / "summary.csv")
    assert list(summary[0])[:5] == ["regime", "model", "parameters", "speedup", "score"]
    systems = [(row["regime"], row["model"]) for row in summary if row["regime"] != "baseline"]
    assert systems == [
        ("fine-tuning", "BETO cased"),
        ("fine-tuning", "ALBETO tiny"),
        ("fine-tuning", "ALBETO base"),
        ("distillation", "ALBETO tiny"),
        ("distillation", "ALBETO base-2"),
    ]
    assert {row["scale"] for row in summary} == {"miniature"}
    assert all(row["score"] for row in summary)


def test_every_number_is_what_the_stored_answers_give(
    pocket: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for table in (
        "summary.csv",
        "tables/sequence_tagging.csv",
        "tables/question_answering.csv",
        "tables/efficiency.csv",
    ):
        assert ligero(["why", str(pocket / table), "--all", "--recompute"]) == 0, capsys.readouterr().out


def test_status_knows_every_job_as_done(pocket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which holds the outputs that it expects against those that the rules made."""
    assert ligero(["status", str(pocket), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [one["job"] for one in answer["jobs"] if one["state"] != "done"] == []
    assert all(one["seconds"] is not None for one in answer["jobs"])
    assert (answer["run"]["state"], answer["run"]["locked"], answer["other_versions"]) == ("ended", False, [])


def mirrored(pocket: Path, project: Path, folder: Path) -> Path:
    """The pocket study with its sources in a mirror folder, published at addresses that nobody can reach."""
    registry = yaml.safe_load((project / "resources/sources.yaml").read_text(encoding="utf-8"))["sources"]
    config = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    splits = [split for task in config["tasks"].values() for split in task["splits"].values()]
    config |= {"mirror": str(folder / "mirror"), "sources": {}}
    for source in {*config["corpus"]["parts"], *(name for split in splits for name in split["sources"])}:
        path = registry[source]["path"]
        (folder / "mirror" / path).parent.mkdir(parents=True, exist_ok=True)
        content = (pocket / "sources" / path).read_bytes()
        (folder / "mirror" / path).write_bytes(content)
        config["sources"][source] = {
            "path": path,
            "url": f"https://127.0.0.1:9/{path}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
        }
    (folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return folder / "study.yaml"


def test_a_second_run_from_a_mirror_without_network_gives_the_same_scores(
    pocket: Path, project: Path, tmp_path: Path
) -> None:
    """From scratch, in a network namespace without an interface that is up: not even this machine can be reached."""
    isolated = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*isolated, "true"], capture_output=True).returncode != 0:
        isolated = []  # this machine has no network namespaces; nothing answers at the sources' addresses either
    command = snakemake_command(project, mirrored(pocket, project, tmp_path), tmp_path)
    command = [*isolated, *command, "--", "fetch", "results/summary.csv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    assert not (tmp_path / "results/generated").exists()
    assert not (tmp_path / "results/sources.lock.json").exists(), "every checksum was known"
    assert (tmp_path / "results/summary.csv").read_bytes() == (pocket / "summary.csv").read_bytes()
    first, second = (
        [
            [entry["metrics"] for entry in json.loads(path.read_text(encoding="utf-8"))["scores"]]
            for path in sorted((folder / "scores").rglob("*.json"))
        ]
        for folder in (pocket, tmp_path / "results")
    )
    assert first and first == second


def test_every_table_is_there_in_three_formats(pocket: Path) -> None:
    for name in (entry.name for entry in TABLES):
        for ending in ("csv", "md", "tex"):
            assert (pocket / "tables" / f"{name}.{ending}").stat().st_size > 0, f"{name}.{ending}"


def test_every_figure_is_there(pocket: Path, project: Path) -> None:
    for name in registry.figures(load_study(yaml.safe_load(POCKET.read_text(encoding="utf-8")), project)):
        assert (pocket / "figures" / f"{name}.svg").stat().st_size > 0, name


def test_the_report_page_has_the_study_and_times_of_its_jobs(pocket: Path) -> None:
    text = (pocket / "report.html").read_text(encoding="utf-8")
    page = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    with (pocket / "summary.csv").open(encoding="utf-8", newline="") as handle:
        scores = [row["score"] for row in csv.DictReader(handle) if row["regime"] != "baseline"]
    assert [f"{entry['score']:.2f}" for entry in page["summary"]] == scores
    stages = {stage["name"]: stage["seconds"] for stage in page["stages"]}
    assert all(stages[name] > 0 for name in ("Pretraining", "Fine-tuning", "Distillation", "Scoring"))


def test_snakemake_s_report_has_tables_and_figures(pocket: Path) -> None:
    page = (pocket / "snakemake-report.html").read_text(encoding="utf-8")
    assert "summary.csv" in page
    assert "score_vs_macs" in page


def test_a_selected_model_opens_with_transformers(pocket: Path) -> None:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    folder = pocket / "models" / "distillation" / "albeto-base-2" / "ner"
    model = AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.num_hidden_layers == 2
    assert model.config.id2label[1] == "B-PER"
    assert tokenizer.tokenize("Señor") == tokenizer.tokenize("señor") != tokenizer.tokenize("senor")
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert card == (pocket / "cards/distillation/albeto-base-2/ner.md").read_text(encoding="utf-8")
    assert "95 % interval" in card and "inferences per second" in card and "`beto-cased` (BETO cased)" in card


def test_pipelines_and_plain_classes_take_the_folders(pocket: Path) -> None:
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

    folder = pocket / "models" / "fine-tuning" / "beto-cased"
    (label,) = pipeline("text-classification", str(folder / "xnli"))(
        [{"text": "Llueve.", "text_pair": "Hace sol."}]
    )
    assert label["label"] in ("entailment", "neutral", "contradiction")
    entities = pipeline("token-classification", str(folder / "ner"), ignore_labels=[])("Ana vive en Madrid.")
    assert entities and all(entity["entity"][0] in "OBI" for entity in entities)
    model = AutoModelForQuestionAnswering.from_pretrained(folder / "mlqa")
    inputs = AutoTokenizer.from_pretrained(folder / "mlqa")("¿Quién vive?", "Ana vive.", return_tensors="pt")
    assert model(**inputs).start_logits.shape == inputs["input_ids"].shape


def test_what_the_study_cost_is_told_a_stage(pocket: Path) -> None:
    cost = {row["stage"]: row for row in rows(pocket / "tables" / "cost.csv")}
    runs = {"pretraining": 3, "fine-tuning": 18, "teacher logits": 3, "distillation": 6, "scoring": 15}
    assert {stage: int(cost[stage]["runs"]) for stage in runs} == runs
    assert all(float(cost[stage]["seconds_a_run"]) > 0 for stage in runs)


def test_predictions_can_be_scored_again(pocket: Path, project: Path) -> None:
    score = next(
        score
        for shard in (pocket / "scores/fine-tuning").iterdir()
        for score in json.loads(shard.read_text())["scores"]
        if (score["model"], score["task"]) == ("beto-cased", "mlqa")
    )
    references = pocket / "sources/embedded/mlqa/test-context-es-question-es.json"
    done = subprocess.run(
        [
            sys.executable,
            project / "workflow/scripts/score.py",
            "qa",
            "--references",
            references,
            "--predictions",
            pocket / "predictions/fine-tuning/beto-cased/mlqa.json",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["squad"]["f1"] == pytest.approx(score["score"])


def test_losers_of_a_grid_leave_no_weights(pocket: Path) -> None:
    """Two trials a task ran; the winner's weights are hard links of the selected model's, the loser's are gone."""
    for task in (pocket / "state" / "fine-tuning").glob("*/*"):
        (kept,) = task.rglob("*.safetensors")
        assert kept.samefile(
            pocket / "models" / "fine-tuning" / task.parent.name / task.name / "model.safetensors"
        )


def answered(row: dict[str, Any]) -> dict[str, Any]:
    """The item of an example, without its gold answer."""
    keys = ("text", "second_text", "words", "question", "context")
    return {key: row[key] for key in keys if row.get(key) is not None}


def test_exported_models_answer_on_test_sets_as_the_study_scored(pocket: Path, snakemake: Snakemake) -> None:
    import pyarrow.parquet as pq

    systems = [("fine-tuning", "beto-cased"), ("distillation", "albeto-base-2")]
    exports = [
        f"results/exports/{regime}/{system}/{task}"
        for regime, system in systems
        for task in ("xnli", "ner", "mlqa")
    ]
    done = snakemake("--", *exports)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    record = read_static_embeddings(pocket / "static_embeddings" / "xnli.json")["scored"]
    assert record and record["name"].startswith("static embeddings of ") and record["features"] > 8
    for name in exports:
        folder = pocket.parent / name
        manifest = Manifest.read(folder)
        assert manifest.parity["largest_difference"] <= 1e-4
        assert manifest.int8["accepted"] == (manifest.int8["drop"] <= 0.5)
        rows = pq.ParquetFile(pocket / "tasks" / manifest.task / "test.parquet").read().to_pylist()
        found = [
            dict(answer)
            for answer in Predictor(folder, precision="fp32", threads=1).predict(map(answered, rows))
        ]
        stored = pocket / "predictions" / manifest.regime / manifest.model
        if manifest.task == "ner":
            tags = [[word["label"] or "O" for word in answer["words"]] for answer in found]
            lines = read_columns(stored / "ner.conll")
            assert tags == [[tag for *_, tag in sentence] for sentence in lines]
        else:
            expected = json.loads((stored / f"{manifest.task}.json").read_text(encoding="utf-8"))
            key = "label" if manifest.task == "xnli" else "answer"
            assert {row["id"]: answer[key] for row, answer in zip(rows, found, strict=True)} == expected


def test_a_second_run_has_nothing_to_do(pocket: Path, snakemake: Snakemake) -> None:
    assert planned_jobs(snakemake("-n", "--", "all", "results/snakemake-report.html")) == {}


def test_touching_a_file_re_runs_nothing(pocket: Path, snakemake: Snakemake) -> None:
    touched = [
        "sources/embedded/conll2002/esp.train",
        "tokenizers/albeto/fast_tokenizer.json",
        "pretrained/albeto-tiny/weights.digest",
        "tasks/ner/train.parquet",
        "teachers/ner.json",
    ]
    for name in touched:
        (pocket / name).touch()
    assert planned_jobs(snakemake("-n", "--", "all")) == {}


def test_how_visibly_a_model_is_pretrained_re_runs_nothing(pocket: Path, snakemake: Snakemake) -> None:
    changed = (
        "{log_every: 7, keep_checkpoints: 5, checkpoint_every: 3, divergence: {on_divergence: rollback}}"
    )
    change = f"models={{albeto-base: {{pretraining: {changed}}}}}"
    assert planned_jobs(snakemake("-n", "--", "all", "results/snakemake-report.html", config=(change,))) == {}


def may_mount(folder: Path) -> bool:
    """Whether a small disk can be mounted: not without root, nor in most containers."""
    if shutil.which("mount") is None or os.geteuid() != 0:
        return False
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True).returncode:
        return False
    return subprocess.run(["umount", str(folder)], capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("kill-job", 1), ("kill-snakemake", 1), ("lost-node", 1), ("stale-lock", 1), ("two-runs", 1), ("clock-back", 1),
        ("full-disk", 1), ("flipped-bit", 1), ("flipped-bit", 2), ("truncated", 1), ("truncated", 2), ("deleted", 1),
        ("exchanged", 1),
    ],
)  # fmt: skip
def test_faults_end_in_the_same_result_or_a_clear_message(
    pocket: Path, pocket_folder: Path, kind: str, seed: int, tmp_path: Path
) -> None:
    """The short form of `make faults`, on jobs that are cheap."""
    if kind == "full-disk" and not may_mount(tmp_path):
        pytest.skip("this user may not mount a small disk here")
    fault = inject(Study(POCKET, pocket_folder), kind, seed, LIGHT)
    assert fault.outcome not in BUGS, f"{fault.what}: {fault.outcome}: {fault.message}"
