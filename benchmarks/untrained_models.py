"""Models of the thesis' sizes with random weights, as graphs and as exported folders: how fast they are does not depend on training."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import nn

from ligero.common.hashing import sha256_file
from ligero.efficiency.classifier import build_classifier
from ligero.efficiency.processor import processor
from ligero.export.encoder import Int8, build
from ligero.export.model import with_checks
from ligero.export.quantisation import calibrated, observe
from ligero.export.weights import Outline, Weights, outline_of
from ligero.serving.manifest import FORMAT, TOKENIZER_FILE, GraphFile, Manifest
from ligero.serving.readers import Feature
from ligero.settings.models import Architecture
from ligero.tokenizers.fast_tokenizer import TokenizerInfo

VOCABULARY, MAX_LENGTH = 31_000, 512
FIRST_WORD = 5
ALBERT: dict[str, Any] = {
    "type": "albert",
    "vocab_size": VOCABULARY,
    "embedding_size": 128,
    "num_attention_heads": 12,
}
TINY = Architecture(**ALBERT, hidden_size=312, num_hidden_layers=4, intermediate_size=1248)
BETO = Architecture(
    type="bert",
    vocab_size=31_002,
    hidden_size=768,
    num_hidden_layers=12,
    num_attention_heads=12,
    intermediate_size=3072,
)


def base(layers: int) -> Architecture:
    """ALBETO base with fewer layers: the students of Speedy Gonzales."""
    return Architecture(**ALBERT, hidden_size=768, num_hidden_layers=layers, intermediate_size=3072)


class Untrained:
    """A classifier of three labels in all its forms.

    Attributes:
        model: transformers' model.
        fp32, int8: its graphs, int8 with static ranges of random ids (where it is asked for).
        bytes: of its safetensors.
    """

    def __init__(self, architecture: Architecture, *, with_int8: bool = True) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = build_classifier(architecture, 3)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        with TemporaryDirectory() as name:
            folder = Path(name)
            self.model.save_pretrained(folder)  # type: ignore[operator]
            self.bytes = (folder / "model.safetensors").stat().st_size
            outline, weights = outline_of(folder, "sequence_classification"), Weights(folder)
        self.fp32: onnx.ModelProto = build(outline, weights)
        if with_int8:
            self.int8: onnx.ModelProto = build(outline, weights, _static(outline, weights))


def _static(outline: Outline, weights: Weights) -> Int8:
    generator = np.random.default_rng(1)
    sample = [
        Feature(generator.integers(FIRST_WORD, VOCABULARY, length).tolist(), [0] * length)
        for length in (16, 64, 128)
    ]
    return calibrated(weights, observe(outline, weights, sample, pad=0, threads=1))


def write_folder(untrained: Untrained, folder: Path) -> None:
    """An exported folder of the int8 graph; its tokenizer knows the words w5, w6, ..."""
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4}
    words |= {f"w{number}": number for number in range(FIRST_WORD, VOCABULARY)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    graph = folder / "model.int8.onnx"
    graph.write_bytes(untrained.int8.SerializeToString())
    special = {"cls": 2, "sep": 3, "pad": 0, "unk": 1, "mask": 4}
    manifest = Manifest(
        format=FORMAT,
        name="untrained",
        regime="none",
        model="untrained",
        task="none",
        model_digest="none",
        task_name="none",
        task_type="sequence_classification",
        metric="accuracy",
        pairs=False,
        labels=("A", "B", "C"),
        max_length=MAX_LENGTH,
        doc_stride=128,
        n_best=20,
        max_answer_length=30,
        tokenizer=TokenizerInfo(
            kind="WordLevel",
            lower_case=False,
            vocabulary_size=VOCABULARY,
            special=special,
            uses_token_types=True,
            sample_check=0,
        ),
        graphs={"int8": GraphFile(graph.name, graph.stat().st_size, True, None, None, None)},
        precision="int8",
        parity={
            "features": 0,
            "decisions": 0,
            "unequal_decisions": 0,
            "largest_difference": 0.0,
            "tolerance": 0.0,
        },
        int8={"accepted": False, "reason": "an untrained model has no score that could drop"},
        scores={},
        exits={},
        sources={},
        versions={},
        processor=processor(),
        files={name: sha256_file(folder / name) for name in (TOKENIZER_FILE, graph.name)},
    )
    with_checks(manifest, folder).write(folder)
