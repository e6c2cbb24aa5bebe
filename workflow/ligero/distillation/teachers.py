"""Choosing each task's teacher among the fine-tuned models. No torch.

The rule `validation` takes the model of lowest validation loss, as the thesis did. Losses of different vocabularies are comparable
for classification (a mean over the same examples) and for tagging under `label_subwords: first` (a mean over the same words, up
to truncation). They are less so for tagging with `label_subwords: all` (models that cut words into more pieces average over
more tokens) and for question answering (windows and positions depend on the vocabulary). The thesis compared them all the
same; where that matters, name the teachers with `rule: list`.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import read_json
from ligero.common.published import THESIS_TABLES
from ligero.settings.jobs import TeacherJob

PUBLISHED = THESIS_TABLES / "teachers.csv"
"""The thesis' table: columns dataset and teacher, by their printed names."""


def choose_teacher(
    job: TeacherJob, selections: Iterable[Path], published: Path = PUBLISHED
) -> dict[str, Any]:
    """The teacher of a task and why it was chosen.

    Args:
        selections: `R/selection/fine-tuning/MODEL/TASK.json` of the candidates; others are ignored.

    Returns:
        {task, teacher, rule ("validation", "published" or "list"), losses {model: validation loss or null}, folder, model_digest,
        weights {model: weight} of the teachers that teach together}.

    Raises:
        ConfigurationError: the named teacher is no candidate, or no candidate has a finite loss.
    """
    found = {
        selection["trial"]["model"]: selection
        for selection in map(read_json, selections)
        if selection["trial"]["task"] == job.task_id
    }
    losses = {model: _finite(found[model]["best"].get("loss")) for model in job.candidates if model in found}
    if job.choice is not None:
        teacher, rule = job.choice, "list"
    elif job.rule == "published":
        teacher, rule = published_teacher(job, published), "published"
    else:
        best = _best(losses, 1)
        if not best:
            raise ConfigurationError(
                f"teachers: no candidate has a finite validation loss on '{job.task_id}'"
            )
        teacher, rule = best[0], "validation"
    if teacher not in found:
        raise ConfigurationError(
            f"teachers: '{teacher}' is to teach task '{job.task_id}', but there is no selection of its trials among "
            f"{', '.join(found) or 'none'}"
        )
    selection = found[teacher]
    together = _best(losses, job.number) if rule == "validation" else [teacher]
    return {
        "task": job.task_id,
        "teacher": teacher,
        "rule": rule,
        "losses": losses,
        "folder": selection["folder"],
        "model_digest": selection.get("model_digest"),
        "weights": weights_of({model: losses[model] or 0.0 for model in together}, job.weighting),
    }


def weights_of(losses: Mapping[str, float], weighting: str) -> dict[str, float]:
    """Weights of several teachers, summing to 1.

    Args:
        losses: model id to validation loss, the best first.
        weighting: "mean" weighs all alike, "validation" by exp(-loss): the geometric mean of the probabilities that a teacher
            gives to the gold labels of the validation split.
    """
    lowest = min(losses.values())
    shares = {m: math.exp(lowest - loss) if weighting == "validation" else 1.0 for m, loss in losses.items()}
    return {model: share / sum(shares.values()) for model, share in shares.items()}


def published_teacher(job: TeacherJob, table: Path = PUBLISHED) -> str:
    """Id of the model that taught a task in the thesis; task and models are recognised by their names in the tables.

    Raises:
        ConfigurationError: the table has no such task, or its teacher is no model of this study.
    """
    try:
        with table.open(encoding="utf-8", newline="") as handle:
            rows = {_plain(row["dataset"]): row["teacher"] for row in csv.DictReader(handle)}
    except (OSError, KeyError) as error:
        raise DataError(table, None, f"not a table with columns dataset and teacher: {error}.") from error
    wanted = rows.get(_plain(job.task_name))
    if wanted is None:
        raise ConfigurationError(
            f"teachers.rule: 'published', but the thesis names no teacher for task '{job.task_id}' ({job.task_name}). "
            f"Name one under teachers.choices.{job.task_id}, or use rule 'validation'."
        )
    by_name = {_plain(name): model for model, name in job.candidates.items()}
    if _plain(wanted) not in by_name:
        raise ConfigurationError(
            f"teachers.rule: 'published' asks for {wanted} as the teacher of '{job.task_id}', which is no candidate of this study "
            f"({', '.join(job.candidates.values()) or 'none'}). Add the model, or name a teacher under teachers.choices.{job.task_id}."
        )
    return by_name[_plain(wanted)]


def _best(losses: Mapping[str, float | None], number: int) -> list[str]:
    """The models of lowest loss, best first; of equals the one that stands first in the study."""
    finite = {model: loss for model, loss in losses.items() if loss is not None}
    return sorted(finite, key=lambda model: finite[model])[:number]


def _finite(loss: Any) -> float | None:
    return float(loss) if loss is not None and math.isfinite(loss) else None


def _plain(name: str) -> str:
    """A name without case, spaces and punctuation, so that 'TAR / XQuAD' and 'tar-xquad' are one."""
    return re.sub(r"[^a-z0-9]", "", name.casefold())
