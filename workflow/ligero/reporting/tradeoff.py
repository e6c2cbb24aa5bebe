"""The trade-off of a study: each system's score against its cost, with paired bootstrap intervals from stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ligero.common.errors import MismatchError
from ligero.common.files import read_json
from ligero.common.records import check_file
from ligero.efficiency.pareto import (
    REFERENCE_FACTOR,
    RETENTIONS,
    Floats,
    ReferenceFront,
    cheapest_retaining,
    hypervolume_contributions,
    non_dominated,
)
from ligero.reporting.records import Axis, Figure, Measured, Outcome, Retaining
from ligero.reporting.results import Results, Row
from ligero.settings.jobs import TaskSpec
from ligero.tasks.bootstrap import interval, resampled
from ligero.tasks.metrics import HEADLINE
from ligero.tasks.tagged_files import read_columns
from ligero.training.scoring import SCORE_REMEDY, Examples, answers_file, score_answered

AXES: tuple[Axis, ...] = ("macs", "milliseconds", "bytes")
SEED = 42


@dataclass(frozen=True)
class Scores:
    """Scores of all systems on one task, or their means over several.

    Attributes:
        rows: the systems that were run.
        points: on the whole test sets, [systems].
        samples: on resampled ones, the same for all systems, [systems, samples].
        baseline: score without a model.
        teachers: places of the tasks' teachers among the rows; none where nobody teaches.
        taught: the teachers' score, first on the whole test sets, then on each resample, [1 + samples]; None where nobody teaches.
    """

    rows: tuple[Row, ...]
    points: Floats
    samples: Floats
    baseline: float
    teachers: tuple[int, ...]
    taught: Floats | None

    @classmethod
    def of_task(cls, results: Results, task_id: str) -> Scores:
        """Read the stored predictions of every system on a task.

        Raises:
            DataError: predictions or examples are missing or malformed.
            MismatchError: they do not give the score that was recorded.
        """
        study, task = results.study, TaskSpec.of(results.study.tasks[task_id])
        rows = tuple(row for row in results.rows() if not row.left_out)
        examples = Examples.load(Path(results.layout.root, "tasks", task_id, "test.parquet"), task.type)
        metric = HEADLINE[task.metric]
        units, points = [], []
        for row in rows:
            scored = score_answered(task, stored_answers(results, row, task_id, examples), examples).scored
            recorded = results.score(row.regime, row.model, task_id)["score"]
            if abs(scored.metrics[metric] - recorded) > 1e-6:
                raise MismatchError(
                    f"{predictions_path(results, row, task_id)}: its answers give {scored.metrics[metric]:.4f}, but the recorded score is "
                    f"{recorded:.4f}. One of them is not of this run: score the systems again (snakemake --forcerun score_systems)."
                )
            units.append(scored.units)
            points.append(scored.metrics[metric])
        samples = resampled(units, scored.statistics[metric], seed=SEED)
        places: tuple[int, ...] = ()
        if study.distillation:
            teacher = results.teacher(task_id)["teacher"]
            places = tuple(
                n for n, row in enumerate(rows) if (row.regime, row.model) == ("fine-tuning", teacher)
            )
        return cls.whole(
            rows, np.array(points), samples, results.baselines([task_id])[task_id]["score"], places
        )

    @classmethod
    def whole(
        cls,
        rows: tuple[Row, ...],
        points: Floats,
        samples: Floats,
        baseline: float,
        teachers: tuple[int, ...],
    ) -> Scores:
        """Scores on one task; `teachers` has its teacher's place, if there is one."""
        taught = np.concatenate([points[[teachers[0]]], samples[teachers[0]]]) if teachers else None
        return cls(rows, points, samples, baseline, teachers, taught)

    @classmethod
    def mean(cls, parts: Sequence[Scores]) -> Scores:
        """Means over tasks; each task's examples are resampled on their own.

        Tasks of equally many examples drew the same places in the same resample, so each is shifted by another number of resamples,
        for all systems alike.
        """
        taught = [
            np.concatenate([part.taught[:1], np.roll(part.taught[1:], shift)])
            for shift, part in enumerate(parts)
            if part.taught is not None
        ]
        return cls(
            parts[0].rows,
            np.mean([part.points for part in parts], axis=0),
            np.mean([np.roll(part.samples, shift, axis=1) for shift, part in enumerate(parts)], axis=0),
            float(np.mean([part.baseline for part in parts])),
            tuple(place for part in parts for place in part.teachers),
            np.mean(taught, axis=0) if len(taught) == len(parts) else None,
        )


def predictions_path(results: Results, row: Row, task_id: str) -> Path:
    """The file of a system's stored test predictions."""
    folder = Path(results.layout.root, "predictions", row.regime, row.model)
    return answers_file(folder, task_id, results.study.tasks[task_id].type)


def stored_answers(results: Results, row: Row, task_id: str, examples: Examples) -> list[Any]:
    """A system's answers on the test split, one an example, as they were stored when it was scored.

    Raises:
        DamagedError: they were changed after they were scored.
        MismatchError: they are of other examples.
    """
    path = predictions_path(results, row, task_id)
    recorded = results.score(row.regime, row.model, task_id)["predictions_digest"]
    check_file(path, recorded, SCORE_REMEDY)
    if results.study.tasks[task_id].type == "token_classification":
        answers: list[Any] = [[tag for *_, tag in sentence] for sentence in read_columns(path)]
        if list(map(len, answers)) != list(map(len, examples.columns["words"])):
            raise MismatchError(
                f"{path}: holds other sentences than {examples.path}; score the systems again."
            )
        return answers
    found = read_json(path)
    if missing := [identity for identity in examples.columns["id"] if identity not in found]:
        raise MismatchError(
            f"{path}: no answer to '{missing[0]}' of {examples.path}; score the systems again."
        )
    return [found[identity] for identity in examples.columns["id"]]


def costs(results: Results, rows: Sequence[Row], axis: Axis) -> Floats:
    """Costs of systems: thop's MACs, median milliseconds of one input on the CPU, or bytes of the weights."""
    if axis == "milliseconds":
        return np.array(
            [1000 * results.speed[row.regime, row.model]["cpu"]["median_seconds"] for row in rows]
        )
    return np.array([float(results.efficiency[row.regime, row.model][axis]) for row in rows])


def measure(results: Results) -> list[Measured]:
    """Each task of the study, and where there are several all of them, against each cost.

    Raises:
        DataError, MismatchError: as `Scores.of_task`.
    """
    scores = {task_id: Scores.of_task(results, task_id) for task_id in results.study.tasks}
    return measure_scores(results, scores)


def measure_scores(results: Results, scores: Mapping[str, Scores]) -> list[Measured]:
    """The same from scores by task."""
    scopes: list[tuple[str | None, Scores]] = list(scores.items())
    if len(scopes) > 1:
        scopes.append((None, Scores.mean(list(scores.values()))))
    return [_measured(results, task_id, found, axis) for task_id, found in scopes for axis in AXES]


def _measured(results: Results, task_id: str | None, scores: Scores, axis: Axis) -> Measured:
    spent = costs(results, scores.rows, axis)
    reference = next(
        number
        for number, row in enumerate(scores.rows)
        if (row.regime, row.model) == ("fine-tuning", results.study.efficiency.reference)
    )
    reference_cost = REFERENCE_FACTOR * float(spent[reference])
    return {
        "task": task_id,
        "axis": axis,
        "reference_cost": reference_cost,
        "reference_score": scores.baseline,
        "systems": _outcomes(scores, spent, reference_cost),
        "retaining": [] if scores.taught is None else _retaining(scores, spent, scores.taught),
    }


def _outcomes(scores: Scores, spent: Floats, reference_cost: float) -> list[Outcome]:
    fine_tuned = [number for number, row in enumerate(scores.rows) if row.regime == "fine-tuning"]
    front = ReferenceFront.of(spent, scores.points, fine_tuned)
    # The whole test set is the first column, the resamples are the others.
    all_scores = np.concatenate([scores.points[:, None], scores.samples], axis=1)
    gains = front.gains(spent, all_scores)
    added = hypervolume_contributions(spent, all_scores, reference_cost, scores.baseline)
    efficient = non_dominated(spent, all_scores)
    kept = None
    if scores.taught is not None and (scores.taught > 0).all():
        kept = 100 * all_scores / scores.taught
    return [
        {
            "regime": row.regime,
            "model": row.model,
            "cost": float(spent[number]),
            "score": _figure(all_scores[number]),
            "gain": None if np.isnan(gains[number, 0]) else _figure(gains[number]),
            "contribution": _figure(added[number]),
            "efficient": bool(efficient[number, 0]),
            "probability": float(efficient[number, 1:].mean()),
            "retention": None if kept is None else _figure(kept[number]),
            "in_reference": number in front.members,
        }
        for number, row in enumerate(scores.rows)
    ]


def _figure(values: Floats) -> Figure:
    """A figure, [1 + samples], with the interval of its resamples."""
    return Figure(float(values[0]), *interval(values[1:]))


def _retaining(scores: Scores, spent: Floats, taught: Floats) -> list[Retaining]:
    found: list[Retaining] = []
    teacher_cost = float(spent[list(scores.teachers)].mean())
    for share in RETENTIONS:
        best = cheapest_retaining(spent, scores.points, float(taught[0]), share)
        if best is None:
            found.append({"share": share, "regime": None, "model": None, "saving": None, "probability": None})
            continue
        row = scores.rows[best]
        probability = float((scores.samples[best] >= share * taught[1:]).mean())
        saving = teacher_cost / float(spent[best])
        found.append(
            {
                "share": share,
                "regime": row.regime,
                "model": row.model,
                "saving": saving,
                "probability": probability,
            }
        )
    return found
