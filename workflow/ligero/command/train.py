"""`ligero train`: write the study of one file of labelled examples, check the data, run the workflow, say what came out."""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ligero.command.check import findings, summary, tell
from ligero.command.examples import READER_OF_ENDING, UserData
from ligero.command.planning import ALBETO_TINY, BETO, Budget, Plan, Weights, study_id, written
from ligero.command.project import PROJECT, run_workflow, shown_line, snakemake_line
from ligero.command.systems import (
    below_twin,
    cut_examples,
    open_results,
    printed_alternatives,
    printed_systems,
)
from ligero.common.errors import ConfigurationError, LigeroError
from ligero.common.files import atomic_directory, atomic_path, user_path, write_text
from ligero.efficiency.truncation import truncate
from ligero.reporting.recommendation import Limits, System, alternatives, measured_systems, ranked
from ligero.serving.manifest import MANIFEST_FILE, Manifest
from ligero.settings.load import load_study
from ligero.settings.yaml_files import read_yaml
from ligero.tokenizers.fast_tokenizer import require_vocabulary

SCRATCH_WARNING = """No pretrained weights: teacher and student start from random ones and are pretrained for some minutes on text that the project
generates and on your training texts. They know the words of your file and a few hundred more, and nothing else of Spanish.
Expect scores on real text far below those of a pretrained encoder, and often below n-grams with logistic regression. With
network, or with --teacher FOLDER, you get the real thing; this run shows that everything works."""


def run(args: argparse.Namespace) -> int:
    """Write, check, run, report. 2 where the data has errors."""
    budgets = [Budget.read(text) for text in args.budget]
    _refuse_numbers(args, budgets)
    data = UserData.of(args)
    splits = data.load()
    name = study_id(Path(args.data).stem)
    folder = user_path(args.out) if args.out else Path(name)
    teacher = _teacher(args.teacher, None if args.overwrite else folder / "study.yaml")
    plan = Plan(name, data, splits, teacher, _student(args.student, teacher), bool(budgets), args.seed)
    found = list(findings(data, splits, plan.lengths, plan.length))
    print(summary(data, splits), file=sys.stderr)
    tell(found, sys.stderr)
    if any(one.level == "error" for one in found):
        raise LigeroError(f"{args.data}: the data has errors, named above; nothing was trained")
    warning = SCRATCH_WARNING if plan.from_scratch else ""
    if warning:
        print(f"warning: {warning}", file=sys.stderr)
    folder = folder.resolve()
    exports = [f"results/exports/distillation/{student}/{name}" for student in plan.students()]
    tables = ["results/summary.csv", "results/tables/inference_speed.csv"]
    if data.kind == "sequence_classification":
        tables.append(f"results/static_embeddings/{name}.json")
    line = snakemake_line(folder, args.cores, [*tables, *exports])
    head = [
        f"Written by: {shown_line(['ligero', *sys.argv[1:]])}",
        f"Run it: {shown_line(line)}",
        "Every key, with its default: docs/configuration.md. After a change only what depends on it is repeated.",
        *warning.splitlines(),
    ]
    write_study(plan, folder, head, args.overwrite)
    print(shown_line(line), file=sys.stderr)
    if args.dry_run:
        return 0
    run_workflow(line, folder / "run.log")
    return _report(args, folder, name, budgets)


def _refuse_numbers(args: argparse.Namespace, budgets: list[Budget]) -> None:
    """Refuse options that Snakemake or the configuration would refuse later, or of which one would win silently."""
    if not 0 <= args.seed < 2**32:
        raise ConfigurationError(f"--seed {args.seed}: expected a whole number from 0 to {2**32 - 1}")
    kinds = [budget.kind for budget in budgets]
    if twice := next((budget for budget in budgets if kinds.count(budget.kind) > 1), None):
        raise ConfigurationError(f"--budget {twice}: there is another limit in {twice.kind}; give one")


def _teacher(given: str | None, study: Path | None) -> Weights:
    """The teacher that is asked for; else BETO from the hub, or none where the hub cannot be reached.

    Args:
        study: that is resumed if it is there: a network that came or went changes nothing.
    """
    if given is not None:
        return _weights(given, "--teacher")
    if study and study.exists():
        from_scratch = "corpus" in read_yaml(study)
    else:
        from_scratch = not hub_answers()
    return Weights("scratch") if from_scratch else Weights("hub", BETO)


def hub_answers(seconds: float = 3.0) -> bool:
    """Whether the hub answers, through a proxy where the environment names one, as downloads do; HF_HUB_OFFLINE says no."""
    import httpx

    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return False
    try:
        httpx.head(os.environ.get("HF_ENDPOINT") or "https://huggingface.co", timeout=seconds)
    except (httpx.HTTPError, httpx.InvalidURL, OSError):
        return False
    return True


def _weights(given: str, option: str) -> Weights:
    """The weights that an option names.

    Raises:
        ConfigurationError: there are none, or a model of the hub whose architecture the project does not know.
        DataError: a folder without a tokenizer.
    """
    weights = Weights.read(given, option)
    if weights.kind == "local":
        weights.shape(option)  # that it is a checkpoint comes first
        require_vocabulary(Path(weights.place))
    known = read_yaml(PROJECT / "resources" / "sources.yaml")["hub_models"]
    if weights.kind == "hub" and weights.place not in known:
        if Path(given).parent.is_dir():
            raise ConfigurationError(f"{option} {given}: no such folder")
        raise ConfigurationError(
            f"{option} {given}: no folder of this name is here, and `ligero ls models` does not list such a model, so its architecture is "
            f"not known here. Download it, "
            f"`hf download {given} --local-dir FOLDER`, and give {option} FOLDER"
        )
    return weights


def _student(given: str | None, teacher: Weights) -> Weights | int:
    """The student that is asked for; else ALBETO tiny beside a teacher of the hub, a third of a local teacher's layers."""
    if teacher.kind == "scratch":
        if given is not None:
            raise ConfigurationError(
                "--student: with a teacher from scratch the student is made from scratch too; leave it out"
            )
        return Weights("scratch")
    layers = teacher.shape("--teacher").layers
    if given is None:
        return Weights("hub", ALBETO_TINY) if teacher.kind == "hub" else max(1, layers // 3)
    if not given.isdecimal():
        student = _weights(given, "--student")
        if student.kind == "scratch":
            raise ConfigurationError("--student scratch: a student from scratch needs --teacher scratch")
        return student
    if not 1 <= int(given) <= layers:
        raise ConfigurationError(
            f"--student {given}: expected a number of layers from 1 to the teacher's {layers}"
        )
    return int(given)


def write_study(plan: Plan, folder: Path, head: Sequence[str], overwrite: bool) -> None:
    """Write FOLDER/study.yaml and copies of the data, so that the study stays what it is when the files change.

    Raises:
        ConfigurationError: another study.yaml is there, or files that no study wrote and that this one would replace; or the workflow
            would refuse the study.
    """
    _refuse_to_replace(plan, folder)
    configuration = plan.configuration()
    load_study(configuration, PROJECT, folder)
    text = written(configuration, head)
    path = folder / "study.yaml"
    if (
        path.exists()
        and not overwrite
        and _without_comments(path.read_text(encoding="utf-8")) != _without_comments(text)
    ):
        raise ConfigurationError(
            f"{path} already exists and differs: it was edited, or the data or options changed. Run the snakemake "
            "command at its top, choose another --out, or replace it with --overwrite"
        )
    for split, name in plan.copies().items():
        with atomic_path(folder / "data" / name) as temporary:
            shutil.copyfile(plan.data.files[split], temporary)
    if plan.from_scratch:
        write_text(folder / "data" / f"{plan.texts_id}.txt", plan.texts())
    write_text(path, text)


def _refuse_to_replace(plan: Plan, folder: Path) -> None:
    """Refuse a folder in which something else has the place of the model, the data, the results or the log: `--overwrite` is for studies."""
    model, ours = folder / "model", (folder / "study.yaml").exists()
    others = [model] if model.exists() and not (model / MANIFEST_FILE).is_file() else []
    if not ours:
        copies = {folder / "data" / name: plan.data.files[split] for split, name in plan.copies().items()}
        others += [at for at, source in copies.items() if at.exists() and not _same(at, Path(source))]
        texts = folder / "data" / f"{plan.texts_id}.txt"
        if plan.from_scratch and texts.exists() and texts.read_bytes() != plan.texts().encode():
            others.append(texts)
        results = folder / "results"
        others += [results] if any(results.glob("*")) else []
        others += [at for at in (model, folder / "run.log") if at.exists() and at not in others]
    if others:
        raise ConfigurationError(
            f"{others[0]} already exists, and no study here wrote it: it would be replaced. Choose another --out"
        )


def _same(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def _report(args: argparse.Namespace, folder: Path, task: str, budgets: list[Budget]) -> int:
    results = open_results(folder)
    systems, others = measured_systems(results, task), alternatives(results, task)
    readings = measured_systems(results, task, at_full_depth=True)
    cuts = cut_examples(results, task)
    limits = _limits(budgets, systems)
    kept = ranked([system for system in systems if system.regime == "distillation"], limits)
    chosen = kept[0] if kept else None
    model = _put_in_place(folder, chosen) if chosen else None
    if args.json:
        answer = {
            "study": str(folder / "study.yaml"), "results": str(folder / "results"), "systems": [asdict(s) for s in readings],
            "without_a_language_model": [asdict(other) for other in others],
            "chosen": asdict(chosen) if chosen else None, "model": str(model) if model else None, "cut": [asdict(cut) for cut in cuts],
        }  # fmt: skip
        print(json.dumps(answer, ensure_ascii=False))
    else:
        print(printed_systems(readings))
        for line in printed_alternatives(others):
            print(line)
        for cut in cuts:
            print(cut)
        for student, twin in below_twin(systems):
            print(below(student, twin))
        if model is None:
            print(f"No student keeps {', '.join(map(str, budgets))}; the table says what each takes.")
        else:
            print(f"model: {model}\n{shown_line(['ligero', 'predict', str(model), *_again(args)])}")
    return 0 if chosen else 1


def _again(args: argparse.Namespace) -> list[str]:
    """The training file and its columns for `predict`; nothing where the file's name does not say its format: standard input."""
    if args.reader and READER_OF_ENDING.get(Path(args.data).suffix.lower()) != args.reader:
        return []
    given = {"--text": args.text, "--second-text": args.second_text}
    return [args.data, *(word for option, column in given.items() if column for word in (option, column))]


def _put_in_place(folder: Path, chosen: System) -> Path:
    """Copy the chosen student's export to FOLDER/model, which holds all that answering needs."""
    model, export = folder / "model", Path(chosen.folder)
    Manifest.read(export).verify(export)
    with atomic_directory(model) as staging:
        shutil.copytree(export, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
    return model


def below(student: System, twin: System) -> str:
    """What to do about a student that learned less from its teacher than its twin from the labels."""
    real = "" if student.high < twin.low else " (their intervals overlap, so it may be chance)"
    return (
        f"{student.label} is {truncate(twin.score - student.score)} points below its fine-tuned twin{real}. Raise distillation.grid.epochs or "
        "learning_rate, or distillation.patience; see that the teacher itself is better than the twin."
    )


def _limits(budgets: list[Budget], systems: list[System]) -> Limits:
    """Budgets as limits; a share is of the teacher's score, which is the first of the fine-tuned systems."""
    of = {budget.kind: budget.amount for budget in budgets}
    teacher = next(system for system in systems if system.regime == "fine-tuning")
    return Limits(of.get("ms"), of.get("MB"), of["%"] / 100 * teacher.score if "%" in of else None)
