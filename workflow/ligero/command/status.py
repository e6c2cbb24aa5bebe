"""`ligero status`: how far a study is, from its files alone."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict

from ligero.command.project import PROJECT, shown_line
from ligero.command.systems import results_folder, study_of
from ligero.reporting.progress import STATES, CellProgress, JobProgress, Progress, StageProgress
from ligero.settings.plan import system_name

SHOWN = 5


def run(args: argparse.Namespace) -> int:
    """Print it on one screen; 1 where a job failed."""
    folder = results_folder(args.results)
    progress = Progress(study_of(folder), folder, PROJECT)
    failed = any(one.state == "failed" for one in progress.jobs)
    if args.json:
        answer = {
            "study": progress.study.name, "results": str(folder), "run": asdict(progress.run), "stages": [asdict(one) for one in progress.stages()],
            "systems": [asdict(one) for one in progress.cells()], "other_versions": [asdict(one) for one in progress.other_versions()],
            "jobs": [{**asdict(one), "job": one.job.label} for one in progress.jobs],
        }  # fmt: skip
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print("\n".join(_told(progress)))
    return int(failed)


def _told(progress: Progress) -> Iterator[str]:
    done = sum(one.state == "done" for one in progress.jobs)
    yield f"{progress.study.name}: {done:,} of {len(progress.jobs):,} jobs done ({progress.root})"
    yield from _run(progress)
    yield ""
    yield from _stages(progress.stages())
    if cells := progress.cells():
        yield ""
        yield from _systems(progress, cells)
    for state in ("running", "failed", "interrupted"):
        found = [one for one in progress.jobs if one.state == state]
        if found:
            yield ""
            yield f"{state}:"
            for one in found[:SHOWN]:
                yield from _job(progress, one)
            if len(found) > SHOWN:
                yield f"  and {len(found) - SHOWN} more (--json lists all)"
    if others := progress.other_versions():
        yield ""
        yield "made by other versions than the ones here:"
        for other in others:
            more = ", ..." if other.jobs > len(other.examples) else ""
            yield f"  {other.what} {other.found} (here {other.expected}): {other.jobs:,} jobs: {', '.join(other.examples)}{more}"


def _run(progress: Progress) -> Iterator[str]:
    run = progress.run
    life = "" if run.life is None else f"; a log was last written {_duration(run.life)} ago"
    if run.note is None:
        yield f"no run left a note here{life}"
    else:
        who = f"run of {run.note.when} on {run.note.host} (process {run.note.pid})"
        yield {
            "running": f"running: {who}{life}",
            "ended": f"not running: the last {who} came to its end{life}",
            "killed": f"not running: the {who} was killed, or this is a copy{life}",
            "none": "",
        }[run.state]
    if not progress.snakemake.present:
        yield "no .snakemake beside it: what failed or was interrupted is not known"
    elif progress.snakemake.locked and run.state != "running":
        host = f" on {run.note.host}" if run.note else ""
        yield f"its lock is left over. The next run{host} removes it by itself; to run elsewhere, remove it once nothing runs:"
        yield f"  cd {shlex.quote(str(progress.folder))} && {shown_line(_unlock(progress))}"


def _unlock(progress: Progress) -> list[str]:
    snakefile = [] if progress.folder == PROJECT else ["--snakefile", str(PROJECT / "Snakefile")]
    return ["snakemake", *snakefile, f"--configfile={progress.study.results_dir}/config.json", "--unlock"]


def _stages(stages: list[StageProgress]) -> Iterator[str]:
    yield (
        f"{'stage':14}"
        + "".join(f"{state:>12}" for state in STATES)
        + f"{'hours spent':>14}{'hours left':>14}"
    )
    for one in stages:
        yield (
            f"{one.stage:14}"
            + "".join(f"{one.jobs[state] or '-':>12}" for state in STATES)
            + f"{_hours(one.spent):>14}{_left(one):>14}"
        )
    spent, left, unknown = (
        sum(getattr(one, name) for one in stages) for name in ("spent", "left", "unknown")
    )
    whole = StageProgress(
        "all", {state: sum(one.jobs[state] for one in stages) for state in STATES}, spent, left, unknown
    )
    yield (
        f"{whole.stage:14}"
        + "".join(f"{whole.jobs[state] or '-':>12}" for state in STATES)
        + f"{_hours(spent):>14}{_left(whole):>14}"
    )
    if unknown:
        yield f"hours left: by the mean of finished jobs of the same kind; + means that {unknown:,} jobs are of kinds none of which has finished"


def _hours(hours: float) -> str:
    return f"{hours:.1f}" if hours >= 10 else f"{hours:.3f}" if hours else "-"


def _left(one: StageProgress) -> str:
    waiting = sum(one.jobs.values()) - one.jobs["done"]
    if not waiting:
        return "-"
    if one.unknown == waiting:
        return "unknown"
    return _hours(one.left) + ("+" if one.unknown else "")


def _systems(progress: Progress, cells: list[CellProgress]) -> Iterator[str]:
    """Systems x tasks."""
    tasks = list(progress.study.tasks)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for one in cells:
        rows.setdefault((one.regime, one.model), {})[one.task] = _cell(one)
    names = {
        key: f"{system_name(progress.study, key[0], key[1])} ({'distilled' if key[0] == 'distillation' else 'fine-tuned'})"  # type: ignore[arg-type]
        for key in rows
    }
    width = max(map(len, names.values()))
    columns = [max(len(task), 6) for task in tasks]
    yield f"{'':{width}}  " + "  ".join(f"{task:>{size}}" for task, size in zip(tasks, columns, strict=True))
    for key, row in rows.items():
        yield f"{names[key]:{width}}  " + "  ".join(
            f"{row.get(task, ''):>{size}}" for task, size in zip(tasks, columns, strict=True)
        )
    yield "done: scored; otherwise trials that ended, of all; * running, ! failed, ~ interrupted"


def _cell(one: CellProgress) -> str:
    if one.state == "done":
        return "done"
    if one.state == "waiting" and not one.trials:
        return "-"
    mark = {"running": "*", "failed": "!", "interrupted": "~"}.get(one.state, "")
    return f"{one.trials}/{one.of}{mark}"


def _job(progress: Progress, one: JobProgress) -> Iterator[str]:
    facts = [f"{one.trials} of {one.job.trials} trials"] if one.trials is not None and one.job.trials else []
    facts += [f"for {_duration(one.seconds)}"] if one.seconds is not None else []
    facts += [f"job {one.cluster_job} of the cluster"] if one.cluster_job else []
    yield f"  {one.job.label}" + (f": {', '.join(facts)}" if facts else "")
    if one.says or one.state == "failed":
        yield f"    {progress.at(one.job.log)}"
        yield from (f"    | {line[:200]}" for line in one.says)


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h {whole % 3600 // 60} min"
