"""What cached logits depend on, and the checks that they still belong to teacher, task and data. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ligero.common.errors import DataError, MismatchError
from ligero.common.files import read_json
from ligero.common.hashing import sha256_file
from ligero.distillation.records import REMEDY, LogitDigests, LogitsMeta
from ligero.models.digests import check_model
from ligero.tasks.records import ENCODED_REMEDY, read_encoded_info
from ligero.tokenizers.fast_tokenizer import FAST_TOKENIZER_FILE

if TYPE_CHECKING:  # its module imports torch
    from ligero.training.features import EncodedSplit


def logit_digests(
    folder: Path, task_type: str, labels: Sequence[str], split: EncodedSplit, encoded: Path
) -> LogitDigests:
    """Everything that a teacher's logits on a training split depend on.

    Args:
        folder: the teacher's selected model (config.json, model*.safetensors, fast_tokenizer.json).
        labels: the task's labels, in order.
        split: the encoded training split, in the teacher's vocabulary.
        encoded: its folder, whose info.json names the examples that it was made of.

    Raises:
        DamagedError: a file of the teacher is missing or not what was written.
        MismatchError: the teacher has other labels than the task.
    """
    weights = check_model(folder)
    config = read_json(folder / "config.json")
    if task_type != "question_answering":
        named = config.get("id2label", {})
        found = [named[key] for key in sorted(named, key=int)]
        if found != list(labels):
            raise MismatchError(
                f"{folder}: the teacher's labels are {', '.join(found) or '(none)'}, the task's are {', '.join(labels)}. "
                "Logits are matched by label id; fine-tune the teacher again with the task's list."
            )
    return LogitDigests(
        weights=weights,
        encoder=encoder_digest(folder),
        labels=list(labels),
        examples=examples_digest(encoded),
        tokens=tokens_digest(split),
    )


def encoder_digest(folder: Path) -> str:
    """16 hexadecimal digits of a folder's fast_tokenizer.json."""
    return sha256_file(folder / FAST_TOKENIZER_FILE)[:16]


def examples_digest(encoded: Path) -> str:
    """Digest of the training examples that an encoded task was made of, as its info.json records it."""
    info = read_encoded_info(encoded)
    try:
        return str(info["examples_digests"]["train"])
    except (KeyError, TypeError) as error:
        raise DataError(encoded / "info.json", None, f"no key {error}.", ENCODED_REMEDY) from error


def tokens_digest(split: EncodedSplit) -> str:
    """16 hexadecimal digits over the token ids of every feature: equal exactly where two sides read the same tokens."""
    digest = hashlib.sha256()
    for column in (split.examples, split.offsets, split.input_ids):
        digest.update(np.ascontiguousarray(column, dtype="<i8").data)
    return digest.hexdigest()[:16]


def check_cache(
    meta: LogitsMeta,
    folder: Path,
    *,
    task: str,
    task_type: str,
    labels: Sequence[str],
    encoded: Path,
    teacher: Path,
) -> None:
    """Refuse logits that do not belong to a student's task, labels and data, or whose teacher has changed since.

    Args:
        meta: the cache's meta.json, from `folder`.
        encoded: the student's encoded task.
        teacher: folder of the teacher's selected model; where it was deleted, only its logits are left.

    Raises:
        DamagedError: a file of the teacher is missing or not what was written.
        MismatchError: names what differs.
    """
    depends_on = meta["depends_on"]
    expected: dict[str, tuple[object, object]] = {
        "task": (meta.get("task"), task),
        "task type": (meta.get("task_type"), task_type),
        "label list": (depends_on["labels"], list(labels)),
        "training examples": (depends_on["examples"], examples_digest(encoded)),
    }
    if (teacher / "config.json").is_file():
        expected["teacher's weights"] = (depends_on["weights"], check_model(teacher))
        expected["teacher's encoder"] = (depends_on["encoder"], encoder_digest(teacher))
    for what, (found, wanted) in expected.items():
        if found != wanted:
            raise MismatchError(
                f"{folder}: the cached logits have another {what}: {found}, expected {wanted}. {REMEDY}"
            )
