"""`ligero why`: the chain of a number, and every number once more from stored answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ligero.command.main import main
from ligero.common.errors import ConfigurationError
from ligero.common.records import DamagedError, read_record, write_listing, write_record
from ligero.efficiency.macs import cost_of
from ligero.efficiency.truncation import short_count
from ligero.reporting.frames import printed
from ligero.reporting.provenance.chain import Chains
from ligero.reporting.provenance.recompute import Recomputation, _counted, two_decimals
from ligero.reporting.provenance.records import Count
from ligero.settings.load import load_study
from ligero.settings.models import Architecture
from ligero.settings.program import write_resolved
from ligero.settings.yaml_files import read_yaml
from tests.builders.provenance import small_study, taught_by_states, write_answered

SHAPE = {
    "type": "albert", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8,
}  # fmt: skip


@pytest.fixture(scope="module")
def made(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a small study."""
    folder = tmp_path_factory.mktemp("study") / "results"
    write_answered(small_study(read_yaml(project / "config.yaml"), project), folder)
    return folder


@pytest.fixture
def results(made: Path, tmp_path: Path) -> Path:
    """A copy of them, free to be changed."""
    return Path(shutil.copytree(made, tmp_path / "results"))


def why(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    status = main(["why", *map(str, arguments)])
    return status, capsys.readouterr().out


@pytest.mark.parametrize(
    ("table", "numbers", "others"),
    # Three systems: parameters, speedup, score and MACs; a baseline's score. 4 x (value, interval), and so on. The answers of n-grams
    # are not kept.
    [
        ("summary.csv", 13, 0), ("tables/text_classification.csv", 8, 4), ("tables/sequence_tagging.csv", 12, 0),
        ("tables/question_answering.csv", 24, 0), ("tables/efficiency.csv", 18, 3),
    ],
)  # fmt: skip
def test_every_number_is_what_the_answers_give(
    made: Path, capsys: pytest.CaptureFixture[str], table: str, numbers: int, others: int
) -> None:
    status, said = why(capsys, made / table, "--all", "--recompute")
    left = f"; {others} that are measured or copied were not recomputed" if others else ""
    assert (status, said) == (
        0,
        f"{made / table}: recomputed {numbers} numbers, {numbers} equal to the digit, 0 not{left}\n",
    )


def test_why_n_grams_are_not_recomputed_is_said(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = why(
        capsys,
        made / "tables/text_classification.csv",
        "without a language model",
        "xnli_accuracy",
        "--recompute",
    )
    assert (
        status == 0
        and "recomputed: no: fitted on the training split" in said
        and "baselines/xnli.json" in said
    )


def test_the_chain_names_everything_behind_a_students_score(
    made: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = why(
        capsys, made / "summary.csv", "ALBETO tiny (distilled)", "score", "--recompute", "--json"
    )
    (chain,) = json.loads(said)
    assert status == 0 and chain["recomputed"] == {"printed": chain["printed"], "equal": True, "problems": []}
    assert [one["task"] for one in chain["measurements"]] == ["xnli", "ner", "sqac"]
    ner = chain["measurements"][1]
    assert ner["predictions"]["path"].endswith("predictions/distillation/albeto-tiny/ner.conll")
    assert ner["predictions"]["state"] == ner["teaching"]["logits"]["state"] == "as recorded"
    assert ner["trial"]["id"] in {candidate["id"] for candidate in ner["trial"]["candidates"]}
    assert ner["trial"]["place"] == 1 and ner["start"]["model"] == "albeto-tiny"
    assert [source["id"] for source in ner["data"]["sources"]] == [
        "embedded-ner-train",
        "embedded-ner-dev",
        "embedded-ner-test",
    ]
    assert {source["licence"] for source in ner["data"]["sources"]} == {"Apache-2.0"}
    assert chain["command"] == (
        f"snakemake --snakefile {project}/Snakefile --configfile=results/config.json --cores all "
        "--forcerun score_systems score_baseline -- results/summary.csv"
    )


@pytest.mark.parametrize("results_dir", ["results", "results/thesis"])
def test_the_command_that_makes_a_number_again_is_for_the_studys_folder(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], results_dir: str
) -> None:
    """Copied, it runs there; the project's own folder has a Snakefile and needs no option."""
    study = small_study(read_yaml(project / "config.yaml"), project)
    study = study.model_copy(update={"results_dir": results_dir})
    root = tmp_path / "mis datos" / results_dir
    write_answered(study, root)
    _, said = why(capsys, root / "summary.csv", "ALBETO tiny (distilled)", "score")
    line = said.strip().splitlines()[-1]
    assert line.endswith(f" -- {results_dir}/summary.csv (in {tmp_path}/mis datos)")
    assert f" --snakefile {project}/Snakefile --configfile={results_dir}/config.json " in line
    at_home = Chains(study, project / results_dir, project)
    assert at_home.folder == project and "--snakefile" not in at_home.command("summary")


def test_whose_states_a_model_learned_from_is_told(
    results: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = small_study(taught_by_states(read_yaml(project / "config.yaml")), project)
    write_resolved(results / "config.json", study)
    _, said = why(capsys, results / "summary.csv", "ALBETO tiny (fine-tuned)", "score")
    assert "encoder: albeto-tiny, pretrained here" in said
    assert "pretrained on the states of: beto-uncased, pretrained here" in said


def test_the_links_of_a_number_are_its_own(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And not those of the trial before it, the task beside it or another regime; each record says something else."""
    selection = results / "selection/distillation/albeto-tiny/xnli.json"
    record = read_record(selection)
    candidates = [
        {**record["candidates"][0], "id": name, "loss": loss}
        for name, loss in (("x", 0.5), ("y", 0.25), ("z", 0.75))
    ]
    best = {"epoch": 1.5, "step": 75, "loss": 0.25, "score": 81.0}
    of = {
        "id": "y",
        "candidates": candidates,
        "best": best,
        "device": "A GPU",
        "seconds": 9.0,
        "seconds_of_best": 3.0,
    }
    write_record(selection, {**record, **of, "trial": {**record["trial"], "seed": 7}, "model_digest": "of y"})
    (shard,) = (results / "trials/distillation/albeto-tiny").glob("*.json")
    record = read_record(shard)
    (trial,) = (one for one in record["trials"] if one["trial"]["task"] == "xnli")
    told = {"threads": 3, "precision": "bf16", "versions": {"torch": "2.13.0"}}
    record["trials"] = [
        {**trial, "id": "x", "digest": "d of x"},
        {**trial, "id": "y", "trial": {**trial["trial"], "task": "ner"}, "digest": "d of ner"},
        {**trial, "id": "y", "digest": "d of y", **told},
    ]
    record["settings"] = {
        task: {"options": {"max_length": len(task)}, "distillation": {"loss": task}}
        for task in ("ner", "xnli")
    }
    write_record(shard, record)
    info = results / "tasks/xnli/info.json"
    more = {
        "counts": {"train": 40, "validation": 10, "test": 30},
        "digests": {"test": "t"},
        "warnings": ["odd"],
    }
    write_record(info, {**read_record(info), **more, "sources": {"embedded-xnli-test": "f" * 64}})
    encoded = {
        "vocabulary": "albeto",
        "encoder": "e",
        "job": {"task_id": "xnli", "max_length": 64},
        "digests": {"test": "u"},
    }
    write_record(results / "encoded/albeto/xnli/info.json", encoded)
    teacher = results / "teachers/xnli.json"
    chosen = {
        "teacher": "beto-uncased",
        "losses": {"beto-uncased": 0.5, "albeto-tiny": None},
        "model_digest": "of BETO",
    }
    write_record(teacher, {**read_record(teacher), **chosen})
    _, said = why(
        capsys,
        results / "tables/text_classification.csv",
        "ALBETO tiny (distilled)",
        "xnli_accuracy",
        "--json",
    )
    ((found,), (_, reference)) = (
        json.loads(said)[0]["measurements"],
        json.loads(
            why(capsys, results / "tables/efficiency.csv", "ALBETO tiny (distilled)", "speedup", "--json")[1]
        )[0]["counts"],
    )
    assert found["trial"] == {
        "id": "y", "place": 2, "chosen_by": "loss", "loss": 0.25, "score": 81.0, "epoch": 1.5, "seed": 7, "candidates": candidates,
        "digest": "d of y", "model_digest": "of y", "device": "A GPU", "seconds": 3.0, **told,
        "options": {"max_length": 4}, "distillation": {"loss": "xnli"},
    }  # fmt: skip
    assert found["vocabulary"] == {"id": "albeto", "sha256": "e", "max_length": 64, "digests": {"test": "u"}}
    data = found["data"]
    assert (data["examples"], data["digests"]) == (more["counts"], {"test": "t"})
    assert data["notes"] == ["leak: 3 examples of test have the same text as one of train", "odd"]
    assert [(one["id"], one["sha256"], one["recorded"]) for one in data["sources"]] == [
        ("embedded-xnli-train", None, False), ("embedded-xnli-dev", None, False), ("embedded-xnli-test", "f" * 64, True),
    ]  # fmt: skip
    teaching = {key: found["teaching"][key] for key in ("name", "rule", "losses", "model_digest", "together")}
    assert teaching == {
        "name": "BETO uncased", "rule": "validation", "losses": chosen["losses"], "model_digest": "of BETO",
        "together": read_record(teacher)["weights"],
    }  # fmt: skip
    start = {
        key: found["start"][key] for key in ("model", "origin", "steps", "tokens", "loss", "unigram_loss")
    }
    assert start == {
        "model": "albeto-tiny", "origin": "pretrained here", "steps": 300, "tokens": 300 * 2048, "loss": 2.4, "unigram_loss": 6.1,
    }  # fmt: skip
    assert (reference["regime"], reference["system"], reference["what"]) == (
        "fine-tuning",
        "beto-uncased",
        "macs",
    )


def test_figures_are_cut_as_in_the_tables_and_the_selected_trial_is_shown(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of more trials than are listed it may have a higher loss than all others, where the score selects."""
    (scores,) = (results / "scores/distillation").glob("*.json")
    record = read_record(scores)
    for one in record["scores"]:
        one["metrics"] = dict.fromkeys(one["metrics"], 84.82999)
        one["intervals"] = {key: [83.567, 85.999] for key in one["intervals"]}
    write_record(scores, record)
    selection = results / "selection/distillation/albeto-tiny/xnli.json"
    record = read_record(selection)
    (chosen,) = record["candidates"]
    others = [{**chosen, "id": f"other-{n}", "loss": -1.0, "score": None} for n in range(9)]
    chosen["score"] = 80.999
    write_record(selection, {**record, "candidates": [*others, chosen], "selection_metric": "score"})
    summary = results / "pretraining/albeto-tiny/summary.json"
    write_record(summary, {**read_record(summary), "validation": {"mlm_loss": 2.45679}})
    table = results / "tables/text_classification.csv"
    _, said = why(capsys, table, "ALBETO tiny (distilled)", "xnli_accuracy")
    assert "95 % interval 83.56 to 85.99" in said and "loss of masked tokens 2.4567," in said
    listed = said.partition("selected trial, 10 of 10, by validation score\n")[2].splitlines()
    assert listed[0].startswith(f"  * {chosen['id']}: loss ") and ", score 80.99, " in listed[0]
    assert listed[1] == "    other-0: loss -1.0000, score -, epoch 2" and "and 2 more" in listed[8]
    _, said = why(capsys, results / "summary.csv", "ALBETO tiny (distilled)", "score")
    assert "  84.8299  83.56 to 85.99  " in said


def test_a_name_alone_finds_the_fine_tuned_and_the_distilled(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, said = why(capsys, made / "summary.csv", "albeto tiny", "score")
    assert "ALBETO tiny (fine-tuned), score:" in said and "ALBETO tiny (distilled), score:" in said
    assert "(as recorded)" in said and "made again by" in said


def test_a_table_is_named_from_its_own_folder(
    made: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made / "tables")
    assert why(capsys, "sequence_tagging.csv", "--all", "--recompute")[0] == 0
    monkeypatch.chdir(made)
    assert why(capsys, "summary.csv", "--all", "--recompute")[0] == 0
    assert why(capsys, "tables/sequence_tagging.csv", "--all", "--recompute")[0] == 0


def test_changed_answers_are_named(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = results / "predictions/fine-tuning/albeto-tiny/xnli.json"
    given = json.loads(answers.read_text())
    first = next(iter(given))
    given[first] = "entailment" if given[first] != "entailment" else "neutral"
    answers.write_text(json.dumps(given))
    status, said = why(capsys, results / "summary.csv", "--all", "--recompute")
    assert status == 1
    assert f"not equal: ALBETO tiny (fine-tuned), score: {answers}: changed since it was scored." in said
    assert "13 numbers, 12 equal to the digit, 1 not" in said


def test_logits_of_another_task_are_refused(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(results / "logits/ner", results / "logits/xnli", dirs_exist_ok=True)
    with pytest.raises(DamagedError, match=r"logits/xnli/meta\.json: its task is 'ner', expected 'xnli'"):
        why(capsys, results / "summary.csv", "ALBETO tiny (distilled)", "score")


def test_a_score_file_is_compared_to_nine_decimals(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table still holds what it gives."""
    (scores,) = (results / "scores/fine-tuning").glob("*.json")
    record = read_record(scores)
    (one,) = (one for one in record["scores"] if (one["model"], one["task"]) == ("albeto-tiny", "xnli"))
    one["metrics"]["accuracy"] += 1e-7
    write_record(scores, record)
    status, said = why(
        capsys,
        results / "tables/text_classification.csv",
        "ALBETO tiny (fine-tuned)",
        "xnli_accuracy",
        "--recompute",
    )
    assert (
        status == 1 and f"{scores}: ALBETO tiny on xnli: it holds " in said and "the table holds" not in said
    )


@pytest.mark.parametrize("value", [84.829, 84.84999999999998, 84.855, 0.0, 100.0, 2 / 3, 99.99999])
def test_a_figure_is_printed_once_more_as_tables_print_it(value: float) -> None:
    assert two_decimals(value) == printed(value)


def test_the_summarys_arithmetic_once_more() -> None:
    """The thesis' where every system takes a GMAC: 43.52 / 2.41, both truncated, is 18.05 times."""

    def again(table: str, column: str, counts: list[int], least: int) -> str:
        efficiency = {"a": {"macs": 43_526_457_600}, "b": {"macs": least}}
        chains: Any = SimpleNamespace(results=SimpleNamespace(study=None, efficiency=efficiency))
        found: Any = [
            Count(
                "fine-tuning",
                "m",
                "m",
                "vocabulary_size",
                0,
                {**SHAPE, "vocab_size": count},
                {"labels": 3, "sequence_length": 8},
            )  # type: ignore[typeddict-item]
            for count in counts
        ]
        return Recomputation(chains)._count(SimpleNamespace(table=table, column=column, counts=found))  # type: ignore[arg-type]

    macs = [2_419_999_999, 43_526_457_600]
    assert again("summary", "speedup", macs, 2_419_999_999) == "18.05x"
    assert again("summary", "speedup", macs, 999_999_999) == "17.98x"
    assert again("efficiency", "thesis_speedup", macs, 999_999_999) == "18.05"
    assert again("efficiency", "speedup", macs, 1) == repr(43_526_457_600 / 2_419_999_999)
    for count in (499, 500, 999_499, 999_500, 1_499_999, 1_500_000):
        assert again("summary", "parameters", [count], 1) == short_count(count)


def test_an_answer_that_is_missing_is_no_score_of_zero(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = results / "predictions/fine-tuning/albeto-tiny/xnli.json"
    given = json.loads(answers.read_text())
    given.popitem()
    answers.write_text(json.dumps(given))
    status, said = why(capsys, results / "summary.csv", "ALBETO tiny (fine-tuned)", "score", "--recompute")
    assert status == 1 and "it answers 29 of 30 test examples" in said


def test_tags_that_were_cut_are_named_and_not_their_rows(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = results / "predictions/fine-tuning/albeto-tiny/ner.conll"
    rows = answers.read_text()
    asked = (results / "summary.csv", "ALBETO tiny (fine-tuned)", "score", "--recompute")
    answers.write_text("".join(row.split("\t")[0] + "\n" for row in rows.splitlines()))
    status, said = why(capsys, *asked)
    assert status == 1 and said.count(str(answers)) == 2  # in the chain and as the one problem
    assert f"{answers}: changed since it was scored." in said
    answers.write_text(rows.partition("\n\n")[2])
    status, said = why(capsys, *asked)
    assert status == 1 and "its sentences have other lengths than those of the test split" in said


def test_an_edited_table_is_found(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = results / "summary.csv"
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[1].split(",")
    was, cells[4] = cells[4], "99.99"
    path.write_text("".join([lines[0], ",".join(cells), *lines[2:]]))
    with pytest.raises(DamagedError, match=r"summary\.csv: it was changed after it was written"):
        why(capsys, path, "BETO uncased (fine-tuned)", "score")
    write_listing(path.with_suffix(".json"), [path.name])  # as if another program had made it so
    status, said = why(capsys, path, "BETO uncased (fine-tuned)", "score", "--recompute")
    assert status == 1 and f"the table holds 99.99, the files give {was}" in said and "NOT EQUAL" in said


def test_of_other_tables_the_files_are_named_and_why_no_more(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = why(
        capsys, made / "tables/inference_speed.csv", "BETO uncased", "cpu_median_ms", "--recompute"
    )
    assert status == 0 and "times are measured" in said and "benchmarks/inference_speed.json" in said


def test_what_is_not_there_is_refused(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        ((made / "summary.csv", "ALBETO tinny (distilled)", "score"), "it has ALBETO tiny (distilled)"),
        ((made / "summary.csv", "ALBETO tiny", "scores"), "no column 'scores'; it has regime, model"),
        ((made / "tables/nothing.csv", "a", "b"), "expected a table of the study, one of corpus.csv"),
        ((made / "summary.csv",), "name a row and a column"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            why(capsys, *arguments)
        assert words in str(refused.value)


@pytest.mark.parametrize("kind", ["albert", "bert", "roberta", "distilbert"])
def test_the_formulas_count_what_thop_counts(kind: Any) -> None:
    shape = Architecture(
        type=kind, vocab_size=530, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=80,
        embedding_size=20 if kind == "albert" else None, max_position_embeddings=70,
    )  # fmt: skip
    cost, conditions = cost_of(shape, 5, 33), {"sequence_length": 33, "labels": 5}
    for what in ("parameters", "macs", "attention_macs", "vocabulary_size"):
        count = Count("fine-tuning", "m", "m", what, 0, shape.model_dump(), conditions)  # type: ignore[arg-type]
        assert _counted(count) == cost[what], what  # type: ignore[literal-required]


def test_the_thesis_counts_follow_from_the_formulas(project: Path) -> None:
    tiny = load_study(read_yaml(project / "config/thesis.yaml"), project).models["albeto-tiny"].architecture
    conditions = {"sequence_length": 512, "labels": 3}
    macs = Count("fine-tuning", "m", "m", "macs", 0, tiny.model_dump(), conditions)  # type: ignore[arg-type]
    assert _counted(macs) // 10**7 == 241  # 2.41 GMAC
