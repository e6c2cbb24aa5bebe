"""Every table and figure of a study: its name, the function that makes it, the artefacts that it reads, its caption.

A new table or figure is a function in `reporting/tables/` or `reporting/figures/` and an entry here. Snakemake parses this module,
so it imports no library that is slow to load: functions are named, and imported when they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ligero.common.errors import ConfigurationError
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.study import Study
from ligero.settings.tasks import TaskType

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from ligero.reporting.results import Results


@dataclass(frozen=True)
class Entry:
    """A table or a figure.

    Attributes:
        name: of its files.
        function: MODULE:FUNCTION below ligero.reporting; called with the results, and with `argument` where there is one.
        inputs: the artefacts that it reads, and no others.
        caption: reStructuredText, for the report.
        argument: the model or task that it is about.
        has_content: whether the table has anything to show for a user's own study. Beside the thesis all are made.
        origin: of a table whose numbers are not computed again by `ligero why --recompute`: why that is so.
    """

    name: str
    function: str
    inputs: Callable[[Layout], list[str]]
    caption: str
    argument: str | None = None
    has_content: Callable[[Study], bool] = lambda study: True
    origin: str = "taken from the files below as they are"

    def __call__(self, results: Results) -> Any:
        """Make it."""
        module, function = self.function.split(":")
        arguments = (results,) if self.argument is None else (results, self.argument)
        return getattr(import_module(f"ligero.reporting.{module}"), function)(*arguments)


def tables(study: Study) -> dict[str, Entry]:
    """The study's tables by name, the summary among them."""
    ablation = [ABLATION] if plan.ablation_runs(study) else []
    return {
        entry.name: entry
        for entry in (*TABLES, *ablation, SUMMARY)
        if study.scale != "own" or entry.has_content(study)
    }


def figures(study: Study) -> dict[str, Entry]:
    """The study's figures by name."""
    drawn = [
        *([CORPUS_LENGTHS] if study.reads_corpus else []),
        *map(_training_loss, plan.pretrained_models(study)),
        SCORE_VS_MACS,
        *map(_score_vs_macs_of, study.tasks),
        SCORE_VS_LATENCY,
        *([TRADEOFF_OF_ALL] if len(study.tasks) > 1 else []),
        *map(_tradeoff_of, study.tasks),
    ]
    return {entry.name: entry for entry in drawn}


KINDS_OF_TASK_FIGURES = ("score_vs_macs", "tradeoff")
"""What is drawn for every task, from the same artefacts, under KIND_TASK."""


def task_figures(study: Study) -> list[str]:
    """Names of the figures that one job draws for all tasks, kind by kind."""
    return [f"{kind}_{task}" for kind in KINDS_OF_TASK_FIGURES for task in study.tasks]


def captions(study: Study) -> dict[str, str]:
    """The caption of every table and figure by its name."""
    return {name: entry.caption for name, entry in (tables(study) | figures(study)).items()}


def make_table(name: str, results: Results) -> pd.DataFrame:
    """The table of that name.

    Raises:
        ConfigurationError: the study has no such table.
    """
    return _found("table", name, tables(results.study))(results)


def draw_figure(name: str, results: Results) -> Figure:
    """The figure of that name.

    Raises:
        ConfigurationError: the study has no such figure.
    """
    return _found("figure", name, figures(results.study))(results)


def _found(kind: str, name: str, known: dict[str, Entry]) -> Entry:
    if name not in known:
        raise ConfigurationError(f"no {kind} '{name}' in this study; known: {', '.join(known)}")
    return known[name]


def card_inputs(layout: Layout) -> list[str]:
    """The artefacts that model cards are made of."""
    return [
        *layout.selections(),
        *layout.scores(list(layout.study.tasks)),
        *_teachers(layout),
        layout.efficiency,
        layout.inference_speed,
    ]


def tradeoff_inputs(layout: Layout) -> list[str]:
    """What scores are weighed against costs from; the predictions lie beside the scores."""
    tests = [f"{layout.root}/tasks/{task}/test.parquet" for task in layout.study.tasks]
    return [*_everything(layout), layout.inference_speed, *_teachers(layout), *tests]


def page_inputs(layout: Layout) -> list[str]:
    """What the report page is made of."""
    study = layout.study
    return [
        *map(layout.table, tables(study)),
        *(layout.listing(layout.table(name)) for name in tables(study)),
        *layout.scores(list(study.tasks)),
        *layout.selections(),
        *map(layout.baseline, study.tasks),
        *map(layout.task_info, study.tasks),
        *_teachers(layout),
        layout.efficiency,
        layout.inference_speed,
        layout.tradeoff,
        *(
            path
            for model in plan.pretrained_models(study)
            for path in (layout.pretraining_metrics(model), layout.pretraining_summary(model))
        ),
    ]


# --- inputs -------------------------------------------------------------------------------------------------------------


def _scores(task_type: TaskType) -> Callable[[Layout], list[str]]:
    """Scores and baselines of the tasks of one type."""

    def inputs(layout: Layout) -> list[str]:
        tasks = [task for task, spec in layout.study.tasks.items() if spec.type == task_type]
        static = layout.all_static_embeddings() if task_type == "sequence_classification" else ()
        return [*layout.scores(tasks), *map(layout.baseline, tasks), *static]

    return inputs


def _tradeoff(layout: Layout) -> list[str]:
    """What was measured, and the rows below it: models without a language model, and texts that leave early."""
    baselines = map(layout.baseline, layout.study.tasks)
    exits = [*layout.early_exits(), *layout.selections()] if layout.early_exits() else []
    return [layout.tradeoff, *baselines, *layout.all_static_embeddings(), *exits]


def _everything(layout: Layout) -> list[str]:
    tasks = list(layout.study.tasks)
    return [*layout.scores(tasks), *map(layout.baseline, tasks), layout.efficiency]


def _teachers(layout: Layout) -> list[str]:
    return [layout.teacher(task) for task in layout.study.tasks] if layout.study.distillation else []


def _efficiency(layout: Layout) -> list[str]:
    return [layout.efficiency]


def _ablation(layout: Layout) -> list[str]:
    """Every run, and the teachers with their test scores."""
    study = layout.study
    runs = plan.ablation_runs(study)
    tasks = list(dict.fromkeys(task for task, _, _ in runs))
    scores = [
        layout.score("fine-tuning", model, task)
        for task in tasks
        for model in plan.teacher_candidates(study, task)
    ]
    return [*(layout.ablation_run(*run) for run in runs), *map(layout.teacher, tasks), *dict.fromkeys(scores)]


def _cost(layout: Layout) -> list[str]:
    """Every file in which a run recorded how long it took."""
    study = layout.study
    return [
        *map(layout.pretraining_summary, plan.pretrained_models(study)),
        *(layout.pretraining_inputs(model)["tokens"] for model in plan.models_with_state_teachers(study)),
        *layout.all_trials(),
        *(layout.logits_cost(task) for task in study.tasks if study.distillation),
        *map(layout.augmented_logits_cost, plan.augmented_tasks(study)),
        *(layout.ablation_run(*run) for run in plan.ablation_runs(study)),
        *layout.scores(list(study.tasks)),
    ]


def _has_tasks(task_type: TaskType) -> Callable[[Study], bool]:
    return lambda study: task_type in {task.type for task in study.tasks.values()}


_MEASURED = "times are measured: measuring again gives others"

# --- tables -------------------------------------------------------------------------------------------------------------

TABLES = (
    Entry(
        "corpus",
        "tables.corpus:corpus",
        lambda layout: [layout.corpus_statistics] if layout.study.reads_corpus else [],
        "The running text: lines that are not blank, tokens (words between white space) and characters "
        "without line ends, after cleaning and, under ``raw_``, before it. A document ends at a blank line. "
        "``published_`` is what the thesis counts in its whole corpus.",
        has_content=lambda study: study.reads_corpus,
    ),
    Entry(
        "tokenizers",
        "tables.tokenizers:tokenizers",
        lambda layout: [layout.tokenizer_quality],
        "How well each vocabulary fits text that it was not trained on: the documents that the corpus keeps "
        "back, and the test split of each task. Words are separated by white space; each text (a "
        "sentence, a title, a context) counts as one sentence.",
    ),
    Entry(
        "datasets",
        "tables.datasets:datasets",
        lambda layout: [layout.task_info(task) for task in layout.study.tasks],
        "The tasks: examples in each split beside the thesis' counts, and how many test texts are also in the "
        "training set. The notes name splits that were cut from another or shortened.",
    ),
    Entry(
        "pretrained_models",
        "tables.models:pretrained_models",
        _efficiency,
        "The models that the study starts from, and where their weights come from. At the thesis' scale also "
        "the models that the thesis surveyed and did not include.",
    ),
    Entry(
        "albeto_configurations",
        "tables.models:albeto_configurations",
        _efficiency,
        "Shapes of the ALBERT models. All layers of a model share one set of weights, so depth costs time and "
        "no parameters.",
        has_content=lambda study: False,
    ),
    Entry(
        "pretraining_details",
        "tables.models:pretraining_details",
        lambda layout: [layout.pretraining_summary(model) for model in plan.pretrained_models(layout.study)],
        "How each model was pretrained here, what it took, and the loss it reached. ``unigram_loss`` is that "
        "of a model which knows only how frequent each token is: a validation loss near it means that nothing "
        "about context was learnt.",
        has_content=lambda study: bool(plan.pretrained_models(study)),
    ),
    Entry(
        "text_classification",
        "tables.scores:text_classification",
        _scores("sequence_classification"),
        "Accuracy on the test sets, with 95 % bootstrap intervals. The rows *without a language model* are logistic "
        "regression (scikit-learn) on n-grams of words and characters, and on the mean of the teacher's vectors of single pieces, on at most "
        "20,000 training examples: what a student has to be worth more than.",
        has_content=_has_tasks("sequence_classification"),
    ),
    Entry(
        "sequence_tagging",
        "tables.scores:sequence_tagging",
        _scores("token_classification"),
        "F1 by seqeval on the test sets, as the thesis prints it, and the share of right words. On part-of-"
        "speech tags seqeval takes the first letter for a chunk prefix (SCONJ and CCONJ become one type) and "
        "a run of equal tags for one chunk: compare with the thesis by ``pos_f1``, judge by "
        "``pos_token_accuracy``.",
        has_content=_has_tasks("token_classification"),
    ),
    Entry(
        "question_answering",
        "tables.scores:question_answering",
        _scores("question_answering"),
        "F1 and exact match on the test sets by SQuAD's official script, as in the thesis, and by MLQA's, "
        "which leaves out Spanish articles and all punctuation.",
        has_content=_has_tasks("question_answering"),
    ),
    Entry(
        "efficiency",
        "tables.efficiency:efficiency",
        _efficiency,
        "Parameters and multiply-accumulate operations (MACs) of a sequence classifier at batch 1, counted by "
        "thop under the conditions that the configuration gives under ``efficiency`` (thesis: 3 classes, 512 "
        "tokens). ``speedup`` is the exact ratio of MACs; ``thesis_speedup`` that of MACs truncated to two "
        "decimals of a GMAC, which is how the thesis has 18.05 for ALBETO tiny where the exact ratio is "
        "18.00. thop does not see the two products of attention: ``macs_with_attention`` adds them. ``bytes`` "
        "is the size of ``model.safetensors`` in fp32.",
    ),
    Entry(
        "inference_speed",
        "tables.efficiency:inference_speed",
        lambda layout: [layout.inference_speed],
        "Inferences per second at batch 1, by the protocol that the configuration gives under ``speed`` "
        "(thesis: 512 tokens, 10 runs to warm up, 100 timed): the median of the timed runs, without those "
        "whose modified z-score is too large. The systems take turns, GPUs are synchronised (the authors' GPU "
        "timings were not synchronised), systems of one architecture are timed once, and weights are random: "
        "latency does not depend on them.",
        origin=_MEASURED,
    ),
    Entry(
        "tradeoff",
        "tables.tradeoff:tradeoff",
        _tradeoff,
        "What each system's score is worth at its cost: MACs of one input, measured milliseconds on the CPU, bytes of the weights. "
        "**Gain** is the score minus that of the *reference front* at the same cost, in points (ELUE's score, Liu et al. 2022): the "
        "front joins the fine-tuned systems that no other fine-tuned one beats, linearly in the logarithm of cost, and is undefined "
        "outside of its range. **Hypervolume** is what the system adds to the area under all of them, in points times doublings of "
        "cost, up to 64 times the cost of the reference model and down to the score without a model. ``efficient``: no other system "
        "is as cheap and as good. **Retention** is the share of the teacher's score. Intervals (95 %) and "
        "``efficient_probability`` come from 1,000 resamples of the test examples, the same for all systems. Below them are what needs no "
        "language model, and the exports whose texts leave early, each with its own score, size and time; they take no part in the "
        "other columns.",
        origin="its gains and intervals are functions of all systems' predictions together: `snakemake --forcerun measure_tradeoff` "
        "computes them again",
    ),
    Entry(
        "retention",
        "tables.tradeoff:retention",
        lambda layout: [layout.tradeoff],
        "The cheapest system that keeps 99, 97 and 95 % of the teacher's score, by each cost: how many times cheaper than the "
        "teacher it is, and in which share of 1,000 resamples of the test examples it keeps that much.",
        has_content=lambda study: study.distillation is not None,
        origin="it is drawn from the same resamples as tradeoff.csv",
    ),
    Entry(
        "teachers",
        "tables.selection:teachers",
        _teachers,
        "The model that teaches each task, and the validation losses that decided. Test scores play no part "
        "in it.",
        has_content=lambda study: study.distillation is not None,
    ),
    Entry(
        "best_hyperparameters",
        "tables.selection:best_hyperparameters",
        Layout.selections,
        "The trial that validation chose for every system and task, out of how many.",
    ),
    Entry(
        "comparison",
        "tables.comparison:comparison",
        lambda layout: [*_everything(layout), layout.inference_speed],
        "Every figure that the thesis prints beside what this study measured. ``corrected`` holds the thesis' "
        "one erratum: the printed tagging row of ALBETO xlarge repeats that of xxlarge. ``recomputed`` is the "
        "score that follows from the eight printed figures.",
        has_content=lambda study: False,
        origin="it repeats numbers of summary.csv and of the score tables beside published ones: ask for them there",
    ),
    Entry(
        "cost",
        "tables.cost:cost",
        _cost,
        "Runs and device hours of each stage, added up from what every run recorded itself (data, tokenizers "
        "and tables are not counted). A device hour is an hour of one GPU, or of the CPU threads that the row "
        "names. Beside them what the thesis spent, as far as it says.",
        origin=_MEASURED,
    ),
)

ABLATION = Entry(
    "ablation",
    "tables.ablation:ablation",
    _ablation,
    "One student trained in several ways, all from the same weights and for the ``steps`` of the optimiser "
    "that are named; the best epoch of each run is kept by validation. ``score`` is the mean over the seeds "
    "and ``standard_deviation`` their spread; intervals (95 %) and ``p_value`` are bootstrapped over the test "
    'examples, on the predictions of all seeds together. ``helped`` says "yes" or "no" where the difference '
    "from the reference method is significant at the 5 % level (paired, two-sided). The teacher was fine-"
    "tuned once and chosen by validation.",
    origin="its means and tests are over the runs of several seeds, whose counts are in the records that are named",
)
"""Where the study has a section `ablation`."""

SUMMARY = Entry(
    "summary",
    "tables.summary:summary",
    _everything,
    "Size, speed and score of every system. **Score** is the mean over the tasks of accuracy "
    "(classification), F1 (tagging) or answer F1 (question answering), truncated to two decimals. **Speedup** "
    "is the number of multiply-accumulate operations of the reference over the system's own, not a measured "
    "time; ``speedup_arithmetic`` says whether both counts were first truncated to two decimals of a GMAC, as "
    "in the thesis, or not, because the models are too small for it. The rows *baseline* need no model: the "
    "most frequent class, tag or answer.",
)

# --- figures ------------------------------------------------------------------------------------------------------------

CORPUS_LENGTHS = Entry(
    "corpus_lengths",
    "figures.corpus_lengths:corpus_lengths",
    lambda layout: [layout.corpus_statistics],
    "Lengths of the lines and documents that cleaning left: the share of each source from one power of two to "
    "the next.",
)

SCORE_VS_MACS = Entry(
    "score_vs_macs",
    "figures.tradeoff:score_against_macs",
    lambda layout: [layout.tradeoff, layout.efficiency],
    "Mean score over the tasks against multiply-accumulate operations of one input, on a logarithmic axis, with 95 % intervals. "
    "Students of one model are joined. At the thesis' scale open marks are the published scores.",
)

SCORE_VS_LATENCY = Entry(
    "score_vs_latency",
    "figures.tradeoff:score_against_latency",
    lambda layout: [layout.tradeoff, layout.inference_speed],
    "Mean score over the tasks against the measured time of one input, on a logarithmic axis, with 95 % intervals. Students of one "
    "model are joined.",
)


def _training_loss(model: str) -> Entry:
    return Entry(
        f"training_loss_{model}",
        "figures.training_loss:training_loss",
        lambda layout: [layout.pretraining_metrics(model), layout.pretraining_summary(model)],
        "Loss at masked tokens over the steps of pretraining: every logged step, their moving mean, the same loss on held-out text, and "
        "the plateau of a model that knows only how frequent each token is. Steps that a restart threw away are dotted, on grey.",
        argument=model,
    )


def _score_vs_macs_of(task: str) -> Entry:
    return Entry(
        f"score_vs_macs_{task}",
        "figures.tradeoff:score_against_macs",
        lambda layout: [layout.tradeoff, layout.efficiency],
        "One task's metric against multiply-accumulate operations of one input, on a logarithmic axis, with 95 % intervals. "
        "Students of one model are joined. At the thesis' scale open marks are the published scores.",
        argument=task,
    )


_FRONT = (
    "Score against each cost, on logarithmic axes, with 95 % intervals. The line is the reference front of fine-tuned systems; systems "
    "that another beats are pale."
)

TRADEOFF_OF_ALL = Entry(
    "tradeoff_all", "figures.reference_front:tradeoff", lambda layout: [layout.tradeoff], _FRONT
)


def _tradeoff_of(task: str) -> Entry:
    return Entry(
        f"tradeoff_{task}",
        "figures.reference_front:tradeoff",
        lambda layout: [layout.tradeoff],
        _FRONT,
        argument=task,
    )
