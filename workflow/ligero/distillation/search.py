"""The thesis' search over distillation's hyper-parameters: Optuna with TPE and Hyperband pruning, minimising validation loss.

FACTS of the search space: rate U(1e-5, 1e-4), alpha U(0, 1), temperature in {1, 2, 5}, loss in {kl, ce, mse}. TPE: Bergstra et al.
(NIPS 2011); Hyperband: Li et al. (JMLR 2018).

The storage is an append-only journal file, so a kill at any moment loses nothing and several workers may share it. A worker
holds a lock on its trial while it lives. A trial whose worker on this machine died is continued under its own number, from its last
checkpoint, and the sampler is seeded by that number: one worker that was killed and started again finds what it would have found
otherwise.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import optuna
from optuna.trial import FrozenTrial, TrialState

from ligero.common.errors import DataError, LigeroError, MismatchError
from ligero.common.locks import Claim
from ligero.distillation.journal import open_journal
from ligero.settings.distillation import Distillation

LOSSES: tuple[str, ...] = get_args(Distillation.model_fields["loss"].annotation)
TEMPERATURES = (1.0, 2.0, 5.0)
ALPHA = (0.0, 1.0)
RATE = (1e-5, 1e-4)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
"""A failed trial is one that diverged; a worker that is killed leaves its trial running."""
_WORKER = "worker"
_SECONDS = "seconds"


@dataclass(frozen=True)
class Point:
    """What a trial of the study tries."""

    loss: str
    alpha: float
    temperature: float
    learning_rate: str
    """As a string with six significant digits, as everywhere."""


class DivergedTrialError(LigeroError):
    """No validation loss of a trial was finite."""


Report = Callable[[int, float], None]
"""Takes epoch (1-based) and validation loss; raises optuna.TrialPruned when the trial shall end."""


def open_study(
    path: Path, name: str, identity: str, *, max_epochs: int, min_epochs: int = 1, seed: int = 42
) -> optuna.Study:
    """Open or create the study in a journal file.

    Args:
        identity: digest of everything that its trials have in common.
        max_epochs: Hyperband's largest resource; min_epochs its smallest.

    Raises:
        MismatchError: the file holds a study of other data, weights or settings.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=name,
        storage=open_journal(path),
        direction="minimize",
        pruner=optuna.pruners.HyperbandPruner(min_resource=min_epochs, max_resource=max_epochs),
        load_if_exists=True,
    )
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("seed", seed)
        study.set_user_attr("max_epochs", max_epochs)
        study.set_user_attr("identity", identity)  # last: where it stands, all stands
    elif known != identity:
        raise MismatchError(
            f"{path}: holds a study of other data, weights, logits or settings ({known}, now {identity}). Move it away, or choose "
            "another --state-dir."
        )
    return study


def read_study(path: Path, name: str) -> optuna.Study:
    """Open a study to read what it found.

    Raises:
        DataError: there is no journal, or it holds no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not path.is_file():
        raise DataError(path, None, "no such journal.", "Run search_hyperparameters.py.")
    try:
        return optuna.load_study(study_name=name, storage=open_journal(path))
    except KeyError as error:
        raise DataError(path, None, f"it holds no study '{name}'.", "Choose another --state-dir.") from error


def suggest(trial: optuna.Trial) -> Point:
    """A point of the thesis' search space; a trial that is continued gets its own again.

    The sampler is seeded for each value: a trial that was killed between two of them draws the second as it would have.
    """
    draws: dict[str, Callable[[], Any]] = {
        "loss": lambda: trial.suggest_categorical("loss", list(LOSSES)),
        "alpha": lambda: trial.suggest_float("alpha", *ALPHA),
        "temperature": lambda: trial.suggest_categorical("temperature", list(TEMPERATURES)),
        "learning_rate": lambda: f"{trial.suggest_float('learning_rate', *RATE):.6g}",
    }
    drawn = {}
    for place, (name, draw) in enumerate(draws.items()):
        _seed_sampler(trial.study, trial.number, place)
        drawn[name] = draw()
    return Point(**drawn)


def run_study(
    study: optuna.Study, trials: int, evaluate: Callable[[Point, Path, Report], float], folder: Path
) -> int:
    """Work on a study until it has this many finished trials (completed, pruned or diverged); returns how many ended here.

    Args:
        evaluate: trains one point, keeps its state in the folder it is given, reports each epoch, and returns the lowest loss;
            may raise DivergedTrialError.
        folder: of the trials' states and locks, shared by all workers; a trial's own is removed when it has ended.
    """
    mine = 0
    while finished_trials(study) < trials:
        trial, claim = _claimed_trial(study, folder)
        with claim:
            state = folder / f"trial-{trial.number:05d}"
            began = time.monotonic()
            value, ended = None, TrialState.COMPLETE
            try:
                value = evaluate(suggest(trial), state, _reporter(trial))
            except optuna.TrialPruned:
                ended = TrialState.PRUNED
            except DivergedTrialError as error:
                print(f"trial {trial.number}: {error}", file=sys.stderr)
                ended = TrialState.FAIL
            # What a killed worker spent on the trial before this one took it over is not known.
            trial.set_user_attr(_SECONDS, round(time.monotonic() - began, 2))
            study.tell(trial, value, state=ended)
            mine += 1
            shutil.rmtree(state, ignore_errors=True)
            claim.path.unlink(missing_ok=True)
    return mine


def finished_trials(study: optuna.Study) -> int:
    """How many trials have ended, whoever ran them."""
    return sum(trial.state in FINISHED for trial in study.get_trials(deepcopy=False))


def _claimed_trial(study: optuna.Study, folder: Path) -> tuple[optuna.Trial, Claim]:
    """A trial whose worker died, or a new one, with its lock. One worker chooses at a time: a trial that no worker has signed yet
    is one whose worker died, not one that is about to sign."""
    with Claim(folder / "choosing.lock").take():
        for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            host = str(frozen.user_attrs.get(_WORKER, "")).rpartition(":")[0]
            if host not in ("", socket.gethostname()):
                continue
            claim = Claim(_claim_path(folder, frozen.number))
            if not claim.try_take():
                continue
            if study.get_trials(deepcopy=False)[frozen.number].state != TrialState.RUNNING:
                claim.path.unlink(missing_ok=True)
                claim.__exit__()  # its worker ended it just now
                continue
            _seed_sampler(study, frozen.number)
            trial = optuna.Trial(study, frozen._trial_id)
            break
        else:
            _seed_sampler(study, len(study.get_trials(deepcopy=False)))
            trial = study.ask()
            claim = Claim(_claim_path(folder, trial.number)).take()
        trial.set_user_attr(_WORKER, _this_worker())
        return trial, claim


def _claim_path(folder: Path, number: int) -> Path:
    return folder / f"claim-{number:05d}.lock"


def _seed_sampler(study: optuna.Study, number: int, place: int = 0) -> None:
    """What is drawn for a trial depends on the study's seed, the trial's number and the trials before it; `place` tells its
    values apart."""
    seed = (int(study.user_attrs["seed"]) * 1_000_003 + number * 101 + place) % 2**32
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)


def _reporter(trial: optuna.Trial) -> Report:
    """What a worker that died reported is not reported again; whether the trial shall end after its last report is asked again."""
    last = max(trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values, default=0)
    longest = trial.study.user_attrs["max_epochs"]

    def report(epoch: int, loss: float) -> None:
        if epoch < last:
            return
        if epoch > last:
            trial.report(loss, epoch)
        if epoch < longest and ((epoch == last and _would_have_ended(trial)) or trial.should_prune()):
            raise optuna.TrialPruned

    return report


def _would_have_ended(trial: optuna.Trial) -> bool:
    """The pruner's answer to the last report of a worker that died, which may have got it and died before it ended the trial.

    The pruner writes that a trial has reached a rung before it answers, and lets pass whoever has reached it. So it is asked in a
    copy of the study, where the trial reports all its epochs once more.
    """
    study = trial.study
    replay = optuna.create_study(study_name=study.study_name, direction=study.direction, pruner=study.pruner)
    trials = study.get_trials()
    values = dict(trials[trial.number].intermediate_values)
    trials[trial.number].intermediate_values = {}
    trials[trial.number].system_attrs = {}
    replay.add_trials(trials)
    again = optuna.Trial(replay, replay.get_trials(deepcopy=False)[trial.number]._trial_id)
    ends = False
    for epoch, loss in sorted(values.items()):
        again.report(loss, epoch)
        ends = again.should_prune()
    return ends


def _this_worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def table_of(study: optuna.Study) -> list[dict[str, Any]]:
    """One row a finished trial, in the order of their numbers."""
    return [
        {
            "number": trial.number,
            "state": trial.state.name.lower(),
            "validation_loss": _last_value(trial),
            "epochs": max(trial.intermediate_values, default=0),
            **{name: trial.params.get(name) for name in ("loss", "alpha", "temperature", "learning_rate")},
            "seconds": trial.user_attrs.get(_SECONDS),
        }
        for trial in study.get_trials(deepcopy=False, states=FINISHED)
    ]


def best_per_loss(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The completed trial of lowest validation loss for each loss function, best first."""
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["state"] != "complete":
            continue
        known = best.get(row["loss"])
        if known is None or row["validation_loss"] < known["validation_loss"]:
            best[row["loss"]] = row
    return sorted(best.values(), key=lambda row: row["validation_loss"])


def importances(study: optuna.Study) -> dict[str, float]:
    """Share of each hyper-parameter in good trials being good (PED-ANOVA, Watanabe et al. 2023); empty below four trials."""
    completed = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(completed) < 4 or len({trial.value for trial in completed}) < 2:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _last_value(trial: FrozenTrial) -> float | None:
    if trial.value is not None:
        return float(trial.value)
    return min((value for value in trial.intermediate_values.values() if math.isfinite(value)), default=None)


def study_summary(study: optuna.Study) -> dict[str, Any]:
    """What a study found, as a JSON value."""
    rows = table_of(study)
    return {
        "study": study.study_name,
        "trials": len(rows),
        "pruned": sum(row["state"] == "pruned" for row in rows),
        "failed": sum(row["state"] == "fail" for row in rows),
        "best_per_loss": best_per_loss(rows),
        "importances": json.loads(json.dumps(importances(study))),
    }
