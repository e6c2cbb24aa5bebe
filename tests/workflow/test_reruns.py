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
    "make_figure": 13,
    "make_summary": 1,
    "measure_tradeoff": 1,
    "write_cards": 1,
    "all": 1,
}
"""Every table, figure and card shows something of every system."""
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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(*line[1:], id=line[0])
        for line in [
            ("more memory", ["hardware={training: {memory_mb: 3000}}"], {}),
        ]
    ],
)
def test_what_a_change_runs_again(plans: Plans, changes: list[str], expected: dict[str, int]) -> None:
    assert plans("--config", *changes) == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("finetune_model", {}), ("prepare_task", {})],
)
def test_results_of_other_code_are_made_again_on_demand(
    plans: Plans, rule: str, expected: dict[str, int]
) -> None:
    assert plans("--forcerun", rule) == expected
