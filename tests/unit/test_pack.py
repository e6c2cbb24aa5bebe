"""`ligero pack`: a finished study as a crate that others can read, without what may not be passed on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import urlsafe_b64encode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rocrate.rocrate import ROCrate

from ligero.command.main import main
from ligero.common.errors import LigeroError
from ligero.common.files import read_json, write_json, write_text
from ligero.common.hashing import digest_file, sha256_file
from ligero.common.records import DamagedError, digests_of, write_record
from ligero.reporting import crate as crates
from ligero.reporting.crate import PASSED_ON
from ligero.reporting.planned import planned_jobs
from ligero.settings import plan
from ligero.settings.study import Study
from ligero.settings.yaml_files import read_yaml
from tests.builders.provenance import small_study, write_answered
from tests.validate_crate import terms

VALIDATOR = Path(os.environ.get("ROC_VALIDATOR", Path(__file__).parents[2] / ".venv-crate/bin/python"))


@pytest.fixture(scope="module")
def study(project: Path) -> Study:
    """With one source that may not be passed on."""
    config = read_yaml(project / "config.yaml")
    config["sources"] = {
        "closed-ner": {
            "path": "closed/esp.train",
            "sha256": "0" * 64,
            "bytes": 10,
            "licence": "research use only",
            "archive": {"source": "closed", "member": "esp.train"},
        },
        "closed": {"path": "closed.zip", "url": "https://example.org/closed.zip"},
    }
    config["tasks"]["ner"]["splits"]["train"]["sources"] = ["closed-ner"]
    return small_study(config, project)


@pytest.fixture(scope="module")
def finished(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished study."""
    folder = tmp_path_factory.mktemp("study")
    write_answered(study, folder / "results")
    for job in planned_jobs(study):
        for output in job.outputs:
            path = folder / output
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".json":
                    files = [name.name for name in path.parent.glob(f"{path.stem}.*")]
                    write_record(path, {"files": digests_of(path.parent, files)})
                else:
                    path.write_text("made up")
    return folder


@pytest.fixture(scope="module")
def crate(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crate") / "crate"
    assert main(["pack", str(finished), "--out", str(out)]) == 0
    return out


def graph(crate: Path) -> dict[str, Any]:
    held = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return {entity["@id"]: entity for entity in held["@graph"]}


def test_every_source_comes_back_with_checksum_and_licence(crate: Path, study: Study) -> None:
    found = {
        entity["identifier"]: (
            entity.get("sha256"),
            entity["license"]["name"] if entity.get("license") else None,
        )
        for entity in ROCrate(crate).get_entities()
        if entity.id.startswith("#source/")
    }
    assert list(found) == plan.wanted_sources(study)
    assert found["closed-ner"] == ("0" * 64, "research use only")
    assert graph(crate)["#source/closed-ner"]["url"] == "https://example.org/closed.zip", "of its archive"
    assert found["embedded-xnli-test"][1] == "Apache-2.0"
    assert graph(crate)["#source/embedded-xnli-test"]["license"] == {
        "@id": "https://spdx.org/licenses/Apache-2.0"
    }


def test_answers_stay_outside_where_a_source_may_not_be_passed_on(crate: Path) -> None:
    packed = {path.name for path in (crate / "results/predictions").rglob("*") if path.is_file()}
    assert packed == {"xnli.json", "sqac.json"}
    assert not any(path.suffix in (".parquet", ".safetensors", ".arrow") for path in crate.rglob("*"))


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("Apache-2.0", True), ("CC BY-SA 4.0", True), ("CC BY 2.0 FR", True), ("public domain", True), ("GPL 3.0", True),
        ("CC BY-NC 4.0", False), ("CC BY-NC-SA 4.0", False), ("research use only", False), ("", False),
        ("see the record; each part has its own", False), ("WMT research use", False),
    ],
)  # fmt: skip
def test_licences_under_which_texts_are_passed_on(licence: str, allowed: bool) -> None:
    assert bool(PASSED_ON.match(licence)) is allowed


def test_files_are_those_of_the_study(crate: Path, finished: Path) -> None:
    entities = graph(crate)
    summary = entities["results/summary.csv"]
    assert (
        summary["sha256"]
        == sha256_file(finished / "results/summary.csv")
        == sha256_file(crate / "results/summary.csv")
    )
    assert entities["#setting/seed"]["value"] == 42
    assert read_json(crate / "results/config.json")["tasks"].keys() == {"xnli", "ner", "sqac"}
    assert entities["#author/0"] == {
        "@id": "#author/0",
        "@type": "Organization",
        "name": "The Ligero maintainers",
    }


def test_jobs_are_runs_of_their_steps_and_unknown_facts_are_left_out(crate: Path, study: Study) -> None:
    entities = graph(crate)
    job = entities["#job/finetune_model/albeto-tiny/shard-0"]
    assert job["instrument"] == {"@id": "#tool/finetune_model"}
    assert job["result"] == [{"@id": "results/trials/fine-tuning/albeto-tiny/shard-0.json"}]
    assert "startTime" not in job and "object" not in job, "no .snakemake: nobody knows"
    assert "agent" not in entities["#run"] and "startTime" not in entities["#run"]
    assert len(entities["#organisation"]["object"]) == len(planned_jobs(study))


def test_jobs_ran_when_snakemake_recorded_and_read_what_it_recorded(
    finished: Path, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    read = "results/tokens/albeto/store.json"
    jobs = {job.label: job.outputs[0] for job in planned_jobs(study)}
    for label, started, ended in (
        ("pretrain_model albeto-tiny", 1_000, 4_600), ("clean_corpus", 500, 900), ("make_summary", 4_700, 4_701),
    ):  # fmt: skip
        name = urlsafe_b64encode(jobs[label].encode()).decode()
        write_json(
            copy / ".snakemake/metadata" / name, {"starttime": started, "endtime": ended, "input": [read]}
        )
    write_text(copy / ".snakemake/log/1.snakemake.log", "host: here\n    Snakemake version: 9.1.2\n")
    capsys.readouterr()
    assert main(["pack", str(copy), "--out", str(tmp_path / "crate")]) == 0
    entities = graph(tmp_path / "crate")
    job = entities["#job/pretrain_model/albeto-tiny"]
    assert (job["startTime"], job["endTime"]) == ("1970-01-01T00:16:40+00:00", "1970-01-01T01:16:40+00:00")
    assert job["object"] == [{"@id": "#artefact/tokens/albeto/store.json"}]
    run = entities["#run"]
    assert (run["startTime"], run["endTime"]) == ("1970-01-01T00:08:20+00:00", "1970-01-01T01:18:21+00:00")
    assert entities["https://snakemake.readthedocs.io/#engine"]["softwareVersion"] == "9.1.2"
    packed = [path for path in (tmp_path / "crate/results").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in packed)
    assert capsys.readouterr().out == (
        f"{tmp_path}/crate: {len(packed)} files ({size / 1e6:.1f} MB), {len(plan.wanted_sources(study))} sources described, "
        f"{len(jobs)} jobs\n  answers on ner are left out: research use only\n"
    )


def test_only_a_finished_study_is_packed_and_nothing_is_overwritten(
    project: Path, finished: Path, crate: Path, tmp_path: Path
) -> None:
    with pytest.raises(LigeroError, match="already there"):
        main(["pack", str(finished), "--out", str(crate)])
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    (copy / "results/teachers/ner.json").unlink()
    with pytest.raises(LigeroError, match="1 jobs are not done, the first is select_teacher ner") as refused:
        main(["pack", str(copy), "--out", str(tmp_path / "crate")])
    line = f"in {copy}: snakemake --snakefile {project}/Snakefile --configfile=results/config.json --cores all -- all"
    assert str(refused.value).endswith(line)
    assert not (tmp_path / "crate").exists()


def test_the_answers_of_an_ablation_are_packed_too(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    answers = copy / "results/predictions/ablation/warm/seed-1/xnli.json"
    answers.parent.mkdir(parents=True)
    answers.write_text("{}")
    run = copy / "results/ablation/xnli/warm/seed-1.json"
    of = {"task": "xnli", "method": "warm", "seed": 1}
    write_record(run, {**of, "predictions_digest": digest_file(answers)})
    with_runs = SimpleNamespace(**{**vars(plan), "ablation_runs": lambda _: [("xnli", "warm", 1)]})
    monkeypatch.setattr(crates, "plan", with_runs)
    assert main(["pack", str(copy), "--out", str(tmp_path / "crate")]) == 0
    assert (tmp_path / "crate" / answers.relative_to(copy)).is_file()
    answers.write_text("[]")
    with pytest.raises(DamagedError, match=r"seed-1/xnli\.json: it was changed"):
        main(["pack", str(copy), "--out", str(tmp_path / "again")])


@pytest.mark.parametrize(
    "name",
    ["summary.csv", "tables/efficiency.tex", "predictions/fine-tuning/albeto-tiny/xnli.json", "config.json"],
)
def test_what_was_edited_is_not_packed(finished: Path, tmp_path: Path, name: str) -> None:
    copy = Path(shutil.copytree(finished, tmp_path / "copy"))
    path = copy / "results" / name
    path.write_text(path.read_text(encoding="utf-8").replace("1", "2", 1), encoding="utf-8")
    with pytest.raises(DamagedError, match=f"{name}: it was changed after it was written"):
        main(["pack", str(copy), "--out", str(tmp_path / "crate")])


@pytest.mark.skipif(
    not VALIDATOR.is_file(),
    reason="no roc-validator in an environment of its own: make check-crate sets it up",
)
def test_the_validator_accepts_it_and_refuses_a_broken_one(
    crate: Path, project: Path, tmp_path: Path
) -> None:
    command = [str(VALIDATOR), "-m", "tests.validate_crate"]
    done = subprocess.run([*command, str(crate)], capture_output=True, text=True, cwd=project)
    assert (done.returncode, done.stdout) == (0, "provenance-run-crate-0.5: valid\n"), done.stderr[-2000:]
    broken = Path(shutil.copytree(crate, tmp_path / "broken"))
    path = broken / "ro-crate-metadata.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace('"@type": "HowToStep"', '"@type": "CreativeWork"'),
        encoding="utf-8",
    )
    done = subprocess.run([*command, str(broken)], capture_output=True, text=True, cwd=project)
    assert done.returncode == 1 and "NOT valid" in done.stdout


def test_every_term_has_a_definition_in_the_context_that_is_served(crate: Path) -> None:
    from tests.validate_crate import CONTEXT

    assert terms(crate) <= CONTEXT["@context"].keys()
