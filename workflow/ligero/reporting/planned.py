"""Every job that the workflow plans for a study, without the workflow: what it makes, where it logs, which cells of the study it serves.

The rules decide; a test compares this with what they plan. Snakemake's own plan takes seconds and a free folder, and says nothing of
jobs that are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ligero.reporting import registry
from ligero.settings import plan
from ligero.settings.layout import Layout
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import SPLITS
from ligero.sources.origins import origin_of

STAGES = (
    "sources",
    "corpus",
    "tokenizers",
    "pretraining",
    "tasks",
    "fine-tuning",
    "teachers",
    "distillation",
    "comparison",
    "measurements",
    "tables",
)
Cell = tuple[Regime, str, str]
"""A system on a task: (regime, model, task)."""


@dataclass(frozen=True)
class PlannedJob:
    """A job of the workflow.

    Attributes:
        outputs: paths in the study's folder; log likewise.
        cells: of the table systems x tasks that it trains, selects or scores.
        trials: that it runs; 0 where it trains nothing.
        model: that it trains or prepares.
    """

    stage: str
    rule: str
    name: str
    outputs: tuple[str, ...]
    log: str
    cells: tuple[Cell, ...] = ()
    trials: int = 0
    model: str | None = None

    @property
    def label(self) -> str:
        return f"{self.rule} {self.name}".strip()


def planned_jobs(study: Study) -> list[PlannedJob]:
    """All jobs behind the target `all`, in the order in which data flows."""
    return list(_Planner(study).jobs())


class _Planner:
    def __init__(self, study: Study) -> None:
        self.study, self.layout = study, Layout(study)
        self.root = study.results_dir

    def jobs(self) -> Iterator[PlannedJob]:
        yield from self._sources()
        yield from self._corpus()
        yield from self._weights()
        yield from self._tasks()
        yield from self._regime("fine-tuning")
        if self.study.distillation:
            yield from self._teachers()
            yield from self._regime("distillation")
        yield from self._comparison()
        yield from self._measurements()
        yield from self._tables()

    def _job(self, stage: str, rule: str, name: str, outputs: list[str], **more: object) -> PlannedJob:
        log = f"{self.root}/logs/{rule}{f'/{name}' if name else ''}.log"
        return PlannedJob(stage, rule, name, tuple(outputs), log, **more)  # type: ignore[arg-type]

    def _sources(self) -> Iterator[PlannedJob]:
        study, layout = self.study, self.layout
        wanted = plan.wanted_sources(study)
        by_path = {layout.source(source): source for source in study.sources}
        for source in wanted:  # an archive that a file is taken from is fetched too
            if (origin := origin_of(layout, source)) in by_path and by_path[origin] not in wanted:
                wanted.append(by_path[origin])
        if any(study.sources[source].generated for source in wanted):
            made = [
                f"{self.root}/generated/{source.path}"
                for source in study.sources.values()
                if source.generated
            ]
            yield self._job("sources", "generate_study", "", made)
        for source in wanted:
            yield self._job("sources", "fetch_source", study.sources[source].path, [layout.source(source)])

    def _corpus(self) -> Iterator[PlannedJob]:
        if not self.study.reads_corpus:
            return
        clean = [f"{self.root}/corpus/clean/{part}.txt.zst" for part in ("train", "validation")]
        yield self._job("corpus", "clean_corpus", "", [*clean, self.layout.corpus_statistics])
        used = plan.tokenizers_in_use(self.study)
        for tokenizer in (one for one in self.study.tokenizers if one in used):
            folder = self.layout.tokenizer(tokenizer)
            files = ("fast_tokenizer.json", "tokenizer_info.json", "tokenizer_config.json")
            yield self._job(
                "tokenizers", "train_tokenizer", tokenizer, [f"{folder}/{name}" for name in files]
            )
        trained = dict.fromkeys(
            self.study.models[model].tokenizer for model in plan.pretrained_models(self.study)
        )
        for tokenizer in filter(None, trained):
            files = ("store.json", "train.bin", "validation.bin")
            made = [f"{self.root}/tokens/{tokenizer}/{name}" for name in files]
            yield self._job("tokenizers", "encode_corpus", tokenizer, made)

    def _weights(self) -> Iterator[PlannedJob]:
        for model in plan.pretrained_models(self.study):
            if self.study.models[model].state_teacher:
                kept = ("states.json", "store.json", "train.states.npy")
                made = [f"{self.layout.pretraining_tokens(model)}/{name}" for name in kept]
                yield self._job("pretraining", "cache_states", model, made)
            folder = self.layout.weights(model)
            made = [f"{folder}/{name}" for name in ("model.safetensors", "config.json", "weights.digest")]
            made += [self.layout.pretraining_metrics(model), self.layout.pretraining_summary(model)]
            yield self._job("pretraining", "pretrain_model", model, made, model=model)
        for model in plan.models_of_others(self.study):
            folder = self.layout.weights(model)
            names = (
                "model.safetensors",
                "config.json",
                "weights.digest",
                "fast_tokenizer.json",
                "tokenizer_info.json",
            )
            yield self._job(
                "sources", "prepare_weights", model, [f"{folder}/{name}" for name in names], model=model
            )

    def _tasks(self) -> Iterator[PlannedJob]:
        tokenizers = plan.tokenizers_in_use(self.study)
        for task in self.study.tasks:
            made = [*(self.layout.examples(task, split) for split in SPLITS), self.layout.task_info(task)]
            yield self._job("tasks", "prepare_task", task, made)
            yield self._job("tasks", "score_baseline", task, [self.layout.baseline(task)])
            for tokenizer in tokenizers:
                yield self._encoding("tasks", "encode_task", self.root, tokenizer, task)

    def _encoding(self, stage: str, rule: str, root: str, tokenizer: str, task: str) -> PlannedJob:
        names = [*(f"{split}.parquet" for split in SPLITS), "info.json"]
        made = [f"{root}/encoded/{tokenizer}/{task}/{name}" for name in names]
        return self._job(stage, rule, f"{tokenizer}/{task}", made)

    def _regime(self, regime: Regime) -> Iterator[PlannedJob]:
        study, layout = self.study, self.layout
        rule = "finetune_model" if regime == "fine-tuning" else "distill_student"
        members = [model for found, model in plan.systems(study) if found == regime]
        for model in members:
            for number, shard in enumerate(plan.shards_of(study, regime, model)):
                cells = tuple(
                    (regime, model, task) for task in plan.tasks_of_shard(study, regime, model, number)
                )
                yield self._job(
                    regime, rule, f"{model}/shard-{number}", [layout.shard(regime, model, number)], cells=cells,
                    trials=len(shard), model=model,
                )  # fmt: skip
        for model in members:
            yield from self._selections(regime, model)
            for task in study.tasks if plan.exits_early(study, regime, model) else ():
                made = [layout.export(regime, model, task)]
                yield self._job(regime, "export_model", f"{regime}/{model}/{task}", made)
        for name, scored in plan.scoring_shards_of(study, regime).items():
            cells = tuple((regime, model, task) for model in scored.systems for task in scored.tasks)
            made = [f"{self.root}/scores/{regime}/shard-{name}.json"]
            yield self._job(regime, "score_systems", f"{regime}/shard-{name}", made, cells=cells)

    def _selections(self, regime: Regime, model: str) -> Iterator[PlannedJob]:
        tasks, layout = list(self.study.tasks), self.layout
        together = regime in plan.one_shard_regimes(self.study)
        for some in [tasks] if together else [[task] for task in tasks]:
            made = [layout.selection(regime, model, task) for task in some]
            made += [layout.selected_model(regime, model, task) for task in some]
            rule, name = (
                ("select_trials", f"{regime}/{model}")
                if together
                else ("select_trial", f"{regime}/{model}/{some[0]}")
            )
            yield self._job(regime, rule, name, made, cells=tuple((regime, model, task) for task in some))

    def _teachers(self) -> Iterator[PlannedJob]:
        tasks = list(self.study.tasks)
        for task in tasks:
            yield self._job("teachers", "select_teacher", task, [self.layout.teacher(task)])
        for task in plan.tasks_with_static_embeddings(self.study):
            yield self._job(
                "teachers", "score_static_embeddings", task, [self.layout.static_embeddings(task)]
            )
        if "fine-tuning" in plan.one_shard_regimes(self.study):
            yield self._logits("cache_all_logits", self.root, "", tasks)
            return
        for task in tasks:
            yield self._logits("cache_logits", self.root, task, [task])

    def _logits(self, rule: str, root: str, name: str, tasks: list[str]) -> PlannedJob:
        files = ("logits.arrow", "meta.json", "cost.json")
        made = [f"{root}/logits/{task}/{file}" for task in tasks for file in files]
        return self._job("teachers", rule, name, made)

    def _comparison(self) -> Iterator[PlannedJob]:
        runs, root = plan.ablation_runs(self.study), f"{self.root}/augmented"
        if not runs:
            return
        ablation, distillation = plan.ablation_sections(self.study)
        own = plan.tokenizer_of(self.study, distillation.students[ablation.student].initial)
        for task in plan.augmented_tasks(self.study):
            names = [*(f"{split}.parquet" for split in SPLITS), "info.json"]
            yield self._job(
                "comparison", "augment_task", task, [f"{root}/tasks/{task}/{name}" for name in names]
            )
            for tokenizer in dict.fromkeys([own, *plan.candidate_tokenizers(self.study, task)]):
                yield self._encoding("comparison", "encode_augmented_task", root, tokenizer, task)
            yield self._logits("cache_augmented_logits", root, task, [task])
        for task, method, seed in runs:
            made = [self.layout.ablation_run(task, method, seed)]
            yield self._job(
                "comparison",
                "train_method",
                f"{task}/{method}/seed-{seed}",
                made,
                trials=1,
                model=ablation.student,
            )

    def _measurements(self) -> Iterator[PlannedJob]:
        for rule, path in (
            ("measure_efficiency", self.layout.efficiency),
            ("measure_speed", self.layout.inference_speed),
            ("measure_tokenizers", self.layout.tokenizer_quality),
            ("measure_tradeoff", self.layout.tradeoff),
        ):
            yield self._job("measurements", rule, "", [path])

    def _tables(self) -> Iterator[PlannedJob]:
        for name in registry.tables(self.study):
            stem = self.layout.table(name).removesuffix(".csv")
            rule, label = ("make_summary", "") if name == "summary" else ("make_table", name)
            yield self._job(
                "tables", rule, label, [f"{stem}.{kind}" for kind in ("csv", "md", "tex", "json")]
            )
        together = registry.task_figures(self.study)
        for name in registry.figures(self.study):
            if name not in together:
                yield self._job("tables", "make_figure", name, self._drawn([name]))
        for kind in registry.KINDS_OF_TASK_FIGURES:
            made = self._drawn([f"{kind}_{task}" for task in self.study.tasks])
            yield self._job("tables", "make_task_figures", kind, made)
        yield self._job("tables", "write_cards", "", [f"{self.root}/cards"])
        page = self.layout.report
        yield self._job("tables", "write_report", "", [page, self.layout.listing(page)])

    def _drawn(self, names: list[str]) -> list[str]:
        """Figures, and their records."""
        figures = [self.layout.figure(name) for name in names]
        return [*figures, *map(self.layout.listing, figures)]
