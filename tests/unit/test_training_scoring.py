"""From logits to answers and metrics; baselines; shards of trials from real folders to a scored model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ligero.common.errors import MismatchError
from ligero.common.hashing import digest_file
from ligero.common.records import DamagedError, read_record
from ligero.models.heads import load_selected
from ligero.settings.jobs import ScoringJob, SelectionJob, ShardJob
from ligero.settings.plan import Trial
from ligero.settings.training import TrainingOptions
from ligero.tasks.examples import Answer, ClassificationExample, QuestionExample
from ligero.tokenizers.fast_tokenizer import FastTokenizer
from ligero.training import evaluate
from ligero.training.baselines import frequent_answers, frequent_tags, majority_class, score_baseline
from ligero.training.evaluate import Predictions
from ligero.training.features import EncodedSplit
from ligero.training.logistic_regression import fitted
from ligero.training.ngram_baseline import score_ngrams
from ligero.training.records import TrialRecord, write_shard
from ligero.training.scoring import (
    Examples,
    score_predictions,
    score_record,
    score_selected,
    words_not_read,
    write_answers,
)
from ligero.training.selection import select
from ligero.training.shard import run_shard
from ligero.training.static_embeddings import alone, means, score_static_embeddings
from tests.builders.encoding import TAGGED, encoded, encoder, prepared, task
from tests.builders.exports import selected_model, write_splits
from tests.builders.models import small_architecture

NOTHING = np.zeros(0, np.float32)
ROOT = Path(__file__).parents[2]


def test_tags_are_read_at_first_subwords_and_lost_words_are_outside(tmp_path: Path) -> None:
    kind = "token_classification"
    folder = prepared(tmp_path / "tasks", kind, TAGGED)
    path = encoded(tmp_path, folder, kind, max_length=6)
    split = EncodedSplit.load(path / "test.parquet", "token_classification", TrainingOptions())
    examples = Examples.load(folder / "test.parquet", "token_classification")
    assert split.word_ids.tolist() == [
        -1,
        0,
        0,
        1,
        1,
        -1,
        -1,
        0,
        1,
        1,
        -1,
    ]  # "e" of the first sentence is cut away
    assert words_not_read(split, examples) == 1
    logits = np.zeros((len(split.word_ids), 3), np.float32)
    logits[np.arange(len(logits)), [0, 1, 2, 2, 0, 1, 1, 0, 1, 2, 0]] = 1.0
    answered = score_predictions(
        task(kind), TrainingOptions(), Predictions(logits, NOTHING, NOTHING), split, examples
    )
    assert answered.answers == [["B-X", "I-X", "O"], ["O", "B-X"]]
    assert answered.score == 100.0
    assert answered.every_subword is None
    every = TrainingOptions(label_subwords="all")
    split = EncodedSplit.load(path / "test.parquet", "token_classification", every)
    predictions = Predictions(logits, NOTHING, NOTHING)
    answered = score_predictions(task(kind), every, predictions, split, examples)
    # Subwords: B B I I | O B B against predictions B I I O | O B I. The gold's repeated B starts a chunk anew each time.
    assert answered.every_subword is not None
    assert answered.every_subword.metrics["accuracy"] == pytest.approx(100 * 4 / 7)
    assert answered.score == 100.0
    record = score_record("t", task(kind), answered, seed=42)
    assert record["intervals"]["accuracy"] == [100.0, 100.0]
    assert record["intervals"]["accuracy_every_subword"] == pytest.approx([50.0, 200 / 3])
    written = write_answers(tmp_path, "t", task(kind), answered.answers, examples)
    assert written.read_text() == "ab\tB-X\tB-X\ncd\tI-X\tI-X\ne\tO\tO\n\ne\tO\tO\nab\tB-X\tB-X\n\n"


def test_answers_come_from_the_best_window(tmp_path: Path) -> None:
    kind = "question_answering"
    context = "uno dos tres cuatro cinco seis siete ocho"
    example = QuestionExample("q", "g", context, "que", (Answer("seis", context.index("seis")),))
    folder = prepared(tmp_path / "tasks", kind, [example])
    path = encoded(tmp_path, folder, kind, max_length=24)
    split = EncodedSplit.load(path / "test.parquet", "question_answering", TrainingOptions())
    examples = Examples.load(folder / "test.parquet", "question_answering")
    assert len(split) > 1
    start = np.full(len(split.start), -5.0, np.float32)
    end = start.copy()
    for feature in np.flatnonzero(split.start_position):
        start[split.offsets[feature] + split.start_position[feature]] = 5.0
        end[split.offsets[feature] + split.end_position[feature]] = 5.0
    answered = score_predictions(
        task(kind), TrainingOptions(), Predictions(NOTHING, start, end), split, examples
    )
    assert answered.answers == ["seis"]
    assert answered.scored.metrics["mlqa_exact_match"] == 100.0
    # Its four letters are too long an answer here; its first one is among the 20 best pairs, and not the best one of its window.
    for n_best, expected in ((20, "s"), (1, "u")):
        options = TrainingOptions(max_answer_length=3, n_best=n_best)
        answered = score_predictions(task(kind), options, Predictions(NOTHING, start, end), split, examples)
        assert answered.answers == [expected]


def test_splits_of_other_data_are_refused(tmp_path: Path) -> None:
    kind = "token_classification"
    folder = prepared(tmp_path / "tasks", kind, TAGGED)
    path = encoded(tmp_path, folder, kind, max_length=20)
    split = EncodedSplit.load(path / "test.parquet", "token_classification", TrainingOptions())
    prepared(tmp_path / "other", kind, TAGGED[:1])
    examples = Examples.load(tmp_path / "other" / "t" / "test.parquet", "token_classification")
    logits = np.zeros((len(split.word_ids), 3), np.float32)
    with pytest.raises(MismatchError, match="Encode the task again"):
        score_predictions(
            task(kind), TrainingOptions(), Predictions(logits, NOTHING, NOTHING), split, examples
        )


def columns(**values: list[Any]) -> Examples:
    return Examples(Path("x"), values)


def test_baselines_of_classification_and_tagging() -> None:
    train = columns(id=["1"] * 4, label=[2, 1, 1, 2])
    assert majority_class(("a", "b", "c"), train, columns(id=["1", "2"])) == ["b", "b"]
    tagged = columns(words=[["La", "casa"], ["la", "banca", "banca"]], labels=[[0, 1], [0, 2, 1]])
    found = frequent_tags(("D", "N", "V"), tagged, columns(words=[["la", "LA", "banca", "nuevo"]]))
    # "banca" is N and V once each, and N comes first in the label list; unseen words get the commonest tag of all.
    assert found == [["D", "D", "N", "D"]]


def test_a_words_capitalised_form_says_nothing_about_a_lower_cased_one_that_was_seen() -> None:
    words = [["El", "Gobierno", "del", "Gobierno"], ["un", "gobierno"], ["la", "Banca"]]
    train = columns(words=words, labels=[[0, 1, 0, 1], [0, 0], [0, 1]])
    test = columns(words=[["gobierno", "Gobierno", "GOBIERNO", "banca"]])
    # All occurrences of a word count where this form of it was never seen.
    assert frequent_tags(("O", "B-ORG"), train, test) == [["O", "B-ORG", "B-ORG", "B-ORG"]]


def test_baseline_of_questions_prefers_frequent_answers_that_stand_as_words() -> None:
    answers = [[{"text": "Ana", "start": 0}], [{"text": "Ana", "start": 0}], [{"text": "Luis", "start": 0}]]
    test = columns(context=["La Anaconda y Luis", "Vino Ana.", "Nadie vino a la fiesta"])
    assert frequent_answers(columns(answers=answers), test) == ["Luis", "Ana", "Nadie vino a"]
    later = columns(context=["La Anaconda de Ana y Luis"])
    assert frequent_answers(columns(answers=answers), later) == ["Ana"]


def test_baseline_record(tmp_path: Path) -> None:
    folder = prepared(tmp_path, "token_classification", TAGGED)
    record = score_baseline("t", task("token_classification"), folder)
    assert record["score"] == 100.0 == record["metrics"]["accuracy"] == record["intervals"]["f1"][0]
    assert (record["name"], record["examples"], record["ngrams"]) == (
        "most frequent tag of each word",
        2,
        None,
    )


@pytest.mark.parametrize(
    ("feature", "label", "strength"),
    [(1.0, 1, 100.0), (1.0, 0, 1e-6), (-1.0, 0, 1e-6)],
    ids=["weak", "strong", "tie"],
)
def test_the_strength_that_validates_best_is_taken_and_of_equals_the_first(
    feature: float, label: int, strength: float
) -> None:
    """Strong regularisation says what most examples are, weak what their feature says."""
    seen, validation = np.array([[-1.0]] * 3 + [[1.0]]), Examples(Path(), {"id": ["1"], "label": [label]})
    spec = task("sequence_classification")
    best = fitted(spec, seen, [0, 0, 0, 1], np.array([[feature]]), validation, (1e-6, 100.0))
    assert strength == best.C


@pytest.mark.parametrize("pairs", [False, True], ids=["texts", "second texts"])
def test_ngrams_learn_what_words_say(pairs: bool, tmp_path: Path) -> None:
    texts = {"B-X": "bueno excelente", "I-X": "malo pésimo"}
    examples = []
    for number in range(10):
        for label, text in texts.items():
            said = f"{text.split()[number % 2]} {number}"
            both = (f"es {number}", said) if pairs else (said, None)
            examples.append(ClassificationExample(f"{number}{label}", "g", *both, label))
    folder = prepared(tmp_path, "sequence_classification", examples)
    record = score_ngrams("t", task("sequence_classification"), folder)
    assert record is not None
    assert (record["score"], record["examples"], record["trained_on"]) == (100.0, 20, 20)
    assert record["bytes"] > 4 * record["features"] and record["milliseconds"] > 0


def test_static_embeddings_know_what_words_say_but_not_in_which_order(tmp_path: Path) -> None:
    selected = selected_model(tmp_path, "albert", "sequence_classification", count=2)
    texts = [("ab", "no"), ("ño", "sí"), ("hh", "quizá")]
    examples = [
        ClassificationExample(f"{number}{label}", "g", f"{text} {'cd ' * number}", None, label)
        for number in range(8)
        for text, label in texts
    ]
    folders = {
        "model_dir": selected.model,
        "encoded_dir": selected.encoded,
        "examples_dir": selected.examples,
    }
    write_splits(tmp_path, "sequence_classification", selected.job.task.labels, examples)
    record = score_static_embeddings("t", selected.job.task, "ALBERT", **folders)["scored"]
    assert record is not None
    assert record["name"] == "static embeddings of ALBERT, logistic regression"
    assert (record["score"], record["examples"], record["trained_on"]) == (100.0, 24, 24)
    tokenizer = FastTokenizer.load(selected.model)
    assert record["features"] <= 32 and record["milliseconds"] > 0
    assert record["bytes"] > 4 * record["features"] * tokenizer.vocabulary_size

    order = [("ab ño", "no"), ("ño ab", "sí")]
    examples = [
        ClassificationExample(f"{number}{label}", "g", text, None, label)
        for number in range(8)
        for text, label in order
    ]
    write_splits(tmp_path, "sequence_classification", selected.job.task.labels, examples)
    record = score_static_embeddings("t", selected.job.task, "ALBERT", **folders)["scored"]
    assert record is not None and record["score"] == 50.0

    write_splits(tmp_path, "sequence_classification", selected.job.task.labels, examples[::2])
    assert score_static_embeddings("t", selected.job.task, "ALBERT", **folders) == {
        "scored": None,
        "reason": "all training examples have the same label",
    }


def test_a_piece_alone_has_the_state_between_the_special_tokens(tmp_path: Path) -> None:
    selected = selected_model(tmp_path, "roberta", "sequence_classification", count=2)
    model, tokenizer = (
        load_selected(selected.model, "sequence_classification"),
        FastTokenizer.load(selected.model),
    )
    found = alone(model, np.array([7, 9]), tokenizer)
    with torch.no_grad():
        rows = torch.tensor([[tokenizer.cls, 9, tokenizer.sep]])
        expected = model.roberta(input_ids=rows).last_hidden_state[0, 1]
    np.testing.assert_allclose(found[1], expected, atol=1e-6)
    assert found.shape == (2, 32)
    table = np.eye(3, dtype=np.float32)
    assert means(table, [np.array([0, 0, 1, 2]), np.array([], np.int64)]).tolist() == [
        [0.5, 0.25, 0.25],
        [0, 0, 0],
    ]


def check_a_grid_that_lost_its_best(
    shard: ShardJob,
    selection: SelectionJob,
    run: Any,
    results: list[TrialRecord],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its new best, whose weights were deleted, is trained again; the same trial with the same outcome."""
    trimmed = {"trials": shard.trials[:1]}
    write_shard(folder / "shard-1.json", results[:1])
    smaller, out = selection.model_copy(update=trimmed), folder / "smaller"
    where = folder / "state", folder / "s1.json", out
    with pytest.raises(
        DamagedError, match=r"weights of the best trial are missing.*--forcerun finetune_model"
    ):
        select(smaller, [folder / "shard-1.json"], *where)
    capsys.readouterr()
    again = run(shard.model_copy(update=trimmed))
    assert "the weights of the best trial are missing.\n" in capsys.readouterr().err
    assert [{**result, "seconds": 0} for result in again] == [{**results[0], "seconds": 0}]
    assert run(shard.model_copy(update=trimmed)) == again
    assert select(smaller, [folder / "shard-1.json"], *where)["id"] == results[0]["id"]


def test_from_trials_to_a_score_that_score_py_reproduces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "token_classification"
    folder = prepared(tmp_path / "tasks", kind, TAGGED)
    encoded(tmp_path, folder, kind, max_length=20)
    weights, architecture = tmp_path, small_architecture("albert", 1, intermediate_size=16)
    from ligero.models.build import build_for_pretraining, make_config
    from ligero.models.digests import write_weights_digest

    build_for_pretraining(make_config(architecture, encoder().vocabulary_size, 2)).save_pretrained(weights)
    write_weights_digest(weights)
    trials = [
        Trial(model="m", task="t", batch_size=2, epochs=8, learning_rate=rate, seed=42)
        for rate in ("1e-5", "2e-2")
    ]
    shard = ShardJob(
        regime="fine-tuning",
        model_id="m",
        architecture=architecture,
        num_hidden_layers=None,
        trials=tuple(trials),
        tasks={"t": task(kind)},
        options=TrainingOptions(),
        distillation=None,
    )

    def run(job: ShardJob = shard) -> list[TrialRecord]:
        return run_shard(
            job,
            weights=weights,
            encoded_dir=tmp_path / "encoded",
            examples_dir=tmp_path / "tasks",
            state_dir=tmp_path / "state",
        )

    results = run()
    assert results[0]["best"]["loss"] > results[1]["best"]["loss"]
    folders = [tmp_path / "state" / "t" / trial.id for trial in trials]
    assert [(folder / "best").exists() for folder in folders] == [False, True]  # the loser's weights are gone
    write_shard(tmp_path / "shard-0.json", results)
    recorded = read_record(tmp_path / "shard-0.json")
    told = recorded["settings"]["t"]
    assert told == read_record(folders[0] / "result.json")["settings"]
    assert (told["options"]["weight_decay"], told["options"]["evaluate_every_steps"]) == (0.0, None)
    assert (told["num_hidden_layers"], told["distillation"]) == (1, None)
    assert all("settings" not in result for result in recorded["trials"])
    assert {"python", "torch", "transformers"} == set(recorded["trials"][1]["versions"])
    selection = SelectionJob(
        regime="fine-tuning",
        model_id="m",
        task_id="t",
        metric="seqeval_f1",
        selection_metric="loss",
        trials=tuple(trials),
    )
    models = tmp_path / "models"
    chosen = select(
        selection, [tmp_path / "shard-0.json"], tmp_path / "state", tmp_path / "s.json", models / "m" / "t"
    )
    assert chosen["trial"]["learning_rate"] == "2e-2"
    assert run() == results  # finished trials are not repeated, with or without their weights
    check_a_grid_that_lost_its_best(shard, selection, run, results, tmp_path, capsys)
    scoring = ScoringJob(
        regime="fine-tuning",
        systems={"m": "encoded"},
        tasks={"t": task(kind)},
        options=TrainingOptions(max_words=1, precision="bf16"),  # test sentences are read whole all the same
    )
    tried: list[str] = []

    def full_at_first(*arguments: Any) -> Predictions:
        tried.append(arguments[2])
        if len(tried) == 1:
            raise MemoryError
        return genuine(*arguments)

    genuine = evaluate._predict
    monkeypatch.setattr(evaluate, "_predict", full_at_first)
    for unread in ("train", "validation"):
        (tmp_path / "encoded" / "t" / f"{unread}.parquet").unlink()
        (tmp_path / "tasks" / "t" / f"{unread}.parquet").unlink()
    (record,) = score_selected(
        scoring,
        models_dir=models,
        encoded_root=tmp_path,
        examples_dir=tmp_path / "tasks",
        predictions_dir=tmp_path / "predictions",
    )
    assert record["model"] == "m"
    assert [record["precision"], *tried] == ["bf16"] * 3
    assert record["predictions_digest"] == digest_file(tmp_path / "predictions" / "m" / "t.conll")
    assert set(record["intervals"]) == set(record["metrics"])
    assert (record["words_not_read"], record["halvings"]) == (0, [{"from": 64, "to": 32}])
    gold = tmp_path / "gold.conll"
    lines = (tmp_path / "predictions" / "m" / "t.conll").read_text().splitlines()
    gold.write_text("\n".join("\t".join(line.split("\t")[:2]) for line in lines) + "\n")
    done = subprocess.run(
        [
            sys.executable,
            "workflow/scripts/score.py",
            "tagging",
            "--references",
            str(gold),
            "--predictions",
            str(tmp_path / "predictions" / "m" / "t.conll"),
        ],
        cwd=ROOT,
        env={"PYTHONPATH": "workflow"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["f1"] == pytest.approx(record["score"])
