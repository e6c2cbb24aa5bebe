# Everything -> one self-contained HTML page, by Snakemake's own report.


rule make_report:
    input:
        [LAYOUT.table(name) for name in TABLES],
        [LAYOUT.figure(name) for name in FIGURES],
    output:
        "<results>/report.html",
    log:
        "<results>/logs/make_report.log",
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    message:
        "Building the report"
    # A second Snakemake reads what the first one recorded; it computes nothing and needs no lock.
    shell:
        "python -m snakemake --snakefile $PROJECT/Snakefile --configfile $CONFIG --nolock --cores 1"
        " --report {output} -- {input} &> {log}"
