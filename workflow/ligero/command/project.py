"""Where the project lies, and how the workflow is run on a study."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ligero.common.errors import ConfigurationError, LigeroError

PROJECT = Path(__file__).resolve().parents[3]
_STEPS = re.compile(r"^(\d+) of (\d+) steps \((\d+)%\) done")
_JOB = re.compile(r"^Job \d+: (.+)$")
LAST_LINES = 60


def snakemake_line(folder: Path, cores: str, targets: Sequence[str] = ()) -> list[str]:
    """The command that runs the workflow on FOLDER/study.yaml.

    Raises:
        ConfigurationError: cores that are neither a number nor `all`.
    """
    if cores != "all" and not (cores.isdecimal() and int(cores) > 0):
        raise ConfigurationError(f"--cores {cores}: expected a number above 0, or all")
    return [
        str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(PROJECT / "Snakefile"),
        "--workflow-profile", str(PROJECT / "profiles" / "default"),
        "--directory", str(folder), "--configfile", str(folder / "study.yaml"), "--cores", cores, "--", *targets,
    ]  # fmt: skip


def run_workflow(line: Sequence[str], log: Path) -> None:
    """Run the workflow: what happens is said on standard error, everything is kept in `log`.

    Raises:
        LigeroError: it failed; the message holds the end of what it said.
    """
    last: deque[str] = deque(maxlen=LAST_LINES)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8", errors="replace",
            env=environment(log.parent),
        )  # fmt: skip
        assert process.stdout
        # Asked to stop, the workflow ends its jobs; on Ctrl-C the terminal tells it the same.
        before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        try:
            for text in process.stdout:
                kept.write(text)
                last.append(text)
                if shown := _told(text.strip()):
                    print(shown, file=sys.stderr)
        except KeyboardInterrupt:
            process.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
    if process.wait():
        raise LigeroError(
            f"the workflow failed; everything that it said is in {log}. Its end:\n{''.join(last)}"
        )


def _told(line: str) -> str | None:
    """What of the workflow's own words is worth showing."""
    if match := _STEPS.match(line):
        return f"  {match[1]} of {match[2]} jobs done"
    if match := _JOB.match(line):
        return match[1]
    return None


def environment(folder: Path) -> dict[str, str]:
    """The environment of the workflow: text is UTF-8 in every locale, and caches lie in `folder` where home cannot be written."""
    values = {**os.environ, "PYTHONUTF8": "1"}
    home_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    if not _is_writable(home_cache):
        cache = str(folder / "cache")
        values |= {
            "XDG_CACHE_HOME": cache,
            "MPLCONFIGDIR": cache,
            "HF_HOME": cache,
            "TMPDIR": tempfile.gettempdir(),
        }
    return values


def _is_writable(folder: Path) -> bool:
    """Whether a file can be made there, or the folder itself where it is not there yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


def shown_line(line: Sequence[str]) -> str:
    """A command as one can paste it into a shell."""
    return shlex.join(line)
