"""Where every artefact of a study lies below its results folder: read by the rules and by the reporting floor."""

from __future__ import annotations

from dataclasses import dataclass

from ligero.settings import plan
from ligero.settings.plan import ablation_runs, augmented_tasks, teacher_candidates, tokenizers_in_use
from ligero.settings.study import Regime, Study

TABLES = (
    "corpus",
    "tokenizers",
    "datasets",
    "pretrained_models",
    "albeto_configurations",
    "pretraining_details",
    "text_classification",
    "sequence_tagging",
    "question_answering",
    "efficiency",
    "inference_speed",
    "teachers",
    "best_hyperparameters",
    "comparison",
    "cost",
)

ABLATION_TABLE = "ablation"
"""Made where the study has a section `ablation`."""

TASK_TYPE_OF_TABLE = {
    "text_classification": "sequence_classification",
    "sequence_tagging": "token_classification",
    "question_answering": "question_answering",
}


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

    def weights_source(self, model_id: str) -> str:
        """Where the weights of others came from: their commit, licence, citation. Written together with the weights."""
        return f"{self.root}/weights/{model_id}/source.json"

    def tokenizer(self, tokenizer: str) -> str:
        """Folder that holds a vocabulary's fast_tokenizer.json."""
        kind = "tokenizers" if tokenizer in self.study.tokenizers else "weights"
        return f"{self.root}/{kind}/{tokenizer}"

    def encoded(self, model_id: str) -> str:
        """Folder of a model's encoded tasks."""
        return f"{self.root}/encoded/{plan.tokenizer_of(self.study, model_id)}"

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

    def selection(self, regime: Regime, model_id: str, task_id: str) -> str:
        return f"{self.root}/selection/{regime}/{model_id}/{task_id}.json"

    def score(self, regime: Regime, model_id: str, task_id: str) -> str:
        """The file that holds a system's test score on a task."""
        for number, shard in enumerate(plan.scoring_shards_of(self.study, regime)):
            if model_id in shard.systems and task_id in shard.tasks:
                return f"{self.root}/scores/{regime}/shard-{number}.json"
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

    def task_info(self, task_id: str) -> str:
        return f"{self.root}/tasks/{task_id}/info.json"

    def cost_inputs(self) -> list[str]:
        """Every file in which a run recorded how long it took."""
        study = self.study
        shards = [
            path
            for regime, model_id in plan.systems(study)
            for task_id in study.tasks
            for path in self.trials(regime, model_id, task_id)
        ]
        return [
            *(self.pretraining_summary(model_id) for model_id in plan.pretrained_models(study)),
            *dict.fromkeys(shards),
            *(self.logits_cost(task_id) for task_id in study.tasks if study.distillation),
            *map(self.augmented_logits_cost, augmented_tasks(study)),
            *(self.ablation_run(*run) for run in ablation_runs(study)),
            *self.scores(list(study.tasks)),
        ]

    def selected_model(self, regime: Regime, model_id: str, task_id: str) -> str:
        """Folder of the model that selection put at its place."""
        return f"{self.root}/models/{regime}/{model_id}/{task_id}"

    def export(self, regime: Regime, model_id: str, task_id: str) -> str:
        """Folder of the exported model."""
        return f"{self.root}/exports/{regime}/{model_id}/{task_id}"

    def exports(self) -> list[str]:
        """The exports of all selected models; not part of `all`."""
        return [
            self.export(regime, model_id, task_id)
            for regime, model_id in plan.systems(self.study)
            for task_id in self.study.tasks
        ]

    def cards_inputs(self) -> list[str]:
        """What model cards tell."""
        tasks = list(self.study.tasks)
        teachers = [self.teacher(task) for task in tasks] if self.study.distillation else []
        return [
            *self.selections(),
            *self.scores(tasks),
            *teachers,
            self.efficiency,
            self.inference_speed,
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

    @property
    def corpus_statistics(self) -> str:
        return f"{self.root}/corpus/statistics.json"

    @property
    def vocabularies(self) -> str:
        """How well the vocabularies fit the texts."""
        return f"{self.root}/benchmarks/tokenizers.json"

    def tokenizer_inputs(self) -> list[str]:
        """Vocabularies, and the texts that they are tried on."""
        held_out = [f"{self.root}/corpus/clean/validation.txt.zst"] if self.study.reads_corpus else []
        encoders = [
            f"{self.tokenizer(vocabulary)}/fast_tokenizer.json"
            for vocabulary in tokenizers_in_use(self.study)
        ]
        return [
            *encoders,
            *held_out,
            *(f"{self.root}/tasks/{task}/test.parquet" for task in self.study.tasks),
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
    def inference_speed(self) -> str:
        return f"{self.root}/benchmarks/inference_speed.json"

    def ablation_run(self, task_id: str, method_id: str, seed: int) -> str:
        """The record of one run of the ablation."""
        return f"{self.root}/ablation/{task_id}/{method_id}/seed-{seed}.json"

    def ablation_inputs(self) -> list[str]:
        """Every run, and the teachers with their test scores."""
        runs = ablation_runs(self.study)
        tasks = list(dict.fromkeys(task for task, _, _ in runs))
        scores = [
            self.score("fine-tuning", model, task)
            for task in tasks
            for model in teacher_candidates(self.study, task)
        ]
        return [
            *(self.ablation_run(*run) for run in runs),
            *map(self.teacher, tasks),
            *dict.fromkeys(scores),
        ]

    def table_names(self) -> list[str]:
        """Every table of the study but the summary."""
        return [*TABLES, *([ABLATION_TABLE] if ablation_runs(self.study) else [])]

    def tables(self) -> list[str]:
        return [f"{self.root}/tables/{name}.csv" for name in self.table_names()]

    def figure_names(self) -> list[str]:
        """Every figure of the study."""
        curves = [f"training_loss_{model_id}" for model_id in plan.pretrained_models(self.study)]
        corpus = ["corpus_lengths"] if self.study.reads_corpus else []
        per_task = [f"score_vs_macs_{task_id}" for task_id in self.study.tasks]
        return [*corpus, *curves, "score_vs_macs", *per_task, "score_vs_latency"]

    def figures(self) -> list[str]:
        return [f"{self.root}/figures/{name}.svg" for name in self.figure_names()]

    def table_inputs(self, name: str) -> list[str]:
        """The artefacts that a table is made of."""
        tasks = list(self.study.tasks)
        if name == ABLATION_TABLE:
            return self.ablation_inputs()
        if name in TASK_TYPE_OF_TABLE:
            tasks = [task for task in tasks if self.study.tasks[task].type == TASK_TYPE_OF_TABLE[name]]
            return [*self.scores(tasks), *map(self.baseline, tasks)]
        pretraining = [self.pretraining_summary(model) for model in plan.pretrained_models(self.study)]
        everything = [*self.scores(tasks), *map(self.baseline, tasks), self.efficiency]
        return {
            "corpus": [self.corpus_statistics] if self.study.reads_corpus else [],
            "tokenizers": [self.vocabularies],
            "datasets": [self.task_info(task) for task in tasks],
            "pretrained_models": [self.efficiency],
            "albeto_configurations": [self.efficiency],
            "pretraining_details": pretraining,
            "efficiency": [self.efficiency],
            "inference_speed": [self.inference_speed],
            "teachers": [self.teacher(task) for task in tasks] if self.study.distillation else [],
            "best_hyperparameters": self.selections(),
            "cost": self.cost_inputs(),
            "comparison": [*everything, self.inference_speed],
            "summary": everything,
        }[name]

    def figure_inputs(self, name: str) -> list[str]:
        """The artefacts that a figure is drawn from."""
        if name == "corpus_lengths":
            return [self.corpus_statistics]
        if name.startswith("training_loss_"):
            return [self.pretraining_metrics(name.removeprefix("training_loss_"))]
        if name == "score_vs_latency":
            return [*self.scores(list(self.study.tasks)), self.inference_speed]
        task = name.removeprefix("score_vs_macs").removeprefix("_")
        return [*self.scores([task] if task else list(self.study.tasks)), self.efficiency]
