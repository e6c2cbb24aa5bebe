# Ligero: light and fast language models, from raw text to every table.
# Rules are included in the order in which data flows; rules/common.smk reads and checks the configuration. A `localrule` takes a second
# or two, or fetches: it runs beside Snakemake, whose network it needs, instead of waiting in a cluster's queue.
from pathlib import Path

from snakemake.utils import min_version

min_version("9.20")


# --configfile names another study; Snakemake would otherwise merge it into this one, key by key.
if not workflow.config_settings.configfiles:

    configfile: Path(workflow.current_basedir.get_path_or_uri(secret_free=True), "config.yaml")


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/corpus.smk"
include: "rules/tokenizer.smk"
include: "rules/pretrain.smk"
include: "rules/datasets.smk"
include: "rules/finetune.smk"
include: "rules/teachers.smk"
include: "rules/logits.smk"
include: "rules/distill.smk"
include: "rules/search.smk"
include: "rules/grids.smk"
include: "rules/augment.smk"
include: "rules/ablation.smk"
include: "rules/benchmark.smk"
include: "rules/export.smk"
include: "rules/static_embeddings.smk"
include: "rules/tables.smk"
include: "rules/cards.smk"
include: "rules/report.smk"
include: "rules/verify.smk"


rule all:
    default_target: True
    input:
        # Lists: Snakemake takes the first item of an iterator to see what it holds, and loses it.
        [LAYOUT.table(name) for name in TABLES],
        [LAYOUT.figure(name) for name in FIGURES],
        f"{R}/cards",
        LAYOUT.report,
    localrule: True
    message:
        "Summary, tables, figures, model cards and the report page are complete"


rule fetch:
    input:
        [LAYOUT.source(source) for source in plan.wanted_sources(STUDY)],
        [LAYOUT.weights_digest(model) for model in plan.models_of_others(STUDY)],
    localrule: True
    message:
        "Every source that this study needs is fetched and verified"
