"""Model cards of every selected model, written when it is scored and measured. Needs no torch and no pandas.

A card is a file of its own, `R/cards/REGIME/MODEL/TASK.md`, and the README in the model's folder, which no job reads.
"""

from __future__ import annotations

from pathlib import Path

from ligero.common.errors import DataError
from ligero.common.files import atomic_directory, write_text
from ligero.common.records import write_listing
from ligero.efficiency.records import DEVICES
from ligero.models.weights_source import WeightsSource
from ligero.reporting.model_card import Checkpoint, Evidence, model_card
from ligero.reporting.results import Results
from ligero.settings import jobs, plan
from ligero.settings.layout import CARDS_FILE
from ligero.settings.sources import Source
from ligero.settings.study import Regime, Study
from ligero.settings.tasks import Task
from ligero.settings.training import TrainingOptions
from ligero.training.records import SystemScoreRecord

REUTERS = Source(
    path="rcv2",
    licence="by an agreement with NIST; the texts may not be passed on",
    citation="https://trec.nist.gov/data/reuters/reuters.html",
)
"""The texts of MLDoc, of which its files are only lists."""


def write_cards(results: Results, out: Path) -> int:
    """Write the cards of all systems and tasks, and put each into its model's folder; returns their number.

    Raises:
        DataError: an artefact or a selected model is missing.
    """
    study, written = results.study, []
    scores = results.scores(study.tasks)
    with atomic_directory(out) as staging:
        for regime, model in plan.systems(study):
            for task in study.tasks:
                folder = Path(results.layout.selected_model(regime, model, task))
                selection = results.selection(regime, model, task)
                if not (folder / "config.json").is_file():
                    selecting = "select_trials" if regime in plan.one_shard_regimes(study) else "select_trial"
                    raise DataError(
                        folder,
                        None,
                        "the selected model is missing, and its card states its size and labels.",
                        f"Select it again: snakemake --forcerun {selecting}.",
                    )
                known = evidence(results, regime, model, task, scores[regime, model, task])
                card = model_card(jobs.selection_job(study, regime, model, task), selection, folder, known)
                write_text(staging / regime / model / f"{task}.md", card)
                written.append((folder / "README.md", card))
        write_listing(
            staging / CARDS_FILE, sorted(str(path.relative_to(staging)) for path in staging.rglob("*.md"))
        )
    for path, card in written:
        if not path.is_file() or path.read_text(encoding="utf-8") != card:
            write_text(path, card)
    return len(written)


def evidence(results: Results, regime: Regime, model: str, task: str, score: SystemScoreRecord) -> Evidence:
    """What the study's artefacts know of one selected model."""
    study = results.study
    measured = results.speed[regime, model]
    return Evidence(
        model=plan.system_name(study, regime, model),
        task=study.tasks[task].name,
        study=f" in the study {study.name} (scale: {study.scale})",
        sources=_sources(study, task),
        checkpoint=_checkpoint(results, plan.initial_model(study, regime, model)),
        teachers=tuple(_checkpoint(results, teacher) for teacher in _teachers(results, regime, task)),
        language=_language(study),
        recipe={
            **_recipe(results, regime, model, task),
            **options_rows(jobs.shard_job(study, regime, model, 0).options, study.tasks[task], score),
        },
        score=score,
        speed={device: latency for device in DEVICES if (latency := measured[device])},
        conditions=results.speed_conditions,
        cost=results.efficiency[regime, model],
        cost_conditions=results.efficiency_conditions,
    )


def _sources(study: Study, task: str) -> dict[str, Source]:
    """A task's files, and the user's own texts that some of them only point to."""
    found = {name: study.sources[name] for name in plan.task_sources(study, task)}
    return {**found, "Reuters RCV2 (own copy)": REUTERS} if study.tasks[task].rcv_dir else found


def _teachers(results: Results, regime: Regime, task: str) -> list[str]:
    """Ids of the models whose logits a system learned from."""
    return list(results.teacher(task)["weights"]) if regime == "distillation" else []


def _recipe(results: Results, regime: Regime, model: str, task: str) -> dict[str, str]:
    study = results.study
    initial = plan.initial_model(study, regime, model)
    rows = {"starts from": _checkpoint(results, initial).name}
    if regime == "fine-tuning" or study.distillation is None:
        return rows
    student, distillation = study.distillation.students[model], study.distillation
    if student.num_hidden_layers:
        rows["layers"] = str(student.num_hidden_layers)
    rows["teacher"] = ", ".join(
        f"`{teacher}` ({study.models[teacher].name})" for teacher in _teachers(results, regime, task)
    )
    rows["loss"] = (
        f"{distillation.loss}, alpha {distillation.alpha:g}, temperature {distillation.temperature:g}; stops after more than "
        f"{distillation.patience} epochs without a lower validation loss"
    )
    if distillation.relations != "none":
        rows["relations"] = f"{distillation.relations}, weight {distillation.relation_weight:g}"
    return rows


def _checkpoint(results: Results, model_id: str) -> Checkpoint:
    """Where a model's weights come from, and under which licences."""
    study = results.study
    model = study.models[model_id]
    if model.weights == "hub" and model.hub:
        source = results.weights_source(model_id) or WeightsSource()
        name, commit = source.hub or model.hub.id, source.revision or model.hub.revision
        at = f"at revision {commit}" if commit else "at a revision that was not recorded"
        return Checkpoint(f"{name} {at}", name, (source.licence or model.hub.licence,))
    if model.weights == "local":
        return Checkpoint(f"{model.local} ({model.name})")
    parts = study.corpus.parts if study.corpus else ()
    licences = tuple(study.sources[part].licence for part in parts)
    name = f"`{model_id}` ({model.name}), pretrained by this study on: {', '.join(parts)}"
    if lesson := model.state_teacher:
        taught = _checkpoint(results, lesson.model)
        name += f"; and on the hidden states of {taught.name}"
        licences += taught.licences
    return Checkpoint(name, licences=licences)


def _language(study: Study) -> str:
    """The language that the corpus is filtered by; nothing else in a study names its language."""
    chosen = study.corpus.language if study.corpus else None
    return chosen.code if chosen else ""


def options_rows(options: TrainingOptions, task: Task, score: SystemScoreRecord) -> dict[str, str]:
    """The training options that can change a score, as rows of the recipe."""
    precision = (
        f"auto, {score['precision']} when scored" if options.precision == "auto" else options.precision
    )
    decay = "all parameters" if options.decay_all_parameters else "all parameters but biases and norms"
    rows = {
        "warm-up": f"the first {options.warmup_ratio:.3g} of the steps" if options.warmup_ratio else "none",
        "weight decay": f"{options.weight_decay:g}, on {decay}" if options.weight_decay else "none",
        "gradient clipping": f"norm {options.max_grad_norm:g}" if options.max_grad_norm else "none",
        "precision": precision,
        "order of the examples": "shuffled every epoch" if options.shuffle else "as in the files",
    }
    if options.head_learning_rate_factor != 1.0:
        rows["learning rate of the head"] = f"{options.head_learning_rate_factor:g} times the encoder's"
    if task.type == "token_classification":
        which = "the first subword" if options.label_subwords == "first" else "all subwords"
        rows["labelled"] = f"{which} of a word"
        if options.max_words:
            rows["longest sentence"] = f"{options.max_words} words"
    return rows
