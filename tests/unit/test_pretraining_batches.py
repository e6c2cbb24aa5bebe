"""Packing, sentence order, masking: what a batch of pretraining holds, as a function of the step alone."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ligero.common.errors import DataError
from ligero.pretraining.batches import BatchSource
from ligero.pretraining.draws import mixed, uniform
from ligero.pretraining.masking import chosen_positions, masked_ids, predictions_per_row
from ligero.pretraining.prefetch import prefetched_batches
from ligero.pretraining.store import TokenStore
from ligero.pretraining.vocabulary import Vocabulary
from tests.unit.pretraining_toys import recipe, write_store


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_store(tmp_path_factory.mktemp("store"))


def source(folders: tuple[Path, Path], **values: object) -> BatchSource:
    chosen = recipe(**values)
    return BatchSource(TokenStore.open(folders[0]), Vocabulary.load(folders[1], chosen.whole_word), chosen)


def originals(batch: object) -> np.ndarray:
    """The rows before masking."""
    ids = batch.input_ids.clone().reshape(-1)  # type: ignore[attr-defined]
    ids[batch.positions] = batch.labels  # type: ignore[attr-defined]
    return ids.reshape(batch.input_ids.shape).numpy()  # type: ignore[attr-defined]


def test_draws_are_uniform_and_independent_of_shape() -> None:
    values = uniform(3, 1, np.arange(20000))
    assert abs(values.mean() - 0.5) < 0.01 and abs((values < 0.1).mean() - 0.1) < 0.01
    assert mixed(3, 1, np.arange(10))[7] == mixed(3, 1, 7)
    assert len(np.unique(mixed(np.arange(100)[:, None], np.arange(100)))) == 10_000


def test_rows_are_consecutive_text_cut_and_swapped(folders: tuple[Path, Path]) -> None:
    drawn = source(folders, batch_size=64, short_sequence_probability=0.0)
    text = TokenStore.open(folders[0]).tokens.astype(np.int64)
    windows = {bytes(text[start : start + 21]) for start in range(len(text))}
    batch = drawn.batch(0)
    swapped = batch.swapped.numpy()
    assert 0.2 < swapped.mean() < 0.8
    for row, types, label in zip(originals(batch), batch.token_type_ids.numpy(), swapped, strict=True):
        seps = np.flatnonzero(row == 3)
        assert row[0] == 2 and len(seps) == 2 and seps[1] == 23
        assert types.tolist() == [0] * (seps[0] + 1) + [1] * (23 - seps[0])
        first, second = row[1 : seps[0]], row[seps[0] + 1 : seps[1]]
        assert len(first) and len(second)
        whole = np.concatenate([second, first] if label else [first, second])
        assert bytes(whole) in windows


def test_split_falls_on_line_starts(folders: tuple[Path, Path]) -> None:
    drawn = source(folders, batch_size=64, short_sequence_probability=0.0)
    store = TokenStore.open(folders[0])
    batch = drawn.batch(1)
    text, starts = store.tokens.astype(np.int64), set(store.segments.tolist())
    at_line = 0
    for row, label in zip(originals(batch), batch.swapped.tolist(), strict=True):
        middle = np.flatnonzero(row == 3)[0]
        first, second = row[1:middle], row[middle + 1 : 23]
        whole = np.concatenate([second, first] if label else [first, second])
        cut = len(second) if label else len(first)
        places = [at for at in range(len(text)) if np.array_equal(text[at : at + 21], whole)]
        at_line += any(at + cut in starts for at in places)
    assert at_line > 55  # the rest: windows without a line start, or only at a document's start


@settings(max_examples=25, deadline=None)
@given(step=st.integers(0, 200), first=st.integers(0, 7), rows=st.integers(1, 8))
def test_any_rows_of_any_step_stand_alone(
    folders: tuple[Path, Path], step: int, first: int, rows: int
) -> None:
    drawn = source(folders)
    rows = min(rows, 8 - first)
    whole, part = drawn.batch(step), drawn.batch(step, first, rows)
    assert torch.equal(whole.input_ids[first : first + rows], part.input_ids)
    length = whole.input_ids.shape[1]
    inside = (whole.positions >= first * length) & (whole.positions < (first + rows) * length)
    assert torch.equal(whole.positions[inside] - first * length, part.positions)
    assert torch.equal(whole.labels[inside], part.labels)


def test_micro_batches_partition_the_batch(folders: tuple[Path, Path]) -> None:
    batch = source(folders).batch(2)
    parts = list(batch.micro_batches(4))
    assert torch.equal(torch.cat([part.input_ids for part in parts]), batch.input_ids)
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
    for part in parts:
        assert np.array_equal(originals(part).reshape(-1)[part.positions.numpy()], part.labels.numpy())
    assert np.array_equal(np.concatenate([originals(part) for part in parts]), originals(batch))


def test_micro_batches_are_cut_beforehand(folders: tuple[Path, Path]) -> None:
    batch = source(folders).batch(2)
    cut = batch.cut(4, pin=False)
    assert cut.pieces and all(
        one is other for one, other in zip(cut.micro_batches(4), cut.pieces, strict=True)
    )
    assert [len(piece) for piece in cut.micro_batches(3)] == [3, 3, 2]  # of another size they are made anew
    for one, other in zip(cut.micro_batches(4), batch.micro_batches(4), strict=True):
        assert all(
            torch.equal(mine, plain) for mine, plain in zip(one._fields(), other._fields(), strict=True)
        )


def test_a_thread_cuts_and_pins_for_a_gpu(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training thread makes no piece and pins nothing: five tensors of each piece are pinned elsewhere."""
    pinned: list[str] = []

    def pin(self: torch.Tensor) -> torch.Tensor:
        pinned.append(threading.current_thread().name)
        return self

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    drawn = source(folders)
    batches = list(prefetched_batches(drawn, (0, 8), range(3), 4, torch.device("cuda")))
    assert len(batches) == 3 and all(len(batch.pieces) == 2 for batch in batches)
    assert len(pinned) == 3 * 2 * 5 and threading.current_thread().name not in pinned
    list(batches[0].micro_batches(4))
    list(prefetched_batches(drawn, (0, 8), range(3), 4, torch.device("cpu")))
    assert len(pinned) == 3 * 2 * 5


def test_an_epoch_visits_every_window_once(folders: tuple[Path, Path]) -> None:
    drawn = source(folders, batch_size=4, short_sequence_probability=0.0, objective="mlm")
    text = TokenStore.open(folders[0]).tokens
    count = drawn.windows.count
    rows = np.concatenate([originals(drawn.batch(step)) for step in range(count // 4)])[:, 1:-1]
    assert len(np.unique(rows, axis=0)) > 0.95 * len(rows)
    assert rows.size > len(text) * 0.8
    first = originals(drawn.batch(0))
    later = originals(drawn.batch(-(-count // 4)))
    assert not np.array_equal(first, later)


def test_static_masks_repeat_and_dynamic_ones_do_not(folders: tuple[Path, Path]) -> None:
    def masks(dupe_factor: int | None) -> dict[bytes, set[bytes]]:
        drawn = source(
            folders, batch_size=4, dupe_factor=dupe_factor, short_sequence_probability=0.0, objective="mlm"
        )
        seen: dict[bytes, set[bytes]] = {}
        for step in range(5 * drawn.windows.count // 4):
            batch = drawn.batch(step)
            for masked, original in zip(batch.input_ids.numpy(), originals(batch), strict=True):
                seen.setdefault(original.tobytes(), set()).add(masked.tobytes())
        return seen

    assert max(len(versions) for versions in masks(1).values()) == 1
    assert max(len(versions) for versions in masks(None).values()) >= 1


def test_share_of_short_steps_and_no_padding(folders: tuple[Path, Path]) -> None:
    drawn = source(folders, sequence_length=32, short_sequence_probability=0.3)
    lengths = np.array([drawn.batch(step).input_ids.shape[1] for step in range(300)])
    assert 0.2 < (lengths < 32).mean() < 0.4 and lengths.min() >= 8
    assert not any((drawn.batch(step).input_ids == 0).any() for step in range(20))


def test_predictions_match_the_published_caps() -> None:
    assert predictions_per_row(512, 0.15) == 77
    assert predictions_per_row(128, 0.15) in (19, 20)


def test_masking_follows_the_recipe() -> None:
    rows, length = 400, 64
    ids = np.tile(np.arange(length) + 10, (rows, 1))
    special = np.zeros((rows, length), dtype=bool)
    special[:, [0, 30, 63]] = True
    keys = np.arange(rows)
    chosen = chosen_positions(ids, special, 10, 3, 7, keys)
    assert (chosen.sum(axis=1) == 10).all() and not (chosen & special).any()
    runs = np.diff(np.pad(chosen, ((0, 0), (1, 1))).astype(int), axis=1)
    lengths = np.nonzero(runs == -1)[1] - np.nonzero(runs == 1)[1]
    assert 1.3 < lengths.mean() < 2.2  # 18/11 when n-grams never touch
    vocabulary = Vocabulary(200, 2, 3, 0, 4, np.arange(5, 200))
    masked = masked_ids(ids, chosen, vocabulary, 7, keys)
    assert np.array_equal(masked[~chosen], ids[~chosen])
    after, before = masked[chosen], ids[chosen]
    assert abs((after == 4).mean() - 0.8) < 0.02 and abs((after == before).mean() - 0.1) < 0.02
    assert not np.isin(after, [0, 1, 2, 3]).any()
    single = chosen_positions(ids, special, 10, 1, 7, keys)
    assert abs(single[:, 1:30].mean() - single[:, 31:63].mean()) < 0.02


def test_whole_words_are_masked_whole() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(5, 50, (100, 48))
    special = np.zeros_like(ids, dtype=bool)
    special[:, [0, 20, 47]] = True
    continues = np.zeros(50, dtype=bool)
    continues[::3] = True
    chosen = chosen_positions(ids, special, 7, 2, 3, np.arange(100), continues)
    assert (chosen.sum(axis=1) <= 7).all() and chosen.sum() > 100 * 4
    begins = ~continues[ids] | special | np.roll(special, 1, axis=1)
    same_word = ~begins[:, 1:]
    assert (chosen[:, 1:] == chosen[:, :-1])[same_word].all()


def test_a_store_without_a_full_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not fill one sequence"):
        source(write_store(tmp_path, documents=1), sequence_length=512)


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    store, _ = write_store(tmp_path)
    data = (store / "train.bin").read_bytes()
    (store / "train.bin").write_bytes(data[:-3])
    with pytest.raises(DataError, match="2 or 4 a token"):
        TokenStore.open(store)
