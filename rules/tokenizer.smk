# Cleaned corpus -> tokenizers -> token stores; how well tokenizers fit.


rule train_tokenizer:
    input:
        corpus="<results>/corpus/clean/train.txt.zst",
    output:
        encoder="<results>/tokenizers/{tokenizer}/fast_tokenizer.json",
        info="<results>/tokenizers/{tokenizer}/tokenizer_info.json",
        tokenizer="<results>/tokenizers/{tokenizer}/tokenizer_config.json",
    log:
        "<results>/logs/train_tokenizer/{tokenizer}.log",
    benchmark:
        "<results>/benchmarks/jobs/train_tokenizer/{tokenizer}.tsv"
    conda:
        "../envs/tokenizer.yaml"
    threads: STUDY.hardware.data.threads
    resources:
        mem_mb=memory("data"),
        runtime=runtime("data"),
    params:
        folder=lambda wc: LAYOUT.tokenizer(wc.tokenizer),
        settings=lambda wc: jobs.digest(STUDY.tokenizers[wc.tokenizer]),
    message:
        "Training the tokenizer {wildcards.tokenizer}"
    shell:
        "python $PROGRAMS/train_tokenizer.py --config $CONFIG --tokenizer {wildcards.tokenizer}"
        " --corpus {input.corpus} --out {params.folder} --expect {params.settings} &> {log}"


rule encode_corpus:
    input:
        train="<results>/corpus/clean/train.txt.zst",
        validation="<results>/corpus/clean/validation.txt.zst",
        encoder="<results>/tokenizers/{tokenizer}/fast_tokenizer.json",
    output:
        store="<results>/tokens/{tokenizer}/store.json",
        train="<results>/tokens/{tokenizer}/train.bin",
        validation="<results>/tokens/{tokenizer}/validation.bin",
    log:
        "<results>/logs/encode_corpus/{tokenizer}.log",
    benchmark:
        "<results>/benchmarks/jobs/encode_corpus/{tokenizer}.tsv"
    conda:
        "../envs/tokenizer.yaml"
    threads: STUDY.hardware.data.threads
    resources:
        mem_mb=memory("data"),
        runtime=runtime("data"),
    params:
        corpus=folder("corpus/clean"),
        tokenizer=lambda wc: LAYOUT.tokenizer(wc.tokenizer),
        folder=folder("tokens/{tokenizer}"),
        settings=lambda wc: jobs.digest(STUDY.tokenizers[wc.tokenizer]),
    message:
        "Turning the corpus into token ids of the tokenizer {wildcards.tokenizer}"
    shell:
        "python $PROGRAMS/encode_corpus.py --config $CONFIG --tokenizer {wildcards.tokenizer}"
        " --tokenizer-dir {params.tokenizer} --corpus-dir {params.corpus} --out {params.folder}"
        " --threads {threads} --expect {params.settings} &> {log}"


rule measure_tokenizers:
    input:
        LAYOUT.tokenizer_inputs(),
    output:
        LAYOUT.tokenizer_quality,
    log:
        "<results>/logs/measure_tokenizers.log",
    benchmark:
        "<results>/benchmarks/jobs/measure_tokenizers.tsv"
    conda:
        "../envs/tokenizer.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.tokenizers_job),
    message:
        "Measuring how well the tokenizers fit the texts"
    shell:
        "python $PROGRAMS/measure_tokenizers.py --config $CONFIG --results {params.results} --out {output}"
        " --expect {params.settings} &> {log}"
