"""What runs again after what changed, line by line: docs/reruns.md is this table in words.

On the pocket study with one trial per job, whose files are made by hand and marked as finished (`snakemake --touch`): what is planned depends on nothing in them.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from tests.builders.workflow import POCKET, planned_jobs
from tests.faults.study import PROJECT, Study

pytestmark = pytest.mark.slow

REPORTED = {
    "make_table": 18,
    "make_figure": 7,
    "make_task_figures": 2,
    "make_summary": 1,
    "measure_tradeoff": 1,
    "write_cards": 1,
    "write_report": 1,
    "all": 1,
}
"""Every table, figure and card shows something of every system."""
FROM_THE_CORPUS = {
    "clean_corpus": 1, "augment_task": 1, "train_tokenizer": 2, "encode_corpus": 2, "encode_task": 6, "encode_augmented_task": 4,
    "measure_tokenizers": 1, "measure_efficiency": 1, "measure_speed": 1, "pretrain_model": 3, "finetune_model": 18,
    "select_trial": 15, "score_systems": 15, "select_teacher": 3, "cache_logits": 3, "cache_augmented_logits": 2,
    "score_static_embeddings": 1, "distill_student": 6, "train_method": 6, **REPORTED,
}  # fmt: skip
OF_ONE_TASK = {
    "prepare_task": 1, "augment_task": 1, "encode_task": 2, "encode_augmented_task": 2, "measure_tokenizers": 1,
    "score_baseline": 1, "finetune_model": 6, "train_method": 3, "select_trial": 5, "score_systems": 5, "select_teacher": 1,
    "cache_logits": 1, "cache_augmented_logits": 1, "score_static_embeddings": 1, "distill_student": 2, **REPORTED,
}  # fmt: skip
MODEL = (
    "{name: New, architecture: {type: albert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64,"
    " embedding_size: 32, max_position_embeddings: 128, dropout: 0.0}, tokenizer: albeto, weights: pretrain,"
    " pretraining: {objective: mlm, optimizer: adamw, learning_rate: '1e-3', batch_size: 8, micro_batch_size: 8, warmup_steps: 2,"
    " total_steps: 12, sequence_length: 48}}"
)
TASK = (
    "{name: POS, type: token_classification, reader: conllu, splits: {train: {sources: [embedded-pos-train]},"
    " validation: {sources: [embedded-pos-dev]}, test: {sources: [embedded-pos-test]}},"
    " labels: [ADJ, ADP, ADV, AUX, CCONJ, DET, INTJ, NOUN, NUM, PART, PRON, PROPN, PUNCT, SCONJ, SYM, VERB, X], metric: seqeval_f1}"
)


class Plans:
    """Dry runs on the finished study."""

    def __init__(self, folder: Path) -> None:
        config: dict[str, Any] = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
        for regime in ("fine_tuning", "distillation"):
            config[regime] |= {"trials_per_job": 1, "tasks_per_scoring_job": 1, "systems_per_scoring_job": 1}
        (folder / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        self.study = Study(folder / "study.yaml", folder)

    def said(self, *options: str) -> str:
        status, said = self.study.run(self.study.finished, ("all",), *options)
        assert status == 0, said[-3000:]
        return said

    def __call__(self, *options: str, project: Path = PROJECT) -> dict[str, int]:
        said = self.said("-n", "--snakefile", str(project / "Snakefile"), *options)
        return planned_jobs(SimpleNamespace(returncode=0, stdout=said, stderr=""))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> Plans:
    folder = tmp_path_factory.mktemp("finished")
    made = Plans(folder)
    names = re.findall(r"^(results/\S+)\t", made.said("--detailed-summary"), re.MULTILINE)
    while names:
        for name in names:
            if Path(name).suffix:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(name)
            else:
                (folder / name).mkdir(parents=True, exist_ok=True)
        reasons = re.findall(
            r"Missing output files: (.*?)(?:;|$)", made.said("-n", "--forceall"), re.MULTILINE
        )
        names = [name for reason in reasons for name in reason.strip().split(", ")]
    made.said("--touch", "--forceall")
    assert made() == {}
    return made


def test_touching_and_checking_out_run_nothing_again(plans: Plans) -> None:
    """New times in any order, the same contents."""
    files = [path for path in plans.study.finished.glob("results/**/*") if path.is_file()]
    random.Random(1).shuffle(files)
    for number, path in enumerate(files):
        os.utime(path, (time.time() + number,) * 2)
    assert plans() == {}


def test_other_code_and_other_libraries_run_nothing_again(plans: Plans, tmp_path: Path) -> None:
    """A comment, an edited command of a rule, an upgrade in an environment, a fresh clone."""
    for name in ("workflow", "rules", "envs", "profiles", "resources"):
        shutil.copytree(PROJECT / name, tmp_path / name, copy_function=shutil.copyfile)
    shutil.copyfile(PROJECT / "Snakefile", tmp_path / "Snakefile")
    shutil.copyfile(PROJECT / "config.yaml", tmp_path / "config.yaml")
    for path in [*tmp_path.glob("workflow/scripts/*.py"), *tmp_path.glob("rules/*.smk")]:
        path.write_text(path.read_text(encoding="utf-8") + "\n# A comment.\n", encoding="utf-8")
    finetune = tmp_path / "rules" / "finetune.smk"
    text = finetune.read_text(encoding="utf-8")
    finetune.write_text(text.replace("finetune.py --config", "finetune.py  --config"), encoding="utf-8")
    for path in tmp_path.glob("envs/*.yaml"):
        path.write_text(re.sub(r"==(\d+)", "==99", path.read_text(encoding="utf-8")), encoding="utf-8")
    assert finetune.read_text(encoding="utf-8") != text + "\n# A comment.\n"
    assert plans(project=tmp_path) == {}


LINES: dict[str, tuple[list[str], dict[str, int]]] = {
    "more memory": (["hardware={training: {memory_mb: 3000}}"], {}),
    "how visibly a model is pretrained": (
        ["models={albeto-base: {pretraining: {log_every: 7, keep_checkpoints: 5, checkpoint_every: 3}}}"],
        {},
    ),
    "the name of a model": (
        ["models={albeto-tiny: {name: Tiny}}"],
        {"measure_efficiency": 1, "measure_speed": 1, **REPORTED},
    ),
    "how often speed is measured": (["speed={timed_runs: 4}"], {"measure_speed": 1, **REPORTED}),
    # One rate for two: three tasks, one trial each.
    "a learning rate of a model": (
        ["models={albeto-tiny: {grid: {learning_rate: ['2e-3']}}}"],
        {"finetune_model": 3, "select_trial": 3, "score_systems": 3, **REPORTED},
    ),
    "the seed of fine-tuning": (
        ["fine_tuning={options: {seed: 7}}"],
        {
            "finetune_model": 18, "score_baseline": 3, "select_trial": 15, "score_systems": 15, "select_teacher": 3,
            "cache_logits": 3, "cache_augmented_logits": 2, "score_static_embeddings": 1, "distill_student": 6, "train_method": 4,
            **REPORTED,
        },
    ),
    "the temperature of distillation": (
        ["distillation={temperature: 2.0}"],
        {"distill_student": 6, "train_method": 4, "select_trial": 6, "score_systems": 6, **REPORTED},
    ),
    "the seed of a pretraining": (
        ["models={albeto-base: {pretraining: {seed: 7}}}"],
        {
            "pretrain_model": 1, "finetune_model": 6, "distill_student": 3, "select_trial": 6, "score_systems": 6,
            **REPORTED,
        },
    ),
    "the recipe of a pretraining": (
        ["models={albeto-base: {pretraining: {total_steps: 13}}}"],
        {
            "pretrain_model": 1, "finetune_model": 6, "distill_student": 3, "select_trial": 6, "score_systems": 6,
            **REPORTED,
        },
    ),
    "the seed of the data": (
        ["seed=7"], {"generate_study": 1, "fetch_source": 11, "prepare_task": 3, "score_baseline": 3, **FROM_THE_CORPUS, "augment_task": 2}
    ),
    "the corpus": (["corpus={parts: [embedded-raw-cuentos, embedded-raw-noticias]}"], FROM_THE_CORPUS),
    "a vocabulary": (
        ["tokenizers={beto-cased: {vocabulary_size: 650}}"],
        {
            "train_tokenizer": 1, "encode_corpus": 1, "encode_task": 3, "encode_augmented_task": 2, "measure_tokenizers": 1,
            "measure_efficiency": 1, "measure_speed": 1, "pretrain_model": 1, "finetune_model": 6, "select_trial": 9,
            "score_systems": 9, "select_teacher": 3, "cache_logits": 3, "cache_augmented_logits": 2, "distill_student": 6,
            "score_static_embeddings": 1, "train_method": 4, **REPORTED,
        },
    ),
    "a share of a task's data": (
        ["tasks={xnli: {splits: {train: {share: [0.0, 0.5]}}}}"], OF_ONE_TASK,
    ),
    "another file for a task": (
        ["tasks={xnli: {splits: {train: {sources: [embedded-pawsx-train]}}}}"], {"fetch_source": 1, **OF_ONE_TASK},
    ),
    "a new model": (
        [f"models={{new: {MODEL}}}"],
        {
            "pretrain_model": 1, "finetune_model": 6, "select_trial": 3, "score_systems": 3, "measure_efficiency": 1,
            "measure_speed": 1, **REPORTED, "make_figure": 8,
        },
    ),
    "a new student": (
        ["distillation={students: {new: {name: New, initial: albeto-base, num_hidden_layers: 1}}}"],
        {
            "distill_student": 3, "select_trial": 3, "score_systems": 3, "measure_efficiency": 1, "measure_speed": 1,
            **REPORTED,
        },
    ),
    "a new task": (
        ["teachers={choices: {pos: beto-cased}}", f"tasks={{pos: {TASK}}}"],
        {
            "fetch_source": 3, "prepare_task": 1, "encode_task": 2, "measure_tokenizers": 1, "score_baseline": 1,
            "finetune_model": 6, "select_trial": 5, "select_teacher": 1, "cache_logits": 1, "distill_student": 2,
            "score_systems": 5, **REPORTED,
        },
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), LINES.values(), ids=LINES)
def test_what_a_change_runs_again_and_nothing_else(
    plans: Plans, changes: list[str], expected: dict[str, int]
) -> None:
    assert plans("--config", *changes) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("make_table", {"make_table": 18, "write_report": 1, "all": 1}),
        (
            "finetune_model",
            {
                "finetune_model": 18, "select_trial": 15, "score_systems": 15, "select_teacher": 3, "cache_logits": 3,
                "cache_augmented_logits": 2, "score_static_embeddings": 1, "distill_student": 6, "train_method": 4, **REPORTED,
                "make_table": 10, "make_figure": 3,
            },
        ),
        (
            "distill_student",
            {"distill_student": 6, "select_trial": 6, "score_systems": 6, **REPORTED, "make_table": 8, "make_figure": 3},
        ),
    ],
)  # fmt: skip
def test_results_of_other_code_are_made_again_on_demand(
    plans: Plans, rule: str, expected: dict[str, int]
) -> None:
    assert plans("--forcerun", rule) == expected
