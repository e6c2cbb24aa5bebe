"""Start a command on GPUs that no other job of this machine has: take_gpus.py GPUS COMMAND..."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import _library  # noqa: F401
from ligero.common.errors import LigeroError, run_program
from ligero.common.gpu_locks import lock_folder, take, visible_devices


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "gpus",
        help="how many, or a share of one (0.5); any: one where the machine has one; any:4: four where it has four, else none",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER)
    parser.add_argument("--locks", type=Path, help="folder of the locks")
    args = parser.parse_args()
    if not args.command:
        parser.error("no command to start")
    kind, _, number = args.gpus.partition(":")
    try:
        processes = int(number or 1)
        wanted = None if kind == "any" else float(args.gpus)
    except ValueError:
        parser.error(f"{args.gpus}: expected a number of GPUs, a share of one, or any")
    devices = visible_devices()
    if devices is None and wanted != 0:
        if wanted is not None:
            print("no NVIDIA device found: the command takes what it finds itself", file=sys.stderr)
    else:
        taken = take(wanted, devices or [], args.locks or lock_folder(), processes)
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken.devices)
        for file in taken.files:  # the locks are held until the command ends
            os.set_inheritable(file, True)
    sys.stderr.flush()
    try:
        os.execvp(args.command[0], args.command)
    except OSError as error:
        raise LigeroError(f"{args.command[0]}: cannot be started: {error.strerror}") from error


if __name__ == "__main__":
    run_program(main)
