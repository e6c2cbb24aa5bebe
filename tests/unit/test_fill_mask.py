"""Filling masks through transformers' plain path, and the accuracy on held-out text beside its two baselines."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from ligero.common.errors import DataError, MismatchError
from ligero.models.build import build_for_pretraining, make_config
from ligero.pretraining.fill_mask import MaskFiller
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from tests.builders.pretraining import VOCABULARY, job, record_store, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    torch.set_num_threads(1)
    return write_store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def folder(store: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose words are w5 .. w49 and whose model always says w7, then w9."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    place = tmp_path_factory.mktemp("model")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = {word: number for number, word in enumerate([*special, *(f"w{n}" for n in range(5, VOCABULARY))])}
    core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(
        zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True)
    )
    PreTrainedTokenizerFast(tokenizer_object=core, **names).save_pretrained(place)
    model = build_for_pretraining(make_config(job().architecture, VOCABULARY))
    with torch.no_grad():
        model.predictions.bias[7], model.predictions.bias[9] = 100.0, 99.0
    model.save_pretrained(place)
    TokenizerInfo.read(store[1]).write(place)
    record_store(store[0], place)
    return place


def test_the_most_probable_pieces_come_first(folder: Path) -> None:
    filled = MaskFiller(folder).fill("w5 [MASK] w6 [MASK]", top=2)
    assert [(entry.mask, entry.token) for entry in filled] == [(1, "w7"), (1, "w9"), (2, "w7"), (2, "w9")]
    assert filled[0].text == "w5 w7 w6 [MASK]" and filled[3].text == "w5 [MASK] w6 w9"
    assert filled[0].probability > filled[1].probability > 0.2
    assert filled[0].probability + filled[1].probability == pytest.approx(1, abs=1e-3)


def test_accuracy_and_its_baselines(folder: Path, tmp_path: Path) -> None:
    """Every other token is w7 or, in the second store, w6: who always says w7 is right half of the time, or never."""
    for token, right in ((7, 0.5), (6, 0.0)):
        tokens, _ = write_store(tmp_path / str(token))
        for split in ("train", "validation"):
            ids = np.fromfile(tokens / f"{split}.bin", np.uint16)
            ids[ids == 7] = 8
            ids[::2] = token
            ids.tofile(tokens / f"{split}.bin")
        record_store(tokens, folder)
        accuracy = MaskFiller(folder).held_out_accuracy(tokens)
        assert accuracy.tokens >= 15 and accuracy.chance == 1 / VOCABULARY
        assert accuracy.model == pytest.approx(right, abs=0.3 * (right > 0)) and accuracy.unigram > 0.2
        assert (accuracy.model == accuracy.unigram) == (token == 7)


def test_what_cannot_be_filled_is_refused(folder: Path, store: tuple[Path, Path], tmp_path: Path) -> None:
    filler = MaskFiller(folder)
    with pytest.raises(DataError, match=r"no \[MASK\]"):
        filler.fill("w5 w6")
    with pytest.raises(DataError, match="the model reads 34"):
        filler.fill("[MASK] " * 40)
    with pytest.raises(DataError, match=r"no config\.json"):
        MaskFiller(tmp_path)
    tokens, _ = write_store(tmp_path / "other")
    with pytest.raises(MismatchError, match="made by another tokenizer"):
        filler.held_out_accuracy(tokens)


def test_the_program_prints_json_and_a_table(
    folder: Path,
    store: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import fill_mask

    arguments = [
        "fill_mask",
        "--model",
        str(folder),
        "--text",
        "w5 [MASK]",
        "--top",
        "2",
        "--tokens",
        str(store[0]),
    ]
    monkeypatch.setattr(sys, "argv", [*arguments, "--json"])
    fill_mask.main()
    result = json.loads(capsys.readouterr().out)
    assert [entry["token"] for entry in result["candidates"]] == ["w7", "w9"]
    assert set(result["held_out"]) == {"tokens", "model", "unigram", "chance"}
    monkeypatch.setattr(sys, "argv", arguments)
    fill_mask.main()
    table = capsys.readouterr().out
    assert "w5 w7" in table and "chance: 2.000 %" in table
