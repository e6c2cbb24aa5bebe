"""One run of an ablation: the student trained by one method with one seed, and scored on the test split."""

from __future__ import annotations

import shutil
from pathlib import Path

from ligero.common.errors import LigeroError
from ligero.distillation.cached_objectives import CachedObjectives
from ligero.distillation.records import AblationRun, write_run
from ligero.settings.jobs import AblationJob
from ligero.training.planned_trials import best_weights
from ligero.training.scoring import score_model
from ligero.training.shard import run_shard


def run_method(
    job: AblationJob,
    *,
    weights: Path,
    encoded_dir: Path,
    examples_dir: Path,
    logits_dir: Path,
    teachers_dir: Path,
    state_dir: Path,
    predictions_dir: Path,
    out: Path,
) -> AblationRun:
    """Train, keep the best epoch by validation, score, write the record, and delete the weights, which nobody reads any more.

    Args:
        weights: model folder that the student starts from.
        encoded_dir: `R/encoded/TOKENIZER` of the student; examples_dir: `R/tasks`; logits_dir: `R/logits` and
            teachers_dir: `R/models/fine-tuning`, read where the method learns from a teacher.
        state_dir: kept between runs; a killed run resumes by epoch.
        predictions_dir: gets the answers on the test split.
        out: file of the record. Where it is lost, the run is repeated with the same outcome.

    Raises:
        LigeroError: the validation loss was never finite.
    """
    (trial,) = job.shard.trials
    task = job.shard.tasks[trial.task]
    learned = job.shard.distillation is not None
    (result,) = run_shard(
        job.shard,
        weights=weights,
        encoded_dir=encoded_dir,
        examples_dir=examples_dir,
        state_dir=state_dir,
        objectives=CachedObjectives(job.shard, logits_dir, encoded_dir, teachers_dir) if learned else None,
    )
    if result["best"]["loss"] is None:
        raise LigeroError(
            f"ablation: {job.method} on {trial.task} diverged with seed {trial.seed}; lower its learning_rate under "
            f"ablation.methods.{job.method}."
        )
    weights_dir = best_weights(state_dir, trial)
    answered, score = score_model(
        trial.task,
        task,
        job.shard.options,
        model_dir=weights_dir,
        encoded=encoded_dir / trial.task,
        examples_dir=examples_dir / trial.task,
        predictions_dir=predictions_dir,
    )
    record = AblationRun(
        **score,
        method=job.method,
        seed=trial.seed,
        trial=result["trial"],
        best=result["best"],
        settings=result.get("settings"),
        versions=result["versions"],
        steps=result["curve"][-1]["step"],
        training_seconds=result["seconds"],
        units=answered.scored.units.tolist(),
    )
    write_run(out, record)
    shutil.rmtree(weights_dir, ignore_errors=True)
    return record
