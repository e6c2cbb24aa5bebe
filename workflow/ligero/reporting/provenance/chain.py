"""From the cell of a table to its chain. Tables whose numbers follow from scores or counts have whole chains; of others the files."""

from __future__ import annotations

import csv
import difflib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import check_listed
from ligero.reporting import registry
from ligero.reporting.names import ADDED_METRICS, THESIS_METRICS
from ligero.reporting.progress import folder_of
from ligero.reporting.provenance.links import Links
from ligero.reporting.provenance.records import Chain, Count, Measurement
from ligero.reporting.results import Results, Row
from ligero.settings.layout import Layout
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import stem
from ligero.tasks.metrics import HEADLINE

SCORE_TABLES = {
    "text_classification": "sequence_classification",
    "sequence_tagging": "token_classification",
    "question_answering": "question_answering",
}
COUNTS = {
    "summary": ("parameters", "speedup", "macs"),
    "efficiency": (
        "parameters",
        "macs",
        "speedup",
        "thesis_speedup",
        "bytes",
        "macs_with_attention",
        "speedup_with_attention",
        "vocabulary_size",
    ),
}
"""Columns that are counted on architectures, by table."""
TEXT = ("regime", "model", "scale", "notes", "speedup_arithmetic")
REGIMES = {"fine-tuning": "fine-tuned", "distillation": "distilled"}


@dataclass(frozen=True)
class TableRow:
    """A row of a written table.

    Attributes:
        label: what tells it apart; name: of its system, with how it was trained.
    """

    label: str
    name: str
    system: Row | None
    cells: dict[str, str]

    @property
    def baseline(self) -> bool:
        return self.cells.get("regime") == "baseline"


class Chains:
    """The chains of a study's numbers."""

    def __init__(self, study: Study, root: Path, project: Path) -> None:
        """
        Args:
            study: as its configuration has it; root: the results folder, wherever it lies now; project: the code at hand.
        """
        self.folder = folder_of(study, root)
        self._snakefile = [] if self.folder == project else ["--snakefile", str(project / "Snakefile")]
        self.results = Results(study, root)
        self.links = Links(self.results)
        self._written_to = Layout(study)
        self._entries = registry.tables(study)

    def table_of(self, path: Path) -> str:
        """The name of the table in a file.

        Raises:
            ConfigurationError: it is no table of this study.
        """
        for name in self._entries:
            if Path(self.results.layout.table(name)).resolve() == path.resolve():
                return name
        known = ", ".join(Path(self.results.layout.table(name)).name for name in self._entries)
        raise ConfigurationError(f"{path}: expected a table of the study, one of {known}")

    def rows(self, table: str) -> list[TableRow]:
        """The rows of a table as it was written.

        Raises:
            DataError: it is missing.
            DamagedError: it is not what was written.
        """
        path = Path(self.results.layout.table(table))
        if not path.is_file():
            raise DataError(path, None, "no such table yet.", f"Make it: {self.command(table)}")
        check_listed(path.with_suffix(".json"), path.name)
        systems = {(row.regime, row.name): row for row in self.results.rows()}
        with path.open(encoding="utf-8", newline="") as handle:
            found = []
            for cells in csv.DictReader(handle):
                system = systems.get((cells.get("regime"), cells.get("model")))  # type: ignore[arg-type]
                found.append(TableRow(_label(cells), _name(cells), system, cells))
        return found

    def command(self, table: str, rule: str = "make_table make_summary") -> str:
        """The Snakemake line that makes a table again, in the study's folder, from what `rule` makes on."""
        study, target = self._written_to.study, self._written_to.table(table)
        return shlex.join(
            ["snakemake", *self._snakefile, f"--configfile={study.results_dir}/config.json", "--cores", "all", "--forcerun",
             *rule.split(), "--", target]
        )  # fmt: skip

    def find(self, table: str, row: str, column: str) -> list[Chain]:
        """The chains of the cells with that row and column; several where several rows have the label.

        Args:
            row: a system's name, alone or with how it was trained: `ALBETO tiny (distilled)`; or any text of the row.

        Raises:
            ConfigurationError: no such row or column, or the cell is empty.
        """
        rows = self.rows(table)
        columns = list(rows[0].cells) if rows else []
        if column not in columns:
            raise ConfigurationError(f"{table}: no column {column!r}; it has {', '.join(columns)}")
        wanted = row.casefold()
        named = [one for one in rows if wanted in (one.label.casefold(), one.name.casefold())]
        named = named or [one for one in rows if wanted in (cell.casefold() for cell in one.cells.values())]
        if not named:
            names = list(dict.fromkeys(one.name or one.label for one in rows))
            close = difflib.get_close_matches(row, names, n=3) or names
            raise ConfigurationError(f"{table}: no row {row!r}; it has {', '.join(close)}")
        filled = [one for one in named if one.cells[column]]
        if not filled:
            why = "; ".join(dict.fromkeys(one.cells.get("notes") or "its row says no more" for one in named))
            raise ConfigurationError(f"{table}: {named[0].label} has no {column} ({why})")
        return [self.chain(table, one, column) for one in filled]

    def every(self, table: str) -> Iterator[Chain]:
        """The chains of every number of a table, row by row."""
        for row in self.rows(table):
            for column, cell in row.cells.items():
                if cell and column not in TEXT:
                    yield self.chain(table, row, column)

    def chain(self, table: str, row: TableRow, column: str) -> Chain:
        """The chain of one cell."""
        measurements, counts, formula = self._behind(table, row, column)
        values = [one.value for one in measurements]
        value = fmean(values) if values and not column.endswith("_interval") else None
        return Chain(
            table=table,
            row=row.label,
            column=column,
            printed=row.cells[column],
            formula=formula,
            value=value,
            measurements=measurements,
            counts=counts,
            artefacts=list(dict.fromkeys(self._entries[table].inputs(self.results.layout))),
            command=self.command(
                table,
                "measure_efficiency"
                if counts
                else "score_systems score_baseline"
                if measurements
                else "make_table",
            ),
        )

    def _behind(self, table: str, row: TableRow, column: str) -> tuple[list[Measurement], list[Count], str]:
        """What a cell is made of, and how."""
        if column in COUNTS.get(table, ()) and row.system:
            return (
                [],
                self._counts(row.system, column),
                _FORMULAS.get(column, "counted on the architecture, without weights"),
            )
        if table == "summary" and column == "score":
            metrics = {task: HEADLINE[spec.metric] for task, spec in self.results.study.tasks.items()}
            found = [self._measured(row, task, metric) for task, metric in metrics.items()]
            mean = f"mean of {len(found)} scores in percent" if len(found) > 1 else "the score in percent"
            return found, [], f"{mean}, truncated to two decimals"
        if table in SCORE_TABLES and (row.system or row.baseline):
            for task, spec in self.results.study.tasks.items():
                for metric in (*THESIS_METRICS[spec.type], *ADDED_METRICS[spec.type]):
                    name = f"{stem(task, spec)}_{metric.suffix}"
                    if spec.type == SCORE_TABLES[table] and column == name:
                        return (
                            [self._measured(row, task, metric.key)],
                            [],
                            "the metric in percent, truncated to two decimals",
                        )
                    if spec.type == SCORE_TABLES[table] and column == f"{name}_interval":
                        return [self._measured(row, task, metric.key)], [], _INTERVAL
        if table in SCORE_TABLES:
            return [], [], _NO_ANSWERS
        return [], [], self._entries[table].origin

    def _measured(self, row: TableRow, task: str, metric: str) -> Measurement:
        if row.system is None:
            return self.links.baseline(task, metric)
        return self.links.measurement(row.system, task, metric)

    def _counts(self, row: Row, column: str) -> list[Count]:
        """The counts behind a column: of the system, and of the reference where they are compared."""
        names = {
            "speedup": ["macs"],
            "thesis_speedup": ["macs"],
            "macs_with_attention": ["macs", "attention_macs"],
        }
        names["speedup_with_attention"] = names["macs_with_attention"]
        reference = self.results.study.efficiency.reference
        compared: list[tuple[Regime, str]] = [("fine-tuning", reference)] if "speedup" in column else []
        conditions = self.results.efficiency_conditions
        found = []
        for regime, model in [(row.regime, row.model), *compared]:
            cost, system = self.results.efficiency[regime, model], self.links.architectures[regime, model]
            shape = {**system.architecture.model_dump(mode="json"), "vocab_size": cost["vocabulary_size"]}
            for name in names.get(column, [column]):
                found.append(Count(regime, model, system.name, name, cost[name], shape, conditions))  # type: ignore[literal-required]
        return found


_NO_ANSWERS = (
    "fitted on the training split; its answers are not kept: `snakemake --forcerun score_baseline` (n-grams) or "
    "`snakemake --forcerun score_static_embeddings` fits it again"
)
_INTERVAL = (
    "95 % percentile bootstrap over the test examples, 1,000 resamples; both ends truncated to two decimals"
)
_FORMULAS = {
    "speedup": "MACs of the reference over MACs of the system",
    "speedup_with_attention": "MACs of the reference over MACs of the system, those of attention included",
    "thesis_speedup": "the same with both counts truncated to two decimals of a GMAC, as the thesis divides",
    "macs": "multiply-accumulate operations of one input, counted on the architecture, without weights",
    "bytes": "size of model.safetensors in fp32, from the shapes alone",
}


IDENTITIES = (
    "task",
    "dataset",
    "cost",
    "kept",
    "metric",
    "method",
    "tokenizer",
    "text",
    "stage",
    "device",
    "source",
)
"""Columns that tell rows apart beside the system."""


def _name(cells: dict[str, str]) -> str:
    """A system with how it was trained."""
    name, how = cells.get("model", ""), REGIMES.get(cells.get("regime", ""))
    return f"{name} ({how})" if name and how else name


def _label(cells: dict[str, str]) -> str:
    parts = [_name(cells), *(cells.get(column, "") for column in IDENTITIES)]
    return ", ".join(part for part in parts if part) or next(iter(cells.values()), "")
