"""Inputs that look right and are not: each is refused or said, and none becomes a label, a number or a text of its own."""

from __future__ import annotations

import argparse
import json
import os
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit

from ligero.command import train
from ligero.command.main import main
from ligero.common.errors import ConfigurationError, DataError, LigeroError
from ligero.common.files import write_json
from ligero.common.hashing import sha256_file
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml

ROWS = [(f"el servicio fue {'bueno' if number % 2 else 'malo'} {number}", number % 2) for number in range(40)]
CSV = "text,label\n" + "".join(f"{text},{('opinión', 'bueno')[label]}\n" for text, label in ROWS)
JSON = [{"text": text, "label": str(label)} for text, label in ROWS]
CONLL = "".join(f"Ana B-PER\nvive O\nen O\nLima{number} B-LOC\n\n" for number in range(40))
SPOILT = "".join(f'"{text}"\t{label}\n' for text, label in ROWS)
SWALLOWING = '"abierto,bueno\n' + "".join(f"{text},bueno\n" for text, _ in ROWS[:9]) + 'fin",bueno\n'
COLUMNS = ["--text", "text", "--label", "label"]


def lines(*more: str) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in JSON) + "".join(f"{line}\n" for line in more)


def questions(*answers: Any) -> str:
    entries = [{"id": str(n), "question": "¿?", "answers": found} for n, found in enumerate(answers)]
    return json.dumps(
        {"data": [{"title": "t", "paragraphs": [{"context": "Sí \U0001f600 ríe", "qas": entries}]}]}
    )


ERRORS = [
    ("label_with_space.csv", CSV + "otro,bueno \n", r"\.csv:42: labels differ by white space, .*'bueno' \(20\), 'bueno ' \(1\)"),
    ("space_behind_comma.csv", CSV.replace(",", ", "), r"\.csv:3: the label ' bueno' begins or ends with white space\. Remove it, perhaps behind"),
    ("packed.csv.gz", "\x1f\x8b\b", r"packed\.csv\.gz: is a gzip file, not text\. Unpack it: gunzip"),
    ("book.xlsx", "PK\3\4", r"book\.xlsx: is a ZIP archive \(or a workbook"),
    ("label_invisible.csv", CSV + "otro,bueno\u200b\n", "labels differ by white space, invisible"),
    ("label_nfd.csv", CSV + unicodedata.normalize("NFD", "otro,opinión\n"), r"'opini.xf3n' \(20\), 'opinio.u0301n' \(1\)"),
    ("label_decimal.csv", CSV.replace(",bueno", ",1").replace(",opinión", ",0") + "otro,1.0\n", "a decimal .0 only: .*'1'"),
    ("label_empty.csv", CSV + "otro,\notro más,  \n", r"\.csv:42: 2 examples have an empty label"),
    ("label_nan.csv", CSV + "otro,NaN\n", "warning: 1 examples have a label that says that there is none"),
    ("label_list.jsonl", lines('{"text": "a", "label": ["0"]}'), "column 'label' is a JSON list.*several labels are not supported"),
    ("key_twice.jsonl", lines('{"text": "a", "label": "0", "label": "1"}'), r":41: .*the key 'label' occurs twice"),
    ("not_a_number.jsonl", lines('{"text": NaN, "label": "0"}'), r":41: .*NaN is no number of JSON"),
    ("header_only.csv", "text,label\n", r"header_only\.csv: it holds no examples"),
    ("three.csv", "text,label\na,x\nb,y\nc,x\n", r"of the 3 examples of its files none falls into the share 0 to 0.7\. Give each split its own file\.$"),
    ("same_texts.csv", "text,label\n" + "igual,x\nigual,y\n" * 20, r"of 1 group \(articles, documents, equal texts\)"),
    ("quotes.tsv", "text\tlabel\n" + SPOILT, "warning: train: .* cells in double quotes, kept with them"),
    ("swallowed.csv", CSV + SWALLOWING, "warning: .* texts that hold lines with as many separators as a row"),
    ("empty_question.json", questions([{"text": "ríe", "answer_start": 6}]), "answer 'ríe' is not at answer_start 6"),
    ("bilou.conll", CONLL + "Ana U-PER\n\n", "U-PER beside B-LOC: seqeval .*of BILOU, U- is S-"),
    ("no_type.conll", CONLL + "Ana B-\nvive I-\n\n", r"no_type\.conll:201: the tag of 'Ana' ends with its hyphen\. Write which entity"),
    ("comment_above.conll", CONLL + "# esto es\nAna B-PER\n\n", r"comment_above\.conll:201: expected 2 columns .* Of lines with a # only those are comments"),
    ("comment_first.conll", "# esto es\n" + CONLL, r"comment_first\.conll:2: expected 3 columns .* Of lines with a # only those are comments"),
    ("no_dash.conll", CONLL + "Ana BPER\n\n", "BPER beside B-LOC: seqeval"),
    ("treebank.conll", "".join(f"1\tel{n}" + "\t_" * 8 + "\n\n" for n in range(9)), "every example has the label '_'.*CoNLL-U is known by"),
    ("small.conll", "".join(f"Eva{n} b-per\nva o\n\n" for n in range(40)), "labels: b-per, o: seqeval reads O, B- and I- in capitals only"),
    ("one_sentence.conll", CONLL.replace("\n\n", "\n"), "the split 'train' is empty: .* A blank line ends each sentence, or give"),
    ("commas.conll", "Ana,B-PER\n", r"commas\.conll:1: .*found 'Ana,B-PER'\. Columns are separated by spaces or tabs"),
    ("joined.csv", CSV + CSV, r"joined\.csv:42: it is the header once more\. .*were files joined"),
    ("joined.tsv", (CSV + CSV).replace(",", "\t"), r"joined\.tsv:42: it is the header once more"),
    ("label_na.csv", CSV + "otro,N/A\nuno,na\nmás,?\n", r"3 examples have a label that says that there is none; .*\(N/A, na, \?\)"),
    ("commas.jsonl", lines().replace("}\n", "},\n"), r":1: not valid JSON: Extra data\. .*no commas between them"),
    ("lines.json", lines(), r"lines\.json:2: not valid JSON: Extra data\. .*JSON lines are named \*\.jsonl"),
    ("array.json", json.dumps(JSON), r"expected a JSON object with the key 'data' .*with --text and --label\. .*jq -c"),
    ("headed.bio", "token pos\n" + "".join(f"Eva{n} PROPN\nva VERB\n\n" for n in range(40)), r"without a word in the split train \(pos\)"),
    ("words_last.conll", CONLL.replace("B-PER", "O").replace("B-LOC", "O").replace("Ana O", "O Ana").replace("vive O", "O vive")
     .replace("en O", "O en").replace("Lima", "O Lima").replace(" O\n", "\n"), "43 tags for 1 different words"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "said"), ERRORS, ids=[name for name, _, _ in ERRORS])
def test_what_check_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    import re

    path = tmp_path / name
    path.write_text(text, encoding="latin1" if path.suffix == ".gz" else "utf-8")
    of_table = path.suffix in (".csv", ".tsv", ".jsonl")
    try:
        status = main(["check", str(path), *(COLUMNS if of_table else [])])
        found = capsys.readouterr().out
        assert status == ("error: " in found)
    except LigeroError as error:
        found = str(error)
    assert re.search(said, found), found


BLANK = "\u200b \ufeff"


def articles(question: str, answer: str) -> str:
    """Forty, the last of which has this question and this answer."""
    data = [
        {"title": str(n), "paragraphs": [{"context": f"Ana vive en Lima{n}.", "qas": [
            {"id": str(n), "question": question if n == 39 else "¿?", "answers": [{"text": answer if n == 39 else "Lima", "answer_start": 12}]}
        ]}]}
        for n in range(40)
    ]  # fmt: skip
    return json.dumps({"data": data})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", CSV + f"{BLANK},bueno\n", "warning: 1 empty texts (id 40)"),
        ("a.conll", CONLL + f"Ana B-PER\n{BLANK.replace(' ', '')} O\n\n", "warning: 1 empty words (id 40)"),
        ("a.json", articles("", "Lima"), "warning: 1 empty texts (id 39)"),
        (
            "a.json",
            articles("¿?", ""),
            "warning: train: 1 questions left out because all their answers are empty",
        ),
    ],
)
def test_what_shows_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["check", str(tmp_path / name), *(COLUMNS if name == "a.csv" else [])]) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "options", [["--text", "text", "--label", "text"], [*COLUMNS, "--second-text", "text"]]
)
def test_a_column_has_one_part(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(
        ConfigurationError, match=r"a\.csv: text and (label|second_text) are both the column 'text'"
    ):
        main(["check", str(tmp_path / "a.csv"), *options])


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    for name, said in (
        ("folder", "is a folder"),
        ("pipe", "is a pipe or a device; .* Write it into a file"),
        ("none", "no such file"),
    ):
        with pytest.raises(DataError, match=rf"{name}\.csv: {said}"):
            main(["check", str(tmp_path / f"{name}.csv"), *COLUMNS])


@pytest.mark.parametrize("split", ["validation", "test"])
def test_what_is_trained_on_is_not_held_out(tmp_path: Path, split: str) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "b.csv").symlink_to(tmp_path / "a.csv")
    with pytest.raises(ConfigurationError, match=rf"^--{split} .*b\.csv: it is the file that is trained on"):
        main(["check", str(tmp_path / "a.csv"), *COLUMNS, f"--{split}", str(tmp_path / "b.csv")])


def test_a_label_is_wrong_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    (tmp_path / "b.csv").write_text("text,label\na,bueno\nb,opinión \n", encoding="utf-8")
    with pytest.raises(LigeroError, match=r"b\.csv:3: labels differ by white space"):
        main(["check", str(tmp_path / "a.csv"), *COLUMNS, "--validation", str(tmp_path / "b.csv")])


def test_an_array_of_rows(tmp_path: Path) -> None:
    """Without the options it would be refused as another kind of file."""
    (tmp_path / "rows.json").write_text(json.dumps(JSON))
    with pytest.raises(
        ConfigurationError, match=r"^--text, --label: .*rows\.json is read as squad, .* jq -c"
    ):
        main(["check", str(tmp_path / "rows.json"), *COLUMNS])


def test_a_checkpoint_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What to do is said to a command, which has no key `architecture`."""
    (tmp_path / "a.csv").write_text(CSV, encoding="utf-8")
    model = tmp_path / "model"
    model.mkdir()
    check = ["check", str(tmp_path / "a.csv"), *COLUMNS, "--model", str(model)]
    (model / "tokenizer.json").write_text("{")
    with pytest.raises(DataError, match=r"tokenizer\.json: cannot be read: .*Copy the checkpoint again"):
        main(check)
    made = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    made.pre_tokenizer = WhitespaceSplit()  # type: ignore[assignment]
    made.save(str(model / "tokenizer.json"))
    absent = r"config\.json is not there; build or name the folder$"
    with pytest.raises(ConfigurationError, match=f"^--model: .*{absent}"):
        main(check)
    with pytest.raises(ConfigurationError, match=f"^--teacher: .*{absent}"):
        main(["train", str(tmp_path / "a.csv"), *COLUMNS, "--teacher", str(model), "--dry-run"])
    write_json(model / "config.json", {"model_type": "roberta"})
    with pytest.raises(ConfigurationError, match=r"^--model: .*has no hidden_size, .*; name another folder$"):
        main(check)
    sizes = dict.fromkeys(("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size"), 2)
    for kind, positions in (("bert", 4), ("roberta", 6)):
        write_json(model / "config.json", {"model_type": kind, "max_position_embeddings": positions, **sizes})
        main(check)
        assert "40 examples have more than the 4 tokens that are read" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "reader", "line"),
    [
        ("a.txt", "conll2002", []),  # `predict` would take each of its lines for a text
        ("a.CONLL", "conll2002", ["a.CONLL", "--text", "t"]),
        ("a.csv", None, ["a.csv", "--text", "t"]),
    ],
)
def test_the_file_that_is_offered_to_predict(data: str, reader: str | None, line: list[str]) -> None:
    assert train._again(argparse.Namespace(data=data, reader=reader, text="t", second_text=None)) == line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--seed", "-1"], "--seed -1: expected a whole number from 0"),
        (["--cores", "0"], "--cores 0: expected a number above 0"),
        (["--budget", "5ms", "--budget", "7ms"], "--budget 5 ms: there is another limit in ms"),
    ],
)
def test_options_of_train(tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / "texts.csv").write_text(CSV, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        main(["train", str(tmp_path / "texts.csv"), *COLUMNS, "--teacher", "scratch", "--dry-run", *options])


def test_a_file_named_like_the_corpus(tmp_path: Path, project: Path) -> None:
    """Trained from scratch, a task read the corpus of its texts in the place of texts.csv."""
    (tmp_path / "texts.csv").write_text(CSV, encoding="utf-8")
    out = tmp_path / "out"
    arguments = [
        "train",
        str(tmp_path / "texts.csv"),
        *COLUMNS,
        "--teacher",
        "scratch",
        "--dry-run",
        "--out",
        str(out),
    ]
    assert main(arguments) == 0
    study = load_study(read_yaml(out / "study.yaml"), project)
    (source,) = study.tasks["texts"].splits.train.sources
    assert study.sources[source].path == "texts.csv" and source not in (
        study.corpus.parts if study.corpus else ()
    )


def test_columns_named_like_the_corpus(tmp_path: Path, project: Path) -> None:
    """Its copy and the file of its texts were one file."""
    (tmp_path / "texts.txt").write_text(CONLL, encoding="utf-8")
    out = tmp_path / "out"
    options = ["--reader", "conll2002", "--teacher", "scratch", "--dry-run", "--out", str(out)]
    assert main(["train", str(tmp_path / "texts.txt"), *options]) == 0
    study = load_study(read_yaml(out / "study.yaml"), project)
    found = {
        source.path: source.sha256 for source in study.sources.values() if source.path.startswith("texts")
    }
    assert sorted(found) == ["texts-texts.txt", "texts.txt"]
    assert {path: sha256_file(out / "data" / path) for path in found} == found


SETTINGS = [
    ("vocabulary_size: 400", "vocabulary_size: 0400", r":13: 0400 is an octal or sexagesimal number to YAML"),
    ("total_steps: 30", "total_steps: 1:30", r": 1:30 is an octal or sexagesimal number"),
    ("epochs: [3]", "epochs: [yes]", r"fine_tuning\.grid\.epochs\.0: expected a number, found true"),
    ("scale: own", "scale: own\nseed: on", "seed: expected a number, found true"),
    ("scale: own", "scale: own\nseed: -1", "seed: must be at least 0"),
    ("results_dir: results", "results_dir: .", "results_dir: expected a folder of its own"),
    ("results_dir: results", "results_dir: a/../..", "results_dir: expected a folder of its own"),
    ("[O, B-PER,", "[O, 'B-PER ',", r"labels\.1: the label 'B-PER ' begins or ends with white space"),
    ("I-MISC]", "I-MISC, L-MISC]", r"tasks\.ner: labels: L-MISC beside B-LOC: seqeval"),
    (
        "reader: conll2002",
        "reader: conll2002\n    columns: {word: 2, tag: 2}",
        "word and tag are both column 2",
    ),
]


@pytest.mark.parametrize(("old", "new", "said"), SETTINGS, ids=[new for _, new, _ in SETTINGS])
def test_settings_that_yaml_reads_as_others(
    tmp_path: Path, project: Path, old: str, new: str, said: str
) -> None:
    text = (project / "tests" / "faults" / "mini.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "c.yaml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=said):
        load_study(read_yaml(tmp_path / "c.yaml"), project)


def test_a_results_folder_is_written_in_one_way(project: Path) -> None:
    """Snakemake compares paths letter by letter."""
    config = read_yaml(project / "tests" / "faults" / "mini.yaml")
    found = {
        load_study({**config, "results_dir": name}, project).results_dir
        for name in ("results/a", "./results/a", "b/../results/a")
    }
    assert found == {"results/a"}


def test_a_results_folder_holds_nothing_else(
    tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not of a run would be mistaken for its unfinished files."""
    config = read_yaml(project / "tests" / "faults" / "mini.yaml")
    (tmp_path / "mine").mkdir()
    (tmp_path / "study.yaml").touch()
    monkeypatch.chdir(tmp_path / "mine")
    monkeypatch.setenv("HOME", str(tmp_path / "home" / "me"))
    Path.home().mkdir(parents=True)
    wrong = ["/", "/..", "/tmp/..", ".", "..", "a/..", str(tmp_path / "mine"), str(tmp_path), "~", "../home"]
    wrong += [str(project / name) for name in ("", ".git", "workflow", "rules/mine", "resources", ".venv")]
    for name in wrong:
        with pytest.raises(ConfigurationError, match="results_dir: expected a folder of its own"):
            load_study({**config, "results_dir": name.rstrip("/") or "/.."}, project, Path.cwd())
    for name in ("../study.yaml", "../study.yaml/results"):
        with pytest.raises(ConfigurationError, match=r"results_dir: .* but .*/study\.yaml is a file"):
            load_study({**config, "results_dir": name}, project, Path.cwd())
    for name in (
        "results",
        "results..",
        "..results",
        "../results",
        "~/results",
        str(tmp_path / "home/results"),
    ):
        load_study({**config, "results_dir": name}, project)


def test_plan_and_train_are_called_from_anywhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results' place matters where the workflow runs, not where a study is looked at."""
    config = read_yaml(project / "tests" / "faults" / "mini.yaml")
    monkeypatch.chdir(project / "docs")
    assert load_study({**config, "results_dir": "results"}, project).results_dir == "results"
    with pytest.raises(ConfigurationError, match="results_dir: expected a folder of its own"):
        load_study({**config, "results_dir": "results"}, project, project / "docs")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ConfigurationError, match=r"results_dir: .*loop.*; name another folder"):
        load_study({**config, "results_dir": "loop/x"}, project, tmp_path)
