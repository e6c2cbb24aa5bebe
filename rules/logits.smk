# Teacher -> cached logits of the training split, a folder per task.


rule cache_logits:
    input:
        unpack(lambda wc: LAYOUT.logits_inputs(wc.task)),
    output:
        logits="<results>/logits/{task}/logits.arrow",
        meta="<results>/logits/{task}/meta.json",
        cost="<results>/logits/{task}/cost.json",
    log:
        "<results>/logs/cache_logits/{task}.log",
    benchmark:
        "<results>/benchmarks/jobs/cache_logits/{task}.tsv"
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        models=folder("models/fine-tuning"),
        encoded=folder("encoded"),
        folder=folder("logits/{task}"),
        settings=digest_of(jobs.logits_job, wildcards=["task"]),
    message:
        "Caching the teacher's logits on {wildcards.task}"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/cache_logits.py --config $CONFIG --task {wildcards.task} --teacher {input.teacher}"
        " --models-dir {params.models} --encoded-root {params.encoded} --out {params.folder}"
        " --threads {threads} --expect {params.settings} &> {log}"
