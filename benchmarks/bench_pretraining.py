"""Measure pretraining beside transformers' default path; writes a CSV with each step's share (make bench-pretraining)."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import _workflow  # noqa: F401
from _measurements import number, output_of, write_measurements
from ligero.common.errors import ConfigurationError, LigeroError, run_program
from ligero.common.progress import progress

MIRROR = Path("../shared/data/raw")
ALL_SIZES = ("tiny", "base", "xxlarge")
STARTING_KINDS = ("peer", "masked", "packed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench/pretraining.csv"))
    parser.add_argument(
        "--texts", type=Path, nargs="*", default=sorted(MIRROR.glob("*.txt.xz")),
        help=f"raw text files (default: {MIRROR}/*.txt.xz; where there are none, generated text)",
    )  # fmt: skip
    parser.add_argument("--megabytes", type=number(float, 0.1), default=10, help="text to use")
    parser.add_argument(
        "--device",
        choices=["auto", "cpu", "cuda"],
        default="auto",
        help="auto takes a GPU where there is one",
    )
    parser.add_argument(
        "--sizes", nargs="*", choices=ALL_SIZES, help="default: those of the device; xxlarge on a GPU only"
    )
    parser.add_argument("--length", type=number(int, 16, 512), default=512, help="tokens per row")
    parser.add_argument(
        "--rows", type=number(int, 1), help="rows per step (default: 8, the Trainer's own; more on a GPU)"
    )
    parser.add_argument(
        "--rounds", type=number(int, 1), default=3, help="turns of each contender after the first"
    )
    parser.add_argument(
        "--compile", action="store_true", help="measure torch.compile too (minutes to compile)"
    )
    parser.add_argument(
        "--learn-tokens",
        type=number(int, 0),
        default=600_000,
        help="compare the loss after so many; 0 does not",
    )
    parser.add_argument("--threads", type=number(int, 1), default=1)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--size", help=argparse.SUPPRESS)
    parser.add_argument("--learn", choices=["fp32", "bf16", "peer"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import torch

    torch.set_num_threads(args.threads)
    found = "cuda" if torch.cuda.is_available() else "cpu"
    if args.device == "cuda" != found:
        raise ConfigurationError("--device cuda: torch finds no GPU. Leave it out, or give --device cpu.")
    if args.device == "auto":
        args.device = found
    if args.device == "cuda":  # the Trainer would spread over several
        os.environ["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if args.serve or args.learn:
        _work(args)
        return
    from pretraining_contenders import COLUMNS, SIZES
    from pretraining_text import write_store

    wanted = ALL_SIZES if args.sizes is None else args.sizes
    sizes = [size for size in wanted if args.device in SIZES[size].rows]
    if args.sizes and (left_out := set(args.sizes) - set(sizes)):
        raise ConfigurationError(f"--sizes {' '.join(left_out)}: measured on a GPU only. Leave it out.")
    if not args.texts:
        print(
            f"no real text in {MIRROR}: measuring on generated text, whose short documents make most of the peer's rows padding",
            file=sys.stderr,
        )
    lines: list[tuple[Any, ...]] = [products(args.device)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if sizes:
            write_store(args.texts, folder / "large", 31_000, args.megabytes)
        for size in sizes:
            lines += speeds(size, args, folder / "large")
        if args.learn_tokens:
            write_store(args.texts, folder / "small", 4_000, args.megabytes)
            lines.append(losses(args, folder / "small"))
    device = None if args.device == "cpu" else torch.cuda.get_device_name()
    write_measurements(args.out, COLUMNS, lines, threads=args.threads, device=device)


def _work(args: argparse.Namespace) -> None:
    """What the processes that this program starts do."""
    import torch

    import pretraining_contenders

    device = torch.device(args.device)
    if args.serve:
        pretraining_contenders.serve(args.serve, args.size, args.folder, args.rows, args.length, device)
        return
    answers, sys.stdout = sys.stdout, sys.stderr
    found = pretraining_contenders.learn(args.learn, args.folder, 16, 128, args.learn_tokens, device)
    print(json.dumps(found), file=answers)


def products(kind: str) -> tuple[Any, ...]:
    """The row of the CSV that bounds what bf16 can gain: matrix products of the device as torch computes them."""
    import torch

    from ligero.efficiency.processor import processor
    from ligero.pretraining.speed import measured_peak
    from ligero.training.steps import device_name

    device = torch.device(kind)
    half, single = (measured_peak(device, dtype) / 1e9 for dtype in (torch.bfloat16, torch.float32))
    name = device_name(device) if kind == "cuda" else processor()["name"]
    return (
        f"matrix product of {name}, bf16 over fp32",
        round(half, 1),
        round(single, 1),
        "fp32",
        "GFLOP/s",
        round(half / single, 2),
        "",
    )


def precisions_of_ours(kind: str) -> list[str]:
    """Those that may be the fastest of a device: bf16 only where it multiplies matrices faster in it than in fp32."""
    import torch

    from ligero.models.precision import bf16_is_slower
    from pretraining_contenders import PRECISIONS

    slower = bf16_is_slower(torch.device(kind))
    return [precision for precision in PRECISIONS if precision != "bf16" or not slower]


def generated(args: argparse.Namespace) -> str:
    """What a row's name says of its text."""
    return "" if args.texts else ", generated text"


def _command(args: argparse.Namespace, folder: Path, *more: object) -> list[str]:
    common = [
        "--folder",
        folder,
        "--length",
        args.length,
        "--threads",
        args.threads,
        "--device",
        args.device,
        *more,
    ]
    return [sys.executable, __file__, *map(str, common)]


def speeds(size: str, args: argparse.Namespace, folder: Path) -> list[tuple[Any, ...]]:
    """Rows of the CSV for one size: tokens per second of each step, the median of its turns, and peak memory."""
    from ligero.corpus.token_store import TokenStore
    from ligero.pretraining.vocabulary import Vocabulary
    from pretraining_contenders import SIZES, STEPS
    from pretraining_peer import share_of_padding

    rows = args.rows or SIZES[size].rows[args.device]
    precisions = precisions_of_ours(args.device)
    kinds = [*STARTING_KINDS, *precisions, *(["compiled"] if args.compile else [])]
    found: dict[str, list[list[float]]] = {kind: [] for kind in kinds}
    workers = {}
    with progress(total=(args.rounds + 1) * len(kinds), label=f"ALBETO {size}", unit="turn") as bar:
        for kind in kinds:
            command = _command(args, folder, "--serve", kind, "--size", size, "--rows", rows)
            workers[kind] = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            _answer(workers[kind], kind)  # the first turn warms up
            bar.update()
        for _ in range(args.rounds):
            for kind, worker in workers.items():
                assert worker.stdin
                worker.stdin.write("go\n")
                worker.stdin.flush()
                found[kind].append(_answer(worker, kind))
                bar.update()
    for worker in workers.values():
        worker.communicate("\n")
    padding = share_of_padding(
        TokenStore.open(folder / "tokens"), Vocabulary.load(folder / "tokenizer"), args.length
    )
    # Generated documents are short, so that most of what the peer computes is padding.
    place = f"ALBETO {size}, {args.length} tokens, {rows} rows" + generated(args)
    peer = f"{STEPS['peer']}; {padding:.0%} padding"
    median = {kind: statistics.median(turn[0] / turn[1] for turn in found[kind]) for kind in kinds}
    best = max(precisions, key=lambda kind: median[kind])
    lines: list[tuple[Any, ...]] = [
        (
            f"{place}: {STEPS[kind]}" + (" (ours)" if kind == best else ""),
            round(median[kind], 1),
            round(median["peer"], 1),
            peer,
            "real tokens/s",
            round(median[kind] / median["peer"], 2),
            SIZES[size].aims[kind] if kind == best and args.device == "cpu" else "",
        )
        for kind in kinds[1:]
    ]
    shares = _shares(size, args, median[best], best, median["peer"])
    lines.append((f"{place}: share of the measured peak, {best}", *shares, peer, "%", "", ""))
    memory = {kind: max(turn[2] for turn in found[kind]) for kind in (best, "peer")}
    ratio = round(memory[best] / memory["peer"], 2)
    used = (round(memory[best]), round(memory["peer"]))
    return [*lines, (f"{place}: peak memory, {best}", *used, peer, "MiB", ratio, 0.5)]


def _shares(
    size: str, args: argparse.Namespace, ours: float, precision: str, peer: float
) -> tuple[float, float]:
    """What share of the device's peak goes into what the loss needs, in percent, in ours and in the peer's path (fp32)."""
    import torch

    from ligero.models.formulas import TRAINING, pretraining_macs
    from ligero.pretraining.speed import measured_peak
    from pretraining_contenders import SIZES, VOCABULARY, recipe_of

    device = torch.device(args.device)
    shape = SIZES[size].architecture.model_copy(update={"vocab_size": VOCABULARY})
    work = 2 * TRAINING * pretraining_macs(shape, recipe_of(precision, 1, args.length))
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return (
        round(100 * work * ours / measured_peak(device, dtype), 1),
        round(100 * work * peer / measured_peak(device, torch.float32), 1),
    )


def _answer(worker: subprocess.Popen[str], kind: str) -> list[float]:
    assert worker.stdout
    line = worker.stdout.readline()
    if not line:
        raise LigeroError(f"bench_pretraining: the process of '{kind}' ended early; its message is above")
    return [float(value) for value in line.split()]


def losses(args: argparse.Namespace, folder: Path) -> tuple[Any, ...]:
    """The row of the CSV that compares what was learned after an equal number of real tokens."""
    from pretraining_contenders import PEER

    precision = precisions_of_ours(args.device)[-1]
    found = {}
    for kind in progress((precision, "peer"), label=f"loss after {args.learn_tokens:,} tokens", unit="path"):
        command = _command(args, folder, "--learn", kind, "--learn-tokens", args.learn_tokens)
        found[kind] = json.loads(output_of(command))
    ours, peer = found[precision], found["peer"]
    return (
        f"validation MLM loss of a small ALBERT, ours in {precision}, after {args.learn_tokens:,} real tokens "
        f"({ours['steps']} and {peer['steps']} steps; token frequencies alone: {ours['unigram_loss']:.3f})"
        + generated(args),
        round(ours["mlm_loss"], 4),
        round(peer["mlm_loss"], 4),
        PEER,
        "nats",
        round(ours["mlm_loss"] / peer["mlm_loss"], 3),
        1.0,
    )


if __name__ == "__main__":
    run_program(main)
