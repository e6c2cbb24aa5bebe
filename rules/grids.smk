# Records of the grids' trials -> tables of all trials, and of what successive halving saves. Not part of `all`: target `grids`.


rule report_grids:
    input:
        LAYOUT.all_trials(),
        LAYOUT.selections(),
    output:
        multiext("<results>/grids/", "trials.csv", "replays.csv", "trials.json"),
        multiext("<results>/grids/halving", ".csv", ".md", ".tex", ".json"),
    log:
        "<results>/logs/report_grids.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        out=folder("grids"),
        settings=digest_of(jobs.reporting_job),
    message:
        "Tables of the grids' trials, and of successive halving"
    shell:
        "python $PROGRAMS/report_grids.py --config $CONFIG --results {params.results} --out {params.out}"
        " --expect {params.settings} &> {log}"


rule grids:
    input:
        rules.report_grids.output,
    localrule: True
    message:
        "The trials of all grids are in tables"
