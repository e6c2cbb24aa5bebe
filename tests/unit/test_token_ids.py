"""The ids in the token store are those of the tokenizer that AutoTokenizer loads, for every kind of vocabulary."""

from __future__ import annotations

import lzma
import random
import unicodedata
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from ligero.corpus.token_store import TokenStore
from ligero.corpus.writing import TextWriter
from ligero.settings.tokenizers import Tokenizer as TokenizerSettings
from ligero.tokenizers.encode_corpus import encode_corpus
from ligero.tokenizers.export import TRICKY_TEXTS
from ligero.tokenizers.fast_tokenizer import _DISARMED, FastTokenizer
from ligero.tokenizers.training import train_tokenizer

KINDS = {
    "sentencepiece_unigram": TokenizerSettings(
        kind="sentencepiece_unigram", vocabulary_size=1000, lower_case=True
    ),
    "wordpiece": TokenizerSettings(kind="wordpiece", vocabulary_size=1000, lower_case=True),
    "byte_level_bpe": TokenizerSettings(kind="byte_level_bpe", vocabulary_size=1000, lower_case=False),
}
WANTED = "áéíóúüñÁÉÍÓÚÜÑ¿¡«»—“”…ªº€"
LETTERS_AND_SIGNS = [
    *(f"a{sign}b {sign}a b{sign} {sign} a{sign}{sign}b" for sign in WANTED),
    *(unicodedata.normalize("NFD", text) for text in ("El niño, la pingüina y el camión.", "¡ÁÉÍÓÚ ÜÑ!")),
    "n\u0303 a\u0301 u\u0308 \u0301a e\u0301\u0303 ñ\u0301",
    "😀 ¡qué😀bien! 👍🏽👨‍👩‍👧 🇪🇸 ☺\ufe0f",
    *(
        f"uno{chr(code)}dos {chr(code)} tres{chr(code)}"
        for code in (*range(1, 10), *range(11, 32), 0x7F, 0x85)
    ),
    *(
        f"uno{sign}dos {sign} tres{sign}, {sign}cuatro"
        for sign in "\xa0\xad\u2003\u200b\u200d\u200e\u2028\u3000\ufeff\ufffd\u0130ßﬁ½²"
    ),
    "``uno'' 'dos' l'home d'Artagnan 's 'll x's 'solo O'Donnell",
    "1.234,56 20% 3º a1 1a 12-34 a_b #a @b c/d e\\f g|h {i} ~j k^l m=n",
    "x" * 99 + " " + "y" * 100 + " " + "z" * 101 + " " + "ñ" * 300,
]
SPECIAL = [
    "<pad>",
    "<unk>",
    "<s>",
    "</s>",
    "<mask>",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "[PAD]",
    "[UNK]",
    "＜pad＞",
    "［SEP］",
]
NAMES = [
    text for name in SPECIAL for text in (name, f"uno {name} dos", f"uno{name}dos, ({name})", name.lower())
]


@pytest.fixture(scope="session")
def real_lines(shared_data: Path) -> list[str]:
    """Lines of manuals, sentences and novels, raw: nothing is cleaned away or lower-cased."""
    lines: list[str] = []
    for name in ("debian_docs_es", "tatoeba_spa-eng_es-side", "ELTeC-spa_level1", "es.react.dev"):
        with lzma.open(shared_data / "raw" / f"{name}.txt.xz", "rt", encoding="utf-8", newline="\n") as file:
            lines += islice(file, 0, 30_000, 40)
    return [line.rstrip("\n") for line in lines if line.strip()]


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    draw = random.Random(1)
    syllables = [*"aeioáéíóúñü", "ca", "me", "sol", "tra", "güe", "bló", "ción", "por"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(400)]
    return [f"¿{' '.join(draw.choices(words, k=8)).capitalize()}, {draw.choice(words)}?" for _ in range(600)]


def _compare(kind: str, lines: list[str], folder: Path) -> None:
    """Train on the lines, encode them into a store, and hold every line of it beside AutoTokenizer."""
    from transformers import AutoTokenizer

    size = KINDS[kind].vocabulary_size if len(lines) > 1500 else 600
    for split in ("train", "validation"):
        (folder / "clean").mkdir(exist_ok=True)
        with TextWriter(folder / "clean" / f"{split}.txt.zst") as writer:
            writer.write([f"{line}\n".encode() for line in lines])
    settings = KINDS[kind].model_copy(update={"vocabulary_size": size})
    train_tokenizer(settings, folder / "clean" / "train.txt.zst", folder / "tokenizer")
    encode_corpus(folder / "tokenizer", folder / "clean", folder / "tokens")
    store = TokenStore.open(folder / "tokens", "train")
    tokenizer = AutoTokenizer.from_pretrained(str(folder / "tokenizer"))
    expected = [ids for ids in map(_reference(tokenizer, kind), lines) if ids]
    assert len(store.segments) - 1 == len(expected)
    for index, ids in enumerate(expected):
        assert store.segment(index).tolist() == ids, tokenizer.convert_ids_to_tokens(ids)
    encoder = FastTokenizer.load(folder / "tokenizer")
    special = {encoder.cls, encoder.sep, encoder.pad, encoder.mask}
    assert special.isdisjoint(store.tokens.tolist())


def _reference(tokenizer: Any, kind: str) -> Any:
    """A text's ids by transformers; names of special tokens are text there too, as far as it can be told so."""

    def ids_of(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)[
            "input_ids"
        ]
        special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
        # A unigram model takes <pad> for its piece of that name even then.
        if kind == "sentencepiece_unigram" and not special.isdisjoint(ids):
            return ids_of(text.translate(_DISARMED))
        return ids

    return ids_of


@pytest.mark.parametrize("kind", KINDS)
def test_store_equals_auto_tokenizer_on_letters_signs_and_names(
    kind: str, sentences: list[str], tmp_path: Path
) -> None:
    _compare(kind, [*sentences, *filter(str.strip, TRICKY_TEXTS), *LETTERS_AND_SIGNS, *NAMES], tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_store_equals_auto_tokenizer_on_real_text(kind: str, real_lines: list[str], tmp_path: Path) -> None:
    text = "".join(real_lines)
    assert len(real_lines) > 1500
    assert set("áéíóúüñÁ¿¡«—").issubset(text)
    _compare(kind, [*real_lines, *NAMES], tmp_path)
