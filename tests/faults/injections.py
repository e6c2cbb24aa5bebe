"""The kinds of fault. Each prepares a copy of the finished study, disturbs a run in it and says what came of that."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ligero.common.run_start import OWNER
from ligero.reporting.artefact_digests import verify_results
from tests.faults.study import PATIENCE, PROJECT, TARGETS, Job, Run, Study, artefacts, remove

SAME = "same result"
CLEAR = "clear message"
UNCLEAR = "unclear message"
WRONG = "wrong result accepted"
LOST = "result lost"
HANGS = "hangs"
OUTCOMES = (SAME, CLEAR, UNCLEAR, WRONG, LOST, HANGS)
BUGS = (UNCLEAR, WRONG, LOST, HANGS)

TOGETHER = ("corpus", "tokenizers", "tokens", "pretrained", "tasks", "encoded", "logits")
"""Where what lies beside a declared input is read too."""
LIGHT = frozenset(
    {
        "generate_study",
        "fetch_source",
        "clean_corpus",
        "train_tokenizer",
        "encode_corpus",
        "prepare_task",
        "encode_task",
    }
)
"""Rules whose jobs take a second or two."""
LOCKED = "cannot be locked"
SKEWED = "older modification time"


@dataclass
class Disturbed:
    """A run that was disturbed.

    Attributes:
        what: what was done to it, in words.
        targets: what it was asked to make.
        status: how it ended; None where it hung.
        said: what it printed.
        clear: what a person has to read in it where it failed; empty for a process that was killed and can say nothing.
        altered: the artefact that was changed by hand, below the results folder; it may stay so where nothing depends on it.
        lift: takes the fault away.
    """

    what: str
    targets: tuple[str, ...]
    status: int | None
    said: str
    clear: str = r"^error: \S+: .*[a-z]"
    altered: str | None = None
    lift: Callable[[], None] = field(default=lambda: None)


@dataclass(frozen=True)
class Fault:
    """A fault and its outcome."""

    kind: str
    seed: int
    what: str
    outcome: str
    message: str
    seconds: float


class Case:
    """One fault: the study, a folder of its own, and chance, which its seed decides."""

    def __init__(
        self, study: Study, kind: str, seed: int, stack: ExitStack, rules: frozenset[str] | None
    ) -> None:
        self.study, self.seed, self.chance = study, seed, random.Random(f"{kind} {seed}")
        self.stack = stack
        self.place = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="ligero-fault-", ignore_cleanup_errors=True)
            )
        )

        self.jobs = [job for job in study.jobs() if job.command and (rules is None or job.rule in rules)]

    def job(self, fits: Callable[[Job], bool] = lambda job: True) -> Job:
        """A job, every rule as likely as any other; of three seeds in four one that takes a second or two."""
        fitting = [job for job in self.jobs if fits(job) and (self.seed % 4 == 0 or job.rule in LIGHT)]
        rule = self.chance.choice(sorted({job.rule for job in fitting}))
        return self.chance.choice([job for job in fitting if job.rule == rule])

    def to_do(self, fits: Callable[[Job], bool] = lambda job: True) -> Job:
        """A job, and the copy of the study in which it is to be done again."""
        job = self.job(fits)
        self.study.copy(self.place, without=job)
        return job

    def run(self, job: Job, *options: str, before: tuple[str, ...] = ()) -> tuple[int | None, str]:
        return self.study.run(self.place, job.outputs, *options, before=before)


def inject(study: Study, kind: str, seed: int, rules: frozenset[str] | None = None) -> Fault:
    """Put one fault into a copy of the study, follow what is printed, and compare what is there in the end.

    Args:
        rules: whose jobs are disturbed; any by default.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        case = Case(study, kind, seed, stack, rules)
        done = KINDS[kind](case)
        outcome, message = judged(case, done)
    return Fault(kind, seed, done.what, outcome, message, round(time.monotonic() - begun, 1))


def judged(case: Case, done: Disturbed) -> tuple[str, str]:
    """The outcome, and the message or the difference that shows it."""
    if done.status is None:
        done.lift()
        return HANGS, done.said[-500:]
    if done.status == 0:
        wrong = [one for one in case.study.differences(case.place) if not one.startswith(f"{done.altered} ")]
        done.lift()
        return (WRONG, "; ".join(wrong[:5])) if wrong else (SAME, "")
    message = messages(done.said, done.clear)
    clear = not done.clear or re.search(done.clear, done.said, re.MULTILINE)
    done.lift()
    said = done.said
    for _ in range(4):  # as often as a person would follow what is printed
        options = follow(case.study, case.place, done.targets, said)
        status, said = case.study.run(case.place, done.targets, *options)
        if status == 0:
            break
    if status is None:
        return HANGS, said[-500:]
    if status != 0:
        return LOST, messages(said)
    if wrong := case.study.differences(case.place):
        return LOST, "; ".join(wrong[:5])
    if left := temporaries(case.place / "results"):
        return LOST, f"temporaries are left: {', '.join(left[:3])}"
    if not done.clear:
        return SAME, message
    return (CLEAR if clear else UNCLEAR), message if clear else done.said[-1500:]


def messages(said: str, clear: str = "") -> str:
    """What a person would read: the lines that begin with `error: `, or those that say what is `clear`, or the end."""
    for pattern in (r"error: ", f".*(?:{clear})" if clear else "error: "):
        if lines := list(dict.fromkeys(re.findall(rf"^{pattern}.*", said, re.MULTILINE))):
            return "\n".join(line.strip() for line in lines[:3])
    return said[-300:].strip()


def follow(study: Study, place: Path, targets: tuple[str, ...], said: str) -> list[str]:
    """Do what a message asks for: files that it names are removed, and the options that it names are given."""
    if LOCKED in said:
        study.run(place, targets, "--unlock")
        return []
    if SKEWED in said:  # `find . -newermt now -exec touch {} +`
        for path in place.rglob("*"):
            if not path.is_symlink() and path.stat().st_mtime > time.time():
                os.utime(path)
        return []
    if found := re.search(r"--forcerun ([\w ]+)", messages(said)):
        rules = {job.rule for job in study.jobs()}
        return ["--forcerun", *(word for word in found[1].split() if word in rules)]
    for name, remedy in re.findall(r"^error: (\S+?)(?::\d+)?: (.*)", said, re.MULTILINE):
        if "elete" in remedy and "results" in Path(name).parts:
            whole = re.search(r"delete (its|the) folder", remedy)
            remove((place / name).parent if whole else place / name)
    return []


def temporaries(results: Path) -> list[str]:
    """Unfinished files and folders that writers leave."""
    return [
        str(path.relative_to(results))
        for path in results.rglob(".*")
        if not path.name.endswith((".guard", "_timestamp")) and path.parent.name != ".cache"
    ]


# --- kills -----------------------------------------------------------------------------------------------------------------


def programs_of(process: Run) -> list[psutil.Process]:
    """The programs of the jobs that run below Snakemake."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if any("workflow/scripts/" in word for word in _words(child))
        ]
    return []


def _words(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return list(process.cmdline())
    return []


def _in_job(case: Case, process: Run, job: Job) -> list[psutil.Process]:
    """Wait for a random moment of a job; its programs."""
    until = time.monotonic() + PATIENCE
    while not (found := programs_of(process)) and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    needed, begun = case.chance.uniform(0, 0.8 if job.rule in LIGHT else 3.0), _cpu(found)
    while process.poll() is None and 0 <= _cpu(found) - begun < needed and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor time of programs, -1 when they have ended: the same moment on a busy machine as on an idle one."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            return -1.0
        if process.status() == psutil.STATUS_ZOMBIE:
            return -1.0
        total += times.user + times.system
    return total


def kill_job(case: Case) -> Disturbed:
    """kill -9 of a job's program, as for want of memory."""
    job = case.to_do()
    process = case.study.start(case.place, job.outputs)
    for program in _in_job(case, process, job):
        with contextlib.suppress(psutil.NoSuchProcess):
            program.kill()
    status, said = process.ended()
    return Disturbed(f"kill -9 of {job.program}", job.outputs, status, said, r"^error: .*SIGKILL")


def kill_snakemake(case: Case) -> Disturbed:
    """kill -9 of Snakemake alone, whose job continues; the same command again at once."""
    job = case.to_do()
    process = case.study.start(case.place, job.outputs)
    left = _in_job(case, process, job)
    process.kill()
    process.ended()
    case.stack.callback(lambda: [_kill(program) for program in left])
    return Disturbed(
        f"kill -9 of Snakemake during {job.program}, which continues", job.outputs, -9, "", clear=""
    )


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()


def lost_node(case: Case) -> Disturbed:
    """Snakemake and its jobs die at once; their folder stays."""
    job = case.to_do()
    process = case.study.start(case.place, job.outputs)
    programs = _in_job(case, process, job)
    process.kill(whole_group=True)
    process.ended()
    psutil.wait_procs(programs, timeout=PATIENCE)
    return Disturbed(f"all processes die during {job.program}", job.outputs, -9, "", clear="")


def kill_whole(case: Case) -> Disturbed:
    """Everything from sources to tables, with Snakemake and its jobs killed every few seconds."""
    kills = 0
    while kills < 12:
        process = case.study.start(case.place, TARGETS)
        until = time.monotonic() + case.chance.uniform(4, 25)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        if process.poll() is None:
            process.kill(whole_group=True)
            kills += 1
        status, said = process.ended()
        if status != -9:
            return Disturbed(f"{kills} kills from sources to tables", TARGETS, status, said)
    return Disturbed(f"{kills} kills from sources to tables", TARGETS, -9, "", clear="")


def stale_lock(case: Case) -> Disturbed:
    """A run that died and left its lock; who holds it cannot be known, so that a person has to say that nobody does."""
    job = case.to_do()
    process = case.study.start(case.place, job.outputs)
    programs = _in_job(case, process, job)
    process.kill(whole_group=True)
    process.ended()
    psutil.wait_procs(programs, timeout=PATIENCE)
    (case.place / OWNER).unlink(missing_ok=True)
    status, said = case.run(job)
    return Disturbed(
        f"lock of a run that died during {job.program}, its owner unknown",
        job.outputs,
        status,
        said,
        r"^error: .*--unlock",
    )


# --- file systems ------------------------------------------------------------------------------------------------------------


@contextmanager
def _small_disk(folder: Path, options: str) -> Iterator[None]:
    """A file system in memory at a folder."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def _used(folder: Path) -> tuple[int, int]:
    """Bytes and files of the file system at a folder."""
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_files - status.f_ffree


FULL = r"^error: .*(No space left on device|bytes needed in .* free)"


def full_disk(case: Case) -> Disturbed:
    """The disk fills up during a job."""
    case.stack.enter_context(_small_disk(case.place, "size=200m"))
    job = case.to_do()
    used, _ = _used(case.place)
    made = sum(path.stat().st_size for name in job.outputs for path in _files(case.study.finished / name))
    room = case.chance.randrange(4096, 100_000 + 3 * made, 4096)
    _remount(case.place, f"size={used + room}")
    status, said = case.run(job)
    lift = lambda: _remount(case.place, "size=200m")  # noqa: E731
    return Disturbed(
        f"{room >> 10} KiB are left on the disk for {job.program}", job.outputs, status, said, FULL, lift=lift
    )


def no_inodes(case: Case) -> Disturbed:
    """The file system allows no further files."""
    case.stack.enter_context(_small_disk(case.place, "size=200m,nr_inodes=20000"))
    job = case.to_do()
    _, used = _used(case.place)
    room = case.chance.randrange(1, 25)
    _remount(case.place, f"nr_inodes={used + room}")
    status, said = case.run(job)
    lift = lambda: _remount(case.place, "nr_inodes=20000")  # noqa: E731
    return Disturbed(f"{room} inodes are left for {job.program}", job.outputs, status, said, FULL, lift=lift)


def read_only(case: Case) -> Disturbed:
    """The folder cannot be written."""
    case.stack.enter_context(_small_disk(case.place, "size=200m"))
    job = case.to_do()
    if whole := case.chance.random() < 0.3:
        folder = case.place
    else:  # only the results that the job writes
        folder = (case.place / job.outputs[0]).parent
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
        case.stack.callback(lambda: subprocess.run(["umount", "--lazy", str(folder)], capture_output=True))
    subprocess.run(["mount", "-o", "remount,ro" + ("" if whole else ",bind"), str(folder)], check=True)
    status, said = case.run(job)

    def lift() -> None:
        subprocess.run(["mount", "-o", "remount,rw" + ("" if whole else ",bind"), str(folder)], check=True)
        if not whole:
            subprocess.run(["umount", str(folder)], check=True)

    shown = folder.relative_to(case.place)
    return Disturbed(
        f"{shown} is read-only for {job.program}",
        job.outputs,
        status,
        said,
        r"^error: .*Read-only file system\. .*",
        lift=lift,
    )


def slow_disk(case: Case) -> Disturbed:
    """Each new name and each flush takes as long as on a busy network file system."""
    job = case.to_do()
    delay = case.chance.choice((5, 20, 80))
    trace = (
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "--seccomp-bpf",
        "-e",
        "trace=fsync,rename,mkdir,unlink",
    )
    before = (*trace, "-e", f"inject=fsync,rename,mkdir,unlink:delay_enter={1000 * delay}")
    status, said = case.run(job, before=before)
    return Disturbed(
        f"{delay} ms for each fsync, rename, mkdir and unlink in {job.program}", job.outputs, status, said
    )


def broken_disk(case: Case) -> Disturbed:
    """A flush or a rename fails, as when a network file system loses its server."""
    job = case.to_do()
    call, number = case.chance.choice(("fsync", "rename")), case.chance.randint(1, 4)
    if call == "rename":  # the first are of Snakemake's copies of the rules, in the user's cache
        number += 1 + len(list((PROJECT / "rules").glob("*.smk")))
    trace = ("strace", "-f", "-qq", "-o", "/dev/null", "--seccomp-bpf", "-e", f"trace={call}")
    status, said = case.run(job, before=(*trace, "-e", f"inject={call}:error=EIO:when={number}"))
    what = f"{call} number {number} of each thread of {job.program} fails"
    return Disturbed(what, job.outputs, status, said, r"^error: .*Input/output error\. .*")


def clock_back(case: Case) -> Disturbed:
    """The clock jumps back: all that is there is younger than what is made now."""
    job = case.to_do()
    jump = case.chance.choice((60, 3600, 86_400, 30 * 86_400))
    for path in case.place.rglob("*"):
        if not path.is_symlink():
            status = path.stat()
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + jump * 10**9))
    code, said = case.run(job)
    return Disturbed(
        f"the clock jumps back by {jump:,} s before {job.program}",
        job.outputs,
        code,
        said,
        r"^error: .*clock.*touch",
    )


def two_runs(case: Case) -> Disturbed:
    """The same command twice at once, with Snakemake's lock or without it."""
    job = case.to_do()
    options = case.chance.choice(((), ("--nolock",)))
    first = case.study.start(case.place, job.outputs, *options)
    time.sleep(case.chance.uniform(0, 3))
    second = case.study.start(case.place, job.outputs, *options)
    ends = [first.ended(), second.ended()]
    what = f"two runs of {job.program} at once{', without lock' if options else ''}"
    if any(status is None for status, _ in ends):
        return Disturbed(what, job.outputs, None, ends[0][1] + ends[1][1])
    failed = [said for status, said in ends if status != 0]
    if len(failed) == 1 and (LOCKED in failed[0] or re.search(r"^error: ", failed[0], re.MULTILINE)):
        return Disturbed(what, job.outputs, 0, failed[0])
    return Disturbed(
        what,
        job.outputs,
        1 if failed else 0,
        "\n".join(failed),
        r"^error: .*(--unlock|[Rr]un the same command)",
    )


# --- artefacts -----------------------------------------------------------------------------------------------------------------


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [path] if path.is_file() else []


def _artefact(case: Case, with_others: bool = False) -> tuple[Path, Job, list[Path]]:
    """An artefact, every kind as likely as any other, and a job that reads it; the copy in which that job is to be done again.

    Args:
        with_others: only an artefact of which the study has another of the same kind, with another content.

    Returns:
        The artefact's name below the results folder, the job, and those others.
    """
    results = case.study.finished / "results"
    kinds: dict[tuple[str, str], list[Path]] = {}
    for path in [*artefacts(results), *_files(results / "state")]:
        name = path.relative_to(results)
        if path.stat().st_size and not path.name.endswith(".lock"):
            kind = (name.parts[0], path.name if path.suffix == ".json" else path.suffix)
            kinds.setdefault(kind, []).append(name)
    content = {name: (results / name).read_bytes() for names in kinds.values() for name in names}
    others = {
        name: [other for other in names if content[other] != content[name]]
        for names in kinds.values()
        for name in names
    }
    read = {
        kind: [name for name in names if _readers(case, name) and (others[name] or not with_others)]
        for kind, names in kinds.items()
    }
    kind = case.chance.choice([kind for kind in sorted(kinds) if read[kind]])
    name = case.chance.choice(read[kind])
    reader = case.chance.choice(_readers(case, name))
    case.study.copy(case.place, without=reader, keep_state=name.parts[0] == "state")
    return name, reader, others[name]


def _readers(case: Case, name: Path) -> list[Job]:
    """The jobs that read an artefact: those with it among their inputs, or with what lies beside it, or that name its folder."""
    path = Path("results") / name
    declared = [job for job in case.jobs if any(Path(given) in (path, *path.parents) for given in job.inputs)]
    beside = [
        job
        for job in case.jobs
        if name.parts[0] in TOGETHER and any(Path(given).parent == path.parent for given in job.inputs)
    ]
    places = {str(parent) for parent in path.parents if len(parent.parts) > 2}
    named = [job for job in case.jobs if places & set(job.command.split())]
    made = {str(path), *map(str, path.parents)}
    writers = {job.log for job in case.jobs if made & set(job.outputs)}
    return [job for job in (declared or beside or named) if job.log not in writers]


def _damaged(case: Case, damage: Callable[[bytes], bytes | None], what: str) -> Disturbed:
    name, reader, _ = _artefact(case)
    return _replaced(case, name, reader, damage((case.place / "results" / name).read_bytes()), what)


def _replaced(case: Case, name: Path, reader: Job, content: bytes | None, what: str) -> Disturbed:
    """An artefact with another content, or without any, and its time; then the job that reads it."""
    path = case.place / "results" / name
    state = path.stat()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    found = any(one.path in (path, *path.parents) for one in verify_results(case.place / "results").findings)
    status, said = case.run(reader)
    shown = f"{name} {what} before {reader.program}; verification {'finds' if found else 'does not find'} it"
    return Disturbed(shown, reader.outputs, status, said, r"^error: \S+: .*\.", altered=str(name))


def flipped_bit(case: Case) -> Disturbed:
    """One bit of an artefact is another; its time is the same."""

    def flip(data: bytes) -> bytes:
        place, bit = case.chance.randrange(len(data)), case.chance.randrange(8)
        return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]

    return _damaged(case, flip, "with a flipped bit")


def truncated(case: Case) -> Disturbed:
    """An artefact ends early; its time is the same."""
    return _damaged(case, lambda data: data[: case.chance.randrange(len(data))], "cut short")


def deleted(case: Case) -> Disturbed:
    """An artefact is missing."""
    return _damaged(case, lambda data: None, "deleted")


def exchanged(case: Case) -> Disturbed:
    """A whole artefact of the same kind is in the place of another; its time is the same."""
    name, reader, others = _artefact(case, with_others=True)
    other = case.chance.choice(others)
    content = (case.study.finished / "results" / other).read_bytes()
    return _replaced(case, name, reader, content, f"replaced by {other}")


KINDS: dict[str, Callable[[Case], Disturbed]] = {
    "kill-job": kill_job,
    "kill-snakemake": kill_snakemake,
    "lost-node": lost_node,
    "kill-whole": kill_whole,
    "stale-lock": stale_lock,
    "full-disk": full_disk,
    "no-inodes": no_inodes,
    "read-only": read_only,
    "slow-disk": slow_disk,
    "broken-disk": broken_disk,
    "clock-back": clock_back,
    "two-runs": two_runs,
    "flipped-bit": flipped_bit,
    "truncated": truncated,
    "deleted": deleted,
    "exchanged": exchanged,
}
