"""Turn a tokenizer folder into what the pipeline encodes with, and prove that both give the same ids.

transformers rebuilds some tokenizers when it loads them and then ignores parts of tokenizer.json, so what counts is the
backend of the *loaded* tokenizer. It is written to fast_tokenizer.json and compared with the loaded tokenizer on a sample that
covers the usual causes of errors.
"""

from __future__ import annotations

import importlib
import json
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, processors

from ligero.common.errors import LigeroError, MismatchError
from ligero.common.files import read_json
from ligero.tokenizers.fast_tokenizer import (
    FAST_TOKENIZER_FILE,
    SPECIAL_ROLES,
    FastTokenizer,
    TokenizerInfo,
    require_vocabulary,
)

TRICKY_TEXTS = (
    "El niño comió piña; la pingüina, un plátano.",
    "¿Qué hora es? ¡Las tres y cuarto!",
    "ÁRBOL, CIGÜEÑA, Ñandú y ÉL.",
    unicodedata.normalize("NFD", "El camión del señor Núñez está aquí."),
    "½ kilo, 3ª planta, 25 °C, ﬁn, Ⅳ, ｆｕｌｌ",
    "Vaya 😀👍🏽 y 👨‍👩‍👧 … «comillas» “otras” ‘más’ ``latex'' — guion",
    "tab\tfeed\x0c nul\x00 bell\x07 nbsp\u00a0zwsp\u200bjoin\u200d soft\u00adhyphen bom\ufeff",
    "日本語 и русский, Ελλάς, العربية",
    "  muchos    espacios  ",
    "....  ------ ====== aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "it's don't 'comillas' rock'n'roll a_b c-d e/f 1,234.56 50% #tag @usuario",
    "",
    " ",
    "a",
)
"""The usual causes of errors: accents, ñ, inverted marks, NFD, ligatures, emoji, quotes, control characters, scripts."""

_ACCENT_PAIRS = (("año", "ano"), ("él", "el"), ("pingüino", "pinguino"), ("ÁÑO", "ANO"), ("camión", "camion"))

_CLASSES = {
    "AlbertTokenizer": "transformers.models.albert.tokenization_albert",
    "BertTokenizer": "transformers.models.bert.tokenization_bert",
    "RobertaTokenizer": "transformers.models.roberta.tokenization_roberta",
}
"""Classes that are imported directly: AutoTokenizer takes 3 s to import."""

_KEEPS_ACCENTS = {"AlbertTokenizer": {"keep_accents": True}, "BertTokenizer": {"strip_accents": False}}

CASED_SHARE = 0.01
"""A vocabulary with more such tokens among those with letters is cased. One of lower-cased text has a few as well, since
Unicode normalisation makes `TM` of `™`; one of cased text has 15 to 30 %."""

_SEGMENTED = ("albert", "bert")
"""Architectures that tell the texts of a pair apart by segment ids."""


def load_tokenizer(folder: Path, **changes: Any) -> Any:
    """The tokenizer that AutoTokenizer loads from `folder`, without the network and without remote code.

    Raises:
        LigeroError: there is none, or one that cannot be loaded or is slow.
    """
    require_vocabulary(folder)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    configuration = folder / "tokenizer_config.json"
    name = read_json(configuration).get("tokenizer_class", "") if configuration.exists() else ""
    # A name that maps to one class only; a model type in config.json could make AutoTokenizer choose another.
    if name in _CLASSES and not (folder / "config.json").exists():
        loader: Any = getattr(importlib.import_module(_CLASSES[name]), name)
    else:
        loader = importlib.import_module("transformers").AutoTokenizer
    try:
        tokenizer = loader.from_pretrained(str(folder), **changes)
    except (OSError, ValueError, KeyError) as error:
        raise LigeroError(f"{folder}: no tokenizer can be loaded from here: {error}") from error
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise LigeroError(
            f"{folder}: {type(tokenizer).__name__} has no fast backend. Convert it: "
            "AutoTokenizer.from_pretrained(..., use_fast=True).save_pretrained(...)."
        )
    return tokenizer


def loses_accents(backend: Tokenizer) -> list[str]:
    """Words which the normaliser makes equal to others by taking accents or the tilde of ñ away."""
    normalizer = backend.normalizer
    if normalizer is None:
        return []
    same = normalizer.normalize_str
    return [word for word, without in _ACCENT_PAIRS if same(word) == same(without)]


def is_cased(tokenizer: Any) -> bool | None:
    """Whether a vocabulary was made of text with upper-case letters; None where it has no letters."""
    decoder, special = tokenizer.backend_tokenizer.decoder, set(tokenizer.all_special_tokens)
    # Decoded, because byte-level vocabularies write bytes as letters, a space as an upper-case one.
    texts = (
        decoder.decode([token]) if decoder else token
        for token in tokenizer.get_vocab()
        if token not in special
    )
    # `[unused1]` and `<s>` are names.
    with_letters = [text for text in texts if text[:1] not in "[<" and text.lower() != text.upper()]
    if not with_letters:
        return None
    return sum(text != text.lower() for text in with_letters) > CASED_SHARE * len(with_letters)


def export_fast_tokenizer(
    folder: Path,
    lower_case: bool | None = None,
    sample: Iterable[str] = (),
    setting: str = "lower_case",
) -> TokenizerInfo:
    """Write fast_tokenizer.json and tokenizer_info.json into a tokenizer's or model's folder.

    Args:
        folder: holds tokenizer.json, tokenizer_config.json or a SentencePiece model. A tokenizer that would lose
            accents although its vocabulary has them, whose case setting is overridden, or that gives both texts of a
            pair the same segment although its model (config.json) has two, is saved again.
        lower_case: overrides the folder's own setting; None keeps it, and checks it against the vocabulary.
        sample: texts to compare on, besides TRICKY_TEXTS.
        setting: the configuration's key for `lower_case`, for messages.

    Raises:
        LigeroError: nothing loadable, a special token missing, accents lost beyond repair, or the case is not that
            of the vocabulary.
        MismatchError: fast_tokenizer.json and the loaded tokenizer disagree.
    """
    folder = Path(folder)
    changes: dict[str, bool] = {} if lower_case is None else {"do_lower_case": lower_case}
    tokenizer = load_tokenizer(folder, **changes)
    name = type(tokenizer).__name__
    repaired: list[str] = []
    if lost := loses_accents(tokenizer.backend_tokenizer):
        repair = _keep_accents(folder, name, tokenizer, lost)
        changes |= repair
        repaired += [f"{key}: {json.dumps(value)}" for key, value in repair.items()]
    if changes:
        load_tokenizer(folder, **changes).save_pretrained(str(folder))
        # What counts is what the folder gives without these options.
        tokenizer = load_tokenizer(folder)
        if lost := loses_accents(tokenizer.backend_tokenizer):
            raise LigeroError(
                f"{folder}: the tokenizer still loses accents after the repair: {', '.join(lost)}"
            )
    if lacks_segments(folder, tokenizer):
        tokenizer = _with_segments(folder, tokenizer)
        repaired.append("segment ids of pairs: [CLS] first [SEP] 0, second [SEP] 1")
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    backend.no_truncation()
    lowers = backend.normalizer is not None and "ABC" not in backend.normalizer.normalize_str("ABC")
    if lower_case is not None and lowers != lower_case:
        raise LigeroError(
            f"{folder}: lower_case is {str(lower_case).lower()} in the configuration, but a {name} loaded from here "
            f"{'lower-cases' if lowers else 'keeps the case'}; a tokenizer of this class cannot be changed."
        )
    if lower_case is None and (cased := is_cased(tokenizer)) is not None and cased == lowers:
        raise LigeroError(_case_disagrees(folder, name, lowers, setting))
    backend.save(str(folder / FAST_TOKENIZER_FILE))
    texts = [*TRICKY_TEXTS, *sample]
    info = TokenizerInfo(
        kind=name,
        lower_case=lowers,
        vocabulary_size=backend.get_vocab_size(),
        special=_special_ids(folder, tokenizer),
        uses_token_types=1 in backend.encode("a", "b").type_ids,
        sample_check=len(texts),
        repaired=repaired,
    )
    info.write(folder)
    check_equal(folder, tokenizer, texts)
    return info


def _case_disagrees(folder: Path, name: str, lowers: bool, setting: str) -> str:
    does, has = ("lower-cases", "tokens with") if lowers else ("keeps the case", "no tokens with")
    cost = "never be used" if lowers else "be read as unknown or letter by letter"
    return (
        f"{folder}: the {name} loaded from here {does}, but its vocabulary has {has} upper-case letters: "
        f"{'these' if lowers else 'capitalised words'} would {cost}. Say what the checkpoint was trained with: "
        f"{setting}: {str(not lowers).lower()} is what its vocabulary looks like, {str(lowers).lower()} keeps what its "
        "tokenizer says."
    )


def lacks_segments(folder: Path, tokenizer: Any) -> bool:
    """Whether a model has two segments and a vocabulary of its family's kind, but pairs get segment 0 throughout.

    A vocabulary with other marks than [CLS] and [SEP] (the XLM-R one of multilingual E5, in a BERT model) was trained
    with a single segment and is left as it is.
    """
    path = folder / "config.json"
    config = read_json(path) if path.exists() else {}
    # Both architectures have two where config.json does not say.
    if config.get("model_type") not in _SEGMENTED or config.get("type_vocab_size", 2) < 2:
        return False
    marks = (tokenizer.cls_token, tokenizer.sep_token)
    return marks == ("[CLS]", "[SEP]") and 1 not in tokenizer.backend_tokenizer.encode("a", "b").type_ids


def _with_segments(folder: Path, tokenizer: Any) -> Any:
    """The folder's tokenizer with BERT's template of a pair (Devlin et al. 2019, figure 2), saved and loaded again."""
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.cls_token_id), ("[SEP]", tokenizer.sep_token_id)],
    )
    tokenizer.save_pretrained(str(folder))
    tokenizer = load_tokenizer(folder)
    if lacks_segments(folder, tokenizer):
        raise LigeroError(
            f"{folder}: the model has two segments, but a {type(tokenizer).__name__} loaded from here gives both texts "
            "of a pair segment 0 whatever tokenizer.json says. Correct the template (post_processor) of its "
            "tokenizer.json, or set type_vocab_size to 1 in config.json where it was trained so."
        )
    return tokenizer


def _keep_accents(folder: Path, name: str, tokenizer: Any, lost: Sequence[str]) -> dict[str, bool]:
    has_accents = any("ñ" in token for token in tokenizer.get_vocab())
    if name in _KEEPS_ACCENTS and has_accents:
        return dict(_KEEPS_ACCENTS[name])
    raise LigeroError(
        f"{folder}: this {name} takes accents and ñ away ({', '.join(lost)}), "
        + ("and there is no known option against it." if has_accents else "and its vocabulary has no ñ.")
        + " Spanish needs them; use another tokenizer."
    )


def _special_ids(folder: Path, tokenizer: Any) -> dict[str, int]:
    ids = {role: getattr(tokenizer, f"{role}_token_id") for role in SPECIAL_ROLES}
    missing = [role for role, value in ids.items() if value is None]
    if missing:
        raise LigeroError(
            f"{folder}: the tokenizer has no {', '.join(missing)} token; name it in special_tokens_map.json or "
            "tokenizer_config.json."
        )
    return {role: int(value) for role, value in ids.items()}


def check_equal(folder: Path, tokenizer: Any, texts: Sequence[str]) -> None:
    """Compare the FastTokenizer of a folder with the loaded tokenizer on texts, pairs and their segments.

    Raises:
        MismatchError: they differ somewhere; the message shows the text.
    """
    encoder = FastTokenizer.load(folder)
    names = [token for token in tokenizer.all_special_tokens if token]
    # A tokenizer's normaliser may make a name's brackets of wide ones: "＜pad＞".
    folded = [unicodedata.normalize("NFKC", text).lower() for text in texts]
    plain = [
        text for text, known in zip(texts, folded, strict=True) if not any(n.lower() in known for n in names)
    ]
    for text in plain:
        alone = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        _same(folder, text, encoder.encode(text), alone)
    turned = plain[::-1][:200]
    for first, second in ((plain, None), (plain[: len(turned)], turned)):
        expected = tokenizer(first, second, return_token_type_ids=True, verbose=False)
        ours = encoder.encode_batch(first, second)
        theirs = zip(expected["input_ids"], expected["token_type_ids"], strict=True)
        for text, own, other in zip(first, ours, theirs, strict=True):
            _same(folder, text, (own.ids, own.type_ids), other)
    if not expected_names_are_text(encoder, names):
        raise MismatchError(f"{folder}: the name of a special token in a text becomes a special token")


def expected_names_are_text(encoder: FastTokenizer, names: Iterable[str]) -> bool:
    """Whether texts that hold the names of special tokens are encoded without special tokens."""
    forbidden = {encoder.cls, encoder.sep, encoder.pad, encoder.mask}
    return all(
        forbidden.isdisjoint(encoder.encode(text))
        and forbidden.isdisjoint(encoder.encode_words(text.split())[0])
        for name in names
        for text in (name, f"un {name} dos", f"un{name}dos", name.upper(), name.lower())
    )


def _same(folder: Path, text: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise MismatchError(
            f"{folder}: {FAST_TOKENIZER_FILE} and the tokenizer loaded from the folder differ on {json.dumps(text)[:200]}: "
            f"{str(ours)[:200]} against {str(theirs)[:200]}"
        )
