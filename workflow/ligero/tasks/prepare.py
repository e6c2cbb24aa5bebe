"""A task's files made into examples: three Parquet files and what is to be known about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory
from ligero.common.hashing import sha256_file
from ligero.common.records import digests_of, write_record
from ligero.settings.jobs import TaskJob
from ligero.settings.tasks import SPLITS
from ligero.tasks.examples import digest_examples, write_examples
from ligero.tasks.splits import LoadedSplit, leaks, load_split


def prepare_task(job: TaskJob, sources_dir: Path, out: Path) -> dict[str, Any]:
    """Read a task, check it, and write `out/{train,validation,test}.parquet` and `out/info.json`, all or nothing.

    Returns:
        What `info.json` holds: counts, read (examples in the files, before shares and limits), labels, leaks, notes, sources (id -> sha256), licences and citations
        (id -> text, where the configuration knows one), digests (split -> 16 digits), files (name -> digest).

    Raises:
        DataError: a source that was not fetched, malformed input, or an empty split.
    """
    task = job.task

    def path_of(source: str) -> Path:
        path = sources_dir / job.sources[source].path
        if not path.exists():
            raise DataError(
                path, None, f"source '{source}' was not fetched.", "Run the target 'fetch' first."
            )
        return path

    archives = [path_of(source) for source in task.documents]
    splits: dict[str, LoadedSplit] = {name: load_split(task, name, path_of, archives) for name in SPLITS}
    leaked = leaks(splits)
    info: dict[str, Any] = {
        "task": job.task_id,
        "type": task.type,
        "counts": {name: len(split.examples) for name, split in splits.items()},
        "read": {name: split.read for name, split in splits.items()},
        "labels": list(task.labels),
        "leaks": leaked,
        "notes": [task.note] * bool(task.note)
        + [note for split in splits.values() for note in split.notes]
        + _leak_notes(leaked),
        "sources": {source: sha256_file(path_of(source)) for source in job.sources},
        "licences": {name: source.licence for name, source in job.sources.items() if source.licence},
        "citations": {name: source.citation for name, source in job.sources.items() if source.citation},
        "digests": {name: digest_examples(split.examples) for name, split in splits.items()},
    }
    with atomic_directory(out) as staging:
        for name, split in splits.items():
            write_examples(staging / f"{name}.parquet", task.type, task.labels, split.examples)
        info["files"] = digests_of(staging, (f"{name}.parquet" for name in SPLITS))
        write_record(staging / "info.json", info)
    return info


def _leak_notes(leaked: dict[str, dict[str, int]]) -> list[str]:
    return [
        f"leak: {count:,} examples of {pair.split('_')[1]} have the {kind.replace('_', ' ')} as one of {pair.split('_')[0]}"
        for pair, counts in leaked.items()
        for kind, count in counts.items()
        if count
    ]
