"""From logits to answers, and the scoring program on kept predictions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ligero.common.errors import CombinedError, DataError, MismatchError
from ligero.tasks.squad_answers import Window, best_answer, candidates, predict_answers
from ligero.tasks.tagged_files import aligned_tags, read_columns, write_columns

ROOT = Path(__file__).parents[2]
CONTEXT = "Ana nació en León en 1990"
STARTS = [-1, -1, 0, 4, 10, 13, 18, 21, -1]  # [CLS], a word of the question, six words, [SEP]
ENDS = [-1, -1, 3, 9, 12, 17, 20, 25, -1]


def window(starts: dict[int, float], ends: dict[int, float], keep: slice = slice(0, 9)) -> Window:
    start_logits, end_logits = np.full(9, -10.0), np.full(9, -10.0)
    for position, logit in starts.items():
        start_logits[position] = logit
    for position, logit in ends.items():
        end_logits[position] = logit
    return Window(start_logits[keep], end_logits[keep], np.array(STARTS)[keep], np.array(ENDS)[keep])


def test_the_best_span_of_the_context_wins() -> None:
    # [CLS], the question and [SEP] have the highest logits of all, and must not matter.
    found = window({0: 99, 1: 99, 5: 3, 7: 2}, {0: 99, 8: 99, 7: 3, 5: 2.5})
    assert best_answer(CONTEXT, [found]) == "León en 1990"
    assert [(one.text, one.score) for one in candidates(CONTEXT, [found])[:3]] == [
        ("León en 1990", 6.0), ("León", 5.5), ("1990", 5.0),
    ]  # fmt: skip


def test_spans_do_not_run_backwards_or_too_long() -> None:
    found = window({5: 5, 2: 4}, {4: 5, 7: 4.5})
    assert best_answer(CONTEXT, [found], max_answer_length=3) == "León en 1990"
    assert best_answer(CONTEXT, [found], max_answer_length=2) != "León en 1990"
    assert best_answer(CONTEXT, [found], n_best=1, max_answer_length=2) == "", "the only pair runs backwards"


def test_the_best_of_several_windows_and_ties() -> None:
    first = window({2: 1}, {2: 1}, slice(0, 4))
    second = window({5: 2}, {5: 2})
    assert best_answer(CONTEXT, [first, second]) == best_answer(CONTEXT, [second, first]) == "León"
    tied = window({2: 1, 5: 1}, {2: 1, 5: 1})
    assert candidates(CONTEXT, [tied])[0].text == "Ana", "the earlier start, then the earlier end"
    assert len({(one.start, one.end) for one in candidates(CONTEXT, [tied, tied])}) == 20


def test_no_context_no_answer_and_infinite_logits() -> None:
    assert best_answer(CONTEXT, [window({}, {}, slice(0, 2))]) == ""
    assert best_answer(CONTEXT, []) == ""
    found = window({2: float("nan"), 5: 1}, {2: 1, 5: 1})
    assert best_answer(CONTEXT, [found]) == "León"


def test_answers_go_to_their_examples() -> None:
    windows = [window({2: 1}, {2: 1}), window({5: 1}, {5: 1}), window({7: 2}, {7: 2})]
    assert predict_answers([CONTEXT, CONTEXT, CONTEXT], [2, 0, 0], windows) == ["1990", "", "Ana"]


# --- kept predictions -------------------------------------------------------------------------------------------------


def score(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / "score.py"), *map(str, arguments)]
    environment = {"PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_score_qa(tmp_path: Path) -> None:
    entries = [
        {"id": str(number), "question": "?", "answers": [{"text": "el río Ebro", "answer_start": 0}]}
        for number in range(4)
    ]
    squad = {"data": [{"title": "T", "paragraphs": [{"context": "el río Ebro", "qas": entries}]}]}
    (tmp_path / "r.json").write_text(json.dumps(squad))
    (tmp_path / "p.json").write_text(json.dumps({"0": "río Ebro", "1": "el río Ebro", "2": "Ebro"}))
    done = score("qa", "--references", tmp_path / "r.json", "--predictions", tmp_path / "p.json")
    assert done.returncode == 0
    assert "1 of 4 questions have no prediction and count as wrong, the first is 3" in done.stderr
    result = json.loads(done.stdout)
    assert result["squad"] == pytest.approx({"exact_match": 25.0, "f1": 100 * (0.8 + 1 + 0.5) / 4})
    assert result["mlqa_es"] == pytest.approx({"exact_match": 50.0, "f1": 100 * (1 + 1 + 2 / 3) / 4})
    given = {"0": "río Ebro", "1": "el río Ebro", "2": "Ebro"}
    (tmp_path / "p.json").write_text(json.dumps({**given, "nine": "x", "ten": "y"}))
    done = score("qa", "--references", tmp_path / "r.json", "--predictions", tmp_path / "p.json")
    assert "2 predictions for questions" in done.stderr and "the first is nine" in done.stderr
    assert (done.returncode, json.loads(done.stdout)) == (0, result)
    (tmp_path / "p.json").write_text('{"0": "a", "0": "b"}')
    done = score("qa", "--references", tmp_path / "r.json", "--predictions", tmp_path / "p.json")
    assert done.returncode == 2 and "p.json: not valid JSON: the key '0' occurs twice" in done.stderr
    entries[3]["id"] = "0"
    (tmp_path / "r.json").write_text(json.dumps(squad))
    done = score("qa", "--references", tmp_path / "r.json", "--predictions", tmp_path / "p.json")
    assert done.returncode == 2 and "question id '0' occurs twice" in done.stderr


def test_score_tagging(tmp_path: Path) -> None:
    (tmp_path / "gold").write_text("Ana NP B-PER\nvive V O\n\nLeón NP B-LOC\n\n")
    write_columns(
        tmp_path / "p", [["Ana", "vive"], ["León"]], [["B-PER", "O"], ["B-LOC"]], [["B-PER", "O"], ["O"]]
    )
    assert (tmp_path / "p").read_text() == "Ana\tB-PER\tB-PER\nvive\tO\tO\n\nLeón\tB-LOC\tO\n\n"
    done = score("tagging", "--references", tmp_path / "gold", "--predictions", tmp_path / "p")
    assert json.loads(done.stdout) == pytest.approx(
        {"f1": 200 / 3, "precision": 100.0, "recall": 50.0, "accuracy": 200 / 3}
    )
    pair = ("--predictions", tmp_path / "gold", "--against", tmp_path / "p")
    against = json.loads(score("tagging", "--references", tmp_path / "gold", *pair).stdout)["against"]
    assert against["f1"]["difference"] == pytest.approx(100 / 3)
    assert set(against["accuracy"]) == {"difference", "low", "high", "p_value"}


def test_predictions_of_other_words_are_refused_with_their_line(tmp_path: Path) -> None:
    gold, given = tmp_path / "gold", tmp_path / "p"
    gold.write_text("Ana B-PER\nvive O\n\nLeón B-LOC\n\n")
    for text, message in [
        ("Ana B-PER\nvivía O\n\nLeón O\n\n", r"p:2: word 'vivía', but .*gold:2 has 'vive'"),
        ("Ana B-PER\n\nLeón O\n\n", r"p:1: the sentence ends after 1 words, but at .*gold:1 it has 2"),
        ("Ana B-PER\nvive O\n\n", r"p: 1 sentences, but .*gold has 2"),
    ]:
        given.write_text(text)
        with pytest.raises(MismatchError, match=message):
            aligned_tags(gold, given)
    given.write_text("Ana\n\n")
    with pytest.raises(DataError, match=r"p:1: expected columns 'word \.\.\. tag'"):
        read_columns(given)
    given.write_text("".join(f"palabra{number}\n" for number in range(500)))
    with pytest.raises(CombinedError) as refused:
        read_columns(given)
    assert len(refused.value.errors) == 26 and "475 more rows are wrong" in str(refused.value)


def row(number: str, form: str, upos: str) -> str:
    return "\t".join((number, form, "_", upos, *["_"] * 5, "SpaceAfter=No")) + "\n"


@pytest.mark.parametrize("comment", ["# sent_id = a\n", "#sent_id = a\n", "#\n", ""])
@pytest.mark.parametrize("first", ["", row("0.1", "_", "PRON"), row("1-2", "del", "_")])
def test_conllu_is_known_by_whatever_it_begins_with(tmp_path: Path, comment: str, first: str) -> None:
    """Read as columns, its tags would be those of the last one (MISC)."""
    (tmp_path / "g").write_text(comment + first + row("1", "de", "ADP") + row("2", "el", "DET") + "\n")
    (found,) = read_columns(tmp_path / "g")
    assert [(word, tag) for _, word, tag in found] == [("de", "ADP"), ("el", "DET")]


def test_conllu_references(tmp_path: Path) -> None:
    (tmp_path / "g.conllu").write_text(
        "# text = del\n1-2\tdel"
        + "\t_" * 8
        + "\n1\tde\t_\tADP"
        + "\t_" * 6
        + "\n2\tel\t_\tDET"
        + "\t_" * 6
        + "\n\n"
    )
    words = [(3, "de", "ADP"), (4, "el", "DET")]
    assert read_columns(tmp_path / "g.conllu") == [words]
    assert read_columns(tmp_path / "g.conllu", keeps_ranges=True) == [[(2, "del", "_"), *words]]
    # Predictions of a task with `multiword_ranges: keep`, as the study writes them.
    tags = ["_", "ADP", "DET"]
    write_columns(tmp_path / "p.conll", [["del", "de", "el"]], [tags], [["_", "ADP", "ADP"]])
    files = ("tagging", "--references", tmp_path / "g.conllu", "--predictions", tmp_path / "p.conll")
    kept = score(*files, "--multiword-ranges", "keep")
    assert json.loads(kept.stdout)["accuracy"] == pytest.approx(200 / 3)
    assert kept.stderr == ""
    refused = score(*files)
    assert refused.returncode == 2
    assert "p.conll:1: word 'del', but" in refused.stderr and "give --multiword-ranges keep" in refused.stderr
    write_columns(tmp_path / "p.conll", [["de", "la"]], [["ADP", "DET"]], [["ADP", "DET"]])
    assert "--multiword-ranges" not in score(*files).stderr
    write_columns(tmp_path / "p.conll", [["de", "el"]], [["ADP", "DET"]], [["ADP", "D"]])
    assert "g.conllu never has: D\n" in score(*files).stderr
