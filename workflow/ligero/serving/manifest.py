"""`manifest.json` of an exported model: all that is needed to answer, beside the graphs and the tokenizer."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ligero.common.errors import DataError
from ligero.common.files import read_json, write_json
from ligero.common.hashing import sha256_file

if TYPE_CHECKING:
    from ligero.settings.tasks import TaskType  # imports pydantic, which serving does without

MANIFEST_FILE, TOKENIZER_FILE = "manifest.json", "tokenizer.json"
FORMAT = 1
Precision = Literal["fp32", "int8"]


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
        check: an item and its answer; a server is ready when it gives this answer.
    """

    file: str
    bytes: int
    batches: bool
    milliseconds: float | None
    check: dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What an exported folder says about itself.

    Attributes:
        format: version of this file.
        name: name of the system in the study's tables.
        regime, model, task: its place in the study.
        pairs: classification of two texts.
        labels: names in the order of the logits; empty for question answering.
        max_length: longest input in tokens, special ones included.
        doc_stride: tokens that neighbouring windows of a long context share (question answering).
        n_best, max_answer_length: how answers are picked, see `ligero.tasks.answers`.
        tokenizer: description of `tokenizer.json` (`ligero.tokenizers.fast_tokenizer.TokenizerInfo`).
        graphs: by precision.
        precision: which graph answers unless another is asked for.
        parity: how far the fp32 graph's logits are from the trained model's on the test split.
        int8: whether the quantised graph was accepted, by what figures, and if not why.
        scores: of the trained model and of the int8 graph, with 95 % intervals.
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
    task_name: str
    task_type: TaskType
    metric: str
    pairs: bool
    labels: tuple[str, ...]
    max_length: int
    doc_stride: int
    n_best: int
    max_answer_length: int
    tokenizer: dict[str, Any]
    graphs: dict[Precision, GraphFile]
    precision: Precision
    parity: dict[str, Any]
    int8: dict[str, Any]
    scores: dict[str, Any]
    sources: dict[str, Any]
    versions: dict[str, str]
    processor: dict[str, Any]
    files: dict[str, str]

    def write(self, folder: Path) -> None:
        write_json(folder / MANIFEST_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read a folder's manifest.

        Raises:
            DataError: none is there, it is of another format, or lacks a key.
        """
        path = Path(folder) / MANIFEST_FILE
        if not path.is_file():
            raise DataError(folder, None, f"no {MANIFEST_FILE}; a folder that the export wrote is expected.")
        values = read_json(path)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            found = values.get("format") if isinstance(values, dict) else values
            raise DataError(path, None, f"format is {found!r}, expected {FORMAT}.", "Export the model again.")
        expected = {field.name for field in fields(cls)}
        if wrong := expected ^ values.keys():
            raise DataError(
                path, None, f"keys missing or unknown: {', '.join(sorted(wrong))}.", "Export the model again."
            )
        try:
            graphs = {name: GraphFile(**graph) for name, graph in values["graphs"].items()}
        except (TypeError, AttributeError) as error:
            raise DataError(
                path, None, f"'graphs' is malformed: {error}.", "Export the model again."
            ) from error
        return cls(**{**values, "labels": tuple(values["labels"]), "graphs": graphs})

    def verify(self, folder: Path) -> None:
        """Compare the folder's files with their digests.

        Raises:
            DataError: a file is missing or was changed.
        """
        for name, expected in self.files.items():
            path = folder / name
            if not path.is_file():
                raise DataError(
                    path, None, "no such file, but the manifest names it.", "Export the model again."
                )
            if sha256_file(path) != expected:
                raise DataError(
                    path, None, "differs from its digest in the manifest.", "Copy or export the model again."
                )
