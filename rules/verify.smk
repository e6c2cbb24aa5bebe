# Results folder -> what in it is no longer what was written. Not part of `all`: the target is `verify`.


rule verify:
    log:
        "<results>/logs/verify.log",
    localrule: True
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=R,
    message:
        "Comparing everything in {params.results} with the digests recorded when it was made"
    shell:
        "python $PROGRAMS/verify_results.py {params.results} 2>&1 | tee {log}"
