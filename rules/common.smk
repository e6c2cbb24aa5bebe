# The configuration as a checked study, and the few functions that rules share. No heavy library is imported here:
# every cluster job parses this file.
import gc
import inspect
import json
import os
import re
import sys
from pathlib import Path

# Not workflow.basedir: another workflow may import this one as a module.
PROJECT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True)).parent
if not (PROJECT / "workflow" / "ligero").is_dir():
    raise WorkflowError(
        f"{PROJECT}: the rules need the library and programs beside them. Clone the repository and import its Snakefile by a "
        "path: module ligero: snakefile: 'ligero/Snakefile' (docs/other-workflows.md)."
    )
sys.path.insert(0, str(PROJECT / "workflow"))

from ligero.common.errors import LigeroError
from ligero.common.run_end import explain_at_exit, say_at_exit
from ligero.common.run_notes import note_run
from ligero.common.run_start import begin_run, release_dead_lock
from ligero.reporting import registry
from ligero.settings import jobs, plan
from ligero.settings.layout import Layout
from ligero.settings.program import write_resolved
from ligero.settings.load import load_study, reasons_left_out, without_missing_weights
from ligero.settings.yaml_files import refuse_repeated_keys
from ligero.settings.study import REGIMES
from ligero.settings.tasks import SPLITS
from ligero.sources.origins import origin_of

try:
    refuse_repeated_keys(workflow.configfiles)
except LigeroError as error:
    raise WorkflowError(str(error))
try:
    STUDY = without_missing_weights(load_study(config, PROJECT, Path.cwd()))
except LigeroError as error:
    # As a module, of a dictionary, a study has no file.
    raise WorkflowError(": ".join([*map(str, workflow.configfiles[-1:]), str(error)]))

LAYOUT = Layout(STUDY)
TABLES, FIGURES = registry.tables(STUDY), registry.figures(STUDY)
TASK_FIGURES = registry.task_figures(STUDY)
# The report's captions (workflow/report/caption.rst) see the configuration, and nothing else whose change re-runs no job.
config["captions"] = registry.captions(STUDY)
ONE_SHARD_REGIMES = plan.one_shard_regimes(STUDY)
R = STUDY.results_dir
CONFIG = f"{R}/config.json"

# Millions of objects that all stay: looking for garbage among them takes a tenth of planning a large study.
gc.set_threshold(200_000, 50, 100)

# Jobs call `python`: the one that runs Snakemake, unless a conda environment puts its own before it. Snakemake calls `sbatch` on a
# cluster: workflow/bin has one that waits for a busy controller.
PATH = [str(PROJECT / "workflow" / "bin"), str(Path(sys.executable).parent), os.environ.get("PATH", "")]
os.environ.update(
    PATH=os.pathsep.join(PATH),
    PYTHONPATH=str(PROJECT / "workflow"),
    PROJECT=str(PROJECT),
    PROGRAMS=str(PROJECT / "workflow" / "scripts"),
    CONFIG=CONFIG,
)


pathvars:
    results=R,


wildcard_constraints:
    regime="|".join(REGIMES),
    model="|".join([*STUDY.models, "(?!)"]),
    student="|".join([*(STUDY.distillation.students if STUDY.distillation else ()), "(?!)"]),
    system="|".join(dict.fromkeys(system for _, system in plan.systems(STUDY))),
    task="|".join(STUDY.tasks),
    tokenizer="|".join([*STUDY.tokenizers, "(?!)"]),
    shard=r"\d+",


def put_resolved():
    """Put the resolved configuration where programs read it; its time is that of the run's start."""
    write_resolved(CONFIG, STUDY)


if workflow.is_main_process:
    release_dead_lock()
    explain_at_exit(logger, Path(R))
    # Now and not in `onstart`, which dry runs and targets without a rule never come to.
    for what, reason in reasons_left_out(STUDY).items():
        print(f"{what} is left out: {reason}", file=sys.stderr)
    # Of a module Snakemake never calls `onstart`; whether this is a dry run is not known yet.
    if not workflow.modifier.is_main_snakefile():
        put_resolved()


onstart:
    begin_run(Path(R))
    put_resolved()
    note_run(Path(R), PROJECT, log)


onerror:
    say_at_exit(log)


def inspected(function):
    """The function with its signature kept: Snakemake asks for it several times for every job."""
    function.__signature__ = inspect.signature(function)
    return function


def folder(pattern):
    """Parameter function: a path below the results folder, with wildcards filled in."""
    path = f"{R}/{pattern}".rstrip("/")
    return inspected(lambda wildcards: path.format(**wildcards))


def memory(kind):
    """Memory in MB of a kind of job, growing with each attempt."""
    return inspected(lambda wildcards, attempt: getattr(STUDY.hardware, kind).memory_mb * attempt)


def runtime(kind):
    """Time limit in minutes of a kind of job, growing with each attempt."""
    return inspected(lambda wildcards, attempt: getattr(STUDY.hardware, kind).runtime_minutes * attempt)


def checked(function):
    """Input function that reports the library's errors as the workflow's."""

    def inputs(wildcards):
        try:
            return function(wildcards)
        except LigeroError as error:
            raise WorkflowError(str(error))

    return inputs


def digest_of(cut, *arguments, wildcards=()):
    """Parameter function: digest of the settings that a job depends on; its change re-runs the job."""

    def digest(wc):
        values = [
            int(wc[name]) if name in ("shard", "seed") and wc[name].isdecimal() else wc[name]
            for name in wildcards
        ]
        return jobs.digest(cut(STUDY, *arguments, *values))

    return inspected(digest)
