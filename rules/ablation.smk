# One student, several ways to train it, several seeds: does distillation help? For studies with a section `ablation`.

METHODS = STUDY.ablation.methods if STUDY.ablation else {}
COMPARED = plan.initial_model(STUDY, "distillation", STUDY.ablation.student) if STUDY.ablation else None


rule train_method:
    input:
        unpack(lambda wc: LAYOUT.method_inputs(wc.task, wc.method)),
    output:
        "<results>/ablation/{task}/{method}/seed-{seed}.json",
    log:
        "<results>/logs/train_method/{task}/{method}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/jobs/train_method/{task}/{method}/seed-{seed}.tsv"
    wildcard_constraints:
        method="|".join([*METHODS, "(?!)"]),
        seed=r"\d+",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        weights=lambda wc: LAYOUT.weights(COMPARED),
        encoded=lambda wc: LAYOUT.encoded(COMPARED, METHODS[wc.method].augmented),
        examples=folder("tasks"),
        logits=lambda wc: f"{LAYOUT.training_root(METHODS[wc.method].augmented)}/logits",
        teachers=folder("models/fine-tuning"),
        state=folder("state/ablation/{method}"),
        predictions=folder("predictions/ablation/{method}/seed-{seed}"),
        settings=digest_of(jobs.ablation_job, wildcards=["task", "method", "seed"]),
    message:
        "Comparing on {wildcards.task}: {wildcards.method}, seed {wildcards.seed}"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/train_method.py --config $CONFIG --task {wildcards.task} --method {wildcards.method}"
        " --seed {wildcards.seed} --weights {params.weights} --encoded-dir {params.encoded}"
        " --examples-dir {params.examples} --logits-dir {params.logits} --teachers-dir {params.teachers} --state-dir {params.state}"
        " --predictions-dir {params.predictions} --out {output} --threads {threads}"
        " --expect {params.settings} &> {log}"
