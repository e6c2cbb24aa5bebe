"""Each faster path of pretraining computes the loss and the gradients of the plain one."""

from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.nn import functional

from ligero.models import fast_attention
from ligero.models.build import build_for_pretraining, make_config
from ligero.pretraining.compiled import compiled_for
from ligero.pretraining.objectives import make_objective
from ligero.pretraining.vocabulary_loss import _BLOCK_ELEMENTS as BLOCKS
from ligero.pretraining.vocabulary_loss import vocabulary_loss
from ligero.settings.models import Architecture
from ligero.settings.pretraining import Pretraining

ROWS, LENGTH, VOCABULARY = 3, 40, 500
Outcome = tuple[float, dict[str, Tensor]]


def small_model(layers: int = 3) -> nn.Module:
    torch.set_num_threads(1)
    architecture = Architecture(
        type="albert", hidden_size=48, num_hidden_layers=layers, num_attention_heads=4,
        intermediate_size=96, embedding_size=32, dropout=0.0,
    )  # fmt: skip
    model = build_for_pretraining(make_config(architecture, VOCABULARY), seed=1).train()
    with torch.no_grad():  # away from the start, where attention is uniform and biases are zero
        generator = torch.Generator().manual_seed(2)
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def outcome(model: nn.Module, half: bool = False, compiled: bool = False, **values: object) -> Outcome:
    """Loss and gradients of one batch by the recipe's path."""
    recipe = Pretraining(total_steps=1, batch_size=ROWS, micro_batch_size=ROWS, compile=compiled, **values)
    objective = make_objective(copy.deepcopy(model), recipe)
    run: nn.Module = compiled_for(recipe, objective) if compiled else objective
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, VOCABULARY, (ROWS, LENGTH), generator=generator)
    # As a batch has them: in order, at most 15 % of a row; rows need not have equally many.
    places = [torch.randperm(LENGTH, generator=generator)[:count].sort().values for count in (6, 5, 3)]
    positions = torch.cat([row * LENGTH + found for row, found in enumerate(places)])
    labels = torch.randint(5, VOCABULARY, (len(positions),), generator=generator)
    types = (torch.arange(LENGTH) > 20).long().expand(ROWS, -1).contiguous()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        outputs = run(ids, types, positions, labels, torch.tensor([0, 1, 0]))
    loss = outputs[0] / len(positions) + outputs[2] / ROWS
    loss.backward()
    named = objective.model.named_parameters()
    return loss.item(), {name: p.grad for name, p in named if p.grad is not None}


def assert_equal(one: Outcome, other: Outcome, loss: float, gradient: float) -> None:
    """Losses within `loss`, every gradient within `gradient` of its norm; that of the keys' bias is zero but for noise."""
    assert one[0] == pytest.approx(other[0], abs=loss)
    assert one[1].keys() == other[1].keys()
    for name, expected in other[1].items():
        if not name.endswith("attention.key.bias"):
            assert (one[1][name] - expected).norm() <= gradient * expected.norm(), name


def test_fused_kernels_in_fp32() -> None:
    model = small_model()
    assert_equal(outcome(model), outcome(model, fused_kernels=False), 1e-5, 1e-4)


def test_heads_padded_to_a_kernels_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: heads of 12 are computed as 16."""
    model = small_model()
    narrow = outcome(model)
    monkeypatch.setitem(fast_attention._WIDTH_MULTIPLE, "cpu", 8)
    attention = make_objective(copy.deepcopy(model), Pretraining(total_steps=1)).model.albert.encoder
    packed = attention.albert_layer_groups[0].albert_layers[0].attention.packed_projection(torch.zeros(1))
    assert [tensor.shape[0] for tensor in packed] == [3 * 4 * 16] * 2
    assert_equal(outcome(model), narrow, 1e-5, 1e-4)


def test_bf16_with_and_without_fused_kernels() -> None:
    model = small_model()
    plain = outcome(model, fused_kernels=False)
    assert_equal(outcome(model, half=True, fused_kernels=False), plain, 2e-3, 0.03)
    assert_equal(outcome(model, half=True), plain, 2e-3, 0.03)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled() -> None:
    model = small_model(layers=1)
    assert_equal(outcome(model, compiled=True), outcome(model, fused_kernels=False), 1e-5, 1e-4)


@pytest.mark.parametrize(("whole_word", "graphs"), [(False, 12), (True, 2)])
def test_one_graph_a_length(whole_word: bool, graphs: int) -> None:
    """More lengths than torch compiles by default; whole words give too many shapes for that."""
    torch.compiler.reset()
    counter = CompileCounter()
    recipe = Pretraining(total_steps=1, whole_word=whole_word)
    run = compiled_for(recipe, nn.Linear(4, 4), counter)
    for _ in range(2):
        for length in range(2, 14):
            run(torch.zeros(length, 4))
    assert counter.frame_count == graphs


def test_fused_attention_keeps_names_and_dropout_and_masks() -> None:
    """The saved model is an ordinary one; a mask or dropout takes torch's own attention."""
    model = small_model()
    names = list(model.state_dict())
    fused = make_objective(copy.deepcopy(model), Pretraining(total_steps=1)).model.eval()
    assert list(fused.state_dict()) == names
    ids = torch.randint(5, VOCABULARY, (2, 12))
    mask = torch.ones_like(ids)
    mask[1, 7:] = 0
    for values in ({"attention_mask": mask}, {}):
        expected = model.eval()(ids, **values).prediction_logits
        found = fused(ids, **values).prediction_logits
        torch.testing.assert_close(found[:, :7], expected[:, :7], rtol=1e-4, atol=1e-5)
    for name, module in fused.named_modules():
        if name.endswith("attention_dropout"):
            module.p = 0.5
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first, second = (fused.train()(ids).prediction_logits for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("bias", [True, False])
def test_vocabulary_loss_in_blocks(bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of uneven size, an upstream factor, and no gradients asked for."""
    monkeypatch.setitem(BLOCKS, "cpu", 70)
    torch.manual_seed(0)
    decoder = nn.Linear(6, 20, bias=bias)
    hidden = torch.randn(11, 6, requires_grad=True)
    labels = torch.randint(0, 20, (11,))
    logits = decoder(hidden)
    expected = functional.cross_entropy(logits, labels, reduction="sum")
    wanted = torch.autograd.grad(3 * expected, [hidden, *decoder.parameters()])
    loss, right = vocabulary_loss(hidden, decoder, labels)
    torch.testing.assert_close(loss, expected)
    assert int(right) == int((logits.argmax(-1) == labels).sum())
    for one, other in zip(
        torch.autograd.grad(3 * loss, [hidden, *decoder.parameters()]), wanted, strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(vocabulary_loss(hidden, decoder, labels)[0], expected)
