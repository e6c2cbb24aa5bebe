"""Where every artefact of a study lies below its results folder: for the rules and for reporting."""

from __future__ import annotations

from dataclasses import dataclass

from ligero.settings import plan
from ligero.settings.plan import tokenizers_in_use
from ligero.settings.study import Regime, Study


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
    def tokenizer_quality(self) -> str:
        """How well the tokenizers fit the texts."""
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
    def tradeoff(self) -> str:
        """Score against cost, with intervals."""
        return f"{self.root}/benchmarks/tradeoff.json"

    @property
    def inference_speed(self) -> str:
        return f"{self.root}/benchmarks/inference_speed.json"

    def ablation_run(self, task_id: str, method_id: str, seed: int) -> str:
        """The record of one run of the ablation."""
        return f"{self.root}/ablation/{task_id}/{method_id}/seed-{seed}.json"

    def table(self, name: str) -> str:
        """The CSV file of a table; its Markdown and LaTeX lie beside it."""
        return f"{self.root}/summary.csv" if name == "summary" else f"{self.root}/tables/{name}.csv"

    def figure(self, name: str) -> str:
        return f"{self.root}/figures/{name}.svg"
