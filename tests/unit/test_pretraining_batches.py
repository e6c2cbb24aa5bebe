"""Packing, sentence order, masking: what a batch of pretraining holds, as a function of the step alone."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ligero.common.counter_rng import splitmix64, uniform
from ligero.common.errors import DataError, MismatchError
from ligero.common.files import write_json
from ligero.common.records import DamagedError
from ligero.corpus.token_store import TokenStore
from ligero.pretraining.batches import BatchSource, batches_of
from ligero.pretraining.masking import chosen_positions, masked_ids, predictions_per_row
from ligero.pretraining.run import prepare
from ligero.pretraining.vocabulary import Vocabulary
from ligero.tokenizers.fast_tokenizer import TokenizerInfo
from tests.builders.pretraining import Folders, job, recipe, record_store, write_store


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
    assert int(splitmix64(0)) == 0xE220A8397B1DCDAF  # the published generator's first number from seed 0
    assert splitmix64(3, 1, np.arange(10))[7] == splitmix64(3, 1, 7)
    assert len(np.unique(splitmix64(np.arange(100)[:, None], np.arange(100)))) == 10_000


def segments_of(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, last = np.flatnonzero(row == 3)
    assert row[0] == 2 and last == len(row) - 1
    return row[1:first], row[first + 1 : last]


def test_rows_are_segments_of_the_text_in_order_or_swapped(folders: tuple[Path, Path]) -> None:
    drawn = source(folders, batch_size=64, short_sequence_probability=0.0)
    text = TokenStore.open(folders[0]).tokens.astype(np.int64)
    pieces = {bytes(text[at : at + size]) for size in range(1, 22) for at in range(len(text) - size + 1)}
    batch = drawn.batch(0)
    swapped = batch.swapped.numpy()
    assert 0.2 < swapped.mean() < 0.8
    for row, types, label in zip(originals(batch), batch.token_type_ids.numpy(), swapped, strict=True):
        first, second = segments_of(row)
        assert len(first) + len(second) == 21 and bytes(first) in pieces and bytes(second) in pieces
        assert types.tolist() == [0] * (len(first) + 2) + [1] * (len(second) + 1)
        if not label:
            assert bytes(np.concatenate([first, second])) in pieces


def marked_store(folder: Path) -> tuple[Path, Path]:
    """Lines of 2 to 19 tokens, all 10 but for the first, 20 (40 in a document's first line), and the last, 30; a hundred lines a
    document."""
    store, tokenizer = write_store(folder)
    lengths = np.random.default_rng(0).integers(2, 20, 4_000)
    ends = np.cumsum(lengths)
    tokens = np.full(ends[-1], 10, dtype=np.uint16)
    lines = np.concatenate([[0], ends]).astype(np.uint64)
    tokens[lines[:-1]], tokens[ends - 1] = 20, 30
    tokens[lines[:-1:100]] = 40
    tokens.tofile(store / "train.bin")
    np.save(store / "train.segments.npy", lines)
    np.save(store / "train.documents.npy", lines[::100])
    record_store(store, tokenizer)
    return store, tokenizer


def test_how_segments_begin_and_end_does_not_tell_their_order(tmp_path: Path) -> None:
    """Where a segment begins or ends with its line, it does so in both orders alike."""
    drawn = source(
        marked_store(tmp_path), batch_size=2_000, micro_batch_size=4, sequence_length=67,
        short_sequence_probability=0.0,
    )  # fmt: skip
    batch = drawn.batch(0)
    rows = [segments_of(row) for row in originals(batch)]
    swapped = batch.swapped.numpy() == 1
    assert all(first[-1] == 30 and second[0] in (20, 40) for first, second in rows)
    in_order = [second for (_, second), is_swapped in zip(rows, swapped, strict=True) if not is_swapped]
    assert not any(second[0] == 40 for second in in_order), "two documents have no order"
    lengths = [len(first) for first, _ in rows]
    assert 30 < np.mean(lengths) < 34 and max(lengths) < 63, "both segments lose the same share"
    told = {
        "begins a line": np.array([first[0] in (20, 40) for first, _ in rows]),
        "ends a line": np.array([second[-1] == 30 for _, second in rows]),
        "length of the first": np.array([len(first) / 64 for first, _ in rows]),
    }
    for what, values in told.items():
        assert abs(values[swapped].mean() - values[~swapped].mean()) < 0.05, what


def test_a_window_without_a_line_start_is_split_in_its_middle(tmp_path: Path) -> None:
    store, tokenizer = marked_store(tmp_path)
    count = len(np.fromfile(store / "train.bin", dtype=np.uint16))
    for name in ("documents", "segments"):
        np.save(store / f"train.{name}.npy", np.array([0, count], dtype=np.uint64))
    record_store(store, tokenizer)
    values = {"batch_size": 200, "sequence_length": 67, "short_sequence_probability": 0.0}
    batch = source((store, tokenizer), **values).batch(0)
    lengths = np.array([len(segments_of(row)[0]) for row in originals(batch)])
    assert lengths.min() >= 16 and lengths.max() <= 48 and len(np.unique(lengths)) > 10


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
    assert cut.micro and all(one is other for one, other in zip(cut.micro_batches(4), cut.micro, strict=True))
    assert [len(part) for part in cut.micro_batches(3)] == [3, 3, 2]  # of another size they are made anew
    for one, other in zip(cut.micro_batches(4), batch.micro_batches(4), strict=True):
        assert all(torch.equal(mine, plain) for mine, plain in zip(one.inputs(), other.inputs(), strict=True))


def test_a_thread_cuts_and_pins_for_a_gpu(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training thread makes no micro batch and pins nothing: five tensors of each are pinned elsewhere."""
    pinned: list[str] = []

    def pin(self: torch.Tensor) -> torch.Tensor:
        pinned.append(threading.current_thread().name)
        return self

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    drawn = source(folders)
    batches = list(batches_of(drawn, (0, 8), range(3), 4, torch.device("cuda")))
    assert len(batches) == 3 and all(len(batch.micro) == 2 for batch in batches)
    assert len(pinned) == 3 * 2 * 5 and threading.current_thread().name not in pinned
    list(batches[0].micro_batches(4))
    list(batches_of(drawn, (0, 8), range(3), 4, torch.device("cpu")))
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
    assert not np.array_equal(drawn._order(0), drawn._order(1)), "each epoch has an order of its own"


@pytest.mark.parametrize(("dupe_factor", "low", "high"), [(1, 1, 1), (2, 2, 2), (None, 4.9, 5)])
def test_static_masks_repeat_and_dynamic_ones_do_not(
    folders: tuple[Path, Path], dupe_factor: int | None, low: float, high: float
) -> None:
    """In five epochs every row has one mask, two that alternate, or a new one each time (where few choices repeat one)."""
    recipe = {"short_sequence_probability": 0.0, "objective": "mlm", "batch_size": 4}
    drawn = source(folders, dupe_factor=dupe_factor, **recipe)
    rows = set()
    for step in range(5 * drawn.windows.count // 4):
        batch = drawn.batch(step)
        for masked, original in zip(batch.input_ids.numpy(), originals(batch), strict=True):
            rows.add((original.tobytes(), masked.tobytes()))
    assert low <= len(rows) / drawn.windows.count <= high


def test_ids_above_half_of_two_bytes_are_read_as_they_were_written(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """A vocabulary of up to 65,536 tokens takes unsigned pairs of bytes."""
    for path in folders[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    ids = np.fromfile(tmp_path / "train.bin", "<u2")
    ids[:2] = 32_768, 65_535
    ids.tofile(tmp_path / "train.bin")
    tokens = TokenStore.open(tmp_path).tokens
    assert tokens[:2].tolist() == [32_768, 65_535] and (tokens[2:] == ids[2:]).all()


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
    assert (
        1.6 < lengths.mean() < 1.95
    )  # 18/11 when n-grams never touch; 2.1 where all lengths are equally probable
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
    # A unit that does not fit any more makes room for one that does: only single words could be missing.
    assert (chosen.sum(axis=1) == 7).mean() > 0.95 and chosen.sum(axis=1).max() == 7
    assert not (chosen & special).any()
    begins = ~continues[ids] | special | np.roll(special, 1, axis=1)
    same_word = ~begins[:, 1:]
    assert (chosen[:, 1:] == chosen[:, :-1])[same_word].all()


@pytest.mark.parametrize(
    ("model", "continuing"),
    [
        ({"type": "WordPiece", "vocab": {"casa": 0, "##s": 1, ",": 2}}, [False, True, False]),
        ({"type": "Unigram", "vocab": [["▁casa", 0], ["s", 0], [",", 0], ["»", 0]]}, [False, True, False, False]),
        ({"type": "BPE", "vocab": {"Ġcasa": 0, "Ã³n": 1, ",": 2, "Â»": 3, "³": 4}}, [False, True, False, False, True]),
    ],
    ids=["WordPiece", "SentencePiece", "byte-level BPE"],
)  # fmt: skip
def test_which_subwords_continue_a_word(
    model: dict[str, object], continuing: list[bool], tmp_path: Path
) -> None:
    _, tokenizer = write_store(tmp_path)
    write_json(tokenizer / "fast_tokenizer.json", {"model": model})
    replace(TokenizerInfo.read(tokenizer), vocabulary_size=len(continuing)).write(tokenizer)
    continues = Vocabulary.load(tokenizer, words=True).continues
    assert continues is not None and continues.tolist() == continuing


def test_a_store_without_a_full_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not fill one sequence"):
        source(write_store(tmp_path, documents=1), sequence_length=512)


def test_a_truncated_store_is_refused(tmp_path: Path) -> None:
    store, _ = write_store(tmp_path)
    data = (store / "train.bin").read_bytes()
    (store / "train.bin").write_bytes(data[:-3])
    with pytest.raises(
        DamagedError, match=r"train\.bin: has \d+ bytes, expected \d+\. Encode the corpus again"
    ):
        TokenStore.open(store)


def test_a_store_of_another_tokenizer_is_refused(folders: Folders, tmp_path: Path) -> None:
    _, tokenizer = write_store(tmp_path)
    replace(TokenizerInfo.read(tokenizer), lower_case=True).write(tokenizer)
    with pytest.raises(MismatchError, match="made by another tokenizer"):
        prepare(job(), folders[0], tokenizer)


def test_cls_predicts_words_of_its_row_beside_the_masked_ones(folders: tuple[Path, Path]) -> None:
    plain = source(folders, objective="mlm", batch_size=8, micro_batch_size=4)
    taught = source(folders, objective="mlm", batch_size=8, micro_batch_size=4, cls_words=2)
    length = plain.batch(5).input_ids.shape[1]
    masked, both = plain.batch(5), taught.batch(5)
    assert torch.equal(both.input_ids, masked.input_ids)
    at_cls = both.positions % length == 0
    assert both.positions[at_cls].tolist() == [row * length for row in range(8) for _ in range(2)]
    assert torch.equal(both.positions[~at_cls], masked.positions)
    assert torch.equal(both.labels[~at_cls], masked.labels)
    assert both.positions.tolist() == sorted(both.positions.tolist())
    for row, words in zip(originals(masked), both.labels[at_cls].reshape(8, 2).numpy(), strict=True):
        assert set(words) <= set(row[1:-1])
    assert torch.equal(taught.batch(5, first=4, rows=4).labels, both.labels[len(both.labels) // 2 :]), (
        "a share of the rows draws the same words"
    )
    halves = list(both.micro_batches(4))
    assert torch.equal(halves[1].positions, both.positions[len(both.positions) // 2 :] - 4 * length)
    held_out = TokenStore.open(folders[0])
    one, other = plain.validation(held_out, 4), taught.validation(held_out, 4)
    assert one is not None and other is not None and torch.equal(one.positions, other.positions)


def test_words_of_cls_are_for_masked_language_models_alone() -> None:
    with pytest.raises(ValueError, match=r"cls_words: 1 is for objective: mlm; with mlm_sop leave it out"):
        recipe(objective="mlm_sop", cls_words=1)
