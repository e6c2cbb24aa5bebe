"""Writes a study's artefacts with made-up but plausible figures, in the shapes that the programs write."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from ligero.common.files import write_text
from ligero.common.hashing import digest_value
from ligero.common.records import read_record, write_record
from ligero.efficiency.truncation import exact_speedup, thesis_speedup
from ligero.pretraining.records import PretrainingSummary
from ligero.reporting.results import Results
from ligero.reporting.tradeoff import Scores, measure_scores
from ligero.settings import plan
from ligero.settings.jobs import measured_systems
from ligero.settings.layout import Layout
from ligero.settings.plan import teacher_candidates, tokenizers_in_use
from ligero.settings.study import Study

KEYS = {
    "sequence_classification": ("accuracy",),
    "token_classification": ("f1", "precision", "recall", "accuracy"),
    "question_answering": ("f1", "exact_match", "mlqa_f1", "mlqa_exact_match"),
}
BASELINES = {
    "sequence_classification": "majority class",
    "token_classification": "most frequent tag of each word",
    "question_answering": "most frequent answer",
}


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but `parts`."""
    return int(digest_value([str(part) for part in parts]), 16) / 16**16


def write_artefacts(study: Study, root: Path) -> None:
    """Everything that tables and figures read."""
    with mock.patch("os.fsync"):  # hundreds of small files; these need not survive a power cut
        _write(study, root)


def _write(study: Study, root: Path) -> None:
    layout = Layout(study.model_copy(update={"results_dir": str(root)}))
    systems = measured_systems(study)
    macs = {(s.regime, s.model_id): _macs(s.architecture) for s in systems}
    reference = macs["fine-tuning", study.efficiency.reference]
    write_record(
        layout.efficiency,
        {
            "conditions": {
                "sequence_length": study.efficiency.sequence_length,
                "reference": study.efficiency.reference,
            },
            "rows": [
                {
                    "regime": s.regime,
                    "model": s.model_id,
                    "name": s.name,
                    "parameters": s.architecture.hidden_size * 2500,
                    "macs": macs[s.regime, s.model_id],
                    "attention_macs": macs[s.regime, s.model_id] // 10,
                    "bytes": s.architecture.hidden_size * 10_000,
                    "vocabulary_size": s.architecture.vocab_size or 1500,
                    "speedup": exact_speedup(macs[s.regime, s.model_id], reference),
                    "thesis_speedup": str(thesis_speedup(macs[s.regime, s.model_id], reference) or "")
                    or None,
                }
                for s in systems
            ],
        },
    )
    write_record(layout.inference_speed, _speed(study, macs))
    for task_id in study.tasks:
        write_record(
            layout.baseline(task_id),
            {
                "name": BASELINES[study.tasks[task_id].type],
                "ngrams": _logistic_regression(study, task_id, "n-grams"),
                **_score(study, task_id, 0.4),
            },
        )
        write_record(layout.task_info(task_id), _info(study, task_id))
    write_record(layout.corpus_statistics, corpus_statistics(study))
    write_record(layout.tokenizer_quality, _vocabularies(study))
    for regime, model in plan.systems(study):
        ability = (
            0.6 + 0.02 * math.log2(macs[regime, model] / min(macs.values())) + 0.05 * chance(regime, model)
        )
        for task in study.tasks:
            record = {"model": model, **_score(study, task, ability + 0.1 * chance(regime, model, task))}
            path = Path(layout.score(regime, model, task))
            earlier = read_record(path)["scores"] if path.exists() else []
            write_record(path, {"regime": regime, "scores": [*earlier, record]})
        for task_id in study.tasks:
            write_record(layout.selection(regime, model, task_id), _selection(study, regime, model, task_id))
    for task_id in plan.tasks_with_static_embeddings(study):
        record = _logistic_regression(study, task_id, "static embeddings of BETO cased")
        write_record(layout.static_embeddings(task_id), {"scored": record, "reason": ""})
    for task_id in study.tasks if study.distillation else ():
        losses = {model: 0.3 + chance(model, task_id) for model in teacher_candidates(study, task_id)}
        teacher = min(losses, key=lambda model: losses[model])
        write_record(
            layout.teacher(task_id),
            {
                "task": task_id,
                "teacher": teacher,
                "rule": "validation",
                "losses": losses,
                "weights": {teacher: 1.0},
            },
        )
        cost = {"teacher": teacher, "seconds": 36.0, "device": "cpu", "threads": 1}
        write_record(layout.logits_cost(task_id), {"task": task_id, "runs": [cost]})
    _tradeoff(study, root)
    for regime, model in plan.systems(study):
        for number, shard in enumerate(plan.shards_of(study, regime, model)):
            trials = [
                {"trial": t.model_dump(mode="json"), "seconds": 18.0, "device": "cpu", "threads": 2}
                for t in shard
            ]
            settings = {t.task: {"distillation": {} if regime == "distillation" else None} for t in shard}
            write_record(layout.shard(regime, model, number), {"settings": settings, "trials": trials})
    for model in plan.pretrained_models(study):
        _pretraining(study, layout, model)


def _tradeoff(study: Study, root: Path) -> None:
    """Resamples are the recorded scores with noise, where a run would read predictions."""
    results = Results(study, root)
    rows = tuple(row for row in results.rows() if not row.left_out)
    noise = np.random.default_rng(0).normal(0, 1.5, (len(rows), 50))
    scores = {}
    for task_id in study.tasks:
        points = np.array([results.score(row.regime, row.model, task_id)["score"] for row in rows])
        taught = results.teacher(task_id)["teacher"] if study.distillation else None
        places = tuple(n for n, row in enumerate(rows) if (row.regime, row.model) == ("fine-tuning", taught))
        scores[task_id] = Scores.whole(rows, points, points[:, None] + noise, 40.0, places)
    write_record(results.layout.tradeoff, {"measured": measure_scores(results, scores)})


def _macs(a: Any) -> int:
    return 64 * a.num_hidden_layers * (4 * a.hidden_size**2 + 2 * a.hidden_size * a.intermediate_size)


def _score(study: Study, task_id: str, level: float) -> dict[str, Any]:
    task = study.tasks[task_id]
    values = {key: 100 * min(level, 1.0) * (1 - 0.05 * place) for place, key in enumerate(KEYS[task.type])}
    return {
        "task": task_id,
        "metric": task.metric,
        "score": next(iter(values.values())),
        "metrics": values,
        "intervals": {key: [value - 1.5, value + 1.5] for key, value in values.items()},
        "examples": 200,
        "seconds": 7.2,
        "device": "A GPU",
        "threads": 1,
        "precision": "fp32",
    }


def _info(study: Study, task_id: str) -> dict[str, Any]:
    return {
        "task": task_id,
        "counts": {"train": 2000, "validation": 200, "test": 200},
        "read": {"train": 2000, "validation": 200, "test": 200},
        "labels": list(study.tasks[task_id].labels),
        "leaks": {"train_test": {"same_id": 0, "same_text": 3}},
        "notes": ["leak: 3 examples of test have the same text as one of train"],
        "warnings": [],
    }


def corpus_statistics(study: Study) -> dict[str, Any]:
    """Every part alike, the last of them an archive of two files."""
    half = {
        "raw": dict(
            zip(("lines", "tokens", "characters", "bytes", "documents"), (9, 90, 500, 520, 3), strict=True)
        ),
        "clean": dict(
            zip(("lines", "tokens", "characters", "bytes", "documents"), (7, 70, 400, 410, 2), strict=True)
        ),
        "dropped_lines": {"duplicate": 0, "listing": 2},
        "line_length_histogram": [{"from": 8, "to": 9, "lines": 3}, {"from": 54, "to": 63, "lines": 4}],
        "document_length_histogram": [{"from": 100, "to": 150, "documents": 2}],
    }
    names = study.corpus.parts if study.corpus else ()
    parts: dict[str, Any] = dict.fromkeys(names, half)
    if names:
        parts[names[-1]] = {**half, "files": {"raw/a.txt": half, "raw/b.txt": half}}
    return {"parts": parts, "total": half, "documents": {"train": 7, "validation": 1}}


def _vocabularies(study: Study) -> dict[str, Any]:
    texts = [None, *study.tasks]
    rows = [
        {
            "tokenizer": tokenizer,
            "kind": "AlbertTokenizer",
            "size": 1000,
            "task": task,
            "sentences": 100_000 if task is None else 50,
            "words": 500,
            "different_words": 100,
            "tokens": 800,
            "fertility": 1.6,
            "tokens_per_sentence": 8.0,
            "unknown_share": 0.01 * chance(tokenizer, task),
            "words_with_unknown": 0.02 * chance(tokenizer, task),
            "single_token_words": 0.5,
            "single_token_types": 0.3,
            "used_vocabulary": 0.4,
        }
        for tokenizer in tokenizers_in_use(study)
        for task in texts
    ]
    return {"most_lines": 100_000, "rows": rows}


def _selection(study: Study, regime: Any, model: str, task_id: str) -> dict[str, Any]:
    trials = [trial for trial in plan.trials_of(study, regime, model) if trial.task == task_id]
    results = [
        {
            "id": trial.id,
            "loss": chance(model, task_id, trial.id),
            "score": 80.0,
            "epoch": 2,
            "step": 100,
            "stopped": "epochs",
        }
        for trial in trials
    ]
    best = min(range(len(trials)), key=lambda place: results[place]["loss"])
    return {
        "regime": regime,
        "model": model,
        "task": task_id,
        "trial": trials[best].model_dump(mode="json"),
        "id": trials[best].id,
        "best": {"epoch": 2, "step": 100, "loss": results[best]["loss"], "score": 80.0},
        "candidates": results,
        "seconds": 12.0,
        "seconds_of_best": 2.0,
        "micro_batch_size": 8,
        "device": "cpu",
        "model_digest": digest_value([regime, model, task_id]),
    }


def _speed(study: Study, macs: dict[Any, int]) -> dict[str, Any]:
    rows = []
    for regime, model in plan.systems(study):
        seconds = 0.001 + macs[regime, model] / 5e10
        timed = {
            "inferences_per_second": 1 / seconds,
            "median_seconds": seconds,
            "mean_seconds": seconds,
            "fastest_seconds": seconds,
            "kept_runs": 19,
            "runs": 20,
        }
        rows.append({"regime": regime, "model": model, "name": model, "cpu": timed, "gpu": None})
    conditions = {
        "cpu": "A processor",
        "cpu_threads": 1,
        "gpu": None,
        "sequence_length": study.speed.sequence_length,
        "engine": "torch, eager",
        "date": "2026-01-01",
    }
    return {"conditions": conditions, "rows": rows}


def _pretraining(study: Study, layout: Layout, model: str) -> None:
    recipe = study.models[model].pretraining
    assert recipe
    steps = min(recipe.total_steps, 300)
    lines: list[dict[str, Any]] = [{"step": 0, "event": "start", "parameters": 1000}]
    restart = 180 if chance(model) < 0.3 else None
    if restart:
        lines += _logged(model, range(1, 176), 0.0) + _logged(model, range(176, restart), 2.0)
        lines.append({"event": "rollback", "step": restart, "to_step": 100, "learning_rate_scale": 0.8})
    lines += _logged(model, range(101 if restart else 1, steps + 1), 0.0)
    write_text(layout.pretraining_metrics(model), "".join(json.dumps(line) + "\n" for line in lines))
    PretrainingSummary(
        model=model,
        parameters=1000,
        steps=steps,
        tokens=steps * 2048,
        corpus_tokens=10**6,
        epochs=1.0,
        seconds=20.0,
        tokens_per_second=1000.0,
        measured_peak_gflops=50.0,
        share_of_peak=0.5,
        device="cpu",
        precision="fp32",
        processes=1,
        threads=1,
        final={"loss": 2.6},
        validation={"mlm_loss": 2.4, "sop_accuracy": 0.71},
        unigram_loss=6.1,
        rollbacks=[{"to_step": 100}] if restart else [],
        determined_by="",
        fingerprint="",
        torch="",
    ).write(Path(layout.pretraining_summary(model)).parent)


def _logged(model: str, steps: range, excess: float) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for step in steps:
        loss = 2.5 + 5 * math.exp(-step / 80) + 0.2 * (chance(model, step) - 0.5) + excess
        lines.append({"step": step, "loss": loss, "mlm_loss": loss - 0.6, "learning_rate": 1e-3})
        if step % 100 == 0:
            lines.append(
                {
                    "step": step,
                    "event": "validation",
                    "loss": loss + 0.1,
                    "mlm_loss": loss - 0.5,
                    "sop_accuracy": 0.7,
                }
            )
    return lines


def _logistic_regression(study: Study, task_id: str, features: str) -> dict[str, Any] | None:
    if study.tasks[task_id].type != "sequence_classification":
        return None
    cost = {"trained_on": 100, "features": 1000, "bytes": 2_000_000, "milliseconds": 0.25}
    return {"name": f"{features}, logistic regression", **cost, **_score(study, task_id, 0.5)}


def smaller(study: Study, root: Path, **changes: Any) -> Results:
    """A study with other contents and artefacts of its own."""
    changed = Study.model_validate({**study.model_dump(mode="json"), **changes})
    write_artefacts(changed, root)
    return Results(changed, root)


def cells(frame: pd.DataFrame, **where: str) -> dict[str, Any]:
    """The one row in which the given columns have the given values."""
    chosen = frame
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    assert len(chosen) == 1, (where, len(chosen))
    return {str(column): value for column, value in chosen.iloc[0].items()}
