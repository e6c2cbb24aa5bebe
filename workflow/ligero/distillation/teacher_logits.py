"""Running a teacher once over a training split: in parts that survive a kill, gathered into one cache."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ligero.common.progress import progress
from ligero.common.records import check_listed, digests_of, read_record, write_record
from ligero.distillation.logit_cache import (
    Dtype,
    LogitCache,
    Logits,
    cache_digest,
    read_logits,
    write_logits,
)
from ligero.distillation.records import LogitsMeta, LogitsRun, read_meta
from ligero.distillation.token_layout import Ints, TokenLayout, layout_of
from ligero.settings.base import ResolvedPrecision
from ligero.settings.jobs import LogitsJob
from ligero.settings.training import TrainingOptions
from ligero.training.evaluate import Predictions, predict
from ligero.training.features import EncodedSplit

PART_TOKENS = 1 << 18
"""Tokens of a part: a few seconds on a GPU and some minutes on a CPU, which is what a kill costs at most."""
PART_REMEDY = "Delete both and start again: that part is computed once more."

_TOKEN_COLUMNS = ("input_ids", "token_type_ids", "word_ids", "word_labels", "labels", "start", "end")


def part_bounds(lengths: Ints, part_tokens: int = PART_TOKENS) -> list[tuple[int, int]]:
    """Feature ranges [from, to) of the parts, each with about `part_tokens` tokens; a pure function of the lengths."""
    parts = (np.cumsum(lengths) - lengths) // part_tokens
    starts = np.flatnonzero(np.diff(parts, prepend=-1))
    return list(zip(starts.tolist(), [*starts[1:].tolist(), len(lengths)], strict=True))


def features_between(split: EncodedSplit, start: int, stop: int) -> EncodedSplit:
    """The features [start, stop) of a split."""
    low, high = int(split.offsets[start]), int(split.offsets[stop])

    def cut(name: str) -> Ints:
        column: Ints = getattr(split, name)
        return column[low:high] if name in _TOKEN_COLUMNS else column[start:stop]

    names = {field.name for field in fields(split)} - {"task_type", "offsets"}
    offsets = split.offsets[start : stop + 1] - low
    return EncodedSplit(split.task_type, offsets=offsets, **{name: cut(name) for name in names})


def entry_logits(split: EncodedSplit, layout: TokenLayout, predictions: Predictions) -> Logits:
    """Float32 [N, C]: the predictions at the layout's entries."""
    if split.task_type == "sequence_classification":
        return predictions.logits
    flat = split.offsets[layout.features] + layout.positions
    if split.task_type == "question_answering":
        return np.stack([predictions.start[flat], predictions.end[flat]], axis=1)
    return predictions.logits[flat]


def compute_parts(
    teacher: nn.Module,
    split: EncodedSplit,
    folder: Path,
    digest: str,
    *,
    dtype: Dtype,
    precision: ResolvedPrecision = "fp32",
    max_features: int | None = None,
    part_tokens: int = PART_TOKENS,
) -> list[Path]:
    """Compute the parts that are missing in `folder` and return the paths of all.

    A part of another teacher has another digest in its name and is not looked at. A part is there when its record is.
    Where memory runs out, the smaller batches are noted beside the parts (`halvings_of`) and hold for all parts that follow,
    also after a kill.
    """
    bounds = part_bounds(split.lengths, part_tokens)
    paths = [folder / f"part-{digest}-{n:05d}-of-{len(bounds):05d}.arrow" for n in range(len(bounds))]
    halvings = halvings_of(folder, digest)
    with progress(total=len(split), label="teacher logits", unit="feature") as bar:
        for path, (start, stop) in zip(paths, bounds, strict=True):
            record = path.with_suffix(".json")
            if not record.is_file():
                began = time.perf_counter()
                part = features_between(split, start, stop)
                known = len(halvings)
                predictions = predict(
                    teacher, part, precision=precision, max_features=max_features, halvings=halvings
                )
                if len(halvings) > known:
                    write_record(_noted(folder, digest), {"halvings": halvings})
                layout = layout_of(part)
                with np.errstate(over="ignore"):  # write_logits refuses what overflowed
                    logits = entry_logits(part, layout, predictions).astype(dtype)
                seconds = time.perf_counter() - began
                write_logits(path, split.task_type, layout, logits, digest)
                files = digests_of(folder, [path.name])
                write_record(record, {"seconds": round(seconds, 3), "files": files})
            bar.update(stop - start)
    return paths


def _noted(folder: Path, digest: str) -> Path:
    return folder / f"halvings-{digest}.json"


def halvings_of(folder: Path, digest: str) -> list[dict[str, int]]:
    """Where memory ran out while the parts in `folder` were computed: from, to."""
    noted = _noted(folder, digest)
    return read_record(noted)["halvings"] if noted.is_file() else []


def assemble(parts: Iterable[Path], folder: Path, split: EncodedSplit, meta: LogitsMeta) -> LogitCache:
    """Join the parts into one cache and open it; the parts may be deleted afterwards."""
    digest = cache_digest(meta["depends_on"])
    checked = [check_listed(path.with_suffix(".json"), path.name, PART_REMEDY) for path in parts]
    logits = np.concatenate([read_logits(path, split.task_type, digest)[1] for path in checked])
    LogitCache.write(folder, split.task_type, layout_of(split), logits, meta)
    return LogitCache.open(folder)


def record_caches(folder: Path, caches: Mapping[str, LogitCache]) -> None:
    """Write the digests of all teachers' caches into the `meta.json` of the first, so that students see when any of them changes."""
    digests = {teacher: cache_digest(cache.meta["depends_on"]) for teacher, cache in caches.items()}
    write_record(folder / "meta.json", {**read_meta(folder), "caches": digests})


def build_cache(
    job: LogitsJob,
    teacher: str,
    *,
    models_dir: Path,
    encoded: Path,
    out: Path,
    state: Path,
    together: Mapping[str, float],
) -> tuple[LogitCache, LogitsRun]:
    """Run one teacher over a task's training split and write its cache; finished parts in `state` are kept and used.

    Returns:
        The cache and what it cost.

    Args:
        models_dir: `R/models/fine-tuning`.
        encoded: `R/encoded/TOKENIZER/TASK` of the teacher.
        together: weights of all the task's teachers, written into meta.json.
    """
    from ligero.distillation.digests import logit_digests
    from ligero.models.heads import load_selected
    from ligero.models.precision import resolve_once
    from ligero.training.steps import device_name, training_device

    folder = models_dir / teacher / job.task_id
    options = TrainingOptions(max_words=job.max_words)
    split = EncodedSplit.load(encoded / "train.parquet", job.task_type, options)
    depends_on = logit_digests(folder, job.task_type, job.labels, split, encoded)
    depends_on |= {"dtype": job.dtype, "precision": job.precision}
    digest = cache_digest(depends_on)
    device = training_device()
    # What it resolves to is no part of the digest: caches and students that are finished stay valid on another device.
    precision = resolve_once(job.precision, device, state / f"precision-{digest}.json")
    parts = compute_parts(
        load_selected(folder, job.task_type).to(device),
        split,
        state,
        digest,
        dtype=job.dtype,
        precision=precision,
        max_features=job.micro_batch_size,
    )
    meta = LogitsMeta(task=job.task_id, teacher=teacher, depends_on=depends_on, together=dict(together))
    cost = LogitsRun(
        teacher=teacher,
        seconds=round(sum(read_record(path.with_suffix(".json"))["seconds"] for path in parts), 3),
        device=device_name(device),
        threads=torch.get_num_threads(),
        precision=precision,
        halvings=halvings_of(state, digest),
    )
    return assemble(parts, out, split, meta), cost
