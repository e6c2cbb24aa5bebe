"""What a source's file is copied or taken from, as far as the workflow must know it beforehand. Imports nothing heavy."""

from __future__ import annotations

from pathlib import Path

from ligero.settings.layout import Layout
from ligero.sources.checksums import SourcesLock


def origin_of(layout: Layout, source_id: str) -> str | None:
    """The generator's file, the mirror's, or the archive around it; None where the file is downloaded, or known by its checksum.

    Raises:
        MismatchError: the mirror's file is not the one that was first taken from it. Checked here and not in the job, because
            Snakemake notes the inputs even of a failed job whose output is an `update`, and would forget that the file changed.
    """
    study = layout.study
    source = study.sources[source_id]
    if source.generated:
        return f"{layout.root}/generated/{source.path}"
    if study.mirror and (mirrored := Path(study.mirror, source.path)).is_file():
        if source.sha256:  # no other file than the registry's is ever taken
            return None
        lock = SourcesLock(Path(layout.root, "sources.lock.json"))
        lock.refuse_changed(source_id, source, mirrored, Path(layout.source(source_id)))
        return str(mirrored)
    return layout.source(source.archive.source) if source.archive else None
