"""Pretraining by a teacher's states: spans, projection, the cache, the objective, the initial embeddings, and the loop on it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zstandard
from torch import Tensor

from ligero.common.errors import DataError, MismatchError
from ligero.common.records import DamagedError
from ligero.corpus.token_store import TokenStore, check_tokens
from ligero.models.architectures import encoder_of
from ligero.models.heads import load_encoder
from ligero.models.weights import read_weights
from ligero.pretraining import state_caching
from ligero.pretraining.mlm_objective import Counts
from ligero.pretraining.passages import passages
from ligero.pretraining.projection import Projection
from ligero.pretraining.records import StatesInfo
from ligero.pretraining.run import pretrain
from ligero.pretraining.shared_spans import shared_spans, windows
from ligero.pretraining.state_caching import encoded
from ligero.pretraining.state_objective import StateObjective
from ligero.pretraining.teacher_embeddings import mean_states
from ligero.pretraining.teacher_states import TeacherStates
from ligero.settings.models import Architecture
from ligero.settings.pretraining import Pretraining, StateTeacher
from tests.builders.pretraining import CPU, recipe, same
from tests.builders.states import Toy, cached, make_toy, prepared, text, tokenizers


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    made = make_toy(tmp_path_factory.mktemp("toy"))
    cached(made)
    return made


def test_spans_reach_from_one_common_boundary_to_the_next() -> None:
    # "Nariño." as na|ri|ño|. and as Nar|iño|. : common ends after Nariño and after the full stop.
    ours, theirs, count = shared_spans(np.array([2, 4, 6, 7]), np.array([3, 6, 7]))
    assert ours.tolist() == [0, 0, 0, 1] and theirs.tolist() == [0, 0, 1] and count == 2
    # What one side alone has at the end belongs to no span; bytes of one character end at the same place.
    ours, theirs, count = shared_spans(np.array([3, 3, 5]), np.array([3]))
    assert ours.tolist() == [0, 0, -1] and theirs.tolist() == [0] and count == 1


def test_windows_are_cut_between_spans() -> None:
    assert windows(np.array([0, 0, 1, 1, 1, 2]), 4).tolist() == [0, 2, 6]
    assert windows(np.array([0, 0, 0, 0, 0]), 2).tolist() == [0, 2, 4, 5]  # one span, longer than a window
    assert windows(np.array([], dtype=np.int64), 4).tolist() == [0]


def test_passages_come_from_everywhere_and_a_smaller_share_is_part_of_a_larger(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(text(300, 5), encoding="utf-8")
    everything = list(passages(path, 1, 1.0))
    assert sum(map(len, everything)) == sum(1 for line in path.read_text("utf-8").split("\n") if line)
    half, tenth = (list(map(tuple, passages(path, 1, share))) for share in (0.5, 0.1))
    assert 100 < len(half) < 200 and 10 < len(tenth) < 60 and set(tenth) <= set(half)


def test_a_long_document_is_several_passages(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("\n".join(["a" * 900] * 7), encoding="utf-8")
    assert [len(lines) for lines in passages(tmp_path / "text", 1, 1.0)] == [3, 3, 1]


def test_a_projection_keeps_the_largest_variances_and_scales_them(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    deviations = torch.tensor([4.0, 1.0, 0.25, 0.01])
    states = torch.randn(20_000, 4, generator=generator) * deviations + 7
    projection = Projection.fit(states, 2)
    kept = projection(states)
    assert projection.kept == pytest.approx((16 + 1) / (16 + 1 + 0.0625), abs=1e-3)
    assert kept.mean(0).abs().max() < 1e-3
    # Variances 16 and 1 become their square roots, 4 and 1, over their mean.
    assert kept.var(0).tolist() == pytest.approx([4 / 2.5, 1 / 2.5], rel=0.03)
    projection.save(tmp_path / "p")
    assert torch.equal(Projection.load(tmp_path / "p")(states), kept)


def test_the_states_are_those_of_the_teacher_read_by_hand(toy: Toy) -> None:
    """Of the first passage: spans found from the characters, means of the hidden states, the projection."""
    info = StatesInfo.read(toy.states)
    found = TeacherStates.open(toy.states, info, "train")
    student, theirs = tokenizers(toy)
    lines = next(passages(toy.sources.corpus / "train.txt.zst", 42, 1.0))
    teacher = load_encoder(toy.sources.teacher, 2)
    projection = Projection.load(toy.states / "projection.safetensors")
    ids = [i for line in lines for i in theirs.encode(line)]
    ends, owners, expected, position = [], [], [], 0
    sides = [side.encode_batch(lines, add_special_tokens=False) for side in (student, theirs)]
    spans_of_tokens: list[int] = []
    total = 0
    for ours, other in zip(*sides, strict=True):
        common = sorted({e for _, e in ours.offsets} & {e for _, e in other.offsets})
        ends.append(common)
        spans_of_tokens += [total + next(i for i, c in enumerate(common) if c >= e) for _, e in ours.offsets]
        owners += [total + next(i for i, c in enumerate(common) if c >= e) for _, e in other.offsets]
        total += len(common)
    passage = encoded(lines, student, theirs)
    assert passage.theirs.tolist() == ids and passage.spans.tolist() == spans_of_tokens
    states = torch.zeros(total, 12)
    cuts = windows(np.array(owners), 22).tolist()
    for start, stop in pairwise(cuts):
        row = torch.tensor([[theirs.cls, *ids[start:stop], theirs.sep]])
        hidden = teacher(input_ids=row, output_hidden_states=True).hidden_states
        mean = sum(torch.nn.functional.layer_norm(hidden[layer], (12,)) for layer in (1, 2)) / 2
        for place in range(start, stop):
            states[owners[place]] += mean[0, 1 + place - start].detach() / owners.count(owners[place])
    expected = projection(states)
    position = passage.count
    np.testing.assert_allclose(found.states[:position].astype(np.float32), expected, atol=4e-3)
    store = TokenStore.open(toy.states)
    assert store.tokens[: len(passage.ids)].tolist() == [i for line in lines for i in student.encode(line)]
    assert found.spans[: len(passage.ids)].tolist() == spans_of_tokens


def test_the_folder_of_states_is_a_token_store_with_records(toy: Toy) -> None:
    info = StatesInfo.read(toy.states)
    original, drawn = TokenStore.open(toy.sources.store), TokenStore.open(toy.states)
    assert np.array_equal(original.tokens, drawn.tokens)  # as many tokens were asked for as there are
    assert np.array_equal(original.segments, drawn.segments)
    check_tokens(toy.states)
    assert info.tokens["train"] == len(drawn) and 0 < info.kept_variance <= 1 and info.dimensions == 6
    assert info.layers == [1, 2] and info.teacher_tokens > 0 and info.untaught_tokens == 0
    states = TeacherStates.open(toy.states, info, "train").states.astype(np.float32)
    assert states.var(0).mean() == pytest.approx(1.0, abs=0.1)


def test_fewer_tokens_are_a_share_of_the_passages(toy: Toy, tmp_path: Path) -> None:
    whole = StatesInfo.read(toy.states).tokens["train"]
    info = cached(toy, tmp_path / "few", tokens=whole // 3)
    assert 0.15 * whole < info.tokens["train"] < 0.55 * whole


def test_states_cached_in_pieces_after_kills_are_the_same(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_caching, "PART_TOKENS", 300)
    uninterrupted = cached(toy, tmp_path / "whole")
    write, lives = state_caching._write_part, [0]

    def dying(*arguments: Any) -> None:
        lives[0] += 1
        if lives[0] % 2 == 0:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(state_caching, "_write_part", dying)
    for _ in range(30):
        try:
            again = cached(toy, tmp_path / "pieces")
            break
        except KeyboardInterrupt:
            assert not (tmp_path / "pieces").exists()
    assert lives[0] > 4 and again.files == uninterrupted.files


def test_a_damaged_part_is_not_used(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_caching, "_assemble", lambda *_: None)
    cached(toy, tmp_path / "out")
    monkeypatch.undo()
    part = next((tmp_path / "out-parts").glob("train-*.safetensors"))
    content = bytearray(part.read_bytes())
    content[-9] ^= 1
    part.write_bytes(bytes(content))
    with pytest.raises(DamagedError, match="that part is computed once more"):
        cached(toy, tmp_path / "out")


def test_tokenizers_that_cut_nowhere_alike_are_refused(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A tokenizer that does not say where its tokens are: all at the beginning.
    monkeypatch.setattr(
        state_caching,
        "shared_spans",
        lambda one, other: shared_spans(one, np.zeros_like(other)),
    )
    with pytest.raises(
        MismatchError, match=r"models\.toy\.pretraining\.teacher\.model: .* hardly ever end a token at"
    ):
        cached(toy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_projection_is_fitted_to_all_of_a_small_text(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much more was asked for."""
    seen: list[int] = []
    fit = Projection.fit

    def noted(states: Tensor, dimensions: int) -> Projection:
        seen.append(len(states))
        return fit(states, dimensions)

    monkeypatch.setattr(Projection, "fit", noted)
    info = cached(toy, tmp_path / "more", tokens=2_000_000)
    assert seen == [info.spans["train"]]


def test_too_little_text_for_the_components_is_refused(tmp_path: Path) -> None:
    toy = make_toy(tmp_path, documents=60)
    (toy.sources.corpus / "train.txt.zst").write_bytes(zstandard.compress(b"bata mina"))
    with pytest.raises(
        DataError, match=r"train\.txt\.zst: teacher and student share .* to find 6 components.*12 are needed"
    ):
        cached(toy)
    assert not toy.states.exists()


def test_a_teacher_with_too_few_layers_is_refused(toy: Toy) -> None:
    with pytest.raises(MismatchError, match="has 3 layers; layer 4 is asked for"):
        load_encoder(toy.sources.teacher, 4)


def test_a_changed_file_of_states_ends_training(toy: Toy, tmp_path: Path) -> None:
    import shutil

    copy = Toy(tmp_path, toy.sources)
    shutil.copytree(toy.states, copy.states)
    path = copy.states / "train.states.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 64
    path.write_bytes(bytes(content))
    with pytest.raises(DamagedError, match=r"train\.states\.npy"):
        trained(copy, tmp_path / "run")
    path.write_bytes(bytes(content[:-4]))
    with pytest.raises(DamagedError, match=r"train\.states\.npy: cannot be read"):
        prepared(copy)


def trained(toy: Toy, place: Path, **values: Any) -> bool:
    run = prepared(toy, **values)
    return pretrain(run, toy.sources.tokenizer, place / "out", place / "log", place / "state", CPU)


def test_a_batch_brings_the_states_of_its_tokens(toy: Toy) -> None:
    run = prepared(toy, masked_share=0.3)
    batch = run.source.batch(1)
    assert batch.taught is not None and batch.states is not None
    states = TeacherStates.open(toy.states, StatesInfo.read(toy.states), "train")
    starts = run.source.windows.starts(run.source._order(0)[8:16], np.zeros(8, dtype=np.int64))
    length = batch.input_ids.shape[1]
    row, column = np.divmod(batch.taught.numpy(), length)
    assert set(column.tolist()) == set(range(1, length - 1))  # neither [CLS] nor [SEP]; masked ones too
    spans = states.spans[starts[row] + column - 1]
    assert np.array_equal(batch.states.numpy(), states.states[spans])
    parts = list(batch.micro_batches(4))
    assert torch.equal(torch.cat([part.states for part in parts if part.states is not None]), batch.states)
    assert parts[1].taught is not None
    assert torch.equal(parts[1].taught + 4 * length, batch.taught[-len(parts[1].taught) :])


def test_loss_and_gradients_of_a_case_by_hand() -> None:
    """One row, two taught tokens, two dimensions: mean((W h + b - s)^2) over tokens and dimensions, and its gradient in W and b."""
    from ligero.models.build import build_for_pretraining, make_config

    shape = Architecture(
        type="bert",
        hidden_size=4,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        dropout=0.0,
    )
    model = build_for_pretraining(make_config(shape, 10), "mlm")
    model.add_module("state_head", torch.nn.Linear(4, 2))
    objective = StateObjective(model, StateTeacher(model="t", dimensions=2, masked_weight=0.5))
    ids = torch.tensor([[2, 7, 5, 3]])
    taught, states = torch.tensor([1, 2]), torch.tensor([[1.0, -2.0], [0.5, 4.0]])
    positions, labels = torch.tensor([2]), torch.tensor([6])
    none = torch.zeros_like(ids)
    sums = objective(ids, none, positions, labels, torch.zeros(1), taught, states.half())
    counts = Counts(predictions=1, rows=1, lessons=2)
    objective.mean(sums, counts).backward()
    hidden = encoder_of(model)(input_ids=ids).last_hidden_state[0, 1:3].detach()
    head: Any = model.state_head
    error = hidden @ head.weight.detach().T + head.bias.detach() - states
    expected = float((error**2).sum() / 4)
    logits = model(input_ids=ids).logits[0, 2]
    masked = float(torch.nn.functional.cross_entropy(logits, torch.tensor(6)).detach())
    readings = objective.readings([float(value) for value in sums], counts)
    assert readings["state_loss"] == pytest.approx(expected, rel=1e-5)
    assert objective.total(readings) == pytest.approx(expected + 0.5 * masked, rel=1e-5)
    torch.testing.assert_close(head.weight.grad, 2 * error.T @ hidden / 4, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(head.bias.grad, 2 * error.sum(0) / 4, rtol=1e-4, atol=1e-6)


def test_a_subword_begins_as_its_mean_state() -> None:
    states = TeacherStates(
        spans=np.array([0, 1, 1, 2, -1], dtype=np.int32),
        states=np.array([[1, 0, 9], [3, 2, 9], [-2, 4, 9]], dtype=np.float16),
    )
    # Subword 7 lies in spans 0 and 1, subword 8 in 1 and 2, subword 9 in none; means as if 0 had been seen once more.
    means, counts = mean_states(np.array([7, 7, 8, 8, 9], dtype=np.uint16), states, 10, 2)
    assert means[7].tolist() == pytest.approx([4 / 3, 2 / 3]) and means[8].tolist() == pytest.approx(
        [1 / 3, 2]
    )
    assert counts.tolist() == [0] * 7 + [2, 2, 0] and means[9].tolist() == [0, 0]


def test_a_model_begins_with_the_teachers_means(toy: Toy) -> None:
    run = prepared(toy)
    plain = prepared(toy, teacher={"initialise_embeddings": False}, embedding_initializer_range=1.0)
    ours, theirs = (one.model.get_input_embeddings().weight.detach() for one in (run, plain))  # type: ignore[operator]
    seen = torch.from_numpy(np.bincount(run.source.store.tokens, minlength=len(ours)) > 0)
    assert torch.equal(ours[~seen], theirs[~seen]) and torch.equal(ours[:, 6:], theirs[:, 6:])
    assert ours[seen][:, :6].square().mean(1).sqrt().mean() == pytest.approx(1.0, rel=1e-4)
    mapping: Any = encoder_of(run.model)
    weight = mapping.encoder.embedding_hidden_mapping_in.weight
    assert torch.equal(weight, torch.eye(16))


def test_beside_neighbours_words_and_positions_have_dimensions_of_their_own(toy: Toy) -> None:
    run = prepared(toy, initial_attention="neighbours")
    embeddings: Any = encoder_of(run.model).embeddings
    words, positions = embeddings.word_embeddings.weight, embeddings.position_embeddings.weight
    apart = int(positions.any(0).sum())
    assert 0 < apart < words.shape[1] and not positions[:, apart:].any() and not words[:, :apart].any()
    plain: Any = prepared(toy).model.get_input_embeddings()  # type: ignore[operator]
    # The leading components, in the words' part; their scale is that of as many dimensions as there are.
    size = min(6, words.shape[1] - apart)
    seen = torch.from_numpy(np.bincount(run.source.store.tokens, minlength=len(words)) > 0)
    ours, theirs = words[seen][:, apart : apart + size], plain.weight[seen][:, :size]
    torch.testing.assert_close(ours / ours[0, 0], theirs / theirs[0, 0], rtol=1e-4, atol=1e-5)


def test_the_head_begins_as_the_best_for_the_untrained_student(toy: Toy) -> None:
    run = prepared(toy, masked_share=0.1)
    batch = run.source.batch(0, rows=64)
    model: Any = run.model.eval()
    assert batch.taught is not None and batch.states is not None
    with torch.no_grad():
        hidden = encoder_of(model)(input_ids=batch.input_ids).last_hidden_state.flatten(0, 1)[batch.taught]
        error = (model.state_head(hidden) - batch.states.float()).square().mean()
    design = torch.cat([hidden, torch.ones(len(hidden), 1)], dim=1)
    best = torch.linalg.lstsq(design, batch.states.float()).solution
    least = (design @ best - batch.states.float()).square().mean()
    assert least <= error < 1.1 * least and error < 0.9


@pytest.mark.parametrize("kind", ["albert", "distilbert"])
def test_the_loss_goes_down_below_that_of_the_mean(toy: Toy, tmp_path: Path, kind: str) -> None:
    values: dict[str, Any] = {
        "total_steps": 40,
        "learning_rate": "1e-2",
        "batch_size": 16,
        "micro_batch_size": 16,
    }
    assert trained(toy, tmp_path, kind=kind, dropout=0.0, masked_share=0.1, **values)
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert summary["validation"]["state_loss"] < 0.7  # predicting the mean gives 1
    assert summary["validation"]["loss"] == pytest.approx(
        summary["validation"]["state_loss"] + 0.1 * summary["validation"]["mlm_loss"]
    )
    saved = read_weights(tmp_path / "out")
    assert not [name for name in saved if "state_head" in name]
    assert summary["parameters"] == sum(value.numel() for value in saved.values())


def test_without_masked_tokens_only_the_states_count(toy: Toy, tmp_path: Path) -> None:
    assert trained(toy, tmp_path, teacher={"masked_weight": 0.0}, total_steps=3, warmup_steps=1)
    summary = json.loads((tmp_path / "log" / "summary.json").read_text())
    assert summary["validation"].keys() == {"loss", "state_loss"}


def test_interrupted_and_continued_is_the_same_to_the_bit(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ligero.pretraining.engine import Pretrainer

    assert trained(toy, tmp_path / "whole", total_steps=12)
    step, steps = Pretrainer._step, [0]

    def dying(self: Pretrainer, number: int, batch: Any) -> Any:
        steps[0] += 1
        if steps[0] in (2, 9):
            raise KeyboardInterrupt
        return step(self, number, batch)

    monkeypatch.setattr(Pretrainer, "_step", dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            trained(toy, tmp_path / "pieces", total_steps=12)
    assert trained(toy, tmp_path / "pieces", total_steps=12)
    assert same(tmp_path / "whole", tmp_path / "pieces")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"objective": "distil"}, "objective: distil needs the key 'teacher'"),
        ({"objective": "mlm", "teacher": {"model": "t"}}, "objective: mlm has no teacher"),
    ],
)
def test_recipes_that_contradict_themselves_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pretraining(**{**recipe().model_dump(exclude={"objective", "teacher"}), **values})


def test_the_layers_at_half_and_two_thirds_are_read() -> None:
    lesson = StateTeacher(model="t")
    assert [lesson.layers_of(depth) for depth in (12, 6, 2, 1)] == [(6, 8), (3, 4), (1,), (1,)]
    assert StateTeacher(model="t", layers=(0, 12)).layers_of(12) == (0, 12)
