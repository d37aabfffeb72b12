# What a run says as a whole: networks compared at equal cost, over seeds, beside the paper's claims. The comparisons
# themselves take seconds: on a cluster they stay where the workflow runs.


localrules:
    compare_networks,
    compare_on_device,
    compare_rankings,
    compare_recipes,
    check_claims,
    list_networks,


rule score_budgets:
    """Read the test split, once, for the best mask at each budget of MACs and for the full network."""
    input:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        images=IMAGES,
        masks=f"{SEED_FOLDER}/masks.parquet",
        statics=lambda w: layout.descriptions(place(w), C.names("static")),
    output:
        budgets=f"{SEED_FOLDER}/budgets.parquet",
    log:
        "logs/{experiment}/score_budgets/{dataset}-{network}-seed{seed}.log",
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
        statics=C.names("static"),
        code=code_digest("depthdial.evaluate.budgets"),
    script:
        "../workflow_scripts/score_budgets.py"


STATIC_FILES = ["weights.safetensors", "test.parquet", "history.csv"]


rule compare_networks:
    """Compare a dial with its control and the static networks: at equal MACs, under skipping, in training time."""
    input:
        dial=lambda w: layout.of_seeds(place(w), [w.network], C.seeds, *SEARCHED_FILES, *FINETUNED_FILES),
        control=lambda w: layout.of_seeds(place(w), control_of(C, w.network), C.seeds, *SEARCHED_FILES),
        static=lambda w: layout.of_seeds(place(w), C.names("static"), C.seeds, *STATIC_FILES),
        samples=lambda w: layout.sampled_masks(C, place(w), [w.network, *control_of(C, w.network)], C.seeds),
    output:
        accuracies=NETWORK.table("accuracies"),
        equal_macs=NETWORK.table("equal_macs"),
        skipping=NETWORK.table("skipping"),
        training=NETWORK.table("training"),
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


DEPLOYED_FILES = list(dict.fromkeys(["weights.safetensors", "test.parquet", "configurations.json", *FINETUNED_FILES]))


rule compare_on_device:
    """Compare the configurations of a dial with the other networks at equal measured time on one device."""
    input:
        latency=ON_DEVICE.stage("bench", "latency.parquet"),
        dial=lambda w: layout.of_seeds(place(w), [w.network], [C.deploy.seed], *DEPLOYED_FILES),
        control=lambda w: layout.of_seeds(
            place(w), control_of(C, w.network), [C.deploy.seed], "weights.safetensors", "budgets.parquet"
        ),
        static=lambda w: layout.of_seeds(
            place(w), C.names("static"), [C.deploy.seed], "weights.safetensors", "test.parquet"
        ),
    output:
        equal_time=ON_DEVICE.table("equal_time"),
        configurations=ON_DEVICE.table("configurations"),
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
        searches=lambda w: layout.of_seeds(place(w), [w.network], C.seeds, "search.parquet"),
    output:
        rankings=NETWORK.table("rankings"),
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
        dials=lambda w: layout.of_seeds(place(w), C.names("dial"), C.seeds, *SEARCHED_FILES, *FINETUNED_FILES),
        ablations=lambda w: layout.of_seeds(place(w), C.names("dial"), [C.deploy.seed], "ablation.parquet"),
    output:
        recipes=DATA_SET.table("recipes"),
    log:
        "logs/{experiment}/compare_recipes/{dataset}.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        settings=training_settings(C),
        sampled=C.deploy.seed,
        code=code_digest("depthdial.compare.recipes"),
    script:
        "../workflow_scripts/compare_recipes.py"


rule check_claims:
    """Put the paper's claims, and depthdial's goals, beside what was found."""
    input:
        tables=layout.comparison_tables(C, DEVICES, DIALS),
        recipes=[place.table("recipes") for place in DATA_SETS],
        replays=[place.stage("replay", "summary.parquet") for place in PLACES],
    output:
        claims=EXPERIMENT.table("claims"),
    log:
        "logs/{experiment}/check_claims/claims.log",
    conda:
        "../envs/report.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(10),
    params:
        dials=claims_dials(STUDY),
        code=code_digest("depthdial.compare.claims"),
    script:
        "../workflow_scripts/check_claims.py"


rule list_networks:
    """Write down what every trained network is: the metadata of its weights, without the weights."""
    input:
        weights=layout.of_all_networks(C, "weights.safetensors"),
    output:
        table=EXPERIMENT.table("networks"),
        metadata=EXPERIMENT.table("networks", "json"),
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
