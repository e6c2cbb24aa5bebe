# Tables and records -> one self-contained HTML page; and Snakemake's own report, which lists jobs and files.
from ligero.reporting.registry import page_inputs


rule write_report:
    input:
        page_inputs(LAYOUT),
    output:
        page=LAYOUT.report,
        digests=LAYOUT.listing(LAYOUT.report),
    log:
        "<results>/logs/write_report.log",
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
        "Writing the report page"
    shell:
        "python $PROGRAMS/write_report.py --config $CONFIG --results {params.results} --out {output.page}"
        " --expect {params.settings} &> {log}"


rule make_snakemake_report:
    input:
        [LAYOUT.table(name) for name in TABLES],
        [LAYOUT.figure(name) for name in FIGURES],
    output:
        "<results>/snakemake-report.html",
    log:
        "<results>/logs/make_snakemake_report.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    message:
        "Building Snakemake's report"
    # A second Snakemake reads what the first one recorded; it computes nothing and needs no lock.
    shell:
        "python -m snakemake --snakefile $PROJECT/Snakefile --configfile $CONFIG --nolock --cores 1"
        " --report {output} -- {input} &> {log}"
