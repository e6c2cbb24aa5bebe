"""Counts that files must hold: the thesis' table of data sets, the real data's, and what a wrong one says."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from ligero.common.errors import DataError
from ligero.settings import jobs
from ligero.settings.load import load_study
from ligero.settings.tasks import Task
from ligero.tasks.examples import TaggingExample
from ligero.tasks.metrics import score_tagging
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.splits import leaks, load_split

PROJECT = Path(__file__).parents[2]
NAMES = ("train", "validation", "test")


def squad_file(path: Path, *answers: str) -> Path:
    questions = [
        {"id": str(number), "question": "¿Qué?", "answers": [{"text": answer, "answer_start": 0}]}
        for number, answer in enumerate(answers)
    ]
    article = {"title": "T", "paragraphs": [{"context": "Ana ríe", "qas": questions}]}
    path.write_text(json.dumps({"data": [article]}))
    return path


def squad_task(**split: Any) -> Task:
    spec = {"sources": ["a"], **split}
    values = {"name": "t", "type": "question_answering", "reader": "squad", "metric": "squad_f1"}
    return Task.model_validate({**values, "splits": dict.fromkeys(NAMES, spec)})


def test_a_wrong_count_names_both_and_the_key(tmp_path: Path) -> None:
    path = squad_file(tmp_path / "a.json", "Ana", "Ana")
    with pytest.raises(
        DataError, match=r"a\.json: the split 'train' \(a\) holds 2 examples, expected 1,003 \(splits"
    ):
        load_split(squad_task(expected=1003), "train", lambda _: path)


def test_files_are_counted_before_anything_is_left_out(tmp_path: Path) -> None:
    path = squad_file(tmp_path / "a.json", "Ana", "", "Ana", "Ana")
    loaded = load_split(squad_task(expected=4, limit=2), "train", lambda _: path)
    assert (loaded.read, len(loaded.examples)) == (4, 2)


def test_an_expectation_re_trains_nothing(default_config: dict[str, Any]) -> None:
    before = load_study(default_config, PROJECT)
    default_config["tasks"]["ner"]["splits"]["train"]["expected"] = 7
    default_config["tasks"]["ner"]["note"] = "read me"
    after = load_study(default_config, PROJECT)
    assert jobs.digest(jobs.task_job(before, "ner")) != jobs.digest(jobs.task_job(after, "ner"))
    for regime, model in (("fine-tuning", "beto-cased"), ("distillation", "albeto-tiny")):
        assert jobs.shard_job(before, regime, model, 0) == jobs.shard_job(after, regime, model, 0)  # type: ignore[arg-type]
        assert jobs.scoring_job(before, regime, "0-0") == jobs.scoring_job(after, regime, "0-0")  # type: ignore[arg-type]


def test_the_published_study_expects_the_counts_of_the_thesis() -> None:
    study = load_study(yaml.safe_load((PROJECT / "config/thesis.yaml").read_text()), PROJECT)
    with (PROJECT / "resources/thesis/datasets.csv").open(newline="") as handle:
        published = {row["dataset"]: row for row in csv.DictReader(handle)}
    assert {task.name for task in study.tasks.values()} == set(published)
    for task in study.tasks.values():
        row = published[task.name]
        assert row["categories"] == (str(len(task.labels)) if task.labels else "-")
        for name, split in task.splits:
            if split.expected != int(row[name]):
                assert row[name] in task.note, f"{task.name}, {name}: the difference is not explained"


def test_the_sample_finds_the_published_counts_in_the_real_files(shared_data: Path) -> None:
    study = load_study(yaml.safe_load((PROJECT / "config/spanish-sample.yaml").read_text()), PROJECT)
    for task_id, task in study.tasks.items():
        loaded = {
            name: load_split(task, name, lambda source: shared_data / study.sources[source].path)
            for name in NAMES
        }
        for name, split in task.splits:
            assert loaded[name].read == split.expected is not None, f"{task_id}, {name}"
        leaked = leaks(loaded)
        assert leaked.keys() == {"train_test", "train_validation", "validation_test"}
        assert leaked["train_test"]["same_id"] == 0, task_id


def test_the_published_study_finds_the_mirrors_mlqa(shared_data: Path) -> None:
    study = load_study(yaml.safe_load((PROJECT / "config/thesis.yaml").read_text()), PROJECT)
    loaded = load_split(
        study.tasks["mlqa"], "validation", lambda source: shared_data / study.sources[source].path
    )
    assert loaded.read == len(loaded.examples) == 500


# --- multiword ranges -------------------------------------------------------------------------------------------------

REST = "\t_" * 6
DEL_PERRO = (
    f"# sent_id = s\n1-2\tdel\t_\t_{REST}\n1\tde\tde\tADP{REST}\n2\tel\tel\tDET{REST}\n"
    f"2.1\tx\tx\tVERB{REST}\n3\tperro\tperro\tNOUN{REST}\n\n"
)
UPOS = ("ADP", "DET", "NOUN", "VERB", "_")


def test_ranges_can_be_kept_as_the_eighteenth_category(tmp_path: Path) -> None:
    (tmp_path / "f").write_text(DEL_PERRO)
    context = ReaderContext(UPOS, keeps_ranges=True)
    (found,) = read("conllu", tmp_path / "f", context)
    assert isinstance(found, TaggingExample)
    assert (found.words, found.labels) == (("del", "de", "el", "perro"), ("_", "ADP", "DET", "NOUN"))
    assert context.notes == {"multiword ranges kept as words with the tag _": 1}
    (tmp_path / "f").write_text(DEL_PERRO.replace("1-2", "2-3"))
    with pytest.raises(DataError, match=r"f:2: expected a range from word 1 to a later one, found '2-3'"):
        list(read("conllu", tmp_path / "f", context))


def test_keeping_ranges_needs_their_label() -> None:
    spec = {"name": "t", "type": "token_classification", "reader": "conllu", "metric": "seqeval_f1"}
    splits = {name: {"sources": ["a"]} for name in NAMES}
    with pytest.raises(ValidationError, match="needs the reader conllu and the label '_'"):
        Task.model_validate({**spec, "splits": splits, "labels": ["X"], "multiword_ranges": "keep"})


def test_the_metric_knows_the_tag_of_ranges() -> None:
    gold = [["_", "ADP", "DET", "NOUN"]]
    assert score_tagging(gold, gold).metrics["f1"] == 100.0
    assert score_tagging(gold, [["NOUN", "ADP", "DET", "NOUN"]]).metrics["f1"] == 75.0


def test_ranges_of_the_real_treebank(shared_data: Path) -> None:
    path = shared_data / "ud_ancora/es_ancora-ud-dev.conllu"
    study = load_study(yaml.safe_load((PROJECT / "config/thesis.yaml").read_text()), PROJECT)
    words = {
        keep: sum(
            len(example.words)
            for example in read("conllu", path, ReaderContext(study.tasks["pos"].labels, keeps_ranges=keep))
            if isinstance(example, TaggingExample)
        )
        for keep in (True, False)
    }
    assert words[True] - words[False] == 175
