# What a run says as a whole: networks compared at equal cost, over seeds, beside the paper's claims. The comparisons
# themselves take seconds: on a cluster they stay where the workflow runs.


localrules:
    compare_networks,
    compare_on_device,
    compare_rankings,
    compare_recipes,
    check_claims,
    list_networks,


rule test_budgets:
    """Read the test split, once, for the best mask at each budget of MACs and for the full network."""
    input:
        weights="results/{experiment}/{dataset}/{network}/seed{seed}/weights.safetensors",
        images="results/{experiment}/{dataset}/images.safetensors",
        masks="results/{experiment}/{dataset}/{network}/seed{seed}/masks.parquet",
    output:
        budgets="results/{experiment}/{dataset}/{network}/seed{seed}/budgets.parquet",
    log:
        "logs/{experiment}/test_budgets/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(C.evaluate.memory_mb + 2000),
        runtime=rising(60),
        gpu=gpus(C.evaluate.device),
    params:
        settings=lambda w: plain(C.evaluation(w.network)),
        shares=C.compare.shares,
        statics={network.name: (network.depth, network.width) for network in C.networks if network.role == "static"},
        code=code_digest("depthdial.evaluate.budgets"),
    script:
        "../workflow_scripts/test_budgets.py"


rule compare_networks:
    """Compare a dial with its control and the static networks: at equal MACs, under skipping, in training time."""
    input:
        dial=lambda w: trained(w.dataset, [w.network], *SEARCHED_FILES, *FINETUNED_FILES),
        control=lambda w: trained(w.dataset, control_of(w.network), *SEARCHED_FILES),
        static=lambda w: trained(w.dataset, C.names("static"), "test.parquet", "history.csv"),
    output:
        accuracies=f"{TABLES}/{{dataset}}/{{network}}/accuracies.csv",
        equal_macs=f"{TABLES}/{{dataset}}/{{network}}/equal_macs.csv",
        skipping=f"{TABLES}/{{dataset}}/{{network}}/skipping.csv",
        training=f"{TABLES}/{{dataset}}/{{network}}/training.csv",
    log:
        "logs/{experiment}/compare_networks/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        code=code_digest("depthdial.compare.equal", "depthdial.compare.skipping", "depthdial.compare.training"),
    script:
        "../workflow_scripts/compare_networks.py"


rule compare_on_device:
    """Compare the configurations of a dial with the other networks at equal measured time on one device."""
    input:
        latency="results/{experiment}/{dataset}/{network}/bench/{device}/latency.parquet",
        dial=lambda w: trained(
            w.dataset,
            [w.network],
            *dict.fromkeys(["test.parquet", "configurations.json", *FINETUNED_FILES]),
            seeds=[C.deploy.seed],
        ),
        control=lambda w: trained(w.dataset, control_of(w.network), "budgets.parquet", seeds=[C.deploy.seed]),
        static=lambda w: trained(w.dataset, C.names("static"), "test.parquet", seeds=[C.deploy.seed]),
    output:
        equal_time=f"{TABLES}/{{dataset}}/{{network}}/{{device}}/equal_time.csv",
        configurations=f"{TABLES}/{{dataset}}/{{network}}/{{device}}/configurations.csv",
    log:
        "logs/{experiment}/compare_on_device/{dataset}-{network}-{device}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        shares=C.compare.shares,
        code=code_digest("depthdial.compare.equal"),
    script:
        "../workflow_scripts/compare_on_device.py"


rule compare_rankings:
    """Compare the sensitivity ranking with the other strategies of search over the training seeds."""
    input:
        searches=lambda w: expand(
            "results/{experiment}/{dataset}/{network}/seed{seed}/search.parquet", **w, seed=C.seeds
        ),
    output:
        rankings=f"{TABLES}/{{dataset}}/{{network}}/rankings.csv",
    log:
        "logs/{experiment}/compare_rankings/{dataset}-{network}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        code=code_digest("depthdial.compare.rankings"),
    script:
        "../workflow_scripts/compare_rankings.py"


rule compare_recipes:
    """Compare dials of the same shape that were trained differently."""
    input:
        dials=lambda w: trained(w.dataset, C.names("dial"), *SEARCHED_FILES, *FINETUNED_FILES),
        ablations=lambda w: expand(
            "results/{experiment}/{dataset}/{network}/seed{seed}/ablation.parquet",
            **w,
            network=C.names("dial"),
            seed=C.deploy.seed,
        ),
    output:
        recipes=f"{TABLES}/{{dataset}}/recipes.csv",
    log:
        "logs/{experiment}/compare_recipes/{dataset}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        settings=training_settings(),
        sampled=C.deploy.seed,
        code=code_digest("depthdial.compare.recipes"),
    script:
        "../workflow_scripts/compare_recipes.py"


rule check_claims:
    """Put the paper's claims, and depthdial's goals, beside what was found."""
    input:
        tables=[path for place in DIALS for path in comparison_tables(place)],
        recipes=[f"{TABLES}/{dataset}/recipes.csv" for dataset in DATASETS],
        replays=in_places("{dataset}/{network}/replay/{device}/summary.parquet"),
    output:
        claims=f"{TABLES}/claims.csv",
    log:
        "logs/{experiment}/check_claims/claims.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        dials=[
            dial
            | {
                "label": C.dataset(dial["dataset"]).label,
                "depth": C.network(dial["network"]).depth,
                "published": dial["network"] in PUBLISHED,
                "devices": list(DEVICES),
            }
            for dial in DIALS
        ],
        code=code_digest("depthdial.compare.claims"),
    script:
        "../workflow_scripts/check_claims.py"


rule list_networks:
    """Write down what every trained network is: the metadata of its weights, without the weights."""
    input:
        weights=network_files("seed{seed}/weights.safetensors"),
    output:
        table=f"{TABLES}/networks.csv",
        metadata=f"{TABLES}/networks.json",
    log:
        "logs/{experiment}/list_networks/networks.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        code=code_digest("depthdial.compare.training"),
    script:
        "../workflow_scripts/list_networks.py"
