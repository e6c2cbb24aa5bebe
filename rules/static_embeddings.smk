# Teacher of a classification task -> logistic regression on its static embeddings.


rule score_static_embeddings:
    input:
        teacher="<results>/teachers/{task}.json",
        encoded=lambda wc: [
            f"{R}/encoded/{tokenizer}/{wc.task}/{split}.parquet"
            for tokenizer in plan.candidate_tokenizers(STUDY, wc.task)
            for split in SPLITS
        ],
        examples=["<results>/tasks/{task}/validation.parquet", "<results>/tasks/{task}/test.parquet"],
    output:
        "<results>/static_embeddings/{task}.json",
    log:
        "<results>/logs/score_static_embeddings/{task}.log",
    conda:
        "../envs/training.yaml"
    threads: STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
    params:
        models=folder("models/fine-tuning"),
        selections=folder("selection/fine-tuning"),
        encoded=folder("encoded"),
        examples=folder("tasks/{task}"),
        settings=digest_of(jobs.static_embeddings_job, wildcards=["task"]),
    message:
        "Scoring the static embeddings of the teacher of {wildcards.task}"
    shell:
        "python $PROGRAMS/score_static_embeddings.py --config $CONFIG --task {wildcards.task} --teacher {input.teacher}"
        " --models-dir {params.models} --selections-dir {params.selections} --encoded-root {params.encoded}"
        " --examples-dir {params.examples}"
        " --out {output} --threads {threads} --expect {params.settings} &> {log}"
