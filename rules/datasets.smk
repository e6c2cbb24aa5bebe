# Published files of the tasks -> examples -> token ids; and the baselines that need no model.


rule prepare_task:
    input:
        lambda wc: [LAYOUT.source(source) for source in plan.task_sources(STUDY, wc.task)],
    output:
        expand("<results>/tasks/{{task}}/{split}.parquet", split=SPLITS),
        info="<results>/tasks/{task}/info.json",
    log:
        "<results>/logs/prepare_task/{task}.log",
    # Before everything else that is ready: what is wrong with the data is known before anything trains. (Not an input of what trains:
    # an `ancient` one would hide other reasons to train again, and any other would train again after each change of a task.)
    priority: 100
    conda:
        "../envs/corpus.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        sources=folder("sources"),
        folder=folder("tasks/{task}"),
        lock=folder("sources.lock.json"),
        settings=digest_of(jobs.task_job, wildcards=["task"]),
        documents=lambda wc: jobs.documents_fingerprint(STUDY, wc.task),
    message:
        "Reading {wildcards.task}"
    shell:
        "python $PROGRAMS/prepare_task.py --config $CONFIG --task {wildcards.task} --sources-dir {params.sources}"
        " --out {params.folder} --lock {params.lock} --expect {params.settings} &> {log}"
        # What it warned of is shown on the screen too, not only in its log.
        " && {{ grep '^warning: ' {log} >&2 || true; }}"


rule encode_task:
    input:
        examples=expand("<results>/tasks/{{task}}/{split}.parquet", split=SPLITS),
        tokenizer=lambda wc: f"{LAYOUT.tokenizer(wc.tokenizer)}/fast_tokenizer.json",
    output:
        expand("<results>/encoded/{{tokenizer}}/{{task}}/{split}.parquet", split=SPLITS),
        info="<results>/encoded/{tokenizer}/{task}/info.json",
    log:
        "<results>/logs/encode_task/{tokenizer}/{task}.log",
    wildcard_constraints:
        tokenizer="|".join(plan.tokenizers_in_use(STUDY)),
    conda:
        "../envs/tokenizer.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        examples=folder("tasks/{task}"),
        tokenizer=lambda wc: LAYOUT.tokenizer(wc.tokenizer),
        folder=folder("encoded/{tokenizer}/{task}"),
        settings=digest_of(jobs.encoding_job, wildcards=["task"]),
    message:
        "Encoding {wildcards.task} with the tokenizer {wildcards.tokenizer}"
    shell:
        "python $PROGRAMS/encode_task.py --config $CONFIG --task {wildcards.task}"
        " --tokenizer {wildcards.tokenizer} --tokenizer-dir {params.tokenizer} --examples {params.examples}"
        " --out {params.folder} --expect {params.settings} &> {log}"


rule score_baseline:
    input:
        expand("<results>/tasks/{{task}}/{split}.parquet", split=SPLITS),
    output:
        "<results>/baselines/{task}.json",
    log:
        "<results>/logs/score_baseline/{task}.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        examples=folder("tasks/{task}"),
        settings=digest_of(jobs.baseline_job, wildcards=["task"]),
    message:
        "Scoring the baseline of {wildcards.task} that needs no model"
    shell:
        "python $PROGRAMS/score_baselines.py --config $CONFIG --task {wildcards.task}"
        " --examples {params.examples} --out {output} --expect {params.settings} &> {log}"
