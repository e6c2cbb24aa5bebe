# Selected fine-tuned models -> the teacher of each task.


rule select_teacher:
    input:
        lambda wc: [
            LAYOUT.selection("fine-tuning", model, wc.task)
            for model in plan.teacher_candidates(STUDY, wc.task)
        ],
    output:
        "<results>/teachers/{task}.json",
    log:
        "<results>/logs/select_teacher/{task}.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        settings=digest_of(jobs.teacher_job, wildcards=["task"]),
    message:
        "Choosing the teacher for {wildcards.task}"
    shell:
        "python $PROGRAMS/select_teacher.py --config $CONFIG --task {wildcards.task} --selections {input}"
        " --out {output} --expect {params.settings} &> {log}"
