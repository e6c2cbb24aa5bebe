"""Writes a report page of made-up artefacts."""

from __future__ import annotations

from pathlib import Path

from ligero.common.files import write_text
from ligero.reporting.page.content import page_data
from ligero.reporting.page.document import write_page
from ligero.reporting.page.records import PageData
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.reporting.writing import write_table
from ligero.settings.program import write_resolved
from ligero.settings.study import Study
from tests.builders.results import write_artefacts


def write_report(study: Study, root: Path) -> PageData:
    """Artefacts, tables and the page of a study below `root`; returns what the page holds."""
    write_artefacts(study, root)
    results = Results(study, root)
    write_resolved(root / "config.json", study)
    for name in tables(study):
        path = Path(results.layout.table(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(make_table(name, results), path)
    jobs = Path(results.layout.job_benchmarks)
    for model, row in {"a": "61.5\t300.25\t50.0", "b": "2.5\t400.75\t-"}.items():
        text = f"s\tmax_rss\tcpu_time\n{row}\n"
        write_text(jobs / "finetune_model" / model / "shard-0.tsv", text)
    page = page_data(results)
    write_page(Path(results.layout.report), page)
    return page
