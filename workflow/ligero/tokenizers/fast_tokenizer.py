"""Encode text with a saved tokenizer, on the `tokenizers` library alone: no transformers, so programs start at once.

A tokenizer's folder holds `fast_tokenizer.json`, the backend of the tokenizer that AutoTokenizer loads from that folder, and
`tokenizer_info.json`. The ids are those of AutoTokenizer, with one intended difference: the name of a special token
in a text ("</s>" in a manual) is text, never a special token.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from ligero.common.errors import DataError
from ligero.common.records import DamagedError, check_file, digests_of, read_record, write_record

FAST_TOKENIZER_FILE, INFO_FILE = "fast_tokenizer.json", "tokenizer_info.json"
TOKENIZER_FILES = (
    FAST_TOKENIZER_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
    "sentencepiece.bpe.model",
)
"""What a tokenizer may consist of, beside its description."""
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
"""Any one of them holds the tokens of a published checkpoint."""
REMEDY = "Make the tokenizer again: delete its folder and start snakemake again."
SPECIAL_ROLES = ("cls", "sep", "pad", "unk", "mask")

_DISARMED = str.maketrans({"<": "‹", "＜": "‹", "﹤": "‹", "[": "(", "［": "(", "﹇": "("})
"""One character for one, so that offsets stay; NFKC makes '<' and '[' of the others."""


def require_vocabulary(folder: Path) -> None:
    """Refuse a checkpoint without its tokenizer, of which transformers would make one that knows no token.

    Raises:
        DataError: it holds none of the files.
    """
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        problem = f"it has none of the files that hold a tokenizer's tokens: {', '.join(_VOCABULARIES)}."
        raise DataError(folder, None, problem, "Copy those of the checkpoint into it.")


@dataclass(frozen=True)
class TokenizerInfo:
    """What programs need to know about a tokenizer."""

    kind: str
    """Class of the loaded tokenizer, as in tokenizer_config.json."""
    lower_case: bool
    vocabulary_size: int
    special: dict[str, int]
    """Ids of cls, sep, pad, unk and mask."""
    uses_token_types: bool
    """Whether the second text of a pair has segment id 1."""
    sample_check: int
    """Texts on which fast_tokenizer.json and the loaded tokenizer were compared."""
    repaired: list[str] = field(default_factory=list)
    """What was changed in a tokenizer of others so that it reads as its vocabulary and its model want it."""
    files: dict[str, str] = field(default_factory=dict)
    """Digest of each of the tokenizer's files."""

    def write(self, folder: Path) -> None:
        """Describe the tokenizer in `folder`, with the digests of its files as they are now."""
        names = [name for name in TOKENIZER_FILES if (folder / name).is_file()]
        write_record(folder / INFO_FILE, asdict(replace(self, files=digests_of(folder, names))))

    @classmethod
    def read(cls, folder: Path, remedy: str = REMEDY) -> TokenizerInfo:
        """The description in `folder`; of its files only `check` reads the content.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        values = read_record(folder / INFO_FILE, remedy)
        try:
            return cls(**values)
        except TypeError as error:
            problem = f"does not describe a tokenizer: {error}."
            raise DamagedError(folder / INFO_FILE, None, problem, remedy) from error

    def check(self, folder: Path, *names: str, remedy: str = REMEDY) -> None:
        """Compare files of the tokenizer (all of them, or `names`) with their digests.

        Raises:
            DamagedError: a file is missing or not what was written.
        """
        for name in names or self.files:
            check_file(folder / name, self.files.get(name, "none"), remedy)


class FastTokenizer:
    """A tokenizer, ready to encode.

    Attributes:
        backend: the underlying `tokenizers.Tokenizer`, without padding and truncation.
        info: its description.
        cls, sep, pad, unk, mask: ids of the special tokens.
    """

    def __init__(self, backend: Tokenizer, info: TokenizerInfo) -> None:
        backend.no_padding()
        backend.no_truncation()
        # Names of special tokens in running text are text.
        backend.encode_special_tokens = True
        self.backend = backend
        self.info = info
        self.cls, self.sep, self.pad, self.unk, self.mask = (info.special[role] for role in SPECIAL_ROLES)
        self._forbidden = frozenset((self.cls, self.sep, self.pad, self.mask))
        self._words_backend: Tokenizer | None = None

    @classmethod
    def load(cls, folder: Path | str) -> FastTokenizer:
        """Read `fast_tokenizer.json` and `tokenizer_info.json` of a tokenizer's or a model's folder.

        Raises:
            DataError: a file is missing, damaged, or was changed after it was written.
        """
        folder = Path(folder)
        info = TokenizerInfo.read(folder)
        info.check(folder, FAST_TOKENIZER_FILE)
        try:
            backend = Tokenizer.from_file(str(folder / FAST_TOKENIZER_FILE))
        except Exception as error:  # the library raises plain Exception
            raise DataError(
                folder / FAST_TOKENIZER_FILE, None, f"cannot be read: {error}.", REMEDY
            ) from error
        if backend.get_vocab_size() != info.vocabulary_size:
            raise DataError(
                folder / FAST_TOKENIZER_FILE,
                None,
                f"has {backend.get_vocab_size()} tokens, {INFO_FILE} says {info.vocabulary_size}.",
                REMEDY,
            )
        return cls(backend, info)

    @property
    def vocabulary_size(self) -> int:
        return self.info.vocabulary_size

    @property
    def uses_token_types(self) -> bool:
        return self.info.uses_token_types

    def encode(self, text: str) -> list[int]:
        """Ids of a text without special tokens."""
        ids: list[int] = self.backend.encode(text, add_special_tokens=False).ids
        if self._forbidden.isdisjoint(ids):
            return ids
        disarmed: list[int] = self.backend.encode(text.translate(_DISARMED), add_special_tokens=False).ids
        return disarmed

    def encode_words(self, words: Sequence[str]) -> tuple[list[int], list[int]]:
        """Ids of words given one by one, and for each id the index of its word; no special tokens.

        Each word is encoded as in the middle of running text: for byte-level vocabularies with a space before it, the
        first one too, which is what transformers' `add_prefix_space=True` with `is_split_into_words=True` does. A word
        may have no ids at all (control characters).
        """
        backend = self._backend_for_words()
        encoding = backend.encode(list(words), is_pretokenized=True, add_special_tokens=False)
        if not self._forbidden.isdisjoint(encoding.ids):
            disarmed = [word.translate(_DISARMED) for word in words]
            encoding = backend.encode(disarmed, is_pretokenized=True, add_special_tokens=False)
        words_of_ids: list[int] = [word for word in encoding.word_ids if word is not None]
        return encoding.ids, words_of_ids

    def encode_batch(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
    ) -> list[Encoding]:
        """Encode texts, or pairs of texts, with special tokens.

        Args:
            texts: first texts.
            pairs: second texts, as many.
            add_special_tokens: whether to add the special tokens of the tokenizer's template.

        Returns:
            `tokenizers.Encoding`s: ids, type_ids (segments), offsets (characters), sequence_ids.
        """
        if pairs is not None and len(pairs) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(pairs)} second texts")
        inputs: list[Any] = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        encodings: list[Encoding] = self.backend.encode_batch(
            self._disarmed_where_needed(inputs), add_special_tokens=add_special_tokens
        )
        return encodings

    def _disarmed_where_needed(self, inputs: list[Any]) -> list[Any]:
        """Texts with the first sign of special tokens' names replaced where the tokenizer would take them for such."""
        # Unigram models match the names of special tokens as pieces; the others split at their brackets.
        if type(self.backend.model).__name__ != "Unigram":
            return inputs

        def safe(text: str) -> str:
            if "<" not in text and "[" not in text and text.isascii():
                return text
            ids = self.backend.encode(text, add_special_tokens=False).ids
            return text if self._forbidden.isdisjoint(ids) else text.translate(_DISARMED)

        return [tuple(map(safe, item)) if isinstance(item, tuple) else safe(item) for item in inputs]

    def _backend_for_words(self) -> Tokenizer:
        if self._words_backend is None:
            description = json.loads(self.backend.to_str())
            _add_prefix_space(description.get("pre_tokenizer"))
            self._words_backend = Tokenizer.from_str(json.dumps(description))
            self._words_backend.encode_special_tokens = True
        return self._words_backend


def _add_prefix_space(pre_tokenizer: dict[str, Any] | None) -> None:
    """Make every byte-level step of a pre-tokenizer put a space before each word."""
    if not pre_tokenizer:
        return
    if pre_tokenizer["type"] == "ByteLevel":
        pre_tokenizer["add_prefix_space"] = True
    for step in pre_tokenizer.get("pretokenizers", ()):
        _add_prefix_space(step)
