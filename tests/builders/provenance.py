"""A small study whose scores are those of answers that lie beside them: what a run leaves, without training."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from ligero.common.hashing import digest_file
from ligero.common.records import digests_of, read_record, write_record
from ligero.models import formulas
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.reporting.writing import write_table
from ligero.settings import plan
from ligero.settings.jobs import TaskSpec, measured_systems
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from ligero.training.baselines import score_baseline
from ligero.training.records import write_baseline
from ligero.training.scoring import Examples, score_answered, score_record, write_answers
from tests.builders.results import write_artefacts

TASKS = ("xnli", "ner", "sqac")


def small_study(config: dict[str, Any], project: Path) -> Study:
    """The default study with a task of each type, two models and a student."""
    config = copy.deepcopy(config)
    config["tasks"] = {task: config["tasks"][task] for task in TASKS}
    config["models"] = {model: config["models"][model] for model in ("beto-uncased", "albeto-tiny")}
    config["distillation"]["students"] = {"albeto-tiny": config["distillation"]["students"]["albeto-tiny"]}
    return load_study(config, project)


def taught_by_states(config: dict[str, Any]) -> dict[str, Any]:
    """The default study, whose ALBETO tiny is pretrained on the states of BETO uncased."""
    config = copy.deepcopy(config)
    lesson = {"model": "beto-uncased", "dimensions": 8, "tokens": 5000}
    recipe = {"cls_words": 0, "embedding_initializer_range": None, "objective": "distil", "teacher": lesson}
    tiny = config["models"]["albeto-tiny"]
    tiny["pretraining"] = {**tiny["pretraining"], **recipe}  # other models share the recipe
    return config


def write_answered(study: Study, root: Path) -> Results:
    """Records, examples, answers of every system and all tables below `root`."""
    write_artefacts(study, root)
    results = Results(study, root)
    layout = results.layout
    write_resolved(root / "config.json", study)
    with mock.patch("os.fsync"):
        _count(study, layout.efficiency)
        for task in study.tasks:
            _examples(study, task, root / "tasks" / task)
            spec = TaskSpec.of(study.tasks[task])
            write_baseline(Path(layout.baseline(task)), score_baseline(task, spec, root / "tasks" / task))
            logits = root / "logits" / task
            logits.mkdir(parents=True, exist_ok=True)
            (logits / "logits.arrow").write_bytes(b"logits of " + task.encode())
            depends = {"weights": "a", "encoder": "b", "labels": [], "examples": "c", "tokens": "d"}
            write_record(
                logits / "meta.json",
                {"task": task, "teacher": results.teacher(task)["teacher"], "depends_on": depends, "together": {}, "files": digests_of(logits, ["logits.arrow"])},
            )  # fmt: skip
        for regime, model in plan.systems(study):
            for task in study.tasks:
                _answer(study, root, layout.score(regime, model, task), regime, model, task)
        results = Results(study, root)
        for name in tables(study):
            path = Path(layout.table(name))
            path.parent.mkdir(exist_ok=True)
            write_table(make_table(name, results), path)
    return results


def _count(study: Study, path: str) -> None:
    """What thop counts, by formula: a test holds the formulas against it."""
    labels, length, rows = study.efficiency.labels, study.efficiency.sequence_length, []
    for system in measured_systems(study):
        shape = system.architecture.model_copy(update={"vocab_size": 1500})
        row = {
            "regime": system.regime, "model": system.model_id, "name": system.name, "bytes": 1000, "vocabulary_size": 1500,
            "parameters": formulas.parameters(shape, labels), "macs": formulas.macs(shape, labels, length),
            "attention_macs": formulas.attention_macs(shape, length), "thesis_speedup": None,
        }  # fmt: skip
        rows.append(row)
    reference = next(row["macs"] for row in rows if row["model"] == study.efficiency.reference)
    conditions = {
        "counter": "thop",
        "batch_size": 1,
        "sequence_length": length,
        "labels": labels,
        "reference": study.efficiency.reference,
    }
    write_record(
        path,
        {"conditions": conditions, "rows": [{**row, "speedup": reference / row["macs"]} for row in rows]},
    )  # type: ignore[operator]


def _examples(study: Study, task: str, folder: Path) -> None:
    """Examples of a task in the columns of its type."""
    chance, labels = random.Random(task), study.tasks[task].labels
    for split, count in (("train", 40), ("validation", 10), ("test", 30)):
        ids = [f"{split}-{number}" for number in range(count)]
        if study.tasks[task].type == "sequence_classification":
            picked = [chance.randrange(len(labels)) for _ in ids]
            texts = [f"palabra{chance.randrange(20)} sobre {labels[label]}" for label in picked]
            columns: dict[str, list[Any]] = {"id": ids, "text": texts, "label": picked}
        elif study.tasks[task].type == "token_classification":
            lengths = [chance.randint(3, 9) for _ in ids]
            columns = {
                "id": ids,
                "words": [[f"palabra{chance.randrange(20)}" for _ in range(length)] for length in lengths],
                "labels": [[chance.randrange(len(labels)) for _ in range(length)] for length in lengths],
            }
        else:
            contexts = [f"El río {n} nace en la «Sierra {n % 7}» y mide {n} km." for n in range(count)]
            columns = {
                "id": ids,
                "context": contexts,
                "answers": [
                    [{"text": f"la «Sierra {n % 7}»"}, {"text": f"Sierra {n % 7}"}] for n in range(count)
                ],
            }
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), folder / f"{split}.parquet")
    info = {
        **read_record(folder / "info.json"),
        "files": digests_of(folder, ["train.parquet", "validation.parquet", "test.parquet"]),
    }
    write_record(folder / "info.json", info)


def _answer(study: Study, root: Path, scores: str, regime: str, model: str, task: str) -> None:
    """Answers that are right more often than not, and their score in its file."""
    spec, chance = TaskSpec.of(study.tasks[task]), random.Random(f"{regime} {model} {task}")
    test = Examples.load(root / "tasks" / task / "test.parquet", spec.type)
    pick = lambda right: right if chance.random() < 0.7 else chance.choice(spec.labels)  # noqa: E731
    if spec.type == "sequence_classification":
        answers: list[Any] = [pick(spec.labels[label]) for label in test.columns["label"]]
    elif spec.type == "token_classification":
        answers = [[pick(spec.labels[label]) for label in labels] for labels in test.columns["labels"]]
    else:
        answers = [
            chance.choice([found[0]["text"], "una Sierra", "km", ""]) for found in test.columns["answers"]
        ]
    path = write_answers(root / "predictions" / regime / model, task, spec, answers, test)
    record = score_record(task, spec, score_answered(spec, answers, test), 42)
    entries = read_record(scores)["scores"]
    entry = {
        **record,
        "model": model,
        "seconds": 1.0,
        "device": "cpu",
        "threads": 1,
        "predictions_digest": digest_file(path),
    }
    kept = [entry if (one["model"], one["task"]) == (model, task) else one for one in entries]
    write_record(scores, {"regime": regime, "scores": kept})
