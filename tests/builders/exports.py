"""Toy models with the folders that export reads: tasks, encoded splits, a selected model whose answers are the gold ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ligero.common.records import digests_of, write_record
from ligero.models.architectures import model_class
from ligero.models.build import make_config
from ligero.models.heads import save_for_task
from ligero.serving.manifest import Manifest
from ligero.settings.defaults import METRICS
from ligero.settings.export import Export
from ligero.settings.jobs import ExportJob, TaskSpec
from ligero.settings.models import Architecture
from ligero.settings.tasks import TaskType
from ligero.settings.training import TrainingOptions
from ligero.tasks.encoding import encode_task
from ligero.tasks.examples import (
    Answer,
    ClassificationExample,
    Example,
    QuestionExample,
    TaggingExample,
    digest_examples,
    write_examples,
)
from ligero.training.evaluate import predict
from ligero.training.features import EncodedSplit
from ligero.training.scoring import Examples, score_predictions
from tests.builders.encoding import encoder, job

LABELS = {
    "sequence_classification": ("no", "sí", "quizá"),
    "token_classification": ("O", "B-X", "I-X"),
    "question_answering": (),
}
MAX_LENGTH = 24
Change = Callable[[nn.Module], None]


@dataclass(frozen=True)
class Selected:
    """A selected toy model and what export reads beside it."""

    job: ExportJob
    model: Path
    encoded: Path
    examples: Path

    def export(self, out: Path, threads: int = 1) -> Manifest:
        from ligero.export import export_model

        return export_model(
            self.job,
            model_dir=self.model,
            encoded_dir=self.encoded,
            examples_dir=self.examples,
            out=out,
            threads=threads,
        )

    def rows(self, split: str = "test") -> list[dict[str, Any]]:
        """The examples of a split."""
        columns = Examples.load(self.examples / f"{split}.parquet", self.job.task.type).columns
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def answers(self, split: str = "test") -> list[Any]:
        """What the trained model answers, as the pipeline scores it."""
        from ligero.models.heads import load_selected

        task = self.job.task
        encoded = EncodedSplit.load(self.encoded / f"{split}.parquet", task.type, self.job.options)
        examples = Examples.load(self.examples / f"{split}.parquet", task.type)
        found = predict(load_selected(self.model, task.type), encoded)
        return score_predictions(task, self.job.options, found, encoded, examples).answers


def selected_model(
    folder: Path,
    architecture: str,
    task_type: TaskType,
    *,
    count: int = 40,
    pairs: bool = False,
    change: Change = lambda model: None,
    export: Export | None = None,
    early_exit: bool = False,
    sizes_of_splits: dict[str, int] | None = None,
    **sizes: int,
) -> Selected:
    """A model with random weights, on examples whose gold answers are the model's own: fp32 scores 100.

    Args:
        change: applied to the model before it is saved and asked.
        export: None trains nothing for int8.
        sizes_of_splits: how many of the examples each split has; None gives all of them to each.
        sizes: of the architecture.
    """
    labels = LABELS[task_type]
    made = encoder("roberta" if architecture == "roberta" else "bert")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir(parents=True)
    made.backend.save(str(tokenizer / "fast_tokenizer.json"))
    made.info.write(tokenizer)
    values = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    shape = Architecture(
        type=architecture,  # type: ignore[arg-type]
        max_position_embeddings=MAX_LENGTH + 3,
        type_vocab_size=1 if architecture == "roberta" else 2,
        embedding_size=16 if architecture == "albert" else None,
        **{**values, **sizes},
    )
    config = make_config(shape, made.vocabulary_size, made.pad)
    config.num_labels = len(labels) or 2
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = model_class(architecture, task_type)(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
    change(model)
    save_for_task(model, folder / "model", labels, tokenizer)

    examples = _examples(task_type, count, pairs)
    write_splits(folder, task_type, labels, examples)
    selected = Selected(
        _job(task_type, pairs, export or Export(qat_steps=0), early_exit),
        folder / "model",
        folder / "encoded" / "t",
        folder / "tasks",
    )
    gold = [_with_gold(example, answer) for example, answer in zip(examples, selected.answers(), strict=True)]
    write_splits(folder, task_type, labels, gold, sizes_of_splits)
    return selected


def _job(task_type: TaskType, pairs: bool, export: Export, early_exit: bool) -> ExportJob:
    return ExportJob(
        regime="fine-tuning",
        model_id="m",
        name="M",
        tokenizer="v",
        task_id="t",
        task_name="T",
        task=TaskSpec(type=task_type, labels=LABELS[task_type], metric=METRICS[task_type]),
        pairs=pairs,
        encoding=job(task_type, MAX_LENGTH),
        options=TrainingOptions(max_length=MAX_LENGTH, doc_stride=4),
        export=export,
        sources={},
        early_exit=early_exit,
    )


def _examples(task_type: TaskType, count: int, pairs: bool) -> list[Example]:
    generator = np.random.default_rng(3)

    def words(low: int, high: int) -> list[str]:
        drawn = [
            generator.choice(list("abcdefghijklmnño"), generator.integers(1, 5))
            for _ in range(generator.integers(low, high))
        ]
        return ["".join(word) for word in drawn]

    examples: list[Example] = []
    for number in range(count):
        name = str(number)
        if task_type == "sequence_classification":
            second = " ".join(words(1, 12)) if pairs else None
            examples.append(ClassificationExample(name, name, " ".join(words(1, 12)), second, "no"))
        elif task_type == "token_classification":
            drawn = tuple(words(1, 12))
            examples.append(TaggingExample(name, name, drawn, ("O",) * len(drawn)))
        else:
            context = " ".join(words(4, 24))
            answer = Answer(context.split()[0], 0)
            examples.append(QuestionExample(name, name, context, " ".join(words(1, 3)), (answer,)))
    return examples


def _with_gold(example: Example, answer: Any) -> Example:
    if isinstance(example, ClassificationExample):
        return ClassificationExample(example.id, example.group, example.text, example.second_text, answer)
    if isinstance(example, TaggingExample):
        return TaggingExample(example.id, example.group, example.words, tuple(answer))
    gold = Answer(answer, example.context.index(answer))
    return QuestionExample(example.id, example.group, example.context, example.question, (gold,))


def write_splits(
    folder: Path,
    task_type: TaskType,
    labels: tuple[str, ...],
    examples: list[Example],
    sizes: dict[str, int] | None = None,
) -> None:
    """Tasks and encoded splits, the same examples in every split, or the first few of them."""
    digests = {}
    for split in ("train", "validation", "test"):
        of_split = examples[: (sizes or {}).get(split)]
        digests[split] = digest_examples(of_split)
        write_examples(folder / "tasks" / f"{split}.parquet", task_type, labels, of_split)
    files = digests_of(folder / "tasks", (f"{split}.parquet" for split in digests))
    write_record(
        folder / "tasks" / "info.json",
        {"task": "t", "labels": list(labels), "digests": digests, "files": files},
    )
    encode_task(
        job(task_type, MAX_LENGTH),
        "encoded",
        folder / "tokenizer",
        folder / "tasks",
        folder / "encoded" / "t",
    )
