"""Model cards of every selected model, with test scores, size and speed: written when all of them are known.

A card is a file of its own, `R/cards/REGIME/MODEL/TASK.md`, and takes the place of the README that selection put into the
model's folder. No job reads that README, so nothing is repeated for it. Needs no torch and no pandas.
"""

from __future__ import annotations

from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory, write_text
from ligero.reporting.results import Record, Results
from ligero.settings import jobs
from ligero.settings.study import Regime, Study
from ligero.training.model_card import Evidence, model_card

DEVICES = ("cpu", "gpu")


def write_cards(results: Results, out: Path) -> int:
    """Write the cards of all systems and tasks, and put each into its model's folder; returns their number.

    Raises:
        DataError: an artefact or a selected model is missing.
    """
    study, written = results.study, []
    scores = results.scores(study.tasks)
    with atomic_directory(out) as staging:
        for regime, model in jobs.systems(study):
            for task in study.tasks:
                folder = Path(results.layout.selected_model(regime, model, task))
                selection = results.selection(regime, model, task)
                if not (folder / "config.json").is_file():
                    raise DataError(
                        folder,
                        None,
                        "the selected model is gone, and its card tells its size and labels.",
                        "Select it again: snakemake --forcerun select_trial.",
                    )
                known = evidence(results, regime, model, task, scores[regime, model, task])
                card = model_card(jobs.selection_job(study, regime, model, task), selection, folder, known)
                write_text(staging / regime / model / f"{task}.md", card)
                written.append((folder / "README.md", card))
    for path, card in written:
        if not path.is_file() or path.read_text(encoding="utf-8") != card:
            write_text(path, card)
    return len(written)


def evidence(results: Results, regime: Regime, model: str, task: str, score: Record) -> Evidence:
    """What the study's artefacts know of one selected model."""
    study = results.study
    measured = results.speed[regime, model]
    return Evidence(
        study=f" in the study {study.name} (scale: {study.scale})",
        sources={name: study.sources[name] for name in jobs.task_sources(study, task)},
        recipe=_recipe(results, regime, model, task),
        score=score,
        speed={device: measured[device] for device in DEVICES if measured.get(device)},
        conditions=results.speed_conditions,
        cost=results.efficiency[regime, model],
        cost_conditions=results.efficiency_conditions,
    )


def _recipe(results: Results, regime: Regime, model: str, task: str) -> dict[str, str]:
    study = results.study
    initial = jobs.initial_model(study, regime, model)
    rows = {"starts from": _origin(study, initial)}
    if regime == "fine-tuning" or study.distillation is None:
        return rows
    student, distillation = study.distillation.students[model], study.distillation
    if student.num_hidden_layers:
        rows["layers"] = str(student.num_hidden_layers)
    chosen = results.teacher(task)
    teachers = list(chosen.get("weights") or [chosen["teacher"]])
    rows["teacher"] = ", ".join(f"`{teacher}` ({study.models[teacher].name})" for teacher in teachers)
    rows["loss"] = (
        f"{distillation.loss}, alpha {distillation.alpha:g}, temperature {distillation.temperature:g}; stops after "
        f"{distillation.patience} epochs without a lower validation loss"
    )
    if distillation.relations != "none":
        rows["relations"] = f"{distillation.relations}, weight {distillation.relation_weight:g}"
    return rows


def _origin(study: Study, model_id: str) -> str:
    """Where a model's weights come from, as a reader can find them."""
    model = study.models[model_id]
    if model.weights == "hub" and model.hub:
        return f"{model.hub.id} at revision {model.hub.revision}"
    if model.weights == "local":
        return f"{model.local} ({model.name})"
    corpus = ", ".join(study.corpus.parts) if study.corpus else ""
    return f"`{model_id}` ({model.name}), pretrained by this study on: {corpus}"
