"""Metrics: golden figures worked out by hand, and equality with the libraries and scripts that define them."""

from __future__ import annotations

import random
import re
import string
import subprocess
import sys
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ligero.common.errors import MismatchError
from ligero.tasks.bootstrap import bootstrap, paired_bootstrap
from ligero.tasks.metrics import (
    answer_scores,
    chunks,
    normalize_mlqa_es,
    normalize_squad,
    score_answers,
    score_classification,
    score_tagging,
)
from tests.builders.upos import UPOS

ROOT = Path(__file__).parents[2]
BIO = ["O", *(f"{prefix}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for prefix in "BI")]
ODD = [*BIO, "E-PER", "S-PER", "S-LOC", "I", "B", "O-X", "X"]


def test_accuracy() -> None:
    assert score_classification([0, 1, 2, 1], [0, 1, 1, 1]).metrics == {"accuracy": 75.0}
    with pytest.raises(MismatchError, match="1 predictions for 2 examples"):
        score_classification([0, 1], [0])


# --- tagging ----------------------------------------------------------------------------------------------------------


def test_chunks_of_entities() -> None:
    assert chunks([["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "I-ORG"]]) == [
        {("PER", 0, 1), ("LOC", 3, 3), ("LOC", 4, 4), ("ORG", 5, 5)}
    ]


def test_the_quirk_of_plain_upos() -> None:
    """The first letter is read as a prefix: NOUN NOUN is one chunk OUN, and SCONJ equals CCONJ in type."""
    assert chunks([["NOUN", "NOUN", "VERB"]]) == [{("OUN", 0, 1), ("ERB", 2, 2)}]
    assert chunks([["SCONJ"]]) == chunks([["CCONJ"]]) == [{("CONJ", 0, 0)}]
    gold, predicted = [["DET", "NOUN", "SCONJ", "VERB"]], [["DET", "NOUN", "CCONJ", "VERB"]]
    scores = score_tagging(gold, predicted).metrics
    assert scores["f1"] == 100.0, "the wrong conjunction goes unseen"
    assert scores["accuracy"] == 75.0, "honest token accuracy sees it"


def test_golden_entity_scores() -> None:
    gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-ORG"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["B-ORG", "B-ORG"]]
    scores = score_tagging(gold, predicted).metrics  # 2 of 4 predicted, 2 of 3 gold chunks are right
    assert scores["precision"] == 50.0
    assert scores["recall"] == pytest.approx(200 / 3)
    assert scores["f1"] == pytest.approx(400 / 7)
    assert scores["accuracy"] == pytest.approx(100 * 4 / 6)


@pytest.mark.parametrize("tags", [UPOS, BIO, ODD])
def test_equal_to_seqeval(tags: list[str]) -> None:
    from seqeval import metrics as seqeval

    draw = random.Random(7)
    for _ in range(25):
        gold = [[draw.choice(tags) for _ in range(draw.randint(1, 9))] for _ in range(40)]
        predicted = [[tag if draw.random() < 0.7 else draw.choice(tags) for tag in one] for one in gold]
        scored = score_tagging(gold, predicted)
        ours = scored.metrics
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name in ("f1", "precision", "recall", "accuracy"):
                theirs = getattr(seqeval, f"{name}_score")(gold, predicted)
                assert ours[name] == pytest.approx(100 * theirs, abs=1e-9)
        sums = scored.units.sum(axis=0)
        for name, statistic in scored.statistics.items():
            assert statistic(sums) == pytest.approx(ours[name], abs=1e-9), (
                "the bootstrap's statistics say the same"
            )


def test_tags_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MismatchError, match="sentence 2: 1 predicted tags for 2 words"):
        score_tagging([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(MismatchError, match="1 predicted sentences for 2"):
        score_tagging([["O"], ["O"]], [["O"]])


# --- question answering -----------------------------------------------------------------------------------------------


def test_normalisation() -> None:
    assert normalize_squad("  The ¿«Él»? an   Águila! ") == "¿«él» águila"
    assert normalize_squad("la casa") == "la casa", "Spanish articles stay in SQuAD's rules"
    assert normalize_mlqa_es("  ¿«La Casa»? de los  Águilas… ") == "casa de águilas"
    assert normalize_mlqa_es("the un-el 5,3%") == "the unel 53", "punctuation goes first, and joins words"
    assert normalize_mlqa_es("Él el") == "él", "an accent makes another word"
    assert normalize_mlqa_es("Un una unos unas el la los las") == ""
    assert normalize_mlqa_es("Unas casas de la ciudad") == "casas de ciudad"


GOLDEN = [  # prediction, references, SQuAD (EM, F1), MLQA es (EM, F1)
    ("el río Ebro", ["río Ebro"], (0.0, 4 / 5), (1.0, 1.0)),
    ("«Don Quijote»", ["Don Quijote"], (0.0, 0.0), (1.0, 1.0)),
    ("¡Viva!", ["viva"], (0.0, 0.0), (1.0, 1.0)),
    ("¿Quién?", ["quién"], (0.0, 0.0), (1.0, 1.0)),
    ("ÁVILA", ["Ávila"], (1.0, 1.0), (1.0, 1.0)),
    ("Rio", ["Río"], (0.0, 0.0), (0.0, 0.0)),
    ("1990.", ["en 1990"], (0.0, 2 / 3), (0.0, 2 / 3)),
    ("a casa", ["casa", "a la casa"], (1.0, 1.0), (1.0, 1.0)),
    ("dos dos tres", ["dos tres tres"], (0.0, 2 / 3), (0.0, 2 / 3)),
    ("", ["algo"], (0.0, 0.0), (0.0, 0.0)),
    ("", [""], (1.0, 0.0), (1.0, 0.0)),
    ("los", ["las"], (0.0, 0.0), (1.0, 0.0)),
]


@pytest.mark.parametrize(("prediction", "references", "squad", "mlqa"), GOLDEN)
def test_golden_answers(
    prediction: str, references: list[str], squad: tuple[float, float], mlqa: tuple[float, float]
) -> None:
    assert answer_scores(prediction, references, normalize_squad) == pytest.approx(squad)
    assert answer_scores(prediction, references, normalize_mlqa_es) == pytest.approx(mlqa)


def test_sets_of_answers() -> None:
    references = {"1": ["río Ebro"], "2": ["Ana", "Ana Ruiz"], "3": ["x"], "4": ["y"]}
    predictions = {"1": "el río Ebro", "2": "Ana Ruiz", "3": "z"}
    assert score_answers(references, predictions).metrics == pytest.approx(
        {"exact_match": 25.0, "f1": 45.0, "mlqa_exact_match": 50.0, "mlqa_f1": 50.0}
    )
    with pytest.raises(MismatchError, match="1 predictions for unknown questions, the first is '9'"):
        score_answers(references, {"9": "x"})


def _plain_squad_f1(prediction: str, reference: str) -> float:
    """The definition, word for word: harmonic mean of precision and recall over the multiset of tokens."""

    def tokens(text: str) -> list[str]:
        kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
        return re.sub(r"\b(a|an|the)\b", " ", kept).split()

    given, wanted = tokens(prediction), tokens(reference)
    same = sum((Counter(given) & Counter(wanted)).values())
    return 2 * same / (len(given) + len(wanted)) if same else 0.0


def test_f1_follows_its_definition_on_random_answers() -> None:
    draw = random.Random(3)
    words = ["La", "casa", "the", "an", "¿qué?", "río,", "A", "«sí»", "5.3", "Ñ"]
    for _ in range(500):
        one, other = (" ".join(draw.choices(words, k=draw.randint(0, 6))) for _ in range(2))
        assert answer_scores(one, [other], normalize_squad)[1] == pytest.approx(_plain_squad_f1(one, other))


# --- intervals and paired tests ---------------------------------------------------------------------------------------


def test_intervals_hold_the_figure_and_shrink_with_more_examples() -> None:
    draw = np.random.default_rng(0)
    widths = []
    for size in (100, 10_000):
        scored = score_classification([1] * size, (draw.random(size) < 0.7).astype(int).tolist())
        low, high = scored.intervals()["accuracy"]
        assert low <= scored.metrics["accuracy"] <= high
        assert scored.intervals()["accuracy"] == (low, high), "seeded"
        widths.append(high - low)
    # Binomial: 2 * 1.96 * sqrt(0.7 * 0.3 / n), in percent.
    assert widths[0] == pytest.approx(17.96, rel=0.15)
    assert widths[1] == pytest.approx(1.796, rel=0.15)


def test_the_seed_chooses_the_resamples() -> None:
    scored = score_classification([0] * 20, [0] * 10 + [1] * 10)
    assert scored.intervals(1) == {"accuracy": (25.0, 70.0)}
    assert scored.intervals(42) == {"accuracy": (30.0, 75.0)}


def test_block_size_does_not_change_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    units = np.stack([np.arange(50) % 2, np.ones(50)], axis=1)
    statistic = lambda sums: sums[..., 0] / sums[..., 1]  # noqa: E731
    whole = bootstrap(units, [statistic], samples=100)
    monkeypatch.setattr("ligero.tasks.bootstrap._CELLS_AT_A_TIME", 250)
    assert bootstrap(units, [statistic], samples=100) == whole


def test_paired_test_between_two_taggers() -> None:
    draw = random.Random(5)
    gold = [[draw.choice(BIO) for _ in range(8)] for _ in range(300)]

    def noisy(share: float) -> list[list[str]]:
        return [[tag if draw.random() < share else "O" for tag in sentence] for sentence in gold]

    worse, better = score_tagging(gold, noisy(0.6)), score_tagging(gold, noisy(0.8))
    test = paired_bootstrap(worse.units, better.units, better.statistics["f1"])
    assert test.difference == pytest.approx(better.metrics["f1"] - worse.metrics["f1"])
    assert 0 < test.low < test.difference < test.high and test.p_value < 0.01
    same = paired_bootstrap(worse.units, worse.units, worse.statistics["f1"])
    assert same.difference == 0 and same.p_value == 1.0
    with pytest.raises(MismatchError, match="paired resampling"):
        paired_bootstrap(worse.units, better.units[:10], worse.statistics["f1"])


def test_the_p_value_counts_both_tails() -> None:
    """Better on four examples of five, worse on one: a resample sums 2 K - 5, K from Binomial(5, 0.8).

    It has the other sign where K <= 2, with probability 0.2^5 + 5 * 0.8 * 0.2^4 + 10 * 0.8^2 * 0.2^3 = 0.05792; twice that is
    the p-value. 10,000 resamples estimate it with a standard error of 0.005.
    """
    first, second = (
        np.array([[0.0], [0.0], [0.0], [0.0], [1.0]]),
        np.array([[1.0], [1.0], [1.0], [1.0], [0.0]]),
    )
    mean = lambda sums: sums[..., 0] / 5  # noqa: E731
    test = paired_bootstrap(first, second, mean, samples=10_000)
    assert test.p_value == pytest.approx(0.11584, abs=0.02)
    assert paired_bootstrap(second, first, mean, samples=10_000).p_value == test.p_value


def test_the_interval_of_a_difference_has_95_percent() -> None:
    """Differences of 1 on 60 examples and -1 on 40: 0.2 with a standard error of 0.098; one of 90 % would be 0.04 to 0.36."""
    first = np.array([[0.0]] * 60 + [[1.0]] * 40)
    test = paired_bootstrap(first, 1 - first, lambda sums: sums[..., 0] / 100, samples=10_000)
    assert (test.low, test.high) == pytest.approx((0.0, 0.4), abs=0.005)


def test_no_p_value_is_smaller_than_the_resamples_can_show() -> None:
    test = paired_bootstrap(np.zeros((5, 1)), np.ones((5, 1)), lambda sums: sums[..., 0] / 5, samples=1000)
    assert test.p_value == pytest.approx(2 / 1001)


def test_answers_have_all_intervals() -> None:
    scored = score_answers(
        {str(n): ["la casa"] for n in range(40)}, {str(n): "casa" for n in range(0, 40, 2)}
    )
    assert scored.metrics["mlqa_exact_match"] == 50.0 and scored.metrics["exact_match"] == 0.0
    low, high = scored.intervals()["mlqa_f1"]
    assert 25 < low < 50 < high < 75


def test_scoring_imports_nothing_slow() -> None:
    code = "import sys; import ligero.tasks.metrics; print('sklearn' in sys.modules, 'torch' in sys.modules)"
    environment = {"PYTHONPATH": str(ROOT / "workflow")}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False", "False"]
