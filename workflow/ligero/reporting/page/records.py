"""The one JSON block of the report page: numbers as numbers, intervals as pairs, systems and tasks by their place in their lists."""

from __future__ import annotations

from typing import Literal, TypedDict

from ligero.reporting.looks import Shape
from ligero.reporting.records import Figure
from ligero.settings.study import Regime

CostId = Literal["milliseconds", "megabytes", "macs"]

Number = int | float
Cell = Number | str | list[Number] | None
"""Of a table: a number, a text, an interval, or empty."""


class LookEntry(TypedDict):
    """A row of the legend."""

    name: str
    colour: str
    dark: str
    shape: Shape


class StudyEntry(TypedDict):
    """What the study is."""

    name: str
    scale: str
    version: str
    """Of Ligero."""
    results: str
    """Folder, as the configuration names it: for commands to copy."""
    reference: str
    """Name of the model whose operations are one."""


class TaskEntry(TypedDict):
    """A task."""

    id: str
    name: str
    metric: str
    """Its name, and of what: F1 of entities."""
    kind: str
    examples: int
    """In the test split."""
    baseline: float
    """Score without a model, in percent."""
    baseline_name: str
    file: str
    """Of the table that holds its scores, below the results folder; `column` of that table."""
    column: str


class SystemEntry(TypedDict):
    """A system, run or left out."""

    id: str
    regime: Regime
    name: str
    label: str
    """Unlike that of any other system."""
    architecture: str
    """Key of the looks."""
    shape: Shape
    left_out: str | None
    """Why it was not run."""


class SummaryEntry(TypedDict):
    """A system's row of the summary; figures are truncated as in summary.csv. Of one left out all are None."""

    system: int
    score: float | None
    interval: list[float] | None
    """95 %."""
    speedup: float | None
    milliseconds: float | None
    """Median of one input, on the CPU."""
    megabytes: float | None
    parameters: int | None
    macs: int | None
    learned: bool
    """Whether its mean score's interval lies above the baseline's score."""
    not_learned: list[int]
    """Tasks where it does not."""
    notes: str | None


class TaskScore(TypedDict):
    """A system's score on a task, in percent."""

    system: int
    score: Figure | None
    learned: bool
    published: float | None
    """What the thesis prints, where the scales agree."""
    origin: str | None
    """How the score came about: examples, trial, device."""


class TaskScores(TypedDict):
    """One panel of the small multiples."""

    task: int
    systems: list[TaskScore]


class Engine(TypedDict):
    """What a time was measured with."""

    id: str
    name: str
    conditions: str


class Step(TypedDict):
    """From a budget on (up to the next step's) the answer is this one."""

    budget: float
    best: int
    """Place among the points."""
    runner_up: int | None
    tied: bool
    """Their intervals overlap: the test split does not tell which of them is better."""


class Cost(TypedDict):
    """Answers along one axis of cost."""

    id: CostId
    steps: list[Step]
    efficient: list[int]
    """Points that no other beats, from the cheapest to the dearest."""


class Point(TypedDict):
    """A system in the plane of score and cost."""

    system: int
    score: float
    interval: tuple[float, float] | None
    """95 %; None of a mean of exports, whose answers were not stored."""
    learned: bool
    """Whether its interval lies above the baseline's score; where it has none, its score."""
    milliseconds: float | None
    tokens: int | None
    """Length of the text that took the time; None where those of several tasks differ."""
    megabytes: float
    macs: int
    engine: str
    """What exactly answered: torch fp32, ONNX int8."""
    exported: bool
    """Whether that is an export, or among a mean's systems one is."""


class View(TypedDict):
    """What the explorer shows for one task, or for the mean of all (task None), with one engine."""

    task: int | None
    engine: int
    points: list[Point]
    costs: list[Cost]


class Choice(TypedDict):
    """The best system within a budget."""

    system: int | None
    score: float | None
    learned: bool
    """Whether its interval lies above the baseline's score."""


class ChoiceTable(TypedDict):
    """The best system for each task (rows) within each budget (columns)."""

    cost: CostId
    budgets: list[float]
    tasks: list[int | None]
    cells: list[list[Choice]]


class CurveEntry(TypedDict):
    """The loss of masked tokens of a model's pretraining, in nats."""

    model: str
    architecture: str
    training: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    lost: list[list[tuple[int, float]]]
    """What restarts threw away."""
    restarts: list[tuple[int, int]]
    plateau: float | None
    """Loss of who knows only how frequent each token is."""


class StageEntry(TypedDict):
    """A stage of the workflow."""

    name: str
    does: str
    jobs: int | None
    """That recorded their time; None where none did."""
    seconds: float | None
    """Added up over its jobs."""
    longest: float | None
    peak_megabytes: float | None


class PublishedEntry(TypedDict):
    """A system's figures in the thesis beside this study's; None where it was not measured."""

    regime: str
    model: str
    score: float
    measured_score: float | None
    speedup: float
    measured_speedup: float | None


class AnswerEntry(TypedDict):
    """A question that a reader has first, and what the study says."""

    question: str
    answer: str


class Column(TypedDict):
    """A column of a table."""

    name: str
    kind: Literal["text", "number", "interval", "printed"]
    """`printed`: a number that is more than its value, as printed: 316K, 1e-3, +0.5; also where digits differ from row to row."""
    digits: int
    """After the point."""
    unit: str
    """Printed after each number: x."""


class TableEntry(TypedDict):
    """A table of the study, as its CSV file holds it."""

    name: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]


class PageData(TypedDict):
    """Everything that the page shows."""

    study: StudyEntry
    badge: str
    answers: list[AnswerEntry]
    looks: dict[str, LookEntry]
    tasks: list[TaskEntry]
    systems: list[SystemEntry]
    baseline: float
    """Mean score without a model."""
    summary: list[SummaryEntry]
    scores: list[TaskScores]
    engines: list[Engine]
    views: list[View]
    choices: ChoiceTable | None
    """None where nothing was timed."""
    curves: list[CurveEntry]
    published: list[PublishedEntry]
    comparable: str | None
    """Why published and measured figures cannot be compared; None where they can."""
    stages: list[StageEntry]
    tables: list[TableEntry]
