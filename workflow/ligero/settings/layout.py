"""Where every artefact of a study lies below its results folder: for the rules and for reporting."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ligero.common.errors import ConfigurationError
from ligero.settings import plan
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import SPLITS

CARDS_FILE = "digests.json"
"""Lists the cards, in the folder above regimes and models."""


@dataclass(frozen=True)
class Layout:
    """Paths of one study's artefacts, relative to the working directory."""

    study: Study

    @property
    def root(self) -> str:
        return self.study.results_dir

    def source(self, source_id: str) -> str:
        return f"{self.root}/sources/{self.study.sources[source_id].path}"

    def weights(self, model_id: str) -> str:
        """Folder of a model's pretrained weights."""
        kind = "pretrained" if self.study.models[model_id].weights == "pretrain" else "weights"
        return f"{self.root}/{kind}/{model_id}"

    def weights_digest(self, model_id: str) -> str:
        """The digest beside a model's weights, which jobs have as an input in their place: it is small, and other weights change it."""
        return f"{self.weights(model_id)}/weights.digest"

    def weights_source(self, model_id: str) -> str:
        """Where the weights of others came from: their commit, licence, citation. Written together with the weights."""
        return f"{self.root}/weights/{model_id}/source.json"

    def tokenizer(self, tokenizer: str) -> str:
        """Folder that holds a vocabulary's fast_tokenizer.json."""
        kind = "tokenizers" if tokenizer in self.study.tokenizers else "weights"
        return f"{self.root}/{kind}/{tokenizer}"

    def pretraining_tokens(self, model_id: str) -> str:
        """Folder of the token store that a model is pretrained on; that of a teacher's states is one too."""
        model = self.study.models[model_id]
        return (
            f"{self.root}/states/{model_id}"
            if model.state_teacher
            else f"{self.root}/tokens/{model.tokenizer}"
        )

    def pretraining_inputs(self, model_id: str) -> dict[str, str]:
        """What pretraining a model reads."""
        model, tokens = self.study.models[model_id], self.pretraining_tokens(model_id)
        return {
            "tokens": f"{tokens}/{'states' if model.state_teacher else 'store'}.json",
            "encoder": f"{self.tokenizer(plan.tokenizer_of(self.study, model_id))}/fast_tokenizer.json",
        }

    def states_inputs(self, model_id: str) -> dict[str, str]:
        """What caching the states of a model's teacher reads: the text, how long it is in the model's tokens, both tokenizers, the teacher."""
        lesson = self.study.models[model_id].state_teacher
        assert lesson
        tokenizer, theirs = (plan.tokenizer_of(self.study, one) for one in (model_id, lesson.model))
        return {
            "train": f"{self.root}/corpus/clean/train.txt.zst",
            "validation": f"{self.root}/corpus/clean/validation.txt.zst",
            "store": f"{self.root}/tokens/{tokenizer}/store.json",
            "encoder": f"{self.tokenizer(tokenizer)}/fast_tokenizer.json",
            "teacher": self.weights_digest(lesson.model),
            "teacher_encoder": f"{self.tokenizer(theirs)}/fast_tokenizer.json",
        }

    def examples(self, task_id: str, split: str) -> str:
        return f"{self.root}/tasks/{task_id}/{split}.parquet"

    def encoded(self, model_id: str, augmented: bool = False) -> str:
        """Folder of a model's encoded tasks, without or with unlabelled examples."""
        return f"{self.training_root(augmented)}/encoded/{plan.tokenizer_of(self.study, model_id)}"

    def training_root(self, augmented: bool) -> str:
        """Folder of encoded tasks and logits, without or with unlabelled examples."""
        return f"{self.root}/augmented" if augmented else self.root

    def training_inputs(self, regime: Regime, model_id: str, task_ids: Iterable[str]) -> dict[str, list[str]]:
        """What training a system on some tasks reads."""
        tasks, initial = list(task_ids), plan.initial_model(self.study, regime, model_id)
        distilled = regime == "distillation"
        return {
            "weights": [self.weights_digest(initial)],
            "encoded": [
                f"{self.encoded(initial)}/{task}/{split}.parquet"
                for task in tasks
                for split in ("train", "validation")
            ],
            "validation": [self.examples(task, "validation") for task in tasks],
            "logits": [f"{self.root}/logits/{task}/meta.json" for task in tasks if distilled],
        }

    def shard_inputs(self, regime: Regime, model_id: str, number: int) -> dict[str, list[str]]:
        """What one shard of a system's trials reads."""
        return self.training_inputs(
            regime, model_id, plan.tasks_of_shard(self.study, regime, model_id, number)
        )

    def method_inputs(self, task_id: str, method_id: str) -> dict[str, list[str]]:
        """What the runs of one method of the ablation on a task read."""
        ablation, distillation = plan.ablation_sections(self.study)
        method = ablation.methods[method_id]
        initial = distillation.students[ablation.student].initial
        folder = f"{self.encoded(initial, method.augmented)}/{task_id}"
        logits = f"{self.training_root(method.augmented)}/logits/{task_id}/meta.json"
        return {
            "weights": [self.weights_digest(initial)],
            "encoded": [f"{folder}/{split}.parquet" for split in SPLITS],
            "examples": [self.examples(task_id, split) for split in ("validation", "test")],
            "logits": [logits] if method.objective == "distilled" else [],
        }

    def logits_inputs(self, task_ids: list[str], augmented: bool = False) -> dict[str, list[str]]:
        """What caching the logits of some tasks' teachers reads: a teacher's tokenizer is one of the candidates'."""
        return {
            "teachers": [self.teacher(task_id) for task_id in task_ids],
            "encoded": [
                f"{self.training_root(augmented)}/encoded/{tokenizer}/{task_id}/train.parquet"
                for task_id in task_ids
                for tokenizer in plan.candidate_tokenizers(self.study, task_id)
            ],
        }

    def scoring_inputs(self, regime: Regime, name: str) -> dict[str, list[str]]:
        """What one process that scores systems on test sets reads."""
        shard = plan.scoring_shards_of(self.study, regime)[name]
        folders = dict.fromkeys(
            self.encoded(plan.initial_model(self.study, regime, system)) for system in shard.systems
        )
        return {
            "selections": [
                self.selection(regime, system, task) for system in shard.systems for task in shard.tasks
            ],
            "encoded": [f"{folder}/{task}/test.parquet" for folder in folders for task in shard.tasks],
            "examples": [self.examples(task, "test") for task in shard.tasks],
        }

    def shard(self, regime: Regime, model_id: str, number: int) -> str:
        """The file with the results of one shard of a system's trials."""
        return f"{self.root}/trials/{regime}/{model_id}/shard-{number}.json"

    def trials(self, regime: Regime, model_id: str, task_id: str) -> list[str]:
        """The shard files that hold a model's trials on a task."""
        return [
            self.shard(regime, model_id, number)
            for number, shard in enumerate(plan.shards_of(self.study, regime, model_id))
            if any(trial.task == task_id for trial in shard)
        ]

    def all_trials(self) -> list[str]:
        """The shard files of all systems, each once."""
        return [
            self.shard(regime, model_id, number)
            for regime, model_id in plan.systems(self.study)
            for number in range(len(plan.shards_of(self.study, regime, model_id)))
        ]

    def selection(self, regime: Regime, model_id: str, task_id: str) -> str:
        return f"{self.root}/selection/{regime}/{model_id}/{task_id}.json"

    def score(self, regime: Regime, model_id: str, task_id: str) -> str:
        """The file that holds a system's test score on a task."""
        for name, shard in plan.scoring_shards_of(self.study, regime).items():
            if model_id in shard.systems and task_id in shard.tasks:
                return f"{self.root}/scores/{regime}/shard-{name}.json"
        raise KeyError((model_id, task_id))

    def scores(self, task_ids: list[str]) -> list[str]:
        """Score files of all systems on some tasks, each once."""
        return list(
            dict.fromkeys(
                self.score(regime, model_id, task_id)
                for regime, model_id in plan.systems(self.study)
                for task_id in task_ids
            )
        )

    def selections(self) -> list[str]:
        return [
            self.selection(regime, model_id, task_id)
            for regime, model_id in plan.systems(self.study)
            for task_id in self.study.tasks
        ]

    def baseline(self, task_id: str) -> str:
        return f"{self.root}/baselines/{task_id}.json"

    def static_embeddings(self, task_id: str) -> str:
        return f"{self.root}/static_embeddings/{task_id}.json"

    def all_static_embeddings(self) -> list[str]:
        """Those of all tasks of classification that have a teacher."""
        return [self.static_embeddings(task_id) for task_id in plan.tasks_with_static_embeddings(self.study)]

    def task_info(self, task_id: str) -> str:
        return f"{self.root}/tasks/{task_id}/info.json"

    def selected_model(self, regime: Regime, model_id: str, task_id: str) -> str:
        """Folder of the model that selection put at its place."""
        return f"{self.root}/models/{regime}/{model_id}/{task_id}"

    def export(self, regime: Regime, model_id: str, task_id: str) -> str:
        """Folder of the exported model."""
        return f"{self.root}/exports/{regime}/{model_id}/{task_id}"

    @property
    def exports_summary(self) -> str:
        """Scores, sizes and times of all exports."""
        return f"{self.root}/exports/summary.csv"

    def early_exits(self) -> list[str]:
        """The exports of the models that learn to leave early: only there they do."""
        return [
            self.export(regime, model_id, task_id)
            for regime, model_id in plan.systems(self.study)
            if plan.exits_early(self.study, regime, model_id)
            for task_id in self.study.tasks
        ]

    def exports(self) -> list[str]:
        """The exports of all selected models; not part of `all`."""
        return [
            self.export(regime, model_id, task_id)
            for regime, model_id in plan.systems(self.study)
            for task_id in self.study.tasks
        ]

    def logits_cost(self, task_id: str) -> str:
        """How long the teachers of a task took over its training split."""
        return f"{self.root}/logits/{task_id}/cost.json"

    def augmented_logits_cost(self, task_id: str) -> str:
        """The same over the training split with unlabelled examples beside it."""
        return f"{self.root}/augmented/logits/{task_id}/cost.json"

    @property
    def searches(self) -> str:
        """Folder of the searches over hyper-parameters, STUDENT/TASK/; not part of `all`."""
        return f"{self.root}/searches"

    def search_summaries(self) -> list[str]:
        """What the target `searches` makes.

        Raises:
            ConfigurationError: the study has no section `search`.
        """
        if self.study.search is None:
            raise ConfigurationError(
                "search: the target 'searches' needs this section, e.g. search: {students: [albeto-tiny], tasks: [ner], "
                "trials: 50}; see docs/search-hyperparameters.md"
            )
        return [
            f"{self.searches}/{student}/{task}/summary.json" for student, task in plan.searches(self.study)
        ]

    @property
    def corpus_statistics(self) -> str:
        return f"{self.root}/corpus/statistics.json"

    @property
    def tokenizer_quality(self) -> str:
        """How well the tokenizers fit the texts."""
        return f"{self.root}/benchmarks/tokenizers.json"

    def tokenizer_inputs(self) -> list[str]:
        """Vocabularies, and the texts that they are tried on."""
        held_out = [f"{self.root}/corpus/clean/validation.txt.zst"] if self.study.reads_corpus else []
        encoders = [
            f"{self.tokenizer(vocabulary)}/fast_tokenizer.json"
            for vocabulary in plan.tokenizers_in_use(self.study)
        ]
        return [
            *encoders,
            *held_out,
            *(self.examples(task, "test") for task in self.study.tasks),
        ]

    def tokenizer_infos(self) -> list[str]:
        """The tokenizers that must be there before models are measured, since the configuration leaves their size open."""
        return [
            f"{self.tokenizer(tokenizer)}/tokenizer_info.json"
            for tokenizer in plan.tokenizers_of_open_size(self.study)
        ]

    def teacher(self, task_id: str) -> str:
        return f"{self.root}/teachers/{task_id}.json"

    def pretraining_summary(self, model_id: str) -> str:
        return f"{self.root}/pretraining/{model_id}/summary.json"

    def pretraining_metrics(self, model_id: str) -> str:
        return f"{self.root}/pretraining/{model_id}/metrics.jsonl"

    @property
    def efficiency(self) -> str:
        return f"{self.root}/benchmarks/efficiency.json"

    @property
    def tradeoff(self) -> str:
        """Score against cost, with intervals."""
        return f"{self.root}/benchmarks/tradeoff.json"

    @property
    def inference_speed(self) -> str:
        return f"{self.root}/benchmarks/inference_speed.json"

    @property
    def job_benchmarks(self) -> str:
        """Folder of what Snakemake measured of jobs: RULE.tsv or RULE/.../NAME.tsv. Not an output of any rule."""
        return f"{self.root}/benchmarks/jobs"

    def ablation_run(self, task_id: str, method_id: str, seed: int) -> str:
        """The record of one run of the ablation."""
        return f"{self.root}/ablation/{task_id}/{method_id}/seed-{seed}.json"

    def table(self, name: str) -> str:
        """The CSV file of a table; its Markdown and LaTeX lie beside it."""
        return f"{self.root}/summary.csv" if name == "summary" else f"{self.root}/tables/{name}.csv"

    @staticmethod
    def listing(path: str) -> str:
        """The record beside a table, a figure or the report page that holds its digests."""
        return f"{path.rpartition('.')[0]}.json"

    @property
    def report(self) -> str:
        """The report page."""
        return f"{self.root}/report.html"

    def figure(self, name: str) -> str:
        return f"{self.root}/figures/{name}.svg"
