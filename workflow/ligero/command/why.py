"""`ligero why`: where a number of a table comes from, and whether the files still give it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from ligero.command.project import PROJECT
from ligero.command.systems import results_folder, study_of
from ligero.common.errors import ConfigurationError
from ligero.common.files import user_path
from ligero.efficiency.truncation import truncate
from ligero.reporting.provenance.chain import Chains
from ligero.reporting.provenance.recompute import Recomputation
from ligero.reporting.provenance.records import (
    Chain,
    Count,
    Measurement,
    Recomputed,
    SourceFile,
    StartingWeights,
)


def run(args: argparse.Namespace) -> int:
    """Print the chain of a number, or recompute all of a table; 1 where a number is not what the files give."""
    path = user_path(args.table)
    if (
        path.parent == Path()
    ):  # a file of the folder that the command is called in, whose own parent is asked for below
        path = path.absolute()
    if not args.all and (args.row is None or args.column is None):
        raise ConfigurationError(
            "name a row and a column, e.g. ligero why results/summary.csv 'ALBETO tiny' score; or --all"
        )
    folder = results_folder(path.parent if (path.parent / "config.json").is_file() else path.parent.parent)
    chains = Chains(study_of(folder), folder, PROJECT)
    table = chains.table_of(path)
    recomputation = Recomputation(chains)
    if args.all:
        return _all(list(chains.every(table)), recomputation, args)
    found = chains.find(table, args.row, args.column)
    again = [
        recomputation.recompute(chain) if args.recompute and recomputation.possible(chain) else None
        for chain in found
    ]
    if args.json:
        print(json.dumps([{**asdict(chain), "recomputed": asdict(one) if one else None} for chain, one in zip(found, again, strict=True)], ensure_ascii=False))  # fmt: skip
    else:
        for chain, one in zip(found, again, strict=True):
            print("\n".join(_told(chain, chains)))
            if one or args.recompute:
                print("\n".join(_verdict(chain, one)))
            print()
    return int(any(one is not None and not one.equal for one in again))


def _all(found: list[Chain], recomputation: Recomputation, args: argparse.Namespace) -> int:
    """Every number of the table: its formula, or whether it is equal."""
    verdicts = {
        (chain.row, chain.column): recomputation.recompute(chain)
        for chain in found
        if args.recompute and recomputation.possible(chain)
    }
    if args.json:
        rows = [
            {"row": chain.row, "column": chain.column, "printed": chain.printed, "formula": chain.formula, "recomputed": asdict(one) if one else None}
            for chain in found
            for one in [verdicts.get((chain.row, chain.column))]
        ]  # fmt: skip
        print(json.dumps(rows, ensure_ascii=False))
        return int(any(not one.equal for one in verdicts.values()))
    if not args.recompute:
        for chain in found:
            print(f"{chain.row}, {chain.column}: {chain.printed}: {chain.formula}")
        return 0
    for (row, column), one in verdicts.items():
        for problem in one.problems:
            print(f"not equal: {row}, {column}: {problem}")
    wrong = sum(not one.equal for one in verdicts.values())
    left = len(found) - len(verdicts)
    skipped = f"; {left} that are measured or copied were not recomputed" if left else ""
    print(
        f"{args.table}: recomputed {len(verdicts)} numbers, {len(verdicts) - wrong} equal to the digit, {wrong} not{skipped}"
    )
    return int(wrong > 0)


def _verdict(chain: Chain, one: Recomputed | None) -> Iterator[str]:
    if one is None:
        yield f"recomputed: no: {chain.formula}"
        return
    yield f"recomputed: {one.printed}: {'equal to the digit' if one.equal else 'NOT EQUAL'}"
    for problem in one.problems:
        yield f"  {problem}"


def _told(chain: Chain, chains: Chains) -> Iterator[str]:
    """The chain for people."""
    unrounded = f" = {chain.value!r}" if chain.value is not None else ""
    yield f"{chain.row}, {chain.column}: {chain.printed}  ({chain.table})"
    yield f"  {chain.formula}{unrounded}"
    if len(chain.measurements) == 1:
        yield from _measurement(chain.measurements[0])
    elif chain.measurements:
        yield from _measurements(chain.measurements)
    for count in chain.counts:
        yield from _count(count)
    if not chain.measurements and not chain.counts:
        yield "files"
        yield from (f"  {path}" for path in chain.artefacts)
    yield "made again by"
    where = "" if chains.folder == PROJECT else f" (in {chains.folder or 'the folder of the study'})"
    yield f"  {chain.command}{where}"


def _measurements(found: list[Measurement]) -> Iterator[str]:
    """Several measurements side by side, then what they share."""
    header = ("task", "metric", "score", "95 % interval", "selected trial", "loss", "teacher", "answers")
    rows = [header, *map(_row, found)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(header))]
    yield "cells"
    yield from (
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    trials = [one.trial for one in found if one.trial]
    if trials:
        yield "training"
        yield from (f"  {line}" for line in dict.fromkeys(line for one in found for line in _training(one)))
    starts = {one.start.model: one.start for one in found if one.start}
    for start in starts.values():
        yield from _start(start)
    yield "data"
    for one in found:
        yield f"  {one.task_name}: {_examples(one)}"
        yield from _sources(one.data.sources)


def _row(one: Measurement) -> tuple[str, ...]:
    trial = f"{one.trial.id} ({one.trial.place} of {len(one.trial.candidates)})" if one.trial else one.name
    loss = f"{one.trial.loss:.4f}" if one.trial and one.trial.loss is not None else "-"
    answers = (
        f"{one.predictions.path} ({one.predictions.state})"
        if one.predictions
        else "follow from the training split"
    )
    teacher = one.teaching.name if one.teaching else "-"
    return (
        one.task_name,
        one.metric,
        str(truncate(one.value, 4)),
        _interval(one),
        trial,
        loss,
        teacher,
        answers,
    )


def _interval(one: Measurement) -> str:
    return f"{truncate(one.interval[0])} to {truncate(one.interval[1])}" if one.interval else "-"


def _measurement(one: Measurement) -> Iterator[str]:
    """One measurement in full."""
    yield "measured"
    yield f"  {one.task_name}, {one.metric}: {one.value!r}, 95 % interval {_interval(one)}, {one.examples:,} test examples; {one.scores}"
    if one.predictions:
        yield "answers"
        yield f"  {one.predictions.path}: {one.predictions.state} (XXH3 {one.predictions.recorded})"
    if one.trial:
        trial = one.trial
        yield f"selected trial, {trial.place} of {len(trial.candidates)}, by validation {trial.chosen_by}"
        best_first = sorted(
            trial.candidates, key=lambda c: (c["id"] != trial.id, c["loss"] is None, c["loss"] or 0.0)
        )
        for candidate in best_first[:8]:
            mark = "*" if candidate["id"] == trial.id else " "
            stopped = ", stopped early by halving" if candidate["stopped"] == "halving" else ""
            loss = "diverged" if candidate["loss"] is None else f"loss {candidate['loss']:.4f}"
            score = "-" if candidate["score"] is None else truncate(candidate["score"])
            yield f"  {mark} {candidate['id']}: {loss}, score {score}, epoch {candidate['epoch']}{stopped}"
        if len(trial.candidates) > 8:
            yield f"    and {len(trial.candidates) - 8} more (--json lists all)"
        yield "training"
        yield from (f"  {line}" for line in _training(one))
        yield f"  digest of the trial {trial.digest}, of the model {trial.model_digest}"
    if one.teaching:
        taught = one.teaching
        losses = sorted(taught.losses.items(), key=lambda pair: (pair[1] is None, pair[1] or 0.0))
        together = ", ".join(f"{model} x {weight:g}" for model, weight in taught.together.items())
        yield f"teacher: {taught.name}, by {taught.rule} ({together})"
        yield "  " + ", ".join(
            f"{model} {'diverged' if loss is None else f'{loss:.4f}'}" for model, loss in losses
        )
        yield f"  logits {taught.logits.path}: {taught.logits.state} (XXH3 {taught.logits.recorded})"
        yield f"  computed from {', '.join(f'{name} {value}' for name, value in taught.depends_on.items() if name != 'labels')}"
    yield from _start(one.start)
    yield "data"
    yield f"  {one.task_name}: {_examples(one)}"
    yield from (f"  note: {note}" for note in one.data.notes)
    if one.vocabulary:
        yield f"  vocabulary {one.vocabulary.id}, SHA-256 {one.vocabulary.sha256}, at most {one.vocabulary.max_length} tokens"
    yield from _sources(one.data.sources)


def _training(one: Measurement) -> Iterator[str]:
    if one.trial is None:
        return
    trial = one.trial
    versions = ", ".join(f"{name} {version}" for name, version in trial.versions.items())
    yield f"seed {trial.seed}, {trial.precision or 'unknown precision'} on {trial.device}, {trial.threads or '?'} threads; {versions or 'versions not recorded'}"
    if trial.options:
        yield "options: " + ", ".join(
            f"{name} {value}" for name, value in trial.options.items() if value is not None
        )
    if trial.distillation:
        yield "distillation: " + ", ".join(
            f"{name} {value}" for name, value in trial.distillation.items() if value is not None
        )


def _start(start: StartingWeights | None, what: str = "encoder") -> Iterator[str]:
    if start is None:
        return
    yield f"{what}: {start.model}, {start.origin}, digest {start.digest or 'not recorded'}"
    if start.steps is not None:
        losses = [f"loss of masked tokens {truncate(start.loss, 4)}" if start.loss is not None else "", f"of word frequencies alone {truncate(start.unigram_loss, 4)}" if start.unigram_loss is not None else ""]  # fmt: skip
        yield f"  {start.steps:,} steps, {start.tokens:,} tokens; {', '.join(filter(None, losses))}; job {start.job}, with text and vocabulary {start.fingerprint}"
    for name, value in (
        ("from", start.hub or start.folder),
        ("commit", start.revision),
        ("licence", start.licence),
    ):
        if value:
            yield f"  {name} {value}"
    yield from _sources(start.sources)
    yield from _start(start.teacher, "pretrained on the states of")


def _examples(one: Measurement) -> str:
    return ", ".join(
        f"{split} {count:,} (digest {one.data.digests.get(split, 'not recorded')})"
        for split, count in one.data.examples.items()
    )


def _sources(sources: Iterable[SourceFile]) -> Iterator[str]:
    for source in sources:
        licence = source.licence or "licence not recorded"
        now = "" if source.recorded else " (now)"
        yield f"    {source.path}  SHA-256 {source.sha256 or 'not recorded'}{now}  {licence}{'  (generated here)' if source.generated else ''}"


def _count(count: Count) -> Iterator[str]:
    shape = ", ".join(f"{name} {value}" for name, value in count.architecture.items() if value is not None)
    conditions = ", ".join(f"{name} {value}" for name, value in count.conditions.items())
    yield f"  {count.name}: {count.what} {count.value:,} ({shape}; {conditions})"
