"""What the configuration refuses at parse time, and the words with which it does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ligero.common.errors import ConfigurationError
from ligero.efficiency.macs import measure
from ligero.reporting.planned import planned_jobs
from ligero.settings import plan
from ligero.settings.jobs import efficiency_job
from ligero.settings.load import load_study, reasons_left_out, without_missing_weights
from ligero.settings.plan import teacher_candidates
from ligero.settings.yaml_files import read_yaml
from tests.builders.provenance import taught_by_states

Config = dict[str, Any]
LOCAL = {"weights": "local", "local": "/nowhere/at/all"}


def put(config: Config, path: str, value: Any) -> None:
    """Set the key at a path such as `tasks.ner.labels`."""
    *parents, last = path.split(".")
    for key in parents:
        config = config.setdefault(key, {})
    config[last] = value


def refusal(config: Config, project: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        without_missing_weights(load_study(config, project))
    return str(caught.value)


NUMBER = "expected a whole number from 1, or all"
TWICE = "is listed twice"
SEVERAL_PROBLEMS = (
    "tasks.xnli.labels",
    "fine_tuning.options.doc_stride",
    "corpus.cleaning.lower_case",
    "models.bertin.architecture.vocab_size",  # the miniature's RoBERTas share one mapping
)
SPLIT = {"sources": ["embedded-ner-dev"]}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("fine_tuning.trials_per_job", 0, f"fine_tuning.trials_per_job: {NUMBER} or auto (found 0)"),
        ("distillation.tasks_per_scoring_job", -1, f"distillation.tasks_per_scoring_job: {NUMBER}"),
        ("fine_tuning.systems_per_scoring_job", "some", f"fine_tuning.systems_per_scoring_job: {NUMBER}"),
        ("fine_tuning.grid.batch_size", [-16], "fine_tuning.grid.batch_size.0: must be at least 1"),
        ("fine_tuning.grid.epochs", [3, 3], "fine_tuning.grid.epochs: 3 is listed twice; remove the duplicate"),
        ("fine_tuning.grid.learning_rate", ["0"], "learning_rate.0: a learning rate must be above 0"),
        ("fine_tuning.grid.learning_rate", ["2e-3", "0.002"], "'2e-3' and '0.002' are the same rate"),
        ("models.bertin.grid.epochs", [], "models.bertin.grid.epochs: expected at least 1, found 0"),
        ("models.beto-cased.early_exit", True, "early_exit is for ALBERT, which repeats one layer; remove the key"),
        (
            "distillation.students.other",
            {"name": "Other", "initial": "beto-cased", "early_exit": True},
            "distillation.students.other.early_exit: early_exit is for ALBERT",
        ),
        (
            "distillation.students.other",
            {"name": "Other", "initial": "albeto-base", "num_hidden_layers": 1, "early_exit": True},
            "distillation.students.other.early_exit: early_exit requires at least 2 layers",
        ),
        ("tasks.ner.grid.batch_size", [0], "tasks.ner.grid.batch_size.0: must be at least 1"),
        ("tasks.xnli.labels", ["a", "a", "b"], f"tasks.xnli.labels: 'a' {TWICE}"),
        ("tasks.xnli.labels", ["a"], "expected at least two labels"),
        ("tasks.xnli.labels", [0, 1], 'tasks.xnli.labels.0: write labels in quotes: "0"'),
        ("tasks.ner.labels", ["B-PER", "I-PER"], "O must be there too"),
        ("tasks.ner.labels", ["O", "B-PER"], "I-PER must be there too"),
        ("teachers.candidates", [], "teachers.candidates: expected at least 1"),
        ("teachers.number", 12, "teachers.number: 12 teachers per task, but only 11 candidates"),
        ("teachers", {"rule": "published", "number": 2}, "teachers.number: the rule 'published' gives one teacher per task"),
        ("teachers", {"rule": "published", "candidates": ["bertin"]}, "teachers.candidates: not used by the rule 'published'"),
        (
            "distillation.augmentation",
            {"ratio": 1.0, "min_words": 51},
            "distillation.augmentation: min_words 51 must be at most max_words 50",
        ),
        ("distillation.students", {}, "distillation.students: expected at least 1"),
        ("results_dir", "", "results_dir: expected a folder such as results/my"),
        ("results_dir", "my results", "no spaces"),
        ("results_dir", "results/", "without a slash at the end"),
        ("sources", ["x"], "sources: expected a mapping of keys to values (found ['x'])"),
        ("sources.mine", {"path": "my file.csv"}, "sources.mine.path: must consist of letters"),
        ("protocol", ["a"], "protocol: expected one of 'thesis' or 'recommended'"),
        ("models.bertin.name", "BETO-UNCASED", "models.bertin.name: 'BETO-UNCASED' is also the name of 'beto-uncased'"),
        ("tasks.ner.name", "pos", "tasks.ner.name: 'pos' is also the name of"),
        ("tasks.ner.name", "All", "tasks.ner.name: 'All' is what tables and figures call the mean over the tasks; choose another"),
        ("distillation.students.albeto-base-2.name", "ALBETO tiny", "distillation.students.albeto-base-2.name"),
        ("efficiency.sequence_length", 500, "efficiency.sequence_length: 500 exceeds the 128 positions"),
        ("fine_tuning.options.doc_stride", 92, "fine_tuning.options.doc_stride: consecutive windows cannot overlap by 92 tokens, because a window of task 'mlqa'"),
        ("corpus.parts", ["embedded-raw-cuentos"] * 2, f"corpus.parts: 'embedded-raw-cuentos' {TWICE}"),
        ("tasks.ner.splits.test", SPLIT, "'embedded-ner-dev' is read by validation (share all of it) and test"),
        ("models.bertin.hub", {"id": "a/b"}, "weights: pretrain does not use the key 'hub'"),
        ("tokenizers.roberta", {"kind": "byte_level_bpe"}, "tokenizers.roberta.lower_case: kind byte_level_bpe keeps the case (RobertaTokenizer has no lower-casing); write lower_case: false"),
        ("tokenizers.beto-cased.character_coverage", 0.999, "tokenizers.beto-cased.character_coverage: kind wordpiece does not choose characters by their share; leave character_coverage out"),
        ("hardware.light.gpus", 1, "hardware.light.gpus: unknown key"),
        ("hardware.data.gpus", 1, "hardware.data.gpus: unknown key"),
        ("corpus.cleaning.lower_case", True, "tokenizers.beto-cased.lower_case: false has no effect, since the corpus is lower-cased (corpus.cleaning.lower_case: true); write corpus.cleaning.lower_case: false, or tokenizers.beto-cased.lower_case: true"),
        ("models.bertin.architecture.vocab_size", 1799, "models.bertin.architecture.vocab_size: 1799 is less than tokenizers.roberta.vocabulary_size: 1800; raise it or remove it"),
        ("models.bertin.lower_case", True, "lower_case is for hub and local weights"),
        ("tasks.ner.rcv_dir", "data", "the key 'rcv_dir' is for the reader mldoc, not for conll2002"),
        ("tasks.ner.documents", ["embedded-rcv2"], "the key 'documents' is for the reader mldoc"),
        ("tasks.ner.columns", {"text": "t"}, "the key 'columns.text' is for the reader table"),
        ("left_out", {"bertin": "slow"}, "left_out: the workflow itself fills this key"),
        ("seed", "x", "seed: expected a whole number (found 'x')"),
        ("models.bertin", "x", "models.bertin: expected a mapping of keys to values"),
        ("corpus.parts", "x", "corpus.parts: expected a list, such as [a, b]"),
        ("models.bertin.architecture.hidden_act", "geluu", "hidden_act: expected one of 'gelu', 'gelu_new', 'gelu_pytorch_tanh' or 'relu' (found 'geluu')"),
        ("name", "", "name: expected a name on one line, since tables show it (found '')"),
        ("models.bertin.name", "a\nb", "models.bertin.name: expected a name on one line"),
        ("tasks.ner.name", " ", "tasks.ner.name: expected a name on one line"),
        ("distillation.students.albeto-base-2.name", "a\x07", "albeto-base-2.name: expected a name on one line"),
        ("sources", {"x" * 101: {"path": "x"}}, "expected at most 100 characters"),
        ("results_dir", f"results/{'x' * 201}", "is too long for the name of a file or folder"),
        ("mirror", "x" * 5000, "is too long for the name of a file or folder"),
        ("mirror", "x/" * 2000, "'x/x/x/x/x/x/x/x/x/x/...' is too long for a path; shorten it to 2000 bytes"),
        (
            "fine_tuning.options",
            {"evaluate_every_steps": 100, "evaluations_per_epoch": 2},
            "evaluations_per_epoch: 2 has no effect with evaluate_every_steps",
        ),
        ("sources.mine", {"path": "ñ" * 101}, "sources.mine.path: 'ññññññññññññññññññññ...' is too long"),
        ("sources.mine", {"path": "a//b"}, "sources.mine.path: must be relative"),
        ("sources.mine", {"path": "./b"}, "sources.mine.path: must be relative"),
        ("sources.mine", {"path": "b/"}, "sources.mine.path: must be relative"),
        ("sources.mine", {"path": "b", "bytes": -1}, "sources.mine.bytes: must be at least 0"),
        ("models.bertin.hub", {"id": ""}, "models.bertin.hub.id: expected a repository of the hub, OWNER/NAME (found '')"),
        ("models.bertin.hub", {"id": "../../x"}, "models.bertin.hub.id: expected a repository of the hub"),
        ("models.bertin.hub", {"id": "a/b", "aliases": [".."]}, "models.bertin.hub.aliases.0: expected a repository"),
        ("models.bertin.hub", {"id": "a/b", "revision": ""}, "models.bertin.hub.revision: must not be empty"),
        ("models.bertin.local", "", "models.bertin.local: must not be empty"),
        ("sources.mine", {"path": "b", "archive": {"source": "c", "member": ""}}, "archive.member: must not be empty"),
        ("tasks.ner.splits.test.without_ids_of", ["embedded-ner-test"], "tasks.ner.splits.test: without_ids_of: embedded-ner-test is among the split's own sources"),
        ("tasks.mldoc.labels", ["sí", "si\u0301"], r"labels: 's\xed' and 'si\u0301' differ by white space, invisible characters"),
        ("tasks.mldoc.labels", ["x", "x\u200b"], r"labels: 'x' and 'x\u200b' differ by white space, invisible characters"),
        ("tasks.mldoc.labels", ["x", "\u200b"], "tasks.mldoc.labels.1: a label is empty"),
        ("source_registry", "", "source_registry: must not be empty"),
        ("sources.mine", {"path": "b", "url": "ftp:b"}, "sources.mine.url: expected an http or https address"),
        ("sources.mine", {"path": "b", "alternatives": ["https://a/b", "b"]}, "sources.mine.alternatives.1: expected an http or https address"),
        ("seed", "x" * 5000, f"seed: expected a whole number (found '{'x' * 99}...)"),
        ("sources", {"x" * 5000: {"path": "x"}}, f"sources.{'x' * 100}...: expected at most 100 characters (found '{'x' * 99}...)"),
        ("hardware", {True: 1}, "a key must be text; write it in quotes (found True)"),
        ("source_registry", "x" * 5000, "source_registry: File name too long; name another file"),
        ("hardware.training.gpus", float("inf"), "hardware.training.gpus: expected a finite number (found inf)"),
        ("embedded_scale", "1e400", "embedded_scale: expected a finite number (found '1e400')"),
        ("embedded_scale", float("nan"), "embedded_scale: expected a finite number (found nan)"),
        ("tasks.ner.splits.train.share", [0.0, float("nan")], "share.1: expected a finite number"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused(
    default_config: Config, project: Path, path: str, value: Any, words: str
) -> None:
    put(default_config, path, value)
    message = refusal(default_config, project)
    assert words in message
    # No spurious second problem: one line below the heading.
    assert path in SEVERAL_PROBLEMS or len(message.splitlines()) <= 2, message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("tasks.ner.max_length", 999, "tasks.ner.max_length (or fine_tuning.options.max_length): 999 exceeds the"),
        ("hardware.pretraining", {"gpus": 2}, "albeto-tiny.pretraining.micro_batch_size: 16 x 2 processes"),
    ],
)  # fmt: skip
def test_what_no_model_can_do_is_refused_for_each(
    default_config: Config, project: Path, path: str, value: Any, words: str
) -> None:
    put(default_config, path, value)
    assert words in refusal(default_config, project)


def test_what_just_fits_is_accepted(default_config: Config, project: Path) -> None:
    """All of a model's layers, its whole width."""
    config = taught_by_states(default_config)
    shape = config["models"]["beto-uncased"]["architecture"]
    layers, width = shape["num_hidden_layers"], shape["hidden_size"]
    config["models"]["albeto-tiny"]["pretraining"]["teacher"] |= {"layers": [0, layers], "dimensions": width}
    whole = {"initial": "beto-uncased", "num_hidden_layers": layers}
    put(config, "distillation.students.whole", {"name": "Whole", **whole})
    assert load_study(config, project).distillation


def test_no_task_has_the_id_of_the_mean_over_all(default_config: Config, project: Path) -> None:
    default_config["tasks"]["all"] = default_config["tasks"].pop("ner")
    assert "tasks.all: 'all' is what tables and figures call the mean" in refusal(default_config, project)


def test_tasks_with_the_same_columns_are_refused(default_config: Config, project: Path) -> None:
    """A table has one column for them: the scores of one would be gone."""
    tasks = default_config["tasks"]
    tasks["ner"]["name"], tasks["pos"]["name"] = "Entidades", "NER"
    message = refusal(default_config, project)
    assert "its columns begin with 'ner_', as those of tasks." in message and len(message.splitlines()) <= 2
    tasks["pos"]["name"] = "POS"
    load_study(default_config, project)


def test_the_default_length_of_speed_is_checked_too(default_config: Config, project: Path) -> None:
    del default_config["speed"]
    assert "speed.sequence_length: 512 exceeds the 128 positions" in refusal(default_config, project)


def test_an_archive_inside_itself_is_refused(default_config: Config, project: Path) -> None:
    def inside(archive: str) -> Config:
        return {"path": f"in-{archive}.txt", "archive": {"source": archive, "member": "a.txt"}}

    default_config["sources"] = {"a": inside("b"), "b": inside("c"), "c": {"path": "c.zip"}}
    load_study(default_config, project)
    default_config["sources"] |= {"b": inside("a"), "c": inside("c")}
    said = refusal(default_config, project).splitlines()[1:]
    assert [line.split(": an archive")[0].strip() for line in said] == [
        "sources.a.archive.source: a -> b -> a",
        "sources.b.archive.source: b -> a -> b",
        "sources.c.archive.source: c -> c",
    ]


def test_shares_of_one_source_must_not_overlap(default_config: Config, project: Path) -> None:
    splits = default_config["tasks"]["ner"]["splits"]
    for split, share in (("train", [0.0, 0.8]), ("validation", [0.8, 0.9]), ("test", [0.9, 1.0])):
        splits[split] = {"sources": ["embedded-ner-train"], "share": share}
    load_study(default_config, project)
    splits["test"]["share"] = [0.5, 1.0]
    assert "train (share [0.0, 0.8]) and test (share [0.5, 1.0])" in refusal(default_config, project)


def test_splits_that_cut_one_source_name_the_same_sources(default_config: Config, project: Path) -> None:
    """Groups that are only numbers are named after their source where a split has several: the two cuts would overlap."""
    splits = default_config["tasks"]["ner"]["splits"]
    both = ["embedded-ner-train", "embedded-ner-dev"]
    splits["train"] = {"sources": both, "share": [0.0, 0.8]}
    splits["validation"] = {"sources": both, "share": [0.8, 1.0]}
    load_study(default_config, project)
    splits["validation"]["sources"] = both[:1]
    assert (
        "tasks.ner.splits: train is cut from embedded-ner-train, embedded-ner-dev and validation from embedded-ner-train; a source "
        "that several splits cut ('embedded-ner-train') needs the same list"
    ) in refusal(default_config, project)


def test_a_remedy_stays_with_its_key(default_config: Config, project: Path) -> None:
    """One line per problem; a remedy after a semicolon is part of its problem."""
    default_config["distillation"]["options"]["max_length"] = 48
    default_config["models"]["bertin"]["name"] = "BETO cased"
    _, *problems = refusal(default_config, project).splitlines()
    assert [problem.split(":")[0].strip() for problem in problems] == [
        "models.bertin.name",
        "distillation.options.max_length",
    ]


def test_relations_need_a_teacher_of_the_students_vocabulary(default_config: Config, project: Path) -> None:
    default_config["distillation"]["relations"] = "hidden"
    load_study(default_config, project)
    default_config["teachers"]["choices"] = {"ner": "bertin"}
    message = refusal(default_config, project)
    assert "distillation.relations: requires a teacher with the student's vocabulary" in message
    assert "teachers.choices.ner" in message


def left_out(config: Config, model: str) -> Config:
    """The model with weights that are not there."""
    spec = config["models"][model]
    config["models"][model] = {"name": spec["name"], "architecture": spec["architecture"], **LOCAL}
    return config


def test_what_names_a_model_that_is_left_out_is_refused(default_config: Config, project: Path) -> None:
    left_out(default_config, "bertin")
    default_config["teachers"] = {"rule": "validation", "choices": {"ner": "bertin"}}
    default_config["efficiency"]["reference"] = "bertin"
    message = refusal(default_config, project)
    assert "teachers.choices.ner: 'bertin' is excluded: its local weights /nowhere/at/all" in message
    assert "efficiency.reference: 'bertin' is excluded" in message
    default_config["efficiency"]["reference"] = "beto-cased"
    default_config["teachers"] = {"candidates": ["bertin"]}
    assert "teachers.candidates: none is available (bertin excluded)" in refusal(default_config, project)


def test_students_of_a_model_left_out_are_left_out_with_the_reason(
    default_config: Config, project: Path
) -> None:
    left_out(default_config, "albeto-base")
    study = without_missing_weights(load_study(default_config, project))
    reasons = reasons_left_out(study)
    assert len(reasons) == 1 + 5
    assert "starts from albeto-base: its local weights" in reasons["student albeto-base-4"]
    default_config["search"] = {"students": ["albeto-base-4"]}
    assert "search.students: 'albeto-base-4' is excluded" in refusal(default_config, project)


def test_nothing_of_a_model_that_is_left_out_is_asked_for(default_config: Config, project: Path) -> None:
    """Jobs that nobody can run would end the whole run."""
    left_out(default_config, "bertin")["search"] = {}
    put(default_config, "models.bertin.architecture.vocab_size", None)
    default_config["ablation"] = {
        "student": "albeto-tiny", "tasks": ["ner"], "seeds": [1], "batch_size": 8, "epochs": 1, "learning_rate": "1e-4",
        "reference": "gold", "methods": {"gold": {"objective": "gold"}, "kl": {}},
    }  # fmt: skip
    whole = load_study(default_config, project)
    for model, asked in {
        "bertin": (plan.tokenizers_in_use, plan.tokenizers_of_open_size, plan.models_of_others),
        "albeto-tiny": (plan.pretrained_models, plan.searches, plan.ablation_runs),
    }.items():
        without = whole.model_copy(update={"left_out": {model: "gone"}})
        for found in asked:
            name = {plan.searches: (model, "ner"), plan.ablation_runs: ("ner", "gold", 1)}.get(found, model)
            assert name in found(whole) and name not in found(without), found.__name__


@pytest.mark.parametrize(
    ("lesson", "words"),
    [
        ({"model": "nobody"}, "models.albeto-tiny.pretraining.teacher.model: no model 'nobody'"),
        ({"model": "albeto-tiny"}, "albeto-tiny -> albeto-tiny: a model cannot learn from itself"),
        ({"model": "bertin", "layers": [99]}, "teacher.layers: 99 is not among 0 (the embeddings) to"),
        ({"model": "bertin", "layers": [1, 1, 2]}, "teacher.layers: 1 is listed twice"),
        ({"model": "bertin", "dimensions": 999}, "teacher.dimensions: 999 exceeds the width"),
    ],
)
def test_a_teacher_that_cannot_teach_is_refused(
    default_config: Config, project: Path, lesson: Config, words: str
) -> None:
    put(default_config, "models.albeto-tiny.pretraining.objective", "distil")
    put(default_config, "models.albeto-tiny.pretraining.cls_words", 0)
    put(default_config, "models.albeto-tiny.pretraining.embedding_initializer_range", None)
    put(default_config, "models.albeto-tiny.pretraining.teacher", {"dimensions": 8, **lesson})
    assert words in refusal(default_config, project)


def test_teachers_that_wait_for_each_other_are_refused(default_config: Config, project: Path) -> None:
    for model, teacher in (("albeto-tiny", "beto-uncased"), ("beto-uncased", "albeto-tiny")):
        lesson = {"model": teacher, "dimensions": 8}
        recipe = {
            "objective": "distil",
            "cls_words": 0,
            "embedding_initializer_range": None,
            "teacher": lesson,
        }
        spec = default_config["models"][model]
        spec["pretraining"] = {**spec["pretraining"], **recipe}
    said = "albeto-tiny -> beto-uncased -> albeto-tiny: a model cannot learn from itself"
    assert said in refusal(default_config, project)


def test_a_model_whose_teacher_is_left_out_is_left_out_with_the_reason(
    default_config: Config, project: Path
) -> None:
    put(default_config, "models.albeto-tiny.pretraining.objective", "distil")
    put(default_config, "models.albeto-tiny.pretraining.cls_words", 0)
    put(default_config, "models.albeto-tiny.pretraining.embedding_initializer_range", None)
    put(default_config, "models.albeto-tiny.pretraining.teacher", {"model": "bertin", "dimensions": 8})
    for key in ("tokenizer", "pretraining"):
        default_config["models"]["bertin"].pop(key, None)
    default_config["models"]["bertin"].update(LOCAL)
    reasons = reasons_left_out(without_missing_weights(load_study(default_config, project)))
    assert reasons["albeto-tiny"].startswith("it is pretrained on the states of bertin: its local weights")


def test_with_no_model_left_the_tasks_can_still_be_prepared(project: Path) -> None:
    """An encoder's vocabulary is trimmed to the words of the prepared tasks; systems need the encoder."""
    config = read_yaml(project / "config/spanish-sample.yaml")
    put(config, "models.multilingual-e5-small.local", LOCAL["local"])
    study = without_missing_weights(load_study(config, project))
    assert study.left_out.keys() == study.models.keys()
    assert [job.rule for job in planned_jobs(study)].count("prepare_task") == 6
    with pytest.raises(ConfigurationError, match=r"models: none is left.*docs/local-weights\.md"):
        measure(efficiency_job(study), {})


def test_the_resolved_configuration_is_accepted(default_config: Config, project: Path) -> None:
    """The report is built from it: with its defaults written out, and what was left out."""
    study = without_missing_weights(load_study(left_out(default_config, "bertin"), project))
    again = without_missing_weights(load_study(study.model_dump(mode="json"), project))
    assert again == study


def test_published_teachers_are_known_before_anything_runs(project: Path) -> None:
    config = read_yaml(project / "config/thesis.yaml")
    study = load_study(config, project)
    assert teacher_candidates(study, "ner") == ["roberta-bne-base"]
    assert teacher_candidates(study, "tar") == ["albeto-xxlarge"]
    config["tasks"]["ner"]["name"] = "Quejas"
    assert "Set teachers.choices.ner" in refusal(config, project)
    config["teachers"]["choices"] = {"ner": "bertin"}
    assert teacher_candidates(load_study(config, project), "ner") == ["bertin"]


def test_repeated_keys_are_refused_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("tasks:\n  ner: &n {a: 1}\n  pos: *n\nname: x\ntasks:\n  ner: {b: 1, b: 2}\n")
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(path)
    said = str(caught.value).splitlines()
    assert said[0].startswith(f"{path}:5: the key 'tasks' is already in line 1")
    assert said[1].startswith(f"{path}:6: the key 'b' is already in line 6")
    path.write_text("a: &a {x: 1}\nb: {<<: *a, x: 2}\n")
    assert read_yaml(path) == {"a": {"x": 1}, "b": {"x": 2}}


@pytest.mark.parametrize(
    "value",
    ["2024-13-45", "2024-01-01T99:00:00", "0x_", "!!int abc", "!!bool abc", "9" * 5000, "!!timestamp x"],
)
def test_values_that_yaml_cannot_read_are_refused_with_their_line(tmp_path: Path, value: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"name: x\ntasks:\n  ner: {{seed: {value}}}\n")
    with pytest.raises(
        ConfigurationError, match=r"(?s)study\.yaml: not valid YAML: '.* is no .*line 3"
    ) as caught:
        read_yaml(path)
    assert len(str(caught.value)) < 400


def test_yaml_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("a: " + "[" * 20_000 + "]" * 20_000)
    with pytest.raises(ConfigurationError, match=r"study\.yaml: lists or mappings are nested too deeply"):
        read_yaml(path)


def test_own_yaml_is_read_as_pyyaml_reads_it(project: Path) -> None:
    for name in ("config.yaml", "config/thesis.yaml", "resources/sources.yaml"):
        path = project / name
        assert read_yaml(path) == yaml.safe_load(path.read_text(encoding="utf-8"))


def test_a_project_folder_with_a_space_is_refused(default_config: Config) -> None:
    with pytest.raises(ConfigurationError, match="a path with a space"):
        load_study(default_config, Path("/home/me/my projects/ligero"))


def test_the_registry_that_is_not_there_is_named_by_its_key(default_config: Config, project: Path) -> None:
    default_config["source_registry"] = "nowhere.yaml"
    message = refusal(default_config, project)
    assert message.startswith("source_registry: ") and "no such file" in message
