# Cached logits + pretrained student -> search over loss, alpha, temperature and rate. Not part of `all`: the target is `studies`.


rule study_distillation:
    input:
        weights=initial_weights("distillation"),
        encoded=encoded_splits("distillation", ["train", "validation"], lambda wc: [wc.task]),
        validation="<results>/tasks/{task}/validation.parquet",
        logits="<results>/logits/{task}/meta.json",
    output:
        "<results>/studies/{student}/{task}/worker-{worker}.json",
    log:
        "<results>/logs/study_distillation/{student}/{task}/worker-{worker}.log",
    benchmark:
        "<results>/benchmarks/jobs/study_distillation/{student}/{task}/worker-{worker}.tsv"
    wildcard_constraints:
        worker=r"\d+",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.gpus,
    params:
        weights=lambda wc: LAYOUT.weights(jobs.initial_model(STUDY, "distillation", wc.student)),
        encoded=lambda wc: LAYOUT.encoded(jobs.initial_model(STUDY, "distillation", wc.student)),
        examples=folder("tasks"),
        logits=folder("logits"),
        state=folder("state/studies/{student}/{task}"),
        settings=digest_of(search_job, wildcards=["student", "task"]),
    message:
        "Searching hyper-parameters of {wildcards.student} on {wildcards.task}, worker {wildcards.worker}"
    shell:
        "python $PROGRAMS/study_distillation.py --config $CONFIG --student {wildcards.student} --task {wildcards.task}"
        " --weights {params.weights} --encoded-dir {params.encoded} --examples-dir {params.examples}"
        " --logits-dir {params.logits} --state-dir {params.state} --out {output} --threads {threads}"
        " --expect {params.settings} &> {log}"


rule report_study:
    input:
        expand(
            "<results>/studies/{{student}}/{{task}}/worker-{worker}.json",
            worker=range(STUDY.search.workers if STUDY.search else 1),
        ),
    output:
        trials="<results>/studies/{student}/{task}/trials.csv",
        best=multiext("<results>/studies/{student}/{task}/best_per_loss", ".csv", ".md", ".tex"),
        figures=expand(
            "<results>/studies/{{student}}/{{task}}/{figure}.svg",
            figure=["importances", "slices"],
        ),
        summary="<results>/studies/{student}/{task}/summary.json",
    log:
        "<results>/logs/report_study/{student}/{task}.log",
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        state=folder("state/studies/{student}/{task}"),
        folder=folder("studies/{student}/{task}"),
        settings=digest_of(search_job, wildcards=["student", "task"]),
    message:
        "Tables and figures of the search of {wildcards.student} on {wildcards.task}"
    shell:
        "python $PROGRAMS/report_study.py --config $CONFIG --student {wildcards.student} --task {wildcards.task}"
        " --state-dir {params.state} --out {params.folder} --expect {params.settings} &> {log}"


rule studies:
    input:
        wanted_searches,
    message:
        "Every configured search is complete"
