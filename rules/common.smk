# The configuration as a checked study, and the few functions that rules share. No heavy library is imported here:
# every cluster job parses this file.
import json
import os
import re
import sys
from pathlib import Path

PROJECT = Path(workflow.basedir)
sys.path.insert(0, str(PROJECT / "workflow"))

from ligero.common.errors import LigeroError
from ligero.common.files import write_json
from ligero.reporting import registry
from ligero.settings import jobs, plan
from ligero.settings.layout import Layout
from ligero.settings.load import load_study, reasons_left_out, refuse_repeated_keys, without_missing_weights
from ligero.settings.study import REGIMES
from ligero.settings.tasks import SPLITS
from ligero.sources.checksums import SourcesLock

try:
    refuse_repeated_keys(workflow.configfiles)
    STUDY = without_missing_weights(load_study(config, PROJECT))
except LigeroError as error:
    raise WorkflowError(str(error))

LAYOUT = Layout(STUDY)
TABLES, FIGURES = registry.tables(STUDY), registry.figures(STUDY)
# The report's captions (workflow/report/caption.rst) see the configuration, and nothing else whose change re-runs no job.
config["captions"] = registry.captions(STUDY)
ONE_SHARD_REGIMES = plan.one_shard_regimes(STUDY)
COMPARED = STUDY.ablation.student if STUDY.ablation else None
R = STUDY.results_dir
CONFIG = f"{R}/config.json"

# Jobs call `python`: the one that runs Snakemake, unless a conda environment puts its own before it.
os.environ.update(
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
    PYTHONPATH=str(PROJECT / "workflow"),
    PROJECT=str(PROJECT),
    PROGRAMS=str(PROJECT / "workflow" / "scripts"),
    CONFIG=CONFIG,
)


pathvars:
    results=R,


wildcard_constraints:
    regime="|".join(REGIMES),
    model="|".join([*STUDY.models, "(?!)"]),
    student="|".join([*(STUDY.distillation.students if STUDY.distillation else ()), "(?!)"]),
    system="|".join(dict.fromkeys(system for _, system in plan.systems(STUDY))),
    task="|".join(STUDY.tasks),
    tokenizer="|".join([*STUDY.tokenizers, "(?!)"]),
    shard=r"\d+",


onstart:
    write_json(CONFIG, STUDY.model_dump(mode="json"))
    for what, reason in reasons_left_out(STUDY).items():
        print(f"{what} is left out: {reason}", file=sys.stderr)


def folder(pattern):
    """Parameter function: a path below the results folder, with wildcards filled in."""
    return lambda wildcards: f"{R}/{pattern}".rstrip("/").format(**wildcards)


def memory(kind):
    """Memory in MB of a kind of job, growing with each attempt."""
    return lambda wildcards, attempt: getattr(STUDY.hardware, kind).memory_mb * attempt


def runtime(kind):
    """Time limit in minutes of a kind of job, growing with each attempt."""
    return lambda wildcards, attempt: getattr(STUDY.hardware, kind).runtime_minutes * attempt


def models_of_others():
    """Models whose weights are fetched or local."""
    return [m for m, spec in STUDY.models.items() if spec.weights != "pretrain" and m not in STUDY.left_out]


def wanted_sources():
    """Ids of the sources that the corpus and the tasks read."""
    corpus = STUDY.corpus.parts if STUDY.corpus and plan.pretrained_models(STUDY) else ()
    return list(
        dict.fromkeys([*corpus, *(s for task in STUDY.tasks for s in plan.task_sources(STUDY, task))])
    )


def weights_digest(model):
    """The digest beside a model's weights. It stands for them as an input: small, and other weights change it."""
    return f"{LAYOUT.weights(model)}/weights.digest"


def initial_weights(regime):
    """Input function: the weights that a system starts from."""

    def weights(wildcards):
        model = plan.initial_model(STUDY, regime, wildcards.get("model", None) or wildcards.student)
        return weights_digest(model)

    return weights


def encoded_splits(regime, splits, tasks_of):
    """Input function: encoded splits, for the vocabulary of the system's initial model, of the tasks in a shard."""

    def files(wildcards):
        system = wildcards.get("model", None) or wildcards.student
        folder = LAYOUT.encoded(plan.initial_model(STUDY, regime, system))
        return [f"{folder}/{task}/{split}.parquet" for task in tasks_of(wildcards) for split in splits]

    return files


def tasks_in_shard(regime):
    """Function from wildcards to the tasks whose trials a shard holds."""

    def tasks(wildcards):
        system = wildcards.get("model", None) or wildcards.student
        shard = plan.shards_of(STUDY, regime, system)[int(wildcards.shard)]
        return list(dict.fromkeys(trial.task for trial in shard))

    return tasks


def scoring_shard(wildcards):
    """The systems and tasks of a scoring shard."""
    return plan.scoring_shards_of(STUDY, wildcards.regime)[int(wildcards.shard)]


def digest_of(cut, *arguments, wildcards=()):
    """Parameter function: digest of the settings that a job depends on; its change re-runs the job."""

    def digest(wc):
        values = [int(wc[name]) if name in ("shard", "seed") else wc[name] for name in wildcards]
        return jobs.digest(cut(STUDY, *arguments, *values))

    return digest


def published_file(wildcards):
    """What a source is copied or taken from: the generator's file, the mirror's, or the archive around it."""
    source_id, source = next((i, s) for i, s in STUDY.sources.items() if s.path == wildcards.path)
    if source.generated:
        return f"{R}/generated/{source.path}"
    if STUDY.mirror and (mirrored := Path(STUDY.mirror, source.path)).is_file():
        if source.sha256:  # no other file than the registry's is ever taken
            return []
        # Not left to the job: Snakemake notes the inputs of a failed job whose output is an `update`, and forgets the change.
        try:
            SourcesLock(Path(R, "sources.lock.json")).refuse_changed(
                source_id, source, mirrored, Path(LAYOUT.source(source_id))
            )
        except LigeroError as error:
            raise WorkflowError(str(error))
        return str(mirrored)
    return LAYOUT.source(source.archive.source) if source.archive else []


def tokenizer_digest(wildcards):
    """Digest of one vocabulary's settings."""
    return jobs.digest(STUDY.tokenizers[wildcards.tokenizer])


def candidate_tokenizers(task):
    """Vocabularies with which the task's teacher may read."""
    candidates = plan.teacher_candidates(STUDY, task)
    return list(dict.fromkeys(plan.tokenizer_of(STUDY, model) for model in candidates))


def tokenizer_infos():
    """Vocabularies whose size is not written in the configuration: they must be there before models are measured."""
    open_sizes = [
        plan.tokenizer_of(STUDY, m)
        for m, spec in STUDY.models.items()
        if spec.architecture.vocab_size is None and m not in STUDY.left_out
    ]
    return [f"{LAYOUT.tokenizer(vocabulary)}/tokenizer_info.json" for vocabulary in dict.fromkeys(open_sizes)]


def training_root(wildcards):
    """Where a method's encoded examples and logits lie: below R, or R/augmented with unlabelled ones beside them."""
    return f"{R}/augmented" if STUDY.ablation.methods[wildcards.method].augmented else R


def compared_encoding(wildcards):
    """Folder of the encoded tasks that a method trains on."""
    vocabulary = plan.tokenizer_of(STUDY, plan.initial_model(STUDY, "distillation", COMPARED))
    return f"{training_root(wildcards)}/encoded/{vocabulary}"


def wanted_searches(wildcards):
    """Input function: the summaries of the target `searches`."""
    if STUDY.search is None:
        raise WorkflowError(
            "search: the target 'searches' needs this section, e.g. search: {students: [albeto-tiny], tasks: [ner], "
            "trials: 50}; see docs/search-hyperparameters.md"
        )
    return [f"{R}/searches/{student}/{task}/summary.json" for student, task in plan.searches(STUDY)]
