# Token store -> pretrained checkpoints, where a recipe has a teacher by way of its states; or the checkpoints of others, fetched
# and checked.


rule cache_states:
    input:
        unpack(lambda wc: LAYOUT.states_inputs(wc.model)),
    output:
        info="<results>/states/{model}/states.json",
        store="<results>/states/{model}/store.json",
        states="<results>/states/{model}/train.states.npy",
    log:
        "<results>/logs/cache_states/{model}.log",
    benchmark:
        "<results>/benchmarks/jobs/cache_states/{model}.tsv"
    # Before what fine-tunes other models: teachers are selected when all are fine-tuned, and the longest chains begin here.
    priority: 40
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        corpus=folder("corpus/clean"),
        teacher=lambda wc: LAYOUT.weights(STUDY.models[wc.model].state_teacher.model),
        folder=folder("states/{model}"),
        state=folder("state/states/{model}"),
        settings=digest_of(jobs.states_job, wildcards=["model"]),
    message:
        "Caching what the teacher of {wildcards.model} makes of the corpus"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/cache_states.py --config $CONFIG --model {wildcards.model} --corpus-dir {params.corpus}"
        " --store {input.store} --encoder {input.encoder} --teacher-dir {params.teacher}"
        " --teacher-encoder {input.teacher_encoder} --out {params.folder} --state-dir {params.state}"
        " --threads {threads} --expect {params.settings} &> {log}"


rule pretrain_model:
    input:
        unpack(lambda wc: LAYOUT.pretraining_inputs(wc.model)),
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
    priority: 30
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.pretraining.threads
    resources:
        **STUDY.hardware.pretraining.slurm,
        # The same for each attempt: most end by a time limit or preemption, and the next one resumes from a checkpoint.
        mem_mb=STUDY.hardware.pretraining.memory_mb,
        runtime=STUDY.hardware.pretraining.runtime_minutes,
    params:
        tokens=lambda wc: LAYOUT.pretraining_tokens(wc.model),
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
