# Artefacts -> tables (CSV, Markdown, LaTeX) and figures (SVG).


rule make_table:
    input:
        lambda wc: LAYOUT.table_inputs(wc.table),
    output:
        csv=report(
            "<results>/tables/{table}.csv",
            caption="../workflow/report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
        md="<results>/tables/{table}.md",
        tex="<results>/tables/{table}.tex",
    log:
        "<results>/logs/make_table/{table}.log",
    wildcard_constraints:
        table="|".join(LAYOUT.table_names()),
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Making the table {wildcards.table}"
    shell:
        "python $PROGRAMS/make_table.py --config $CONFIG --table {wildcards.table} --results {params.results}"
        " --out-csv {output.csv} --out-md {output.md} --out-tex {output.tex} --expect {params.settings} &> {log}"


rule make_summary:
    input:
        LAYOUT.table_inputs("summary"),
    output:
        csv=report("<results>/summary.csv", caption="../workflow/report/summary.rst", category="Summary"),
        md="<results>/summary.md",
        tex="<results>/summary.tex",
    log:
        "<results>/logs/make_summary.log",
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Making the summary"
    shell:
        "python $PROGRAMS/make_table.py --config $CONFIG --table summary --results {params.results}"
        " --out-csv {output.csv} --out-md {output.md} --out-tex {output.tex} --expect {params.settings} &> {log}"


rule make_figure:
    input:
        lambda wc: LAYOUT.figure_inputs(wc.figure),
    output:
        report(
            "<results>/figures/{figure}.svg",
            caption="../workflow/report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        "<results>/logs/make_figure/{figure}.log",
    wildcard_constraints:
        figure="|".join(LAYOUT.figure_names()),
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
