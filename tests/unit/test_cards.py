"""Model cards of a whole study: what they tell, and where they go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import DataError
from ligero.common.files import write_json
from ligero.common.records import read_record, write_record
from ligero.efficiency.truncation import truncate
from ligero.reporting.cards import options_rows, write_cards
from ligero.reporting.registry import card_inputs
from ligero.reporting.results import Results
from ligero.settings import jobs, plan
from ligero.settings.load import load_study
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import write_artefacts
from tests.builders.weights import weights_file

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
    for regime, model in plan.systems(study):
        for task in study.tasks:
            path = Path(results.layout.selection(regime, model, task))
            write_record(path, {**read_record(path), "device": "cpu", "seconds": 12.0})
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
    f1 = truncate(score["metrics"]["f1"])  # as the tables have it; rounded, it would be another
    assert f"| F1 over chunks (seqeval) | {f1} | {truncate(low)} to {truncate(high)} |" in text
    assert f"{f1}" != f"{score['metrics']['f1']:.2f}"
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
    for regime, model in plan.systems(results.study):
        readme = Path(results.layout.selected_model(regime, model, "ner")) / "README.md"
        assert readme.read_text(encoding="utf-8") == card(made, regime, model, "ner")


def test_cards_read_no_more_than_the_workflow_gives_them(
    made: tuple[Results, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    results, root = made
    given = {str(path) for path in card_inputs(results.layout)}
    asked: list[str] = []
    fresh = Results(results.study, root)
    genuine = fresh._read

    def reading(reader: Any, path: str) -> Any:
        asked.append(path)
        return genuine(reader, path)

    monkeypatch.setattr(fresh, "_read", reading)
    write_cards(fresh, root / "again")
    assert set(asked) == given


def test_a_model_that_is_gone_is_named(made: tuple[Results, Path]) -> None:
    results, root = made
    config = Path(results.layout.selected_model("fine-tuning", "bertin", "ner")) / "config.json"
    content = config.read_bytes()
    config.unlink()
    with pytest.raises(DataError, match="fine-tuning/bertin/ner: the selected model is missing"):
        write_cards(results, root / "cards")
    config.write_bytes(content)


def test_front_matter_has_what_the_study_knows(made: tuple[Results, Path]) -> None:
    """The corpus is Apache-2.0, a file of NER is not: a reader must judge. All of MLQA is Apache-2.0."""
    front = card(made, "distillation", "albeto-base-4", "ner").split("---")[1]
    assert "license: other\nlicense_name: see-licence-and-limits\n" in front
    assert "language:" not in front and "base_model:" not in front
    assert "\nlicense: apache-2.0\n" in card(made, "fine-tuning", "albeto-tiny", "mlqa").split("---")[1]
    assert "pretrained by this study on: embedded-raw-noticias" in card(
        made, "fine-tuning", "albeto-tiny", "mlqa"
    )


def test_the_recipe_tells_every_option_that_changes_a_score(made: tuple[Results, Path]) -> None:
    text = card(made, "distillation", "albeto-base-4", "ner")
    options = made[0].study.distillation.options  # type: ignore[union-attr]
    assert options.warmup_ratio and f"| warm-up | the first {options.warmup_ratio:.3g} of the steps |" in text
    assert f"| weight decay | {options.weight_decay:g}, on all parameters but biases and norms |" in text
    assert "| gradient clipping | norm 1 |" in text
    assert "| precision | fp32 |" in text
    assert "| order of the examples | shuffled every epoch |" in text
    assert "| labelled | the first subword of a word |" in text
    assert "labelled" not in card(made, "distillation", "albeto-base-4", "mlqa")
    assert "stops after more than" in text


def test_the_thesis_quirks_stand_in_the_recipe() -> None:
    score: Any = {"precision": "bf16"}
    study = load_study(read_yaml(ROOT / "config" / "thesis.yaml"), ROOT)
    options = jobs.shard_job(study, "distillation", "albeto-tiny", 0).options
    rows = options_rows(options, study.tasks["ner"], score)
    assert rows["longest sentence"] == "128 words"
    assert (rows["warm-up"], rows["gradient clipping"]) == ("none", "none")
    assert rows["order of the examples"] == "as in the files"
    assert rows["weight decay"] == "0.01, on all parameters"
    warm = options.model_copy(update={"head_learning_rate_factor": 20.0, "label_subwords": "all"})
    rows = options_rows(warm, study.tasks["ner"], score)
    assert rows["learning rate of the head"] == "20 times the encoder's"
    assert rows["labelled"] == "all subwords of a word"
    assert rows["precision"] == "fp32"
    auto = options.model_copy(update={"precision": "auto"})
    rows = options_rows(auto, study.tasks["ner"], score)
    assert rows["precision"] == "auto, bf16 when scored"


def test_a_checkpoint_of_the_hub_is_named_with_commit_licence_and_language(
    made: tuple[Results, Path], tmp_path: Path
) -> None:
    study = made[0].study
    content = study.model_dump(mode="json")
    content["models"]["bertin"] |= {
        "weights": "hub",
        "tokenizer": None,
        "hub": {"id": "somebody/bertin", "licence": "CC BY 4.0"},
    }
    content["corpus"]["language"] = {"code": "es"}
    root = tmp_path / "results"
    shutil.copytree(made[1], root)
    results = Results(Study.model_validate(content), root)
    write_cards(results, tmp_path / "cards")
    before = (tmp_path / "cards/fine-tuning/bertin/mlqa.md").read_text(encoding="utf-8")
    assert "| starts from | somebody/bertin at a revision that was not recorded |" in before
    assert "None" not in before
    source = {"hub": "older/bertin", "revision": "0123abc", "licence": "Apache 2.0"}
    write_record(results.layout.weights_source("bertin"), source)
    write_cards(Results(results.study, root), tmp_path / "cards")
    after = (tmp_path / "cards/fine-tuning/bertin/mlqa.md").read_text(encoding="utf-8")
    assert "| starts from | older/bertin at revision 0123abc |" in after
    assert "Licence of older/bertin at revision 0123abc: Apache 2.0." in after
    front = after.split("---")[1]
    assert "\nbase_model: older/bertin\n" in front and "\nlanguage: es\n" in front
    assert "\nlicense: apache-2.0\n" in front


CLOSED = {"weights": "hub", "tokenizer": None, "hub": {"id": "somebody/bertin", "licence": "CC BY-NC 4.0"}}


def changed_card(
    made: tuple[Results, Path], folder: Path, content: dict[str, Any], place: str, teacher: str | None = None
) -> str:
    """A card after the study was changed, and the teacher of MLQA."""
    root = Path(shutil.copytree(made[1], folder / "results"))
    results = Results(Study.model_validate(content), root)
    if teacher:
        path = results.layout.teacher("mlqa")
        write_record(path, {**read_record(path), "teacher": teacher, "weights": {teacher: 1.0}})
    write_cards(Results(results.study, root), folder / "cards")
    return (folder / "cards" / place).read_text(encoding="utf-8")


def test_whose_states_a_model_learned_from_is_named_with_its_licence(
    made: tuple[Results, Path], tmp_path: Path
) -> None:
    content = made[0].study.model_dump(mode="json")
    content["models"]["bertin"] |= CLOSED
    recipe = {"objective": "distil", "cls_words": 0, "embedding_initializer_range": None}
    content["models"]["albeto-tiny"]["pretraining"] |= {**recipe, "teacher": {"model": "bertin"}}
    text = changed_card(made, tmp_path, content, "fine-tuning/albeto-tiny/mlqa.md")
    assert "; and on the hidden states of somebody/bertin at a revision that was not recorded |" in text
    assert "not recorded: Apache-2.0; CC BY-NC 4.0." in text
    assert "license: other" in text.split("---")[1]


def test_a_students_licence_is_its_teachers_too(made: tuple[Results, Path], tmp_path: Path) -> None:
    content = made[0].study.model_dump(mode="json")
    content["models"]["bertin"] |= CLOSED
    place = "distillation/albeto-base-4/mlqa.md"
    text = changed_card(made, tmp_path, content, place, teacher="bertin")
    assert "Licence of somebody/bertin at a revision that was not recorded: CC BY-NC 4.0." in text
    assert "license: other" in text.split("---")[1]


def test_the_users_own_texts_are_named_where_files_only_point_to_them(
    made: tuple[Results, Path], tmp_path: Path
) -> None:
    study = made[0].study
    task = study.tasks["mlqa"].model_copy(
        update={"rcv_dir": "rcv"}
    )  # MLDoc's key, on a task of these results
    own = study.model_copy(update={"tasks": {**study.tasks, "mlqa": task}})
    root = Path(shutil.copytree(made[1], tmp_path / "results"))
    write_cards(Results(own, root), tmp_path / "cards")
    text = (tmp_path / "cards/fine-tuning/albeto-tiny/mlqa.md").read_text(encoding="utf-8")
    assert (
        "| Reuters RCV2 (own copy) | by an agreement with NIST; the texts may not be passed on | https"
        in text
    )
    assert "license: other" in text.split("---")[1]
