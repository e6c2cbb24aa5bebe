"""Unlabelled text for distillation: which sentences are taken, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
import zstandard

from ligero.common.errors import ConfigurationError, DataError
from ligero.common.records import digests_of, read_record, write_record
from ligero.settings.checks import _methods
from ligero.settings.jobs import AugmentationJob, ablation_job, augmentation_job, digest
from ligero.settings.load import load_study
from ligero.settings.plan import ablation_runs, augmented_tasks, why_not_applicable, why_not_augmented
from ligero.settings.study import Study
from ligero.tasks.augmentation import augment_task, cut_sentences
from ligero.tasks.examples import IGNORED, ClassificationExample, TaggingExample, write_examples
from ligero.tasks.recombination import pair_key, recombined_pairs

ROOT = Path(__file__).resolve().parents[2]
POCKET = yaml.safe_load((ROOT / "tests/workflow/pocket.yaml").read_text(encoding="utf-8"))
WORDS = [
    "casa",
    "perro",
    "río",
    "verde",
    "árbol",
    "nube",
    "luna",
    "calle",
    "puerta",
    "mesa",
    "silla",
    "libro",
]


def sentence(number: int) -> str:
    """Sentences that differ in their words: the same words with other digits count as known."""
    return f"La {WORDS[number % 12]} y el {WORDS[number // 12 % 12]} de {WORDS[number // 144 % 12]}."


def write_corpus(path: Path, lines: list[str]) -> Path:
    path.write_bytes(zstandard.compress("\n".join(lines).encode() + b"\n"))
    return path


def write_info(folder: Path, counts: dict[str, int]) -> None:
    files = digests_of(folder, (f"{split}.parquet" for split in counts))
    record = {"counts": counts, "digests": dict.fromkeys(counts, "0" * 16), "files": files}
    write_record(folder / "info.json", record)


def write_task(folder: Path, kind: str, texts: dict[str, list[str]], second: str | None = None) -> Path:
    folder.mkdir()
    for split in ("train", "validation", "test"):
        found: list[Any] = []
        for number, text in enumerate(texts.get(split, ["Nada que ver con esto."])):
            if kind == "token_classification":
                words = tuple(text.split())
                found.append(TaggingExample(str(number), str(number), words, ("O",) * len(words)))
            else:
                found.append(ClassificationExample(str(number), str(number), text, second, "O"))
        write_examples(folder / f"{split}.parquet", kind, ["O"], found)  # type: ignore[arg-type]
    counts = {"train": 1, "validation": 1, "test": 1}
    write_info(folder, counts)
    return folder


def job(kind: str = "token_classification", **values: Any) -> AugmentationJob:
    settings = {"ratio": 20.0, "pairs": False, "min_words": 4, "max_words": 12, "seed": 1, **values}
    return AugmentationJob(task_id="ner", task_type=kind, **settings)  # type: ignore[arg-type]


def added(folder: Path) -> list[dict[str, Any]]:
    rows = pq.read_table(folder / "train.parquet").to_pylist()
    return [row for row in rows if row["id"].startswith("unlabelled")]


def test_sentences_follow_the_training_examples_and_carry_no_label(tmp_path: Path) -> None:
    task = write_task(tmp_path / "ner", "token_classification", {})
    corpus = write_corpus(tmp_path / "c.zst", [sentence(number) for number in range(300)])
    info = augment_task(job(), corpus, task, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out/train.parquet").to_pylist()
    assert len(rows) == 21 and rows[0]["words"][0] == "Nada"
    assert all(set(row["labels"]) == {IGNORED} for row in rows[1:])
    assert all(len(row["labels"]) == len(row["words"]) and row["words"][-1] == "." for row in rows[1:])
    assert info["counts"]["train"] == 21 and info == read_record(tmp_path / "out/info.json")
    assert info["digests"]["train"] != "0" * 16 and info["digests"]["test"] == "0" * 16
    for split in ("validation", "test"):
        assert pq.read_table(tmp_path / f"out/{split}.parquet").equals(
            pq.read_table(task / f"{split}.parquet")
        )


def test_the_sample_depends_on_its_seed_alone(tmp_path: Path) -> None:
    task = write_task(tmp_path / "ner", "token_classification", {})
    corpus = write_corpus(tmp_path / "c.zst", [sentence(number) for number in range(300)])
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        augment_task(job(seed=seed), corpus, task, tmp_path / name)
    first, again, other = (added(tmp_path / name) for name in "abc")
    assert first == again != other
    assert (
        read_record(tmp_path / "a/info.json")["digests"] != read_record(tmp_path / "c/info.json")["digests"]
    )


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_sentence_of_the_task_is_not_taken_however_it_is_written(split: str, tmp_path: Path) -> None:
    task = write_task(tmp_path / "ner", "token_classification", {split: ["« la  CASA y el perro de río »"]})
    corpus = write_corpus(tmp_path / "c.zst", ["La casa y el perro de río.", "Otra frase de cinco palabras."])
    info = augment_task(job(), corpus, task, tmp_path / "out")
    assert [row["words"][0] for row in added(tmp_path / "out")] == ["Otra"]
    assert info["augmentation"] == {"examples": 1, "lines": 2, "in_the_task": 1}


def test_copies_and_lengths_outside_the_bounds_are_left_out(tmp_path: Path) -> None:
    task = write_task(tmp_path / "ner", "token_classification", {})
    lines = ["Demasiado corta.", "Esta frase vale mucho.", "¡Esta frase vale mucho!", " ".join(WORDS * 2)]
    augment_task(job(), write_corpus(tmp_path / "c.zst", lines), task, tmp_path / "out")
    assert [row["words"] for row in added(tmp_path / "out")] == [["Esta", "frase", "vale", "mucho", "."]]


def test_single_texts_are_augmented(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "c.zst", [sentence(number) for number in range(50)])
    single = write_task(tmp_path / "single", "sequence_classification", {})
    augment_task(job("sequence_classification"), corpus, single, tmp_path / "out")
    rows = added(tmp_path / "out")
    assert len(rows) == 20 and {(row["label"], row["second_text"]) for row in rows} == {(IGNORED, None)}


PAIRS = [
    ("La casa verde es grande.", "Hay una casa verde."),
    ("La casa roja es grande.", "Hay una casa roja."),
    ("El perro duerme en la calle.", "Un perro duerme."),
    ("El perro corre por la calle.", "Un perro corre."),
]


def write_pairs(folder: Path, pairs: list[tuple[str, str]], test: tuple[str, str]) -> Path:
    folder.mkdir()
    splits = {"train": pairs, "validation": [test], "test": [test]}
    for split, found in splits.items():
        examples = [ClassificationExample(str(n), str(n), *pair, "O") for n, pair in enumerate(found)]
        write_examples(folder / f"{split}.parquet", "sequence_classification", ["O"], examples)
    write_info(folder, {name: len(found) for name, found in splits.items()})
    return folder


def test_new_pairs_join_the_likest_texts_that_do_not_stand_together(tmp_path: Path) -> None:
    task = write_pairs(tmp_path / "pairs", PAIRS, ("Nada.", "Otra cosa."))
    info = augment_task(job("sequence_classification", pairs=True, ratio=1.0), None, task, tmp_path / "out")
    rows = added(tmp_path / "out")
    assert [(row["text"], row["second_text"]) for row in rows] == [
        (PAIRS[0][0], PAIRS[1][1]),
        (PAIRS[1][0], PAIRS[0][1]),
        (PAIRS[2][0], PAIRS[3][1]),
        (PAIRS[3][0], PAIRS[2][1]),
    ]
    assert {row["label"] for row in rows} == {IGNORED}
    assert info["counts"]["train"] == 8 and info["augmentation"] == {"examples": 4}


def test_no_pair_of_any_split_is_made_again_however_it_is_written(tmp_path: Path) -> None:
    test = (PAIRS[0][0].upper(), f"«{PAIRS[1][1]}»")
    task = write_pairs(tmp_path / "pairs", PAIRS, test)
    augment_task(job("sequence_classification", pairs=True, ratio=9.0), None, task, tmp_path / "out")
    made = {(row["text"], row["second_text"]) for row in added(tmp_path / "out")}
    every = {(first, second) for first, _ in PAIRS for _, second in PAIRS}
    assert made == every - set(PAIRS) - {(PAIRS[0][0], PAIRS[1][1])}


def test_texts_that_all_stand_together_already_are_an_error(tmp_path: Path) -> None:
    task = write_pairs(tmp_path / "pairs", PAIRS[:1], PAIRS[0])
    with pytest.raises(DataError, match="no new pair"):
        augment_task(job("sequence_classification", pairs=True), None, task, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_text_is_not_paired_with_itself() -> None:
    pairs = [("Hola", "Adiós"), ("Adiós", "Hola")]
    assert recombined_pairs(pairs, {pair_key(pair) for pair in pairs}, 4, 1) == []


def test_large_sets_are_sampled_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ligero.tasks.recombination.POOL", 30)
    pairs = [(sentence(n), f"Otra frase, {WORDS[n % 12]} número {n}.") for n in range(100)]
    one, again, other = (recombined_pairs(pairs, set(), 50, seed) for seed in (1, 1, 2))
    assert one == again != other and len(set(one)) == 50
    assert len({first for first, _ in one}) == 50 and len({second for _, second in one}) <= 30


def test_a_corpus_without_fitting_sentences_is_an_error(tmp_path: Path) -> None:
    task = write_task(tmp_path / "ner", "token_classification", {})
    with pytest.raises(DataError, match="no sentence of 4 to 12 words"):
        augment_task(job(), write_corpus(tmp_path / "c.zst", ["Corta."]), task, tmp_path / "out")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Uno. Dos. Tres", ["Uno.", "Dos.", "Tres"]),
        ("El Sr. alcalde dijo: «Ven.» Y vino.", ["El Sr. alcalde dijo: «Ven.»", "Y vino."]),
        ("¿Vienes? ¡Claro! Bueno…", ["¿Vienes?", "¡Claro!", "Bueno…"]),
        ("todo en minúsculas. como aquí.", ["todo en minúsculas.", "como aquí."]),
        ("Pi es 3.14 y ya.", ["Pi es 3.14 y ya."]),
        ("", []),
    ],
)
def test_lines_are_cut_into_sentences(line: str, expected: list[str]) -> None:
    assert list(cut_sentences(line)) == expected


# --- in an ablation ----------------------------------------------------------------------------------------------------


def study_with(augmentation: Any = {"ratio": 9}, reference: str = "gold", **method: Any) -> Study:  # noqa: B006
    ablation = {**POCKET["ablation"], "tasks": ["xnli", "ner", "mlqa"]}
    ablation["methods"] = {"gold": {"objective": "gold"}, "more": {"augmented": True, **method}}
    ablation["reference"] = reference
    distillation = {**POCKET["distillation"], "augmentation": augmentation}
    return load_study({**POCKET, "ablation": ablation, "distillation": distillation}, ROOT)


def test_questions_are_not_augmented() -> None:
    study = study_with()
    assert [task for task, method, _ in ablation_runs(study) if method == "more"] == ["xnli", "ner"]
    assert why_not_applicable(study, "mlqa", "more") == why_not_augmented(study.tasks["mlqa"]) is not None
    assert why_not_applicable(study, "mlqa", "gold") is None
    assert augmented_tasks(study) == ["xnli", "ner"]


def test_a_reference_that_a_task_lacks_is_refused() -> None:
    """The table would have nothing to test the other methods against, after all of them were trained."""
    with pytest.raises(
        ConfigurationError, match=r"ablation\.reference: 'more' cannot be used on 'mlqa' .*not questions"
    ):
        study_with(reference="more")


def test_pairs_come_from_the_task_and_sentences_from_the_corpus() -> None:
    assert augmentation_job(study_with(), "xnli").pairs and not augmentation_job(study_with(), "ner").pairs


@pytest.mark.parametrize(
    ("augmentation", "method"),
    [(None, {}), ({"ratio": 9}, {"alpha": 0.5}), ({"ratio": 9}, {"objective": "gold"})],
)
def test_methods_that_cannot_be_augmented_are_refused(augmentation: Any, method: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"ablation\.methods\.more\.augmented"):
        study_with(augmentation, **method)


@pytest.mark.parametrize(("own", "refused"), [({}, True), ({"alpha": 0.0}, False)])
def test_a_method_has_the_alpha_of_distillation_unless_it_says_another(
    own: dict[str, float], refused: bool
) -> None:
    study = study_with(**own)
    assert study.distillation and not [*_methods(study)]
    distillation = study.distillation.model_copy(update={"alpha": 0.5})
    found = [*_methods(study.model_copy(update={"distillation": distillation}))]
    assert any("unlabelled text has no gold labels" in problem for problem in found) == refused


@pytest.mark.parametrize(("task", "refused"), [("xnli", False), ("ner", True), ("mlqa", False)])
def test_only_single_texts_need_a_corpus_to_be_augmented(task: str, refused: bool) -> None:
    study = study_with()
    assert study.ablation
    ablation = study.ablation.model_copy(update={"tasks": (task,)})
    found = [*_methods(study.model_copy(update={"corpus": None, "ablation": ablation}))]
    assert any("requires a corpus" in problem for problem in found) == refused


def test_a_run_without_unlabelled_text_keeps_its_digest() -> None:
    plain, augmented = study_with(augmented=False), study_with()
    assert not ablation_job(plain, "ner", "more", 1).augmented
    assert digest(ablation_job(plain, "ner", "gold", 1)) == digest(ablation_job(augmented, "ner", "gold", 1))
