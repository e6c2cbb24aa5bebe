"""Vocabularies: what is saved is what AutoTokenizer loads and what the FastTokenizer gives; Spanish letters survive."""

from __future__ import annotations

import functools
import json
import random
import shutil
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.records import DamagedError, write_record
from ligero.corpus.sampling import count_lines, sample_lines
from ligero.corpus.writing import TextWriter
from ligero.settings.tokenizers import Tokenizer as TokenizerSettings
from ligero.tokenizers.export import (
    TRICKY_TEXTS,
    export_fast_tokenizer,
    is_cased,
    load_tokenizer,
    loses_accents,
)
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.quality import QualityRecord, TokenizerQuality, tokenizer_quality
from ligero.tokenizers.training import train_tokenizer
from ligero.tokenizers.word_cache import LineEncoder

KINDS = {
    "unigram": TokenizerSettings(kind="sentencepiece_unigram", vocabulary_size=300, lower_case=True),
    "unigram-cased": TokenizerSettings(kind="sentencepiece_unigram", vocabulary_size=300, lower_case=False),
    "wordpiece": TokenizerSettings(kind="wordpiece", vocabulary_size=300, lower_case=True),
    "wordpiece-cased": TokenizerSettings(kind="wordpiece", vocabulary_size=300, lower_case=False),
    "bpe": TokenizerSettings(kind="byte_level_bpe", vocabulary_size=400, lower_case=False),
}
SYLLABLES = [
    "ca",
    "me",
    "ni",
    "to",
    "ña",
    "pi",
    "güe",
    "sol",
    "tra",
    "bló",
    "árí",
    "ción",
    "por",
    "que",
    "él",
    "ún",
]


def _sentences(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(300)]
    return [
        f"¿{' '.join(draw.choices(words, k=8)).capitalize()}, {draw.choice(words)}? 1.234 (así)!"
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "train.txt.zst"
    with TextWriter(path) as writer:
        writer.write(["\n".join([*_sentences(n, 20), ""]).encode() for n in range(30)])
    return path


@pytest.fixture(scope="session", params=KINDS)
def vocabulary(
    request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers") / request.param
    train_tokenizer(KINDS[request.param], corpus, folder)
    return folder


def test_auto_tokenizer_gives_the_encoders_ids(vocabulary: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(vocabulary))
    encoder = FastTokenizer.load(vocabulary)
    texts = [*TRICKY_TEXTS, *_sentences(99, 50)]
    assert len(tokenizer) == encoder.vocabulary_size == KINDS[vocabulary.name].vocabulary_size
    assert tokenizer(texts)["input_ids"] == [encoding.ids for encoding in encoder.encode_batch(texts)]
    pairs = tokenizer(texts, texts[::-1], return_token_type_ids=True)
    ours = encoder.encode_batch(texts, texts[::-1])
    assert pairs["input_ids"] == [encoding.ids for encoding in ours]
    assert pairs["token_type_ids"] == [encoding.type_ids for encoding in ours]
    assert encoder.uses_token_types == (vocabulary.name != "bpe")
    for role in ("cls", "sep", "pad", "unk", "mask"):
        assert getattr(encoder, role) == getattr(tokenizer, f"{role}_token_id")
    words = texts[0].split()
    if vocabulary.name == "bpe":
        tokenizer = AutoTokenizer.from_pretrained(str(vocabulary), add_prefix_space=True)
    split = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    assert encoder.encode_words(words) == (split["input_ids"], split.word_ids())


def test_letters_and_case(vocabulary: Path) -> None:
    encoder = FastTokenizer.load(vocabulary)
    assert not loses_accents(encoder.backend)
    assert encoder.encode("caña") != encoder.encode("cana")
    assert (encoder.encode("CAÑA") == encoder.encode("caña")) == KINDS[vocabulary.name].lower_case
    assert encoder.info.lower_case == KINDS[vocabulary.name].lower_case
    assert is_cased(load_tokenizer(vocabulary)) != KINDS[vocabulary.name].lower_case
    ids = encoder.encode("que niño, ¿no?")
    text = encoder.backend.decode(ids)
    if vocabulary.name == "bpe":
        assert text == "que niño, ¿no?"


@pytest.mark.parametrize(
    "name", ["<pad>", "<s>", "</s>", "<mask>", "[CLS]", "[SEP]", "[MASK]", "[PAD]", "＜pad＞"]
)
def test_names_of_special_tokens_are_text(vocabulary: Path, name: str) -> None:
    encoder = FastTokenizer.load(vocabulary)
    forbidden = {encoder.cls, encoder.sep, encoder.pad, encoder.mask}
    for text in (name, f"uno {name} dos", f"uno{name}dos", name.upper()):
        assert forbidden.isdisjoint(encoder.encode(text))
        assert forbidden.isdisjoint(encoder.encode_words(text.split())[0])
        encoding = encoder.encode_batch([text], [text])[0]
        inside = [
            token
            for token, special in zip(encoding.ids, encoding.special_tokens_mask, strict=True)
            if not special
        ]
        assert forbidden.isdisjoint(inside)
        assert max(end for _, end in encoding.offsets) <= len(text)


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=30), max_size=5
    )
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_word_cache_equals_the_encoder(vocabulary: Path, lines: list[str]) -> None:
    _compare(vocabulary, [*lines, " ".join(lines)])


WORDS = st.tuples(
    st.text("¿¡(\"«-.'", max_size=2),
    st.text("aelnsñáüÁÑZ0", min_size=1, max_size=6),
    st.text(",.)»…'s_%", max_size=3),
)


@given(st.lists(st.lists(WORDS.map("".join), min_size=1, max_size=6).map(" ".join), max_size=4))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_plain_words_equal_the_encoder(vocabulary: Path, lines: list[str]) -> None:
    _compare(vocabulary, lines)


@pytest.mark.parametrize("name", ["sol", "[me", "<to>"])
def test_added_tokens_are_found_in_plain_words(vocabulary: Path, name: str) -> None:
    encoder = FastTokenizer.load(vocabulary)
    encoder.backend.add_tokens([name])
    _compare(encoder, [f"sol me{name} {name}to, ({name}) sol me to", f"{name} sol"])


@functools.cache
def _line_encoder(vocabulary: Path) -> LineEncoder:
    return LineEncoder(FastTokenizer.load(vocabulary))


def _compare(vocabulary: Path | FastTokenizer, lines: list[str]) -> None:
    import numpy as np

    cached = LineEncoder(vocabulary) if isinstance(vocabulary, FastTokenizer) else _line_encoder(vocabulary)
    encoder = cached.encoder
    for _ in range(2):  # the second time from the cache
        data, lengths = cached.encode(lines)
        ids = np.frombuffer(data, dtype=cached.dtype)
        expected = [encoder.encode(line) for line in lines]
        assert lengths.tolist() == [len(line) for line in expected]
        assert ids.tolist() == [token for line in expected for token in line]


def test_word_cache_on_what_usually_goes_wrong(vocabulary: Path) -> None:
    _compare(
        vocabulary,
        [
            *TRICKY_TEXTS,
            "a <pad> b",
            "a \u0301b",
            "x ¨ y",
            "``a'' b",
            "it 's",
            "él, (él) él). ¿él?! a.b. 3., 's. x's. ...",
            *_sentences(5, 30),
        ],
    )


def test_a_long_text_is_not_cut(vocabulary: Path) -> None:
    encoder = FastTokenizer.load(vocabulary)
    assert encoder.encode_batch(["a " * 100])[0].ids[0] == encoder.cls
    assert len(encoder.encode_batch(["a " * 100])[0].ids) > 40


@pytest.mark.parametrize("kind", ["unigram", "wordpiece", "bpe"])
def test_two_trainings_are_equal(kind: str, corpus: Path, tmp_path: Path) -> None:
    for name in "ab":
        train_tokenizer(KINDS[kind], corpus, tmp_path / name)
    assert (tmp_path / "a" / "fast_tokenizer.json").read_bytes() == (
        tmp_path / "b" / "fast_tokenizer.json"
    ).read_bytes()


def test_impossible_vocabularies_are_refused(corpus: Path, tmp_path: Path) -> None:
    for kind in ("sentencepiece_unigram", "wordpiece", "byte_level_bpe"):
        wanted = TokenizerSettings(kind=kind, vocabulary_size=20_000, lower_case=False)
        with pytest.raises(ConfigurationError, match="vocabulary_size 20000"):
            train_tokenizer(wanted, corpus, tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_loses_accents_is_repaired(corpus: Path, tmp_path: Path) -> None:
    good = tmp_path / "good"
    train_tokenizer(KINDS["unigram"], corpus, good)
    spoilt = tmp_path / "spoilt"
    shutil.copytree(good, spoilt)
    configuration = json.loads((spoilt / "tokenizer_config.json").read_text())
    del configuration["keep_accents"]  # what the published ALBETO folders lack
    (spoilt / "tokenizer_config.json").write_text(json.dumps(configuration))
    export_fast_tokenizer(spoilt)
    text = ["El niño comió piña."]
    assert FastTokenizer.load(spoilt).encode(text[0]) == FastTokenizer.load(good).encode(text[0])
    assert json.loads((spoilt / "tokenizer_config.json").read_text())["keep_accents"] is True


def test_a_vocabulary_without_accents_is_refused(tmp_path: Path) -> None:
    from transformers.models.bert.tokenization_bert import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "nino"]
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(str(tmp_path))
    with pytest.raises(LigeroError, match="takes accents and ñ away"):
        export_fast_tokenizer(tmp_path)


def test_broken_folders_are_refused(vocabulary: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        FastTokenizer.load(tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(vocabulary, broken)
    (broken / "fast_tokenizer.json").write_text("{")
    with pytest.raises(DataError, match="it was changed"):
        FastTokenizer.load(broken)


def test_sample_is_seeded_and_without_replacement(corpus: Path) -> None:
    total = count_lines(corpus)
    assert total == 600
    first, again, other = (list(sample_lines(corpus, 50, seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == 50
    assert len(list(sample_lines(corpus, 1000, 1))) == 600


def test_a_sample_of_several_blocks_is_as_large_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [b"".join(b"%d\n" % line for line in range(start, start + 100)) for start in (0, 100, 200)]
    monkeypatch.setattr("ligero.corpus.sampling.read_blocks", lambda _: blocks)
    numbers = [int(line) for line in sample_lines(Path(), 50, 1)]
    assert len(numbers) == 50 and numbers == sorted(set(numbers))
    assert {number // 100 for number in numbers} == {0, 1, 2}


def test_quality(vocabulary: Path) -> None:
    quality = tokenizer_quality(FastTokenizer.load(vocabulary), _sentences(3, 100))
    assert quality.words == 100 * 11
    assert 1 < quality.fertility < 12
    assert 0 <= quality.unknown_share < 0.2
    assert 0 <= quality.single_token_words <= 1
    zero = tokenizer_quality(FastTokenizer.load(vocabulary), ["日本"])
    assert zero.unknown_share == (0 if vocabulary.name == "bpe" else zero.unknown_share)


def test_decomposed_accents_are_the_same_letters(vocabulary: Path) -> None:
    encoder = FastTokenizer.load(vocabulary)
    if vocabulary.name.startswith("unigram"):
        assert encoder.encode(unicodedata.normalize("NFD", "niño")) == encoder.encode("niño")


def test_quality_counts_by_hand(tmp_path: Path) -> None:
    from transformers.models.bert.tokenization_bert import BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "la", "niña", "##s", "ñ"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True, strip_accents=False).save_pretrained(str(tmp_path))
    export_fast_tokenizer(tmp_path)
    found = tokenizer_quality(FastTokenizer.load(tmp_path), ["la niña", "La niñas la zorra", " "])
    assert (found.sentences, found.words, found.tokens) == (2, 6, 7)
    assert (found.fertility, found.tokens_per_sentence) == (7 / 6, 3.5)
    assert (found.unknown_share, found.words_with_unknown) == (1 / 7, 1 / 6)
    assert (found.single_token_words, found.different_words) == (4 / 6, 5)
    assert found.used_vocabulary == 3 / 9


def test_a_record_of_tokenizers_that_lacks_a_figure_is_refused(tmp_path: Path) -> None:
    row = dict.fromkeys(TokenizerQuality.__annotations__, 1) | {"tokenizer": "a", "kind": "K", "size": 9}
    write_record(tmp_path / "tokenizers.json", {"most_lines": 5, "rows": [{**row, "task": None}]})
    record = QualityRecord.read(tmp_path / "tokenizers.json")
    assert (record.most_lines, record.rows[0].size, record.rows[0].fertility) == (5, 9, 1)
    write_record(tmp_path / "tokenizers.json", {"most_lines": 5, "rows": [row]})
    with pytest.raises(DamagedError, match=r"does not describe tokenizers: .*'task'"):
        QualityRecord.read(tmp_path / "tokenizers.json")
