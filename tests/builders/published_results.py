"""The thesis' configuration with the thesis' own figures as artefacts: everything must come out as printed."""

from __future__ import annotations

from pathlib import Path

from ligero.common.records import read_record, write_record
from ligero.efficiency.macs import measure
from ligero.reporting.published import corrected, printed_figures
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.jobs import efficiency_job
from ligero.settings.study import REGIMES, Study
from ligero.settings.tasks import stem
from tests.builders.results import write_artefacts


def published_results(thesis: Study, root: Path) -> Results:
    """Made-up artefacts of the study, with the published figures in the place of its own."""
    write_artefacts(thesis, root)
    found = Results(thesis, root)
    write_record(found.layout.efficiency, measure(efficiency_job(thesis), {}))
    figures = printed_figures()
    names = {system: plan.system_name(thesis, *system) for system in plan.systems(thesis)}
    right = {
        (regime, model): corrected((regime, name), figures[regime, name])
        for (regime, model), name in names.items()
    }
    for regime in REGIMES:
        for path in (root / "scores" / regime).iterdir():
            records = read_record(path)["scores"]
            for record in records:
                prefix = stem(record["task"], thesis.tasks[record["task"]])
                metrics = {
                    column.removeprefix(f"{prefix}_"): float(cell)
                    for column, cell in right[regime, record["model"]].items()
                    if column.startswith(f"{prefix}_")
                }
                record.update(metrics=metrics, score=metrics.get("accuracy", metrics.get("f1")))
            write_record(path, {"regime": regime, "scores": records})
    return found
