"""What a user brings: a table of texts and topics, a model in a folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from ligero.command.examples import UserData
from ligero.command.main import _parser
from ligero.common.files import write_text

BERT = {
    "model_type": "bert", "hidden_size": 96, "num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 192,
    "max_position_embeddings": 512,
}  # fmt: skip


def table(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("texto", "tema"), *rows])
    return path


def data_of(*arguments: str) -> UserData:
    return UserData.of(_parser().parse_args(["check", *arguments]))


def tokenizer_of_letters(folder: Path, positions: int = 512) -> Path:
    """A local model, each of whose tokens is a letter, without marks."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    backend = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")  # type: ignore[assignment]
    write_text(folder / "config.json", json.dumps({**BERT, "max_position_embeddings": positions}))
    backend.save(str(folder / "tokenizer.json"))
    return folder
