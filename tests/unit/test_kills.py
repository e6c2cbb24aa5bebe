"""kill -9 at random moments of a grid, a search and a caching job: what is there in the end is what an unharmed run leaves.

Real processes, started by a server that has the libraries loaded, so that a start costs milliseconds.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ligero.common.files import read_json
from tests.builders import kill_programs

pytestmark = pytest.mark.slow

KILLS = 5
Program = Callable[[Path, Path], None]


@pytest.fixture(scope="module")
def processes(project: Path) -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.builders.kill_programs"])
    with pytest.MonkeyPatch.context() as patch:  # the server reads no sys.path but its own
        patch.setenv(
            "PYTHONPATH",
            os.pathsep.join([str(project), str(project / "workflow"), str(project / "benchmarks")]),
        )
        first = context.Process(target=kill_programs.nothing)
        first.start()
        first.join()
    return context


def unharmed(processes: Any, program: Program, inputs: Path, out: Path) -> None:
    """Run to the end."""
    out.mkdir(parents=True)
    process = processes.Process(target=program, args=(inputs, out))
    process.start()
    process.join()
    assert process.exitcode == 0


def footprint(folder: Path) -> set[tuple[str, int, int]]:
    """What a process has written so far."""
    found = set()
    for place, folders, files in os.walk(folder):  # goes on where a folder vanishes meanwhile
        for name in (*folders, *files):
            try:
                status = Path(place, name).stat()
            except FileNotFoundError:
                continue
            found.add((f"{place}/{name}", status.st_size, status.st_mtime_ns))
    return found


def killed(processes: Any, program: Program, inputs: Path, out: Path) -> None:
    """Run to the end with kills after random numbers of writes, however fast the machine is."""
    out.mkdir(parents=True)
    chance, hits = random.Random(11), 0
    while not (out / "done.json").exists():
        writes, wait = chance.randint(1, 10), chance.uniform(0, 0.01)
        process = processes.Process(target=program, args=(inputs, out))
        process.start()
        before = footprint(out)
        while hits < KILLS and process.is_alive():
            if (now := footprint(out)) != before:
                before, writes = now, writes - 1
            if not writes:
                time.sleep(wait)
                process.kill()
                hits += 1
                break
            time.sleep(0.005)
        process.join()
        assert process.exitcode in (0, -9), "it failed by itself"
    assert hits, "it ended before the first kill"


@pytest.mark.parametrize("program", [kill_programs.grid, kill_programs.halved_grid])
def test_a_grid_selects_the_same_model(processes: Any, tmp_path: Path, program: Program) -> None:
    kill_programs.prepare_grid(tmp_path)
    unharmed(processes, program, tmp_path, tmp_path / "whole")
    killed(processes, program, tmp_path, tmp_path / "killed")
    whole, harmed = tmp_path / "whole", tmp_path / "killed"
    shards = [read_json(folder / "shard-0.json")["trials"] for folder in (whole, harmed)]
    for one, other in zip(*shards, strict=True):
        for trial in (one, other):
            trial.pop("seconds")
        assert one == other
    selections = [read_json(folder / "selection.json") for folder in (whole, harmed)]
    for key in ("id", "best", "candidates", "model_digest"):
        assert selections[0][key] == selections[1][key], key
    for folder in (whole, harmed):  # of a grid only the winner's weights stay, and no checkpoint
        assert len(list((folder / "state").rglob("*.safetensors"))) == 1
        assert not list((folder / "state").rglob("checkpoints"))


def test_a_search_has_all_its_trials(processes: Any, tmp_path: Path) -> None:
    """A killed worker loses the trial that it was in; those that ended before are kept, and others take its place."""
    killed(processes, kill_programs.search, tmp_path, tmp_path / "killed")
    assert len(read_json(tmp_path / "killed" / "done.json")) == 10


def test_two_workers_of_which_one_is_killed_share_one_search(processes: Any, tmp_path: Path) -> None:
    out = tmp_path / "shared"
    out.mkdir()
    workers = [processes.Process(target=kill_programs.search, args=(tmp_path, out)) for _ in range(2)]
    for worker in workers:
        worker.start()
    while not (out / "search.journal").exists():
        time.sleep(0.005)
    time.sleep(0.05)
    workers[0].kill()
    for worker in workers:
        worker.join()
    assert workers[1].exitcode == 0
    table = read_json(out / "done.json")
    assert len(table) >= 10
    assert len({row["number"] for row in table}) == len(table)


def test_cached_logits_are_the_same_files(processes: Any, tmp_path: Path) -> None:
    unharmed(processes, kill_programs.cache, tmp_path, tmp_path / "whole")
    killed(processes, kill_programs.cache, tmp_path, tmp_path / "killed")
    for name in ("logits.arrow", "meta.json"):
        files = [(tmp_path / run / "cache" / name).read_bytes() for run in ("whole", "killed")]
        assert files[0] == files[1]
