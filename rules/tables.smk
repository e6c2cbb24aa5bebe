# Artefacts -> tables (CSV, Markdown, LaTeX) and figures (SVG).


rule make_table:
    input:
        lambda wc: TABLES[wc.table].inputs(LAYOUT),
    output:
        csv=report(
            "<results>/tables/{table}.csv",
            caption="../workflow/report/caption.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md="<results>/tables/{table}.md",
        tex="<results>/tables/{table}.tex",
        digests="<results>/tables/{table}.json",
    log:
        "<results>/logs/make_table/{table}.log",
    wildcard_constraints:
        table="|".join(name for name in TABLES if name != "summary"),
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        table=lambda wc: wc.table,
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Making the table {wildcards.table}"
    shell:
        "python $PROGRAMS/make_table.py --config $CONFIG --table {params.table} --results {params.results}"
        " --out {output.csv} --expect {params.settings} &> {log}"


# The summary lies above the other tables, in the results folder itself.
use rule make_table as make_summary with:
    input:
        TABLES["summary"].inputs(LAYOUT),
    output:
        csv=report("<results>/summary.csv", caption="../workflow/report/caption.rst", category="Summary"),
        md="<results>/summary.md",
        tex="<results>/summary.tex",
        digests="<results>/summary.json",
    log:
        "<results>/logs/make_summary.log",
    localrule: True
    params:
        table="summary",
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Making the summary"


rule make_figure:
    input:
        lambda wc: FIGURES[wc.figure].inputs(LAYOUT),
    output:
        report(
            "<results>/figures/{figure}.svg",
            caption="../workflow/report/caption.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        "<results>/figures/{figure}.json",
    log:
        "<results>/logs/make_figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(name for name in FIGURES if name not in TASK_FIGURES),
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        figures=lambda wc: wc.figure,
        folder=folder("figures"),
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Drawing the figure {wildcards.figure}"
    shell:
        "python $PROGRAMS/make_figure.py --config $CONFIG --figures {params.figures} --results {params.results}"
        " --folder {params.folder} --expect {params.settings} &> {log}"


# One job draws a figure of every task: they read the same files, and starting a process takes longer than drawing.
use rule make_figure as make_task_figures with:
    input:
        lambda wc: FIGURES[f"{wc.kind}_{next(iter(STUDY.tasks))}"].inputs(LAYOUT),
    output:
        [
            report(
                f"<results>/figures/{{kind}}_{task}.svg",
                caption="../workflow/report/caption.rst",
                category="Figures",
                labels={"figure": f"{{kind}}_{task}"},
            )
            for task in STUDY.tasks
        ],
        [f"<results>/figures/{{kind}}_{task}.json" for task in STUDY.tasks],
    log:
        "<results>/logs/make_task_figures/{kind}.log",
    wildcard_constraints:
        kind="|".join(registry.KINDS_OF_TASK_FIGURES),
    localrule: True
    params:
        figures=lambda wc: [f"{wc.kind}_{task}" for task in STUDY.tasks],
        folder=folder("figures"),
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Drawing the figure {wildcards.kind} of every task"
