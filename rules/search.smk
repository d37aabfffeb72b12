rule ask_masks:
    """Ask a search for the masks of its next generation, given all earlier ones."""
    input:
        weights="results/{experiment}/{dataset}/{network}/seed{seed}/weights.safetensors",
        images="results/{experiment}/{dataset}/images.safetensors",
        earlier=lambda w: [
            f"results/{w.experiment}/{w.dataset}/{w.network}/seed{w.seed}/search/generation{earlier}/shard{shard}.parquet"
            for earlier in range(int(w.generation))
            for shard in range(C.evaluate.shards)
        ],
    output:
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/search/generation{generation}.json",
    log:
        "logs/{experiment}/ask_masks/{dataset}-{network}-seed{seed}-generation{generation}.log",
    wildcard_constraints:
        generation=r"\d+",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(4000),
        runtime=rising(60),
    params:
        search=search_settings("strategy", "seed", "batch"),
        scaling=lambda w: C.evaluation(w.network).scaling,
        shards=C.evaluate.shards,
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/ask_masks.py"


rule evaluate_generation:
    """Evaluate one shard of a generation's masks on the validation split."""
    input:
        weights="results/{experiment}/{dataset}/{network}/seed{seed}/weights.safetensors",
        images="results/{experiment}/{dataset}/images.safetensors",
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/search/generation{generation}.json",
    output:
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/search/generation{generation}/shard{shard}.parquet",
    log:
        "logs/{experiment}/evaluate_generation/{dataset}-{network}-seed{seed}-generation{generation}-shard{shard}.log",
    wildcard_constraints:
        generation=r"\d+",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(240),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        code=code_digest("depthdial.evaluate"),
    script:
        "../workflow_scripts/evaluate_generation.py"


rule compare_searches:
    """Compare the strategies of search where all masks are evaluated, so that the true front is known."""
    input:
        weights="results/{experiment}/{dataset}/{network}/seed{seed}/weights.safetensors",
        images="results/{experiment}/{dataset}/images.safetensors",
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/masks.parquet",
    output:
        search="results/{experiment}/{dataset}/{network}/seed{seed}/search.parquet",
        fronts="results/{experiment}/{dataset}/{network}/seed{seed}/search_fronts.parquet",
    log:
        "logs/{experiment}/compare_searches/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(4000),
        runtime=rising(120),
    params:
        search=search_settings("compare", "compare_seeds", "compare_budget"),
        scaling=lambda w: C.evaluation(w.network).scaling,
        code=code_digest("depthdial.search"),
    script:
        "../workflow_scripts/compare_searches.py"


rule ablate_scaling:
    """Evaluate the same masks under every rule of scaling, with and without recalibration."""
    input:
        weights="results/{experiment}/{dataset}/{network}/seed{seed}/weights.safetensors",
        images="results/{experiment}/{dataset}/images.safetensors",
    output:
        ablation="results/{experiment}/{dataset}/{network}/seed{seed}/ablation.parquet",
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
        network_files("seed{seed}/ablation.parquet", "dial"),
        [
            f"results/{C.experiment}/{dataset}/{network}/seed{seed}/search.parquet"
            for dataset in DATASETS
            for network in C.names("dial")
            for seed in C.seeds
            if truth_known(network)
        ],
