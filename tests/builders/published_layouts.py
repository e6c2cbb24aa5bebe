"""Tiny checkpoints in the layouts in which the Spanish encoders were published: files made on the spot, nothing fetched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import torch

from ligero.models.build import build_for_pretraining, make_config
from ligero.settings.models import Architecture

SENTENCES = (
    "El niño de Madrid comió una piña en España.",
    "¿Qué hora es? La pingüina y el camión están aquí, en la montaña.",
    "Ñandú, árbol y cigüeña: tres palabras del año 2021.",
    "Ana y Luis viven en Bogotá; su casa está al lado del río.",
)


def beto(
    folder: Path,
    cased: bool = False,
    tokenizer_config: dict[str, Any] | None = None,
    family: Literal["bert", "distilbert"] = "bert",
) -> Path:
    """BETO or DistilBETO: vocab.txt in its own order of marks, an old pytorch_model.bin with TensorFlow's names of norms."""
    text = " ".join(SENTENCES) if cased else " ".join(SENTENCES).lower()
    letters = sorted(set(text) - {" "})
    words = sorted({word.strip("¿?.,:;") for word in text.split()} - set(letters))
    marks = ["[MASK]", "[PAD]", "[EOS]", "[UNK]", "[CLS]", "[SEP]", "[unused0]"]
    vocabulary = [*marks, *letters, *(f"##{letter}" for letter in letters), *words]
    model = _pretrained(folder, family, len(vocabulary), pad=1)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    if tokenizer_config is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    weights = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in model.state_dict().items()
    }
    if family == "bert":
        weights["bert.embeddings.position_ids"] = torch.arange(512)[None]
        weights["cls.seq_relationship.weight"] = torch.zeros(2, 16)
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def bertin(folder: Path) -> Path:
    """BERTIN: vocab.json and merges.txt of a byte-level vocabulary, 514 positions, one segment."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES * 3, trainer)
    model = _pretrained(folder, "roberta", backend.get_vocab_size(), pad=1)
    backend.model.save(str(folder))
    model.save_pretrained(folder)
    return folder


def albeto(folder: Path) -> Path:
    """ALBETO: a SentencePiece model alone, made of lower-case text, and old weights."""
    import sentencepiece

    folder.mkdir(parents=True)
    with (folder / "spiece.model").open("wb") as handle:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([sentence.lower() for sentence in SENTENCES * 3]),
            model_writer=handle,
            model_type="unigram",
            vocab_size=64,
            character_coverage=1.0,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            minloglevel=2,
            num_threads=1,
        )
    model = _pretrained(folder, "albert", 64, pad=0)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    return folder


def _pretrained(folder: Path, model_type: str, vocabulary_size: int, pad: int) -> Any:
    """A model with pretraining heads whose config.json is written."""
    folder.mkdir(parents=True, exist_ok=True)
    model = build_for_pretraining(make_config(architecture(model_type), vocabulary_size, pad), seed=3)
    model.config.save_pretrained(folder)  # type: ignore[union-attr, operator]
    return model


def architecture(model_type: str, **changes: Any) -> Architecture:
    """The settings that describe these checkpoints."""
    values = {
        "type": model_type,
        "hidden_size": 16,
        "embedding_size": 8 if model_type == "albert" else None,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 24,
        "max_position_embeddings": 514 if model_type == "roberta" else 512,
        "type_vocab_size": 1 if model_type == "roberta" else 2,
    }
    return Architecture.model_validate(values | changes)
