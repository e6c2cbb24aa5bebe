"""One model from token store to model folder: what the program `pretrain.py` does."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from ligero.common.errors import MismatchError
from ligero.common.file_locks import only_process
from ligero.common.files import atomic_directory, atomic_path
from ligero.common.hashing import digest_value
from ligero.corpus.token_store import TokenStore, check_tokens
from ligero.models.build import build_for_pretraining, count_parameters, make_config
from ligero.models.digests import write_weights_digest
from ligero.models.heads import copy_tokenizer
from ligero.models.initial_attention import move_positions_apart
from ligero.pretraining.batches import BatchSource, PretrainingBatch
from ligero.pretraining.distributed import DistributedContext
from ligero.pretraining.engine import Pretrainer
from ligero.pretraining.records import METRICS_FILE, STATES_FILE, PretrainingSummary, StatesInfo
from ligero.pretraining.state_objective import HEAD, HEAD_TOKENS, add_fitted_head
from ligero.pretraining.teacher_embeddings import TAUGHT_RANGE, initialise_embeddings
from ligero.pretraining.teacher_states import TeacherStates, check_states
from ligero.pretraining.validation import unigram_loss
from ligero.pretraining.vocabulary import Vocabulary
from ligero.settings.jobs import PretrainingJob, digest

VALIDATION_ROWS = 256


@dataclass
class Prepared:
    """Everything a run needs, before a device is touched."""

    job: PretrainingJob
    tokens: Path
    """Folder of the token store."""
    model: nn.Module
    source: BatchSource
    held_out: PretrainingBatch | None
    fingerprint: str
    """Digest of all that determines the weights of a run that does not diverge: settings, text, vocabulary."""


def prepare(job: PretrainingJob, tokens: Path, tokenizer_folder: Path) -> Prepared:
    """Open the store, read the vocabulary and initialise the model.

    Raises:
        DataError: a file of the store or of the tokenizer is missing or damaged.
        MismatchError: the tokenizer did not make the store, or has more tokens than the model embeddings.
    """
    recipe = job.recipe
    vocabulary = Vocabulary.load(tokenizer_folder, words=recipe.whole_word)
    store = TokenStore.open(tokens)
    vocabulary.check_made(store, tokens)
    config = make_config(job.architecture, vocabulary.size, vocabulary.pad)
    if vocabulary.size > config.vocab_size:
        raise MismatchError(
            f"models.{job.model_id}.architecture.vocab_size: {config.vocab_size} rows for a vocabulary of "
            f"{vocabulary.size}; raise it or leave it out"
        )
    head: Literal["mlm_sop", "mlm"] = "mlm_sop" if recipe.objective == "mlm_sop" else "mlm"
    # A teacher's embeddings must not be hidden by positions.
    taught_range = TAUGHT_RANGE if recipe.teacher and recipe.teacher.initialise_embeddings else None
    spread = recipe.embedding_initializer_range or taught_range
    model = build_for_pretraining(config, head, recipe.seed, spread, recipe.initial_attention)
    taught: dict[str, TeacherStates | None] = dict.fromkeys(("train", "validation"))
    info = StatesInfo.read(tokens) if recipe.teacher else None
    if recipe.teacher and info:
        taught = {split: TeacherStates.open(tokens, info, split) for split in taught}
        if spread and recipe.teacher.initialise_embeddings and taught["train"]:
            apart = move_positions_apart(model, spread) if recipe.initial_attention == "neighbours" else 0
            initialise_embeddings(model, store.tokens, taught["train"], spread, apart)
    source = BatchSource(store, vocabulary, recipe, taught["train"])
    if recipe.teacher:
        sample = source.batch(0, rows=max(1, HEAD_TOKENS // recipe.sequence_length))
        add_fitted_head(model, sample, recipe.micro_batch_size)
    return Prepared(
        job=job,
        tokens=tokens,
        model=model,
        source=source,
        held_out=source.validation(
            TokenStore.open(tokens, "validation"), VALIDATION_ROWS, taught["validation"]
        ),
        fingerprint=digest_value([digest(job), asdict(store.info), info and info.files]),
    )


def check_text(tokens: Path) -> None:
    """Compare what a run reads with its digests: the ids, and a teacher's states.

    Raises:
        DamagedError: a file is not what was written.
    """
    check_tokens(tokens)
    if (tokens / STATES_FILE).is_file():
        check_states(tokens, StatesInfo.read(tokens))


def pretrain(
    prepared: Prepared,
    tokenizer_folder: Path,
    out: Path,
    log_folder: Path,
    state: Path,
    placement: DistributedContext,
) -> bool:
    """Train, then write the model folder, metrics.jsonl and summary.json; False when a signal ended it early.

    A signal that comes while the results are written changes nothing any more. The state of a run lies in
    `state`/FINGERPRINT; states of other settings are removed only when this run has ended.

    Raises:
        InUseError: another run trains in `state`.
    """
    job, state = prepared.job, Path(state)
    folder = state / prepared.fingerprint
    with ExitStack() as held:
        if placement.is_first:
            held.enter_context(only_process(state, job.model_id))
            _mention_other_states(prepared, state)
        trainer = Pretrainer(
            prepared.model,
            job.recipe,
            prepared.source,
            prepared.held_out,
            folder,
            placement,
            job.model_id,
            _in_background(lambda: check_text(prepared.tokens)) if placement.is_first else None,
        )
        if placement.is_first:
            trainer.checkpoints.tidy()
        held.enter_context(trainer.interruption.handling_signals())
        completed = trainer.run()
        found = trainer.weights() if completed else {}
        weights = {name: value for name, value in found.items() if not name.startswith(f"{HEAD}.")}
        if placement.is_first and completed:
            with atomic_directory(out) as staging:
                trainer.model.save_pretrained(staging, state_dict=weights)  # type: ignore[operator]
                copy_tokenizer(tokenizer_folder, staging)
                write_weights_digest(staging)
            _write_logs(prepared, trainer, folder, Path(log_folder))
            shutil.rmtree(state, ignore_errors=True)
        placement.barrier()
    return completed


def _in_background(check: Callable[[], None]) -> Future[None]:
    """Run `check` in a thread that does not keep the process alive."""
    future: Future[None] = Future()

    def run() -> None:
        try:
            check()
            future.set_result(None)
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _mention_other_states(prepared: Prepared, state: Path) -> None:
    """Report checkpoints of other settings, which are not used."""
    others = [path.name for path in state.glob("*") if path.is_dir() and path.name != prepared.fingerprint]
    if others:
        print(
            f"{prepared.job.model_id}: settings, text or vocabulary changed since an unfinished run; starting over "
            f"({', '.join(others)} stays in {state} until this run has ended)",
            file=sys.stderr,
        )


def _write_logs(prepared: Prepared, trainer: Pretrainer, folder: Path, log_folder: Path) -> None:
    """Copy the metrics out of the state `folder`, write the summary and say how fast the run was."""
    with atomic_path(log_folder / METRICS_FILE) as staging:
        shutil.copyfile(folder / METRICS_FILE, staging)
    if prepared.job.recipe.tensorboard:
        shutil.rmtree(log_folder / "tensorboard", ignore_errors=True)
        shutil.copytree(folder / "tensorboard", log_folder / "tensorboard")
    summary = _summary(prepared, trainer)
    summary.write(log_folder)
    print(
        f"{summary.model}: {summary.tokens_per_second:,.0f} tokens/s, {summary.share_of_peak:.0%} of the measured peak of "
        f"{summary.measured_peak_gflops:,.0f} GFLOP/s"
    )


def _summary(prepared: Prepared, trainer: Pretrainer) -> PretrainingSummary:
    """What is worth knowing of a finished run."""
    job, done, source, held_out = prepared.job, trainer.done, prepared.source, prepared.held_out
    device = trainer.placement.device
    speed = done.computed_tokens / max(done.computing_seconds, 1e-9)
    frequencies = (
        unigram_loss(source.store, held_out.labels, source.vocabulary.size)
        if held_out and not job.recipe.teacher
        else None
    )
    return PretrainingSummary(
        model=job.model_id,
        parameters=count_parameters(trainer.model) - count_parameters(getattr(trainer.model, HEAD, None)),
        steps=done.step,
        tokens=done.tokens,
        corpus_tokens=len(source.store),
        epochs=round(done.step * job.recipe.batch_size / source.windows.count, 3),
        seconds=round(done.seconds, 2),
        tokens_per_second=round(speed, 1),
        measured_peak_gflops=round(trainer.speed.peak / 1e9, 1),
        share_of_peak=round(trainer.speed.share_of_run(speed), 4),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        precision=trainer.precision,
        processes=trainer.placement.world,
        threads=torch.get_num_threads(),
        final=done.last,
        validation=done.validation,
        unigram_loss=frequencies,
        rollbacks=done.rollbacks,
        determined_by=digest(job),
        fingerprint=prepared.fingerprint,
        torch=torch.__version__,
    )
