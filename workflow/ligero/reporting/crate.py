"""A finished study as a Workflow Run RO-Crate (Provenance Run Crate 0.5): what it read, how it ran, what came out.

Data are described by path, checksum and licence and stay outside; answers of a task contain its texts, and are packed only where the
licences of all its sources let them be passed on. Weights stay outside too. What is not recorded is left out.
"""

from __future__ import annotations

import mimetypes
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ligero import __version__
from ligero.common.errors import LigeroError
from ligero.common.files import atomic_directory
from ligero.common.hashing import sha256_file
from ligero.common.records import FILES, check_file, check_listed, read_record
from ligero.common.run_notes import code_digest
from ligero.reporting.artefact_digests import PLAIN_NAMES, remedy_of
from ligero.reporting.progress import JobProgress, Progress
from ligero.reporting.provenance.links import Links
from ligero.reporting.provenance.records import SourceFile
from ligero.reporting.results import Results
from ligero.settings import plan
from ligero.training.records import ModelScoreRecord
from ligero.training.scoring import ABLATION_REMEDY, SCORE_REMEDY, answers_file

if TYPE_CHECKING:
    from rocrate.model import ContextEntity, Entity
    from rocrate.rocrate import ROCrate

    Properties = dict[str, str | int | list[str] | Entity | list[Entity]]

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
KEPT = (
    "config.json", "sources.lock.json", "summary.*", "report.*", "tables/*", "figures/*", "cards/**/*", "trials/**/*.json",
    "selection/**/*.json", "scores/**/*.json", "baselines/*.json", "static_embeddings/*.json", "exports/*/*/*/manifest.json", "teachers/*.json", "ablation/**/*.json", "logits/*/*.json",
    "pretraining/*/summary.json", "weights/*/source.json", "benchmarks/*.json", "corpus/statistics.json", "tasks/*/info.json",
    "state/runs/*.json",
)  # fmt: skip
"""Below the results folder: what is packed beside answers."""
PASSED_ON = re.compile(r"(apache|mit\b|bsd|cc0|cc by(-sa)? \d|public domain|gpl|psf)", re.IGNORECASE)
"""Licences under which texts may be passed on, for any purpose."""
_SNAKEMAKE = re.compile(r"^ +Snakemake version: (\S+)$", re.MULTILINE)


@dataclass
class Packed:
    """What was packed.

    Attributes:
        withheld: tasks whose answers stay outside, with the licence that decides.
    """

    files: int = 0
    bytes: int = 0
    sources: int = 0
    actions: int = 0
    withheld: dict[str, str] = field(default_factory=dict)


def pack(progress: Progress, out: Path, project: Path) -> Packed:
    """Write the crate of a finished study into a new folder.

    Raises:
        LigeroError: the study has not finished, an artefact is not what was written, or the folder is there.
    """
    waiting = [one.job.label for one in progress.jobs if one.state != "done"]
    if waiting:
        raise LigeroError(
            f"{progress.root}: {len(waiting):,} jobs are not done, the first is {waiting[0]}; only a finished study is packed. "
            f"Finish it, in {progress.folder or 'the folder of the study'}: {_finishing(progress, project)}"
        )
    if out.exists():
        raise LigeroError(f"{out}: already there. Name another folder, or delete it.")
    packer = _Packer(progress, project)
    packer.fill()
    with atomic_directory(out) as staging:
        packer.crate.write(staging)
    return packer.packed


def _finishing(progress: Progress, project: Path) -> str:
    """The Snakemake line for all jobs; `ligero train` asks for some of them."""
    snakefile = [] if progress.folder == project else ["--snakefile", str(project / "Snakefile")]
    configfile = f"--configfile={progress.study.results_dir}/config.json"
    return shlex.join(["snakemake", *snakefile, configfile, "--cores", "all", "--", "all"])


@dataclass(frozen=True)
class _Citation:
    """What CITATION.cff says."""

    title: str
    license: str
    authors: list[dict[str, str]]
    references: list[dict[str, str]]

    @classmethod
    def read(cls, path: Path) -> _Citation:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(held["title"], held["license"], held["authors"], held.get("references", []))


class _Packer:
    def __init__(self, progress: Progress, project: Path) -> None:
        from rocrate.rocrate import ROCrate

        self.crate: ROCrate = ROCrate(version="1.1")
        self.crate.metadata.extra_terms["sha256"] = "https://w3id.org/ro/terms/workflow-run#sha256"
        self.progress, self.study, self.root, self.project = progress, progress.study, progress.root, project
        self.links = Links(Results(progress.study, progress.root))
        self.packed = Packed()
        self._licences: dict[str, ContextEntity] = {}
        self._entities: dict[str, Entity] = {}
        """By path in the study's folder."""

    def _add(self, entity_id: str, kind: str | list[str], **properties: object) -> ContextEntity:
        """A contextual entity; what is None or empty is left out."""
        from rocrate.model import ContextEntity

        known = {name: value for name, value in properties.items() if value not in (None, "", [])}
        return self.crate.add(ContextEntity(self.crate, entity_id, properties={"@type": kind, **known}))

    def fill(self) -> None:
        root = self.crate.root_dataset
        cited = _Citation.read(self.project / "CITATION.cff")
        self.crate.name = self.study.name
        self.crate.description = (
            f"A study with Ligero at the scale '{self.study.scale}': {len(plan.systems(self.study))} systems on "
            f"{len(self.study.tasks)} tasks. Data and weights are described, not contained."
        )
        self.crate.datePublished = datetime.now(UTC).isoformat(timespec="seconds")
        self.crate.license = self._add(
            "#licences", "CreativeWork", name="Licences of the parts",
            description="The software has the licence of the workflow, each source its own; none was declared for the results.",
        )  # fmt: skip
        workflow = self._workflow(cited)
        sources = [self._source(source) for source in self._wanted()]
        self._files()
        self._predictions()
        self._runs(workflow, sources)
        root["conformsTo"] = [
            self._add(identifier, "CreativeWork", name=name, version=identifier.rpartition("/")[2])
            for identifier, name in PROFILES.items()
        ]

    # --- what there is ------------------------------------------------------------------------------------------------

    def _licence(self, text: str) -> Entity | None:
        """A licence by its name; SPDX's address where the name is its identifier."""
        if not text:
            return None
        if text not in self._licences:
            spdx = f"https://spdx.org/licenses/{text}" if re.fullmatch(r"[\w.-]+-\d[\w.]*", text) else None
            identifier = spdx or f"#licence/{re.sub(r'[^A-Za-z0-9.]+', '-', text).strip('-')}"
            self._licences[text] = self._add(identifier, "CreativeWork", name=text)
        return self._licences[text]

    def _workflow(self, cited: _Citation) -> Entity:
        """The Snakefile, its rules and pins, and whom to cite."""
        authors = [
            self._add(
                f"#author/{place}", "Organization" if "name" in who else "Person",
                name=who.get("name") or f"{who['given-names']} {who['family-names']}",
            )
            for place, who in enumerate(cited.authors)
        ]  # fmt: skip
        theses = [
            self._add(f"#reference/{place}", "CreativeWork", name=work["title"])
            for place, work in enumerate(cited.references)
        ]
        kinds = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
        workflow = self.crate.add_workflow(
            self.project / "Snakefile",
            "workflow/Snakefile",
            main=True,
            lang="snakemake",
            properties={"@type": kinds},
        )
        made = {note.code for note in self.progress._runs}
        known = made == {code_digest(self.project)}
        workflow["name"], workflow["version"] = cited.title, __version__
        workflow["license"], workflow["author"] = self._licence(cited.license), authors
        workflow["citation"] = theses
        workflow["description"] = "The rules of the workflow." if known else (
            "The rules of the workflow as they are now; the runs recorded other code, or none."
        )  # fmt: skip
        for path in [*sorted(self.project.glob("rules/*.smk")), self.project / "requirements.lock"]:
            name = path.relative_to(self.project).as_posix()
            self.crate.add_file(
                path, f"workflow/{name}", properties={"name": name, "encodingFormat": "text/plain"}
            )
        return workflow

    def _wanted(self) -> list[SourceFile]:
        """The sources that were read, each with the checksum that was recorded of it."""
        found = {one.id: one for task in self.study.tasks for one in self.links.data(task).sources}
        return [found.get(source) or self.links.source(source) for source in plan.wanted_sources(self.study)]

    def _source(self, source: SourceFile) -> Entity:
        spec = self.study.sources[source.id]
        path = Path(self.links.layout.source(source.id))
        # A file of an archive is to be had where the archive is.
        url = spec.url or (self.study.sources[spec.archive.source].url if spec.archive else None)
        entity = self._add(
            f"#source/{source.id}", "CreativeWork", name=source.path, identifier=source.id, sha256=source.sha256,
            license=self._licence(source.licence), creditText=source.citation, url=url,
            contentSize=str(spec.bytes or (path.stat().st_size if path.is_file() else "")),
            description="generated by the workflow" if source.generated else None,
        )  # fmt: skip
        self._entities[f"{self.study.results_dir}/sources/{source.path}"] = entity
        self.packed.sources += 1
        return entity

    def _files(self) -> None:
        found = [path for pattern in KEPT for path in sorted(self.root.glob(pattern))]
        packed = dict.fromkeys(path for path in found if path.is_file() and not path.name.startswith("."))
        for path in packed:
            if path.suffix == ".json" and path.name not in PLAIN_NAMES:
                remedy = remedy_of(self.root, path)
                for name in read_record(path, remedy).get(FILES, ()):
                    if path.parent / name in packed:
                        check_listed(path, name, remedy)
            self._file(path)
        if (self.root / "cards").is_dir():
            self._entities[f"{self.study.results_dir}/cards"] = self.crate.add_dataset(
                dest_path="results/cards/", properties={"name": "cards of the selected models"}
            )

    def _predictions(self) -> None:
        """Answers of the tasks whose sources all may be passed on."""
        for task in self.study.tasks:
            sources = self.links.data(task).sources
            barred = [
                one.licence or "no licence is recorded" for one in sources if not PASSED_ON.match(one.licence)
            ]
            if barred or self.study.tasks[task].rcv_dir:
                self.packed.withheld[task] = barred[0] if barred else "Reuters RCV2"
                continue
            for below, record in self._scores(task):
                folder = self.root / "predictions" / below
                path = answers_file(folder, task, self.study.tasks[task].type)
                remedy = ABLATION_REMEDY if below.startswith("ablation/") else SCORE_REMEDY
                check_file(path, record["predictions_digest"], remedy)
                self._file(path)

    def _scores(self, task: str) -> Iterator[tuple[str, ModelScoreRecord]]:
        """Every score of a task, with the folder of its answers below `predictions`."""
        results = self.links.results
        for regime, model in plan.systems(self.study):
            yield f"{regime}/{model}", results.score(regime, model, task)
        for found, method, seed in plan.ablation_runs(self.study):
            if found == task:
                yield f"ablation/{method}/seed-{seed}", results.ablation_run(task, method, seed)

    def _file(self, path: Path) -> None:
        below = path.relative_to(self.root).as_posix()
        kind = mimetypes.guess_type(path.name)[0] or "text/plain"
        entity = self.crate.add_file(
            path, f"results/{below}", record_size=True,
            properties={"name": below, "encodingFormat": kind, "sha256": sha256_file(path)},
        )  # fmt: skip
        self._entities[f"{self.study.results_dir}/{below}"] = entity
        self.packed.files += 1
        self.packed.bytes += path.stat().st_size

    def _artefact(self, path: str) -> Entity:
        """A file that a job read or wrote: packed, a source, or only named."""
        if path not in self._entities:
            below = path.removeprefix(f"{self.study.results_dir}/")
            self._entities[path] = self._add(
                f"#artefact/{below}", "CreativeWork", name=below, description="not contained in this crate"
            )
        return self._entities[path]

    # --- how it ran ---------------------------------------------------------------------------------------------------

    def _runs(self, workflow: Entity, sources: list[Entity]) -> None:
        """Parameters, steps, and every job as the run of its step."""
        configuration = self._artefact(f"{self.study.results_dir}/config.json")
        summary = self._artefact(f"{self.study.results_dir}/summary.csv")
        read = self._add("#sources", "Collection", name="sources", hasPart=sources)
        for name, kind, entity, side in (
            ("configuration", "File", configuration, "input"), ("sources", "Collection", read, "input"), ("summary", "File", summary, "output"),
        ):  # fmt: skip
            parameter = self._add(
                f"#parameter/{name}", "FormalParameter", name=name, additionalType=kind, workExample=entity
            )
            entity["exampleOfWork"] = parameter
            workflow.append_to(side, parameter)
        settings = [
            self._setting(workflow, name, getattr(self.study, name)) for name in ("seed", "scale", "protocol")
        ]
        controls, actions, starts, ends = [], [], [], []
        steps: dict[str, tuple[Entity, Entity]] = {}
        for one in self.progress.jobs:
            if one.job.rule not in steps:
                steps[one.job.rule] = self._step(workflow, one.job.rule, len(steps) + 1)
            step, tool = steps[one.job.rule]
            action, started, ended = self._action(one, tool)
            actions.append(action)
            controls.append(
                self._add(
                    f"#control/{one.job.label.replace(' ', '/')}",
                    "ControlAction",
                    instrument=step,
                    object=action,
                    name=f"control of {one.job.label}",
                )
            )
            starts += [started] if started else []
            ends += [ended] if ended else []
        whole = self._add(
            "#run", "CreateAction", name="run of the study", instrument=workflow, object=[configuration, read, *settings], result=[summary],
            startTime=min(starts, default=None), endTime=max(ends, default=None), actionStatus=_COMPLETED,
        )  # fmt: skip
        engine = self._add(
            "https://snakemake.readthedocs.io/#engine", "SoftwareApplication", name="Snakemake", url="https://snakemake.readthedocs.io",
            softwareVersion=self._snakemake_version(),
        )  # fmt: skip
        organised = self._add(
            "#organisation",
            "OrganizeAction",
            name="Snakemake's run",
            instrument=engine,
            object=controls,
            result=whole,
        )
        self.crate.root_dataset["mentions"] = [whole, organised, *actions]
        self.packed.actions = len(actions)

    def _setting(self, workflow: Entity, name: str, value: str | int) -> Entity:
        """A key of the configuration as a parameter of its own."""
        parameter = self._add(
            f"#parameter/{name}",
            "FormalParameter",
            name=name,
            additionalType="Integer" if isinstance(value, int) else "Text",
        )
        given = self._add(
            f"#setting/{name}", "PropertyValue", name=name, value=value, exampleOfWork=parameter
        )
        parameter["workExample"] = given
        workflow.append_to("input", parameter)
        return given

    def _step(self, workflow: Entity, rule: str, position: int) -> tuple[Entity, Entity]:
        tool = self._add(f"#tool/{rule}", "SoftwareApplication", name=rule, softwareVersion=__version__)
        step = self._add(f"#step/{rule}", "HowToStep", name=rule, position=str(position), workExample=tool)
        workflow.append_to("hasPart", tool)
        workflow.append_to("step", step)
        return step, tool

    def _action(self, one: JobProgress, tool: Entity) -> tuple[Entity, str | None, str | None]:
        """A job, with when it ran and what it read as Snakemake recorded it."""
        record = self.progress.snakemake.finished(one.job.outputs[0])
        started, ended = (_time(record.started), _time(record.ended)) if record else (None, None)
        return self._add(
            f"#job/{one.job.label.replace(' ', '/')}", "CreateAction", name=one.job.label, instrument=tool,
            object=[self._artefact(path) for path in record.inputs] if record else None,
            result=[self._artefact(path) for path in one.job.outputs], startTime=started, endTime=ended, actionStatus=_COMPLETED,
        ), started, ended  # fmt: skip

    def _snakemake_version(self) -> str | None:
        for log in reversed(self.progress.snakemake.logs()):
            if found := _SNAKEMAKE.search(log.read_text(encoding="utf-8", errors="replace")):
                return found[1]
        return None


_COMPLETED = "http://schema.org/CompletedActionStatus"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
