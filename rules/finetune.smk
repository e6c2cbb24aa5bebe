# Pretrained checkpoints -> grid of fine-tuning trials -> the selected model of each task -> its test score.
# Selection and scoring serve both regimes.


rule finetune_model:
    input:
        unpack(lambda wc: LAYOUT.shard_inputs("fine-tuning", wc.model, int(wc.shard))),
    output:
        "<results>/trials/fine-tuning/{model}/shard-{shard}.json",
    log:
        "<results>/logs/finetune_model/{model}/shard-{shard}.log",
    benchmark:
        "<results>/benchmarks/jobs/finetune_model/{model}/shard-{shard}.tsv"
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        weights=lambda wc: LAYOUT.weights(wc.model),
        encoded=lambda wc: LAYOUT.encoded(wc.model),
        examples=folder("tasks"),
        state=folder("state/fine-tuning/{model}"),
        settings=digest_of(jobs.shard_job, "fine-tuning", wildcards=["model", "shard"]),
    message:
        "Fine-tuning {wildcards.model}, shard {wildcards.shard} of its trials"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/finetune.py --config $CONFIG --model {wildcards.model} --shard {wildcards.shard}"
        " --weights {params.weights} --encoded-dir {params.encoded} --examples-dir {params.examples}"
        " --state-dir {params.state} --out {output} --threads {threads} --expect {params.settings} &> {log}"


rule select_trial:
    input:
        lambda wc: LAYOUT.trials(wc.regime, wc.system, wc.task),
    output:
        selection="<results>/selection/{regime}/{system}/{task}.json",
        model=directory("<results>/models/{regime}/{system}/{task}"),
    log:
        "<results>/logs/select_trial/{regime}/{system}/{task}.log",
    wildcard_constraints:
        regime="|".join([*(regime for regime in REGIMES if regime not in ONE_SHARD_REGIMES), "(?!)"]),
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        tasks=lambda wc: wc.task,
        selections=folder("selection/{regime}/{system}"),
        models=folder("models/{regime}/{system}"),
        state=folder("state/{regime}/{system}"),
        settings=lambda wc: jobs.digest(jobs.selections_job(STUDY, wc.regime, wc.system, [wc.task])),
    message:
        "Selecting the best trial of {wildcards.system} ({wildcards.regime}) on {wildcards.task}"
    shell:
        "python $PROGRAMS/select_trials.py --config $CONFIG --regime {wildcards.regime} --model {wildcards.system}"
        " --tasks {params.tasks} --shards {input} --selections-dir {params.selections}"
        " --models-dir {params.models} --state-dir {params.state} --expect {params.settings} &> {log}"


# If one job runs all trials of a system, one job selects on all tasks: starting a process takes longer than selecting. (Otherwise a
# task's selection, and its teacher, need not wait for the trials of all other tasks.)
use rule select_trial as select_trials with:
    input:
        "<results>/trials/{regime}/{system}/shard-0.json",
    output:
        selection=expand("<results>/selection/{{regime}}/{{system}}/{task}.json", task=STUDY.tasks),
        model=directory(expand("<results>/models/{{regime}}/{{system}}/{task}", task=STUDY.tasks)),
    log:
        "<results>/logs/select_trials/{regime}/{system}.log",
    wildcard_constraints:
        regime="|".join([*ONE_SHARD_REGIMES, "(?!)"]),
    localrule: True
    params:
        tasks=list(STUDY.tasks),
        selections=folder("selection/{regime}/{system}"),
        models=folder("models/{regime}/{system}"),
        state=folder("state/{regime}/{system}"),
        settings=lambda wc: jobs.digest(jobs.selections_job(STUDY, wc.regime, wc.system, STUDY.tasks)),
    message:
        "Selecting the best trials of {wildcards.system} ({wildcards.regime})"


rule score_systems:
    input:
        unpack(lambda wc: LAYOUT.scoring_inputs(wc.regime, wc.shard)),
    output:
        "<results>/scores/{regime}/shard-{shard}.json",
    log:
        "<results>/logs/score_systems/{regime}/shard-{shard}.log",
    benchmark:
        "<results>/benchmarks/jobs/score_systems/{regime}/shard-{shard}.tsv"
    wildcard_constraints:
        shard=r"\d+-\d+",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        models=folder("models/{regime}"),
        selections=folder("selection/{regime}"),
        encoded=folder("encoded"),
        examples=folder("tasks"),
        predictions=folder("predictions/{regime}"),
        settings=digest_of(jobs.scoring_job, wildcards=["regime", "shard"]),
    message:
        "Scoring systems ({wildcards.regime}) on test sets, shard {wildcards.shard}"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/score_systems.py --config $CONFIG --regime {wildcards.regime} --shard {wildcards.shard}"
        " --models-dir {params.models} --selections-dir {params.selections} --encoded-root {params.encoded}"
        " --examples-dir {params.examples} --out {output} --predictions-dir {params.predictions}"
        " --threads {threads} --expect {params.settings} &> {log}"
