"""Published beside measured, figure by figure, with the erratum and the arithmetic of the thesis' scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation

import pandas as pd

from ligero.efficiency.records import DEVICES
from ligero.efficiency.truncation import short_count
from ligero.reporting.frames import Cells, joined, printed, table
from ligero.reporting.names import THESIS_METRICS, has_the_thesis_tasks
from ligero.reporting.published import Key, corrected, errata, printed_figures, recomputed_score
from ligero.reporting.results import Results
from ligero.reporting.tables.summary import mean_score, summary_speedups
from ligero.settings.tasks import thesis_stem

NOT_COMPARABLE = {
    "own": "a study of your own: other tasks, data and training than the thesis'",
    "miniature": "miniature: models, data and training are tiny; the difference says nothing about the thesis",
    "sample": "sample: small models and parts of the data; only the order of the systems can be compared",
    "thesis": None,
}


def comparison(results: Results) -> pd.DataFrame:
    """Every printed figure of the thesis' 17 systems beside what this study measured.

    `corrected` holds the erratum's values; `recomputed` the score that follows from a system's eight printed figures, with the
    erratum, by their mean and truncation; `difference` is measured minus published, or minus corrected where that is given.
    """
    measured = measured_figures(results)
    rows: list[Cells] = []
    for key, figures in printed_figures().items():
        for metric, published in figures.items():
            erratum = errata().get(key, {}).get(metric)
            right = erratum.corrected if erratum else None
            recomputed = str(recomputed_score(corrected(key, figures))) if metric == "score" else None
            found = measured.get(key, {}).get(metric)
            rows.append(
                {
                    "regime": key[0],
                    "model": key[1],
                    "metric": metric,
                    "published": published,
                    "corrected": right,
                    "recomputed": recomputed,
                    "measured": found,
                    "difference": _difference(found, right or published),
                    "notes": joined(_notes(results, key, metric, found, measured)),
                }
            )
    columns = ["regime", "model", "metric", "published", "corrected", "recomputed", "measured", "difference"]
    return table(columns, rows, results.study.scale)


def measured_figures(results: Results) -> dict[Key, dict[str, str | None]]:
    """This study's figures under the thesis' names: (regime, name of the system) to column to cell as printed."""
    study = results.study
    scores, (speedups, _) = results.scores(study.tasks), summary_speedups(results)
    figures: dict[Key, dict[str, str | None]] = {}
    for row in results.rows():
        if row.left_out:
            continue
        cells: dict[str, str | None] = {}
        for task_id, task in study.tasks.items():
            if (name := thesis_stem(task)) is None:  # another corpus, even under an id such as ner
                continue
            metrics = scores[row.regime, row.model, task_id]["metrics"]
            for metric in THESIS_METRICS[task.type]:
                cells[f"{name}_{metric.suffix}"] = printed(metrics.get(metric.key))
        cells["parameters"] = short_count(results.efficiency[row.regime, row.model]["parameters"])
        cells["speedup"] = f"{speedups[row.regime, row.model]}x"
        if has_the_thesis_tasks(study):
            cells["score"] = printed(mean_score(study, scores, row.regime, row.model))
        timed = results.speed[row.regime, row.model]
        for device in DEVICES:
            if latency := timed[device]:
                cells[f"{device}_inferences_per_second"] = printed(latency["inferences_per_second"])
        figures[row.regime, row.name] = cells
    return figures


def _difference(measured: str | None, published: str) -> str | None:
    """Measured minus published, where both are plain numbers (a speedup's 'x' is left off)."""
    if measured is None:
        return None
    try:
        return f"{Decimal(measured.removesuffix('x')) - Decimal(published.removesuffix('x')):+}"
    except InvalidOperation:  # parameter counts such as 110M
        return "equal" if measured == published else "differs"


def _notes(
    results: Results,
    key: Key,
    metric: str,
    found: str | None,
    measured: Mapping[Key, Mapping[str, str | None]],
) -> Iterable[str | None]:
    study = results.study
    if erratum := errata().get(key, {}).get(metric):
        yield f"erratum: {erratum.reason}"
    if found is not None:
        yield NOT_COMPARABLE[study.scale]
    elif key not in measured:
        reasons: dict[Key, str | None] = {(row.regime, row.name): row.left_out for row in results.rows()}
        yield reasons.get(key) or "this system is not in this configuration"
    elif metric.startswith("gpu_"):
        yield "no GPU on the machine that measured"
    elif metric == "score":
        yield "the score needs all eight tasks"
    else:
        yield f"task {metric.removesuffix('_f1').removesuffix('_exact_match').removesuffix('_accuracy')} is not in this configuration"
