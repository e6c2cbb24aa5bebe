# Pretrained checkpoints -> grid of fine-tuning trials -> the selected model of each task -> its test score.
# Selection and scoring serve both regimes.


rule finetune_model:
    input:
        weights=initial_weights("fine-tuning"),
        encoded=encoded_splits("fine-tuning", ["train", "validation"], tasks_in_shard("fine-tuning")),
        validation=lambda wc: [
            f"{R}/tasks/{task}/validation.parquet" for task in tasks_in_shard("fine-tuning")(wc)
        ],
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
        gpu=STUDY.hardware.training.gpus,
    params:
        weights=lambda wc: LAYOUT.weights(wc.model),
        encoded=lambda wc: LAYOUT.encoded(wc.model),
        examples=folder("tasks"),
        state=folder("state/fine-tuning/{model}"),
        settings=digest_of(jobs.shard_job, "fine-tuning", wildcards=["model", "shard"]),
    message:
        "Fine-tuning {wildcards.model}, shard {wildcards.shard} of its trials"
    shell:
        "python $PROGRAMS/finetune.py --config $CONFIG --model {wildcards.model} --shard {wildcards.shard}"
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
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        settings=digest_of(jobs.selection_job, wildcards=["regime", "system", "task"]),
    message:
        "Selecting the best trial of {wildcards.system} ({wildcards.regime}) on {wildcards.task}"
    shell:
        "python $PROGRAMS/select_trial.py --config $CONFIG --regime {wildcards.regime} --model {wildcards.system}"
        " --task {wildcards.task} --shards {input} --out-selection {output.selection}"
        " --out-model {output.model} --expect {params.settings} &> {log}"


rule score_model:
    input:
        selections=lambda wc: [LAYOUT.selection(wc.regime, wc.system, task) for task in tasks_to_score(wc)],
        encoded=encoded_splits(None, ["test"], tasks_to_score),
        examples=lambda wc: [f"{R}/tasks/{task}/test.parquet" for task in tasks_to_score(wc)],
    output:
        "<results>/scores/{regime}/{system}/shard-{shard}.json",
    log:
        "<results>/logs/score_model/{regime}/{system}/shard-{shard}.log",
    benchmark:
        "<results>/benchmarks/jobs/score_model/{regime}/{system}/shard-{shard}.tsv"
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.gpus,
    params:
        models=folder("models/{regime}/{system}"),
        encoded=lambda wc: LAYOUT.encoded(jobs.initial_model(STUDY, wc.regime, wc.system)),
        examples=folder("tasks"),
        predictions=folder("predictions/{regime}/{system}"),
        settings=digest_of(jobs.scoring_job, wildcards=["regime", "system", "shard"]),
    message:
        "Scoring {wildcards.system} ({wildcards.regime}) on test sets, shard {wildcards.shard}"
    shell:
        "python $PROGRAMS/score_model.py --config $CONFIG --regime {wildcards.regime} --model {wildcards.system}"
        " --shard {wildcards.shard} --models-dir {params.models} --encoded-dir {params.encoded}"
        " --examples-dir {params.examples} --out {output} --predictions-dir {params.predictions}"
        " --threads {threads} --expect {params.settings} &> {log}"
