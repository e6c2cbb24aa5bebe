"""Clean text to token ids: the token store of one tokenizer, written in parallel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory
from ligero.common.hashing import digest_file
from ligero.common.progress import progress
from ligero.corpus.parallel import ordered_map
from ligero.corpus.reading import read_blocks
from ligero.corpus.token_store import SplitInfo, SplitWriter, write_info
from ligero.tokenizers.fast_tokenizer import INFO_FILE, FastTokenizer
from ligero.tokenizers.word_cache import LineEncoder

SPLITS = ("train", "validation")
BYTES_PER_PROCESS = 16 << 20
"""Another process starts only for so much text more: starting one takes longer than encoding less."""


@dataclass(frozen=True)
class EncodedBlock:
    """A block of clean text as ids."""

    ids: bytes
    lengths: NDArray[np.int64]
    """Tokens of each line."""
    first_lines: NDArray[np.int64]
    """Indices of the lines that start a document."""
    characters: int


_line_encoder: LineEncoder | None = None
"""The encoder of this process; its cache lives as long as the process."""


def _start(folder: str) -> None:
    global _line_encoder
    _line_encoder = LineEncoder(FastTokenizer.load(folder))


def encode_block(block: bytes) -> EncodedBlock:
    """Encode a block of clean text with the encoder of this process."""
    assert _line_encoder is not None
    lines = block.decode("utf-8").split("\n")
    filled = [bool(line) for line in lines]
    starts = [index for index, full in enumerate(filled) if full and (index == 0 or not filled[index - 1])]
    kept = np.cumsum(filled) - 1
    ids, lengths = _line_encoder.encode([line for line in lines if line])
    return EncodedBlock(ids, lengths, kept[starts].astype(np.int64), len(block))


def encode_corpus(tokenizer_folder: Path, clean_folder: Path, out: Path, processes: int = 1) -> None:
    """Encode train.txt.zst and validation.txt.zst of `clean_folder` into the token store `out`.

    Args:
        tokenizer_folder: folder of the tokenizer (fast_tokenizer.json).
        clean_folder: folder of the cleaned corpus.
        out: the store's folder, written whole or not at all.
        processes: how many encode at once; the result does not depend on it.

    Raises:
        DataError: there are no training tokens.
    """
    tokenizer = FastTokenizer.load(tokenizer_folder)
    dtype = LineEncoder(tokenizer).dtype
    splits: dict[str, SplitInfo] = {}
    with atomic_directory(out) as staging:
        for split in SPLITS:
            source = clean_folder / f"{split}.txt.zst"
            with SplitWriter(staging, split) as writer:
                for block in _encoded(source, tokenizer_folder, processes):
                    writer.write(block.ids, block.lengths, block.first_lines)
                splits[split] = writer.finish()
        if not splits["train"].tokens:
            raise DataError(clean_folder / "train.txt.zst", None, "gives no tokens.")
        write_info(staging, dtype, digest_file(tokenizer_folder / INFO_FILE), splits)


def _encoded(source: Path, tokenizer_folder: Path, processes: int) -> Iterator[EncodedBlock]:
    # Compressed text is a third of the text or less.
    useful = 1 + 3 * source.stat().st_size // BYTES_PER_PROCESS if source.exists() else 1
    bar = progress(total=None, label=f"encoding {source.name}", unit="B")
    blocks = ordered_map(
        encode_block, read_blocks(source), min(processes, useful), _start, (str(tokenizer_folder),)
    )
    for block in blocks:
        bar.update(block.characters)
        yield block
    bar.close()
