# Cached logits + pretrained student -> search over loss, alpha, temperature and rate. Not part of `all`: target `searches`.


rule search_hyperparameters:
    input:
        unpack(lambda wc: LAYOUT.training_inputs("distillation", wc.student, [wc.task])),
    output:
        "<results>/searches/{student}/{task}/worker-{worker}.json",
    log:
        "<results>/logs/search_hyperparameters/{student}/{task}/worker-{worker}.log",
    benchmark:
        "<results>/benchmarks/jobs/search_hyperparameters/{student}/{task}/worker-{worker}.tsv"
    wildcard_constraints:
        worker=r"\d+",
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
        state=folder("state/searches/{student}/{task}"),
        settings=digest_of(jobs.search_job, wildcards=["student", "task"]),
    message:
        "Searching hyper-parameters of {wildcards.student} on {wildcards.task}, worker {wildcards.worker}"
    shell:
        STUDY.hardware.training.launcher
        + " $PROGRAMS/search_hyperparameters.py --config $CONFIG --student {wildcards.student} --task {wildcards.task}"
        " --weights {params.weights} --encoded-dir {params.encoded} --examples-dir {params.examples}"
        " --logits-dir {params.logits} --teachers-dir {params.teachers} --state-dir {params.state} --out {output} --threads {threads}"
        " --expect {params.settings} &> {log}"


rule report_search:
    input:
        expand(
            "<results>/searches/{{student}}/{{task}}/worker-{worker}.json",
            worker=range(STUDY.search.workers if STUDY.search else 1),
        ),
    output:
        trials="<results>/searches/{student}/{task}/trials.csv",
        best=multiext("<results>/searches/{student}/{task}/best_per_loss", ".csv", ".md", ".tex"),
        figures=expand(
            "<results>/searches/{{student}}/{{task}}/{figure}.svg",
            figure=["importances", "slices"],
        ),
        summary="<results>/searches/{student}/{task}/summary.json",
    log:
        "<results>/logs/report_search/{student}/{task}.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        state=folder("state/searches/{student}/{task}"),
        folder=folder("searches/{student}/{task}"),
        settings=digest_of(jobs.search_job, wildcards=["student", "task"]),
    message:
        "Tables and figures of the search of {wildcards.student} on {wildcards.task}"
    shell:
        "python $PROGRAMS/report_search.py --config $CONFIG --student {wildcards.student} --task {wildcards.task}"
        " --state-dir {params.state} --out {params.folder} --expect {params.settings} &> {log}"


rule searches:
    input:
        checked(lambda _: LAYOUT.search_summaries()),
    localrule: True
    message:
        "Every configured search is complete"
