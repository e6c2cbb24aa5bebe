"""What the report page holds, put together from the study's tables and records."""

from __future__ import annotations

from pathlib import Path

from ligero import __version__
from ligero.common.errors import DataError
from ligero.efficiency.truncation import truncate
from ligero.reporting.curves import read_curve
from ligero.reporting.looks import LOOKS, architecture_of, label_of, shape_of
from ligero.reporting.model_card import METRICS
from ligero.reporting.names import TASK_TYPES, beside_the_thesis, has_the_thesis_tasks, headline
from ligero.reporting.page.answers import BADGES, answers
from ligero.reporting.page.explorer import choices, measurements, view
from ligero.reporting.page.records import (
    CurveEntry,
    LookEntry,
    PageData,
    PublishedEntry,
    SummaryEntry,
    SystemEntry,
    TaskEntry,
    TaskScore,
    TaskScores,
)
from ligero.reporting.page.stages import measured_stages
from ligero.reporting.page.tables import read_table
from ligero.reporting.published import printed_figures, published_score
from ligero.reporting.records import Figure
from ligero.reporting.registry import tables
from ligero.reporting.results import TRADEOFF_REMEDY, Results, Row
from ligero.reporting.tables.comparison import NOT_COMPARABLE
from ligero.reporting.tables.summary import mean_score, score_note, summary_speedups
from ligero.settings import plan
from ligero.settings.study import Regime
from ligero.settings.tasks import TaskType, stem
from ligero.tasks.metrics import HEADLINE
from ligero.training.records import stopped_early

SCORE_TABLES: dict[TaskType, str] = {
    "sequence_classification": "text_classification",
    "token_classification": "sequence_tagging",
    "question_answering": "question_answering",
}
"""Names of the tables with the scores."""
MOST_POINTS = 240
"""Of a training curve; more are thinned out evenly."""


def page_data(results: Results) -> PageData:
    """Everything that the page shows.

    Raises:
        DataError: an artefact or a table is missing.
    """
    study = results.study
    rows = results.rows()
    systems = [_system(results, row) for row in rows]
    scores = [_task_scores(results, rows, number) for number in range(len(study.tasks))]
    engines, measured = measurements(results)
    baselines = results.baselines(study.tasks)
    baseline = sum(record["score"] for record in baselines.values()) / len(baselines)
    return {
        "study": {
            "name": study.name,
            "scale": study.scale,
            "version": __version__,
            "results": study.results_dir,
            "reference": plan.system_name(study, "fine-tuning", study.efficiency.reference),
        },
        "badge": BADGES[study.scale],
        "answers": answers(results, scores, measured),
        "looks": {
            key: LookEntry(name=look.name, colour=look.colour, dark=look.dark, shape=look.shape)
            for key, look in LOOKS.items()
            if any(system["architecture"] == key for system in systems)
        },
        "tasks": [_task(results, task_id) for task_id in study.tasks],
        "systems": systems,
        "baseline": baseline,
        "summary": _summary(results, rows, scores, baseline),
        "scores": scores,
        "engines": engines,
        "views": [view(results, measurement, systems) for measurement in measured],
        "choices": choices(results, measured, systems),
        "curves": [
            _curve(results, model)
            for model in plan.pretrained_models(study)
            if not study.models[model].state_teacher
        ],
        "published": _published(results, rows) if beside_the_thesis(study) else [],
        "comparable": NOT_COMPARABLE[study.scale] or score_note(study),
        "stages": measured_stages(results),
        "tables": [
            read_table(name, Path(results.layout.table(name)), _plain(entry.caption))
            for name, entry in sorted(tables(study).items(), key=lambda item: item[0] != "summary")
        ],
    }


def _system(results: Results, row: Row) -> SystemEntry:
    study = results.study
    return {
        "id": row.model,
        "regime": row.regime,
        "name": row.name,
        "label": label_of(study, row.regime, row.model),
        "architecture": architecture_of(study, row.regime, row.model),
        "shape": shape_of(study, row.regime, row.model),
        "left_out": row.left_out,
    }


def _task(results: Results, task_id: str) -> TaskEntry:
    task, baseline = results.study.tasks[task_id], results.baselines([task_id])[task_id]
    return {
        "id": task_id,
        "name": task.name,
        "metric": METRICS[task.metric],
        "kind": TASK_TYPES[task.type],
        "examples": results.task_info(task_id)["counts"]["test"],
        "baseline": baseline["score"],
        "baseline_name": baseline["name"],
        "file": f"tables/{SCORE_TABLES[task.type]}.csv",
        "column": f"{stem(task_id, task)}_{headline(task).suffix}",
    }


def _task_scores(results: Results, rows: list[Row], number: int) -> TaskScores:
    study = results.study
    task_id = list(study.tasks)[number]
    task = study.tasks[task_id]
    baseline = results.baselines([task_id])[task_id]["score"]
    found: list[TaskScore] = []
    for place, row in enumerate(rows):
        entry = TaskScore(
            system=place,
            score=None,
            learned=False,
            published=published_score(study, row.regime, row.model, task_id)
            if study.scale == "thesis"
            else None,
            origin=None,
        )
        if not row.left_out:
            record = results.score(row.regime, row.model, task_id)
            low, high = record["intervals"][HEADLINE[task.metric]]
            entry["score"] = Figure(record["score"], low, high)
            entry["learned"] = low > baseline
            entry["origin"] = _origin(results, row, task_id)
        found.append(entry)
    return {"task": number, "systems": found}


def _origin(results: Results, row: Row, task_id: str) -> str:
    """How a score came about, in a sentence."""
    chosen, record = (
        results.selection(row.regime, row.model, task_id),
        results.score(row.regime, row.model, task_id),
    )
    trial, of, stopped = chosen["trial"], len(chosen["candidates"]), stopped_early(chosen)
    loss = chosen["best"]["loss"]
    found = "" if loss is None else f", validation loss {loss:.4f}"
    some = f" ({stopped} stopped early)" if stopped else ""
    trials = f"the only trial{found}" if of == 1 else f"the best of {of} trials{some}{found}"
    return (
        f"{record['examples']:,} test examples; {trials}; batch size {trial['batch_size']}, {trial['epochs']} epochs, "
        f"learning rate {trial['learning_rate']}, seed {trial['seed']}, on {chosen['device']}"
    )


def _summary(
    results: Results, rows: list[Row], scores: list[TaskScores], baseline: float
) -> list[SummaryEntry]:
    study = results.study
    recorded, (speedups, _) = results.scores(study.tasks), summary_speedups(results)
    intervals, notes = results.intervals(None), _summary_notes(results)
    found: list[SummaryEntry] = []
    for place, row in enumerate(rows):
        if row.left_out:
            found.append(_left_out(place, row.left_out))
            continue
        key = (row.regime, row.model)
        cost, (measured, low, high) = results.efficiency[key], intervals[key]
        score = mean_score(study, recorded, *key)
        if abs(score - measured) > 1e-6:
            said = (
                f"it has {measured:.4f} for {row.regime} of '{row.model}', but the scores give {score:.4f}."
            )
            raise DataError(results.layout.tradeoff, None, said, TRADEOFF_REMEDY)
        found.append(
            {
                "system": place,
                "score": float(truncate(score)),
                "interval": [float(truncate(low)), float(truncate(high))],
                "speedup": float(speedups[key]),
                "milliseconds": 1000 * results.speed[key]["cpu"]["median_seconds"],
                "megabytes": cost["bytes"] / 1e6,
                "parameters": cost["parameters"],
                "macs": cost["macs"],
                "learned": low > baseline,
                "not_learned": [task["task"] for task in scores if not task["systems"][place]["learned"]],
                "notes": notes.get((row.regime, row.name)),
            }
        )
    return found


def _left_out(place: int, reason: str) -> SummaryEntry:
    return {
        "system": place,
        "score": None,
        "interval": None,
        "speedup": None,
        "milliseconds": None,
        "megabytes": None,
        "parameters": None,
        "macs": None,
        "learned": False,
        "not_learned": [],
        "notes": reason,
    }


def _summary_notes(results: Results) -> dict[tuple[str, str], str]:
    """The summary's notes by regime and name."""
    summary = read_table("summary", Path(results.layout.table("summary")), "")
    return {(str(row[0]), str(row[1])): str(row[-1]) for row in summary["rows"] if row[-1]}


def _curve(results: Results, model: str) -> CurveEntry:
    curve = read_curve(results, model)
    return {
        "model": results.study.models[model].name,
        "architecture": results.study.models[model].architecture.type,
        "training": _thinned(curve.kept),
        "validation": _thinned(curve.validation),
        "lost": [_thinned(segment) for segment in curve.lost],
        "restarts": curve.restarts,
        "plateau": results.pretraining_summary(model).unigram_loss,
    }


def _thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most so many of the points, the last one among them."""
    every = -(-len(points) // MOST_POINTS) or 1
    kept = points[::-1][::every][::-1]
    return [(step, round(loss, 4)) for step, loss in kept]


def _published(results: Results, rows: list[Row]) -> list[PublishedEntry]:
    study = results.study
    recorded, (speedups, _) = results.scores(study.tasks), summary_speedups(results)
    keys: dict[tuple[str, str], tuple[Regime, str]] = {
        (row.regime, row.name): (row.regime, row.model) for row in rows if not row.left_out
    }
    same_tasks = has_the_thesis_tasks(study)
    found: list[PublishedEntry] = []
    for (regime, model), figures in printed_figures().items():
        key = keys.get((regime, model))
        found.append(
            {
                "regime": regime,
                "model": model,
                "score": float(figures["score"]),
                "measured_score": float(truncate(mean_score(study, recorded, *key)))
                if key and same_tasks
                else None,
                "speedup": float(figures["speedup"].removesuffix("x")),
                "measured_speedup": float(speedups[key]) if key else None,
            }
        )
    return found


def _plain(caption: str) -> str:
    """A caption without the marks of reStructuredText."""
    return caption.replace("``", "").replace("**", "").replace("*", "")
