"""Choosing each task's teacher among the fine-tuned models. No torch.

The rule `validation` takes the model of lowest validation loss, as the thesis did. Losses of different vocabularies are comparable
for classification (a mean over the same examples) and for tagging under `label_subwords: first` (a mean over the same words, up
to truncation). They are less so for tagging with `label_subwords: all` (models that cut words into more pieces average over
more tokens) and for question answering (windows and positions depend on the vocabulary). The thesis compared them all the
same; where that matters, name the teachers with `rule: list`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from ligero.common.errors import ConfigurationError, MismatchError
from ligero.distillation.records import TeacherChoice
from ligero.settings.distillation import published_teacher
from ligero.settings.jobs import TeacherJob
from ligero.training.records import read_selection


def choose_teacher(
    job: TeacherJob,
    selections: Iterable[Path],
    tokenizers: Mapping[str, str],
) -> TeacherChoice:
    """The teacher of a task and why it was chosen.

    Args:
        selections: `R/selection/fine-tuning/MODEL/TASK.json` of all candidates; others are ignored.
        tokenizers: of each model.

    Raises:
        ConfigurationError: the named teacher is no candidate, or no candidate has a finite loss.
        MismatchError: losses decide, and a candidate has no selection among those given.
    """
    found = {
        selection["trial"]["model"]: selection
        for selection in map(read_selection, selections)
        if selection["trial"]["task"] == job.task_id
    }
    losses = {model: _finite(found[model]["best"]["loss"]) for model in job.candidates if model in found}
    if job.choice is not None:
        teacher, rule = job.choice, "list"
    elif job.rule == "published":
        teacher, rule = published_teacher(job.task_id, job.task_name, job.candidates), "published"
    else:
        if missing := [model for model in job.candidates if model not in found]:
            raise MismatchError(
                f"teachers: none of the given files is the selection of {', '.join(missing)} on '{job.task_id}'. "
                "Select again: snakemake --forcerun select_trials select_trial."
            )
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
    together = _best(losses, job.number) if rule == "validation" else [teacher]
    return TeacherChoice(
        task=job.task_id,
        teacher=teacher,
        rule=rule,
        losses=losses,
        model_digest=found[teacher]["model_digest"],
        weights=weights_of({model: losses[model] or 0.0 for model in together}, job.weighting),
        tokenizers={model: tokenizers[model] for model in together},
    )


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


def _best(losses: Mapping[str, float | None], number: int) -> list[str]:
    """The models with the lowest loss, best first; ties keep the order of the study."""
    finite = {model: loss for model, loss in losses.items() if loss is not None}
    return sorted(finite, key=lambda model: finite[model])[:number]


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None
