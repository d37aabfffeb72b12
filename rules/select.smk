rule select_front:
    """Choose the configurations of a dial among its masks; other networks have one, the full network."""
    input:
        masks=f"{SEED_FOLDER}/masks.parquet",
        cost=lambda w: layout.cost_models(C, [place(w)]),
    output:
        configurations=f"{SEED_FOLDER}/configurations.json",
    log:
        "logs/{experiment}/select_front/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        select=plain(C.select),
        code=code_digest("depthdial.select", "depthdial.select.latency_model"),
    script:
        "../workflow_scripts/select_front.py"


rule finetune:
    """Train a dial a little further on the configurations chosen from it."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        configurations=f"{SEED_FOLDER}/configurations.json",
        images=IMAGES,
    output:
        weights=f"{SEED_FOLDER}/finetuned.safetensors",
        configurations=f"{SEED_FOLDER}/finetuned.json",
    log:
        "logs/{experiment}/finetune/{dataset}-{network}-seed{seed}.log",
    benchmark:
        "logs/{experiment}/finetune/{dataset}-{network}-seed{seed}.tsv"
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        gpu=lambda w: gpus(C.recipe(w.network).device),
        mem_mb=rising(4000),
        runtime=rising(240),
    params:
        finetune=lambda w: C.finetune and plain(C.finetune),
        recipe=lambda w: plain(C.recipe(w.network)),
        evaluate=lambda w: plain(C.evaluation(w.network)),
        code=code_digest("depthdial.train.finetune", "depthdial.evaluate.tasks"),
    script:
        "../workflow_scripts/finetune.py"
