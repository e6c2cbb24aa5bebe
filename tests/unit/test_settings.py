"""The configuration: what is refused, with which words; what each job depends on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ligero.common.errors import ConfigurationError, MismatchError
from ligero.settings import jobs, plan
from ligero.settings.defaults import with_preset
from ligero.settings.describe import json_schema, reference_page, sections
from ligero.settings.load import load_study, without_missing_weights
from ligero.settings.program import check_digest
from ligero.settings.study import Regime


def refusal(config: dict[str, Any], project: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_study(config, project)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "config.yaml",
        "config/thesis.yaml",
        "config/spanish-sample.yaml",
        "config/spanish-compression.yaml",
        "config/own-task.yaml",
    ],
)
def test_own_configurations_are_valid(project: Path, name: str) -> None:
    study = load_study(yaml.safe_load((project / name).read_text(encoding="utf-8")), project)
    assert study.tasks


def test_unknown_key_names_its_path_and_the_nearest_known_key(
    default_config: dict[str, Any], project: Path
) -> None:
    default_config["models"]["albeto-tiny"]["tokeniser"] = "albeto"
    message = refusal(default_config, project)
    assert "models.albeto-tiny.tokeniser" in message
    assert "did you mean 'tokenizer'?" in message


def test_dangling_references_are_all_named_at_once(default_config: dict[str, Any], project: Path) -> None:
    default_config["models"]["albeto-tiny"]["tokenizer"] = "nobody"
    default_config["distillation"]["students"]["albeto-tiny"]["initial"] = "missing-model"
    message = refusal(default_config, project)
    assert "models.albeto-tiny.tokenizer: no tokenizer 'nobody'" in message
    assert "distillation.students.albeto-tiny.initial: no model 'missing-model'" in message


def test_model_without_a_source_of_weights(default_config: dict[str, Any], project: Path) -> None:
    del default_config["models"]["albeto-tiny"]["pretraining"]
    assert "weights: pretrain needs the key 'pretraining'" in refusal(default_config, project)


def test_task_naming_an_unknown_source(default_config: dict[str, Any], project: Path) -> None:
    default_config["tasks"]["ner"]["splits"]["test"]["sources"] = ["nowhere"]
    assert "tasks.ner.splits.test: no source 'nowhere'" in refusal(default_config, project)


def test_learning_rates_are_strings(default_config: dict[str, Any], project: Path) -> None:
    default_config["fine_tuning"]["grid"]["learning_rate"] = [0.001]
    assert "write learning rates as strings" in refusal(default_config, project)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hidden_size": 65}, "multiple of num_attention_heads"),
        ({"max_position_embeddings": 32}, "exceeds"),
    ],
)
def test_impossible_architectures(
    default_config: dict[str, Any], project: Path, change: dict[str, int], words: str
) -> None:
    default_config["models"]["albeto-tiny"]["architecture"] |= change
    assert words in refusal(default_config, project)


def test_mldoc_says_how_to_obtain_reuters(default_config: dict[str, Any], project: Path) -> None:
    del default_config["tasks"]["mldoc"]["documents"]
    message = refusal(default_config, project)
    assert "rcv_dir" in message
    assert "trec.nist.gov" in message


def test_metric_must_fit_the_task(default_config: dict[str, Any], project: Path) -> None:
    default_config["tasks"]["ner"]["metric"] = "accuracy"
    assert "does not fit token_classification" in refusal(default_config, project)


def test_a_student_may_have_a_grid_of_its_own(project: Path) -> None:
    study = load_study(
        yaml.safe_load((project / "config/spanish-sample.yaml").read_text(encoding="utf-8")), project
    )
    rates = {
        student: {trial.learning_rate for trial in plan.trials_of(study, "distillation", student)}
        for student in ("albeto-tiny", "e5-small-4")
    }
    assert rates == {"albeto-tiny": {"1e-3"}, "e5-small-4": {"2e-4"}}


def test_the_thesis_protocol_picks_answers_by_their_score(project: Path) -> None:
    """Unless the study says itself what picks its trials."""
    config = yaml.safe_load((project / "config/thesis.yaml").read_text(encoding="utf-8"))
    study = load_study(config, project)
    assert study.fine_tuning.selection == dict.fromkeys(("mlqa", "sqac", "tar"), "score")
    assert study.distillation and study.distillation.selection == {}
    assert jobs.logits_job(study, "ner").precision == "fp32" != study.fine_tuning.options.precision
    for own in ({"selection": {"mlqa": "loss"}}, {"protocol": "recommended"}):
        section = {**config["fine_tuning"], **{key: own[key] for key in own if key == "selection"}}
        chosen = {**config, **{key: own[key] for key in own if key == "protocol"}, "fine_tuning": section}
        if "protocol" in own:
            chosen["fine_tuning"] = {**section, "options": {"max_length": 512}}
            chosen["distillation"] = {**config["distillation"], "options": {"max_length": 512}}
        assert "score" not in load_study(chosen, project).fine_tuning.selection.values()


def test_a_protocol_needs_no_section_to_fill() -> None:
    filled = with_preset({"protocol": "thesis", "tasks": {"own": {"type": "question_answering"}}})
    assert filled["fine_tuning"] == {
        "selection": {"own": "score"},
        "options": {
            "weight_decay": 0.0,
            "max_grad_norm": 1.0,
            "shuffle": True,
            "bucket_by_length": False,
            "label_subwords": "all",
        },
    }
    assert "distillation" not in filled


def test_published_grids_are_complete(project: Path) -> None:
    """The thesis: 11 x 8 x 36 fine-tuning trials and 6 x 8 x 6 distillation trials."""
    study = load_study(yaml.safe_load((project / "config/thesis.yaml").read_text(encoding="utf-8")), project)
    fine_tuning = [trial for model in study.models for trial in plan.trials_of(study, "fine-tuning", model)]
    assert study.distillation
    distilling = [
        trial
        for student in study.distillation.students
        for trial in plan.trials_of(study, "distillation", student)
    ]
    assert (len(fine_tuning), len(distilling)) == (11 * 8 * 36, 6 * 8 * 6)
    large_rates = {trial.learning_rate for trial in fine_tuning if trial.model == "albeto-xlarge"}
    assert large_rates == {"1e-6", "2e-6", "3e-6", "5e-6"}


def test_one_task_may_be_validated_after_its_own_number_of_steps(
    default_config: dict[str, Any], project: Path
) -> None:
    default_config["fine_tuning"]["evaluate_every_steps"] = {"ner": 7}
    after = load_study(default_config, project)
    shard = jobs.shard_job(after, "fine-tuning", "albeto-tiny", 0)
    chosen = {task: shard.options_of(task).evaluate_every_steps for task in after.tasks}
    assert chosen == dict.fromkeys(after.tasks) | {"ner": 7}
    default_config["fine_tuning"]["evaluate_every_steps"] = {"ner": 0}
    assert "fine_tuning.evaluate_every_steps.ner" in refusal(default_config, project)


def test_one_task_may_be_selected_by_its_score(default_config: dict[str, Any], project: Path) -> None:
    before = load_study(default_config, project)
    default_config["fine_tuning"]["selection"] = {"mlqa": "score", "ner": "loss"}
    after = load_study(default_config, project)
    (shard,) = [jobs.shard_job(after, "fine-tuning", "albeto-tiny", 0)]
    chosen = {task: shard.options_of(task).selection_metric for task in after.tasks}
    assert {task for task, metric in chosen.items() if metric == "score"} == {"mlqa"}
    for task, metric in chosen.items():
        assert jobs.selection_job(after, "fine-tuning", "albeto-tiny", task).selection_metric == metric
        assert jobs.selection_job(after, "distillation", "albeto-tiny", task).selection_metric == "loss"
    assert jobs.digest(jobs.shard_job(before, "distillation", "albeto-tiny", 0)) == jobs.digest(
        jobs.shard_job(after, "distillation", "albeto-tiny", 0)
    )
    default_config["fine_tuning"]["evaluate_every_steps"] = {"nerd": 5}
    assert "fine_tuning.evaluate_every_steps: no task 'nerd'" in refusal(default_config, project)
    default_config["fine_tuning"]["selection"] = {"mlqqa": "score"}
    assert "fine_tuning.selection: no task 'mlqqa'" in refusal(default_config, project)


def test_grids_of_one_task_are_applied_last(default_config: dict[str, Any], project: Path) -> None:
    """To the stage's grid, then the system's: in fine-tuning the task's own, in distillation its `distillation_grid`."""
    default_config["tasks"]["ner"]["grid"] = {"epochs": [7]}
    default_config["models"]["albeto-tiny"]["grid"] = {"epochs": [5], "learning_rate": ["3e-3"]}
    distillation = default_config["distillation"]
    distillation["students"]["albeto-tiny"]["grid"] = {"epochs": [6], "learning_rate": ["4e-3"]}
    default_config["tasks"]["ner"]["distillation_grid"] = {"learning_rate": ["2e-3", "5e-3"]}
    study = load_study(default_config, project)

    def points(regime: Regime, task: str) -> list[tuple[int, str]]:
        trials = plan.trials_of(study, regime, "albeto-tiny")
        return [(trial.epochs, trial.learning_rate) for trial in trials if trial.task == task]

    assert points("fine-tuning", "ner") == [(7, "3e-3")] and points("fine-tuning", "xnli") == [(5, "3e-3")]
    assert points("distillation", "ner") == [(6, "2e-3"), (6, "5e-3")]
    assert points("distillation", "xnli") == [(6, "4e-3")]


def test_names_change_no_job_but_the_tables(default_config: dict[str, Any], project: Path) -> None:
    before = load_study(default_config, project)
    default_config["models"]["albeto-tiny"]["name"] = "Another name"
    after = load_study(default_config, project)
    assert jobs.digest(jobs.pretraining_job(before, "albeto-tiny")) == jobs.digest(
        jobs.pretraining_job(after, "albeto-tiny")
    )
    assert jobs.digest(jobs.shard_job(before, "fine-tuning", "albeto-tiny", 0)) == jobs.digest(
        jobs.shard_job(after, "fine-tuning", "albeto-tiny", 0)
    )
    assert jobs.digest(jobs.reporting_job(before)) != jobs.digest(jobs.reporting_job(after))


def test_a_recipe_changes_its_own_model_only(default_config: dict[str, Any], project: Path) -> None:
    before = load_study(default_config, project)
    recipe = default_config["models"]["albeto-tiny"]["pretraining"]
    default_config["models"]["albeto-tiny"]["pretraining"] = {
        **recipe,
        "total_steps": recipe["total_steps"] + 1,
    }
    after = load_study(default_config, project)

    def digest(study: Any, model: str) -> str:
        return jobs.digest(jobs.pretraining_job(study, model))

    assert digest(before, "albeto-tiny") != digest(after, "albeto-tiny")
    assert digest(before, "albeto-base") == digest(after, "albeto-base")


def test_missing_local_weights_leave_the_model_out_with_a_reason(
    default_config: dict[str, Any], project: Path, tmp_path: Path
) -> None:
    model = default_config["models"]["bertin"]
    for key in ("tokenizer", "pretraining"):
        del model[key]
    model |= {"weights": "local", "local": str(tmp_path / "nothing")}
    study = without_missing_weights(load_study(default_config, project))
    assert list(study.left_out) == ["bertin"]
    assert "not there" in study.left_out["bertin"]
    assert ("fine-tuning", "bertin") not in plan.systems(study)


def test_a_program_refuses_other_settings_than_planned(default_config: dict[str, Any], project: Path) -> None:
    job = jobs.cleaning_job(load_study(default_config, project))
    check_digest(job, jobs.digest(job))
    with pytest.raises(MismatchError, match="start snakemake again"):
        check_digest(job, "0" * 16)


def test_the_cleaned_corpus_depends_on_the_order_of_its_parts(
    default_config: dict[str, Any], project: Path
) -> None:
    before = load_study(default_config, project)
    default_config["corpus"]["parts"] = [*reversed(default_config["corpus"]["parts"])]
    after = load_study(default_config, project)
    assert jobs.digest(jobs.cleaning_job(before)) != jobs.digest(jobs.cleaning_job(after))


def test_schema_and_reference_page_are_up_to_date(project: Path) -> None:
    assert (project / "workflow/schemas/config.schema.json").read_text(encoding="utf-8") == json_schema(), (
        "make schema"
    )
    assert (project / "docs/configuration.md").read_text(encoding="utf-8") == reference_page(), "make schema"


def test_every_key_has_a_meaning() -> None:
    assert not [
        f"{paths}: {key}"
        for model, paths in sections().items()
        for key, field in model.model_fields.items()
        if not field.description
    ]


def test_example_configurations_name_the_schema_for_editors(project: Path) -> None:
    for path in (
        project / "config.yaml",
        *project.glob("config/*.yaml"),
        project / "tests/workflow/pocket.yaml",
    ):
        first, schema = path.read_text(encoding="utf-8").splitlines()[0].split("=")
        assert first == "# yaml-language-server: $schema" and (path.parent / schema).is_file(), path.name


@pytest.mark.slow
def test_parsing_the_workflow_loads_nothing_heavy(project: Path) -> None:
    """Every cluster job parses the Snakefile: settings must not pull in torch and its like."""
    code = (
        "import sys; from ligero.reporting import registry; from ligero.settings import jobs, load, program; "
        "print([m for m in ('torch','transformers','datasets','pandas','pyarrow','numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(project / "workflow")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_file_whose_ids_are_left_out_is_a_source_of_the_task(
    default_config: dict[str, Any], project: Path
) -> None:
    """Else it is not fetched, and examples stay as they are when it changes."""
    assert "embedded-raw-cuentos" not in plan.task_sources(load_study(default_config, project), "ner")
    default_config["tasks"]["ner"]["splits"]["train"]["without_ids_of"] = ["embedded-raw-cuentos"]
    study = load_study(default_config, project)
    assert "embedded-raw-cuentos" in plan.task_sources(study, "ner")
    assert "embedded-raw-cuentos" in jobs.task_job(study, "ner").sources
