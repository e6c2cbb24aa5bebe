# Teacher -> cached logits of the training split, a folder per task.
TOGETHER = "fine-tuning" in ONE_SHARD_REGIMES


rule cache_logits:
    input:
        unpack(lambda wc: LAYOUT.logits_inputs([wc.task])),
    output:
        logits="<results>/logits/{task}/logits.arrow",
        meta="<results>/logits/{task}/meta.json",
        cost="<results>/logits/{task}/cost.json",
    log:
        "<results>/logs/cache_logits/{task}.log",
    benchmark:
        "<results>/benchmarks/jobs/cache_logits/{task}.tsv"
    wildcard_constraints:
        task="(?!)" if TOGETHER else "|".join(STUDY.tasks),
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        tasks=lambda wc: wc.task,
        teachers=folder("teachers"),
        models=folder("models/fine-tuning"),
        selections=folder("selection/fine-tuning"),
        encoded=folder("encoded"),
        folder=folder("logits"),
        settings=lambda wc: jobs.digest(jobs.logits_jobs(STUDY, [wc.task])),
    message:
        "Caching the teacher's logits on {wildcards.task}"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/cache_logits.py --config $CONFIG --tasks {params.tasks} --teachers-dir {params.teachers}"
        " --models-dir {params.models} --selections-dir {params.selections} --encoded-root {params.encoded} --out {params.folder}"
        " --threads {threads} --expect {params.settings} &> {log}"


# If one job fine-tunes a system on all tasks, all teachers are known at once, and one job runs them: most of its time is its start.
# It comes before scores, for which no student waits.
use rule cache_logits as cache_all_logits with:
    input:
        unpack(lambda wc: LAYOUT.logits_inputs(list(STUDY.tasks))),
    output:
        expand(
            "<results>/logits/{task}/{name}",
            task=STUDY.tasks if TOGETHER else [],
            name=("logits.arrow", "meta.json", "cost.json"),
        ),
    log:
        "<results>/logs/cache_all_logits.log",
    benchmark:
        "<results>/benchmarks/jobs/cache_all_logits.tsv"
    priority: 50
    params:
        tasks=list(STUDY.tasks),
        settings=lambda wc: jobs.digest(jobs.logits_jobs(STUDY, STUDY.tasks)),
    message:
        "Caching the teachers' logits on all tasks"
