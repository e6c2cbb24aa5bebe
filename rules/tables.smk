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
    log:
        "<results>/logs/make_figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(FIGURES),
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Drawing the figure {wildcards.figure}"
    shell:
        "python $PROGRAMS/make_figure.py --config $CONFIG --figure {wildcards.figure} --results {params.results}"
        " --out {output} --expect {params.settings} &> {log}"
