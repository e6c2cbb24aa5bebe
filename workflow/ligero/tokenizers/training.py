"""Train a tokenizer on clean text and save it as transformers does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.files import atomic_directory
from ligero.corpus.sampling import count_lines, sample_lines
from ligero.settings.tokenizers import Tokenizer as TokenizerSettings
from ligero.tokenizers.export import export_fast_tokenizer
from ligero.tokenizers.fast_tokenizer import TokenizerInfo

LINES_COMPARED = 1_000
"""Lines of the corpus on which the saved tokenizer and fast_tokenizer.json are compared."""
SENTENCEPIECE_THREADS = 4
"""Fixed: the sums of the EM algorithm, and so the vocabulary, depend on how the text is cut for threads."""
MAXIMUM_POSITIONS = 512

Lines = Callable[[], Iterator[str]]
"""Gives the same lines at each call: some trainers read them twice."""


def train_tokenizer(settings: TokenizerSettings, corpus: Path, folder: Path) -> TokenizerInfo:
    """Train on a seeded sample of `corpus` and write the tokenizer's folder with its encoder.

    Args:
        settings: kind, size with special tokens, case, sample.
        corpus: clean text.
        folder: receives tokenizer.json, tokenizer_config.json, fast_tokenizer.json, tokenizer_info.json (and for SentencePiece
            spiece.model); AutoTokenizer loads it.

    Raises:
        ConfigurationError: the corpus does not hold as many different subwords.
        DataError: the corpus is empty.
    """
    total = count_lines(corpus)
    if not total:
        raise DataError(corpus, None, "no text to train a tokenizer on.")

    def lines() -> Iterator[str]:
        return sample_lines(corpus, settings.training_sentences, settings.seed, total=total)

    train = {"sentencepiece_unigram": _unigram, "wordpiece": _wordpiece, "byte_level_bpe": _byte_level_bpe}
    with atomic_directory(folder) as staging:
        tokenizer = train[settings.kind](settings, lines, staging)
        _check_size(settings, len(tokenizer))
        tokenizer.save_pretrained(str(staging))
        compared = sample_lines(corpus, LINES_COMPARED, settings.seed + 1, total=total)
        return export_fast_tokenizer(staging, settings.lower_case, compared)


def _check_size(settings: TokenizerSettings, size: int) -> None:
    if size != settings.vocabulary_size:
        raise ConfigurationError(
            f"tokenizers: vocabulary_size {settings.vocabulary_size} cannot be reached, the corpus gives {size} tokens; "
            "lower it or add text"
        )


def _unigram(settings: TokenizerSettings, lines: Lines, folder: Path) -> Any:
    """SentencePiece unigram as in Google's ALBERT recipe (Lan et al. 2020), loaded as AlbertTokenizer."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from transformers.models.albert.tokenization_albert import AlbertTokenizer

    def prepared() -> Iterator[str]:
        # The steps that AlbertTokenizer does before SentencePiece's own normalisation (NFKC).
        for line in lines():
            quoted = line.replace("``", '"').replace("''", '"')
            yield quoted.lower() if settings.lower_case else quoted

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=prepared(),
            model_writer=model,
            model_type="unigram",
            vocab_size=settings.vocabulary_size,
            character_coverage=settings.character_coverage,
            normalization_rule_name="nmt_nfkc",
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            pad_piece="<pad>",
            unk_piece="<unk>",
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            max_sentence_length=1 << 24,
            num_threads=SENTENCEPIECE_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise ConfigurationError(
            f"tokenizers: SentencePiece cannot make vocabulary_size {settings.vocabulary_size} of this corpus: {error}"
        ) from error
    (folder / "spiece.model").write_bytes(model.getvalue())
    parsed = sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())
    return AlbertTokenizer(
        vocab=[(piece.piece, piece.score) for piece in parsed.pieces],
        do_lower_case=settings.lower_case,
        keep_accents=True,
        _spm_precompiled_charsmap=parsed.normalizer_spec.precompiled_charsmap,
        model_max_length=MAXIMUM_POSITIONS,
    )


def _wordpiece(settings: TokenizerSettings, lines: Lines, folder: Path) -> Any:
    """WordPiece with BERT's normaliser and pre-tokenizer; accents are kept whatever the case."""
    from tokenizers import trainers
    from transformers.models.bert.tokenization_bert import BertTokenizer

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    options = {
        "do_lower_case": settings.lower_case,
        "strip_accents": False,
        "model_max_length": MAXIMUM_POSITIONS,
    }

    def trained(size: int, first_tokens: list[str]) -> dict[str, int]:
        trainer = trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=first_tokens, show_progress=False, min_frequency=2
        )
        backend = BertTokenizer(**options).backend_tokenizer
        backend.train_from_iterator(lines(), trainer=trainer)
        vocabulary: dict[str, int] = backend.get_vocab()
        return vocabulary

    # The trainer numbers the continuing letters (##a) in the order of a randomly seeded hash map, and equally frequent
    # pairs are merged in the order of these numbers. A first run without merges finds the letters, and the second is
    # given them sorted, so that two runs give the same vocabulary.
    letters = sorted(token for token in trained(0, special) if token.startswith("##"))
    vocabulary = trained(settings.vocabulary_size, [*special, *letters])
    return BertTokenizer(vocab=vocabulary, **options)


def _byte_level_bpe(settings: TokenizerSettings, lines: Lines, folder: Path) -> Any:
    """Byte-level BPE as in RoBERTa (Liu et al. 2019): cased, no unknown characters."""
    from tokenizers import pre_tokenizers, trainers
    from transformers.models.roberta.tokenization_roberta import RobertaTokenizer

    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocabulary_size,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
        min_frequency=2,
    )
    backend = RobertaTokenizer().backend_tokenizer
    backend.train_from_iterator(lines(), trainer=trainer)
    model = json.loads(backend.to_str())["model"]
    merges = [
        tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"]
    ]
    return RobertaTokenizer(vocab=model["vocab"], merges=merges, model_max_length=MAXIMUM_POSITIONS)
