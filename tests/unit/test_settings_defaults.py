"""A study of one task is short: what its configuration leaves out follows from what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ligero.common.errors import ConfigurationError
from ligero.common.records import read_record, write_record
from ligero.reporting.registry import make_table, tables
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.settings.describe import json_schema
from ligero.settings.layout import Layout
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from tests.builders.results import write_artefacts


@pytest.fixture
def own(project: Path) -> dict[str, Any]:
    return read_yaml(project / "config" / "own-task.yaml")


def test_the_example_is_short(project: Path) -> None:
    lines = (project / "config" / "own-task.yaml").read_text(encoding="utf-8").splitlines()
    assert sum(not line.startswith("#") for line in lines) <= 25


def test_what_the_example_leaves_out(own: dict[str, Any], project: Path) -> None:
    study = load_study(own, project)
    beto, tiny = study.models["beto"], study.models["albeto-tiny"]
    assert (beto.name, beto.weights, beto.architecture.type) == ("beto", "hub", "bert")
    assert (beto.architecture.hidden_size, beto.architecture.num_hidden_layers) == (768, 12)
    assert (tiny.architecture.hidden_size, tiny.architecture.num_hidden_layers) == (312, 4)
    assert tiny.architecture.embedding_size == 128 and tiny.architecture.max_position_embeddings == 512
    task = study.tasks["complaints"]
    assert (task.name, task.type, task.metric) == ("complaints", "sequence_classification", "accuracy")
    assert study.efficiency.reference == "beto"
    assert (study.scale, study.protocol) == ("own", "recommended")
    assert study.fine_tuning.options.warmup_ratio == 0.1, "the preset acts on a section that is not there"
    assert study.distillation is not None
    student = study.distillation.students["albeto-tiny"]
    assert (student.name, student.initial) == ("albeto-tiny", "albeto-tiny")
    assert study.distillation.grid.epochs == (30,) and study.distillation.patience == 10
    assert plan.systems(study) == [
        ("fine-tuning", "beto"), ("fine-tuning", "albeto-tiny"), ("distillation", "albeto-tiny"),
    ]  # fmt: skip
    assert Layout(study).teacher("complaints") == "results/complaints/teachers/complaints.json"


def test_what_is_given_wins(own: dict[str, Any], project: Path) -> None:
    own["models"]["beto"] |= {"name": "BETO", "architecture": {**BERT, "num_hidden_layers": 3}}
    own["tasks"]["complaints"] |= {"name": "Complaints"}
    own["efficiency"] = {"reference": "albeto-tiny", "sequence_length": 128}
    study = load_study(own, project)
    assert study.models["beto"].name == "BETO" and study.models["beto"].architecture.num_hidden_layers == 3
    assert study.tasks["complaints"].name == "Complaints"
    assert (study.efficiency.reference, study.efficiency.sequence_length) == ("albeto-tiny", 128)


BERT = {
    "type": "bert", "hidden_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 192,
}  # fmt: skip


@pytest.mark.parametrize(
    "written",
    [
        {"model_type": "bert", "dim": 1, **{key: BERT[key] for key in BERT if key != "type"}},
        {"model_type": "distilbert", "dim": 96, "n_layers": 2, "n_heads": 4, "hidden_dim": 192},
    ],
)
def test_a_local_folder_says_its_architecture(
    own: dict[str, Any], project: Path, tmp_path: Path, written: dict[str, Any]
) -> None:
    if written["model_type"] == "bert":
        del written["dim"]
    (tmp_path / "config.json").write_text(json.dumps({**written, "max_position_embeddings": 512}))
    own["models"]["beto"] = {"local": str(tmp_path)}
    architecture = load_study(own, project).models["beto"].architecture
    assert architecture.type == written["model_type"]
    assert (architecture.hidden_size, architecture.num_hidden_layers) == (96, 2)
    assert (architecture.num_attention_heads, architecture.intermediate_size) == (4, 192)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "config.json is not there; build or name the folder, or write models.beto.architecture"),
        ({"model_type": "bert", "hidden_size": 8}, "has no intermediate_size, num_attention_heads"),
        ({"hidden_size": 8}, "has no intermediate_size"),
    ],
)
def test_a_local_folder_that_says_none(
    own: dict[str, Any], project: Path, tmp_path: Path, content: Any, said: str
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(json.dumps(content))
    own["models"]["beto"] = {"local": str(tmp_path)}
    with pytest.raises(ConfigurationError, match=f"models.beto.local: .*{said}"):
        load_study(own, project)


def test_models_that_nothing_knows_still_need_their_architecture(own: dict[str, Any], project: Path) -> None:
    own["models"]["beto"] = {"hub": {"id": "somebody/else"}}
    with pytest.raises(ConfigurationError, match=r"models\.beto\.architecture: this key is required"):
        load_study(own, project)


def test_the_schema_asks_for_nothing_that_is_filled_in() -> None:
    schema = json.loads(json_schema())
    assert schema["required"] == ["name", "models", "tasks"]
    assert schema["$defs"]["Model"]["required"] == []
    assert schema["$defs"]["Task"]["required"] == ["reader", "splits"]


def test_malformed_parts_are_left_for_the_checks(project: Path, own: dict[str, Any]) -> None:
    for key, value in (
        ("models", []),
        ("tasks", {"a": 3}),
        ("distillation", {"students": 1}),
        ("efficiency", 2),
    ):
        with pytest.raises(ConfigurationError, match=key):
            load_study(yaml.safe_load(yaml.safe_dump({**own, key: value})), project)


# --- its tables -------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_results(own: dict[str, Any], project: Path, tmp_path: Path) -> Results:
    study = load_study(own, project)
    write_artefacts(study, tmp_path)
    return Results(study, tmp_path)


def test_its_tables_are_those_that_have_something_to_show(own_results: Results) -> None:
    assert list(tables(own_results.study)) == [
        "tokenizers", "datasets", "pretrained_models", "text_classification", "efficiency", "inference_speed", "tradeoff",
        "retention", "teachers", "best_hyperparameters", "cost", "summary",
    ]  # fmt: skip


def test_its_tables_know_nothing_of_the_thesis(own_results: Results) -> None:
    for name in tables(own_results.study):
        frame = make_table(name, own_results)
        said = " ".join(str(cell) for column in frame for cell in [column, *frame[column]])
        assert len(frame) and not any(
            word in said for word in ("thesis", "published", "mldoc", "tpu", "scale")
        ), name
        assert not [column for column in frame if column != "notes" and frame[column].isna().all()], name


def test_a_column_of_zeros_is_not_empty(own_results: Results) -> None:
    assert set(make_table("datasets", own_results)["test_ids_seen_in_training"]) == {0}


def test_its_summary(own_results: Results) -> None:
    frame = make_table("summary", own_results)
    assert list(frame.columns) == ["regime", "model", "parameters", "speedup", "score", "macs", "notes"]
    assert list(frame["model"]) == ["beto", "albeto-tiny", "albeto-tiny", "majority class"]


def test_a_student_below_its_twin_is_told_what_to_do(own_results: Results) -> None:
    layout = own_results.layout
    path = layout.score("distillation", "albeto-tiny", "complaints")
    twin = own_results.score("fine-tuning", "albeto-tiny", "complaints")["score"]
    for score, said in ((twin - 1.5, True), (twin - 0.001, False), (twin, False)):
        (record,) = read_record(path)["scores"]
        write_record(path, {"regime": "distillation", "scores": [{**record, "score": score}]})
        notes = make_table("summary", Results(own_results.study, layout.root))["notes"]
        found = [str(note) for note in notes if "twin" in str(note)]
        assert bool(found) == said
        assert not found or ("1.50 points below" in found[0] and "distillation.grid.epochs" in found[0])


def test_a_shallower_student_has_no_twin(own: dict[str, Any], project: Path) -> None:
    for layers, twin in ((None, True), (2, False)):
        study = load_study(
            {**own, "distillation": {"students": {"albeto-tiny": {"num_hidden_layers": layers}}}}, project
        )
        assert plan.is_twin(study, "albeto-tiny") == twin
