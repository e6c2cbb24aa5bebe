"""A user's file of examples: its format by its name, its labels, its splits."""

from __future__ import annotations

import argparse
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from ligero.common.errors import ConfigurationError, DataError, raise_together
from ligero.common.files import user_path
from ligero.common.names import as_seen
from ligero.common.text import refuse_other_kinds
from ligero.settings.defaults import task_with_defaults
from ligero.settings.tasks import SPLITS, TYPE_OF_READER, Columns, Reader, Task, TaskType
from ligero.tasks.delimited import header_of, no_columns
from ligero.tasks.examples import ClassificationExample, Example, TaggingExample
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.splits import LoadedSplit, load_split

Yaml: TypeAlias = "str | int | float | bool | Sequence[Yaml] | Mapping[str, Yaml] | None"
Section = dict[str, Yaml]
"""A part of a configuration, as it is written to a YAML file."""
READER_OF_ENDING: dict[str, Reader] = {
    ".csv": "table",
    ".tsv": "table",
    ".jsonl": "table",
    ".ndjson": "table",
    ".conll": "conll2002",
    ".bio": "conll2002",
    ".conllu": "conllu",
    ".json": "squad",
}
FEW = 2000
"""Below so many examples a tenth is too little to measure with."""


@dataclass
class _AnyLabel(ReaderContext):
    """Takes every label and counts it."""

    found: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[Path, int | None]] = field(default_factory=dict)
    """File and line in which each is first."""

    def check_label(self, path: Path, line: int | None, label: str, where: str = "") -> str:
        self.found[label] += 1
        self.first.setdefault(label, (path, line))
        return label


@dataclass(frozen=True)
class UserData:
    """What the arguments of `train` and `check` name.

    Attributes:
        files: split to its file; only `train` where one file is cut.
        labels: every label with how often it occurs in the files, most frequent first; empty for question answering.
        examples: in the training file, before it is cut.
        drops_unanswerable: whether questions without an answer are left out.
    """

    reader: Reader
    columns: Columns
    files: dict[str, Path]
    labels: Counter[str]
    examples: int
    drops_unanswerable: bool = False

    @classmethod
    def of(cls, args: argparse.Namespace) -> UserData:
        """Read the files once, with whatever labels they have.

        Raises:
            ConfigurationError: arguments that do not fit the format.
            DataError: a file that is missing or malformed, or has labels that cannot be meant.
        """
        given = {"train": args.data, "validation": args.validation, "test": args.test}
        files = {split: user_path(path) for split, path in given.items() if path is not None}
        for path in files.values():
            if path.is_dir():
                raise DataError(path, None, "is a folder; expected a file.")
            if not path.exists():
                raise DataError(
                    path, None, "no such file.", "Check the name; it is read relative to this folder."
                )
            if not path.is_file():
                remedy = "Write it into a file first: examples are read more than once."
                raise DataError(path, None, "is a pipe or a device; expected a file.", remedy)
        if held := next((split for split in ("validation", "test") if _is_given_again(files, split)), None):
            raise ConfigurationError(
                f"--{held} {files[held]}: it is the file that is trained on, and scores on it say nothing; leave --{held} out to cut it"
            )
        reader: Reader = args.reader or _reader_of(files["train"])
        columns = _columns(args, reader, files["train"])
        drops = args.unanswerable == "drop"
        if drops and reader != "squad":
            raise ConfigurationError(
                f"--unanswerable: only SQuAD files have questions, {files['train']} is read as {reader}"
            )
        context, words = _AnyLabel(columns=columns, drops_unanswerable=drops), set[str]()
        examples = dict.fromkeys(files, 0)
        for split, path in files.items():
            for example in read(reader, path, context):
                examples[split] += 1
                words.update(example.words if isinstance(example, TaggingExample) else ())
            if not examples[split]:
                raise DataError(path, None, "it holds no examples.", "Is it the right file?")
        raise_together(list(_label_problems(context, reader, files["train"], words)))
        labels = Counter(dict(context.found.most_common()))
        return cls(reader, columns, files, labels, examples["train"], drops)

    @property
    def kind(self) -> TaskType:
        """Task type of the format."""
        kind = TYPE_OF_READER[self.reader]
        assert kind is not None
        return kind

    def label_set(self) -> list[str]:
        """Labels in the order of the configuration: sorted, O first, and with both marks of every entity."""
        if self.kind == "question_answering":
            return []
        found = set(self.labels)
        if self.kind == "token_classification" and any(label[:2] in ("B-", "I-") for label in found):
            found |= {
                f"{mark}{label[2:]}" for label in found if label[:2] in ("B-", "I-") for mark in ("B-", "I-")
            }
            found.add("O")
        return sorted(
            found, key=lambda label: (label != "O", label[2:] if label[:2] in ("B-", "I-") else label, label)
        )

    def splits(self, source_of: dict[str, str]) -> dict[str, Section]:
        """The settings `splits`: a file of its own for each split, or a cut of the training file.

        Args:
            source_of: split to the source id of its file.
        """
        missing = [split for split in SPLITS if split not in self.files]
        shares = _shares(missing, self.examples)
        return {
            split: {
                "sources": [source_of.get(split, source_of["train"])],
                **({"share": list(shares[split])} if split in shares else {}),
            }
            for split in SPLITS
        }

    def settings(self) -> Section:
        """The settings of the task but for its splits."""
        columns = self.columns.model_dump(exclude_defaults=True, exclude_none=True)
        labels = {"labels": self.label_set()} if self.kind != "question_answering" else {}
        dropped = {"unanswerable": "drop"} if self.drops_unanswerable else {}
        return {"reader": self.reader, **({"columns": columns} if columns else {}), **dropped, **labels}

    def task(self) -> Task:
        """The task as the workflow will have it, with the names of splits for the ids of its sources."""
        task = {**self.settings(), "splits": self.splits({split: split for split in self.files})}
        try:
            return Task.model_validate(task_with_defaults("data", task))
        except ValidationError as error:
            said = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
            raise DataError(self.files["train"], None, f"{said}.") from error

    def load(self) -> dict[str, LoadedSplit]:
        """The splits as the workflow will read them.

        Raises:
            DataError: as `load_split`.
        """
        task = self.task()
        return {split: load_split(task, split, lambda source: self.files[source]) for split in SPLITS}


def _is_given_again(files: Mapping[str, Path], split: str) -> bool:
    """Whether the file of a split is the training file, by whatever name."""
    return split in files and files[split].samefile(files["train"])


def _label_problems(context: _AnyLabel, reader: Reader, train: Path, words: set[str]) -> Iterator[DataError]:
    """Labels that cannot be meant, where the first (of several the rarest) is.

    Args:
        words: all different ones of tagged sentences.
    """
    labels = context.found
    if len(labels) == 1:
        remedies = {
            "table": "Check the column that --label names.",
            "conll2002": "The tag is in the last column; CoNLL-U is known by the ending .conllu.",
        }
        problem = f"every example has the label {next(iter(labels))!r}: there is nothing to learn."
        yield DataError(train, None, problem, remedies.get(reader, "Is it the right file?"))
        return
    if words and len(labels) > len(words):
        problem = f"{len(labels):,} tags for {len(words):,} different words."
        remedy = "The word is in the first column, the tag in the last: are they the other way round?"
        yield DataError(train, None, problem, remedy)
        return
    alike: dict[str, list[str]] = {}
    for label in labels:
        alike.setdefault(as_seen(label), []).append(label)
    if empty := alike.pop("", []):
        problem = f"{sum(labels[label] for label in empty):,} examples have an empty label."
        yield DataError(*context.first[empty[0]], problem, "Correct or remove them.")
    for seen, same in alike.items():
        if len(same) > 1:
            looks_equal = len({unicodedata.normalize("NFC", label) for label in same}) < len(same)
            write = ascii if looks_equal else repr
            shown = ", ".join(f"{write(label)} ({labels[label]:,})" for label in same)
            problem = f"labels differ by white space, invisible characters, their Unicode form or a decimal .0 only: {shown}."
            rarest = min(same, key=lambda label: labels[label])
            yield DataError(*context.first[rarest], problem, f"Make them one: {seen!r}.")
        elif same[0] != same[0].strip():
            problem = f"the label {same[0]!r} begins or ends with white space."
            yield DataError(*context.first[same[0]], problem, "Remove it, perhaps behind each separator.")


def _shares(missing: list[str], examples: int) -> dict[str, tuple[float, float]]:
    """The cut of the training file: into three, or into what is trained on and the one split that is missing."""
    if not missing:
        return {}
    held_out = 0.15 if examples < FEW else 0.1
    if len(missing) == 1:
        return {"train": (0.0, 1 - held_out), missing[0]: (1 - held_out, 1.0)}
    return {
        "train": (0.0, 1 - 2 * held_out),
        "validation": (1 - 2 * held_out, 1 - held_out),
        "test": (1 - held_out, 1.0),
    }


def _reader_of(path: Path) -> Reader:
    kind = path.suffix.lower()
    if kind not in READER_OF_ENDING:
        with path.open("rb") as handle:
            refuse_other_kinds(path, handle.read(64))
        endings = ", ".join(READER_OF_ENDING)
        raise ConfigurationError(
            f"{path}: the name says no format; known endings: {endings}. Rename it, or name the format with --reader (tagging and SQuAD files only)."
        )
    return READER_OF_ENDING[kind]


def _columns(args: argparse.Namespace, reader: Reader, path: Path) -> Columns:
    named = {"text": args.text, "second_text": args.second_text, "label": args.label}
    given = {name: column for name, column in named.items() if column is not None}
    if reader != "table":
        if given:
            raise no_columns(path, given, reader)
        return Columns()
    for name in ("text", "label"):
        if name not in given:
            raise ConfigurationError(
                f"--{name}: name the column of the {name} in {path} ({', '.join(header_of(path)) or 'it has no header'})"
            )
    try:
        return Columns(**given)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{path}: {said}") from error


def words_of(example: Example) -> int:
    """Words, apart by white space, that a model reads of one example."""
    if isinstance(example, TaggingExample):
        return len(example.words)
    if isinstance(example, ClassificationExample):
        return len(example.text.split()) + len((example.second_text or "").split())
    return len(example.context.split()) + len(example.question.split())


def texts_of(example: Example) -> list[str]:
    """The texts of one example."""
    if isinstance(example, TaggingExample):
        return [" ".join(example.words)]
    if isinstance(example, ClassificationExample):
        return [example.text, *([example.second_text] if example.second_text else [])]
    return [example.context, example.question]
