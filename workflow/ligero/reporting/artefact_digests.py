"""Everything in a results folder compared with the digests that were recorded when it was made. Needs no torch and no pandas.

What is checked: the checksum of every record, the files that a record lists, a model's files against `weights.digest`, the trial's and
the selection's digest of a model against the model that is there, answers against their score, downloads against the lock file and
the registry, checkpoints and exported models against their own lists, tables, figures and cards against the records beside them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ligero.common.errors import DataError, LigeroError
from ligero.common.files import read_json
from ligero.common.hashing import sha256_file
from ligero.common.records import FILES, REMEDY, DamagedError, check_file, read_record
from ligero.corpus.reading import read_blocks
from ligero.corpus.token_store import STORE_FILE
from ligero.distillation.records import read_run
from ligero.models.digests import REMEDY as FOLDER_REMEDY
from ligero.models.digests import SELECTED_REMEDY, WEIGHTS_DIGEST, check_weights, digest_weights
from ligero.pretraining.records import STATES_FILE
from ligero.serving.manifest import MANIFEST_FILE, Manifest
from ligero.serving.manifest import REMEDY as EXPORT_REMEDY
from ligero.settings.layout import CARDS_FILE
from ligero.settings.program import RESOLVED_REMEDY
from ligero.settings.sources import GENERATED
from ligero.settings.study import REGIMES, Study
from ligero.tasks.records import INFO_FILE as TASK_INFO
from ligero.tasks.records import read_encoded_info
from ligero.tokenizers.fast_tokenizer import INFO_FILE
from ligero.training.planned_trials import BEST, train_again
from ligero.training.records import (
    RESULT,
    ModelScoreRecord,
    TrialRecord,
    read_scores,
    read_selection,
    read_shard,
    read_trial,
)
from ligero.training.scoring import ABLATION_REMEDY, SCORE_REMEDY, answers_file
from ligero.training.selection import check_selected

PLAIN_FOLDERS = ("sources", "generated", "predictions", "logs", "hub")
"""Below the results folder: what others wrote, or what is checked by records elsewhere."""
PLAIN_NAMES = ("sources.lock.json",)
MODEL_RECORDS = ("source.json", INFO_FILE)
"""The records in the folder of a model or tokenizer; its other JSON is transformers', and listed."""
TOKENIZER = "tokenizer.json"
LISTED_IN = {
    TOKENIZER: (INFO_FILE,),
    "train.parquet": (TASK_INFO,),
    "train.bin": (STORE_FILE, STATES_FILE),
    "logits.arrow": ("meta.json",),
}
"""A file to the record beside it that lists it and the files around it."""
IDENTIFIED = (
    "selection",
    "scores",
    "baselines",
    "static_embeddings",
    "teachers",
    "tasks",
    "logits",
    "ablation",
)
IDENTITY = ("regime", "model", "task", "method")
"""Folders of records that say what they are of, by some of these keys, as their path does."""
CARDS_REMEDY = "Write the cards again: snakemake --forcerun write_cards."
PRINTED = (".csv", ".md", ".tex", ".svg")
"""Endings of tables and figures, in whose folders a file's record has its name."""


@dataclass(frozen=True)
class Finding:
    """An artefact that is not what was recorded.

    Attributes:
        kind: record, file, weights, text, download, checkpoint or export.
        problem: what was found and what was expected.
        remedy: what to do about it.
    """

    path: Path
    kind: str
    problem: str
    remedy: str


@dataclass(frozen=True)
class Verification:
    """What was compared, by kind, and what is wrong."""

    checked: dict[str, int]
    findings: list[Finding]


def verify_results(root: Path, study: Study | None = None) -> Verification:
    """Check every artefact below a results folder that has a digest; nothing is changed.

    Args:
        study: whose registry knows the checksums of downloads; without it only the lock file's are compared.

    Raises:
        DataError: there is no such folder.
    """
    if not root.is_dir():
        raise DataError(root, None, "no such results folder.", "Name the folder under results_dir.")
    checked: dict[str, int] = {}
    findings: list[Finding] = []
    for kind, path, check in _checks(root, study):
        checked[kind] = checked.get(kind, 0) + 1
        try:
            check()
        except DataError as error:
            selected = (root / "models") in Path(error.path).parents
            remedy = SELECTED_REMEDY if selected else error.remedy
            findings.append(Finding(error.path, kind, error.problem, remedy))
        except LigeroError as error:
            findings.append(Finding(path, kind, str(error), ""))
        except (KeyError, TypeError, ValueError, OSError) as error:
            findings.append(
                Finding(path, kind, f"cannot be checked: {error!r}.", "Delete it and start again.")
            )
    return Verification(checked, list(dict.fromkeys(findings)))


Check = tuple[str, Path, Callable[[], object]]


def _checks(root: Path, study: Study | None) -> Iterator[Check]:
    """Kind, path and check of every artefact."""
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if not path.is_file() or parts[0] in PLAIN_FOLDERS or any(part.startswith(".") for part in parts):
            continue
        in_model = any(path.parent.glob("model*.safetensors"))
        others = in_model or any((path.parent / name).is_file() for name in (INFO_FILE, TOKENIZER))
        if (records := _missing_records(path, parts[0])) is not None:
            record = Path(os.path.normpath(path.parent / records[0]))
            yield "record", record, partial(_refuse_missing, path, record, parts[0])
        if _tells_of_weights(path, in_model):
            yield "weights", path.parent, partial(check_weights, path.parent)
        elif path.name == MANIFEST_FILE:
            yield "export", path, partial(_check_export, root, path.parent)
        elif path.suffix == ".zst":
            yield "text", path, partial(_check_text, path)
        elif path.suffix == ".json" and path.name.startswith("step-"):
            yield "checkpoint", path.with_suffix(".pt"), partial(_check_checkpoint, path)
        elif path.suffix == ".json" and _is_record(path, others):
            yield "record", path, partial(_check_record, root, path, study)
            yield from _listed_files(path, remedy_of(root, path))
    yield from _generated(root)
    yield from _downloads(root, study)


def _tells_of_weights(path: Path, in_model: bool) -> bool:
    """Whether a file says that its folder holds a model: the digest, or a configuration beside tensors that has none."""
    if (path.parent / MANIFEST_FILE).is_file():
        return False
    without = in_model and not (path.parent / WEIGHTS_DIGEST).is_file()
    return path.name == WEIGHTS_DIGEST or (path.name == "config.json" and without)


def _is_record(path: Path, beside_others: bool) -> bool:
    """Whether a JSON file is ours: not what transformers and the export write into their folders."""
    if path.name in PLAIN_NAMES or (path.parent / MANIFEST_FILE).is_file():
        return False
    return path.name in MODEL_RECORDS or not beside_others


def _missing_records(path: Path, folder: str) -> tuple[str, ...] | None:
    """The records of which one should be beside a file; None where it is there, or none is needed."""
    has_own = path.name in ("summary.csv", "report.html") or (
        folder in ("tables", "figures") and path.suffix in PRINTED
    )
    if folder == "cards" and path.suffix == ".md":  # cards/REGIME/MODEL/TASK.md
        records: tuple[str, ...] | None = (f"../../{CARDS_FILE}",)
    else:
        records = (path.with_suffix(".json").name,) if has_own else LISTED_IN.get(path.name)
    if records is None or any((path.parent / name).is_file() for name in (*records, MANIFEST_FILE)):
        return None
    return records


def remedy_of(root: Path, record: Path) -> str:
    """What helps where a record below a results folder is damaged, or a file that it lists; Snakemake misses not every file that is deleted."""
    if record == root / "config.json":
        return RESOLVED_REMEDY
    return CARDS_REMEDY if record.is_relative_to(root / "cards") else REMEDY


def _refuse_missing(path: Path, record: Path, folder: str) -> None:
    problem = f"no such file, so {path.name} and the files beside it cannot be checked."
    raise DamagedError(record, None, problem, CARDS_REMEDY if folder == "cards" else FOLDER_REMEDY)


def _check_record(root: Path, path: Path, study: Study | None) -> None:
    """A record's own checksum, and what it says of its place, of models and of answers."""
    record = read_record(path, remedy_of(root, path))
    place = path.relative_to(root).with_suffix("").parts
    says = (record.get("scored") or {}) if place[0] == "static_embeddings" else record
    folder = place[1] if place[0] == "augmented" else place[0]
    for key in IDENTITY if folder in IDENTIFIED else ():
        if key in says and says[key] not in place:
            raise DamagedError(path, None, f"it belongs elsewhere: its {key} is {says[key]!r}.", REMEDY)
    if place[0] == "ablation" and place[-1] != f"seed-{record['seed']}":
        raise DamagedError(path, None, f"it belongs elsewhere: its seed is {record['seed']}.", REMEDY)
    if path.name == RESULT and (trial := read_trial(path.parent)):
        _check_trial(path.parent, trial, place)
    elif place[0] == "trials":
        _check_shard(path, place)
    elif "encoded" in place and path.name == TASK_INFO:
        read_encoded_info(path.parent)
    elif place[0] == "selection":
        model = root / "models" / Path(*place[1:])
        check_selected(path, model)
    elif place[0] == "scores" and study is not None:
        for score in read_scores(path)["scores"]:
            _check_answers(root / "predictions" / place[1] / score["model"], score, study, SCORE_REMEDY)
    elif place[0] == "ablation" and study is not None:
        run = read_run(path)
        answered = root / "predictions" / "ablation" / run["method"] / f"seed-{run['seed']}"
        _check_answers(answered, run, study, ABLATION_REMEDY)


def _check_answers(folder: Path, score: ModelScoreRecord, study: Study, remedy: str) -> None:
    """The answers that a score is of, where its task is still one of the study's."""
    if score["task"] not in study.tasks:
        return
    answers = answers_file(folder, score["task"], study.tasks[score["task"]].type)
    check_file(answers, score["predictions_digest"], remedy)


def _check_trial(folder: Path, trial: TrialRecord, place: Sequence[str]) -> None:
    """A trial's record against its place, state/REGIME/MODEL/TASK/ID, and the weights beside it."""
    own = (trial["trial"]["model"], trial["trial"]["task"], trial["id"])
    if place[0] == "state" and place[1] in REGIMES and place[2:5] != own:
        problem = f"it belongs elsewhere: it is of {'/'.join(own)}."
        raise DamagedError(folder / RESULT, None, problem, REMEDY)
    if not (folder / BEST).is_dir():
        return
    if (found := digest_weights(folder / BEST)) != (expected := trial["weights_digest"]):
        problem = f"not the model of {folder / RESULT}: its digest is {found}, recorded is {expected}."
        raise DamagedError(folder / BEST, None, problem, train_again(place[1]))


def _check_shard(path: Path, place: Sequence[str]) -> None:
    """The outcomes of a shard against their place, trials/REGIME/MODEL/shard-N: of that model, and trained with its regime."""
    _, regime, model, _ = place
    shard = read_shard(path)
    for trial in shard["trials"]:
        if (found := trial["trial"]["model"]) != model:
            raise DamagedError(
                path, None, f"it belongs elsewhere: its model is {found!r}.", train_again(regime)
            )
    for settings in shard["settings"].values():
        if (settings["distillation"] is not None) != (regime == "distillation"):
            raise DamagedError(
                path, None, f"it belongs elsewhere: it is not of {regime}.", train_again(regime)
            )


def _listed_files(record: Path, remedy: str) -> Iterator[Check]:
    """The files that a record lists."""
    for name, digest in _listed(record).items():
        yield "file", record.parent / name, partial(check_file, record.parent / name, digest, remedy)


def _listed(record: Path) -> dict[str, str]:
    """Name to digest of the files that a record lists; none of a record that is damaged, which is found by itself."""
    try:
        files = read_record(record).get(FILES, {})
    except DataError:
        return {}
    return files if isinstance(files, dict) else {}


def _check_export(root: Path, folder: Path) -> None:
    """Its files, and below `exports` also that it is the export of its place, of the model that is selected now."""
    manifest, in_place = Manifest.read(folder), folder.relative_to(root).parts[0] == "exports"
    if in_place:
        manifest.check_place(folder)
    manifest.verify(folder)
    if not in_place:
        return
    selection = root / "selection" / manifest.regime / manifest.model / f"{manifest.task}.json"
    if selection.is_file() and read_selection(selection)["model_digest"] != manifest.model_digest:
        problem = f"it is not of the model of {selection}, which is selected now."
        raise DamagedError(folder / MANIFEST_FILE, None, problem, EXPORT_REMEDY)


def _check_text(path: Path) -> None:
    """zstd's own checksum: reading to the end compares it."""
    for _ in read_blocks(path):
        pass


def _check_checkpoint(described: Path) -> None:
    record, path = read_json(described), described.with_suffix(".pt")
    if not path.is_file() or sha256_file(path) not in (record["sha256"], record.get("replaced")):
        raise DamagedError(path, None, "not what was written; training would pass it over.", "Delete it.")


def _generated(root: Path) -> Iterator[Check]:
    """What the project generated, and its copies among the sources."""
    for record in sorted(root.glob(f"generated/*/{GENERATED}")):
        yield "record", record, partial(read_record, record)
        for name, digest in _listed(record).items():
            paths = [record.parent / name, root / "sources" / record.parent.name / name]
            for path in filter(Path.is_file, paths):
                yield "file", path, partial(check_file, path, digest)


def _downloads(root: Path, study: Study | None) -> Iterator[Check]:
    """Files that were fetched, against the checksum of the registry or of their first download."""
    path = root / "sources.lock.json"
    entries: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
    known = {entry["path"]: entry["sha256"] for entry in entries.values() if "path" in entry}
    if study is not None:
        known |= {source.path: source.sha256 for source in study.sources.values() if source.sha256}
    for name, expected in known.items():
        if (root / "sources" / name).is_file():
            yield (
                "download",
                root / "sources" / name,
                partial(_check_download, root / "sources" / name, expected),
            )


def _check_download(path: Path, expected: str) -> None:
    if (found := sha256_file(path)) != expected:
        problem = f"it was changed after it was fetched: its SHA-256 is {found}, expected {expected}."
        raise DamagedError(path, None, problem, REMEDY)
