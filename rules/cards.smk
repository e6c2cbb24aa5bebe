# Selections, scores and measurements -> a card for every selected model, also put into the model's folder as its README.


rule write_cards:
    input:
        registry.card_inputs(LAYOUT),
    output:
        directory("<results>/cards"),
    log:
        "<results>/logs/write_cards.log",
    localrule: True
    conda:
        "../envs/tables.yaml"
    resources:
        mem_mb=memory("light"),
        runtime=runtime("light"),
    params:
        results=folder(""),
        settings=digest_of(jobs.cards_job),
    message:
        "Writing the card of every selected model"
    shell:
        "python $PROGRAMS/write_cards.py --config $CONFIG --results {params.results} --out {output}"
        " --expect {params.settings} &> {log}"
