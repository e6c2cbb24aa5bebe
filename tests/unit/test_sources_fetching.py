"""Where sources come from, in which order, and what is refused: mirrors, URLs, lock file, archives."""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import stat
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import DamagedError, digests_of, write_record
from ligero.settings.sources import GENERATED, ArchiveMember, Source
from ligero.sources.archives import members, open_member
from ligero.sources.checksums import Origin, SourcesLock
from ligero.sources.errors import ChecksumError, FetchError
from ligero.sources.fetching import Fetcher
from tests.builders.scripted_server import BODY, QUICK, Server

SUM = hashlib.sha256(BODY).hexdigest()


def fetcher(tmp_path: Path, sources: dict[str, Source], **options: Any) -> Fetcher:
    return Fetcher(sources, SourcesLock(tmp_path / "sources.lock.json"), patience=QUICK, **options)


def leftovers(folder: Path) -> list[str]:
    """What lies in a folder beside lock guards."""
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".guard"))


# --- locations and their order ----------------------------------------------------------------------------------------


def test_a_mirror_folder_is_copied_and_verified(tmp_path: Path) -> None:
    (tmp_path / "mirror" / "d").mkdir(parents=True)
    (tmp_path / "mirror" / "d" / "f").write_bytes(BODY)
    source = Source(path="d/f", sha256=SUM, bytes=len(BODY), url="http://127.0.0.1:9/never")
    fetch = fetcher(tmp_path, {"s": source}, mirror=str(tmp_path / "mirror"))
    assert fetch.fetch("s", tmp_path / "out" / "d" / "f") == SUM
    assert leftovers(tmp_path / "out" / "d") == ["f"]
    assert not (tmp_path / "sources.lock.json").exists()


def test_a_corrupted_mirror_file_is_refused_by_its_sum(server: Server, tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "f").write_bytes(BODY[:-1] + b"!")
    fetch = fetcher(
        tmp_path, {"s": Source(path="f", sha256=SUM, url=server.url)}, mirror=str(tmp_path / "mirror")
    )
    with pytest.raises(ChecksumError) as caught:
        fetch.fetch("s", tmp_path / "out" / "f")
    assert SUM in str(caught.value) and str(tmp_path / "mirror" / "f") in str(caught.value)
    assert leftovers(tmp_path / "out") == [] and server.requests == []


def test_url_mirror_then_url_then_alternatives(server: Server, tmp_path: Path) -> None:
    server.steps = [server.status(404), server.status(404), server.whole]
    base = server.url.removesuffix("/file.bin")
    source = Source(path="d/año.txt", url=f"{base}/one", alternatives=(f"{base}/two",))
    fetcher(tmp_path, {"s": source}, mirror=f"{base}/mirror/").fetch("s", tmp_path / "f")
    assert [request["path"] for request in server.requests] == ["/mirror/d/a%C3%B1o.txt", "/one", "/two"]


def test_a_wrong_primary_gives_way_to_a_right_alternative(server: Server, tmp_path: Path) -> None:
    def impostor(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "6")
        handler.end_headers()
        handler.wfile.write(b"<html>")

    server.steps = [impostor, server.whole]
    source = Source(path="f", url=server.url, alternatives=(server.url + "2",), sha256=SUM)
    assert fetcher(tmp_path, {"s": source}).fetch("s", tmp_path / "f") == SUM
    server.steps = [impostor]
    with pytest.raises(ChecksumError, match=SUM):
        fetcher(tmp_path, {"s": source}).fetch("s", tmp_path / "g")


def test_nowhere_lists_every_location_with_its_reason(server: Server, tmp_path: Path) -> None:
    server.steps = [server.status(404)]
    fetch = fetcher(tmp_path, {"s": Source(path="f", url=server.url)}, mirror=str(tmp_path / "none"))
    with pytest.raises(FetchError) as caught:
        fetch.fetch("s", tmp_path / "f")
    assert "none/f: not there" in str(caught.value) and f"{server.url}: not there (404)" in str(caught.value)
    assert "set 'mirror'" in str(caught.value)
    with pytest.raises(ConfigurationError, match="no source 'x'"):
        fetch.fetch("x", tmp_path / "f")


def test_an_unknown_checksum_is_recorded_once_and_enforced_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mirror").mkdir()
    file = tmp_path / "mirror" / "f"
    file.write_bytes(b"first")
    fetch = fetcher(tmp_path, {"s": Source(path="f")}, mirror=str(tmp_path / "mirror"))
    sha256 = fetch.fetch("s", tmp_path / "out" / "f")
    assert f"recorded {sha256}" in capsys.readouterr().err
    lock = json.loads((tmp_path / "sources.lock.json").read_text())
    assert lock == {"s": {"path": "f", "sha256": sha256, "bytes": 5, "mirror": str(file)}}
    file.write_bytes(b"other")
    assert fetch.fetch("s", tmp_path / "out" / "f") == sha256, "what is in place and right stays"
    with pytest.raises(ChecksumError, match=r"recorded at the first download in .*remove 's' there"):
        fetch.fetch("s", tmp_path / "out" / "again")


def test_a_checksum_is_recorded_before_the_file_gets_its_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a kill between the two leaves a file that the next run can check, instead of one to be fetched again."""
    recorded = []
    record = SourcesLock.record

    def spy(lock: SourcesLock, source_id: str, source: Source, sha256: str, size: int, at: Origin) -> None:
        recorded.append((source_id, sha256, size, (tmp_path / "out").exists()))
        record(lock, source_id, source, sha256, size, at)

    monkeypatch.setattr(SourcesLock, "record", spy)
    fetch = fetcher(tmp_path, {"s": Source(path="f", url=server.url)})
    fetch.fetch("s", tmp_path / "out")
    fetch.fetch("s", tmp_path / "out")
    assert recorded == [("s", SUM, len(BODY), False)] and len(server.requests) == 1


def test_another_address_or_member_is_fetched_again(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = fetcher(tmp_path, {"s": Source(path="f", url=server.url)}).fetch("s", tmp_path / "f")
    server.body = b"the next version"
    later = fetcher(tmp_path, {"s": Source(path="f", url=f"{server.url}?v=2")})
    assert later.fetch("s", tmp_path / "f") != first and (tmp_path / "f").read_bytes() == server.body
    assert capsys.readouterr().err.count("recorded") == 2
    server.body = b"a third one, which nobody asked for"
    assert later.fetch("s", tmp_path / "f") and (tmp_path / "f").read_bytes() == b"the next version"

    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "a.zip", "w") as archive:
        archive.writestr("one", "1")
        archive.writestr("two", "2")
    for member in ("one", "two"):
        sources = {
            "a": Source(path="a.zip"),
            "m": Source.model_validate({"path": "m", "archive": {"source": "a", "member": member}}),
        }
        fetcher(tmp_path, sources, mirror=str(tmp_path / "mirror")).fetch("m", tmp_path / "m")
        assert (tmp_path / "m").read_text() == {"one": "1", "two": "2"}[member]


def test_another_mirrors_file_must_be_the_same_one(tmp_path: Path) -> None:
    source = Source(path="f")
    for name, content in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(content)
        os.utime(
            tmp_path / name / "f", (1e9, 1e9)
        )  # as unzip and rsync write it: older than what was fetched
    lock = SourcesLock(tmp_path / "sources.lock.json")
    for name in ("a", "b"):
        lock.refuse_changed("s", source, tmp_path / name / "f", tmp_path / "out")
        fetcher(tmp_path, {"s": source}, mirror=str(tmp_path / name)).fetch("s", tmp_path / "out")
        assert lock.origin("s") == {"mirror": str(tmp_path / name / "f")}
    with pytest.raises(ChecksumError, match=r"c/f: expected .*remove 's' there to accept another"):
        lock.refuse_changed("s", source, tmp_path / "c" / "f", tmp_path / "out")


def test_a_file_that_another_job_recorded_otherwise_is_not_kept(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(lock: SourcesLock, source_id: str, *_: Any) -> None:
        raise ChecksumError(f"{source_id}: recorded otherwise meanwhile")

    monkeypatch.setattr(SourcesLock, "record", late)
    with pytest.raises(ChecksumError, match="otherwise"):
        fetcher(tmp_path, {"s": Source(path="f", url=server.url)}).fetch("s", tmp_path / "d" / "out")
    assert leftovers(tmp_path / "d") == []


def _fetch_in_a_process(root: str, number: int) -> None:
    sources = {f"s{index}": Source(path=f"f{index}") for index in range(8)}
    fetch = Fetcher(sources, SourcesLock(Path(root) / "lock.json"), mirror=str(Path(root) / "mirror"))
    for index in range(8):
        fetch.fetch(f"s{index}", Path(root) / f"out{number}" / f"f{index}")


def test_several_jobs_record_in_one_lock_file(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    for index in range(8):
        (tmp_path / "mirror" / f"f{index}").write_text(f"{index}")
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_fetch_in_a_process, args=(str(tmp_path), number)) for number in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0, 0]
    assert sorted(json.loads((tmp_path / "lock.json").read_text())) == [f"s{index}" for index in range(8)]


def test_generated_sources_come_from_the_generator_only(tmp_path: Path) -> None:
    source = Source(path="embedded/f", generated=True)
    folder = tmp_path / "generated" / "embedded"
    folder.mkdir(parents=True)

    def write(text: str) -> None:
        (folder / "f").write_text(text)
        write_record(folder / GENERATED, {"files": digests_of(folder, ["f"])})

    write("text")
    fetch = fetcher(tmp_path, {"s": source}, generated_mirror=tmp_path / "generated")
    fetch.fetch("s", tmp_path / "out")
    write("another seed")
    fetch.fetch("s", tmp_path / "out")
    (folder / "f").write_text("damaged")
    with pytest.raises(DamagedError, match="--forcerun generate_study"):
        fetch.fetch("s", tmp_path / "out")
    assert (tmp_path / "out").read_text() == "another seed"
    assert not (tmp_path / "sources.lock.json").exists()
    with pytest.raises(ConfigurationError, match="--generated-mirror"):
        fetcher(tmp_path, {"s": source}).fetch("s", tmp_path / "out")


# --- archives ---------------------------------------------------------------------------------------------------------


def tar_bytes(mode: str, files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst"])
def test_a_member_is_taken_out_of_each_kind_of_archive(suffix: str, tmp_path: Path) -> None:
    files = {"a/other": b"no", "a/f.txt": BODY}
    archive = tmp_path / "mirror" / f"a.{suffix}"
    archive.parent.mkdir()
    if suffix == "zip":
        with zipfile.ZipFile(archive, "w") as opened:
            for name, content in files.items():
                opened.writestr(name, content)
    elif suffix == "tar.zst":
        archive.write_bytes(zstandard.compress(tar_bytes("w", files)))
    else:
        archive.write_bytes(tar_bytes({"tar": "w"}.get(suffix, f"w:{suffix[4:]}"), files))
    sources = {
        "archive": Source(path=f"a.{suffix}"),
        "s": Source(path="x/f.txt", archive=ArchiveMember(source="archive", member="a/f.txt"), sha256=SUM),
    }
    fetch = fetcher(tmp_path, sources, mirror=str(tmp_path / "mirror"))
    assert fetch.fetch("s", tmp_path / "out" / "x" / "f.txt") == SUM
    assert (tmp_path / "out" / f"a.{suffix}").exists(), (
        "the archive lies at its own path, for its other members"
    )


def test_links_in_a_zip_are_passed_over(tmp_path: Path) -> None:
    """Their text is the path that they lead to."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        link = zipfile.ZipInfo("a/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        opened.writestr(link, "../other/f")
        opened.writestr("a/f", b"text")
    found = [(name, stream.read()) for name, _, stream in members(tmp_path / "a.zip")]
    assert found == [("a/f", b"text")]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_in_a_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        for name, content in (("f", b"old"), ("g", b"text"), ("f", b"new")):
            opened.writestr(name, content)
    with (
        pytest.raises(DataError, match=r"a\.zip: holds 2 files named 'f'.*Pack it anew"),
        open_member(tmp_path / "a.zip", "f"),
    ):
        pass
    with open_member(tmp_path / "a.zip", "g") as (_, stream):
        assert stream.read() == b"text"


def test_bad_archives_are_refused(tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    evil.write_bytes(tar_bytes("w", {"../f": b"x"}))
    with pytest.raises(DataError, match=r"unsafe member name '\.\./f'"):
        list(members(evil))
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK no")
    with pytest.raises(DataError, match="cannot be read as an archive"), open_member(broken, "f"):
        pass
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(tar_bytes("w:gz", {"f": BODY})[:-200])
    with pytest.raises(DataError, match="cannot be read as an archive"), open_member(cut, "f") as (_, stream):
        stream.read()
    good = tmp_path / "good.tar"
    good.write_bytes(tar_bytes("w", {"a/b": b"x"}))
    with pytest.raises(DataError, match="has no file 'c'; it begins with: a/b"), open_member(good, "c"):
        pass
