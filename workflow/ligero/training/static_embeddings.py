"""A model without context: the teacher's own vector of each piece of the vocabulary, averaged over a text's pieces.

Bommasani et al., "Interpreting pretrained contextualized representations via reductions to static embeddings" (ACL 2020), read a word
by itself; model2vec (Minish, 2024) reduces such vectors by their principal components, weighs frequent pieces less, and takes the
mean. Weights are those of SIF (Arora et al., ICLR 2017), from the training split; logistic regression does the rest. What takes
part of a text's meaning from the order of its words is lost, so that pairs of texts are the hard case.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ligero.common.progress import progress
from ligero.models.architectures import encoder_of, model_inputs
from ligero.models.digests import check_model
from ligero.models.heads import load_selected
from ligero.settings.jobs import TaskSpec
from ligero.settings.training import TrainingOptions
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.training.features import EncodedSplit
from ligero.training.logistic_regression import drawn_examples, fitted, milliseconds, scored
from ligero.training.records import ONE_LABEL, LogisticRegressionRecord, StaticEmbeddingsRecord
from ligero.training.scoring import Examples

DIMENSIONS = 256
"""Principal components that are kept."""
SMOOTH = 1e-3
"""A piece of frequency p has the weight SMOOTH / (SMOOTH + p)."""
STRENGTHS = (0.01, 0.1, 1.0)
"""Inverse strengths of regularisation on features of unit variance, tried on the validation split."""
_BATCH = 512
Vectors = NDArray[np.float32]


def score_static_embeddings(
    task_id: str,
    task: TaskSpec,
    teacher: str,
    *,
    model_dir: Path,
    encoded_dir: Path,
    examples_dir: Path,
    seed: int = 42,
) -> StaticEmbeddingsRecord:
    """Score a teacher's static embeddings with logistic regression on a classification task's test split.

    Only pieces that occur in the task are read by the teacher; those of the training split decide the components.

    Args:
        teacher: its name, for the record.
        model_dir: `R/models/fine-tuning/MODEL/TASK`.
        encoded_dir: `R/encoded/TOKENIZER/TASK`, as the teacher reads it.
        examples_dir: `R/tasks/TASK`.
        seed: of the sample and of the interval's bootstrap.
    """
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    check_model(model_dir)
    tokenizer = FastTokenizer.load(model_dir)
    names = ("train", "validation", "test")
    splits = {
        name: EncodedSplit.load(encoded_dir / f"{name}.parquet", task.type, TrainingOptions())
        for name in names
    }
    examples = {name: Examples.load(examples_dir / f"{name}.parquet", task.type) for name in names[1:]}
    special = np.array([tokenizer.cls, tokenizer.sep, tokenizer.pad])
    pieces = {name: _pieces(split, special) for name, split in splits.items()}
    counts = np.bincount(np.concatenate(pieces["train"]), minlength=tokenizer.vocabulary_size)
    occurring = np.unique(np.concatenate([ids for found in pieces.values() for ids in found]))

    vectors = alone(load_selected(model_dir, task.type), occurring, tokenizer)
    known = counts[occurring] > 0
    kept = min(DIMENSIONS, vectors.shape[1], int(known.sum()))
    components = PCA(kept, svd_solver="full").fit(vectors[known])
    weights = SMOOTH / (SMOOTH + counts[occurring] / counts.sum())
    table = np.zeros((tokenizer.vocabulary_size, kept), np.float32)
    table[occurring] = components.transform(vectors) * weights[:, None]

    drawn = drawn_examples(len(splits["train"]), seed)
    labels = splits["train"].label[drawn].tolist()
    if len(set(labels)) < 2:
        return {"scored": None, "reason": ONE_LABEL}
    scaler = StandardScaler().fit(means(table, [pieces["train"][row] for row in drawn]))

    def features(found: list[NDArray[np.int64]]) -> Vectors:
        made: Vectors = scaler.transform(means(table, found))
        return made

    best = fitted(
        task,
        features([pieces["train"][row] for row in drawn]),
        labels,
        features(pieces["validation"]),
        examples["validation"],
        STRENGTHS,
    )
    whole = make_pipeline(scaler, best)

    def answer(row: int) -> object:
        columns = examples["test"].columns
        ids = tokenizer.encode(columns["text"][row])
        if columns.get("second_text"):
            ids += tokenizer.encode(columns["second_text"][row] or "")
        return whole.predict(means(table, [np.array(ids, np.int64)]))

    vocabulary = tokenizer.backend.get_vocab()
    record = LogisticRegressionRecord(
        name=f"static embeddings of {teacher}, logistic regression",
        trained_on=len(drawn),
        features=kept,
        bytes=4 * (table.size + best.coef_.size + best.intercept_.size)
        + sum(len(piece.encode()) for piece in vocabulary),
        milliseconds=milliseconds(answer, range(len(examples["test"]))),
        **scored(task_id, task, best.predict(features(pieces["test"])).tolist(), examples["test"], seed),
    )
    return {"scored": record, "reason": ""}


@torch.inference_mode()
def alone(model: nn.Module, ids: NDArray[np.int64], tokenizer: FastTokenizer) -> Vectors:
    """The last hidden state of each piece between the special tokens and nothing else, [pieces, width]."""
    encoder = encoder_of(model)
    device = next(model.parameters()).device
    found = []
    with progress(total=len(ids), label="static embeddings", unit="piece") as bar:
        for start in range(0, len(ids), _BATCH):
            some = torch.from_numpy(ids[start : start + _BATCH].astype(np.int64))[:, None]
            rows = torch.cat(
                [torch.full_like(some, tokenizer.cls), some, torch.full_like(some, tokenizer.sep)], dim=1
            ).to(device)
            states = encoder(**model_inputs(model.config, rows, None, torch.zeros_like(rows)))
            found.append(states.last_hidden_state[:, 1].cpu().numpy())
            bar.update(len(some))
    return np.concatenate(found)


def means(table: Vectors, pieces: list[NDArray[np.int64]]) -> Vectors:
    """The mean vector of each text, [texts, dimensions], whatever the order of its pieces; 0 of a text without any."""
    sums = np.stack([table[ids].sum(axis=0, dtype=np.float64) / max(1, len(ids)) for ids in pieces])
    return sums.astype(np.float32)  # in fp32 the order of the terms would show, and scaling makes it large


def _pieces(split: EncodedSplit, special: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The pieces of each text, without special tokens."""
    features = np.split(split.input_ids.astype(np.int64), split.offsets[1:-1])
    return [ids[~np.isin(ids, special)] for ids in features]
