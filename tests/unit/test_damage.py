"""One flipped bit, or a file cut in half, between corpus and pretrained model: the next reader refuses it and says what to do."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from ligero.common.errors import DataError
from ligero.common.records import DamagedError
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import read_documents
from ligero.corpus.statistics import check_cleaned
from ligero.models.heads import copy_tokenizer
from ligero.pretraining import run
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.metrics import MetricsFile, Position
from ligero.pretraining.records import PretrainingSummary, read_metrics
from ligero.pretraining.vocabulary import Vocabulary
from ligero.reporting.artefact_digests import verify_results
from ligero.settings.corpus import Corpus
from ligero.settings.tokenizers import Tokenizer as TokenizerSettings
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.tokenizers.training import train_tokenizer
from tests.builders.pretraining import Folders, train

WORDS = [
    first + middle + last
    for first in ("ca", "ni", "pue", "gra")
    for middle in ("sa", "ño", "blo", "nde")
    for last in "aeios"
]
TEXT = "".join(
    " ".join(WORDS[(7 * line + 3 * place) % len(WORDS)] for place in range(12)) + ".\n\n"
    for line in range(400)
)


def damage(path: Path, kind: str) -> None:
    """Change a file and keep its time."""
    data, state = path.read_bytes(), path.stat()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
    path.write_bytes(flipped if kind == "flipped" else data[:middle])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


kinds = pytest.mark.parametrize("kind", ["flipped", "cut"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "raw.txt").write_text(TEXT, encoding="utf-8")
    clean_corpus({"part": folder / "raw.txt"}, folder, Corpus(parts=("part",)))
    return folder


@pytest.fixture(scope="module")
def tokenizer(corpus: Path) -> Path:
    settings = TokenizerSettings(kind="sentencepiece_unigram", vocabulary_size=100)
    train_tokenizer(settings, CleanPaths(corpus).train, corpus / "tokenizer")
    return corpus / "tokenizer"


def test_a_cleaned_text(corpus: Path, tmp_path: Path) -> None:
    """Cut anywhere, or with any bit flipped: never another text."""
    data = CleanPaths(corpus).train.read_bytes()
    path = tmp_path / "train.txt.zst"
    damaged = [data[:-1], data[: len(data) // 2]]
    damaged += [
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(0, len(data), len(data) // 150)
    ]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises(
            DataError, match=r"train\.txt\.zst.*(made again when it is deleted|not valid UTF-8)"
        ):
            list(read_documents(path))
    (found,) = verify_results(tmp_path).findings
    assert (found.path, found.kind) == (path, "text")


def test_a_cleaned_text_in_the_place_of_another(corpus: Path, tmp_path: Path) -> None:
    """Its own checksum fits: only the record of the corpus tells."""
    copy = CleanPaths(Path(shutil.copytree(corpus, tmp_path / "corpus")))
    check_cleaned(copy.train)
    check_cleaned(copy.validation)
    shutil.copy(copy.train, copy.validation)
    with pytest.raises(
        DamagedError, match=r"clean/validation\.txt\.zst: it was changed .*--forcerun clean_corpus"
    ):
        check_cleaned(copy.validation)


@kinds
@pytest.mark.parametrize(
    "name", ["fast_tokenizer.json", "tokenizer_info.json", "tokenizer.json", "spiece.model"]
)
def test_a_tokenizer(tokenizer: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = shutil.copytree(tokenizer, tmp_path / "tokenizer")
    damage(folder / name, kind)
    (tmp_path / "model").mkdir()
    with pytest.raises(DamagedError, match=rf"{name}.*Make the tokenizer again"):
        copy_tokenizer(folder, tmp_path / "model")
    if name in ("fast_tokenizer.json", "tokenizer_info.json"):
        for read in (FastTokenizer.load, lambda place: Vocabulary.load(place, words=True)):
            with pytest.raises(DamagedError, match=rf"{name}.*Make the tokenizer again"):
                read(folder)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_token_ids_before_a_model_is_written(folders: Folders, tmp_path: Path, split: str) -> None:
    """They are checked while training runs; sizes and offsets before."""
    tokens = shutil.copytree(folders[0], tmp_path / "tokens")
    damage(tokens / f"{split}.bin", "flipped")
    with pytest.raises(DamagedError, match=rf"{split}\.bin: it was changed.*Encode the corpus again"):
        train((tokens, folders[1]), tmp_path)
    assert not (tmp_path / "out").exists() and not (tmp_path / "log").exists()


def test_the_check_ends_a_run_early(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = shutil.copytree(folders[0], tmp_path / "tokens")
    damage(tokens / "train.bin", "flipped")
    steps, compute = [], Pretrainer._step

    def counted(self: Pretrainer, step: int, batch: object) -> object:
        steps.append(step)
        assert self.data_check is not None and self.data_check.exception() is not None  # waits for it
        return compute(self, step, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Pretrainer, "_step", counted)
    with pytest.raises(DamagedError, match=r"train\.bin"):
        train((tokens, folders[1]), tmp_path, total_steps=50)
    assert steps == [0]


@pytest.mark.parametrize("stopped", [False, True])
def test_neither_checkpoint_nor_model_is_written_before_the_check_has_ended(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """Else the next start, with the file put right, would go on from what the damaged one taught."""
    saving, save = threading.Event(), Pretrainer._save

    def slow(folder: Path) -> None:
        assert saving.wait(60)
        raise DamagedError(folder, None, "found late.")

    def noted(self: Pretrainer) -> None:
        saving.set()
        save(self)

    def interrupted(self: Pretrainer, step: int, batch: object) -> None:
        return None

    monkeypatch.setattr(run, "check_tokens", slow)
    monkeypatch.setattr(Pretrainer, "_save", noted)
    if stopped:
        monkeypatch.setattr(Pretrainer, "_step", interrupted)
    with pytest.raises(DamagedError, match="found late"):
        train(folders, tmp_path)
    assert not (tmp_path / "out").exists() and not list((tmp_path / "state").rglob("checkpoints/*"))


@kinds
@pytest.mark.parametrize("name", ["summary.json", "metrics.jsonl"])
def test_a_finished_pretrainings_records(whole: Path, tmp_path: Path, name: str, kind: str) -> None:
    log = shutil.copytree(whole / "log", tmp_path / "log")
    assert PretrainingSummary.read(log).steps == 10
    damage(log / name, kind)
    with pytest.raises(DamagedError, match=name):
        PretrainingSummary.read(log).metrics(log)


@kinds
def test_metrics_before_a_checkpoint(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.jsonl"
    metrics = MetricsFile(path)
    for step in range(6):
        metrics.write(step=step, loss=1.5)
    position = metrics.position()
    metrics.write(step=6, loss=1.5)
    metrics.rewind(position)
    assert [line["step"] for line in read_metrics(path)] == list(range(6))
    damage(path, kind)
    with pytest.raises(DamagedError, match=r"metrics\.jsonl: it was changed.*Delete it to go on"):
        MetricsFile(path).rewind(position)
    path.unlink()
    MetricsFile(path).rewind(position)
    assert "starting a new file" in capsys.readouterr().err
    MetricsFile(path).rewind(Position(0, ""))
    assert path.read_bytes() == b""
