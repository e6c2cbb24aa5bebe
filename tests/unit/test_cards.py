"""Model cards of a whole study: what they tell, and where they go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import DataError
from ligero.common.files import read_json, write_json
from ligero.reporting.cards import write_cards
from ligero.reporting.results import Results
from ligero.settings import jobs
from ligero.settings.load import load_study, read_yaml
from ligero.settings.study import Study
from tests.unit.reporting_artefacts import write_artefacts
from tests.unit.test_selection import weights_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Results, Path]:
    """Results of the default study on two tasks, with models, and the folder of their cards."""
    study = load_study(read_yaml(ROOT / "config.yaml"), ROOT)
    content = study.model_dump(mode="json")
    content["tasks"] = {task: content["tasks"][task] for task in ("ner", "mlqa")}
    content["teachers"]["choices"] = {}
    content["sources"]["embedded-ner-train"] |= {"licence": "CC BY 4.0", "citation": "Somebody | 2002"}
    study = Study.model_validate(content)
    root = tmp_path_factory.mktemp("results")
    write_artefacts(study, root)
    results = Results(study, root)
    for regime, model in jobs.systems(study):
        for task in study.tasks:
            path = Path(results.layout.selection(regime, model, task))
            write_json(path, {**read_json(path), "device": "cpu", "seconds": 12.0})
            folder = Path(results.layout.selected_model(regime, model, task))
            names = dict(enumerate(study.tasks[task].labels))
            write_json(folder / "config.json", {"model_type": "albert", "id2label": names})
            (folder / "model.safetensors").write_bytes(weights_file(model))
            (folder / "README.md").write_text("before")
    assert write_cards(results, root / "cards") == 2 * 17
    return results, root


def card(made: tuple[Results, Path], *place: str) -> str:
    return (made[1] / "cards" / "/".join(place)).with_suffix(".md").read_text(encoding="utf-8")


def test_a_card_tells_what_is_known(made: tuple[Results, Path]) -> None:
    results, _ = made
    text = card(made, "distillation", "albeto-base-4", "ner")
    score = results.scores(["ner"])["distillation", "albeto-base-4", "ner"]
    low, high = score["intervals"]["f1"]
    assert f"| F1 over chunks (seqeval) | {score['metrics']['f1']:.2f} | {low:.2f} to {high:.2f} |" in text
    assert "(scale: miniature)" in text
    assert "| embedded-ner-train | CC BY 4.0 | Somebody \\| 2002 |" in text
    teacher = results.teacher("ner")["teacher"]
    assert f"| teacher | `{teacher}` ({results.study.models[teacher].name}) |" in text
    assert "| layers | 4 |" in text
    assert "10 parameters; " in text
    assert "| A processor, 1 thread |" in text
    assert "`B-PER`" in text
    assert "test split only" in text


def test_fine_tuned_answerers_have_no_teacher_and_no_labels(made: tuple[Results, Path]) -> None:
    text = card(made, "fine-tuning", "albeto-tiny", "mlqa")
    assert "| teacher |" not in text and "Labels:" not in text
    assert "| exact match (MLQA's Spanish normalisation) |" in text
    assert "pipeline_tag: question-answering" in text


def test_the_card_is_the_models_readme(made: tuple[Results, Path]) -> None:
    results, _ = made
    for regime, model in jobs.systems(results.study):
        readme = Path(results.layout.selected_model(regime, model, "ner")) / "README.md"
        assert readme.read_text(encoding="utf-8") == card(made, regime, model, "ner")


def test_cards_read_no_more_than_the_workflow_gives_them(
    made: tuple[Results, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, root = made
    given = {str(path) for path in results.layout.cards_inputs()}
    asked: list[str] = []
    fresh = Results(results.study, root)
    genuine = fresh._read

    def reading(path: str) -> Any:
        asked.append(path)
        return genuine(path)

    monkeypatch.setattr(fresh, "_read", reading)
    write_cards(fresh, root / "again")
    assert set(asked) == given


def test_a_model_that_is_gone_is_named(made: tuple[Results, Path]) -> None:
    results, root = made
    config = Path(results.layout.selected_model("fine-tuning", "bertin", "ner")) / "config.json"
    content = config.read_bytes()
    config.unlink()
    with pytest.raises(DataError, match="fine-tuning/bertin/ner: the selected model is gone"):
        write_cards(results, root / "cards")
    config.write_bytes(content)
