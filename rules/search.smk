rule ask_masks:
    """Ask a search for the masks of its next generation, given all earlier ones."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        earlier=lambda w: layout.earlier_shards(C, place(w), w.seed, int(w.generation)),
    output:
        masks=f"{SEED_FOLDER}/search/generation{{generation}}.json",
    log:
        "logs/{experiment}/ask_masks/{dataset}-{network}-seed{seed}-generation{generation}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(4000),
        runtime=rising(60),
    params:
        search=C.search.settings("strategy", "seed", "batch"),
        scaling=lambda w: C.evaluation(w.network).scaling,
        shards=C.evaluate.shards,
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/ask_masks.py"


rule evaluate_generation:
    """Evaluate one shard of a generation's masks on the validation split."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        masks=f"{SEED_FOLDER}/search/generation{{generation}}.json",
        ablation=lambda w: layout.ablation(C, place(w), w.seed),
    output:
        masks=f"{SEED_FOLDER}/search/generation{{generation}}/shard{{shard}}.parquet",
    log:
        "logs/{experiment}/evaluate_generation/{dataset}-{network}-seed{seed}-generation{generation}-shard{shard}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(240),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        recalibrated=lambda w: C.recalibration(w.network),
        code=code_digest("depthdial.evaluate"),
    script:
        "../workflow_scripts/evaluate_generation.py"


rule compare_searches:
    """Compare the strategies of search where all masks are evaluated, so that the true front is known."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        masks=f"{SEED_FOLDER}/masks.parquet",
    output:
        search=f"{SEED_FOLDER}/search.parquet",
        fronts=f"{SEED_FOLDER}/search_fronts.parquet",
    log:
        "logs/{experiment}/compare_searches/{dataset}-{network}-seed{seed}.log",
    wildcard_constraints:
        network=one_of(name for name in C.names() if not C.too_deep(name)),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(4000),
        runtime=rising(120),
    params:
        search=C.search.settings("compare", "compare_seeds", "compare_budget"),
        scaling=lambda w: C.evaluation(w.network).scaling,
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/compare_searches.py"


rule run_searches:
    """Run one shard of the strategies on a dial too deep to evaluate all masks, each to the end of an equal budget."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        ablation=lambda w: layout.ablation(C, place(w), w.seed),
    output:
        runs=f"{SEED_FOLDER}/searches/shard{{shard}}.parquet",
    log:
        "logs/{experiment}/run_searches/{dataset}-{network}-seed{seed}-shard{shard}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(600, at_most=1440),
        gpu=gpus(C.evaluate.device),
    params:
        search=C.search.settings("compare", "compare_seeds", "compare_deep_budget"),
        settings=lambda w: plain(C.evaluation(w.network)),
        recalibrated=lambda w: C.recalibration(w.network),
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/run_searches.py"


rule collect_searches:
    """Compare the strategies of search on a dial too deep to know the truth: with what all found together."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        runs=lambda w: layout.search_runs(C, place(w), w.seed),
    output:
        search=f"{SEED_FOLDER}/search.parquet",
        fronts=f"{SEED_FOLDER}/search_fronts.parquet",
    log:
        "logs/{experiment}/collect_searches/{dataset}-{network}-seed{seed}.log",
    wildcard_constraints:
        network=one_of(filter(C.too_deep, C.names())),
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/collect_searches.py"


rule ablate_scaling:
    """Evaluate the same masks under every rule of scaling, with and without recalibration."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
    output:
        ablation=f"{SEED_FOLDER}/ablation.parquet",
    log:
        "logs/{experiment}/ablate_scaling/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(120),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        masks=C.search.ablation_masks,
        code=code_digest("depthdial.evaluate.ablation"),
    script:
        "../workflow_scripts/ablate_scaling.py"


localrules:
    search_all,


rule search_all:
    """Compare the searches and the rules of scaling on every dial."""
    input:
        layout.of_all_networks(C, "ablation.parquet", "dial"),
        [dial.seed(seed, "search.parquet") for dial in DIALS if C.searches_compared(dial.network) for seed in C.seeds],
