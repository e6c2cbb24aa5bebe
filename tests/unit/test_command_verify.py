"""`ligero verify`: what was changed or belongs elsewhere, and the command that puts it right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ligero.command.main import main
from ligero.common.files import write_json, write_text
from ligero.common.hashing import digest_file, sha256_file
from ligero.common.records import DamagedError, write_listing, write_record
from ligero.models.digests import write_weights_digest
from ligero.reporting.artefact_digests import CARDS_REMEDY, verify_results
from ligero.settings.load import load_study
from ligero.settings.program import write_resolved
from ligero.settings.yaml_files import read_yaml
from ligero.training.scoring import SCORE_REMEDY
from tests.builders.results import write_artefacts


def test_verify_finds_what_was_changed(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results = tmp_path / "study" / "results"
    write_artefacts(study, results)
    write_resolved(results / "config.json", study)
    baseline = results / "baselines" / "complaints.json"
    before = json.loads(baseline.read_text())
    assert str(baseline) not in json.dumps(_verified(tmp_path / "study", capsys)["findings"])
    baseline.write_text(json.dumps({**before, "score": 99.0}))
    (found,) = [
        one for one in _verified(tmp_path / "study", capsys)["findings"] if one["path"] == str(baseline)
    ]
    assert "it was changed after it was written" in found["problem"]
    assert main(["verify", str(results), "--json"]) == main(["verify", str(results)]) == 1
    assert f"{baseline}: it was changed" in capsys.readouterr().out


def test_remedies_are_commands_that_do_something(project: Path, tmp_path: Path) -> None:
    """Snakemake has nothing to do where only the configuration, or one card in a folder of them, is missing."""
    study = load_study(read_yaml(project / "config" / "own-task.yaml"), project)
    results = tmp_path / "study" / "results"
    write_resolved(results / "config.json", study)
    card = results / "cards" / "fine-tuning" / "m" / "t.md"
    write_text(card, "card")
    write_listing(results / "cards" / "digests.json", ["fine-tuning/m/t.md"])
    trial = results / "state" / "distillation" / "s" / "t" / "x"
    of = {"trial": {"model": "s", "task": "t"}, "id": "x"}
    write_record(trial / "result.json", {**of, "weights_digest": "w"})
    (trial / "best").mkdir()
    (trial / "best" / "config.json").write_text("{}")
    (trial / "best" / "model.safetensors").write_bytes(b"weights")
    write_weights_digest(trial / "best")
    card.write_text("another card")
    config = results / "config.json"
    config.write_text(config.read_text().replace('"seed": 42', '"seed": 43', 1))
    assert {one.path.name: one.remedy for one in verify_results(results).findings} == {
        "t.md": "Write the cards again: snakemake --forcerun write_cards.",
        "config.json": "Start snakemake again, which writes it anew; if nothing is to be done, with --forcerun make_summary.",
        "best": "Run its trials again: snakemake --forcerun distill_student.",
    }
    with pytest.raises(DamagedError, match="with --forcerun make_summary"):
        main(["verify", str(results)])
    (results / "cards" / "digests.json").unlink()
    (found,) = [one for one in verify_results(results).findings if "cards" in one.path.parts]
    assert (found.path, found.remedy) == (results / "cards" / "digests.json", CARDS_REMEDY)


@pytest.mark.parametrize(
    ("model", "distillation", "finding"),
    [
        ("m", None, None),
        ("other", None, "its model is 'other'"),
        ("m", {"loss": "kl"}, "it is not of fine-tuning"),
    ],
)
def test_the_trials_of_another_shard_are_found(
    model: str, distillation: dict[str, str] | None, finding: str | None, tmp_path: Path
) -> None:
    shard = {"settings": {"t": {"distillation": distillation}}, "trials": [{"trial": {"model": model}}]}
    write_record(tmp_path / "trials" / "fine-tuning" / "m" / "shard-0.json", shard)
    found = verify_results(tmp_path).findings
    assert [finding in one.problem for one in found] == ([True] if finding else [])
    assert all(one.remedy == "Run its trials again: snakemake --forcerun finetune_model." for one in found)


def test_scores_in_the_place_of_others_are_found(tmp_path: Path) -> None:
    run = {"task": "t", "method": "kl", "seed": 1}
    write_record(tmp_path / "ablation" / "t" / "kl" / "seed-1.json", run)
    write_record(tmp_path / "static_embeddings" / "t.json", {"scored": {"task": "t"}, "reason": ""})
    write_record(tmp_path / "static_embeddings" / "u.json", {"scored": None, "reason": "one label"})
    for folder in ("logits", "augmented/logits"):
        write_record(tmp_path / folder / "t" / "meta.json", {"task": "t", "teacher": "m"})
    assert not verify_results(tmp_path).findings
    write_record(tmp_path / "ablation" / "t" / "kl" / "seed-2.json", run)
    write_record(tmp_path / "ablation" / "t" / "mse" / "seed-1.json", run)
    write_record(tmp_path / "static_embeddings" / "v.json", {"scored": {"task": "t"}, "reason": ""})
    for folder, task in (("logits", "v"), ("augmented/logits", "w")):
        write_record(tmp_path / folder / task / "meta.json", {"task": "t", "teacher": "m"})
    assert {"/".join(one.path.parts[-2:]): one.problem for one in verify_results(tmp_path).findings} == {
        "kl/seed-2.json": "it belongs elsewhere: its seed is 1.",
        "mse/seed-1.json": "it belongs elsewhere: its method is 'kl'.",
        "static_embeddings/v.json": "it belongs elsewhere: its task is 't'.",
        "v/meta.json": "it belongs elsewhere: its task is 't'.",
        "w/meta.json": "it belongs elsewhere: its task is 't'.",
    }


@pytest.mark.parametrize("damage", [lambda path: path.write_text("Ana O\n"), Path.unlink])
def test_answers_of_an_ablation_are_compared_with_its_run(
    project: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    study = load_study(read_yaml(project / "config.yaml"), project)
    answers = tmp_path / "predictions/ablation/kl/seed-1/ner.conll"
    write_text(answers, "Ana B-PER\n")
    run = {"task": "ner", "method": "kl", "seed": 1, "predictions_digest": digest_file(answers)}
    write_record(tmp_path / "ablation/ner/kl/seed-1.json", run)
    assert not verify_results(tmp_path, study).findings
    damage(answers)
    (found,) = verify_results(tmp_path, study).findings
    assert (found.path, found.remedy) == (answers, "Run it again: snakemake --forcerun train_method.")
    without = study.model_copy(update={"tasks": {k: v for k, v in study.tasks.items() if k != "ner"}})
    assert not verify_results(tmp_path, without).findings, "of a task that the study no longer has"


def test_the_answers_behind_every_score_of_a_shard_are_compared(project: Path, tmp_path: Path) -> None:
    study = load_study(read_yaml(project / "config.yaml"), project)
    answers = [tmp_path / f"predictions/distillation/{model}/ner.conll" for model in ("m", "n")]
    for path in answers:
        write_text(path, f"Ana B-PER\n{path.parent.name} O\n")
    scores = [
        {"model": path.parent.name, "task": "ner", "predictions_digest": digest_file(path)}
        for path in answers
    ]
    write_record(tmp_path / "scores/distillation/shard-0.json", {"regime": "distillation", "scores": scores})
    assert not verify_results(tmp_path, study).findings
    shutil.copy(*answers)
    (found,) = verify_results(tmp_path, study).findings
    assert (found.path, found.remedy) == (answers[1], SCORE_REMEDY)


def test_a_checkpoint_that_training_would_pass_over_is_found(tmp_path: Path) -> None:
    """It is what was written, or what it replaced where a job was killed in between."""
    steps = [tmp_path / f"state/pretraining/m/step-{step}.pt" for step in (10, 20, 30)]
    for path, key in zip(steps, ("sha256", "replaced", "sha256"), strict=True):
        write_text(path, path.name)
        write_json(path.with_suffix(".json"), {"sha256": "of another", key: sha256_file(path)})
    assert not verify_results(tmp_path).findings
    write_text(steps[0], "another")
    steps[2].unlink()
    found = verify_results(tmp_path)
    assert [(one.path, one.kind) for one in found.findings] == [
        (steps[0], "checkpoint"),
        (steps[2], "checkpoint"),
    ]
    assert found.checked == {"checkpoint": 3}


def test_downloads_are_compared_with_the_registry_and_else_with_their_first_download(
    project: Path, tmp_path: Path
) -> None:
    study = load_study(read_yaml(project / "config.yaml"), project)
    known, other = tmp_path / "sources/xquad/xquad.es.json", tmp_path / "sources/mine.csv"
    for path in (known, other):
        write_text(path, "text")
    first = sha256_file(other)
    lock = {
        "mine": {"path": "mine.csv", "sha256": first},
        "xquad": {"path": "xquad/xquad.es.json", "sha256": first},
    }
    write_json(tmp_path / "sources.lock.json", lock)
    assert not verify_results(tmp_path).findings
    (found,) = verify_results(tmp_path, study).findings
    (expected,) = (one.sha256 for one in study.sources.values() if one.path == "xquad/xquad.es.json")
    assert (found.path, found.kind) == (known, "download")
    assert (
        found.problem == f"it was changed after it was fetched: its SHA-256 is {first}, expected {expected}."
    )
    write_text(other, "another text")
    assert [one.path for one in verify_results(tmp_path).findings] == [other]
    assert verify_results(tmp_path, study).checked["download"] == 2


def _verified(place: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    main(["verify", str(place), "--json"])
    return json.loads(capsys.readouterr().out)
