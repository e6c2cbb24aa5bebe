"""Examples made into token ids: what a model of one vocabulary reads, written as Parquet. Needs no torch.

Special tokens are placed by the vocabulary's own template, read off an encoded pair (`Template`), so that one code serves
`[CLS] a [SEP] b [SEP]`, `<s> a </s></s> b </s>` and whatever a local model brings.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory, atomic_path
from ligero.common.hashing import digest_value, sha256_file
from ligero.common.progress import progress
from ligero.common.records import DamagedError, check_file, digests_of
from ligero.settings.jobs import EncodingJob
from ligero.settings.tasks import SPLITS
from ligero.tasks.dataset_schema import with_features
from ligero.tasks.examples import IGNORED, ClassificationRow, QuestionRow, TaggingRow
from ligero.tasks.inputs import ContextTokens, Template, windows
from ligero.tasks.records import EXAMPLES_REMEDY, EncodedInfo, read_task_info, write_encoded_info
from ligero.tokenizers.fast_tokenizer import FastTokenizer

Row = TypeVar("Row", ClassificationRow, TaggingRow, QuestionRow)

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1000
"""Examples that are tokenised together."""


def word_starts(word_ids: NDArray[np.integer[Any]], offsets: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Which tokens are the first subword of a word: where labels sit, predictions are read, and teacher and student are aligned.

    Args:
        word_ids: [N], the word of each token, -1 outside words; features one after the other.
        offsets: [F + 1], where each feature begins.
    """
    starts = word_ids >= 0
    starts[1:] &= word_ids[1:] != word_ids[:-1]
    begins = offsets[:-1][np.diff(offsets) > 0]
    starts[begins] = word_ids[begins] >= 0
    return starts


class FeatureTable:
    """Features under construction: scalar columns, and token columns kept flat."""

    def __init__(self, scalars: Sequence[str], token_columns: Sequence[str]) -> None:
        self.scalars = {name: array("i") for name in scalars}
        self.tokens = {name: array("b" if name == "token_type_ids" else "i") for name in token_columns}
        self.offsets = array("i", [0])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def append(self, scalars: dict[str, int], tokens: dict[str, Sequence[int]]) -> None:
        """Add one feature; all token columns must have the same length."""
        for name, column in self.scalars.items():
            column.append(scalars[name])
        for name, flat in self.tokens.items():
            flat.extend(tokens[name])
        self.offsets.append(len(self.tokens["input_ids"]))

    def digest(self) -> str:
        """16 hexadecimal digits over all columns."""
        digest = sha256()
        columns = {**self.scalars, **self.tokens, "offsets": self.offsets}
        for name in sorted(columns):
            digest.update(name.encode() + b"\0" + columns[name].tobytes())
        return digest.hexdigest()[:16]

    def table(self) -> pa.Table:
        """The features as an Arrow table."""
        import pyarrow as pa

        def flat(values: array[int]) -> pa.Array:
            kind = pa.int8() if values.typecode == "b" else pa.int32()
            return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])

        offsets = flat(self.offsets)
        columns = {name: flat(values) for name, values in self.scalars.items()}
        columns |= {
            name: pa.ListArray.from_arrays(offsets, flat(values)) for name, values in self.tokens.items()
        }
        return pa.table(columns)


def encode_task(job: EncodingJob, vocabulary: str, encoder_dir: Path, examples_dir: Path, out: Path) -> None:
    """Write `out/{train,validation,test}.parquet` and `info.json`, all or nothing.

    Raises:
        DataError: an example that cannot be encoded, named by its id.
        DamagedError: the examples are not what was written, or of another task.
    """
    encoder = FastTokenizer.load(encoder_dir)
    examples_info = read_task_info(examples_dir)
    if examples_info["task"] != job.task_id:
        problem = f"it belongs elsewhere: these are the examples of {examples_info['task']}."
        raise DamagedError(examples_dir / "info.json", None, problem, EXAMPLES_REMEDY)
    counts: dict[str, dict[str, int]] = {}
    digests: dict[str, str] = {}
    with atomic_directory(out) as staging:
        for split in SPLITS:
            path = examples_dir / f"{split}.parquet"
            check_file(path, examples_info["files"][path.name], EXAMPLES_REMEDY)
            features, counted = encode_split(job, encoder, path)
            _write(features, staging / f"{split}.parquet", examples_info["labels"])
            counts[split] = {"features": len(features), **counted}
            digests[split] = digest_value([features.digest(), examples_info["digests"][split]])
        info: EncodedInfo = {
            "vocabulary": vocabulary,
            "files": digests_of(staging, (f"{split}.parquet" for split in SPLITS)),
            "encoder": sha256_file(encoder_dir / "fast_tokenizer.json"),
            "job": job.model_dump(mode="json"),
            "counts": counts,
            "digests": digests,
            "examples_digests": {split: examples_info["digests"][split] for split in SPLITS},
        }
        write_encoded_info(staging, info)


def encode_split(job: EncodingJob, encoder: FastTokenizer, path: Path) -> tuple[FeatureTable, Counter[str]]:
    """The features of one examples file, and what was counted on the way (truncated examples, lost words, ...)."""
    template = Template.of(encoder)
    if job.task_type == "sequence_classification":
        return _classification(job, encoder, template, path)
    if job.task_type == "token_classification":
        return _tagging(job, encoder, template, path)
    return _answering(job, encoder, template, path)


def _classification(
    job: EncodingJob, encoder: FastTokenizer, template: Template, path: Path
) -> tuple[FeatureTable, Counter[str]]:
    features = FeatureTable(("example", "label"), ("input_ids", "token_type_ids"))
    counted: Counter[str] = Counter(examples=0, truncated=0)
    for rows in _chunks(path, ClassificationRow):
        first = _ids(encoder, [row["text"] for row in rows])
        second = _ids(encoder, [row["second_text"] or "" for row in rows])
        for row, a, b in zip(rows, first, second, strict=True):
            tokens, segments, was_cut = template.cut_to(
                a, None if row["second_text"] is None else b, job.max_length
            )
            counted["truncated"] += was_cut
            scalars = {"example": counted["examples"], "label": row["label"]}
            features.append(scalars, {"input_ids": tokens, "token_type_ids": segments})
            counted["examples"] += 1
    return features, counted


def _tagging(
    job: EncodingJob, encoder: FastTokenizer, template: Template, path: Path
) -> tuple[FeatureTable, Counter[str]]:
    features = FeatureTable(("example",), ("input_ids", "token_type_ids", "word_ids", "word_labels"))
    counted: Counter[str] = Counter(examples=0, truncated=0, lost_words=0, words_without_tokens=0)
    room = job.max_length - template.single_length
    before, after = [-1] * len(template.before), [-1] * len(template.single_after)
    for rows in _chunks(path, TaggingRow):
        for row in rows:
            ids, word_ids = encoder.encode_words(row["words"])
            counted["words_without_tokens"] += len(row["words"]) - len(set(word_ids))
            if len(ids) > room:
                counted["truncated"] += 1
                counted["lost_words"] += len(set(word_ids[room:]) - set(word_ids[:room]))
                ids, word_ids = ids[:room], word_ids[:room]
            tokens, segments = template.single(ids)
            words = [*before, *word_ids, *after]
            labels = [row["labels"][word] if word >= 0 else IGNORED for word in words]
            features.append(
                {"example": counted["examples"]},
                {
                    "input_ids": tokens,
                    "token_type_ids": segments,
                    "word_ids": words,
                    "word_labels": labels,
                },
            )
            counted["examples"] += 1
    return features, counted


def _answering(
    job: EncodingJob, encoder: FastTokenizer, template: Template, path: Path
) -> tuple[FeatureTable, Counter[str]]:
    features = FeatureTable(
        ("example", "start_position", "end_position"),
        ("input_ids", "token_type_ids", "start", "end", "word_ids"),
    )
    counted: Counter[str] = Counter(
        examples=0, several_windows=0, less_overlap=0, windows_without_answer=0, answers_in_no_window=0
    )
    for rows in _chunks(path, QuestionRow):
        questions = _ids(encoder, [row["question"] for row in rows])
        contexts = encoder.encode_batch([row["context"] for row in rows], add_special_tokens=False)
        for row, question, encoded in zip(rows, questions, contexts, strict=True):
            room = job.max_length - template.pair_length - len(question)
            if room < 1:
                raise DataError(
                    path,
                    None,
                    f"question '{row['id']}' has {len(question)} tokens, which leaves none of the {job.max_length} "
                    "for its context.",
                    "Raise max_length, or drop the question.",
                )
            overlap = min(job.doc_stride, room // 2)
            counted["less_overlap"] += overlap < job.doc_stride
            context = ContextTokens.of(row["context"], encoded.ids, encoded.offsets)
            answer = context.token_span(row["answers"])
            spans = list(windows(len(context.ids), room, overlap))
            counted["several_windows"] += len(spans) > 1
            found = 0
            for begin, stop in spans:
                tokens, segments = template.pair(question, context.ids[begin:stop])
                lead = len(template.before) + len(question) + len(template.between)
                positions = (0, 0)
                if answer is not None and begin <= answer[0] and answer[1] < stop:
                    positions = (lead + answer[0] - begin, lead + answer[1] - begin)
                    found += 1

                def placed(
                    values: list[int], lead: int = lead, begin: int = begin, stop: int = stop
                ) -> list[int]:
                    return [-1] * lead + values[begin:stop] + [-1] * len(template.after)

                features.append(
                    {
                        "example": counted["examples"],
                        "start_position": positions[0],
                        "end_position": positions[1],
                    },
                    {
                        "input_ids": tokens,
                        "token_type_ids": segments,
                        "start": placed(context.starts),
                        "end": placed(context.ends),
                        "word_ids": placed(context.words),
                    },
                )
            counted["windows_without_answer"] += len(spans) - found
            counted["answers_in_no_window"] += bool(row["answers"]) and not found
            counted["examples"] += 1
    return features, counted


def _ids(encoder: FastTokenizer, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in encoder.encode_batch(texts, add_special_tokens=False)]


def _chunks(path: Path, row: type[Row]) -> Iterator[list[Row]]:
    """The rows of an examples file, some at a time, with the columns that their type has."""
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise DataError(
            path, None, f"not a readable Parquet file: {error}.", "Run prepare_task.py."
        ) from error
    with progress(total=file.metadata.num_rows, label=f"encoding {path.stem}", unit="example") as bar:
        for chunk in file.iter_batches(CHUNK, columns=list(row.__annotations__)):
            yield chunk.to_pylist()
            bar.update(chunk.num_rows)


def _write(features: FeatureTable, path: Path, labels: Sequence[str]) -> None:
    import pyarrow.parquet as pq

    table = features.table()
    table = table.cast(with_features(table.schema, {"label": labels, "word_labels": labels}))
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
