"""Folders of the user's own: a change in them re-runs what reads them, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.workflow import POCKET, Snakemake, planned_jobs

pytestmark = pytest.mark.slow
TOPICS = ("CCAT", "ECAT", "GCAT", "MCAT")
SPLITS = ("train", "validation", "test")
TASK = "results/tasks/mldoc/info.json"


def document(folder: Path, item: int, words: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{item}newsML.xml").write_text(
        f'<newsitem itemid="{item}"><headline>{words}</headline><text><p>Texto {item}.</p></text><metadata>'
        f'<codes class="bip:topics:1.0"><code code="{TOPICS[item % 4]}"/></codes></metadata></newsitem>'
    )


@pytest.fixture
def reuters(tmp_path: Path) -> Path:
    """A configuration whose task reads Reuters documents from the folder `rcv`, and its working folder."""
    for item in range(12):
        document(tmp_path / "rcv" / "REUTES1", item, "Uno")
    (tmp_path / "mirror").mkdir()
    config: dict[str, Any] = yaml.safe_load(POCKET.read_text(encoding="utf-8"))
    config |= {"mirror": "mirror", "sources": {}}
    splits = {}
    for number, split in enumerate(SPLITS):
        ids = [f"REUTES1-{item}" for item in range(4 * number, 4 * number + 4)]
        (tmp_path / "mirror" / split).write_text("\n".join(ids) + "\n")
        config["sources"][f"ids-{split}"] = {"path": split}
        splits[split] = {"sources": [f"ids-{split}"], "expected": 4}
    config["tasks"]["mldoc"] = {
        "name": "MLDoc", "type": "sequence_classification", "reader": "mldoc", "rcv_dir": "rcv",
        "splits": splits, "labels": list(TOPICS), "metric": "accuracy",
    }  # fmt: skip
    config["teachers"]["choices"]["mldoc"] = "beto-cased"
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return tmp_path


def test_documents_that_change_are_read_again(snakemake: Snakemake, reuters: Path) -> None:
    def run(*arguments: str) -> Any:
        return snakemake(*arguments, "--", TASK, configfile=reuters / "study.yaml", folder=reuters)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert planned_jobs(run("-n")) == {}
    (reuters / "rcv" / "readme.txt").write_text("no document")
    assert planned_jobs(run("-n")) == {}
    document(reuters / "rcv" / "REUTES1", 3, "Dos")
    assert planned_jobs(run("-n")) == {"prepare_task": 1}


def test_without_the_documents_it_says_how_to_obtain_them(snakemake: Snakemake, reuters: Path) -> None:
    (reuters / "rcv").rename(reuters / "elsewhere")
    done = snakemake("--", TASK, configfile=reuters / "study.yaml", folder=reuters)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "nist.gov" in said and "rcv_dir" in said and "Traceback" not in said


def test_local_weights_that_change_are_prepared_again(snakemake: Snakemake, tmp_path: Path) -> None:
    """The files of the folder are inputs of the rule that copies them; here its outputs are made by hand."""
    (tmp_path / "mine").mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / "mine" / name).write_text("{}")
    architecture = (
        "{type: bert, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 1, intermediate_size: 8}"
    )
    change = f"models={{mine: {{name: Mine, weights: local, local: mine, architecture: {architecture}}}}}"
    goal = "results/weights/mine/weights.digest"

    def plan(*arguments: str) -> Any:
        return snakemake(*arguments, "--", goal, config=(change,), folder=tmp_path)

    for name in (
        "config.json",
        "model.safetensors",
        "weights.digest",
        "fast_tokenizer.json",
        "tokenizer_info.json",
    ):
        (tmp_path / "results" / "weights" / "mine").mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / "weights" / "mine" / name).write_text("{}")
    done = plan("--touch")
    assert done.returncode == 0, done.stderr
    assert planned_jobs(plan("-n")) == {}
    later = (tmp_path / goal).stat().st_mtime + 10
    (tmp_path / "mine" / "model.safetensors").write_text("{ }")
    os.utime(tmp_path / "mine" / "model.safetensors", (later, later))
    assert planned_jobs(plan("-n")) == {"prepare_weights": 1}


def test_a_file_of_the_mirror_that_changes_is_refused_until_its_entry_goes(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    mirrored, fetched = tmp_path / "mirror" / "mine.txt", tmp_path / "results" / "sources" / "mine.txt"
    mirrored.parent.mkdir()
    mirrored.write_text("Uno.\n")
    settings = ("mirror=mirror", "sources={mine: {path: mine.txt}}")

    def run(*arguments: str) -> Any:
        return snakemake(*arguments, "--", "results/sources/mine.txt", config=settings, folder=tmp_path)

    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    later = fetched.stat().st_mtime + 10
    os.utime(mirrored, (later, later))
    assert planned_jobs(run("-n")) == {}, "only touched"
    mirrored.write_text("Dos.\n")
    os.utime(mirrored, (later, later))
    for arguments in ((), ("-n",)):
        done = run(*arguments)
        said = done.stdout + done.stderr
        assert done.returncode != 0 and "remove 'mine' there" in said
        assert fetched.read_text() == "Uno.\n"
    (tmp_path / "results" / "sources.lock.json").write_text("{}")
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert fetched.read_text() == "Dos.\n"


def test_weights_of_the_same_shape_made_elsewhere_re_run_what_starts_from_them(
    snakemake: Snakemake, tmp_path: Path
) -> None:
    """Outputs are made by hand; Snakemake notes the inputs' checksums with --touch."""
    goals = (
        "results/trials/fine-tuning/albeto-tiny/shard-0.json",
        "results/trials/distillation/albeto-tiny/shard-0.json",
        "results/ablation/ner/fine-tuned/seed-1.json",
    )

    def run(*arguments: str) -> Any:
        allowed = ("finetune_model", "distill_student", "train_method")
        return snakemake(*arguments, "--allowed-rules", *allowed, "--", *goals, folder=tmp_path)

    results = tmp_path / "results"
    made = [
        f"pretrained/albeto-tiny/{name}" for name in ("config.json", "model.safetensors", "weights.digest")
    ]
    for task in ("xnli", "ner", "mlqa"):
        made += [f"{kind}/{task}/{split}.parquet" for kind in ("tasks", "encoded/albeto") for split in SPLITS]
        made.append(f"logits/{task}/meta.json")
    for path in (*(results / name for name in made), *(tmp_path / goal for goal in goals)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    done = run("--touch", "--forceall")
    assert done.returncode == 0, done.stdout + done.stderr
    later = (tmp_path / goals[0]).stat().st_mtime + 10
    for name in ("config.json", "weights.digest"):
        os.utime(results / "pretrained/albeto-tiny" / name, (later, later))
    assert planned_jobs(run("-n")) == {}
    (results / "pretrained/albeto-tiny/weights.digest").write_text("other\n")
    os.utime(results / "pretrained/albeto-tiny/weights.digest", (later, later))
    assert planned_jobs(run("-n")) == {"finetune_model": 1, "distill_student": 1, "train_method": 1}
