# Size, multiply-accumulate operations and latency of every system: from architectures, so that no training is needed. And what
# a system's score is worth at its cost.
from ligero.reporting.registry import tradeoff_inputs


rule measure_efficiency:
    input:
        LAYOUT.tokenizer_infos(),
    output:
        LAYOUT.efficiency,
    log:
        "<results>/logs/measure_efficiency.log",
    conda:
        "../envs/benchmark.yaml"
    resources:
        mem_mb=memory("training"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.efficiency_job),
    message:
        "Counting parameters and multiply-accumulate operations of every system"
    shell:
        "python $PROGRAMS/measure_efficiency.py --config $CONFIG --results {params.results} --out {output}"
        " --expect {params.settings} &> {log}"


rule measure_speed:
    input:
        LAYOUT.tokenizer_infos(),
    output:
        LAYOUT.inference_speed,
    log:
        "<results>/logs/measure_speed.log",
    conda:
        "../envs/benchmark.yaml"
    # Exclusive of the machine's cores, so that no other job disturbs the clock.
    threads: workflow.resource_settings.cores or STUDY.hardware.training.threads
    resources:
        mem_mb=memory("training"),
        runtime=runtime("training"),
        gpu=STUDY.hardware.training.devices,
    params:
        results=folder(""),
        settings=digest_of(jobs.speed_job),
    message:
        "Measuring the latency of every system on this device"
    shell:
        STUDY.hardware.training.launcher_alone
        + " $PROGRAMS/measure_speed.py --config $CONFIG --results {params.results} --out {output}"
        " --threads {threads} --expect {params.settings} &> {log}"


rule measure_tradeoff:
    input:
        tradeoff_inputs(LAYOUT),
    output:
        LAYOUT.tradeoff,
    log:
        "<results>/logs/measure_tradeoff.log",
    conda:
        "../envs/training.yaml"
    resources:
        mem_mb=memory("training"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.reporting_job),
    message:
        "Weighing scores against costs"
    shell:
        "python $PROGRAMS/measure_tradeoff.py --config $CONFIG --results {params.results} --out {output}"
        " --expect {params.settings} &> {log}"
