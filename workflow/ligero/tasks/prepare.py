"""A task's files made into examples: three Parquet files and what is to be known about them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from ligero.common.errors import DataError, LigeroError, naming, raise_together
from ligero.common.files import atomic_directory
from ligero.common.hashing import sha256_file
from ligero.common.records import digests_of
from ligero.settings.jobs import TaskJob
from ligero.settings.tasks import SPLITS
from ligero.tasks.data_warnings import warnings_of
from ligero.tasks.examples import digest_examples, write_examples
from ligero.tasks.records import TaskInfo, write_task_info
from ligero.tasks.splits import LoadedSplit, leaks, load_split


def prepare_task(job: TaskJob, sources_dir: Path, out: Path, mirror: Path | None = None) -> TaskInfo:
    """Read a task, check it, and write `out/{train,validation,test}.parquet` and `out/info.json`, all or nothing.

    Args:
        sources_dir: where the sources were fetched to.
        mirror: the user's folder that they were copied from; errors name its files.

    Returns:
        What `info.json` holds.

    Raises:
        DataError: a source that was not fetched, malformed input, or an empty split.
        CombinedError: everything that is wrong with the files of all splits.
    """
    with ExitStack() as stack:
        for source in job.sources.values():
            if mirror is not None and (mirror / source.path).is_file():
                stack.enter_context(naming(sources_dir / source.path, mirror / source.path))
        return _prepare(job, sources_dir, out)


def _prepare(job: TaskJob, sources_dir: Path, out: Path) -> TaskInfo:
    task = job.task

    def path_of(source: str) -> Path:
        path = sources_dir / job.sources[source].path
        if not path.exists():
            raise DataError(
                path, None, f"source '{source}' was not fetched.", "Run the target 'fetch' first."
            )
        return path

    archives = [path_of(source) for source in task.documents]
    splits: dict[str, LoadedSplit] = {}
    errors: list[LigeroError] = []
    for name in SPLITS:
        try:
            splits[name] = load_split(task, name, path_of, archives)
        except LigeroError as error:
            errors.append(error)
    raise_together(errors)
    leaked = leaks(splits)
    info: TaskInfo = {
        "task": job.task_id,
        "type": task.type,
        "counts": {name: len(split.examples) for name, split in splits.items()},
        "read": {name: split.read for name, split in splits.items()},
        "left_out": {name: split.left_out for name, split in splits.items()},
        "labels": list(task.labels),
        "leaks": leaked,
        "notes": [task.note] * bool(task.note) + [note for split in splits.values() for note in split.notes],
        "warnings": warnings_of(task, splits, leaked),
        "sources": {source: sha256_file(path_of(source)) for source in job.sources},
        "licences": {name: source.licence for name, source in job.sources.items() if source.licence},
        "citations": {name: source.citation for name, source in job.sources.items() if source.citation},
        "digests": {name: digest_examples(split.examples) for name, split in splits.items()},
        "files": {},
    }
    with atomic_directory(out) as staging:
        for name, split in splits.items():
            write_examples(staging / f"{name}.parquet", task.type, task.labels, split.examples)
        info["files"] = digests_of(staging, (f"{name}.parquet" for name in SPLITS))
        write_task_info(staging, info)
    return info
