"""Tables of what validation chose: hyper-parameters and teachers."""

from __future__ import annotations

import math

import pandas as pd

from ligero.distillation.records import TeacherChoice
from ligero.reporting.frames import Cells, joined, printed, table
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.study import Study
from ligero.training.records import SelectionRecord, stopped_early


def teachers(results: Results) -> pd.DataFrame:
    """The teacher of each task, by which rule it was chosen, and the validation losses that it was chosen by; next best: of those that
    do not teach.
    """
    study = results.study
    rows = []
    for task_id, task in study.tasks.items() if study.distillation else ():
        chosen = results.teacher(task_id)
        losses = {model: loss for model, loss in chosen["losses"].items() if loss is not None}
        ranked = sorted((model for model in losses), key=lambda model: losses[model])
        second = next((model for model in ranked if model not in chosen["weights"]), None)
        rows.append(
            {
                "dataset": task.name,
                "teacher": study.models[chosen["teacher"]].name,
                "rule": chosen["rule"],
                "validation_loss": _loss(losses.get(chosen["teacher"])),
                "next_best": study.models[second].name if second else None,
                "next_best_validation_loss": _loss(losses[second]) if second else None,
                "notes": joined(
                    [together_note(study, chosen), None if losses else "the rule needs no validation losses"]
                ),
            }
        )
    columns = ["dataset", "teacher", "rule", "validation_loss", "next_best", "next_best_validation_loss"]
    return table(columns, rows, study.scale)


def together_note(study: Study, chosen: TeacherChoice) -> str | None:
    """The models that teach beside the teacher; None where it teaches alone."""
    others = [study.models[model].name for model in chosen["weights"] if model != chosen["teacher"]]
    return f"teaches together with {', '.join(others)}" if others else None


def best_hyperparameters(results: Results) -> pd.DataFrame:
    """The chosen trial of every system on every task."""
    study = results.study
    rows = []
    for regime, model in plan.systems(study):
        for task_id, task in study.tasks.items():
            rows.append(
                {
                    "regime": regime,
                    "model": plan.system_name(study, regime, model),
                    "task": task.name,
                    **_chosen(results.selection(regime, model, task_id)),
                }
            )
    columns = [
        "regime",
        "model",
        "task",
        "batch_size",
        "epochs",
        "learning_rate",
        "seed",
        "best_epoch",
        "best_step",
        "validation_loss",
        "validation_score",
        "trials",
    ]
    return table(columns, rows, study.scale)


def _chosen(selection: SelectionRecord) -> Cells:
    trial, best, stopped = selection["trial"], selection["best"], stopped_early(selection)
    return {
        "batch_size": trial["batch_size"],
        "epochs": trial["epochs"],
        "learning_rate": trial["learning_rate"],
        "seed": trial["seed"],
        "best_epoch": _number(best["epoch"]),
        "best_step": best["step"],
        "validation_loss": _loss(best["loss"]),
        "validation_score": printed(best["score"]),
        "trials": len(selection["candidates"]),
        "notes": f"successive halving stopped {stopped} trials early" if stopped else None,
    }


def _loss(loss: float | None) -> str | None:
    return None if loss is None or not math.isfinite(loss) else f"{loss:.4f}"


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
