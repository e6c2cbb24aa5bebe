"""What the grids of a study came to: every trial, and what successive halving saves, or would have saved, and whether it chooses the same.

A replay reads the validations that each trial recorded, so it needs no training. What another choice is worth on the test split it
can't say: of a grid's trials only the selected one is scored there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from ligero.reporting.frames import Cells, table
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.plan import Trial
from ligero.settings.study import Regime
from ligero.settings.training import Halving
from ligero.training.halving import losers
from ligero.training.records import TrialRecord
from ligero.training.selection import best_trial

FACTORS = (2, 3, 4)
MIN_EPOCHS = (1, 2)


@dataclass(frozen=True)
class Replay:
    """A grid of one system and task under successive halving.

    Attributes:
        steps: of the optimiser that all trials take without halving; halved_steps: with it. Both of a study that itself has halving
            count stopped trials without it as if they ended by no other reason.
        selected: id of the trial that is chosen without halving, halved_selects: with it; None where that is unknown.
        more_loss: by how much the validation loss of the one that halving chooses is higher; less_score: by how many points its
            validation score is lower.
    """

    regime: Regime
    model: str
    task: str
    halving: Halving
    trials: int
    stopped: int
    steps: int
    halved_steps: int
    selected: str | None
    halved_selects: str
    more_loss: float | None
    less_score: float | None

    @property
    def same(self) -> bool | None:
        """Whether both choose the same trial."""
        return None if self.selected is None else self.selected == self.halved_selects


def trials_table(results: Results) -> pd.DataFrame:
    """One row per trial of every grid: what it scored, why and after which epoch it ended, whether it was selected."""
    rows = []
    for regime, model in plan.systems(results.study):
        for record in results.trials(regime, model):
            trial, best = record["trial"], record["best"]
            chosen = results.selection(regime, model, trial["task"])["id"] == record["id"]
            rows.append(
                {
                    **trial,
                    "regime": regime,
                    "epochs_trained": record["curve"][-1]["epoch"],
                    "steps": record["curve"][-1]["step"],
                    "ended_by": record["stopped"],
                    "best_epoch": best["epoch"],
                    "validation_loss": best["loss"],
                    "validation_score": best["score"],
                    "selected": "yes" if chosen else "no",
                    "seconds": record["seconds"],
                    "notes": _why(record),
                }
            )
    columns = (
        "regime",
        *("model", "task", "batch_size", "epochs", "learning_rate", "seed", "epochs_trained", "steps"),
        *("ended_by", "best_epoch", "validation_loss", "validation_score", "selected", "seconds"),
    )
    return table(columns, rows, results.study.scale)


def _why(record: TrialRecord) -> str | None:
    if (at := record.get("halved")) is None:
        return None if record["best"]["loss"] is not None else "diverged"
    return f"place {at['place']} of {at['of']} after epoch {at['epoch']}, of which {at['kept']} continued"


def replays(results: Results) -> Iterator[Replay]:
    """Every grid that has something to halve, under every factor; of a study with halving what it did."""
    for regime, model in plan.systems(results.study):
        stage = plan.stage_of(results.study, regime)
        by_task: dict[str, list[TrialRecord]] = {}
        for record in results.trials(regime, model):
            by_task.setdefault(record["trial"]["task"], []).append(record)
        for task, records in by_task.items():
            if stage.options.evaluate_every_steps or task in stage.evaluate_every_steps:
                continue
            own = [stage.halving] if stage.halving else [*_candidates()]
            trials = [Trial.model_validate(record["trial"]) for record in records]
            for halving in own:
                if plan.stops_some(trials, halving):
                    metric = plan.selection_metric_of(results.study, regime, task)
                    yield _replay(regime, halving, records, metric)


def _candidates() -> Iterator[Halving]:
    for factor in FACTORS:
        for epochs in MIN_EPOCHS:
            yield Halving(factor=factor, min_epochs=epochs)


def _replay(regime: Regime, halving: Halving, records: list[TrialRecord], metric: str) -> Replay:
    by_trial = {Trial.model_validate(record["trial"]): record for record in records}
    first = next(iter(by_trial))
    stopped = [record for record in records if record["stopped"] == "halving"]
    if stopped:
        halved, steps = records, sum(map(_whole, records))
    else:
        cut = dict(losers(list(by_trial), halving, metric, lambda trial, epochs: by_trial[trial]))
        halved, steps = (
            [cut.get(trial, record) for trial, record in by_trial.items()],
            sum(map(_steps, records)),
        )
    chosen = best_trial(halved, metric)
    best = None if stopped else best_trial(records, metric)
    return Replay(
        regime=regime,
        model=first.model,
        task=first.task,
        halving=halving,
        trials=len(records),
        stopped=sum(record["stopped"] == "halving" for record in halved),
        steps=steps,
        halved_steps=sum(map(_steps, halved)),
        selected=best["id"] if best else None,
        halved_selects=chosen["id"],
        more_loss=_difference(chosen, best, "loss"),
        less_score=_difference(best, chosen, "score"),
    )


def _steps(record: TrialRecord) -> int:
    return record["curve"][-1]["step"]


def _whole(record: TrialRecord) -> int:
    """Steps of a trial without halving: of a stopped one those of all its epochs."""
    if record["stopped"] != "halving":
        return _steps(record)
    return round(_steps(record) / record["curve"][-1]["epoch"] * record["trial"]["epochs"])


def _difference(one: TrialRecord | None, other: TrialRecord | None, key: str) -> float | None:
    if one is None or other is None:
        return None
    first, second = (record["best"]["loss" if key == "loss" else "score"] for record in (one, other))
    return None if first is None or second is None else first - second


def replays_table(found: list[Replay], scale: str) -> pd.DataFrame:
    """One row per system, task and kind of halving."""
    rows = [
        {
            "regime": one.regime,
            "model": one.model,
            "task": one.task,
            **_kind(one.halving),
            "trials": one.trials,
            "stopped": one.stopped,
            "steps": one.steps,
            "halved_steps": one.halved_steps,
            "steps_saved": _percent(one.steps - one.halved_steps, one.steps),
            "selected": one.selected,
            "halved_selects": one.halved_selects,
            "same": None if one.same is None else "yes" if one.same else "no",
            "more_validation_loss": _rounded(one.more_loss, 4),
            "less_validation_score": _rounded(one.less_score, 2),
        }
        for one in found
    ]
    columns = (
        *("regime", "model", "task", "factor", "min_epochs", "trials", "stopped", "steps", "halved_steps"),
        *(
            "steps_saved",
            "selected",
            "halved_selects",
            "same",
            "more_validation_loss",
            "less_validation_score",
        ),
    )
    return table(columns, rows, scale)


def halving_table(found: list[Replay], scale: str) -> pd.DataFrame:
    """One row per kind of halving: what it saves of all grids together, and where it chooses as the whole grid does."""
    rows: list[Cells] = [] if found else [{"notes": "no grid has trials that halving would stop"}]
    for regime, halving in dict.fromkeys((one.regime, one.halving) for one in found):
        members = [one for one in found if (one.regime, one.halving) == (regime, halving)]
        known = [one for one in members if one.same is not None]
        lost = [one.less_score for one in known if one.less_score is not None]
        loss = [one.more_loss for one in known if one.more_loss is not None]
        steps = sum(one.steps for one in members)
        rows.append(
            {
                "regime": regime,
                **_kind(halving),
                "grids": len(members),
                "trials": sum(one.trials for one in members),
                "stopped": sum(one.stopped for one in members),
                "steps_saved": _percent(steps - sum(one.halved_steps for one in members), steps),
                "same_choice": f"{sum(bool(one.same) for one in known)} of {len(known)}" if known else None,
                "mean_less_validation_score": _rounded(sum(lost) / len(lost), 2) if lost else None,
                "most_less_validation_score": _rounded(max(lost), 2) if lost else None,
                "mean_more_validation_loss": _rounded(sum(loss) / len(loss), 4) if loss else None,
                "notes": None if known else "what the stopped trials would have come to is unknown",
            }
        )
    columns = (
        *("regime", "factor", "min_epochs", "grids", "trials", "stopped", "steps_saved", "same_choice"),
        *("mean_less_validation_score", "most_less_validation_score", "mean_more_validation_loss"),
    )
    return table(columns, rows, scale)


def _kind(halving: Halving) -> Cells:
    return {"factor": halving.factor, "min_epochs": halving.min_epochs}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _rounded(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{round(value, digits) + 0.0:.{digits}f}"  # no -0.00
