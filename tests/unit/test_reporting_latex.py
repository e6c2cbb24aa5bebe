"""LaTeX of the tables: escapes, rules, bold figures, intervals, notes, the width of a page."""

from __future__ import annotations

import re

import pandas as pd

from ligero.reporting.latex import ROWS_OF_A_PAGE, to_latex
from ligero.reporting.writing import to_markdown


def table(**columns: list[str | None]) -> str:
    return to_latex(pd.DataFrame(columns, dtype=object))


def test_text_is_escaped_and_rules_are_booktabs() -> None:
    text = table(task_name=["50 % & more_", "~#$"], amount=["84.82", "-1.00"])
    assert r"\begin{tabular}{lr}" in text
    assert r"50 \% \& more\_ & 84.82 \\" in text and r"\textasciitilde{}\#\$ & -1.00 \\" in text
    assert [text.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert text.count("{") == text.count("}")


def test_text_means_nothing_to_latex() -> None:
    """OT1 has other signs in the places of some; a `[` or `*` behind the end of a row would belong to it."""
    text = table(
        model=["[beta] A", "*B", "C > 3 | <d>"], score=["1.00", "2.00", "3.00"], notes=["[note]"] * 3
    )
    assert "\n{}[beta] A & 1.00" in text and "\n{}*B & 2.00" in text
    assert r"C \textgreater{} 3 \textbar{} \textless{}d\textgreater{}" in text
    assert r"\footnotesize {}[note]}" in text


def test_the_best_figure_of_each_column_is_bold_but_not_the_baseline() -> None:
    text = table(
        regime=["fine-tuning", "distillation", "baseline"], model=["A", "B", "C"], score=["80.00", "81.50", "99.00"], macs=["1", "2", "3"]
    )  # fmt: skip
    assert r"distillation & B & \textbf{81.50} & 2 \\" in text
    assert text.count(r"\textbf") == 1, "a cost is no figure to be highest in"


def test_figures_that_are_not_printed_yet_are_cut_as_in_the_other_tables() -> None:
    frame = pd.DataFrame({"model": ["A", "B"], "speedup": [18.049967, 2.0]}, dtype=object)
    assert r"A & \textbf{18.0499} \\" in to_latex(frame) and "| 18.0499 |" in to_markdown(frame)
    alone = to_latex(frame[:1])
    assert r"A & 18.0499 \\" in alone, "nothing to be better than"


def test_rows_of_other_tasks_and_costs_are_not_compared() -> None:
    text = table(task=["N", "N", "P", "P"], model=["A", "B", "A", "B"], gain=["1.00", "2.00", "9.00", "8.00"])
    assert re.findall(r"\\textbf\{(.*?)\}", text) == ["2.00", "9.00"]


def test_what_is_lost_is_not_best_where_it_is_most() -> None:
    text = table(model=["A", "B"], most_less_validation_score=["23.39", "1.73"], less_score=["1.00", "2.00"])
    assert r"\textbf" not in text
    assert r"\textbf{2.00}" in table(model=["A", "B"], worthless_f1=["1.00", "2.00"])


def test_intervals_stand_small_beside_their_figures() -> None:
    text = table(model=["A", "B"], score=["80.00", "70.00"], score_interval=["[78.00, 82.00]", None])
    assert r"A & \textbf{80.00} {\tiny [78.00, 82.00]} \\" in text and r"B & 70.00 \\" in text
    assert "interval" not in text


def test_notes_stand_below_with_marks_at_their_rows() -> None:
    text = table(
        model=["A", "B"],
        score=["1.00", "2.00"],
        scale=["miniature"] * 2,
        notes=["cut_short; everywhere", "everywhere"],
    )
    body, below = text.split(r"\end{adjustbox}")
    assert r"A\textsuperscript{a} & 1.00 \\" in body and "everywhere" not in body
    assert r"scale: miniature \\ \textsuperscript{a} cut\_short \\ everywhere" in below


def test_what_every_row_says_goes_below_and_empty_columns_go() -> None:
    text = table(model=["A", "B"], score=["1.00", "2.00"], cpu=["Zen 5", "Zen 5"], gpu=[None, None])
    assert r"\begin{tabular}{lr}" in text and "cpu: Zen 5" in text and "gpu" not in text


def test_a_short_table_is_never_wider_than_the_text() -> None:
    text = table(**{f"column_number_{n}": ["a long cell of words"] for n in range(20)})
    assert r"\begin{adjustbox}{max width=\linewidth}" in text
    assert r"\shortstack{column \\ number 0}" in text


def test_a_long_table_breaks_over_pages_and_repeats_its_head() -> None:
    rows = ROWS_OF_A_PAGE + 1
    text = table(model=[f"M{n}" for n in range(rows)], loss=[f"{n}.00" for n in range(rows)])
    assert r"\begin{longtable}{lr}" in text and r"\endhead" in text and r"{\small" in text
    assert text.count(r"\bottomrule") == 1 and text.count("{") == text.count("}")


def test_a_long_and_wide_table_lies_across() -> None:
    rows = ROWS_OF_A_PAGE + 1
    text = table(**{f"figure{n}": [f"{number}.123456" for number in range(rows)] for n in range(16)})
    assert (
        text.index(r"\begin{landscape}") < text.index(r"\begin{longtable}") < text.index(r"\end{landscape}")
    )
    assert "pdflscape" in text.splitlines()[0] and text.count("{") == text.count("}")
