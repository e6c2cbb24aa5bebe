"""`manifest.json` of an exported model: all that is needed to answer, beside the graphs and the tokenizer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, final

from ligero.common.errors import DataError
from ligero.common.hashing import sha256_file
from ligero.common.records import DamagedError, read_record, write_record
from ligero.serving.answers import Answer, Item
from ligero.tasks.records import ScoreRecord
from ligero.tokenizers.fast_tokenizer import TokenizerInfo

if TYPE_CHECKING:
    from ligero.settings.tasks import TaskType  # imports pydantic, which serving does without

MANIFEST_FILE, TOKENIZER_FILE = "manifest.json", "tokenizer.json"
FORMAT = 1
Precision = Literal["fp32", "int8"]
Step = Literal["static ranges", "dynamic ranges", "inputs in fp32", "quantisation-aware training"]
"""What is tried for an int8 graph, in this order."""
REMEDY = "Copy the folder again, or export the model again: snakemake exports --forcerun export_model."
"""`--forcerun` alone does nothing: most exports are no part of `all`."""


class StoredCheck(TypedDict):
    """An item, and the answer to it when the model was exported."""

    item: Item
    answer: Answer


class Parity(TypedDict):
    """How far the fp32 graph's logits are from the trained model's on the test split."""

    features: int
    decisions: int
    """Arg max compared."""
    unequal_decisions: int
    largest_difference: float
    tolerance: float


class Verdict(TypedDict):
    """An int8 graph beside the fp32 graph on the validation split."""

    score: float
    score_fp32: float
    drop: float
    """Points lost."""
    drop_interval: list[float]
    """95 % interval of the paired bootstrap."""
    equal_answers: float
    """Share of examples with the answer of fp32."""
    passes: bool


class Attempt(Verdict):
    """An int8 graph, and what the gate made of it."""

    step: Step
    method: Literal["static", "dynamic"]
    """Whether ranges come from calibration or are measured in each run."""
    in_fp32: list[str]
    """Inputs of products that are not quantised: LAYER.hidden (of queries, keys and values), LAYER.context (of attention's output),
    LAYER.attended and LAYER.inner (of the feed-forward part)."""


class Conditions(TypedDict):
    """What holds for every int8 graph that is tried."""

    max_drop: float
    calibration_examples: int
    weights: str
    """How weights are quantised, in words."""


class Products(TypedDict):
    """How many products with weights a graph computes in each precision."""

    int8: int
    fp32: int


class _Tried(Attempt, Conditions):
    tried: int
    """Graphs."""


@final
class Accepted(_Tried):
    """The int8 graph that passed the gate."""

    accepted: Literal[True]
    products: Products


@final
class Refused(_Tried):
    """No int8 graph passed; the figures are those of the best."""

    accepted: Literal[False]
    reason: str


@final
class NotTried(TypedDict):
    """No int8 graph was wanted."""

    accepted: Literal[False]
    reason: str


class ExitFigures(TypedDict):
    """Early exit beside the full depth."""

    threshold: float
    """A text leaves after the first repetition whose answer has this probability: of its label, of its tokens' labels on average, or of
    the less certain of start and end."""
    depth: int
    """Repetitions of the layer that a text takes which never leaves."""
    repetitions: float
    """Mean over the validation split."""
    score_at_depth: list[float]
    """Where every text is read by 1, 2, ... `depth` repetitions: what a student of that depth might do as well."""
    score: float
    drop: float
    """Points of the validation score below the same graph at full depth."""
    drop_interval: list[float]
    """95 % interval of the paired bootstrap; its upper end is at most `max_drop`."""
    max_drop: float
    milliseconds: float
    """Mean over some texts of the validation split, one at a time with one thread."""
    timed_tokens: float
    """Mean length of these texts."""
    milliseconds_at_full_depth: float
    """Of the same texts and the same graph without exits."""
    speedup: float
    speedup_interval: list[float]
    """95 % interval of the bootstrap over these texts."""


class Exits(ExitFigures):
    """A graph whose texts leave early, since they lose little and gain time."""

    accepted: Literal[True]
    test: GraphScore
    test_repetitions: float


class NoExits(TypedDict):
    """The model learned to leave early, but the graph reads to the full depth."""

    accepted: Literal[False]
    reason: str


class GraphScore(ScoreRecord):
    """The score of a graph on a split."""

    split: str


class Provenance(TypedDict):
    """Licence and citation of one of the task's files."""

    licence: str
    citation: str


class Processor(TypedDict):
    """On which something was measured."""

    name: str
    flags: list[str]
    """Instruction sets that decide how fast small products are."""


@dataclass(frozen=True)
class GraphFile:
    """One graph of an exported model.

    Attributes:
        file: its name in the folder.
        bytes: its size.
        batches: whether texts may share a batch. Products quantised with ranges measured in each run give a text another
            answer beside other texts, so such a graph reads one text at a time.
        milliseconds: median of a forward pass with one thread when it was exported, one text of median length; None where it was
            not measured.
        timed_tokens: how long that text is, special tokens included.
        check: an item and its answer; a server is ready when it gives this answer. None only while the export asks for it.
    """

    file: str
    bytes: int
    batches: bool
    milliseconds: float | None
    timed_tokens: int | None
    check: StoredCheck | None


@dataclass(frozen=True)
class Manifest:
    """What an exported folder says about itself.

    Attributes:
        format: version of this file.
        name: name of the system in the study's tables.
        regime, model, task: its place in the study.
        model_digest: of the trained model, as its selection records it.
        pairs: classification of two texts.
        labels: names in the order of the logits; empty for question answering.
        max_length: longest input in tokens, special ones included.
        doc_stride: tokens that neighbouring windows of a long context share (question answering).
        n_best, max_answer_length: how answers are picked, see `ligero.tasks.squad_answers`.
        tokenizer: description of `tokenizer.json`.
        graphs: by precision.
        precision: which graph answers unless another is asked for.
        parity: the fp32 graph beside the trained model.
        int8: whether the quantised graph was accepted, by what figures, and if not why.
        scores: of each graph on the test split, at full depth.
        exits: of each graph, where the model learned to leave early; else empty.
        sources: licences and citations of the task's files.
        versions: of the libraries that made the export.
        processor: on which it was measured.
        files: SHA-256 of every other file in the folder.
    """

    format: int
    name: str
    regime: str
    model: str
    task: str
    model_digest: str
    task_name: str
    task_type: TaskType
    metric: str
    pairs: bool
    labels: tuple[str, ...]
    max_length: int
    doc_stride: int
    n_best: int
    max_answer_length: int
    tokenizer: TokenizerInfo
    graphs: dict[Precision, GraphFile]
    precision: Precision
    parity: Parity
    int8: Accepted | Refused | NotTried
    scores: dict[Precision, GraphScore]
    exits: dict[Precision, Exits | NoExits]
    sources: dict[str, Provenance]
    versions: dict[str, str]
    processor: Processor
    files: dict[str, str]

    def leaving_early(self, precision: Precision) -> Exits | None:
        """How a graph answers by itself whose texts leave early; None where it reads to the full depth."""
        exits = self.exits.get(precision)
        return exits if exits and exits["accepted"] else None

    def write(self, folder: Path) -> None:
        write_record(folder / MANIFEST_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest.

        Raises:
            DataError: none is there, it is of another format, or lacks a key somewhere.
            DamagedError: it is not what was written.
        """
        path = Path(folder) / MANIFEST_FILE
        if not path.is_file():
            problem = f"no {MANIFEST_FILE}; a folder that the export wrote is expected."
            model = Path(folder) / "model"  # where `ligero train` puts it in the study's folder
            remedy = f"Name {model}." if (model / MANIFEST_FILE).is_file() else REMEDY
            raise DataError(folder, None, problem, remedy)
        values = read_record(path, REMEDY)
        if (found := values.get("format")) != FORMAT:
            raise DataError(path, None, f"format is {found!r}, expected {FORMAT}.", REMEDY)
        expected = {field.name for field in fields(cls)}
        if wrong := expected ^ values.keys():
            raise DataError(path, None, f"keys missing or unknown: {', '.join(sorted(wrong))}.", REMEDY)
        part = ""
        try:
            for part, kinds in _RECORDS.items():
                _check_keys(path, part, values[part], *kinds)
            for part, kinds in _RECORDS_BY_NAME.items():
                for name, record in values[part].items():
                    _check_keys(path, f"{part}.{name}", record, *kinds)
            part = "graphs"
            graphs = {name: GraphFile(**graph) for name, graph in values[part].items()}
            for name, graph in graphs.items():
                if graph.check is not None:
                    _check_keys(path, f"graphs.{name}.check", graph.check, StoredCheck)
            part = "tokenizer"
            tokenizer = TokenizerInfo(**values[part])
        except (TypeError, AttributeError) as error:
            raise DataError(path, None, f"'{part}' is malformed: {error}.", REMEDY) from error
        manifest = cls(
            **{**values, "labels": tuple(values["labels"]), "graphs": graphs, "tokenizer": tokenizer}
        )
        manifest._check_names(path)
        return manifest

    def _check_names(self, path: Path) -> None:
        """Refuse what would be read without its digest, or from another folder."""
        read = [TOKENIZER_FILE, *(graph.file for graph in self.graphs.values())]
        if unlisted := [name for name in read if name not in self.files]:
            raise DataError(path, None, f"'files' has no digest of {unlisted[0]}.", REMEDY)
        if foreign := [name for name in self.files if Path(name).name != name or name == ".."]:
            raise DataError(
                path, None, f"'files' names {foreign[0]}, which is not in the folder itself.", REMEDY
            )
        if self.precision not in self.graphs:
            raise DataError(
                path, None, f"precision is {self.precision!r}, but there is no such graph.", REMEDY
            )

    def check_place(self, folder: Path) -> None:
        """Refuse the manifest of another export in a study's folder exports/REGIME/MODEL/TASK.

        Raises:
            DamagedError: the folder's path has another regime, model or task.
        """
        own = (self.regime, self.model, self.task)
        if folder.parts[-3:] != own:
            problem = f"it belongs elsewhere: it is of {'/'.join(own)}."
            raise DamagedError(folder / MANIFEST_FILE, None, problem, REMEDY)

    def verify(self, folder: Path) -> None:
        """Compare the folder's files with their digests.

        Raises:
            DamagedError: a file is missing or was changed.
        """
        for name, expected in self.files.items():
            path = folder / name
            if not path.is_file():
                raise DamagedError(path, None, "no such file, but the manifest names it.", REMEDY)
            if sha256_file(path) != expected:
                raise DamagedError(path, None, "differs from its digest in the manifest.", REMEDY)


_RECORDS: dict[str, tuple[type, ...]] = {
    "parity": (Parity,),
    "int8": (Accepted, Refused, NotTried),
    "processor": (Processor,),
}
_RECORDS_BY_NAME: dict[str, tuple[type, ...]] = {
    "scores": (GraphScore,),
    "sources": (Provenance,),
    "exits": (Exits, NoExits),
}


def _check_keys(path: Path, part: str, record: object, *kinds: type) -> None:
    """Refuse a record whose keys are not those of one of `kinds`."""
    if not isinstance(record, dict) or all(record.keys() != kind.__annotations__.keys() for kind in kinds):
        found = ", ".join(record) if isinstance(record, dict) else repr(record)
        expected = " or ".join(", ".join(kind.__annotations__) for kind in kinds)
        raise DataError(path, None, f"'{part}' has the keys {found}; expected {expected}.", REMEDY)
