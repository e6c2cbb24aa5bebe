# Token store -> pretrained checkpoints; or the checkpoints of others, fetched and checked.


rule pretrain_model:
    input:
        tokens=lambda wc: f"{R}/tokens/{STUDY.models[wc.model].tokenizer}/store.json",
        encoder=lambda wc: f"{LAYOUT.tokenizer(STUDY.models[wc.model].tokenizer)}/fast_tokenizer.json",
    output:
        weights="<results>/pretrained/{model}/model.safetensors",
        architecture="<results>/pretrained/{model}/config.json",
        digest="<results>/pretrained/{model}/weights.digest",
        metrics="<results>/pretraining/{model}/metrics.jsonl",
        summary="<results>/pretraining/{model}/summary.json",
    log:
        "<results>/logs/pretrain_model/{model}.log",
    benchmark:
        "<results>/benchmarks/jobs/pretrain_model/{model}.tsv"
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.pretraining.threads
    resources:
        **STUDY.hardware.pretraining.slurm,
        # The same for each attempt: most end by a time limit or preemption, and the next one resumes from a checkpoint.
        mem_mb=STUDY.hardware.pretraining.memory_mb,
        runtime=STUDY.hardware.pretraining.runtime_minutes,
    params:
        tokens=lambda wc: f"{R}/tokens/{STUDY.models[wc.model].tokenizer}",
        tokenizer=lambda wc: LAYOUT.tokenizer(STUDY.models[wc.model].tokenizer),
        folder=folder("pretrained/{model}"),
        history=folder("pretraining/{model}"),
        state=folder("state/pretraining/{model}"),
        settings=digest_of(jobs.pretraining_job, wildcards=["model"]),
    message:
        "Pretraining {wildcards.model}"
    shell:
        # Not a parameter: the number of processes does not affect the result, so it re-runs nothing.
        STUDY.hardware.pretraining.launcher
        + " $PROGRAMS/pretrain.py --config $CONFIG --model {wildcards.model} --tokens {params.tokens}"
        " --tokenizer-dir {params.tokenizer} --out {params.folder} --log-dir {params.history}"
        " --state {params.state} --threads {threads} --expect {params.settings} &> {log}"


rule prepare_weights:
    input:
        lambda wc: jobs.local_files(STUDY, wc.model),
    output:
        weights="<results>/weights/{model}/model.safetensors",
        architecture="<results>/weights/{model}/config.json",
        digest="<results>/weights/{model}/weights.digest",
        encoder="<results>/weights/{model}/fast_tokenizer.json",
        info="<results>/weights/{model}/tokenizer_info.json",
    log:
        "<results>/logs/prepare_weights/{model}.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("training"),
        runtime=runtime("light"),
        downloads=1,
    params:
        folder=folder("weights/{model}"),
        cache=folder("hub"),
        lock=folder("sources.lock.json"),
        settings=digest_of(jobs.weights_job, wildcards=["model"]),
    message:
        "Fetching or copying the weights of {wildcards.model} and checking its tokenizer"
    shell:
        "python $PROGRAMS/prepare_weights.py --config $CONFIG --model {wildcards.model} --out {params.folder}"
        " --hub-cache {params.cache} --lock {params.lock} --expect {params.settings} &> {log}"
        # What it warned of is shown on the screen too, not only in its log.
        " && {{ grep '^warning: ' {log} >&2 || true; }}"
