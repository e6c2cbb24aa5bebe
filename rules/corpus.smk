# Sources -> cleaned corpus.

GENERATED = [source.path for source in STUDY.sources.values() if source.generated]


rule generate_study:
    output:
        expand("{results}/generated/{path}", results=R, path=GENERATED),
    log:
        "<results>/logs/generate_study.log",
    benchmark:
        "<results>/benchmarks/jobs/generate_study.tsv"
    localrule: True
    conda:
        "../envs/corpus.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        folder=folder("generated/embedded"),
        seed=STUDY.seed,
        scale=STUDY.embedded_scale,
    message:
        "Writing the embedded study: a Spanish corpus and eight tasks in their published formats"
    shell:
        "python $PROGRAMS/generate_study.py --out {params.folder} --seed {params.seed} --scale {params.scale} &> {log}"


rule fetch_source:
    input:
        checked(lambda wc: origin_of(LAYOUT, plan.source_at(STUDY, wc.path)) or []),
    output:
        # Not removed before the job: a file that is there and has the right checksum is never fetched again.
        update("<results>/sources/{path}"),
    log:
        "<results>/logs/fetch_source/{path}.log",
    wildcard_constraints:
        path="|".join(map(re.escape, (s.path for s in STUDY.sources.values()))),
    localrule: True
    conda:
        "../envs/corpus.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
        downloads=1,
    params:
        source=lambda wc: plan.source_at(STUDY, wc.path),
        lock=folder("sources.lock.json"),
        generated=folder("generated"),
        settings=lambda wc: jobs.digest(STUDY.sources[plan.source_at(STUDY, wc.path)]),
    message:
        "Fetching and verifying {wildcards.path}"
    shell:
        "python $PROGRAMS/fetch_source.py --config $CONFIG --source {params.source} --destination {output}"
        " --lock {params.lock} --generated-mirror {params.generated} --expect {params.settings} &> {log}"


rule clean_corpus:
    input:
        [LAYOUT.source(part) for part in STUDY.corpus.parts] if STUDY.corpus else [],
    output:
        train="<results>/corpus/clean/train.txt.zst",
        validation="<results>/corpus/clean/validation.txt.zst",
        statistics="<results>/corpus/statistics.json",
    log:
        "<results>/logs/clean_corpus.log",
    benchmark:
        "<results>/benchmarks/jobs/clean_corpus.tsv"
    conda:
        "../envs/corpus.yaml"
    threads: STUDY.hardware.data.threads
    resources:
        mem_mb=memory("data"),
        runtime=runtime("data"),
    params:
        sources=folder("sources"),
        folder=folder("corpus"),
        settings=digest_of(jobs.cleaning_job),
    message:
        "Cleaning the corpus"
    shell:
        "python $PROGRAMS/clean_corpus.py --config $CONFIG --sources-dir {params.sources} --out {params.folder}"
        " --threads {threads} --expect {params.settings} &> {log}"
