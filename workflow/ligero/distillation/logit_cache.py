"""The cache of teacher logits: one Arrow file per (teacher, task), memory-mapped, keyed by example and not by batch.

A row is a feature of the teacher's training split. Columns: `example` int32; `logits` list of float16 or float32, entry by entry,
C values each; tagging and question answering add the lists `positions` and `words`, question answering `starts` and `ends`
(see token_layout). The file carries the digest of what it depends on in the schema's metadata, so that a part, or a file and a meta.json, of two
different teachers are never taken for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import ipc

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import atomic_directory, atomic_path
from ligero.common.hashing import digest_value
from ligero.common.records import check_listed, digests_of, write_record
from ligero.distillation.records import REMEDY, LogitDigests, LogitsMeta, read_meta
from ligero.distillation.token_layout import TokenLayout, classification_layout

Logits = NDArray[np.floating[Any]]
Dtype = Literal["float16", "float32"]

FILE_NAME = "logits.arrow"
_DIGEST_KEY = b"ligero.digest"
_CLASSES_KEY = b"ligero.classes"
_LISTS = {
    "sequence_classification": (),
    "token_classification": ("positions", "words"),
    "question_answering": ("positions", "words", "starts", "ends"),
}


@dataclass(frozen=True)
class LogitCache:
    """Teacher logits of a training split.

    Attributes:
        layout: which tokens the entries belong to, F features with N entries.
        logits: [N, C] in the cache's precision, memory-mapped; C is the number of labels, or 2 (start, end).
        meta: what meta.json says; `depends_on` is what the logits depend on.
    """

    layout: TokenLayout
    logits: Logits
    meta: LogitsMeta

    @classmethod
    def open(cls, folder: Path | str) -> LogitCache:
        """Map a cache into memory, after a check of its bytes.

        Raises:
            DamagedError: a file is not what was written.
            MismatchError: meta.json and logits.arrow come from different runs.
        """
        folder = Path(folder)
        meta = read_meta(folder)
        path = check_listed(folder / "meta.json", FILE_NAME, REMEDY)
        layout, logits = read_logits(path, meta["task_type"], cache_digest(meta["depends_on"]))
        return cls(layout, logits, meta)

    @staticmethod
    def write(
        folder: Path | str, task_type: str, layout: TokenLayout, logits: Logits, meta: LogitsMeta
    ) -> None:
        """Write a cache as a whole, atomically; `meta` is completed with the sizes."""
        with atomic_directory(folder) as staging:
            write_logits(staging / FILE_NAME, task_type, layout, logits, cache_digest(meta["depends_on"]))
            whole: LogitsMeta = {
                **meta,
                "task_type": task_type,
                "features": len(layout),
                "entries": layout.entries,
                "classes": int(logits.shape[1]),
                "dtype": str(logits.dtype),
                "files": digests_of(staging, [FILE_NAME]),
            }
            write_record(staging / "meta.json", whole)


def cache_digest(depends_on: LogitDigests) -> str:
    """16 hexadecimal digits over everything that logits depend on: part of the digest of the trials that use them."""
    return digest_value(depends_on)


def write_logits(
    path: Path,
    task_type: str,
    layout: TokenLayout,
    logits: Logits,
    digest: str,
) -> None:
    """Write one Arrow file with a single record batch, so that reading it back needs no copy.

    Args:
        logits: [N, C]; float16 values that would overflow are a DataError, not infinities.
        digest: of what they depend on.
    """
    if not np.isfinite(logits).all():
        raise DataError(
            path,
            None,
            f"{int((~np.isfinite(logits)).sum())} logits are not finite in {logits.dtype}.",
            "The teacher diverged, or logits_dtype float16 is too narrow: set it to float32.",
        )
    classes = int(logits.shape[1])
    columns: dict[str, pa.Array] = {"example": pa.array(layout.examples, pa.int32())}
    for name in _LISTS[task_type]:
        columns[name] = pa.LargeListArray.from_arrays(
            layout.offsets, pa.array(getattr(layout, name), pa.int32())
        )
    values = pa.array(np.ascontiguousarray(logits).reshape(-1))
    columns["logits"] = pa.LargeListArray.from_arrays(layout.offsets * classes, values)
    schema = pa.schema(
        [pa.field(name, column.type) for name, column in columns.items()],
        metadata={
            _DIGEST_KEY: digest.encode(),
            _CLASSES_KEY: str(classes).encode(),
        },
    )
    with atomic_path(path) as temporary, ipc.new_file(str(temporary), schema) as writer:
        writer.write_batch(pa.record_batch(list(columns.values()), schema=schema))


def read_logits(path: Path, task_type: str, digest: str) -> tuple[TokenLayout, Logits]:
    """Map a file of `write_logits`.

    Raises:
        DataError: missing, damaged, or of another task type.
        MismatchError: written for another digest.
    """
    try:
        reader = ipc.open_file(pa.memory_map(str(path)))
        batch = reader.get_batch(0)
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(path, None, f"not a readable Arrow file: {error}.", REMEDY) from error
    metadata = reader.schema.metadata or {}
    if (found := metadata.get(_DIGEST_KEY, b"").decode()) != digest:
        raise MismatchError(
            f"{path}: written for digest {found or '(none)'}, expected {digest}: another teacher, vocabulary, label "
            f"list or data. {REMEDY}"
        )
    if missing := [name for name in (*_LISTS[task_type], "logits") if name not in batch.schema.names]:
        raise DataError(path, None, f"no column {missing[0]}; expected logits of {task_type}.")
    logits_column = batch.column("logits")
    classes = int(metadata[_CLASSES_KEY])
    logits = logits_column.values.to_numpy(zero_copy_only=True).reshape(-1, classes)
    examples = batch.column("example").to_numpy(zero_copy_only=True)
    if task_type == "sequence_classification":
        return classification_layout(examples), logits
    lists = {name: batch.column(name).values.to_numpy(zero_copy_only=True) for name in _LISTS[task_type]}
    none = np.zeros(0, np.int32)
    layout = TokenLayout(
        examples=examples,
        offsets=batch.column("positions").offsets.to_numpy(zero_copy_only=True),
        positions=lists["positions"],
        words=lists["words"],
        starts=lists.get("starts", none),
        ends=lists.get("ends", none),
    )
    return layout, logits
