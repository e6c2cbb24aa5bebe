"""Checkpoints as others published them, from their files to a folder that transformers opens; nothing is fetched."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from ligero.common.errors import ConfigurationError, LigeroError
from ligero.common.files import read_json
from ligero.models.build import build_for_pretraining, make_config
from ligero.models.conversion import prepare_weights
from ligero.models.heads import load_for_task, save_for_task
from ligero.models.weights import read_weights
from ligero.settings.jobs import WeightsJob
from ligero.settings.tasks import TaskType
from ligero.sources.checksums import SourcesLock
from ligero.tasks.inputs import Template
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from tests.builders.published_layouts import SENTENCES, albeto, architecture, bertin, beto

LABELS = ["a", "b", "c"]
HEADS: dict[TaskType, str] = {
    "sequence_classification": "AutoModelForSequenceClassification",
    "token_classification": "AutoModelForTokenClassification",
    "question_answering": "AutoModelForQuestionAnswering",
}
LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "beto": beto,
    "beto-cased": lambda folder: beto(folder, cased=True, tokenizer_config={"do_lower_case": False}),
    "distilbeto": lambda folder: beto(folder, family="distilbert"),
    "bertin": bertin,
    "albeto": albeto,
}
LONG = " ".join(SENTENCES * 40)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> NoReturn:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def prepare(checkpoint: Path, out: Path, initial_layers: Any = None, **changes: Any) -> Path:
    lower_case = changes.pop("lower_case", None)
    configured = architecture(read_json(checkpoint / "config.json")["model_type"], **changes)
    job = WeightsJob(
        model_id="m",
        architecture=configured,
        weights="local",
        hub=None,
        local=str(checkpoint),
        lower_case=lower_case,
        initial_layers=initial_layers,
    )
    prepare_weights(job, out, out.parent / "hub", SourcesLock(out.parent / "lock.json"))
    return out


@pytest.mark.parametrize("task_type", HEADS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_from_published_files_to_a_folder_that_transformers_opens(
    layout: str, task_type: TaskType, tmp_path: Path
) -> None:
    import transformers

    checkpoint = LAYOUTS[layout](tmp_path / "checkpoint")
    weights = prepare(checkpoint, tmp_path / "weights")
    model = load_for_task(weights, task_type, LABELS).eval()
    save_for_task(model, tmp_path / "m", [] if task_type == "question_answering" else LABELS, weights)
    shutil.rmtree(checkpoint)
    shutil.rmtree(weights)
    opened = getattr(transformers, HEADS[task_type]).from_pretrained(tmp_path / "m").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "m")
    for name, value in model.state_dict().items():
        assert torch.equal(opened.state_dict()[name], value), name
    encoder = FastTokenizer.load(tmp_path / "m")
    first, second = list(SENTENCES), list(SENTENCES[::-1])
    assert tokenizer(first)["input_ids"] == [encoding.ids for encoding in encoder.encode_batch(first)]
    assert encoder.unk not in encoder.encode(SENTENCES[0])
    # A pair as the pipeline feeds it, and as a user's tokenizer does.
    template = Template.of(encoder)
    ids, segments = template.pair(encoder.encode(first[0]), encoder.encode(second[0]))
    inputs = tokenizer(first[0], second[0], return_tensors="pt")
    assert inputs["input_ids"].tolist() == [ids]
    if layout in ("bertin", "distilbeto"):
        assert "token_type_ids" not in inputs
    else:
        assert 1 in segments and inputs["token_type_ids"].tolist() == [segments]
    # The longest input that the model has positions for, and not one more.
    long = tokenizer(LONG, return_tensors="pt", truncation=True)
    assert long["input_ids"].shape == (1, 512) and tokenizer.model_max_length == 512
    with torch.inference_mode():
        assert opened(**long)[0].isfinite().all()
    assert len(tokenizer(LONG)["input_ids"]) > 514


@pytest.mark.parametrize("layout", ["beto", "distilbeto", "bertin", "albeto"])
def test_a_checkpoint_of_another_architecture_is_refused(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = LAYOUTS[layout](tmp_path / "checkpoint")
    size = read_json(checkpoint / "config.json")["vocab_size"]
    for key, configured, found in (
        ("hidden_size", 32, 16),
        ("num_hidden_layers", 3, 2),
        ("num_attention_heads", 4, 2),
        ("intermediate_size", 25, 24),
        ("max_position_embeddings", 300, 514 if layout == "bertin" else 512),
        *([("embedding_size", 16, 8), ("embedding_size", None, 8)] if layout == "albeto" else []),
    ):
        said = 128 if configured is None else configured  # transformers' own, which the tables would count
        with pytest.raises(ConfigurationError) as caught:
            prepare(checkpoint, tmp_path / "weights", **{key: configured})
        assert str(caught.value) == (
            f"models.m.architecture.{key}: configured {said}, the checkpoint has {found}; write {key}: {found}"
        )
    with pytest.raises(
        ConfigurationError, match=r"2; write .*, or models\.m\.initial_layers: spread to keep 1"
    ):
        prepare(checkpoint, tmp_path / "weights", num_hidden_layers=1)
    other = "roberta" if layout == "beto" else "bert"
    with pytest.raises(ConfigurationError, match=rf"models\.m\.architecture\.type: configured {other}, the"):
        prepare(checkpoint, tmp_path / "weights", type=other, embedding_size=None)
    assert not (tmp_path / "weights").exists()
    prepare(checkpoint, tmp_path / "weights", vocab_size=size + 2)
    told = f"models.m.architecture.vocab_size: configured {size + 2}, the checkpoint has {size}; the tables"
    assert told in capsys.readouterr().err


def test_a_shallower_model_is_cut_from_a_checkpoint(tmp_path: Path) -> None:
    checkpoint = beto(tmp_path / "checkpoint")
    weights = prepare(checkpoint, tmp_path / "weights", "last", num_hidden_layers=1)
    assert read_json(weights / "config.json")["num_hidden_layers"] == 1
    whole, kept = read_weights(prepare(checkpoint, tmp_path / "whole")), read_weights(weights)
    names = {name: name.replace("layer.0.", "layer.1.") for name in kept}
    assert {name for name in whole if "layer.0." not in name} == set(names.values())
    assert all(torch.equal(kept[name], whole[names[name]]) for name in kept)


@pytest.mark.parametrize(
    ("task_type", "name", "options"),
    [
        ("sequence_classification", "text-classification", {"truncation": True}),
        ("token_classification", "token-classification", {}),
    ],
)
def test_pipelines_read_texts_longer_than_the_model(
    task_type: TaskType, name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import pipeline

    weights = prepare(bertin(tmp_path / "checkpoint"), tmp_path / "weights")
    save_for_task(load_for_task(weights, task_type, LABELS), tmp_path / "m", LABELS, weights)
    assert pipeline(name, str(tmp_path / "m"), **options)(LONG)


def test_old_names_of_norms_are_read(tmp_path: Path) -> None:
    checkpoint = beto(tmp_path / "checkpoint")
    old = torch.load(checkpoint / "pytorch_model.bin", weights_only=True)
    new = read_weights(prepare(checkpoint, tmp_path / "weights"))
    name = "bert.encoder.layer.1.output.LayerNorm."
    assert torch.equal(new[f"{name}weight"], old[f"{name}gamma"])
    assert torch.equal(new[f"{name}bias"], old[f"{name}beta"])


def test_repaired_accents_are_recorded(tmp_path: Path) -> None:
    for layout, repaired in (("beto", "strip_accents: false"), ("albeto", "keep_accents: true")):
        weights = prepare(LAYOUTS[layout](tmp_path / layout), tmp_path / f"{layout}-weights")
        assert read_json(weights / "source.json")["repaired"] == [repaired]
        encoder = FastTokenizer.load(weights)
        assert encoder.encode("piña") != encoder.encode("pina")
    weights = prepare(bertin(tmp_path / "bertin"), tmp_path / "bertin-weights")
    assert "repaired" not in read_json(weights / "source.json")


@pytest.mark.parametrize("said", [None, {"do_lower_case": True, "strip_accents": False}])
def test_a_cased_vocabulary_is_never_lower_cased_silently(
    said: dict[str, Any] | None, tmp_path: Path
) -> None:
    checkpoint = beto(tmp_path / "checkpoint", cased=True, tokenizer_config=said)
    with pytest.raises(LigeroError, match=r"upper-case letters.*models\.m\.lower_case: false"):
        prepare(checkpoint, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()
    encoder = FastTokenizer.load(prepare(checkpoint, tmp_path / "weights", lower_case=False))
    pieces = [encoder.backend.id_to_token(number) for number in encoder.encode("Madrid, España")]
    assert pieces == ["Madrid", ",", "España"] and not encoder.info.lower_case
    assert FastTokenizer.load(prepare(checkpoint, tmp_path / "asked", lower_case=True)).info.lower_case


def test_a_lower_case_vocabulary_never_keeps_the_case_silently(tmp_path: Path) -> None:
    checkpoint = beto(tmp_path / "checkpoint", tokenizer_config={"do_lower_case": False})
    with pytest.raises(LigeroError, match=r"no tokens with upper-case.*models\.m\.lower_case: true"):
        prepare(checkpoint, tmp_path / "weights")
    encoder = FastTokenizer.load(prepare(checkpoint, tmp_path / "weights", lower_case=True))
    assert encoder.encode("España") == encoder.encode("españa")


def without_segments(checkpoint: Path, tokenizer_class: str, marks: dict[str, str]) -> Path:
    """A checkpoint whose tokenizer.json gives every token segment 0."""
    from tokenizers import processors

    tokenizer = FastTokenizer.load(prepare(checkpoint, checkpoint.parent / "whole")).backend
    cls, sep = marks["cls_token"], marks["sep_token"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:0 {sep}:0",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (cls, sep)],
    )
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    for name in ("vocab.txt", "spiece.model"):
        (checkpoint / name).unlink(missing_ok=True)
    settings = {"tokenizer_class": tokenizer_class, **marks}
    (checkpoint / "tokenizer_config.json").write_text(json.dumps(settings))
    return checkpoint


MARKS = {
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "mask_token": "[MASK]",
}


@pytest.mark.parametrize("layout", ["beto", "albeto"])
def test_lost_segments_of_pairs_are_put_back(layout: str, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    other = {"pad_token": "<pad>", "unk_token": "<unk>"} if layout == "albeto" else {}
    checkpoint = without_segments(
        LAYOUTS[layout](tmp_path / "checkpoint"), "PreTrainedTokenizerFast", {**MARKS, **other}
    )
    weights = prepare(checkpoint, tmp_path / "weights")
    assert read_json(weights / "source.json")["repaired"] == [
        "segment ids of pairs: [CLS] first [SEP] 0, second [SEP] 1"
    ]
    encoder = FastTokenizer.load(weights)
    assert encoder.uses_token_types
    assert encoder.encode_batch(["la casa"], ["su año"])[0].type_ids[-1] == 1
    save_for_task(load_for_task(weights, "sequence_classification", LABELS), tmp_path / "m", LABELS, weights)
    inputs = AutoTokenizer.from_pretrained(tmp_path / "m")("la casa", "su año")
    assert 1 in inputs["token_type_ids"]


def test_a_vocabulary_of_another_family_keeps_its_single_segment(tmp_path: Path) -> None:
    """As multilingual E5: a BERT model with two segments and the vocabulary of XLM-R."""
    checkpoint = bertin(tmp_path / "checkpoint")
    marks = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    settings = {**marks, "mask_token": "<mask>"}
    without_segments(checkpoint, "PreTrainedTokenizerFast", settings)
    rows = read_json(checkpoint / "config.json")["vocab_size"]
    build_for_pretraining(make_config(architecture("bert"), rows, 1)).save_pretrained(checkpoint)
    weights = prepare(checkpoint, tmp_path / "weights")
    assert "repaired" not in read_json(weights / "source.json")
    assert not FastTokenizer.load(weights).uses_token_types
