"""Model configurations at the thesis' sizes, task heads, and students cut from deeper checkpoints."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ligero.common.errors import ConfigurationError, DataError, MismatchError
from ligero.models.architectures import FAMILIES, encoder_of, model_inputs
from ligero.models.build import build_for_pretraining, make_config, shape_of, with_layers
from ligero.models.heads import load_for_task, load_selected, save_for_task
from ligero.models.students import cut_layers, kept_layers
from ligero.models.weights import read_weights
from ligero.settings.models import Architecture
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from tests.builders.models import parameter_counts, small_architecture

LABELS = ["a", "b", "c"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A freshly initialised pretraining model of each architecture, as a folder."""
    folders = {}
    for model_type in FAMILIES:
        folders[model_type] = tmp_path_factory.mktemp(model_type)
        config = make_config(small_architecture(model_type), 60, 1 if model_type == "roberta" else 0)
        build_for_pretraining(config, seed=1).save_pretrained(folders[model_type])
    return folders


def thesis(kind: str, layers: int, hidden: int, inner: int, heads: int) -> Architecture:
    roberta, albert = kind == "roberta", kind == "albert"
    return Architecture(
        type=kind,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        embedding_size=128 if albert else None,
        max_position_embeddings=514 if roberta else 512,
        type_vocab_size=1 if roberta else 2,
    )


# name: architecture, vocabulary, exact parameters of the classifier with 3 labels, millions in the thesis' tables
SYSTEMS = {
    "ALBETO tiny": (thesis("albert", 4, 312, 1248, 12), 31000, 5_345_075, 5),
    "ALBETO base": (thesis("albert", 12, 768, 3072, 12), 31000, 11_813_891, 12),
    "ALBETO large": (thesis("albert", 24, 1024, 4096, 16), 31000, 17_815_043, 18),
    "ALBETO xlarge": (thesis("albert", 24, 2048, 8192, 16), 31000, 58_859_011, 59),
    "ALBETO xxlarge": (thesis("albert", 12, 4096, 16384, 64), 31000, 222_735_875, 223),
    "BETO uncased": (thesis("bert", 12, 768, 3072, 12), 31002, 109_853_187, 110),
    "BETO cased": (thesis("bert", 12, 768, 3072, 12), 31002, 109_853_187, 110),
    "DistilBETO": (thesis("distilbert", 6, 768, 3072, 12), 31002, 67_324_419, 67),
    "BERTIN": (thesis("roberta", 12, 768, 3072, 12), 50262, 124_645_635, 125),
    "RoBERTa-BNE base": (thesis("roberta", 12, 768, 3072, 12), 50262, 124_645_635, 125),
    "RoBERTa-BNE large": (thesis("roberta", 24, 1024, 4096, 16), 50262, 355_359_747, 355),
    "Speedy Gonzales tiny": (thesis("albert", 4, 312, 1248, 12), 31000, 5_345_075, 5),
    **{
        f"Speedy Gonzales base-{layers}": (
            thesis("albert", layers, 768, 3072, 12),
            31000,
            11_813_891,
            12,
        )
        for layers in (2, 4, 6, 8, 10)
    },
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_parameters_of_the_published_systems(name: str) -> None:
    architecture, vocabulary, parameters, millions = SYSTEMS[name]
    config = make_config(architecture, vocabulary, 1 if architecture.type == "roberta" else 0)
    counted = parameter_counts(config)["sequence_classification"]
    assert counted == parameters
    assert round(counted / 1e6) == millions


@pytest.mark.parametrize("model_type", FAMILIES)
@pytest.mark.parametrize(
    "task_type", ["sequence_classification", "token_classification", "question_answering"]
)
def test_head_on_pretrained_encoder(
    pretrained: dict[str, Path], model_type: str, task_type: str, tmp_path: Path
) -> None:
    model = load_for_task(pretrained[model_type], task_type, LABELS, seed=3).eval()
    encoder, stored = encoder_of(model), read_weights(pretrained[model_type])
    for name, weight in encoder.state_dict().items():
        if "pooler" not in name or model_type == "albert":
            assert torch.equal(weight, stored[f"{FAMILIES[model_type].encoder}.{name}"]), name
    again = load_for_task(pretrained[model_type], task_type, LABELS, seed=3).eval()
    other = load_for_task(pretrained[model_type], task_type, LABELS, seed=4).eval()
    ids = torch.arange(5, 25).reshape(2, 10)
    inputs = model_inputs(model.config, ids, torch.ones_like(ids), torch.ones_like(ids))
    assert torch.equal(model(**inputs)[0], again(**inputs)[0])
    assert not torch.equal(model(**inputs)[0], other(**inputs)[0])
    save_for_task(model, tmp_path / "m", [] if task_type == "question_answering" else LABELS)
    assert torch.equal(load_selected(tmp_path / "m", task_type)(**inputs)[0], model(**inputs)[0])
    if task_type != "question_answering":
        assert json.loads((tmp_path / "m" / "config.json").read_text())["id2label"]["2"] == "c"


@pytest.mark.parametrize("family", FAMILIES)
def test_the_saved_tokenizer_says_what_the_model_reads(
    pretrained: dict[str, Path], tmp_path: Path, family: str
) -> None:
    (tmp_path / "source").mkdir()
    said = {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": 512,
    }  # a vocabulary's length, not a model's
    (tmp_path / "source" / "tokenizer_config.json").write_text(json.dumps(said))
    TokenizerInfo("BertTokenizer", True, 50, {}, True, 0).write(tmp_path / "source")
    model = load_for_task(pretrained[family], "sequence_classification", LABELS)
    save_for_task(model, tmp_path / "m", LABELS, tmp_path / "source")
    found = json.loads((tmp_path / "m" / "tokenizer_config.json").read_text())
    segments = ["token_type_ids"] if family in ("albert", "bert") else []
    assert found == {
        "tokenizer_class": "BertTokenizer",
        "model_max_length": 32 if family == "roberta" else 34,
        "model_input_names": ["input_ids", *segments, "attention_mask"],
    }
    TokenizerInfo.read(tmp_path / "m").check(tmp_path / "m")
    ids = torch.full((1, found["model_max_length"]), 5)
    assert model(input_ids=ids).logits.isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, found["model_max_length"] + 1), 5))


def test_loading_leaves_the_global_generator_alone(pretrained: dict[str, Path]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_for_task(pretrained["albert"], "token_classification", LABELS, seed=9)
    assert torch.equal(torch.rand(3), expected)


def test_albert_student_keeps_every_weight(pretrained: dict[str, Path]) -> None:
    teacher = load_for_task(pretrained["albert"], "sequence_classification", LABELS, seed=3)
    student = load_for_task(pretrained["albert"], "sequence_classification", LABELS, 2, seed=3)
    assert student.config.num_hidden_layers == 2
    assert {k: v.sum() for k, v in student.state_dict().items()} == {
        k: v.sum() for k, v in teacher.state_dict().items()
    }


@pytest.fixture(scope="module")
def deep_albert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of ALBETO base's depth."""
    folder = tmp_path_factory.mktemp("deep")
    build_for_pretraining(make_config(small_architecture("albert", 12), 60), seed=1).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("layers", [2, 4, 6, 8, 10])
def test_base_n_is_the_checkpoint_of_base_with_n_layers(deep_albert: Path, layers: int) -> None:
    from transformers.models.albert.modeling_albert import AlbertModel

    student = load_for_task(deep_albert, "sequence_classification", LABELS, layers, seed=3).eval()
    assert student.config.num_hidden_layers == layers
    assert student.config.initialized_weights == ["classifier.bias", "classifier.weight"]
    stored, encoder = read_weights(deep_albert), encoder_of(student)
    of_encoder = {name for name in stored if name.startswith("albert.")}
    assert {f"albert.{name}" for name in encoder.state_dict()} == of_encoder
    for name, weight in encoder.state_dict().items():
        assert torch.equal(weight, stored[f"albert.{name}"]), name
    plain, info = AlbertModel.from_pretrained(deep_albert, num_hidden_layers=layers, output_loading_info=True)
    assert not info["missing_keys"]
    ids = torch.arange(5, 25).reshape(2, 10)
    expected = plain.eval()(ids).last_hidden_state
    torch.testing.assert_close(encoder(ids).last_hidden_state, expected)
    whole = load_for_task(deep_albert, "sequence_classification", LABELS, seed=3).eval()
    assert not torch.allclose(encoder_of(whole)(ids).last_hidden_state, expected, atol=1e-4)


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert"])
def test_student_with_own_layers_takes_every_other(pretrained: dict[str, Path], model_type: str) -> None:
    student = load_for_task(pretrained[model_type], "token_classification", LABELS, 2)
    stored, family = read_weights(pretrained[model_type]), FAMILIES[model_type]
    weights = student.state_dict()
    for new, old in ((0, 0), (1, 2)):
        names = [name for name in weights if f"{family.layers}{new}." in name]
        assert names
        for name in names:
            assert torch.equal(
                weights[name], stored[name.replace(f"{family.layers}{new}.", f"{family.layers}{old}.")]
            )


def test_missing_and_superfluous_weights_are_refused(pretrained: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = read_weights(pretrained["bert"])
    (tmp_path / "config.json").write_bytes((pretrained["bert"] / "config.json").read_bytes())
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        load_for_task(tmp_path, "token_classification", LABELS)
    name = next(name for name in weights if "layer.1" in name)
    save_file({k: v for k, v in weights.items() if k != name}, tmp_path / "model.safetensors")
    with pytest.raises(MismatchError, match="missing"):
        load_for_task(tmp_path, "token_classification", LABELS)
    save_file(weights | {"bert.encoder.layer.9.x": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(MismatchError, match="without a place"):
        load_for_task(tmp_path, "token_classification", LABELS)
    save_file(weights | {name: torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    with pytest.raises(MismatchError):
        load_for_task(tmp_path, "token_classification", LABELS)


@given(teacher=st.integers(1, 40), data=st.data())
def test_kept_layers_are_spaced_evenly(teacher: int, data: st.DataObject) -> None:
    student = data.draw(st.integers(1, teacher))
    kept = kept_layers(teacher, student)
    assert len(set(kept)) == student and kept[0] == 0 and kept[-1] < teacher
    gaps = {b - a for a, b in pairwise(kept)}
    assert len(gaps) <= 2 and (not gaps or max(gaps) - min(gaps) <= 1)


def test_students_cannot_be_deeper_than_the_teacher() -> None:
    with pytest.raises(ConfigurationError):
        kept_layers(4, 5)
    assert list(cut_layers({"albert.x": 1}, "albert", [0])) == ["albert.x"]


def test_with_layers_leaves_the_original_alone() -> None:
    config = make_config(small_architecture("distilbert"), 60)
    assert with_layers(config, 2).n_layers == 2 and config.n_layers == 4


def test_word_embeddings_can_start_larger() -> None:
    config = make_config(small_architecture("bert"), 600)
    plain, larger = build_for_pretraining(config), build_for_pretraining(config, None, 42, 0.1)
    one, other = (model.get_input_embeddings().weight.detach() for model in (plain, larger))
    assert abs(one.std() - 0.02) < 0.002 and abs(other.std() - 0.1) < 0.01 and not other[0].any()
    assert larger.get_output_embeddings().weight is larger.get_input_embeddings().weight
    rest = [(name, p) for name, p in plain.named_parameters() if "word_embeddings" not in name]
    assert all(torch.equal(p, dict(larger.named_parameters())[name]) for name, p in rest)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_shape_of_a_configuration_is_what_it_was_made_of(kind: str) -> None:
    architecture = small_architecture(kind, vocab_size=70)
    assert shape_of(make_config(architecture, 70)) == architecture
