"""An exported model that answers items."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError, LigeroError
from ligero.serving.answers import Answer, Item
from ligero.serving.manifest import MANIFEST_FILE, REMEDY, TOKENIZER_FILE, GraphFile, Manifest, Precision
from ligero.serving.readers import READERS, Feature, InputError, Outputs, Question
from ligero.serving.session import available_cores, check_threads, open_session
from ligero.tokenizers.fast_tokenizer import FastTokenizer, TokenizerInfo

if TYPE_CHECKING:
    import onnxruntime

CHUNK = 512
"""Items that are read before the first of them is answered, so that texts of equal length share batches."""
BATCH_TOKENS, BATCH_FEATURES = 2048, 32
"""Most tokens, with padding, and most features in a batch: larger ones are no faster on a CPU."""
PADDED_SHARE = 0.25
"""A batch ends where more than this share of it would be padding."""


FULL_DEPTH = 2.0
"""Threshold of early exits that no probability reaches."""


class Predictor:
    """An exported model, ready to answer.

    Attributes:
        manifest: what the folder says about itself.
        precision: of the graph in use.
        graph: its entry in the manifest.
        threshold: of early exits; FULL_DEPTH where the graph has none or they are not wanted.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        precision: Precision | Literal["auto"] = "auto",
        threads: int | None = None,
        full_depth: bool = False,
    ) -> None:
        """Open a folder that the export wrote, and verify its files.

        Args:
            precision: "auto" takes the manifest's choice, int8 where its gate accepted it.
            threads: of a forward pass; None takes all cores that the process may use (affinity and container quota).
            full_depth: read every text to the full depth, also where the graph has early exits.

        Raises:
            DataError: the folder is incomplete or was changed.
            LigeroError: there is no graph of that precision; the message says why.
            ConfigurationError: threads below 1, or too many.
        """
        if threads is not None:
            check_threads(threads)
        folder = Path(folder)
        self.manifest = Manifest.read(folder)
        self.manifest.verify(folder)
        self.precision: Precision = self.manifest.precision if precision == "auto" else precision
        if self.precision not in self.manifest.graphs:
            reason = self.manifest.int8.get("reason", "it was not exported")
            raise LigeroError(f"{folder}: there is no {self.precision} graph: {reason}")
        self.graph: GraphFile = self.manifest.graphs[self.precision]
        tokenizer = load_tokenizer(folder, self.manifest.tokenizer)
        if (reader := READERS.get(self.manifest.task_type)) is None:
            problem = f"task_type is {self.manifest.task_type!r}, which is unknown."
            raise DataError(folder / MANIFEST_FILE, None, problem, REMEDY)
        self._reader = reader(self.manifest, tokenizer)
        exits = None if full_depth else self.manifest.leaving_early(self.precision)
        self.threshold = exits["threshold"] if exits else FULL_DEPTH
        self._runner = GraphRunner(
            folder / self.graph.file, tokenizer.pad, self.graph.batches, threads or available_cores()
        )

    def predict(self, items: Iterable[Item]) -> Iterator[Answer]:
        """Answer items one by one, in their order; they may come from a stream of any length.

        An item is a string, or an object with the keys of the task: `text`; `text` and `second_text`; `text` or `words`
        (tagging); `question` and `context`. Its `id`, if it has one, is repeated in the answer.

        Raises:
            InputError: an item is not what the task needs; the message begins with its number, counted from 1. Or one item is
                given in the place of a list of them.
        """
        if isinstance(items, str | Mapping):
            raise InputError(f"expected a list of items, found one {type(items).__name__}; write [item]")
        waiting, number = iter(items), 0
        while chunk := list(islice(waiting, CHUNK)):
            questions = []
            for item in chunk:
                number += 1
                try:
                    questions.append(self.read(item))
                except InputError as error:
                    raise InputError(f"item {number}: {error}", number) from error
            for item, answer in zip(chunk, self.answer(questions), strict=True):
                if not isinstance(item, str) and "id" in item:
                    answer = {"id": item["id"], **answer}  # type: ignore[assignment]
                yield answer

    def read(self, item: Item) -> Question:
        """Make an item ready for `answer`.

        Raises:
            InputError: it is not what the task needs.
        """
        return self._reader.read(item)

    def answer(self, questions: Sequence[Question], full_depth: bool = False) -> list[Answer]:
        """Answer questions together, in batches of similar length."""
        features = [feature for question in questions for feature in question.features]
        outputs = iter(self._runner.run(features, FULL_DEPTH if full_depth else self.threshold))
        return [question.answer(list(islice(outputs, len(question.features)))) for question in questions]

    def check(self) -> None:
        """Answer the question whose answer the export stored, at the full depth: a rounding decides where a text leaves.

        Raises:
            LigeroError: the answer is another one, or none was stored.
        """
        stored = self.graph.check
        if stored is None:
            raise LigeroError(
                f"{self.graph.file}: the manifest has no question for this graph; export the model again"
            )
        (found,) = self.answer([self.read(stored["item"])], full_depth=True)
        if difference := differing(found, stored["answer"]):
            raise LigeroError(
                f"{self.graph.file}: the answer to its stored question has changed: {difference}"
            )


class GraphRunner:
    """Runs features through a graph."""

    def __init__(self, model: Path | bytes, pad: int, batches: bool, threads: int) -> None:
        """Open a graph.

        Args:
            model: its file, or its bytes.
            pad: id of the padding token.
            batches: whether features may share a batch.
        """
        self._session = open_session(model, threads)
        self._names = [entry.name for entry in self._session.get_outputs()]
        self._pad, self._batches = pad, batches

    def run(self, features: Sequence[Feature], threshold: float = FULL_DEPTH) -> list[Outputs]:
        """The logits of each feature, in their order, without padding.

        Args:
            threshold: of early exits, where the graph has them. Features that may leave early are read one at a time: beside others
                each would wait for the last to leave, which takes longer than one after the other.
        """
        outputs: list[Outputs] = [{} for _ in features]
        lengths = [len(feature.tokens) for feature in features]
        for rows in self._plan(lengths, alone=threshold < FULL_DEPTH):
            results = self._session.run(
                self._names, padded([features[row] for row in rows], self._pad, self._session, threshold)
            )
            for name, values in zip(self._names, results, strict=True):
                for place, row in enumerate(rows):
                    per_token = values.ndim == 3 or name.partition(":")[0] in ("start", "end")
                    length = len(features[row].tokens)
                    outputs[row][name] = values[place, :length] if per_token else values[place]
        return outputs

    def _plan(self, lengths: Sequence[int], alone: bool = False) -> Iterator[list[int]]:
        """Rows of each batch, longest first."""
        batch: list[int] = []
        longest = total = 0
        for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
            rows = len(batch) + 1
            padding = rows * longest - total - lengths[row]
            if batch and (
                alone
                or not self._batches
                or rows > BATCH_FEATURES
                or rows * longest > BATCH_TOKENS
                or padding > PADDED_SHARE * rows * longest
            ):
                yield batch
                batch, longest, total = [], 0, 0
            longest = longest or lengths[row]
            total += lengths[row]
            batch.append(row)
        if batch:
            yield batch


Inputs = dict[str, NDArray[np.int64] | NDArray[np.float32]]
"""Of a session, by name."""


def padded(
    features: Sequence[Feature],
    pad: int,
    session: onnxruntime.InferenceSession,
    threshold: float = FULL_DEPTH,
) -> Inputs:
    """Features as the inputs that a session has, [features, longest], and the threshold where it has exits."""
    arrays: Inputs = {"threshold": np.array(threshold, np.float32), **model_inputs(features, pad)}
    return {entry.name: arrays[entry.name] for entry in session.get_inputs()}


def model_inputs(features: Sequence[Feature], pad: int) -> dict[str, NDArray[np.int64]]:
    """Features as `input_ids`, `attention_mask` and `token_type_ids`, each [features, longest]."""
    shape = (len(features), max(len(feature.tokens) for feature in features))
    feed = {
        "input_ids": np.full(shape, pad, np.int64),
        "attention_mask": np.zeros(shape, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
    }
    for row, (tokens, segments) in enumerate(features):
        feed["input_ids"][row, : len(tokens)] = tokens
        feed["attention_mask"][row, : len(tokens)] = 1
        feed["token_type_ids"][row, : len(tokens)] = segments
    return feed


def load_tokenizer(folder: Path, info: TokenizerInfo) -> FastTokenizer:
    """The tokenizer of an exported folder.

    Raises:
        DataError: it cannot be read.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER_FILE
    try:
        return FastTokenizer(Tokenizer.from_file(str(path)), info)
    except Exception as error:  # the library raises plain Exception
        raise DataError(path, None, f"cannot be read: {error}.", "Export the model again.") from error


SCORE_TOLERANCE = 0.02
"""Probabilities of int8 graphs differ a little between processors, and with the texts that share a batch."""


def differing(found: object, expected: object, place: str = "answer") -> str:
    """Where two answers differ; empty where they agree, probabilities up to SCORE_TOLERANCE, decisions up to ties (`tied`)."""
    if isinstance(found, dict) and isinstance(expected, dict):
        if found.keys() != expected.keys():
            return f"{place} has the keys {sorted(found)}, expected {sorted(expected)}"
        decided = ("label",) if "label" in expected else ("answer", "start", "end")
        keys = [key for key in expected if not (key in decided and tied(found, expected))]
        if "words" in keys and [word["label"] for word in found["words"]] != [
            word["label"] for word in expected["words"]
        ]:
            keys.remove("entities")  # they follow from the labels
        differences = (differing(found[key], expected[key], f"{place}.{key}") for key in keys)
        return next(filter(None, differences), "")
    if isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return f"{place} has {len(found)} entries, expected {len(expected)}"
        pairs = enumerate(zip(found, expected, strict=True))
        return next(filter(None, (differing(a, b, f"{place}[{i}]") for i, (a, b) in pairs)), "")
    if isinstance(found, float) and isinstance(expected, float | int):
        close = abs(found - expected) <= SCORE_TOLERANCE
        return "" if close else f"{place} is {found:.4f}, expected {expected:.4f}"
    return "" if found == expected else f"{place} is {found!r}, expected {expected!r}"


def tied(found: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    """Whether rounding alone can have made one decision into another: both equally likely, and together no more than certain."""
    one, other = found.get("score"), expected.get("score")
    if not (isinstance(one, float) and isinstance(other, float)):
        return False
    return abs(one - other) <= SCORE_TOLERANCE and one + other <= 1 + 2 * SCORE_TOLERANCE


def decisions(answer: object) -> object:
    """An answer without its probabilities."""
    if isinstance(answer, dict):
        return {key: decisions(value) for key, value in answer.items()}
    if isinstance(answer, list):
        return [decisions(value) for value in answer]
    return None if isinstance(answer, float) else answer
