rule evaluate_masks:
    """Evaluate one shard of a network's masks on the validation split."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        ablation=lambda w: layout.ablation(C, place(w), w.seed),
    output:
        masks=f"{SEED_FOLDER}/masks/shard{{shard}}.parquet",
    log:
        "logs/{experiment}/evaluate_masks/{dataset}-{network}-seed{seed}-shard{shard}.log",
    benchmark:
        "logs/{experiment}/evaluate_masks/{dataset}-{network}-seed{seed}-shard{shard}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(240),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        searched=lambda w: C.network(w.network).searched,
        recalibrated=lambda w: C.recalibration(w.network),
        code=code_digest("depthdial.evaluate"),
    script:
        "../workflow_scripts/evaluate_masks.py"


rule sample_masks:
    """Evaluate one shard of random masks at chosen numbers of skipped blocks, of a network too deep to evaluate all."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        ablation=lambda w: layout.ablation(C, place(w), w.seed),
    output:
        masks=f"{SEED_FOLDER}/samples/shard{{shard}}.parquet",
    log:
        "logs/{experiment}/sample_masks/{dataset}-{network}-seed{seed}-shard{shard}.log",
    wildcard_constraints:
        network=one_of(filter(C.too_deep, C.names())),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(600, at_most=1440),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        recalibrated=lambda w: C.recalibration(w.network),
        units=lambda w: C.network(w.network).n_units,
        skipped=C.compare.skipped,
        masks=C.compare.skipped_masks,
        code=code_digest("depthdial.evaluate", "depthdial.networks.masks"),
    script:
        "../workflow_scripts/sample_masks.py"


rule collect_masks:
    """Put a network's shards together."""
    input:
        shards=lambda w: layout.mask_shards(C, place(w), w.seed, units_of(w)),
    output:
        masks=f"{SEED_FOLDER}/masks.parquet",
    log:
        "logs/{experiment}/collect_masks/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        code=code_digest("depthdial.evaluate.tables"),
    script:
        "../workflow_scripts/collect_masks.py"


rule calibrate_configurations:
    """Take the BatchNorm statistics of the chosen configurations on training images."""
    input:
        weights=lambda w: layout.deployed_weights(C, place(w), w.seed),
        images=IMAGES,
        configurations=f"{SEED_FOLDER}/configurations.json",
    output:
        batchnorm=f"{SEED_FOLDER}/batchnorm.safetensors",
    log:
        "logs/{experiment}/calibrate_configurations/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(60),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        code=code_digest("depthdial.evaluate"),
    script:
        "../workflow_scripts/calibrate_configurations.py"


rule score_configurations:
    """Read the test split for the chosen configurations; nothing that is deployed or measured depends on it."""
    input:
        weights=lambda w: layout.deployed_weights(C, place(w), w.seed),
        images=IMAGES,
        configurations=f"{SEED_FOLDER}/configurations.json",
    output:
        test=f"{SEED_FOLDER}/test.parquet",
    log:
        "logs/{experiment}/score_configurations/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(60),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        code=code_digest("depthdial.evaluate"),
    script:
        "../workflow_scripts/score_configurations.py"


localrules:
    masks_all,


rule masks_all:
    """Evaluate the masks of every network."""
    input:
        layout.of_all_networks(C, "masks.parquet"),
