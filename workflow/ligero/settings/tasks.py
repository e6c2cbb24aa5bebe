"""Settings of the tasks: files, format, labels, metric."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ligero.common.names import as_seen, plain
from ligero.settings.base import Ids, Name, Settings, SomeIds, UserPath, each_once
from ligero.settings.training import GridOverride, changes_nothing

TaskType = Literal["sequence_classification", "token_classification", "question_answering"]
Reader = Literal["mldoc", "pawsx", "xnli", "conllu", "conll2002", "squad", "table"]

TYPE_OF_READER: dict[str, TaskType | None] = {
    "mldoc": "sequence_classification",
    "pawsx": "sequence_classification",
    "xnli": "sequence_classification",
    "conllu": "token_classification",
    "conll2002": "token_classification",
    "squad": "question_answering",
    "table": "sequence_classification",
}

SPLITS = ("train", "validation", "test")
"""A task's splits, in the order of its files."""

THESIS_STEMS = {
    "mldoc": "mldoc",
    "pawsx": "pawsx",
    "xnli": "xnli",
    "pos": "pos",
    "ner": "ner",
    "mlqa": "mlqa",
    "sqac": "sqac",
    "tarxquad": "tar_xquad",
}
"""A task's name in the thesis, without case and punctuation, to the beginning of its column names."""

MLDOC_NEEDS = (
    "reader mldoc needs 'documents' (archives) or 'rcv_dir' (your folder of Reuters RCV2 XML; "
    "obtain it from https://trec.nist.gov/data/reuters/reuters.html and give the folder's path)"
)


def _quoted(label: Any) -> Any:
    if isinstance(label, bool):
        raise ValueError('YAML reads this as true or false; write labels in quotes, e.g. "no"')
    if isinstance(label, int | float):
        raise ValueError(f'write labels in quotes: "{label}"')
    if isinstance(label, str) and label != label.strip():
        raise ValueError(f"the label {label!r} begins or ends with white space")
    if isinstance(label, str) and not as_seen(label):
        raise ValueError("a label is empty; give it a name, or remove the rows without one from the files")
    return label


Label = Annotated[str, BeforeValidator(_quoted)]
_CHUNK_MARKS = ("B-", "I-", "S-", "E-")


class Columns(Settings):
    """Columns by name (reader 'table': CSV, TSV, JSON lines) or by number (reader 'conll2002')."""

    text: str = "text"
    """Column of the text, or of the first of two."""
    second_text: str | None = None
    """Column of the second text; null where the task is about single texts."""
    label: str = "label"
    """Column of the label."""
    id: str | None = None
    """Column of the examples' ids; null numbers the rows."""
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    """What separates the cells of a CSV file; null takes the one by which the header has the columns named here."""
    word: int = Field(1, ge=1)
    """Number of the column of the word, from 1, for the reader 'conll2002'."""
    tag: int | None = Field(None, ge=1)
    """Number of the column of the tag, for the reader 'conll2002'; null takes the last."""

    @model_validator(mode="after")
    def _are_different(self) -> Columns:
        named = {"text": self.text, "second_text": self.second_text, "label": self.label}
        for (one, column), (other, same) in combinations(named.items(), 2):
            if column == same:
                raise ValueError(f"{one} and {other} are both the column '{column}'; name two columns")
        if self.word == self.tag:
            raise ValueError(f"word and tag are both column {self.word}; name two columns")
        return self

    def not_read_by(self, reader: Reader) -> set[str]:
        """The keys that are set although the reader does not look at them."""
        read = {"table": {"text", "second_text", "label", "id", "delimiter"}, "conll2002": {"word", "tag"}}
        defaults = type(self).model_fields
        return {
            key
            for key in defaults
            if key not in read.get(reader, set()) and getattr(self, key) != defaults[key].default
        }


class Split(Settings):
    """One split: its files, and the part of them that it takes where a published split is missing."""

    sources: SomeIds
    """Ids of the files, in order."""
    share: tuple[float, float] | None = None
    """Take only the groups (documents, articles, premises; else equal texts) whose hash, in [0, 1), falls in this interval."""
    limit: int | None = Field(None, ge=1)
    """Keep only this many examples, from the start, for quick trials; the tables note it."""
    without_ids_of: Ids = ()
    """Drop examples whose id is also in these sources (leaked questions)."""
    expected: int | None = Field(None, ge=1)
    """Examples that the published files must hold, before share, limit and without_ids_of; another count is an error."""

    @model_validator(mode="after")
    def _leaves_something(self) -> Split:
        if self.share is not None and not 0.0 <= self.share[0] < self.share[1] <= 1.0:
            raise ValueError(f"share {list(self.share)} must be an interval inside [0, 1]")
        if own := set(self.sources).intersection(self.without_ids_of):
            raise ValueError(
                f"without_ids_of: {min(own)} is among the split's own sources, of which nothing would be left; remove it from one of them"
            )
        return self


class Splits(Settings):
    """The three splits of a task."""

    train: Split
    """What is learned from."""
    validation: Split
    """What picks the best epoch, trial and teacher."""
    test: Split
    """What the tables report."""


class Task(Settings):
    """One task."""

    name: Name
    """Name in the tables."""
    type: TaskType
    """What is predicted: the label of a text, the label of each word, or a span of a context."""
    reader: Reader
    """Format of the files."""
    splits: Splits
    """Training, validation and test data."""
    labels: Annotated[tuple[Label, ...], AfterValidator(each_once)] = ()
    """Label set, in order; empty only for question answering."""
    metric: Literal["accuracy", "seqeval_f1", "token_accuracy", "squad_f1"]
    """The figure that counts in the overall score."""
    documents: Ids = ()
    """Archives of Reuters RCV2 XML documents, for the reader 'mldoc'."""
    rcv_dir: UserPath | None = None
    """Your own folder of Reuters RCV2 XML, for the reader 'mldoc' (RCV2 needs an agreement with NIST)."""
    columns: Columns = Columns()
    """Which columns are read, for the readers 'table' and 'conll2002'."""
    multiword_ranges: Literal["words", "keep"] = "words"
    """For the reader 'conllu': 'words' reads syntactic words only; 'keep' puts each range ('del') before them, with the tag `_`."""
    unanswerable: Literal["refuse", "drop"] = "refuse"
    """For the reader 'squad': questions without an answer (SQuAD 2.0) are refused, or left out and counted."""
    note: str = ""
    """What the table of data sets says about this task, for example why a count is not the thesis'."""
    max_length: int | None = Field(None, ge=8)
    """Overrides the training option of the same name."""
    grid: GridOverride = GridOverride()
    """Parts of the fine-tuning grid that this task replaces, also where a model replaces them."""
    distillation_grid: GridOverride = Field(GridOverride(), exclude_if=changes_nothing)
    """Parts of the distillation grid that this task replaces, also where a student replaces them."""

    @model_validator(mode="after")
    def _fits_together(self) -> Task:
        expected = TYPE_OF_READER[self.reader]
        if expected != self.type:
            raise ValueError(f"reader {self.reader} yields {expected}, not {self.type}")
        if (self.type == "question_answering") != (not self.labels):
            raise ValueError("labels must be given for classification and tagging, and only for these")
        allowed = {
            "sequence_classification": {"accuracy"},
            "token_classification": {"seqeval_f1", "token_accuracy"},
            "question_answering": {"squad_f1"},
        }[self.type]
        if self.metric not in allowed:
            raise ValueError(
                f"metric {self.metric} does not fit {self.type}; expected one of {sorted(allowed)}"
            )
        if self.multiword_ranges == "keep" and (self.reader != "conllu" or "_" not in self.labels):
            raise ValueError(
                "multiword_ranges: keep needs the reader conllu and the label '_' among 'labels'"
            )
        if self.reader == "mldoc" and not self.documents and not self.rcv_dir:
            raise ValueError(MLDOC_NEEDS)
        return self

    @model_validator(mode="after")
    def _is_read(self) -> Task:
        """Keys that the reader would not look at are refused: they promise what does not happen."""
        wrong = {
            "documents": ("mldoc", bool(self.documents)),
            "rcv_dir": ("mldoc", self.rcv_dir is not None),
            "unanswerable": ("squad", self.unanswerable != "refuse"),
        }
        for key, (of, given) in wrong.items():
            if given and self.reader != of:
                raise ValueError(f"the key '{key}' is for the reader {of}, not for {self.reader}; remove it")
        for key in sorted(self.columns.not_read_by(self.reader)):
            of = "conll2002" if key in ("word", "tag") else "table"
            raise ValueError(
                f"the key 'columns.{key}' is for the reader {of}, not for {self.reader}; remove it"
            )
        return self

    @model_validator(mode="after")
    def _has_usable_labels(self) -> Task:
        if len(self.labels) == 1:
            raise ValueError(
                f"labels: [{self.labels[0]}] leaves nothing to decide; expected at least two labels"
            )
        seen: dict[str, str] = {}
        for label in self.labels:
            if (first := seen.setdefault(as_seen(label), label)) != label:
                raise ValueError(
                    f"labels: {first!a} and {label!a} differ by white space, invisible characters, their Unicode form or a decimal .0 "
                    "only; keep one of them"
                )
        small = [label for label in self.labels if label == "o" or label.startswith(("b-", "i-"))]
        if self.metric == "seqeval_f1" and small:
            raise ValueError(
                f"labels: {', '.join(small)}: seqeval reads O, B- and I- in capitals only, and would take these for entities of other "
                "types. Write them so in the files too, or use metric: token_accuracy"
            )
        marked = {label for label in self.labels if label.startswith(("B-", "I-"))}
        if self.metric == "seqeval_f1" and marked:
            other = {"B": "I", "I": "B"}
            wanted = {f"{other[label[0]]}{label[1:]}" for label in marked} | {"O"}
            missing = sorted(wanted.difference(self.labels))
            if missing:
                raise ValueError(
                    f"labels: {', '.join(sorted(marked))} mark the beginning and inside of entities, so {', '.join(missing)} "
                    "must be there too; add what is missing, or use metric: token_accuracy"
                )
            if strange := [tag for tag in self.labels if tag != "O" and tag[:2] not in _CHUNK_MARKS]:
                raise ValueError(
                    f"labels: {', '.join(strange)} beside {min(marked)}: seqeval reads O and tags that begin with B-, I-, S- or E-, and "
                    "would join or cut entities at others. Correct them (of BILOU, U- is S- and L- is E-), or use metric: token_accuracy"
                )
        return self

    @property
    def has_pairs(self) -> bool:
        """Whether the examples are pairs of texts."""
        of_table = self.reader == "table" and self.columns.second_text is not None
        return self.reader in ("pawsx", "xnli") or of_table


def thesis_stem(task: Task) -> str | None:
    """Beginning of the thesis' column names of a task; None where it has no name of the thesis."""
    return THESIS_STEMS.get(plain(task.name))


def stem(task_id: str, task: Task) -> str:
    """Beginning of a task's column names: the thesis' where the task has a name of the thesis, else the task's id."""
    return thesis_stem(task) or task_id.replace("-", "_")
