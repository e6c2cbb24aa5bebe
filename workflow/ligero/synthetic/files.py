"""What the generator writes, and writers whose output depends on the content alone (no clocks, no host names)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Iterable
from pathlib import Path

from ligero.common.files import atomic_path

FILES: tuple[str, ...] = (
    "raw/noticias.txt.xz",
    "raw/cuentos.txt.gz",
    "raw/manuales.txt",
    "raw/conversaciones.txt.bz2",
    "rcv2/rcv2-spanish.zip",
    "mldoc-indices/spanish.train.10000",
    "mldoc-indices/spanish.dev",
    "mldoc-indices/spanish.test",
    "pawsx/es/translated_train.tsv",
    "pawsx/es/dev_2k.tsv",
    "pawsx/es/test_2k.tsv",
    "xnli/multinli.train.es.tsv",
    "xnli/xnli.dev.es.tsv",
    "xnli/xnli.test.es.tsv",
    "ud_ancora/es_ancora-ud-train.conllu",
    "ud_ancora/es_ancora-ud-dev.conllu",
    "ud_ancora/es_ancora-ud-test.conllu",
    "conll2002/esp.train",
    "conll2002/esp.testa",
    "conll2002/esp.testb",
    "mlqa/translate-train/es_squad-translate-train-train-v1.1.json",
    "mlqa/dev-context-es-question-es.json",
    "mlqa/test-context-es-question-es.json",
    "sqac/train.json",
    "sqac/dev.json",
    "sqac/test.json",
    "squad_es/train-v1.1-es.json",
    "squad_es/dev-v1.1-es.json",
    "xquad/xquad.es.json",
)


def compressed(name: str, data: bytes) -> bytes:
    """``data`` compressed as the ending of ``name`` says, or as it is."""
    if name.endswith(".xz"):
        return lzma.compress(data, format=lzma.FORMAT_XZ, preset=6)
    if name.endswith(".gz"):
        return gzip.compress(data, compresslevel=9, mtime=0)
    if name.endswith(".bz2"):
        return bz2.compress(data)
    return data


def zipped(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip archive of ``(path, content)`` with fixed dates and rights."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in members:
            info = zipfile.ZipInfo(path, date_time=(1996, 8, 20, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, content)
    return buffer.getvalue()


def write(out_dir: Path, name: str, data: bytes) -> None:
    """Write one of ``FILES`` whole or not at all."""
    if name not in FILES:
        raise KeyError(f"{name} is not among the files of the study")
    path = out_dir / name
    with atomic_path(path) as temporary:
        temporary.write_bytes(compressed(name, data))
