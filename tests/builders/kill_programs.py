"""What the kill tests run in processes of their own: a shard of a grid, a worker of a study, a job that caches logits.

Each writes its outcome to a file at its end, and goes on from what it finds when it is started again.
Imported here is also what a run imports late (optimisers import torch._dynamo), so that the processes find it loaded.
"""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet  # noqa: F401
import torch
import torch._dynamo
import transformers.models.albert.modeling_albert  # noqa: F401

import ligero.models.heads  # noqa: F401
from ligero.common.files import write_json
from ligero.distillation import teacher_logits
from ligero.distillation.logit_cache import cache_digest
from ligero.distillation.records import LogitsMeta
from ligero.distillation.search import Point, open_search, rows_of, run_search
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.digests import write_weights_digest
from ligero.settings.jobs import SelectionJob, ShardJob
from ligero.settings.plan import Trial
from ligero.settings.training import Halving, TrainingOptions
from ligero.training import shard as shards
from ligero.training.records import SelectionRecord, TrialRecord, write_shard
from ligero.training.selection import select
from ligero.training.trial import run_trial
from tests.builders.distillation import toy_model, toy_split
from tests.builders.encoding import TAGGED, encoded, encoder, prepared, task
from tests.builders.models import small_architecture

KIND = "token_classification"
ARCHITECTURE = small_architecture("albert", 1, intermediate_size=16)
TRIALS = tuple(
    Trial(model="m", task="t", batch_size=batch, epochs=3, learning_rate=rate, seed=42)
    for batch in (2, 4)
    for rate in ("5e-3", "2e-2")
)


def nothing() -> None:
    """What the first process does, while the server starts."""


def prepare_grid(folder: Path) -> None:
    """Weights and data that every run of the grid reads."""
    encoded(folder, prepared(folder / "tasks", KIND, TAGGED * 10), KIND, max_length=20)
    model = build_for_pretraining(make_config(ARCHITECTURE, encoder().vocabulary_size, 2))
    model.save_pretrained(folder / "weights")
    write_weights_digest(folder / "weights")
    for name in ("fast_tokenizer.json", "tokenizer_info.json"):
        (folder / "weights" / name).write_bytes((folder / name).read_bytes())


def shard(
    inputs: Path, out: Path, trials: tuple[Trial, ...] = TRIALS, halving: Halving | None = None
) -> list[TrialRecord]:
    """A shard of four trials that checkpoint every epoch."""
    torch.set_num_threads(1)
    every_epoch = functools.partial(run_trial, seconds_between_checkpoints=0.0)
    shards.run_trial = every_epoch  # type: ignore[attr-defined]
    records = shards.run_shard(
        ShardJob(
            regime="fine-tuning",
            model_id="m",
            architecture=ARCHITECTURE,
            num_hidden_layers=None,
            trials=trials,
            tasks={"t": task(KIND)},
            options=TrainingOptions(),
            distillation=None,
            halving=halving,
        ),
        weights=inputs / "weights",
        encoded_dir=inputs / "encoded",
        examples_dir=inputs / "tasks",
        state_dir=out / "state",
    )
    write_shard(out / "shard-0.json", records)
    return records


def selection(out: Path, model: Path, trials: tuple[Trial, ...] = TRIALS) -> SelectionRecord:
    """The selection among the trials of a shard."""
    job = SelectionJob(
        regime="fine-tuning",
        model_id="m",
        task_id="t",
        metric="seqeval_f1",
        selection_metric="loss",
        trials=trials,
    )
    return select(job, [out / "shard-0.json"], out / "state", out / "selection.json", model)


def grid(inputs: Path, out: Path) -> None:
    """A shard of four trials, and the selection among them."""
    shard(inputs, out)
    selection(out, out / "model")
    write_json(out / "done.json", {})


def halved_grid(inputs: Path, out: Path) -> None:
    """The same with successive halving: of four trials two continue after an epoch, and one of these after two."""
    shard(inputs, out, halving=Halving(factor=2))
    selection(out, out / "model")
    write_json(out / "done.json", {})


def search(_: Path, out: Path) -> None:
    """A worker of a search of ten trials whose epochs last a few milliseconds."""

    def evaluate(point: Point, folder: Path, report: Any) -> float:
        folder.mkdir(parents=True, exist_ok=True)
        for epoch in range(1, 6):
            time.sleep(0.004)
            report(epoch, point.alpha + 0.01 * point.temperature + 1 / epoch)
        return point.alpha + 0.01 * point.temperature

    found = open_search(out / "search.journal", "toy", "x", max_epochs=5, seed=7)
    run_search(found, 10, evaluate, out)
    rows = [{name: value for name, value in row.items() if name != "seconds"} for row in rows_of(found)]
    write_json(out / "done.json", rows)


def cache(_: Path, out: Path) -> None:
    """A teacher's logits over 120 sentences, in parts of about 60 tokens."""
    torch.set_num_threads(1)
    split = toy_split(KIND, 2, 120, max_length=20)
    depends_on: Any = {"weights": "w"}
    parts = teacher_logits.compute_parts(
        toy_model(KIND), split, out / "state", cache_digest(depends_on), dtype="float32", part_tokens=60
    )
    teacher_logits.assemble(
        parts,
        out / "cache",
        split,
        LogitsMeta(task="toy", teacher="t", depends_on=depends_on, together={"t": 1.0}),
    )
    write_json(out / "done.json", {})
