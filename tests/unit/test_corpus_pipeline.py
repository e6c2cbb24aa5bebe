"""Reading of every compression, the pipeline's outputs, and the errors that bad input gets."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path

import pytest
import zstandard

from ligero.common.errors import DataError
from ligero.corpus.exact_duplicates import SeenLines, drop_repeated, line_hashes
from ligero.corpus.pipeline import CleanPaths, clean_corpus
from ligero.corpus.reading import BLOCK_BYTES, read_blocks, read_documents
from ligero.corpus.splitting import LONGEST_DOCUMENT_BYTES, cut_documents, rank, split_documents
from ligero.settings.corpus import Corpus

TEXT = "".join(f"El niño número {n} comió piña.\nY la niña también, el día {n}.\n\n" for n in range(300))


def _tar(data: bytes, name: str = "a/texto.txt") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for member in (name, "b.txt"):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _two_frames(data: bytes) -> bytes:
    return zstandard.compress(data[:1000]) + zstandard.compress(data[1000:])


PACKED = {
    "plain": (lambda data: data, 1),
    "gzip": (gzip.compress, 1),
    "bzip2": (bz2.compress, 1),
    "xz": (lzma.compress, 1),
    "zstd": (zstandard.compress, 1),
    "zstd frames": (_two_frames, 1),
    "tar": (_tar, 2),
    "tar.gz": (lambda data: gzip.compress(_tar(data)), 2),
    "tar.bz2": (lambda data: bz2.compress(_tar(data)), 2),
    "tar.xz": (lambda data: lzma.compress(_tar(data)), 2),
    "tar of xz": (lambda data: _tar(lzma.compress(data)), 2),
}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("block_bytes", [100, 5000, 1 << 22])
def test_reads_every_compression(tmp_path: Path, packing: str, block_bytes: int) -> None:
    pack, copies = PACKED[packing]
    path = tmp_path / "nombre-sin-extension"
    path.write_bytes(pack(TEXT.encode()))
    blocks = list(read_blocks(path, block_bytes))
    assert b"".join(blocks).decode() == TEXT * copies
    assert all(block.endswith(b"\n") for block in blocks)


def test_lines_longer_than_a_block_and_a_missing_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbf" + "ñ".encode() * 500 + b"\nfin")
    assert b"".join(read_blocks(path, 100)).decode() == "ñ" * 500 + "\nfin\n"


def test_wrong_encoding_names_line_and_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("uno\ndos\nel niño\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.txt:3: byte 13 \(0xf1\).*iconv"):
        list(read_blocks(path, 4))
    path.write_bytes("el niño\n".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16LE"):
        list(read_blocks(path))


@pytest.mark.parametrize("packing", ["plain", "zstd", "tar"])
@pytest.mark.parametrize(
    "content, message",
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n", "is a Git LFS pointer"),
        (b"<!DOCTYPE html>\n<html><body><p>Inicie sesi\xc3\xb3n.</p></body></html>\n", "is an HTML page"),
        (b"PK\x03\x04\x14\0\xff", "is a ZIP archive"),
    ],
)
def test_what_is_no_text_is_called_by_its_name(
    tmp_path: Path, packing: str, content: bytes, message: str
) -> None:
    path = tmp_path / "texto.txt"
    path.write_bytes(PACKED[packing][0](content))
    with pytest.raises(DataError, match=rf"texto\.txt[^ ]*: {message}"):
        list(read_blocks(path))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_truncated_archives_are_refused(tmp_path: Path, pack) -> None:
    path = tmp_path / "corto"
    path.write_bytes(pack(TEXT.encode())[:-20])
    with pytest.raises(DataError, match="corto: cannot be decompressed"):
        list(read_blocks(path))


def _clean(
    tmp_path: Path,
    text: str,
    name: str = "out",
    processes: int = 1,
    block_bytes: int = BLOCK_BYTES,
    **settings,
):
    source = tmp_path / "crudo.txt"
    source.write_text(text, encoding="utf-8")
    folder = tmp_path / name
    corpus = Corpus(parts=("parte",), **settings)
    counts = clean_corpus({"parte": source}, folder, corpus, processes=processes, block_bytes=block_bytes)
    return counts, CleanPaths(folder)


def test_pipeline_splits_and_counts(tmp_path: Path) -> None:
    statistics, paths = _clean(tmp_path, TEXT, validation_share=0.1)
    train, validation = list(read_documents(paths.train)), list(read_documents(paths.validation))
    assert len(train) + len(validation) == 300 == statistics["total"]["clean"]["documents"]
    assert 10 <= len(validation) <= 50
    assert statistics["documents"] == {"train": len(train), "validation": len(validation)}
    assert statistics["parts"]["parte"]["raw"]["lines"] == 600
    assert sorted(train + validation) == sorted(
        document.lower().split("\n") for document in TEXT.strip().split("\n\n")
    )


def test_documents_are_held_out_by_their_rank_at_the_seed_of_the_corpus(tmp_path: Path) -> None:
    _, paths = _clean(tmp_path, TEXT, validation_share=0.1, seed=7)
    for path, held_out in ((paths.train, False), (paths.validation, True)):
        documents = ["".join(f"{line}\n" for line in lines).encode() for lines in read_documents(path)]
        assert {rank(document, 7) < 0.1 for document in documents} == {held_out}


def test_result_does_not_depend_on_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ligero.corpus.pipeline.BYTES_PER_PROCESS", 1)
    options = {"validation_share": 0.1, "block_bytes": 1500}
    one, first = _clean(tmp_path, TEXT, "one", processes=1, **options)
    two, second = _clean(tmp_path, TEXT, "two", processes=2, **options)
    assert one == two
    assert first.train.read_bytes() == second.train.read_bytes()
    assert first.validation.read_bytes() == second.validation.read_bytes()


def test_exact_duplicates_across_blocks(tmp_path: Path) -> None:
    statistics, paths = _clean(
        tmp_path, TEXT + TEXT, deduplicate="exact", validation_share=0.1, block_bytes=2000
    )
    lines = [line for path in (paths.train, paths.validation) for doc in read_documents(path) for line in doc]
    assert sorted(lines) == sorted({line.lower() for line in TEXT.split("\n") if line})
    assert statistics["total"]["dropped_lines"] == {"duplicate": 600}
    assert statistics["total"]["clean"]["lines"] == 600
    assert sum(entry["lines"] for entry in statistics["total"]["line_length_histogram"]) == 600


def test_a_small_corpus_still_gets_a_validation_document(tmp_path: Path) -> None:
    statistics, paths = _clean(tmp_path, "uno.\n\ndos.\n\ntres.\n", validation_share=0.001)
    assert statistics["documents"] == {"train": 2, "validation": 1}
    assert list(read_documents(paths.validation)) == [["dos."]], "of ranks 0.488, 0.359 and 0.674"
    with pytest.raises(DataError, match="single document"):
        _clean(tmp_path, "uno.\n", validation_share=0.001)


def test_empty_corpora_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"crudo\.txt: part 'parte' of the corpus has no text"):
        _clean(tmp_path, "\n \n\u00a0\n")
    with pytest.raises(DataError, match="empty after cleaning"):
        _clean(tmp_path, "https://a.es/b\n* x\n")
    with pytest.raises(DataError, match="no such file"):
        clean_corpus({"p": tmp_path / "nada"}, tmp_path / "o", Corpus(parts=("p",)))
    assert not (tmp_path / "out" / "clean" / "train.txt.zst").exists()


def test_documents_without_end_are_cut() -> None:
    text = b"".join(b"linea %d\n" % n for n in range(200_000))
    documents = cut_documents(text)
    assert b"".join(documents) == text
    assert len(documents) > 1
    assert max(map(len, documents)) <= LONGEST_DOCUMENT_BYTES
    assert cut_documents(b"") == []


def test_copies_of_a_document_fall_on_one_side() -> None:
    documents = [b"doc %d\n" % (n % 100) for n in range(300)]
    training, validation = split_documents(documents, 0.3, 1)
    assert not set(training) & set(validation)
    assert split_documents(documents, 0.3, 2)[1] != validation


def test_seen_lines_over_many_batches() -> None:
    seen, expected = SeenLines(), set()
    for batch in range(30):
        lines = [b"%d" % (n * n % 97 + batch) for n in range(50)]
        new = seen.first_time(line_hashes(lines)).tolist()
        for line, is_new in zip(lines, new, strict=True):
            assert is_new == (line not in expected)
            expected.add(line)
    assert len(seen) == len(expected)
    assert drop_repeated(b"a\nb\n\na\n", SeenLines()) == (b"a\nb\n", 1)
