"""The command line of `ligero`. Imports nothing but the standard library until a command runs, so that `--help` is quick."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TypeAlias

from ligero import __version__

DESCRIPTION = (
    "Train, check, serve and compare light language models. `ligero COMMAND --help` explains a command."
)
EXIT = """exit status: 0 done; 1 done, but the answer is no (check found errors, recommend found no system, verify or why
found a difference, status a failed job, bench-serve --soak a fault);
2 bad input or a failed run; 130 interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = _parser()
    args, rest = parser.parse_known_args(arguments)
    # `predict FOLDER --text COLUMN FILE`: argparse (before Python 3.13) has taken FILE for absent when it comes to the option.
    if len(rest) == 1 and getattr(args, "file", "") in (None, "-") and (rest[0] == "-" or rest[0][:1] != "-"):
        args.file = rest[0]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if args.command is None:
        parser.print_help()
        return 0
    module = importlib.import_module(f"ligero.command.{args.module}")
    try:
        return int(module.run(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `ligero ... | head`: nobody reads any further
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ligero",
        description=DESCRIPTION,
        epilog=EXIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"ligero {__version__}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_train(commands)
    _add_check(commands)
    _add_export(commands)
    _add_predict(commands)
    _add_serve(commands)
    _add_bench(commands)
    _add_bench_serve(commands)
    _add_recommend(commands)
    _add_list(commands)
    _add_verify(commands)
    _add_why(commands)
    _add_status(commands)
    _add_plan(commands)
    _add_pack(commands)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _command(
    commands: Commands, name: str, module: str, text: str, epilog: str = ""
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.set_defaults(module=module)
    parser.register("type", None, _filled)  # of all arguments that have no type of their own
    return parser


def _filled(given: str) -> str:
    """An argument that says something: `--test "$FILE"` without FILE is a slip, and means no default."""
    if not given.strip():
        raise argparse.ArgumentTypeError("it is empty; give a value, or leave it out")
    return given


def _add_data(parser: argparse.ArgumentParser) -> None:
    """The arguments that say what a file of examples holds."""
    parser.add_argument("data", help=".csv, .tsv or .jsonl (classification), .conll (tagging) or SQuAD .json")
    parser.add_argument("--text", metavar="COLUMN", help="column of the text (tables)")
    parser.add_argument("--second-text", metavar="COLUMN", help="column of the second text, for pairs")
    parser.add_argument("--label", metavar="COLUMN", help="column of the label (tables)")
    parser.add_argument("--validation", metavar="FILE", help="validation split; without it DATA is cut")
    parser.add_argument("--test", metavar="FILE", help="test split; without it DATA is cut")
    parser.add_argument(
        "--reader",
        choices=("table", "conll2002", "conllu", "squad"),
        help="format, where the file's name does not say it",
    )
    parser.add_argument(
        "--unanswerable", choices=("refuse", "drop"), default="refuse",
        help="questions without an answer (SQuAD 2.0): refuse the file, or leave them out (default: refuse)",
    )  # fmt: skip


def _add_train(commands: Commands) -> None:
    parser = _command(
        commands, "train", "train", "train a teacher, a student and its fine-tuned twin on a file of labelled examples",
        "It writes FOLDER/study.yaml, a configuration to read and edit, and runs the workflow on it. What was finished is\n"
        "not repeated, so the same command resumes an interrupted run.",
    )  # fmt: skip
    _add_data(parser)
    parser.add_argument("--out", metavar="FOLDER", help="folder of the study (default: the file's name)")
    parser.add_argument(
        "--teacher", metavar="MODEL",
        help="one of `ligero ls models`, folder of a checkpoint, or `scratch` (default: BETO from the hub; scratch where there is no network; "
        "a study that is there keeps which of the two it has)",
    )  # fmt: skip
    parser.add_argument(
        "--student", metavar="MODEL",
        help="one of `ligero ls models`, folder, or a number: that many of the teacher's layers (default: ALBETO tiny from the hub; a third of "
        "a local teacher's layers)",
    )  # fmt: skip
    parser.add_argument(
        "--budget", metavar="LIMIT", action="append", default=[],
        help="5ms (a text on this CPU), 10MB (weights) or 95%% (of the teacher's score): trains students of several depths and "
        "names the best that keeps it; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--cores", default="all", help="how many jobs at once (default: all cores)")
    parser.add_argument("--overwrite", action="store_true", help="replace a study.yaml that differs")
    parser.add_argument("-n", "--dry-run", action="store_true", help="write the study, train nothing")
    parser.add_argument("--json", action="store_true", help="the outcome as JSON on standard output")


def _add_check(commands: Commands) -> None:
    parser = _command(
        commands,
        "check",
        "check",
        "look for what is wrong with a file of labelled examples before anything is trained",
    )
    _add_data(parser)
    parser.add_argument(
        "--model",
        metavar="FOLDER",
        help="checkpoint with tokenizer.json: lengths are then counted in its tokens",
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON on standard output")


def _add_export(commands: Commands) -> None:
    parser = _command(
        commands,
        "export",
        "export",
        "write systems of a study as folders that answer without torch (ONNX, fp32 and int8)",
    )
    parser.add_argument("study", metavar="STUDY", help="folder that `train` wrote")
    parser.add_argument("--system", metavar="ID", help="a model or student (default: all)")
    parser.add_argument("--task", help="id of the task; may be left out where the study has one")
    parser.add_argument("--cores", default="all", help="how many jobs at once (default: all cores)")
    parser.add_argument(
        "-n", "--dry-run", action="store_true", help="print the snakemake line, export nothing"
    )


def _add_predict(commands: Commands) -> None:
    parser = _command(
        commands, "predict", "predict", "answer texts with an exported model, one JSON object for each",
        "An item is a text, or a JSON object with the keys text (and second_text); text or words (tagging); question and\n"
        "context. Its id, if it has one, is repeated in the answer.",
    )  # fmt: skip
    parser.add_argument(
        "folder", metavar="FOLDER", help="exported model: STUDY/model, or a folder below results/exports"
    )
    parser.add_argument(
        "file",
        nargs="?",
        default="-",
        help=".csv, .tsv, .jsonl, .conll, .conllu, SQuAD .json, text lines, or - (default)",
    )
    _add_columns(parser)
    _add_running(parser)


def _add_serve(commands: Commands) -> None:
    parser = _command(
        commands, "serve", "serve", "serve an exported model over HTTP: /predict, /info, /health/live, /health/ready, /metrics",
        "Logs are JSON lines on standard error, without texts. SIGTERM and Ctrl-C answer running requests first.",
    )  # fmt: skip
    parser.add_argument(
        "folder", metavar="FOLDER", help="exported model: STUDY/model, or a folder below results/exports"
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="0.0.0.0 for other machines (default: only this one)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")
    _add_running(parser)
    parser.add_argument("--body-bytes", type=int, help="largest body of a request (default: 1048576)")
    parser.add_argument("--body-seconds", type=float, help="in which a body must arrive (default: 10)")
    parser.add_argument("--items", type=int, help="most items of a request (default: 256)")
    parser.add_argument(
        "--tokens", type=int, help="most tokens (and tagged words) of a request (default: 32768)"
    )
    parser.add_argument(
        "--queue-tokens", type=int, help="most that may wait; further requests get 429 (default: 65536)"
    )
    parser.add_argument(
        "--drain-seconds", type=int, help="given to running requests at the end (default: 30)"
    )


def _add_columns(parser: argparse.ArgumentParser) -> None:
    """Which columns of a table are read."""
    for column in ("text", "second-text", "question", "context", "id"):
        parser.add_argument(
            f"--{column}", metavar="COLUMN", help=f"column of the {column.replace('-', ' ')} (tables)"
        )


def _add_texts(parser: argparse.ArgumentParser) -> None:
    """The texts that a benchmark sends."""
    parser.add_argument(
        "folder", metavar="FOLDER", help="exported model: STUDY/model, or a folder below results/exports"
    )
    parser.add_argument(
        "file", nargs="?",
        help="texts, as for `predict` (default: the test split of the study that FOLDER is part of, else generated texts)",
    )  # fmt: skip
    _add_columns(parser)
    parser.add_argument("--json", action="store_true", help="everything as JSON on standard output")


def _add_bench(commands: Commands) -> None:
    parser = _command(
        commands, "bench", "bench", "measure an exported model on this machine: every engine, real and fixed lengths, batches, memory",
        "Engines take turns, times are medians with quartiles. torch is measured where the trained model is at hand, OpenVINO where\n"
        "it is installed. Energy is the processor's own counters (RAPL), or left empty.",
    )  # fmt: skip
    _add_texts(parser)
    parser.add_argument(
        "--trained", metavar="FOLDER", help="the model that was exported (default: found in its study)"
    )
    parser.add_argument(
        "--lengths", type=int, nargs="*", default=[128, 512], metavar="TOKENS", help="at batch 1"
    )
    parser.add_argument(
        "--batches", type=int, nargs="*", default=[8, 32], metavar="TEXTS", help="at real lengths"
    )
    parser.add_argument("--runs", type=int, default=15, help="of each engine on each input")
    parser.add_argument("--threads", type=int, default=1, help="of a forward pass")
    parser.add_argument(
        "--beto",
        action="store_true",
        help="also BETO with random weights, as the thesis timed it, and exported",
    )
    parser.add_argument("--out", metavar="CSV", help="write the table")


def _add_bench_serve(commands: Commands) -> None:
    parser = _command(
        commands, "bench-serve", "bench_serve", "measure requests per second and p50, p95, p99 of `ligero serve`",
        "Server and clients share this machine's cores.",
    )  # fmt: skip
    _add_texts(parser)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=5.0, help="for each number of clients")
    parser.add_argument(
        "--soak", type=float, metavar="MINUTES",
        help="instead: 8 clients send texts of all lengths and malformed requests; exit status 1 if an answer is wrong, memory grows, a "
        "malformed request is not refused, or a request is lost when the server is stopped",
    )  # fmt: skip
    parser.add_argument(
        "--rate", type=float, default=20.0, metavar="REQUESTS", help="of --soak, each second (default: 20)"
    )
    parser.add_argument("--precision", choices=("auto", "fp32", "int8"), default="auto")


def _add_running(parser: argparse.ArgumentParser) -> None:
    """How an exported model runs."""
    parser.add_argument(
        "--precision",
        choices=("auto", "fp32", "int8"),
        default="auto",
        help="auto: int8 where its gate accepted it",
    )
    parser.add_argument(
        "--threads", type=int, help="of a forward pass (default: all cores that this process may use)"
    )
    parser.add_argument(
        "--full-depth",
        action="store_true",
        help="read every text to the full depth, also where the model has early exits",
    )


def _add_recommend(commands: Commands) -> None:
    parser = _command(
        commands,
        "recommend",
        "recommend",
        "name the best measured system that keeps limits of time, size and score",
    )
    _add_results(parser)
    parser.add_argument("--task", help="id of the task; may be left out where the study has one")
    parser.add_argument("--max-ms", type=float, metavar="MS", help="median milliseconds of one input")
    parser.add_argument("--max-mb", type=float, metavar="MB", help="megabytes (10^6) of weights")
    parser.add_argument(
        "--max-macs", type=float, metavar="COUNT", help="multiply-accumulate operations of one input: 2e9"
    )
    parser.add_argument("--min-score", type=float, metavar="POINTS", help="test score in percent")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where the time was measured")
    parser.add_argument("--json", action="store_true")


def _add_list(commands: Commands) -> None:
    parser = _command(commands, "ls", "listing", "list known models, or the tasks or systems of a study")
    parser.add_argument("what", choices=("models", "tasks", "systems"))
    _add_results(parser)
    parser.add_argument("--json", action="store_true")


def _add_verify(commands: Commands) -> None:
    parser = _command(
        commands,
        "verify",
        "verify",
        "compare everything in a results folder with the digests recorded when it was made",
    )
    parser.add_argument(
        "results", metavar="RESULTS", help="results of a study, or a folder that holds them in `results`"
    )
    parser.add_argument("--json", action="store_true", help="what was compared and found, as JSON")


def _add_why(commands: Commands) -> None:
    parser = _command(
        commands, "why", "why", "say where a number of a table comes from, back to source files",
        "Example: ligero why results/summary.csv 'ALBETO tiny (distilled)' score --recompute",
    )  # fmt: skip
    parser.add_argument("table", metavar="TABLE", help="results/summary.csv or a file of results/tables")
    parser.add_argument("row", metavar="ROW", nargs="?", help="a system's name, or any text of the row")
    parser.add_argument("column", metavar="COLUMN", nargs="?")
    parser.add_argument("--all", action="store_true", help="every number of the table")
    parser.add_argument(
        "--recompute", action="store_true", help="compute it once more from stored answers and compare"
    )
    parser.add_argument(
        "--json", action="store_true", help="the whole chain, with every candidate and option"
    )


def _add_status(commands: Commands) -> None:
    parser = _command(
        commands, "status", "status", "say how far a study is: done, running, failed and waiting jobs, hours spent and left",
        "It reads files only: while the study runs elsewhere, after it was killed, or in a copy. docs/where-from.md says what the\n"
        "words mean.",
    )  # fmt: skip
    parser.add_argument(
        "results", metavar="RESULTS", nargs="?", default=".", help="results of a study, or a folder that holds them (default: here)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="every job, stage and system")


def _add_plan(commands: Commands) -> None:
    parser = _command(
        commands, "plan", "plan", "estimate what a study costs before anything runs: jobs, device hours, downloads, disk"
    )  # fmt: skip
    parser.add_argument(
        "config", metavar="CONFIG", help="configuration of a study, such as config/thesis.yaml"
    )
    parser.add_argument(
        "--measured",
        metavar="RESULTS",
        help="finished study on the device in question, whose rates are taken",
    )
    parser.add_argument("--json", action="store_true")


def _add_pack(commands: Commands) -> None:
    parser = _command(
        commands, "pack", "pack", "write a finished study for others: a Workflow Run RO-Crate without data and weights"
    )  # fmt: skip
    parser.add_argument("results", metavar="RESULTS", help="results of a study, or a folder that holds them")
    parser.add_argument("--out", metavar="FOLDER", required=True, help="new folder of the crate")


def _add_results(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--results", metavar="FOLDER", default=".",
        help="results of a study, or a folder that holds them in `results` (default: here)",
    )  # fmt: skip
