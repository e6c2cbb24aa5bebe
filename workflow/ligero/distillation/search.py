"""The thesis' search over distillation's hyper-parameters: Optuna with TPE and Hyperband pruning, minimising validation loss.

FACTS of the search space: rate U(1e-5, 1e-4), alpha U(0, 1), temperature in {1, 2, 5}, loss in {kl, ce, mse}. TPE: Bergstra et al.
(NIPS 2011); Hyperband: Li et al. (JMLR 2018).

Optuna's storage is an append-only journal that several workers share. A worker that is killed loses the trial that it was training,
which stays unfinished and is not counted; the others, and the worker when it is started again, go on.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from ligero.common.errors import DataError, LigeroError, MismatchError
from ligero.common.file_locks import file_lock
from ligero.common.hashing import digest_value
from ligero.common.records import DamagedError
from ligero.distillation.records import SearchRow, SearchSummary
from ligero.settings.distillation import Distillation

LOSSES: tuple[str, ...] = get_args(Distillation.model_fields["loss"].annotation)
TEMPERATURES = (1.0, 2.0, 5.0)
ALPHA = (0.0, 1.0)
RATE = (1e-5, 1e-4)
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
"""A failed trial is one that diverged; a worker that is killed leaves its trial running."""
_SECONDS = "seconds"
_OUTCOME = "outcome"
"""Digest of what a trial drew and found."""


@dataclass(frozen=True)
class Point:
    """What a trial of the search tries."""

    loss: str
    alpha: float
    temperature: float
    learning_rate: str
    """As a string with six significant digits, as everywhere."""


class DivergedTrialError(LigeroError):
    """No validation loss of a trial was finite."""


Report = Callable[[int, float], None]
"""Takes epoch (1-based) and validation loss; raises optuna.TrialPruned when the trial shall end."""


def open_search(path: Path, name: str, digest: str, *, max_epochs: int, seed: int = 42) -> optuna.Study:
    """Open or create the search in a journal file.

    Args:
        digest: of everything that its trials have in common.
        max_epochs: Hyperband's largest resource; its smallest is one.

    Raises:
        MismatchError: the file holds a search with other data, weights or settings.
        DamagedError: the outcome of a trial in it is not what was written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    search = optuna.create_study(
        study_name=name,
        storage=_open_journal(path),
        direction="minimize",
        pruner=optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max_epochs),
        load_if_exists=True,
    )
    _check_outcomes(path, search)
    known = search.user_attrs.get("digest")
    if known is None:
        search.set_user_attr("seed", seed)
        search.set_user_attr("max_epochs", max_epochs)
        search.set_user_attr("digest", digest)  # last: where it is recorded, all is
    elif known != digest:
        raise MismatchError(
            f"{path}: holds a search with other data, weights, logits or settings ({known}, now {digest}). Move it away, or choose "
            "another --state-dir."
        )
    return search


def read_search(path: Path, name: str) -> optuna.Study:
    """Open a search to read what it found.

    Raises:
        DataError: there is no journal, or it holds no such search.
        DamagedError: the outcome of a trial in it is not what was written.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if not path.is_file():
        raise DataError(path, None, "no such journal.", "Run search_hyperparameters.py.")
    try:
        search = optuna.load_study(study_name=name, storage=_open_journal(path))
    except KeyError as error:
        raise DataError(path, None, f"it holds no search '{name}'.", "Choose another --state-dir.") from error
    _check_outcomes(path, search)
    return search


def _check_outcomes(path: Path, search: optuna.Study) -> None:
    """Refuse a journal in which the outcome of a trial is not what was written.

    Raises:
        DamagedError: the message says which.
    """
    for trial in search.get_trials(deepcopy=False, states=FINISHED):
        if trial.user_attrs.get(_OUTCOME) != _outcome(trial, trial.value, trial.state):
            remedy = "Move it away: the search begins anew."
            raise DamagedError(path, None, f"trial {trial.number} was changed after it was written.", remedy)


def _outcome(trial: FrozenTrial, value: float | None, state: TrialState) -> str:
    """Digest of what a trial drew and found; the value of one that was pruned is among its reports."""
    reports = {str(epoch): repr(float(loss)) for epoch, loss in trial.intermediate_values.items()}
    found = repr(float(value)) if value is not None and state == TrialState.COMPLETE else None
    return digest_value([trial.params, reports, state.name, found])


def _open_journal(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path), lock_obj=_JournalLock(path)))


class _JournalLock(JournalFileOpenLock):
    """A lock that ends with its process; Optuna's would keep all other workers waiting for half a minute.

    A record that a full disk or a power cut left half written is cut off before the next is appended: Optuna refuses a journal with
    one in its middle.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._journal, self._held = path, file_lock(path.with_name(f"{path.name}.flock"))

    def acquire(self) -> bool:
        self._held.acquire()
        with self._journal.open("rb+") as file:
            content = file.read() if _ends_within_a_line(file.fileno()) else b""
            if content:
                file.truncate(content.rfind(b"\n") + 1)
        return True

    def release(self) -> None:
        self._held.release()


def _ends_within_a_line(handle: int) -> bool:
    size = os.fstat(handle).st_size
    return size > 0 and os.pread(handle, 1, size - 1) != b"\n"


def suggest(trial: optuna.Trial) -> Point:
    """A point of the thesis' search space."""
    return Point(
        loss=trial.suggest_categorical("loss", list(LOSSES)),
        alpha=trial.suggest_float("alpha", *ALPHA),
        temperature=trial.suggest_categorical("temperature", list(TEMPERATURES)),
        learning_rate=f"{trial.suggest_float('learning_rate', *RATE):.6g}",
    )


def run_search(
    search: optuna.Study, trials: int, evaluate: Callable[[Point, Path, Report], float], folder: Path
) -> int:
    """Work on a search until it has this many finished trials (completed, pruned or diverged); returns how many ended here.

    Args:
        evaluate: trains one point, keeps its state in the folder it is given, reports each epoch, and returns the lowest loss;
            may raise DivergedTrialError.
        folder: of the trials' states; a trial's own is removed when it has ended.
    """
    mine = 0
    while finished_trials(search) < trials:
        # What is drawn depends on the search's seed, the trial's number and the trials before it.
        number = len(search.get_trials(deepcopy=False))
        seed = (int(search.user_attrs["seed"]) * 1_000_003 + number * 101) % 2**32
        search.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
        trial = search.ask()
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
        trial.set_user_attr(_SECONDS, round(time.monotonic() - began, 2))
        so_far = search.get_trials(deepcopy=False)[trial.number]
        trial.set_user_attr(_OUTCOME, _outcome(so_far, value, ended))
        search.tell(trial, value, state=ended)
        mine += 1
        shutil.rmtree(state, ignore_errors=True)
    return mine


def finished_trials(search: optuna.Study) -> int:
    """How many trials have ended, whoever ran them."""
    return sum(trial.state in FINISHED for trial in search.get_trials(deepcopy=False))


def _reporter(trial: optuna.Trial) -> Report:
    longest = trial.study.user_attrs["max_epochs"]

    def report(epoch: int, loss: float) -> None:
        trial.report(loss, epoch)
        if epoch < longest and trial.should_prune():
            raise optuna.TrialPruned

    return report


def rows_of(search: optuna.Study) -> list[SearchRow]:
    """The finished trials, in the order of their numbers."""
    return [
        SearchRow(
            number=trial.number,
            state=trial.state.name.lower(),
            validation_loss=_lowest_loss(trial),
            epochs=max(trial.intermediate_values, default=0),
            loss=trial.params.get("loss"),
            alpha=trial.params.get("alpha"),
            temperature=trial.params.get("temperature"),
            learning_rate=trial.params.get("learning_rate"),
            seconds=trial.user_attrs.get(_SECONDS),
        )
        for trial in search.get_trials(deepcopy=False, states=FINISHED)
    ]


def best_per_loss(rows: list[SearchRow]) -> list[SearchRow]:
    """The completed trial of lowest validation loss for each loss function, best first."""
    best: dict[str | None, SearchRow] = {}
    for row in sorted((row for row in rows if row["state"] == "complete"), key=_loss_of):
        best.setdefault(row["loss"], row)
    return list(best.values())


def importances(search: optuna.Study) -> dict[str, float]:
    """Share of each hyper-parameter in good trials being good (PED-ANOVA, Watanabe et al. 2023); empty below four trials."""
    completed = search.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(completed) < 4 or len({trial.value for trial in completed}) < 2:
        return {}
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    found = optuna.importance.get_param_importances(search, evaluator=evaluator)
    return {name: float(share) for name, share in found.items()}


def summarise(search: optuna.Study) -> SearchSummary:
    """What a search found."""
    rows = rows_of(search)
    return SearchSummary(
        search=search.study_name,
        trials=len(rows),
        pruned=sum(row["state"] == "pruned" for row in rows),
        failed=sum(row["state"] == "fail" for row in rows),
        best_per_loss=best_per_loss(rows),
        importances=importances(search),
        rows=rows,
    )


def _lowest_loss(trial: FrozenTrial) -> float | None:
    """What a completed trial reported, or the lowest finite loss of another's epochs (Optuna's value is that of its last)."""
    if trial.state == TrialState.COMPLETE:
        return trial.value
    return min((value for value in trial.intermediate_values.values() if math.isfinite(value)), default=None)


def _loss_of(row: SearchRow) -> float:
    return math.inf if row["validation_loss"] is None else row["validation_loss"]
