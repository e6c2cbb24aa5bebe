# A task, and the cleaned corpus where it takes sentences of it -> the task with unlabelled examples -> token ids and teacher
# logits, in R/augmented as in R.


rule augment_task:
    input:
        corpus=lambda wc: ([] if STUDY.tasks[wc.task].has_pairs else f"{R}/corpus/clean/train.txt.zst"),
        examples=expand("<results>/tasks/{{task}}/{split}.parquet", split=SPLITS),
    output:
        expand("<results>/augmented/tasks/{{task}}/{split}.parquet", split=SPLITS),
        info="<results>/augmented/tasks/{task}/info.json",
    log:
        "<results>/logs/augment_task/{task}.log",
    benchmark:
        "<results>/benchmarks/jobs/augment_task/{task}.tsv"
    conda:
        "../envs/tokenizer.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        examples=folder("tasks/{task}"),
        folder=folder("augmented/tasks/{task}"),
        settings=digest_of(jobs.augmentation_job, wildcards=["task"]),
    message:
        "Adding unlabelled examples to {wildcards.task}"
    shell:
        "python $PROGRAMS/augment_task.py --config $CONFIG --task {wildcards.task} --corpus {input.corpus}"
        " --examples {params.examples} --out {params.folder} --expect {params.settings} &> {log}"


use rule encode_task as encode_augmented_task with:
    input:
        examples=expand("<results>/augmented/tasks/{{task}}/{split}.parquet", split=SPLITS),
        tokenizer=lambda wc: f"{LAYOUT.tokenizer(wc.tokenizer)}/fast_tokenizer.json",
    output:
        expand("<results>/augmented/encoded/{{tokenizer}}/{{task}}/{split}.parquet", split=SPLITS),
        info="<results>/augmented/encoded/{tokenizer}/{task}/info.json",
    log:
        "<results>/logs/encode_augmented_task/{tokenizer}/{task}.log",
    params:
        examples=folder("augmented/tasks/{task}"),
        tokenizer=lambda wc: LAYOUT.tokenizer(wc.tokenizer),
        folder=folder("augmented/encoded/{tokenizer}/{task}"),
        settings=digest_of(jobs.encoding_job, wildcards=["task"]),
    message:
        "Encoding {wildcards.task} with unlabelled examples, tokenizer {wildcards.tokenizer}"


use rule cache_logits as cache_augmented_logits with:
    input:
        unpack(lambda wc: LAYOUT.logits_inputs([wc.task], augmented=True)),
    output:
        logits="<results>/augmented/logits/{task}/logits.arrow",
        meta="<results>/augmented/logits/{task}/meta.json",
        cost="<results>/augmented/logits/{task}/cost.json",
    log:
        "<results>/logs/cache_augmented_logits/{task}.log",
    benchmark:
        "<results>/benchmarks/jobs/cache_augmented_logits/{task}.tsv"
    wildcard_constraints:
        task="|".join(STUDY.tasks),
    params:
        encoded=folder("augmented/encoded"),
        folder=folder("augmented/logits"),
    message:
        "Caching the teacher's logits on {wildcards.task} and unlabelled examples"
