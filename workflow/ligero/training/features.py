"""Encoded examples in memory and the batches made of them: ragged numpy arrays, padded when a batch is drawn.

A *feature* is one input of the model. Classification and tagging have one feature an example, question answering one a
window. Flat columns hold the tokens of all features one after the other; feature f has the entries
`offsets[f]:offsets[f + 1]`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ligero.common.errors import DataError
from ligero.common.records import check_listed
from ligero.models.architectures import model_inputs
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.tasks.encoding import word_starts
from ligero.tasks.examples import IGNORED
from ligero.tasks.records import ENCODED_REMEDY, read_encoded_info

Ints = NDArray[np.integer[Any]]

_TOKEN_COLUMNS = {
    "sequence_classification": (),
    "token_classification": ("word_ids", "word_labels"),
    "question_answering": ("start", "end", "word_ids"),
}
_FEATURE_COLUMNS = {
    "sequence_classification": ("label",),
    "token_classification": (),
    "question_answering": ("start_position", "end_position"),
}


@dataclass
class Batch:
    """One micro batch of B features padded to T tokens.

    Attributes:
        rows: int64 [B], indices of the features in their split; stays on the CPU, where caches are gathered by it.
        input_ids, attention_mask, token_type_ids: int64 [B, T]; the mask is 1 on tokens, 0 on padding.
        targets: "labels" int64 [B] (classification) or [B, T] (tagging, -100 where ignored);
            "start", "end" int64 [B] (question answering, token positions, 0 = [CLS] = no answer in the window).
    """

    rows: Tensor
    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor
    targets: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.rows)

    def inputs(self, model: nn.Module) -> dict[str, Tensor]:
        """The keyword arguments of a model's forward pass."""
        return model_inputs(model.config, self.input_ids, self.attention_mask, self.token_type_ids)

    def to(self, device: torch.device) -> Batch:
        """The batch with everything but `rows` on a device."""
        if device.type == "cpu":
            return self
        return Batch(
            rows=self.rows,
            input_ids=self.input_ids.to(device, non_blocking=True),
            attention_mask=self.attention_mask.to(device, non_blocking=True),
            token_type_ids=self.token_type_ids.to(device, non_blocking=True),
            targets={name: value.to(device, non_blocking=True) for name, value in self.targets.items()},
        )


@dataclass(frozen=True)
class EncodedSplit:
    """One split of one task in one vocabulary.

    Attributes:
        task_type: which of the optional columns are there.
        examples: int32 [F], row of the feature's example in the examples file.
        offsets: int64 [F + 1], where the tokens of each feature begin in the flat columns.
        input_ids: int32 [N], with special tokens.
        token_type_ids: int8 [N].
        label: int32 [F], classification only, else empty.
        word_ids: int32 [N], tagging: word of the token (-1 special tokens); question answering: index of the context word
            in which the token starts, else -1; else empty.
        word_labels: int32 [N], tagging only: label of the token's word, -100 for special tokens, else empty.
        labels: int32 [N], tagging only: the training target of each token under the option `label_subwords`, else empty.
        start, end: int32 [N], question answering only: character span in the context, -1 outside it, else empty.
        start_position, end_position: int32 [F], question answering only: target token positions, 0 = [CLS], else empty.
    """

    task_type: TaskType
    examples: Ints
    offsets: Ints
    input_ids: Ints
    token_type_ids: Ints
    label: Ints
    word_ids: Ints
    word_labels: Ints
    labels: Ints
    start: Ints
    end: Ints
    start_position: Ints
    end_position: Ints

    @classmethod
    def load(cls, path: Path | str, task_type: TaskType, options: TrainingOptions) -> EncodedSplit:
        """Read one split of `R/encoded/TOKENIZER/TASK/`.

        Args:
            options: `label_subwords` and `max_words` decide tagging's targets.

        Raises:
            DamagedError: the file is not what was written beside its info.json.
            DataError: the file is missing, unreadable, lacks a column or is empty.
        """
        columns, offsets = _read_columns(Path(path), task_type)
        names = [field.name for field in fields(cls) if field.name != "task_type"]
        columns |= {"examples": columns["example"], "offsets": offsets}
        split = cls(task_type, **{name: columns.get(name, np.zeros(0, np.int32)) for name in names})
        if task_type != "token_classification":
            return split
        if options.max_words is not None:
            split = split._without_words_from(options.max_words)
        if options.label_subwords == "all":
            return replace(split, labels=split.word_labels)
        return replace(split, labels=np.where(split.opens_word, split.word_labels, IGNORED))

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def lengths(self) -> Ints:
        """int64 [F], tokens of each feature."""
        return np.diff(self.offsets)

    @property
    def opens_word(self) -> NDArray[np.bool_]:
        """bool [N], the tokens that are the first subword of a word (tagging)."""
        return word_starts(self.word_ids, self.offsets)

    def batch(self, rows: Ints, pad_id: int) -> Batch:
        """The features `rows` padded to the longest of them."""
        rows = np.asarray(rows, np.int64)
        begins = self.offsets[rows]
        lengths = self.offsets[rows + 1] - begins
        inner = np.arange(int(lengths.max()))
        mask = inner < lengths[:, None]
        flat = np.where(mask, begins[:, None] + inner, 0)

        def padded(column: Ints, filler: int) -> Tensor:
            return torch.from_numpy(np.where(mask, column[flat], filler).astype(np.int64))

        targets: dict[str, Tensor]
        if self.task_type == "sequence_classification":
            targets = {"labels": torch.from_numpy(self.label[rows].astype(np.int64))}
        elif self.task_type == "token_classification":
            targets = {"labels": padded(self.labels, IGNORED)}
        else:
            targets = {
                "start": torch.from_numpy(self.start_position[rows].astype(np.int64)),
                "end": torch.from_numpy(self.end_position[rows].astype(np.int64)),
            }
        return Batch(
            rows=torch.from_numpy(rows),
            input_ids=padded(self.input_ids, pad_id),
            attention_mask=torch.from_numpy(mask.astype(np.int64)),
            token_type_ids=padded(self.token_type_ids, 0),
            targets=targets,
        )

    def _without_words_from(self, count: int) -> EncodedSplit:
        """Sentences cut after `count` words; special tokens stay."""
        kept = self.word_ids < count
        if kept.all():
            return self
        before = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            self,
            offsets=before[self.offsets].astype(np.int64),
            input_ids=self.input_ids[kept],
            token_type_ids=self.token_type_ids[kept],
            word_ids=self.word_ids[kept],
            word_labels=self.word_labels[kept],
        )


def _read_columns(path: Path, task_type: TaskType) -> tuple[dict[str, Ints], Ints]:
    """Feature columns and flattened token columns by name, and the offsets of the features."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    token_columns = ("input_ids", "token_type_ids", *_TOKEN_COLUMNS[task_type])
    feature_columns = ("example", *_FEATURE_COLUMNS[task_type])
    check_listed(path.with_name("info.json"), path.name, ENCODED_REMEDY)
    read_encoded_info(path.parent)
    try:
        with pq.ParquetFile(path) as file:  # read_table would import pandas
            table = file.read()
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(path, None, f"not a readable Parquet file: {error}.") from error
    absent = [name for name in (*feature_columns, *token_columns) if name not in table.column_names]
    if absent:
        raise DataError(
            path,
            None,
            f"no column {', '.join(absent)}; expected features of {task_type}.",
            ENCODED_REMEDY,
        )
    if not table.num_rows:
        raise DataError(path, None, "no features.", "The split is empty; look at the task's sources.")
    columns: dict[str, Ints] = {
        name: table.column(name).combine_chunks().to_numpy() for name in feature_columns
    }
    offsets: Ints = np.zeros(0, np.int64)
    for name in token_columns:
        lists = table.column(name).combine_chunks()
        if isinstance(lists, pa.ChunkedArray):
            lists = pa.concat_arrays(lists.chunks)
        found = lists.offsets.to_numpy().astype(np.int64)
        if len(offsets) and not np.array_equal(found - found[0], offsets):
            raise DataError(path, None, f"column {name} has other lengths than input_ids.", ENCODED_REMEDY)
        offsets = found - found[0]
        columns[name] = lists.flatten().to_numpy(zero_copy_only=False)
    return columns, offsets
