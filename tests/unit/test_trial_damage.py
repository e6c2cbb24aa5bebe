"""Damage between prepared task and score is refused by the next reader and found by a verification; copies and second processes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ligero.common.errors import DataError
from ligero.common.hashing import digest_files
from ligero.common.records import DamagedError, read_record, write_record
from ligero.distillation import teacher_logits
from ligero.distillation.logit_cache import LogitCache, cache_digest
from ligero.distillation.records import LogitsMeta
from ligero.models.digests import check_weights
from ligero.reporting.artefact_digests import verify_results
from ligero.settings.jobs import EncodingJob, ScoringJob
from ligero.settings.plan import Trial
from ligero.settings.training import TrainingOptions
from ligero.tasks.encoding import encode_task
from ligero.training.baselines import score_baseline
from ligero.training.features import EncodedSplit
from ligero.training.records import read_scores, read_selection, write_scores
from ligero.training.scoring import score_selected
from ligero.training.selection import check_selected
from tests.builders.distillation import toy_model, toy_split
from tests.builders.encoding import task
from tests.builders.kill_programs import KIND, TRIALS, prepare_grid, selection, shard

FEW = TRIALS[:2]
BETTER = Trial(model="m", task="t", batch_size=1, epochs=6, learning_rate="2e-2", seed=42)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder after fine-tuning, selection, scoring and caching."""
    root = tmp_path_factory.mktemp("study") / "results"
    root.mkdir()
    prepare_grid(root)
    system = root / "fine"
    shard(root, system, FEW)
    selection(system, root / "models" / "m" / "t", FEW)
    write_scores(root / "scores" / "fine-tuning" / "shard-0.json", "fine-tuning", score(root))
    split = toy_split(KIND, 2, 40, max_length=20)
    depends_on: Any = {"weights": "w"}
    digest = cache_digest(depends_on)
    parts = teacher_logits.compute_parts(
        toy_model(KIND), split, root / "parts", digest, dtype="float32", part_tokens=200
    )
    meta = LogitsMeta(task="t", teacher="m", depends_on=depends_on, together={"m": 1.0})
    teacher_logits.assemble(parts, root / "logits" / "t", split, meta)
    return root


def score(root: Path) -> Any:
    job = ScoringJob(
        regime="fine-tuning", systems={"m": "encoded"}, tasks={"t": task(KIND)}, options=TrainingOptions()
    )
    return score_selected(
        job,
        models_dir=root / "models",
        encoded_root=root,
        examples_dir=root / "tasks",
        predictions_dir=root / "answers",
    )


def damage(path: Path, kind: str) -> None:
    """Change a file and keep its time; cut JSON at a line's end."""
    data, state = path.read_bytes(), path.stat()
    middle = len(data) // 2
    if kind == "flipped":
        data = data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]
    else:
        data = data[: data.rfind(b"\n", 0, middle) + 1 or middle]
    path.unlink()  # the selected model's files are links to the trial's
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def encode(root: Path) -> None:
    job = EncodingJob(task_id="t", task_type=KIND, max_length=20, doc_stride=4)
    encode_task(job, "v", root, root / "tasks" / "t", root / "again")


def assemble(root: Path) -> None:
    split = toy_split(KIND, 2, 40, max_length=20)
    depends_on: Any = {"weights": "w"}
    paths = sorted((root / "parts").glob("part-*.arrow"))
    meta = LogitsMeta(task="t", teacher="m", depends_on=depends_on, together={"m": 1.0})
    teacher_logits.assemble(paths, root / "again", split, meta)


TRIAL = f"fine/state/t/{FEW[1].id}"
READERS: dict[str, Callable[[Path], object]] = {
    "tasks/t/test.parquet": lambda root: score_baseline("t", task(KIND), root / "tasks" / "t"),
    "tasks/t/train.parquet": encode,
    "tasks/t/info.json": encode,
    "encoded/t/test.parquet": score,
    "encoded/t/info.json": lambda root: shard(root, root / "fine", FEW),
    "weights/model.safetensors": lambda root: shard(root, root / "fine", FEW),
    f"{TRIAL}/result.json": lambda root: shard(root, root / "fine", FEW),
    f"{TRIAL}/best/model.safetensors": lambda root: selection(
        root / "fine", root / "models" / "m" / "t", FEW
    ),
    "fine/shard-0.json": lambda root: selection(root / "fine", root / "models" / "m" / "t", FEW),
    "fine/selection.json": lambda root: read_selection(root / "fine" / "selection.json"),
    "models/m/t/model.safetensors": score,
    "models/m/t/config.json": score,
    "scores/fine-tuning/shard-0.json": lambda root: read_scores(
        root / "scores" / "fine-tuning" / "shard-0.json"
    ),
    "logits/t/logits.arrow": lambda root: LogitCache.open(root / "logits" / "t"),
    "logits/t/meta.json": lambda root: LogitCache.open(root / "logits" / "t"),
}


def test_an_intact_study_is_found_intact(study: Path) -> None:
    found = verify_results(study)
    assert found.findings == []
    assert found.checked["weights"] == 3 and found.checked["record"] > 8 and found.checked["file"] > 6


@pytest.mark.parametrize("kind", ["flipped", "cut"])
@pytest.mark.parametrize("name", READERS)
def test_damage_is_refused_and_found(study: Path, tmp_path: Path, name: str, kind: str) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    if name.startswith(f"{TRIAL}/best"):  # the trial that was selected, whichever it is
        chosen = read_selection(root / "fine" / "selection.json")["id"]
        name = f"fine/state/t/{chosen}/best/model.safetensors"
    damage(root / name, kind)
    with pytest.raises(DataError) as refused:
        READERS.get(name, READERS[f"{TRIAL}/best/model.safetensors"])(root)
    assert isinstance(refused.value, DamagedError) and refused.value.remedy
    assert Path(name).name in str(refused.value) and str((root / name).parent) in str(refused.value)
    found = verify_results(root).findings
    assert [finding for finding in found if str(root / name).startswith(str(finding.path))]
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "weights.digest"])
def test_a_model_without_one_of_its_files_is_refused_and_found(
    study: Path, tmp_path: Path, name: str
) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    model = root / "models" / "m" / "t"
    (model / name).unlink()
    with pytest.raises(DamagedError, match="--forcerun select_trials select_trial"):
        score(root)
    found = verify_results(root).findings
    assert all("--forcerun select_trials" in finding.remedy for finding in found if finding.kind == "weights")
    assert [
        finding
        for finding in found
        if finding.kind == "weights" and model in (finding.path, finding.path.parent)
    ]


def test_whole_artefacts_of_others_are_refused_and_found(study: Path, tmp_path: Path) -> None:
    """Digests and checksums fit; only what a record says of itself tells."""
    root = Path(shutil.copytree(study, tmp_path / "results"))
    (root / "selection" / "fine-tuning" / "m").mkdir(parents=True)
    selected = root / "selection" / "fine-tuning" / "m" / "t.json"
    shutil.copy(root / "fine" / "selection.json", selected)
    model = Path(shutil.copytree(root / "models" / "m" / "t", root / "models" / "fine-tuning" / "m" / "t"))
    check_selected(selected, model)
    shutil.copytree(root / "weights", model, dirs_exist_ok=True)
    shutil.copytree(root / "encoded" / "t", root / "encoded" / "u")
    check_weights(model)
    with pytest.raises(DamagedError, match=r"not the model of .*t\.json.*--forcerun select_trials"):
        check_selected(selected, model)
    scores = root / "scores" / "fine-tuning" / "shard-0.json"
    write_record(scores, {**read_record(scores), "regime": "distillation"})
    found = {finding.path: finding.problem for finding in verify_results(root).findings}
    assert found[scores] == "it belongs elsewhere: its regime is 'distillation'."
    assert found[model].startswith(f"not the model of {selected}: its digest is ")
    assert found[root / "encoded/u/info.json"].startswith("it belongs elsewhere: these are the features of t")


def test_features_of_another_task_or_tokenizer_are_refused(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    for place in ("encoded/other", "other/t"):
        shutil.copytree(root / "encoded" / "t", root / place)
        with pytest.raises(
            DamagedError, match=r"the features of t by the tokenizer encoded.*--forcerun encode_task"
        ):
            EncodedSplit.load(root / place / "train.parquet", KIND, TrainingOptions())
    EncodedSplit.load(root / "encoded" / "t" / "train.parquet", KIND, TrainingOptions())


def test_examples_of_another_task_are_not_encoded(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    write_record(
        root / "tasks" / "t" / "info.json", {**read_record(root / "tasks" / "t" / "info.json"), "task": "u"}
    )
    with pytest.raises(DamagedError, match=r"these are the examples of u\..*--forcerun prepare_task"):
        encode(root)


def test_the_record_of_another_trial_is_found(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    own, other = (root / "fine" / "state" / "t" / trial.id for trial in FEW)
    place = root / "state" / "fine-tuning" / "m" / "t"
    shutil.copytree(own, place / own.name)
    assert not verify_results(root).findings
    shutil.copytree(own, place / other.name)
    (found,) = verify_results(root).findings
    assert found.path == place / other.name / "result.json"
    assert found.problem == f"it belongs elsewhere: it is of m/t/{own.name}."


def test_a_selected_model_that_is_missing_is_selected_again(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    shutil.rmtree(root / "models" / "m" / "t")
    with pytest.raises(
        DamagedError,
        match=r"folder of a model\. Select it again: snakemake --forcerun select_trials select_trial",
    ):
        score(root)


@pytest.mark.parametrize("name", ["tasks/t/info.json", "encoded/t/info.json", "logits/t/meta.json"])
def test_files_without_the_record_that_lists_them_are_found(study: Path, tmp_path: Path, name: str) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    (root / name).unlink()
    found = verify_results(root).findings
    assert [finding.path for finding in found] == [root / name]
    assert found[0].remedy == "Delete the folder and start snakemake again, which makes it anew."


@pytest.mark.parametrize("others", [["tokenizer_info.json"], ["manifest.json"]])
def test_a_tokenizer_has_a_record_beside_it(tmp_path: Path, others: list[str]) -> None:
    (tmp_path / "words").mkdir()
    for name in ("tokenizer.json", "fast_tokenizer.json"):
        (tmp_path / "words" / name).write_text("{}")
    missing = tmp_path / "words" / "tokenizer_info.json"
    assert [finding.path for finding in verify_results(tmp_path).findings] == [missing]
    for name in others:
        (tmp_path / "words" / name).write_text("{}")
    assert missing not in [
        finding.path for finding in verify_results(tmp_path).findings if "no such file" in finding.problem
    ]


def test_a_damaged_part_of_the_logits_is_refused(study: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(study, tmp_path / "results"))
    part = sorted((root / "parts").glob("part-*.arrow"))[0]
    damage(part, "flipped")
    with pytest.raises(DamagedError, match=r"part-.*arrow: it was changed .*Delete both"):
        assemble(root)


@pytest.mark.parametrize("absolute", [True, False])
def test_a_better_trial_in_a_copy_leaves_the_original_alone(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool
) -> None:
    original = Path(shutil.copytree(study, tmp_path / "one" / "results"))
    monkeypatch.chdir(tmp_path / "one")
    here = original if absolute else Path("results")
    selection(here / "fine", here / "models" / "m" / "t", FEW)
    shutil.copytree(original, tmp_path / "two" / "results")
    before = digest_files(original)
    monkeypatch.chdir(tmp_path / "two")
    copy = tmp_path / "two" / "results" if absolute else Path("results")
    shard(copy, copy / "fine", (*FEW, BETTER))
    chosen = selection(copy / "fine", copy / "models" / "m" / "t", (*FEW, BETTER))
    assert chosen["id"] == BETTER.id
    assert digest_files(original) == before
    assert len(list((copy / "fine" / "state").rglob("*.safetensors"))) == 1


PROGRAM = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1].split(":")
from tests.builders.kill_programs import shard
shard(Path(sys.argv[2]), Path(sys.argv[3]))
"""


def test_two_processes_on_one_shard_agree(study: Path, tmp_path: Path, project: Path) -> None:
    """Of two that are started together one trains a trial and the other waits for it."""
    paths = ":".join(str(project / name) for name in ("", "workflow", "benchmarks"))
    command = [sys.executable, "-c", PROGRAM, paths, str(study), str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=project, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    first = read_record(tmp_path / "shard-0.json")["trials"]
    shard(study, tmp_path)
    again = read_record(tmp_path / "shard-0.json")["trials"]
    assert [record["best"] for record in first] == [record["best"] for record in again]
    shard(study, tmp_path / "alone")
    alone = read_record(tmp_path / "alone" / "shard-0.json")["trials"]
    assert [record["curve"] for record in first] == [record["curve"] for record in alone]
    assert len(list((tmp_path / "state").rglob("*.safetensors"))) == 1
