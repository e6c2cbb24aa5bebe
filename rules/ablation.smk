# One student, several ways to train it, several seeds: does distillation help? Only where the study has a section ablation.


rule train_method:
    input:
        weights=lambda wc: weights_digest(plan.initial_model(STUDY, "distillation", COMPARED)),
        encoded=lambda wc: [f"{compared_encoding(wc)}/{wc.task}/{split}.parquet" for split in SPLITS],
        examples=expand("<results>/tasks/{{task}}/{split}.parquet", split=["validation", "test"]),
        logits=lambda wc: (
            []
            if STUDY.ablation.methods[wc.method].objective == "gold"
            else f"{training_root(wc)}/logits/{wc.task}/meta.json"
        ),
    output:
        "<results>/ablation/{task}/{method}/seed-{seed}.json",
    log:
        "<results>/logs/train_method/{task}/{method}/seed-{seed}.log",
    benchmark:
        "<results>/benchmarks/jobs/train_method/{task}/{method}/seed-{seed}.tsv"
    wildcard_constraints:
        method="|".join([*(STUDY.ablation.methods if STUDY.ablation else ()), "(?!)"]),
        seed=r"\d+",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.gpus,
    params:
        weights=lambda wc: LAYOUT.weights(plan.initial_model(STUDY, "distillation", COMPARED)),
        encoded=compared_encoding,
        examples=folder("tasks"),
        logits=lambda wc: f"{training_root(wc)}/logits",
        state=folder("state/ablation/{method}"),
        predictions=folder("predictions/ablation/{method}/seed-{seed}"),
        settings=digest_of(jobs.ablation_job, wildcards=["task", "method", "seed"]),
    message:
        "Comparing on {wildcards.task}: {wildcards.method}, seed {wildcards.seed}"
    shell:
        "python $PROGRAMS/train_method.py --config $CONFIG --task {wildcards.task} --method {wildcards.method}"
        " --seed {wildcards.seed} --weights {params.weights} --encoded-dir {params.encoded}"
        " --examples-dir {params.examples} --logits-dir {params.logits} --state-dir {params.state}"
        " --predictions-dir {params.predictions} --out {output} --threads {threads}"
        " --expect {params.settings} &> {log}"
