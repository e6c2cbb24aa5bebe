"""Records and files are checked when they are read; state folders are worked in by one process at a time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ligero.common import file_locks
from ligero.common.errors import DataError
from ligero.common.file_locks import InUseError, only_process
from ligero.common.hashing import digest_file
from ligero.common.records import (
    DamagedError,
    check_file,
    check_listed,
    checksum_of,
    digests_of,
    read_record,
    write_record,
)
from ligero.models.digests import check_weights, write_weights_digest

RECORD = {"loss": 0.4375, "id": "x", "curve": [1, None, {"é": 1e-30}], "labels": {2: "b", 10: "a"}}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_record(path, RECORD)
    assert read_record(path) == {**RECORD, "labels": {"2": "b", "10": "a"}}
    assert checksum_of({"a": 1}) == checksum_of({"a": 1, "checksum": "anything"}) != checksum_of({"a": 2})


@given(st.integers(0, 10_000), st.integers(0, 7))
@example(3007, 5)  # 1e-30 becomes 1E-30, which is the same number
def test_no_flipped_bit_of_a_record_is_believed(
    tmp_path_factory: pytest.TempPathFactory, place: int, bit: int
) -> None:
    path = tmp_path_factory.mktemp("flip") / "r.json"
    write_record(path, RECORD)
    content = bytearray(path.read_bytes())
    content[place % (len(content) - 1)] ^= 1 << bit
    path.write_bytes(bytes(content))
    try:
        found = read_record(path)
    except DamagedError as error:
        assert re.search(r"r\.json.*Delete it and start snakemake again", str(error))
    else:
        assert found == json.loads(json.dumps(RECORD))


def test_records_without_a_checksum_cut_short_or_missing(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with pytest.raises(DataError, match="no such file") as missing:
        read_record(path)
    assert not isinstance(missing.value, DamagedError)
    write_record(path, RECORD)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 2]), encoding="utf-8")
    with pytest.raises(DamagedError, match="not valid JSON"):
        read_record(path)
    path.write_text('{"loss": 0.1}', encoding="utf-8")
    with pytest.raises(DamagedError, match="no key 'checksum': it was edited, or an older version wrote it"):
        read_record(path)


def test_listed_files_are_checked(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abcd")
    write_record(tmp_path / "info.json", {"files": digests_of(tmp_path, ["a.bin"])})
    assert check_listed(tmp_path / "info.json", "a.bin") == tmp_path / "a.bin"
    with pytest.raises(DamagedError, match=r"info\.json: it records no digest of b\.bin"):
        check_listed(tmp_path / "info.json", "b.bin")
    state = (tmp_path / "a.bin").stat()
    (tmp_path / "a.bin").write_bytes(b"abce")
    os.utime(tmp_path / "a.bin", ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(DamagedError, match=r"a\.bin: it was changed .* MAKE IT"):
        check_listed(tmp_path / "info.json", "a.bin", "MAKE IT")
    (tmp_path / "a.bin").unlink()
    with pytest.raises(DamagedError, match=r"a\.bin: no such file"):
        check_file(tmp_path / "a.bin", "0")


def test_digests_are_xxh3_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert digest_file(tmp_path / "empty") == "99aa06d3014798d86001c324468d497f"


def test_weights_are_checked_against_their_digest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(DamagedError, match=r"weights\.digest: no such file"):
        check_weights(tmp_path)
    write_weights_digest(tmp_path)
    assert check_weights(tmp_path) == (tmp_path / "weights.digest").read_text().strip()
    whole = (tmp_path / "weights.digest").read_bytes()
    (tmp_path / "weights.digest").write_bytes(whole[:-1])
    with pytest.raises(DamagedError, match=r"weights\.digest: it ends early"):
        check_weights(tmp_path)
    (tmp_path / "weights.digest").write_bytes(whole)
    (tmp_path / "model.safetensors").write_bytes(b"weightt")
    with pytest.raises(DamagedError, match=r"config\.json, model\.safetensors: not what was written"):
        check_weights(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ligero.common.file_locks import only_process
with only_process(Path(sys.argv[2]), "other"):
    Path(sys.argv[2], "held").touch()
    time.sleep(float(sys.argv[3]))
"""


def hold(project: Path, folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(project / "workflow"), str(folder), str(seconds)]
    )
    while not (folder / "held").exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_one_process_waits_for_the_other_or_gives_up(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    process = hold(project, tmp_path, 60)
    monkeypatch.setattr(file_locks, "PATIENCE", 0.3)
    with (
        pytest.raises(InUseError, match=r"m: another process works in .* Wait for it or end it"),
        only_process(tmp_path, "m"),
    ):
        raise AssertionError("both at once")
    process.kill()
    process.wait()
    with only_process(tmp_path, "m"):
        assert "m: waiting for another process" in capsys.readouterr().err
