"""From files to splits: shares, limits, leaked ids, leaks, what prepare_task writes; and the counts of the real data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import read_record
from ligero.settings.jobs import TaskJob
from ligero.settings.sources import Source
from ligero.settings.tasks import Reader, Task
from ligero.tasks.prepare import prepare_task
from ligero.tasks.readers import ReaderContext, read
from ligero.tasks.splits import folded_content, group_position, leaks, load_split

NER = ("O", *(f"{prefix}-{kind}" for kind in ("PER", "ORG", "LOC", "MISC") for prefix in "BI"))
UPOS = (
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
)
NLI = ("entailment", "neutral", "contradiction")
QA = {"type": "question_answering", "metric": "squad_f1"}


def task(reader: Reader, splits: Mapping[str, Mapping[str, Any]], **more: Any) -> Task:
    defaults = {"type": "sequence_classification", "metric": "accuracy", "labels": ["0", "1"]}
    if reader == "squad":
        defaults = dict(QA)
    return Task.model_validate({"name": "t", "reader": reader, "splits": splits, **defaults, **more})


def pawsx_file(path: Path, rows: list[tuple[str, str]]) -> Path:
    lines = [f"{number}\t{one}\t{other}\t{number % 2}" for number, (one, other) in enumerate(rows)]
    path.write_text("\n".join(["id\tsentence1\tsentence2\tlabel", *lines]) + "\n")
    return path


@pytest.fixture
def sixty(tmp_path: Path) -> Path:
    """60 pairs in 20 groups of three that share their first sentence."""
    return pawsx_file(
        tmp_path / "a.tsv", [(f"frase {number // 3}", f"otra {number}") for number in range(60)]
    )


def thirds(**more: Any) -> Task:
    shares = {"train": (0, 0.5), "validation": (0.5, 0.75), "test": (0.75, 1)}
    return task("pawsx", {name: {"sources": ["a"], "share": share} for name, share in shares.items()}, **more)


def test_shares_cut_by_group_and_cover_everything_once(sixty: Path) -> None:
    splits = {name: load_split(thirds(), name, lambda _: sixty) for name in ("train", "validation", "test")}
    ids = [example.id for split in splits.values() for example in split.examples]
    assert sorted(ids, key=int) == [str(number) for number in range(60)]
    groups = [{example.group for example in split.examples} for split in splits.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    note = splits["test"].notes[0]
    assert "by first sentence (share 0.75 to 1); not the published split" in note
    assert all(count == 0 for counts in leaks(splits).values() for count in counts.values())


def repeated_rows(copies: list[str]) -> str:
    """A table with 40 rows of each copy."""
    return (
        "\n".join(["text,label", *(f"{copy.format(n)},{n % 2}" for copy in copies for n in range(40))]) + "\n"
    )


def repeated_sentences(copies: list[str]) -> str:
    """A treebank of sentences that have ids of their own, and no documents."""
    blocks = []
    for copy in copies:
        for number in range(40):
            words = enumerate(copy.format(number).split(), start=1)
            rows = "".join(f"{place}\t{word}\t_\tNOUN" + "\t_" * 6 + "\n" for place, word in words)
            blocks.append(f"# sent_id = s{len(blocks)}\n{rows}")
    return "\n".join([*blocks, ""])


@pytest.mark.parametrize(
    ("reader", "content", "options"),
    [
        ("table", repeated_rows, {}),
        ("conllu", repeated_sentences, {"type": "token_classification", "metric": "token_accuracy", "labels": UPOS}),
    ],
)  # fmt: skip
def test_repeated_texts_fall_into_one_share(
    reader: Reader, content: Callable[[list[str]], str], options: dict[str, Any], tmp_path: Path
) -> None:
    """Three copies of each text, apart by case and white space; there are no documents to be grouped by."""
    path = tmp_path / "a.csv"
    path.write_text(content(["El {}.", "EL  {}.", "el {}. "]))
    shares = {"train": (0, 0.5), "validation": (0.5, 0.75), "test": (0.75, 1)}
    cut = task(
        reader, {name: {"sources": ["a"], "share": share} for name, share in shares.items()}, **options
    )
    splits = {name: load_split(cut, name, lambda _: path) for name in shares}
    texts = [{folded_content(example) for example in split.examples} for split in splits.values()]
    assert [3 * len(found) for found in texts] == [len(split.examples) for split in splits.values()]
    assert all(texts) and len(texts[0] | texts[1] | texts[2]) == 40
    assert "by text (share 0.75 to 1)" in splits["test"].notes[0]


def test_the_position_of_a_group_never_changes() -> None:
    assert group_position("Kirguistán") == pytest.approx(0.50146, abs=1e-5)
    positions = sorted(group_position(str(number)) for number in range(1000))
    assert 0 <= positions[0] < 0.01 and 0.99 < positions[-1] < 1


def test_limit_and_several_sources(tmp_path: Path, sixty: Path) -> None:
    other = pawsx_file(tmp_path / "b.tsv", [("x", "y")])
    spec = {"sources": ["b", "a"], "limit": 3}
    both = task("pawsx", {"train": spec, "validation": spec, "test": spec})
    loaded = load_split(both, "train", lambda source: {"a": sixty, "b": other}[source])
    assert [example.id for example in loaded.examples] == ["b/0", "a/0", "a/1"]
    assert loaded.notes == ["train: only the first 3 of 61 examples"]


def test_leaks_are_counted(tmp_path: Path) -> None:
    files = {
        "train": pawsx_file(tmp_path / "1", [("a", "b"), ("c", "d")]),
        "validation": pawsx_file(tmp_path / "2", [("e", "f")]),
        "test": pawsx_file(tmp_path / "3", [("c", "d"), ("c", "d"), ("d", "c")]),
    }
    plain = task("pawsx", {name: {"sources": [name]} for name in files})
    found = leaks({name: load_split(plain, name, files.__getitem__) for name in files})
    assert found["train_test"] == {"same_id": 0, "same_text": 2}
    assert found["train_validation"] == {"same_id": 0, "same_text": 0}
    same = task("pawsx", {name: {"sources": ["train"]} for name in files})
    found = leaks({name: load_split(same, name, files.__getitem__) for name in files})
    assert found["train_test"] == {"same_id": 2, "same_text": 2}


def test_an_empty_split_and_repeated_ids_are_errors(tmp_path: Path, sixty: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv: the split 'train' is empty"):
        spec = {"sources": ["a"], "share": (0.0, 1e-9)}
        load_split(task("pawsx", {"train": spec, "validation": spec, "test": spec}), "train", lambda _: sixty)
    sixty.write_text("id\tsentence1\tsentence2\tlabel\n1\ta\tb\t1\n1\tc\td\t1\n")
    plain = task("pawsx", {name: {"sources": ["a"]} for name in ("train", "validation", "test")})
    with pytest.raises(DataError, match="id '1' occurs twice"):
        load_split(plain, "train", lambda _: sixty)


def test_a_file_of_one_article_cannot_be_cut(tmp_path: Path) -> None:
    paragraphs = [
        {"context": f"Ana {n} vive en Lugo.", "qas": [{"id": f"q{n}", "question": "¿Dónde?", "answers": [{"text": "Lugo", "answer_start": 14}]}]}
        for n in range(4)
    ]  # fmt: skip
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": paragraphs}]}), encoding="utf-8")
    shares = {"train": (0.0, 0.7), "validation": (0.7, 0.85), "test": (0.85, 1.0)}
    spec = task("squad", {name: {"sources": ["a"], "share": share} for name, share in shares.items()})
    message = r"is empty: its 4 examples are of 1 group \(articles, documents, equal texts\), which are never cut\. Give each article"
    with pytest.raises(DataError, match=message):
        for name in shares:
            load_split(spec, name, lambda _: path)


def test_row_numbers_are_no_ids_to_leave_out(sixty: Path) -> None:
    spec = {"sources": ["a"], "without_ids_of": ["b"]}
    wanted = task("pawsx", {"train": spec, "validation": spec, "test": {"sources": ["a"]}})
    with pytest.raises(
        ConfigurationError, match=r"without_ids_of: reader 'pawsx' numbers .* conllu, mldoc, squad"
    ):
        load_split(wanted, "train", lambda _: sixty)


def prepare(tmp_path: Path, wanted: Task, sources: dict[str, Path], name: str = "out") -> dict[str, Any]:
    job = TaskJob(
        task_id="t",
        task=wanted,
        sources={source: Source(path=path.name, licence="CC0") for source, path in sources.items()},
    )
    folder = next(iter(sources.values())).parent
    return prepare_task(job, folder, tmp_path / name)


def test_prepare_writes_the_same_bits_twice_and_all_or_nothing(tmp_path: Path, sixty: Path) -> None:
    info = prepare(tmp_path, thirds(), {"a": sixty})
    again = prepare(tmp_path, thirds(), {"a": sixty}, "again")
    assert info == again == read_record(tmp_path / "out" / "info.json")
    for split, count in info["counts"].items():
        path = tmp_path / "out" / f"{split}.parquet"
        assert path.read_bytes() == (tmp_path / "again" / f"{split}.parquet").read_bytes()
        table = pq.read_table(path)
        assert table.num_rows == count
        assert table.column_names == ["id", "group", "text", "second_text", "label"]
        assert set(table["label"].to_pylist()) <= {0, 1}
    assert set(info["sources"]) == {"a"} and len(info["sources"]["a"]) == 64
    assert info["licences"] == {"a": "CC0"} and info["citations"] == {}
    assert info["read"] == {"train": 60, "validation": 60, "test": 60}, "what the file holds, before shares"
    sixty.write_text("broken\n")
    with pytest.raises(DataError):
        prepare(tmp_path, thirds(), {"a": sixty}, "never")
    assert not (tmp_path / "never").exists()
    with pytest.raises(DataError, match="source 'b' was not fetched"):
        wanted = task("pawsx", {name: {"sources": ["b"]} for name in ("train", "validation", "test")})
        prepare(tmp_path, wanted, {"b": tmp_path / "absent.tsv"}, "never")


# --- real data: the counts of ../shared/data/README.md ----------------------------------------------------------------

COUNTS: list[tuple[Reader, str, tuple[str, ...], int]] = [
    ("conll2002", "conll2002/esp.train", NER, 8323),
    ("conll2002", "conll2002/esp.testa", NER, 1915),
    ("conll2002", "conll2002/esp.testb", NER, 1517),
    ("conllu", "ud_ancora/es_ancora-ud-dev.conllu", UPOS, 1654),
    ("conllu", "ud_gsd/es_gsd-ud-dev.conllu", UPOS, 1400),
    ("xnli", "xnli/xnli.dev.es.tsv", NLI, 2490),
    ("pawsx", "pawsx/es/dev_2k.tsv", ("0", "1"), 2000),
    ("squad", "mlqa/dev-context-es-question-es.json", (), 500),
    ("squad", "xquad/xquad.es.json", (), 1190),
    ("squad", "squad_es/dev-v1.1-es_small.json", (), 6583),
]


@pytest.mark.parametrize(("reader", "path", "labels", "count"), COUNTS)
def test_real_files_have_the_published_counts(
    reader: Reader, path: str, labels: tuple[str, ...], count: int, shared_data: Path
) -> None:
    found = list(read(reader, shared_data / path, ReaderContext(labels)))
    assert len(found) == len({example.id for example in found}) == count


@pytest.mark.parametrize(("name", "count"), [("train.10000", 9458), ("dev", 1000), ("test", 4000)])
def test_mldoc_indices_say_how_to_get_the_texts(name: str, count: int, shared_data: Path) -> None:
    path = shared_data / "mldoc-indices" / f"spanish.{name}"
    with pytest.raises(DataError, match=f"{count} of {count} documents were not found.*nist.gov"):
        list(read("mldoc", path, ReaderContext(("CCAT", "ECAT", "GCAT", "MCAT"))))


def test_squad_es_without_the_questions_of_xquad(shared_data: Path) -> None:
    files = {"dev": "squad_es/dev-v1.1-es_small.json", "xquad": "xquad/xquad.es.json"}
    spec = {"sources": ["dev"], "without_ids_of": ["xquad"]}
    tar = task("squad", {"train": spec, "validation": spec, "test": {"sources": ["xquad"]}})

    def path_of(source: str) -> Path:
        return shared_data / files[source]

    train, test = load_split(tar, "train", path_of), load_split(tar, "test", path_of)
    assert len(train.examples) == 6583 - 732
    assert "train: 732 examples left out because xquad has their ids" in train.notes
    counts = leaks({"train": train, "validation": train, "test": test})["train_test"]
    assert counts["same_id"] == 0
    leaky = load_split(tar.model_copy(update={"splits": _unfiltered(tar)}), "train", path_of)
    assert leaks({"train": leaky, "validation": train, "test": test})["train_test"]["same_id"] == 732


def _unfiltered(wanted: Task) -> Any:
    train = wanted.splits.train.model_copy(update={"without_ids_of": ()})
    return wanted.splits.model_copy(update={"train": train})
