"""Measure what the workflow itself costs: parsing, planning and the start of a job, at the thesis' size and at ten times that (make bench-workflow).

Beside it an empty Snakemake workflow of the same shape: as many jobs with the same number of inputs, no configuration, no parameters.
What that costs is Snakemake's own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

import _workflow  # noqa: F401
from _measurements import number, write_measurements
from ligero.common.errors import LigeroError, run_program
from ligero.common.files import write_text
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml

PROJECT = Path(__file__).resolve().parents[1]
EMPTY = """\
MODELS = {models}
TASKS = {tasks}
TRIALS = range({trials})

rule all:
    input:
        expand("scores/{{model}}/{{task}}.json", model=MODELS, task=TASKS),

rule weights:
    output:
        "weights/{{model}}/digest",
    shell:
        "true"

rule task:
    output:
        expand("tasks/{{{{task}}}}/{{split}}", split=("train", "validation", "test")),
    shell:
        "true"

rule trial:
    input:
        "weights/{{model}}/digest",
        expand("tasks/{{{{task}}}}/{{split}}", split=("train", "validation")),
    output:
        "trials/{{model}}/{{task}}/{{trial}}.json",
    log:
        "logs/{{model}}/{{task}}/{{trial}}.log",
    shell:
        "true"

rule select:
    input:
        expand("trials/{{{{model}}}}/{{{{task}}}}/{{trial}}.json", trial=TRIALS),
    output:
        "selection/{{model}}/{{task}}.json",
    shell:
        "true"

rule score:
    input:
        "selection/{{model}}/{{task}}.json",
        "tasks/{{task}}/test",
    output:
        "scores/{{model}}/{{task}}.json",
    shell:
        "true"
"""
START = """
import sys, time
sys.path[:0] = {paths!r}
import finetune, _shards
begun = time.process_time()
from ligero.settings import jobs
from ligero.settings.program import check_digest, load_resolved, refuse_unsound_data
from pathlib import Path
study = load_resolved(Path({config!r}))
job = jobs.shard_job(study, "fine-tuning", {model!r}, 0)
check_digest(job, jobs.digest(job))
refuse_unsound_data(Path({config!r}))
from ligero.settings import plan
plan.trials_of(study, "fine-tuning", {model!r})
print(time.process_time() - begun)
"""

PLAN = """
import sys
from snakemake.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
print("modules", *sys.modules)
"""
IMPORTS = """
import contextlib, importlib, sys
sys.path[:0] = {paths!r}
for name in {modules!r}:
    with contextlib.suppress(Exception):
        importlib.import_module(name)
"""
PLAN_OF_ONE, IMPORTS_OF_IT = "ligero: one job's own plan", "ligero: imports of that plan"
SETTINGS, RUN = "ligero: settings of a job beyond imports", "empty: jobs that run"
STARTS = 2
"""Snakemakes that start in a job on Slurm before its program does: the plugin's, and the one that it calls by srun."""


@dataclass(frozen=True)
class Cost:
    """What a command used: seconds on the clock and of the processor, and memory at its peak in MiB."""

    wall: float
    cpu: float
    peak: float
    said: str


def measured(command: Sequence[str], folder: Path) -> Cost:
    """Run a command to its end.

    Raises:
        LigeroError: it failed.
    """
    with tempfile.TemporaryFile("w+") as said:
        begun = time.monotonic()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder, env=os.environ)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        raise LigeroError(f"{' '.join(command)} failed:\n{text[-3000:]}")
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, text)


def in_turn(commands: Mapping[str, tuple[Sequence[str], Path]], rounds: int) -> dict[str, Cost]:
    """The run of median processor time of each command; in each round all of them run once, one after the other."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, (command, folder) in commands.items():
            costs[name].append(measured(command, folder))
    return {name: sorted(found, key=lambda cost: cost.cpu)[rounds // 2] for name, found in costs.items()}


def write_grid(factor: int, path: Path) -> Study:
    """The thesis' study with `factor` times its jobs: a tenth more learning rates, since what is not a trial does not grow."""
    steps = factor if factor == 1 else math.ceil(1.1 * factor)
    config = json.loads(
        json.dumps(read_yaml(PROJECT / "config" / "thesis.yaml"))
    )  # anchors are shared objects
    grids = [config[regime]["grid"] for regime in ("fine_tuning", "distillation")]
    for grid in [*grids, *(model["grid"] for model in config["models"].values() if "grid" in model)]:
        grid["learning_rate"] = [
            f"{float(rate) * (1 + step / 100):.6g}" for rate in grid["learning_rate"] for step in range(steps)
        ]
    write_text(path, yaml.safe_dump(config, sort_keys=False))
    return load_study(config, PROJECT)


def write_empty(study: Study, folder: Path) -> None:
    """A workflow as large as the study."""
    systems = [f"{regime}-{model}" for regime, model in plan.systems(study)]
    trials = sum(len(plan.trials_of(study, *system)) for system in plan.systems(study))
    each = round(trials / len(systems) / len(study.tasks))
    write_text(folder / "Snakefile", EMPTY.format(models=systems, tasks=list(study.tasks), trials=each))


def planned(cost: Cost) -> str:
    """Jobs of a dry run; nothing of another command."""
    found = re.search(r"^total +(\d+)", cost.said, re.MULTILINE)
    return found[1] if found else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/bench/workflow.csv"))
    parser.add_argument(
        "--factors", type=number(int, 1), nargs="+", default=[1, 10], help="multiples of the thesis' grids"
    )
    parser.add_argument("--rounds", type=number(int, 1), default=3, help="turns of each command")
    parser.add_argument(
        "--empty-jobs", type=number(int, 1), default=200, help="jobs of an empty workflow that really run"
    )
    args = parser.parse_args()
    lines: list[Sequence[object]] = []

    def add(what: str, factor: int | str, count: int | str, cost: Cost) -> None:
        lines.append((what, factor, count, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{cost.peak:.0f}"))
        print(*lines[-1], sep="  ", flush=True)

    snakemake = [sys.executable, "-m", "snakemake", "--cores", "1"]
    with tempfile.TemporaryDirectory() as temporary:
        for factor in args.factors:
            folder = Path(temporary, str(factor))
            (folder / "ours").mkdir(parents=True)
            (folder / "empty").mkdir()
            study = write_grid(factor, folder / "study.yaml")
            write_empty(study, folder / "empty")
            ours = [
                *snakemake, "--snakefile", str(PROJECT / "Snakefile"), "--configfile", str(folder / "study.yaml"),
                "--workflow-profile", str(PROJECT / "profiles" / "default"), "--directory",
            ]  # fmt: skip
            plan_of_one = one_job(study, ours, folder / "one")
            commands: dict[str, tuple[Sequence[str], Path]] = {
                f"{what}: {step}": ([*command, *options], place)
                for step, options in (("parse", ["--list-rules"]), ("plan", ["-n", "--", "all"]))
                for what, command, place in (
                    ("ligero", [*ours, str(folder / "ours")], PROJECT),
                    ("empty", snakemake, folder / "empty"),
                )
            }
            commands[PLAN_OF_ONE] = (plan_of_one, PROJECT)
            commands[IMPORTS_OF_IT] = (imports_of(plan_of_one), PROJECT)
            commands[SETTINGS] = (settings_of_a_job(study, folder), PROJECT)
            costs = in_turn(commands, args.rounds)
            settings = float(costs.pop(SETTINGS).said.split()[-1])
            for what, cost in costs.items():
                add(what, factor, planned(cost), cost)
            overhead = STARTS * (costs[PLAN_OF_ONE].cpu - costs[IMPORTS_OF_IT].cpu) + settings
            for what, seconds in (
                (SETTINGS, settings),
                ("ligero: a job on Slurm beyond all imports", overhead),
            ):
                lines.append((what, factor, 1, f"{seconds:.2f}", "", ""))
                print(*lines[-1], sep="  ", flush=True)
        folder = Path(temporary, "run")
        folder.mkdir()
        rule = f'rule all:\n    input: expand("{{i}}", i=range({args.empty_jobs}))\n'
        write_text(folder / "Snakefile", rule + 'rule a:\n    output: "{i}"\n    shell: "touch {output}"\n')
        run = [*snakemake, "--forceall", "--max-jobs-per-timespan", "1000/5s"]
        add(RUN, "", args.empty_jobs, in_turn({RUN: (run, folder)}, args.rounds)[RUN])
    write_measurements(
        args.out, ("what", "times the thesis", "jobs", "cpu_seconds", "wall_seconds", "peak_mib"), lines
    )


def one_job(study: Study, command: Sequence[str], folder: Path) -> list[str]:
    """What the Snakemake inside a cluster's job does before the job's program starts; its inputs are made up."""
    model = next(iter(study.models))
    for names in Layout(study).shard_inputs("fine-tuning", model, 0).values():
        for name in names:
            write_text(folder / name, "")
    one = f"finetune_model:model={model},shard=0"
    return [
        *command,
        str(folder),
        "-n",
        "--allowed-rules",
        "finetune_model",
        "--target-jobs",
        one,
        "--nolock",
    ]


def imports_of(command: Sequence[str]) -> list[str]:
    """A command that imports the modules that a command of Snakemake's imports, and does nothing else."""
    arguments = list(command[command.index("snakemake") + 1 :])
    done = measured([sys.executable, "-c", PLAN.format(arguments=arguments)], PROJECT)
    modules = done.said.rpartition("modules ")[2].split()
    return [sys.executable, "-c", IMPORTS.format(paths=[str(PROJECT / "workflow")], modules=modules)]


def settings_of_a_job(study: Study, folder: Path) -> list[str]:
    """A command that prints the seconds of processor time that a program needs for its settings, imports apart."""
    write_resolved(folder / "config.json", study)
    code = START.format(
        paths=[str(PROJECT / "workflow"), str(PROJECT / "workflow" / "scripts")],
        config=str(folder / "config.json"),
        model=next(iter(study.models)),
    )
    return [sys.executable, "-c", code]


if __name__ == "__main__":
    run_program(main)
