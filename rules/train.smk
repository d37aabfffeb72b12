rule train:
    """Train one network with one seed on one data set."""
    input:
        images=IMAGES,
    output:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        history=f"{SEED_FOLDER}/history.csv",
    log:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.log",
    benchmark:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=lambda w: gpus(C.recipe(w.network).device),
        mem_mb=rising(4000),
        runtime=rising(600, at_most=1440),
    params:
        network=lambda w: C.network(w.network).model_dump(mode="json", exclude={"scaling"}),
        recipe=lambda w: plain(C.recipe(w.network)),
        code=code_digest("depthdial.train.loop"),
    script:
        "../workflow_scripts/train.py"


rule train_all:
    """Train every network with every seed."""
    input:
        layout.of_all_networks(C, "weights.safetensors"),
