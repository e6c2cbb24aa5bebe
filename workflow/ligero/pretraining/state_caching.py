"""Running a teacher once over a share of the corpus: in parts that survive a kill, gathered into one folder of states.

Student and teacher read the same passages (passages.py), each in its own vocabulary; the teacher sees the text as the corpus has it, so a
cased one sees capitals that an uncased student does not. What is kept of the teacher is, for each span that both sides cut
alike (shared_spans.py), the mean of its tokens' states: normalised, averaged over some layers, projected (projection.py). Reading the
hidden states by words has been done for teacher and student with one vocabulary (Jiao et al., "TinyBERT", Findings of EMNLP 2020, section 3.1;
Aguilar et al., "Knowledge distillation from internal representations", AAAI 2020).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import atomic_directory, atomic_path
from ligero.common.hashing import digest_file, digest_value
from ligero.common.progress import progress
from ligero.common.records import check_listed, digests_of, read_record, write_record
from ligero.corpus.token_store import SplitInfo, SplitWriter, StoreInfo, write_info
from ligero.models.architectures import model_inputs
from ligero.models.digests import check_weights
from ligero.models.heads import load_encoder
from ligero.models.precision import autocast, resolve_once
from ligero.pretraining.passages import passages
from ligero.pretraining.projection import Projection
from ligero.pretraining.records import StatesInfo
from ligero.pretraining.shared_spans import shared_spans, windows
from ligero.settings.jobs import StatesJob, digest
from ligero.tokenizers.fast_tokenizer import INFO_FILE, FastTokenizer
from ligero.training.steps import device_name, training_device

Ints = NDArray[np.integer[Any]]
PART_TOKENS = 1 << 17
"""Tokens of a part: about a minute on one core, which is what a kill costs at most."""
BATCH_TOKENS = 1 << 12
FIT_TOKENS, VALIDATION_TOKENS = 50_000, 40_000
LEAST_TAUGHT = 0.5
LEAST_STATES = 2
"""Spans a component: from fewer, the last components are noise that their scaling blows up."""
PART_REMEDY = "Delete both and start again: that part is computed once more."
SPLITS = {"train": "train.txt.zst", "validation": "validation.txt.zst"}


@dataclass(frozen=True)
class Passage:
    """One passage in the tokens of both sides.

    Attributes:
        ids: the student's tokens; lengths: how many each line has.
        spans: of each of them, numbered from 0.
        theirs, their_spans: the same of the teacher.
        count: spans.
    """

    ids: Ints
    lengths: Ints
    spans: Ints
    theirs: Ints
    their_spans: Ints
    count: int


def encoded(lines: list[str], student: FastTokenizer, teacher: FastTokenizer) -> Passage:
    """A passage of `lines` for both sides; lines without tokens on either side are left out."""
    sides = [side.encode_batch(lines, add_special_tokens=False) for side in (student, teacher)]
    columns: list[list[Ints]] = [[], [], [], []]
    lengths, count = [], 0
    for ours, theirs in zip(*sides, strict=True):
        if not ours.ids or not theirs.ids:
            continue
        ends = [np.array([end for _, end in side.offsets]) for side in (ours, theirs)]
        our_spans, their_spans, found = shared_spans(*ends)
        for column, values in zip(
            columns,
            (
                np.array(ours.ids),
                np.where(our_spans < 0, -1, our_spans + count),
                np.array(theirs.ids),
                np.where(their_spans < 0, -1, their_spans + count),
            ),
            strict=True,
        ):
            column.append(values)
        lengths.append(len(ours.ids))
        count += found
    ids, spans, their_ids, their_spans = (np.concatenate(c or [np.zeros(0, np.int64)]) for c in columns)
    return Passage(ids, np.array(lengths, dtype=np.int64), spans, their_ids, their_spans, count)


class StateReader:
    """Runs a teacher over passages.

    Args:
        layers: whose states are averaged; the teacher has no more than the last of them.
        window: longest input, special tokens included.
    """

    def __init__(
        self, teacher: nn.Module, tokenizer: FastTokenizer, layers: Iterable[int], window: int, precision: Any
    ) -> None:
        self.device = training_device()
        self.teacher, self.tokenizer = teacher.eval().to(self.device), tokenizer
        self.layers, self.window, self.precision = tuple(layers), window, precision

    @torch.no_grad()
    def read(self, some: list[Passage]) -> Tensor:
        """The states of all spans of some passages, one after another, float32 [spans, H] on the CPU."""
        pieces, first = [], 0
        for passage in some:
            cuts = windows(passage.their_spans, self.window - 2)
            known = np.where(passage.their_spans < 0, -1, passage.their_spans + first)
            pieces += [(passage.theirs[a:b], known[a:b]) for a, b in pairwise(cuts.tolist())]
            first += passage.count
        # Like lengths together: hardly any padding.
        pieces.sort(key=lambda piece: len(piece[0]))
        width = int(self.teacher.config.hidden_size)  # type: ignore[union-attr, arg-type]
        sums, counts = torch.zeros(first, width), torch.zeros(first, 1)
        for batch in _batches(pieces):
            states, spans = self._states(batch), np.concatenate([spans for _, spans in batch])
            kept = torch.from_numpy(spans >= 0)
            rows = torch.from_numpy(spans)[kept]
            sums.index_add_(0, rows, states[kept])
            counts.index_add_(0, rows, torch.ones(len(rows), 1))
        return sums / counts.clamp(min=1)

    def _states(self, batch: list[tuple[Ints, Ints]]) -> Tensor:
        """Averaged, normalised states of the batch's text tokens, one row after another, [tokens, H]."""
        lengths = np.array([len(ids) for ids, _ in batch])
        column = np.arange(lengths.max() + 2)
        ids = np.full((len(batch), len(column)), self.tokenizer.pad, dtype=np.int64)
        text = (column > 0) & (column <= lengths[:, None])
        ids[:, 0] = self.tokenizer.cls
        ids[np.arange(len(batch)), lengths + 1] = self.tokenizer.sep
        ids[text] = np.concatenate([ids for ids, _ in batch])
        mask = torch.from_numpy(column < lengths[:, None] + 2).long().to(self.device)
        inputs = model_inputs(
            self.teacher.config,
            torch.from_numpy(ids).to(self.device),
            None if bool((lengths == lengths[0]).all()) else mask,
            None,
        )
        with autocast(self.precision, self.device):
            hidden = self.teacher(**inputs, output_hidden_states=True).hidden_states
        normalised = [functional.layer_norm(hidden[i].float(), hidden[i].shape[-1:]) for i in self.layers]
        return torch.stack(normalised).mean(0).cpu()[torch.from_numpy(text)]


def _batches(pieces: list[tuple[Ints, Ints]]) -> Iterator[list[tuple[Ints, Ints]]]:
    """Pieces, ascending by length, in batches of about BATCH_TOKENS."""
    batch: list[tuple[Ints, Ints]] = []
    for piece in pieces:
        if batch and (len(batch) + 1) * (len(piece[0]) + 2) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


@dataclass(frozen=True)
class Sources:
    """What the states are made of."""

    corpus: Path
    """Folder of the cleaned text."""
    store: Path
    """Folder of the corpus in the student's tokens, for its length."""
    tokenizer: Path
    """Folder of the student's."""
    teacher: Path
    """Folder of the teacher's weights."""
    teacher_tokenizer: Path


def cache_states(job: StatesJob, sources: Sources, out: Path, state: Path) -> StatesInfo:
    """Run the teacher over the passages of both splits and write the folder `out`; finished parts in `state` are kept and used.

    Raises:
        MismatchError: the two tokenizers hardly ever cut the text at the same places.
        DataError: a file is missing or damaged.
    """
    student, teacher = (FastTokenizer.load(one) for one in (sources.tokenizer, sources.teacher_tokenizer))
    store = StoreInfo.read(sources.store)
    key = digest_value([digest(job), check_weights(sources.teacher), teacher.info.files, store.files])
    device = training_device()
    precision = resolve_once(job.precision, device, state / f"precision-{key}.json", loss_scaling=False)
    encoder = load_encoder(sources.teacher, max(job.layers))
    reader = StateReader(encoder, teacher, job.layers, job.window, precision)
    shares = {
        split: min(1.0, wanted / max(store.splits[split].tokens, 1))
        for split, wanted in (("train", job.tokens), ("validation", VALIDATION_TOKENS))
    }
    texts = {split: sources.corpus / name for split, name in SPLITS.items()}
    available = store.splits["train"].tokens

    def drawn(split: str, share: float) -> Iterator[Passage]:
        for lines in passages(texts[split], job.seed, share):
            yield encoded(lines, student, teacher)

    projection = _projection(
        state / f"projection-{key}.safetensors",
        reader,
        drawn("train", shares["train"] * min(1.0, FIT_TOKENS / max(min(job.tokens, available), 1))),
        job,
        texts["train"],
    )
    parts: dict[str, list[Path]] = {}
    with progress(total=None, label=f"states of {job.teacher}", unit="token") as bar:
        for split, share in shares.items():
            parts[split] = []
            for number, some in enumerate(_grouped(drawn(split, share))):
                path = state / f"{split}-{key}-{number:05d}.safetensors"
                if not path.with_suffix(".json").is_file():
                    _write_part(path, some, reader, projection)
                parts[split].append(path)
                bar.update(sum(len(passage.ids) for passage in some))
    return _assemble(job, parts, projection, sources, out, key, device_name(device), precision)


def _projection(
    path: Path, reader: StateReader, sample: Iterator[Passage], job: StatesJob, text: Path
) -> Projection:
    """The projection that an earlier start left, or one fitted to a sample.

    Raises:
        DataError: the text is too short for so many components.
        MismatchError: the two tokenizers hardly ever cut it at the same places.
    """
    if not path.is_file():
        drawn = list(sample)
        states = reader.read(drawn)
        if len(states) < LEAST_STATES * job.dimensions:
            if drawn:
                spans = np.concatenate([passage.spans for passage in drawn])
                _refuse_strangers(job, int((spans < 0).sum()), len(spans))
            raise DataError(
                text,
                None,
                f"teacher and student share {len(states):,} spans in it, too few to find {job.dimensions} components of the states of "
                f"{job.teacher}: {LEAST_STATES * job.dimensions:,} are needed.",
                f"Add text to the corpus, or lower models.{job.model_id}.pretraining.teacher.dimensions.",
            )
        fitted = Projection.fit(states, job.dimensions)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as staging:
            fitted.save(staging)
    return Projection.load(path)


def _grouped(drawn: Iterator[Passage]) -> Iterator[list[Passage]]:
    """Passages in parts of PART_TOKENS."""
    part: list[Passage] = []
    for passage in drawn:
        part.append(passage)
        if sum(len(one.ids) for one in part) >= PART_TOKENS:
            yield part
            part = []
    if part:
        yield part


def _write_part(path: Path, some: list[Passage], reader: StateReader, projection: Projection) -> None:
    """Run the teacher over a part and write it, with a record of what it took."""
    from safetensors.torch import save_file

    began = time.perf_counter()
    states = projection(reader.read(some)).half()
    first = np.cumsum([0, *(passage.count for passage in some)])
    spans = [
        np.where(passage.spans < 0, -1, passage.spans + start)
        for passage, start in zip(some, first, strict=False)
    ]
    tensors = {
        "ids": np.concatenate([passage.ids for passage in some]).astype(np.int32),
        "spans": np.concatenate(spans).astype(np.int32),
        "lengths": np.concatenate([passage.lengths for passage in some]),
        "lines": np.array([len(passage.lengths) for passage in some]),
    }
    with atomic_path(path) as staging:
        save_file(
            {**{name: torch.from_numpy(value) for name, value in tensors.items()}, "states": states},
            str(staging),
        )
    record = {
        "seconds": round(time.perf_counter() - began, 3),
        "teacher_tokens": sum(len(passage.theirs) for passage in some),
        "files": digests_of(path.parent, [path.name]),
    }
    write_record(path.with_suffix(".json"), record)


def _assemble(
    job: StatesJob,
    parts: dict[str, list[Path]],
    projection: Projection,
    sources: Sources,
    out: Path,
    key: str,
    device: str,
    precision: str,
) -> StatesInfo:
    """Join the parts into the folder `out`."""
    from safetensors.numpy import load_file

    records = [read_record(path.with_suffix(".json")) for paths in parts.values() for path in paths]
    dtype = StoreInfo.read(sources.store).dtype
    splits: dict[str, SplitInfo] = {}
    counts: dict[str, int] = {}
    untaught = 0
    with atomic_directory(out) as staging:
        for split, paths in parts.items():
            spans: list[Ints] = []
            states: list[NDArray[np.float16]] = [np.zeros((0, job.dimensions), np.float16)]
            total = 0
            with SplitWriter(staging, split) as writer:
                for path in paths:
                    part = load_file(check_listed(path.with_suffix(".json"), path.name, PART_REMEDY))
                    lines = part["lines"][part["lines"] > 0]
                    writer.write(
                        part["ids"].astype(dtype).tobytes(),
                        part["lengths"],
                        np.cumsum(lines) - lines,
                    )
                    spans.append(np.where(part["spans"] < 0, -1, part["spans"] + total))
                    states.append(part["states"])
                    total += len(part["states"])
                splits[split] = writer.finish()
            joined = np.concatenate([np.zeros(0, np.int32), *spans]).astype(np.int32)
            np.save(staging / f"{split}.spans.npy", joined)
            np.save(staging / f"{split}.states.npy", np.concatenate(states))
            counts[split] = total
            if split == "train":
                untaught = int((joined < 0).sum())
                _refuse_strangers(job, untaught, len(joined))
        write_info(staging, dtype, digest_file(sources.tokenizer / INFO_FILE), splits)
        projection.save(staging / "projection.safetensors")
        kinds = [f"{split}.{kind}.npy" for split in parts for kind in ("spans", "states")]
        info = StatesInfo(
            teacher=job.teacher,
            depends_on=key,
            layers=list(job.layers),
            dimensions=job.dimensions,
            kept_variance=round(projection.kept, 4),
            tokens={split: info.tokens for split, info in splits.items()},
            spans=counts,
            untaught_tokens=untaught,
            teacher_tokens=sum(record["teacher_tokens"] for record in records),
            seconds=round(sum(record["seconds"] for record in records), 1),
            device=device,
            threads=torch.get_num_threads(),
            precision=precision,
            files=digests_of(staging, [*kinds, "projection.safetensors"]),
        )
        info.write(staging)
    return info


def _refuse_strangers(job: StatesJob, untaught: int, tokens: int) -> None:
    if untaught > (1 - LEAST_TAUGHT) * tokens or not tokens:
        raise MismatchError(
            f"models.{job.model_id}.pretraining.teacher.model: the tokenizers of {job.model_id} and {job.teacher} hardly ever end a token at "
            f"the same character: {untaught:,} of {tokens:,} tokens would have no state. Does one of them not report where in the "
            "text its tokens are? Choose another teacher or tokenizer"
        )
