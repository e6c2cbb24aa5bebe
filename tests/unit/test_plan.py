"""`ligero plan`: jobs, operations, hours, bytes, and what each figure rests on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ligero.command.main import main
from ligero.command.plan import _amounts, _bytes, _hours, _operations
from ligero.common.records import write_record
from ligero.reporting.estimate import Amount
from ligero.reporting.planned import PlannedJob, planned_jobs
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.provenance import small_study, taught_by_states


@pytest.fixture
def plan(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The answer as JSON, asked in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def ask(*arguments: object) -> Any:
        assert main(["plan", *map(str, arguments), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        return {**answer, "stages": {one["stage"]: one for one in answer["stages"]}}

    return ask


def test_the_published_study(plan: Any, project: Path) -> None:
    answer = plan(project / "config/thesis.yaml")
    stages = answer["stages"]
    assert sum(one["jobs"] for one in stages.values()) == 3898
    assert (stages["fine-tuning"]["trials"], stages["distillation"]["trials"]) == (11 * 8 * 36, 6 * 8 * 6)
    assert (
        "NVIDIA H200" in stages["pretraining"]["rests_on"]
        and "7332 hours of TPU v3-8" in stages["pretraining"]["rests_on"]
    )
    assert stages["fine-tuning"]["hours"] is None and "--measured" in stages["fine-tuning"]["rests_on"]
    downloads = {one["what"]: one["bytes"] for one in answer["downloads"]}
    assert downloads["raw/spanish-unannotated-corpora.tar.bz2"] is None, "its size is in no registry"
    assert downloads["xquad/xquad.es.json"] == 684_322
    assert (
        downloads["dccuchile/bert-base-spanish-wwm-uncased (hub)"] == 4 * 109_853_187
    )  # 110 million parameters


def test_paused_trials_take_disk(plan: Any, project: Path, tmp_path: Path) -> None:
    """Weights, two moments and the best weights of each of a task's 24 trials, of the largest model."""
    config = read_yaml(project / "config/thesis.yaml")
    fine_tuning = {"trials_per_job": "auto", "halving": {"factor": 3}, "evaluate_every_steps": {}}
    fine_tuning["grid"] = {
        "batch_size": [16, 32],
        "epochs": [2, 3, 4],
        "learning_rate": ["1e-5", "2e-5", "3e-5", "5e-5"],
    }
    changed = {**config, "protocol": "recommended", "fine_tuning": fine_tuning}
    (tmp_path / "study.yaml").write_text(json.dumps(changed))
    found = [
        one for one in plan(tmp_path / "study.yaml")["disk"] if one["what"] == "paused trials of halving"
    ]
    weights = max(
        one["bytes"] for one in plan(tmp_path / "study.yaml")["downloads"] if "(hub)" in one["what"]
    )
    assert [one["bytes"] for one in found] == [24 * 4 * weights]
    assert not [one for one in plan(project / "config/thesis.yaml")["disk"] if "paused" in one["what"]]


def only_tiny(project: Path, *tasks: str) -> Any:
    """The published study with ALBETO tiny alone, which teaches itself, on some of its tasks."""
    config = read_yaml(project / "config/thesis.yaml")
    config["models"] = {"albeto-tiny": config["models"]["albeto-tiny"]}
    config["tasks"] = {task: config["tasks"][task] for task in tasks}
    config["distillation"]["students"] = {"albeto-tiny": config["distillation"]["students"]["albeto-tiny"]}
    del config["fine_tuning"]["evaluate_every_steps"]
    return {**config, "teachers": {"rule": "validation"}, "search": None, "efficiency": {"reference": "albeto-tiny"}}  # fmt: skip


TOKENS_OF_TINY = 8_300_000 * 2048 * 512 * 0.95  # a tenth of the sequences is half as long on average


def products_of_pretraining(width: int, layers: int) -> float:
    """Of a token, with attention; the head and most of the last layer at predicted tokens."""
    read, projections, inner = 0.15 + 1 / 512, 2 * width * width, 2 * width * 4 * width
    found = (layers - 1) * (2 * projections + inner) + projections + read * (projections + inner)
    attention = (layers - 1 + read) * 2 * 512 * width
    return found + 128 * width + attention + 0.15 * 128 * (width + 31_000)


def test_operations_of_pretraining_are_those_of_its_matrix_products(
    plan: Any, project: Path, tmp_path: Path
) -> None:
    """Six for each weight and token, as usual."""
    (tmp_path / "study.yaml").write_text(json.dumps(only_tiny(project, "ner")))
    found = plan(tmp_path / "study.yaml")["stages"]["pretraining"]
    assert found["operations"] == pytest.approx(6 * TOKENS_OF_TINY * products_of_pretraining(312, 4))
    assert found["hours"] == pytest.approx(TOKENS_OF_TINY / 2_136_000 / 3600, rel=0.01), (
        "the rate of the benchmark itself"
    )


def test_the_closest_width_is_that_of_the_smallest_ratio(plan: Any, project: Path, tmp_path: Path) -> None:
    """500 is 1.6 times 312, and 768 is 1.54 times 500."""
    config = only_tiny(project, "ner")
    config["models"]["albeto-tiny"]["architecture"] |= {
        "hidden_size": 500,
        "num_attention_heads": 10,
        "intermediate_size": 2000,
    }
    (tmp_path / "study.yaml").write_text(json.dumps(config))
    times_base = products_of_pretraining(500, 4) / products_of_pretraining(768, 12)
    assert plan(tmp_path / "study.yaml")["stages"]["pretraining"]["hours"] == pytest.approx(
        TOKENS_OF_TINY * times_base / 503_000 / 3600, rel=0.01
    )


def test_the_test_split_is_read_once_by_every_system(plan: Any, project: Path, tmp_path: Path) -> None:
    """However many trials and epochs it has."""
    config, found = only_tiny(project, "ner"), []
    for count in (1000, 2000):
        for split, expected in (("train", 100), ("validation", 20), ("test", count)):
            config["tasks"]["ner"]["splits"][split]["expected"] = expected
        (tmp_path / "study.yaml").write_text(json.dumps(config))
        found.append(plan(tmp_path / "study.yaml")["stages"])
    token = 128 * 312 + 4 * (4 * 312 * 312 + 2 * 312 * 1248 + 2 * 512 * 312)
    for stage in ("fine-tuning", "distillation"):
        more = found[1][stage]["operations"] - found[0][stage]["operations"]
        assert more == pytest.approx(1000 * 2 * 512 * token)


def test_a_study_takes_what_its_trials_read_and_keep(plan: Any, project: Path, tmp_path: Path) -> None:
    """36 trials, at each of its epochs the training split three times, for the way back too, and the validation split."""
    config = only_tiny(project, "ner", "pos")
    for task in ("ner", "pos"):
        for split, expected in (("train", 100), ("validation", 20), ("test", 10)):
            config["tasks"][task]["splits"][split]["expected"] = expected
    (tmp_path / "study.yaml").write_text(json.dumps(config))
    answer = plan(tmp_path / "study.yaml")
    once = 2 * 512 * (128 * 312 + 4 * (4 * 312 * 312 + 2 * 312 * 1248 + 2 * 512 * 312))
    epochs = 36 // 3 * (2 + 3 + 4)
    found = {name: one["operations"] for name, one in answer["stages"].items()}
    assert found["fine-tuning"] == pytest.approx(2 * once * (epochs * (3 * 100 + 20) + 10))
    assert found["distillation"] == pytest.approx(2 * once * (6 * 50 * (3 * 100 + 20) + 10))
    assert found["teachers"] == pytest.approx(2 * once * 100)
    assert found["tasks"] is None
    weights = 4 * 5_345_075
    assert [(one["what"], one["bytes"]) for one in answer["disk"]][:4] == [
        ("checkpoints of pretraining", 2 * 3 * weights),  # two are kept, each with both moments
        ("weights that training starts from", weights),
        ("selected models", 2 * 2 * weights),
        ("logits of the teachers", 4 * 100 * 512 * (9 + 18)),
    ]


@pytest.mark.parametrize(
    ("taken", "kept"),
    [
        ({}, 3_072_000),  # 1000 examples, 384 tokens, two logits of 4 bytes
        ({"share": [0, 0.25]}, 768_000),
        ({"share": [0, 0.25], "limit": 100}, 307_200),
    ],
)
def test_logits_of_answers_are_two_a_token_of_the_examples_that_are_taken(
    plan: Any, project: Path, tmp_path: Path, taken: dict[str, Any], kept: int
) -> None:
    config = only_tiny(project, "sqac")
    config["tasks"]["sqac"]["max_length"] = 384
    config["tasks"]["sqac"]["splits"]["train"] |= {"expected": 1000, **taken}
    (tmp_path / "study.yaml").write_text(json.dumps(config))
    (found,) = (
        one["bytes"]
        for one in plan(tmp_path / "study.yaml")["disk"]
        if one["what"] == "logits of the teachers"
    )
    assert found == kept


def test_a_teacher_of_pretraining_reads_its_part_of_the_corpus_once(
    plan: Any, project: Path, tmp_path: Path
) -> None:
    """Up to the last of its layers whose states are kept."""
    config = taught_by_states(read_yaml(project / "config.yaml"))
    lesson = config["models"]["albeto-tiny"]["pretraining"]["teacher"]
    found = []
    for tokens, layers in ((5000, [1]), (15000, [1]), (15000, [1, 2])):
        lesson |= {"tokens": tokens, "layers": layers}
        (tmp_path / "study.yaml").write_text(json.dumps(config))
        found.append(plan(tmp_path / "study.yaml")["stages"]["pretraining"]["operations"])
    layer = 4 * 96 * 96 + 2 * 96 * 192 + 2 * 48 * 96
    assert found[1] - found[0] == pytest.approx(10_000 * 2 * layer)
    assert found[2] - found[1] == pytest.approx(15_000 * 2 * layer)


def test_teachers_count_wherever_they_run(plan: Any, project: Path, tmp_path: Path) -> None:
    """At every step of training where relations are matched, and all that teach together for the logits."""
    config = read_yaml(project / "config/thesis.yaml")
    students = {"albeto-tiny": config["distillation"]["students"]["albeto-tiny"]}
    ablation = {"student": "albeto-tiny", "tasks": ["ner"], "seeds": [1, 2], "batch_size": 16, "epochs": 2}
    methods = {"gold": {"objective": "gold"}, "distilled": {}}
    config["ablation"] = {**ablation, "learning_rate": "1e-4", "reference": "gold", "methods": methods}
    config["search"] = None
    found = {}
    for relations, number in (("none", 1), ("hidden", 1), ("none", 2)):
        config["distillation"] |= {"students": students, "relations": relations}
        config["teachers"] = {"rule": "validation", "number": number}
        (tmp_path / "study.yaml").write_text(json.dumps(config))
        answer = plan(tmp_path / "study.yaml")
        assert answer["stages"]["comparison"]["trials"] == 4, "two methods with two seeds"
        (kept,) = (one["bytes"] for one in answer["disk"] if one["what"] == "logits of the teachers")
        found[relations, number] = {name: one["operations"] for name, one in answer["stages"].items()}, kept
    (one, kept), (matched, _), (two, both) = found.values()
    assert matched["teachers"] == one["teachers"]
    more = {name: matched[name] - one[name] for name in ("distillation", "comparison")}
    assert more["distillation"] == pytest.approx(3 * 2 * 50 * one["teachers"]), "50 epochs of six trials"
    examples = {name: task["splits"]["train"]["expected"] for name, task in config["tasks"].items()}
    share = examples["ner"] / sum(examples.values())
    assert more["comparison"] == pytest.approx(2 * 2 * one["teachers"] * share), "gold labels have no teacher"
    assert one["teachers"] < two["teachers"] <= 2 * one["teachers"] and both == 2 * kept


def test_what_is_not_known_before_the_tasks_are_read(plan: Any, project: Path) -> None:
    answer = plan(project / "config.yaml")
    assert answer["stages"]["fine-tuning"]["operations"] is None
    assert "the numbers of examples" in answer["stages"]["fine-tuning"]["rests_on"]
    assert "examples of ner" in answer["unknown"]
    assert answer["downloads"] == []


def jobs_of(study: Study, stage: str) -> list[PlannedJob]:
    return [job for job in planned_jobs(study) if job.stage == stage]


def finished(study: Study, folder: Path) -> Path:
    """The results of a study that has run in a folder: empty files, each job in 10 seconds."""
    results = folder / "results"
    write_resolved(results / "config.json", study)
    for task in study.tasks:
        write_record(
            results / "tasks" / task / "info.json", {"counts": {"train": 100, "validation": 20, "test": 20}}
        )
    for job in planned_jobs(study):
        for output in job.outputs:
            path = folder / output
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        timed = (
            results / "benchmarks/jobs" / (f"{job.rule}/{job.name}.tsv" if job.name else f"{job.rule}.tsv")
        )
        timed.parent.mkdir(parents=True, exist_ok=True)
        timed.write_text("s\th:m:s\n10.0\t0:00:10\n")
    return results


def write_larger(config: dict[str, Any], study: Study, path: Path) -> Path:
    """The configuration of a small study with three times the examples."""
    three = {task: {**config["tasks"][task]} for task in study.tasks}
    for task in three.values():
        for split, count in (("train", 300), ("validation", 60), ("test", 60)):
            task["splits"] = {**task["splits"], split: {**task["splits"][split], "expected": count}}
    models = {model: config["models"][model] for model in study.models}
    students = {
        **config["distillation"],
        "students": {"albeto-tiny": config["distillation"]["students"]["albeto-tiny"]},
    }
    path.write_text(json.dumps({**config, "tasks": three, "models": models, "distillation": students}))
    return path


def test_a_study_measured_elsewhere_gives_the_rate(plan: Any, project: Path, tmp_path: Path) -> None:
    config = read_yaml(project / "config.yaml")
    study = small_study(config, project)
    other = finished(study, tmp_path / "other")
    larger, jobs = write_larger(config, study, tmp_path / "larger.yaml"), jobs_of(study, "fine-tuning")
    stages = plan(larger, "--measured", other)["stages"]
    assert [job.rule for job in jobs_of(study, "teachers")][-1] == "cache_all_logits", (
        "its benchmark is in no folder"
    )
    for stage in ("fine-tuning", "teachers"):
        assert stages[stage]["hours"] == pytest.approx(3 * 10 * len(jobs_of(study, stage)) / 3600), (
            "three times the examples take three times as long"
        )
        assert f"GFLOP/s in {other}" in stages[stage]["rests_on"]
    assert "times smaller" not in stages["fine-tuning"]["rests_on"]
    huge = json.loads(larger.read_text())
    for task in huge["tasks"].values():
        for split in task["splits"].values():
            split["expected"] *= 1000
    (tmp_path / "huge.yaml").write_text(json.dumps(huge))
    assert (
        "whose work was 3e+03 times smaller: too slow a rate"
        in (plan(tmp_path / "huge.yaml", "--measured", other)["stages"]["fine-tuning"]["rests_on"])
    )
    Path(tmp_path, "other", jobs[0].outputs[0]).unlink()
    found = plan(larger, "--measured", other)["stages"]["fine-tuning"]
    assert found["hours"] is None and f"this stage has not finished in {other}" in found["rests_on"]


def test_a_study_that_has_begun_takes_what_is_spent_and_what_is_left(
    plan: Any, project: Path, tmp_path: Path
) -> None:
    config = read_yaml(project / "config.yaml")
    study = small_study(config, project)
    finished(study, tmp_path)
    first, _ = jobs_of(study, "pretraining")
    Path(tmp_path, first.outputs[0]).unlink()
    found = plan(write_larger(config, study, tmp_path / "study.yaml"))["stages"]["pretraining"]
    assert (found["done"], found["jobs"]) == (1, 2)
    assert found["hours"] == pytest.approx(20 / 3600)
    assert found["rests_on"] == "1 finished jobs of this study"


def test_jobs_whose_times_are_lost_did_not_take_no_time(plan: Any, project: Path, tmp_path: Path) -> None:
    config = read_yaml(project / "config.yaml")
    study = small_study(config, project)
    shutil.rmtree(finished(study, tmp_path) / "benchmarks")
    found = plan(write_larger(config, study, tmp_path / "study.yaml"))["stages"]["fine-tuning"]
    assert found["done"] and found["hours"] is None and "finished jobs" not in found["rests_on"]


def test_for_people(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["plan", str(project / "config/thesis.yaml")]) == 0
    said = capsys.readouterr().out
    assert "3,898 jobs" in said and "without fine-tuning, teachers, distillation" in said
    assert "of unknown size" in said and "disk: 5" in said


def test_units_for_people() -> None:
    assert [_bytes(count) for count in (999, 1500, 2_500_000, 3_500_000_000, 4_500_000_000_000)] == [
        "999 B", "1.5 kB", "2.5 MB", "3.5 GB", "4.5 TB",
    ]  # fmt: skip
    operations = (None, 999.0, 2e9, 3e12, 4e15, 5e18)
    assert [_operations(count) for count in operations] == [
        "-", "999 FLOP", "2.0 GFLOP", "3.0 TFLOP", "4.0 PFLOP", "5.0 EFLOP",
    ]  # fmt: skip
    assert [_hours(hours) for hours in (0.0012, 9.876, 12.34, 1234.5)] == ["0.001", "9.876", "12.3", "1,234"]


def test_bytes_of_unknown_size_are_said_beside_the_sum() -> None:
    amounts = [Amount("a", 2_000_000, ""), Amount("b", None, "why"), Amount("c", 500_000, "")]
    lines = list(_amounts("disk", amounts))
    assert lines[1] == "disk: 2.5 MB, and 1 of unknown size" and lines[3].endswith("unknown  b  (why)")


def test_what_cannot_run_is_said_and_not_planned(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = read_yaml(project / "config.yaml")
    bertin = config["models"]["bertin"]
    config["models"]["bertin"] = {
        "architecture": bertin["architecture"],
        "weights": "local",
        "local": "/nowhere",
    }
    (tmp_path / "study.yaml").write_text(json.dumps(config))
    assert main(["plan", "study.yaml"]) == 0
    said = capsys.readouterr().out
    assert "left out: bertin: its local weights" in said
    assert "  without fine-tuning, distillation" in said
