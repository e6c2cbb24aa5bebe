"""Selection: the best by validation, ties, what is kept and what is deleted, and the model card."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ligero.common.errors import DataError, LigeroError, MismatchError
from ligero.common.records import DamagedError, read_record, write_record
from ligero.models.digests import digest_weights, write_weights_digest
from ligero.reporting.model_card import parameters_in
from ligero.settings.jobs import SelectionJob
from ligero.settings.plan import Trial
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from ligero.training.losing_weights import keep_best_weights
from ligero.training.records import stopped_early
from ligero.training.selection import best_trial, select
from tests.builders.weights import weights_file


def job(rates: list[str], metric: str = "loss") -> SelectionJob:
    trials = [
        Trial(model="m", task="t", batch_size=8, epochs=2, learning_rate=rate, seed=1) for rate in rates
    ]
    return SelectionJob(
        regime="fine-tuning",
        model_id="m",
        task_id="t",
        metric="accuracy",
        selection_metric=metric,
        trials=tuple(trials),
    )


def results(work: SelectionJob, folder: Path, figures: list[tuple[float, float]]) -> list[dict[str, Any]]:
    made = []
    for trial, (loss, score) in zip(work.trials, figures, strict=True):
        best = folder / "t" / trial.id / "best"
        best.mkdir(parents=True, exist_ok=True)
        (best / "config.json").write_text('{"model_type": "albert", "id2label": {"0": "no", "1": "sí"}}')
        (best / "model.safetensors").write_bytes(weights_file(trial.id))
        write_weights_digest(best)
        (best / "tokenizer.json").write_text(trial.id)
        TokenizerInfo("BertTokenizer", True, 10, {}, True, 0).write(best)
        made.append(
            {
                "trial": trial.model_dump(mode="json"),
                "id": trial.id,
                "best": {"epoch": 1, "step": 10, "loss": loss, "score": score},
                "stopped": "epochs",
                "seconds": 1.0,
                "device": "cpu",
                "micro_batch_size": 8,
                "group_digest": "g",
                "weights_digest": digest_weights(best),
            }
        )
    return made


def test_lowest_loss_or_highest_score_and_the_first_of_equals(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5", "3e-5", "5e-5"])
    made = results(work, tmp_path, [(0.5, 90.0), (0.4, 80.0), (0.4, 95.0), (0.6, 95.0)])
    assert best_trial(made, "loss")["id"] == work.trials[1].id
    assert best_trial(made, "score")["id"] == work.trials[2].id


def test_diverged_trials_are_not_chosen(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5"])
    made = results(work, tmp_path, [(None, None), (0.4, 80.0)])  # type: ignore[list-item]
    for metric in ("loss", "score"):
        assert best_trial(made, metric)["id"] == work.trials[1].id
        with pytest.raises(LigeroError, match="m on t: the validation loss of no trial was ever finite"):
            best_trial(made[:1], metric)


def test_stopped_trials_are_not_chosen(tmp_path: Path) -> None:
    """Not even where a record says that one was the best."""
    work = job(["1e-5", "2e-5", "3e-5"])
    made = results(work, tmp_path, [(0.1, 99.0), (0.5, 70.0), (0.4, 80.0)])
    made[0]["stopped"] = "halving"
    write_record(tmp_path / "0.json", {"trials": made})
    chosen = select(work, [tmp_path / "0.json"], tmp_path, tmp_path / "s.json", tmp_path / "model")
    assert chosen["id"] == work.trials[2].id
    assert [candidate["stopped"] for candidate in chosen["candidates"]] == ["halving", "epochs", "epochs"]
    assert stopped_early(chosen) == 1


def test_trials_of_other_data_are_not_compared(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5"])
    made = results(work, tmp_path / "state", [(0.5, 1.0), (0.4, 1.0)])
    write_record(
        tmp_path / "0.json", {"trials": [{**made[0], "group_digest": "a"}, {**made[1], "group_digest": "b"}]}
    )
    with pytest.raises(MismatchError, match=r"cannot be compared\..*--forcerun finetune_model\."):
        select(
            work, [tmp_path / "0.json"], tmp_path / "state", tmp_path / "selection.json", tmp_path / "model"
        )


def test_the_model_is_put_at_its_place_and_the_others_are_deleted(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5", "3e-5"])
    made = results(work, tmp_path / "state", [(0.5, 1.0), (0.4, 1.0), (0.6, 1.0)])
    # In two shards and another order: the grid's order decides, not that of the files.
    write_record(tmp_path / "0.json", {"trials": [made[2]]})
    write_record(
        tmp_path / "1.json", {"trials": [made[1], made[0], {**made[0], "trial": {"task": "u", "model": "m"}}]}
    )
    out = tmp_path / "models" / "t"
    for _ in range(2):  # a second run finds the winner's weights still there
        selection = select(
            work,
            [tmp_path / "0.json", tmp_path / "1.json"],
            tmp_path / "state",
            tmp_path / "s.json",
            out,
        )
    assert selection == read_record(tmp_path / "s.json")
    assert selection["id"] == work.trials[1].id
    assert [candidate["id"] for candidate in selection["candidates"]] == [trial.id for trial in work.trials]
    assert (out / "model.safetensors").read_bytes() == weights_file(work.trials[1].id)
    kept = [(tmp_path / "state" / "t" / trial.id / "best").exists() for trial in work.trials]
    assert kept == [False, True, False]


@pytest.mark.parametrize(("metric", "kept"), [("loss", "a"), ("score", "b")])
def test_of_a_grid_that_runs_only_the_best_finished_trial_keeps_its_weights(
    tmp_path: Path, metric: str, kept: str
) -> None:
    figures = {
        "a": (0.2, 50.0),
        "b": (0.3, 70.0),
        "c": (0.4, 60.0),
        "diverged": (None, 90.0),
        "running": None,
    }
    grid: list[Any] = []
    for name, figure in figures.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").touch()
        record = figure and {
            "id": name,
            "best": {"loss": figure[0], "score": figure[1]},
            "stopped": "epochs",
        }
        trial = SimpleNamespace(id=name)
        grid.append(SimpleNamespace(trial=trial, best=tmp_path / name, finished=lambda record=record: record))
    keep_best_weights(grid, metric)
    assert {path.parent.name for path in tmp_path.rglob("*.safetensors")} == {kept, "running"}


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5"])
    made = results(work, tmp_path, [(0.5, 1.0), (0.4, 1.0)])
    best = tmp_path / "t" / work.trials[1].id / "best"
    where = tmp_path, tmp_path / "s.json", tmp_path / "out"
    write_record(tmp_path / "0.json", {"trials": made[:1]})
    with pytest.raises(
        MismatchError,
        match=r"no result of 1 trials of m on t, the first is batch8-epochs2-rate2e-5-seed1\..*--forcerun finetune_model\.",
    ):
        select(work, [tmp_path / "0.json"], *where)
    write_record(tmp_path / "1.json", {"trials": made})
    with pytest.raises(MismatchError, match="two shard files"):
        select(work, [tmp_path / "0.json", tmp_path / "1.json"], *where)
    (best / "model.safetensors").write_bytes(weights_file("another"))
    with pytest.raises(DamagedError, match=r"not what was written.*--forcerun finetune_model"):
        select(work, [tmp_path / "1.json"], *where)
    write_weights_digest(best)
    with pytest.raises(DamagedError, match=r"not the weights of trial batch8-epochs2-rate2e-5"):
        select(work, [tmp_path / "1.json"], *where)
    (best / "model.safetensors").unlink()
    with pytest.raises(DataError, match="not the folder of a model"):
        select(work, [tmp_path / "1.json"], *where)
    (best / "config.json").unlink()
    with pytest.raises(DamagedError, match=r"weights of the best trial are missing"):
        select(work, [tmp_path / "1.json"], *where)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_text("another")])
def test_a_model_without_its_tokenizer_is_not_selected(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    work = job(["1e-5"])
    shard = tmp_path / "0.json"
    write_record(shard, {"trials": results(work, tmp_path, [(0.5, 1.0)])})
    damage(tmp_path / "t" / work.trials[0].id / "best" / "tokenizer.json")
    with pytest.raises(DamagedError, match=r"tokenizer\.json: (no such|it was).*--forcerun finetune_model"):
        select(work, [shard], tmp_path, tmp_path / "s.json", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_edited_loss_does_not_win(tmp_path: Path) -> None:
    work = job(["1e-5", "2e-5"])
    made = results(work, tmp_path, [(0.5, 1.0), (0.4, 1.0)])
    shard = tmp_path / "0.json"
    write_record(shard, {"trials": made})
    shard.write_text(shard.read_text().replace("0.5", "0.1"))
    with pytest.raises(DamagedError, match=r"0\.json: it was changed after it was written"):
        select(work, [shard], tmp_path, tmp_path / "s.json", tmp_path / "out")


def test_a_card_of_damaged_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for content in (b"", b"abc", struct.pack("<Q", 5) + b"not j", struct.pack("<Q", 2) + b"[]"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="not a safetensors file"):
            parameters_in(path)


def test_selection_needs_no_torch() -> None:
    import subprocess

    root = Path(__file__).parents[2]
    code = "import sys; sys.path[:0] = ['workflow', 'workflow/scripts']; import select_trials, write_cards, score_baselines, encode_task; "
    code += "print([name for name in ('torch', 'transformers', 'pandas', 'pyarrow') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
