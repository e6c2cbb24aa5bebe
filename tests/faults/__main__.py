"""Put faults into a small study and count what came of them; a fault is repeated by its kind and seed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import count, islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "workflow"))

from tests.faults.injections import BUGS, KINDS, Fault, inject
from tests.faults.study import MINI, Study
from tests.faults.table import BEGIN, END, as_table

COMMON = [kind for kind in KINDS if kind != "kill-whole"]
TWICE = ("flipped-bit", "truncated", "deleted")
"""Kinds with two seeds in a turn: there are many kinds of artefact."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.faults")
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the first fault of each kind (default: %(default)s)"
    )
    parser.add_argument(
        "--count", type=int, default=17, help="how many, the kinds in turn (default: %(default)s)"
    )
    parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind; may be repeated")
    parser.add_argument(
        "--study",
        type=Path,
        default=Path("results/faults/study"),
        help="folder of the finished study, made where it is missing",
    )
    parser.add_argument(
        "--record",
        type=Path,
        default=Path("results/faults/record.jsonl"),
        help="file that each fault is added to",
    )
    parser.add_argument(
        "--page", type=Path, help="put the table of all recorded faults into this page, and inject none"
    )
    args = parser.parse_args()
    if args.page:
        write_table(args.page, recorded(args.record))
        return
    own_mounts()
    study = Study(MINI, args.study.absolute())
    if not (study.finished / "results" / "summary.csv").is_file():
        print(f"finishing the study once, in {study.finished}", flush=True)
        study.finish()
    args.record.parent.mkdir(parents=True, exist_ok=True)
    bugs = 0
    for kind, seed in islice(chosen(args.kind, args.seed), args.count):
        fault = inject(study, kind, seed)
        with args.record.open("a", encoding="utf-8") as record:
            record.write(json.dumps(asdict(fault), ensure_ascii=False) + "\n")
        print(f"{fault.kind} {fault.seed}: {fault.what}: {fault.outcome} ({fault.seconds:.0f} s)", flush=True)
        if fault.message:
            print("    " + fault.message.replace("\n", "\n    "), flush=True)
        bugs += fault.outcome in BUGS
    sys.exit(
        f"error: {bugs} of {args.count} faults ended in neither the same result nor a clear message"
        if bugs
        else 0
    )


def chosen(kinds: list[str] | None, seed: int) -> Iterator[tuple[str, int]]:
    """Kinds in turn with their seeds: those given with one seed a turn, or all, those of artefacts with two (2n - 1 and 2n for n)."""
    for turn in count(seed):
        for kind in kinds or COMMON:
            if not kinds and kind in TWICE:
                yield kind, 2 * turn - 1
                yield kind, 2 * turn
            else:
                yield kind, turn


def own_mounts() -> None:
    """Start again in a mount namespace of our own, whose small disks nobody else sees and which vanish with it."""
    if os.environ.get("LIGERO_FAULTS_MOUNTS") != "own":
        map_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        os.environ["LIGERO_FAULTS_MOUNTS"] = "own"
        os.execvp(
            "unshare", ["unshare", *map_root, "--mount", sys.executable, "-m", "tests.faults", *sys.argv[1:]]
        )


def recorded(path: Path) -> list[Fault]:
    """Every recorded fault; of one that was repeated the last."""
    faults = [Fault(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return list({(fault.kind, fault.seed): fault for fault in faults}.values())


def write_table(page: Path, faults: Iterable[Fault]) -> None:
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{as_table(faults)}{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
