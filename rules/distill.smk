# Cached logits + pretrained ALBETO -> grid of distillation trials. Selection and scoring: rules/finetune.smk.


rule distill_student:
    input:
        unpack(lambda wc: LAYOUT.shard_inputs("distillation", wc.student, int(wc.shard))),
    output:
        "<results>/trials/distillation/{student}/shard-{shard}.json",
    log:
        "<results>/logs/distill_student/{student}/shard-{shard}.log",
    benchmark:
        "<results>/benchmarks/jobs/distill_student/{student}/shard-{shard}.tsv"
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        weights=lambda wc: LAYOUT.weights(plan.initial_model(STUDY, "distillation", wc.student)),
        encoded=lambda wc: LAYOUT.encoded(plan.initial_model(STUDY, "distillation", wc.student)),
        examples=folder("tasks"),
        logits=folder("logits"),
        teachers=folder("models/fine-tuning"),
        state=folder("state/distillation/{student}"),
        settings=digest_of(jobs.shard_job, "distillation", wildcards=["student", "shard"]),
    message:
        "Distilling {wildcards.student}, shard {wildcards.shard} of its trials"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/distill.py --config $CONFIG --student {wildcards.student} --shard {wildcards.shard}"
        " --weights {params.weights} --encoded-dir {params.encoded} --examples-dir {params.examples}"
        " --logits-dir {params.logits} --teachers-dir {params.teachers} --state-dir {params.state} --out {output} --threads {threads}"
        " --expect {params.settings} &> {log}"
