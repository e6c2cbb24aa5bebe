# A selected model -> a folder that answers without torch: ONNX graphs in fp32 and int8, tokenizer, manifest. Target `exports`.


rule export_model:
    input:
        selection="<results>/selection/{regime}/{system}/{task}.json",
        encoded=lambda wc: [
            f"{LAYOUT.encoded(plan.initial_model(STUDY, wc.regime, wc.system))}/{wc.task}/{split}.parquet"
            for split in SPLITS
        ],
        examples=["<results>/tasks/{task}/validation.parquet", "<results>/tasks/{task}/test.parquet"],
    output:
        directory("<results>/exports/{regime}/{system}/{task}"),
    log:
        "<results>/logs/export_model/{regime}/{system}/{task}.log",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
    params:
        model=folder("models/{regime}/{system}/{task}"),
        encoded=lambda wc: (f"{LAYOUT.encoded(plan.initial_model(STUDY, wc.regime, wc.system))}/{wc.task}"),
        examples=folder("tasks/{task}"),
        settings=digest_of(jobs.export_job, wildcards=["regime", "system", "task"]),
    message:
        "Exporting {wildcards.system} ({wildcards.regime}) on {wildcards.task}"
    shell:
        "python $PROGRAMS/export_model.py --config $CONFIG --regime {wildcards.regime} --model {wildcards.system}"
        " --task {wildcards.task} --selection {input.selection} --model-dir {params.model} --encoded-dir {params.encoded}"
        " --examples-dir {params.examples} --out {output} --threads {threads} --expect {params.settings} &> {log}"


rule summarise_exports:
    input:
        LAYOUT.exports(),
    output:
        csv=LAYOUT.exports_summary,
        digests=LAYOUT.listing(LAYOUT.exports_summary),
    log:
        "<results>/logs/summarise_exports.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    message:
        "Summarising all exports"
    shell:
        "python $PROGRAMS/summarise_exports.py {input} --out {output.csv} &> {log}"


rule exports:
    input:
        LAYOUT.exports_summary,
    localrule: True
    message:
        "Every selected model is exported"
