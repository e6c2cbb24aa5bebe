"""`ligero check`: how a user's file is read, and what is found in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ligero.command.check import _quantiles, findings
from ligero.command.lengths import Lengths
from ligero.command.main import main
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.files import write_text
from ligero.synthetic.table import labelled_texts
from ligero.tasks.examples import ClassificationExample
from tests.builders.user_files import data_of, table, tokenizer_of_letters


def found_in(path: Path, *more: str) -> dict[str, str]:
    data = data_of(str(path), "--text", "texto", "--label", "tema", *more)
    return {
        one.what: f"{one.level}: {one.text} {'; '.join(one.where)}" for one in findings(data, data.load())
    }


def test_a_column_that_is_not_named_lists_those_that_are_there(news: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"--label: name the column of the label in .*\(texto, tema\)"
    ):
        data_of(str(news), "--text", "texto")


def test_questions_without_an_answer_are_left_out_on_demand(tmp_path: Path, news: Path) -> None:
    path = tmp_path / "squad2.json"
    answer = {"answers": [{"text": "ríe", "answer_start": 4}]}
    asked = [
        {"id": str(number), "question": f"¿{number}?", **(answer if number % 3 else {"answers": []})}
        for number in range(90)
    ]
    articles = [{"title": one["id"], "paragraphs": [{"context": "Ana ríe", "qas": [one]}]} for one in asked]
    path.write_text(json.dumps({"data": articles}), encoding="utf-8")
    with pytest.raises(DataError, match=r"30 of 90 questions have no answer .*--unanswerable drop"):
        data_of(str(path))
    data = data_of(str(path), "--unanswerable", "drop")
    assert data.examples == 60 and data.settings() == {"reader": "squad", "unanswerable": "drop"}
    assert sum(len(split.examples) for split in data.load().values()) == 60
    with pytest.raises(ConfigurationError, match=r"--unanswerable: only SQuAD files .* read as table"):
        data_of(str(news), "--text", "texto", "--label", "tema", "--unanswerable", "drop")


def test_an_unknown_ending_asks_for_the_reader(tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("x")
    with pytest.raises(
        ConfigurationError,
        match=r"the name says no format; known endings: \.csv, .*Rename it, or name the format with --reader",
    ):
        data_of(str(tmp_path / "data.txt"))
    (tmp_path / "data.txt").write_text("Ana B-PER\nvive O\n\n" * 10)
    assert data_of(str(tmp_path / "data.txt"), "--reader", "conll2002").labels["O"] == 10


def test_clean_data_has_only_notes(news: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(news), "--text", "texto", "--label", "tema", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {one["level"] for one in answer["findings"]} == {"note"}
    assert sum(answer["counts"].values()) == 200 and answer["labels"]["sociedad"] == 50


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Es una buena informaciÃ³n, Â¿verdad?", "'informaciÃ³n,' for 'información,'"),
        ("Dijo: â€œno lo sÃ©â€\x9d.", "'â€œno' for '“no'"),
        ("¿Información? «Sí», dijo Àngels en São Paulo; 3.ª edición, 25 £ é €.", None),
    ],
)
def test_mojibake_is_found(text: str, found: str | None, tmp_path: Path) -> None:
    rows = [*labelled_texts(1, 120), (text, "sociedad")]
    warned = found_in(table(tmp_path / "a.csv", rows)).get("mojibake", "")
    assert (warned == "") if found is None else (found in warned and warned.endswith("id 120"))


def test_what_check_finds(tmp_path: Path) -> None:
    rows = labelled_texts(1, 120)
    rows += [(rows[0][0], rows[0][1]), (rows[0][0].upper() + " ", rows[0][1])]
    rows += [
        (rows[4][0], "mercados"),
        ("  ", "sociedad"),
        ("Otra cosa.", "Sociedad"),
        ("Más.", "socieda"),
        ("Ya.", "raro"),
    ]
    found = found_in(table(tmp_path / "a.csv", rows))
    assert (
        found["repeated"].startswith("warning: 2 examples repeat an earlier one")
        and "ids 0=120=121" in found["repeated"]
    )
    assert "1 texts have more than one label empresas: id 4; mercados: id 122" in found["contradictions"]
    assert "1 empty texts id 123" in found["empty_texts"]
    assert "2 labels have fewer than 10 training examples Sociedad: 1; socieda: 1" in found["rare_labels"]
    assert found["labels_not_in_train"] == "error: labels without an example in the split train raro"
    assert "near_labels" in found and "small_test" in found


def test_labels_that_say_that_there_is_none(tmp_path: Path) -> None:
    """`none` may be a class, like any word."""
    rows = [(f"Texto {n}.", label) for n in range(20) for label in ("NA", "_", "None", "otro")]
    found = found_in(table(tmp_path / "a.csv", rows))["missing_labels"]
    assert found.startswith("warning: 40 examples") and found.endswith(("NA; _", "_; NA"))


def test_labels_that_nearly_agree(tmp_path: Path) -> None:
    rows = [
        (f"Texto {n}.", label)
        for n in range(20)
        for label in ("Facturación", "facturacion", "norte", "nortes", "alta", "altas", "grupo 1", "grupo 2")
    ]
    data = data_of(str(table(tmp_path / "a.csv", rows)), "--text", "texto", "--label", "tema")
    said = [
        f"{one.text}: {', '.join(one.where)}"
        for one in findings(data, data.load())
        if one.what == "near_labels"
    ]
    assert said == [
        "labels that differ by case, accents, space or punctuation only: 'Facturación', 'facturacion'",
        "labels that differ by one letter: norte, nortes",
    ], "short labels and numbers differ on purpose"


def test_both_marks_of_an_entity_are_one_type(tmp_path: Path) -> None:
    sentences = "".join(f"Ana{n} B-PER\nLuz I-PER\nva O\n\nLima{n} B-LOC\nSur I-LOC\n\n" for n in range(40))
    (tmp_path / "a.conll").write_text(sentences)
    data = data_of(str(tmp_path / "a.conll"))
    splits = data.load()
    assert {one.what for one in findings(data, splits)} == {"small_test", "lengths"}
    assert len(splits["train"].examples) == pytest.approx(56, abs=8), "a small file gives 70 % to training"


@pytest.mark.parametrize(
    ("words", "warned"),
    [(50, None), (600, "4 examples may have more than the 512 tokens that are read")],
)
def test_texts_that_may_be_cut_are_named(tmp_path: Path, words: int, warned: str | None) -> None:
    rows = [*labelled_texts(1, 120), *[(f"{n} " + "sí " * words, "sociedad") for n in range(4)]]
    found = found_in(table(tmp_path / "a.csv", rows)).get("too_long", "")
    assert (found == "") if warned is None else (warned in found and "id 120; id 121" in found)


def test_texts_that_are_cut_are_counted_by_the_models_tokenizer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*labelled_texts(1, 120), *[(f"{n}" + "í" * 499, "sociedad") for n in range(4)]]
    path = str(table(tmp_path / "a.csv", rows))
    model = str(tokenizer_of_letters(tmp_path / "model", 400))
    assert main(["check", path, "--text", "texto", "--label", "tema", "--model", model]) == 0
    said = capsys.readouterr().out
    assert "warning: 4 examples have more than the 400 tokens that are read; their ends are cut off (" in said
    assert "longest 500" in said


def test_both_texts_of_a_pair_count_whole_whatever_the_tokenizer_cuts(tmp_path: Path) -> None:
    model = tokenizer_of_letters(tmp_path / "model")
    pair = ClassificationExample(id="1", group="1", text="a" * 30, second_text="b" * 20, label="x")
    (whole,) = Lengths.counted([pair], model).tokens
    (first,) = Lengths.counted([replace(pair, second_text=None)], model).tokens
    path = model / "tokenizer.json"
    cuts = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    path.write_text(json.dumps({**json.loads(path.read_text()), "truncation": cuts}))
    assert whole >= first + 20 and Lengths.counted([pair], model).tokens == [whole]


def test_what_just_fits_is_not_cut(news: Path) -> None:
    data = data_of(str(news), "--text", "texto", "--label", "tema")
    splits = data.load()
    lengths = Lengths([64] * sum(len(loaded.examples) for loaded in splits.values()), Path("model"))
    for limit, cut in ((64, False), (63, True)):
        found = {one.what for one in findings(data, splits, lengths, limit)}
        assert ("too_long" in found) == cut


def test_quantiles_of_lengths() -> None:
    assert (_quantiles(list(range(101))), _quantiles([7])) == ((50, 95), (7, 7))


def test_contexts_of_questions_are_not_called_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They are read in windows that overlap."""
    paragraphs = [
        {"context": f"Ana vive en Lima{n}. " + "Ríe. " * 300, "qas": [{"id": str(n), "question": "¿Dónde?", "answers": [{"text": f"Lima{n}", "answer_start": 12}]}]}
        for n in range(40)
    ]  # fmt: skip
    articles = [{"title": str(n), "paragraphs": [paragraph]} for n, paragraph in enumerate(paragraphs)]
    write_text(tmp_path / "b.json", json.dumps({"version": "1.1", "data": articles}))
    model = tokenizer_of_letters(tmp_path / "model")
    for more in ([], ["--model", str(model)]):
        assert main(["check", str(tmp_path / "b.json"), *more]) == 0
        assert "cut" not in capsys.readouterr().out


def test_entities_that_training_lacks_or_hardly_has_are_named(tmp_path: Path) -> None:
    """Words of other splits do not help; both marks count."""
    train = ["PER"] * 40 + ["LOC"] * 6 + ["ORG"] * 4
    for name, kinds in (("a", train), ("b", ["PER", "LOC", "DATE"] * 20), ("c", train)):
        sentences = [f"X{name}{n} B-{kind}\nY{n} I-{kind}\nva O\n\n" for n, kind in enumerate(kinds)]
        (tmp_path / f"{name}.conll").write_text("".join(sentences))
    data = data_of(
        str(tmp_path / "a.conll"),
        "--test",
        str(tmp_path / "b.conll"),
        "--validation",
        str(tmp_path / "c.conll"),
    )
    said = {
        one.what: f"{one.level}: {one.text} {'; '.join(one.where)}" for one in findings(data, data.load())
    }
    assert said["labels_not_in_train"] == "warning: labels without a word in the split train DATE"
    assert said["labels_not_in_test"] == "warning: labels without a word in the split test ORG"
    assert said["rare_labels"] == "warning: 1 labels have fewer than 10 words in train ORG: 8"


def test_leaks_between_files(tmp_path: Path) -> None:
    rows = labelled_texts(1, 120)
    train, test = table(tmp_path / "a.csv", rows[:100]), table(tmp_path / "b.csv", [*rows[100:], rows[0]])
    found = found_in(train, "--test", str(test))
    assert "1 examples of test (4.8 %) have the same text as one of train" in found["leak"]


def test_texts_in_the_place_of_labels_are_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", [(f"Texto {n}.", str(n)) for n in range(50)])
    assert found_in(path)["labels_like_texts"].startswith("error: 50 labels for 50 examples")
    assert main(["check", str(path), "--text", "texto", "--label", "tema"]) == 1
    with pytest.raises(LigeroError, match="nothing was trained"):
        main(["train", str(path), "--text", "texto", "--label", "tema", "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_single_label_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every example has the label 'uno'"):
        data_of(
            str(table(tmp_path / "a.csv", [("Sí.", "uno"), ("No.", "uno")])),
            "--text",
            "texto",
            "--label",
            "tema",
        )
