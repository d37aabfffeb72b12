# Where networks come from: described once for each data set, then trained with each seed, or adopted as they are.
rule describe_network:
    """Say what a network of He's family is for the images of a data set: its units and what they cost."""
    input:
        images=IMAGES,
    output:
        network=NETWORK.description,
    log:
        "logs/{experiment}/describe_network/{dataset}-{network}.log",
    wildcard_constraints:
        network=one_of(n.name for n in C.networks if n.n_units is not None),
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(1000),
        runtime=rising(10),
    params:
        network=lambda w: C.network(w.network).model_dump(mode="json", exclude={"scaling", "anew"}),
        code=code_digest("depthdial.networks.describe"),
    script:
        "../workflow_scripts/describe_network.py"


# A checkpoint: until then the workflow does not know how many masks there are.
checkpoint find_units:
    """Find the units of a network of another family, and say what it is for the images of a data set."""
    input:
        images=IMAGES,
        module=lambda w: C.network(w.network).module_file,
    output:
        network=NETWORK.description,
    log:
        "logs/{experiment}/find_units/{dataset}-{network}.log",
    wildcard_constraints:
        network=one_of(n.name for n in C.networks if n.n_units is None),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(2000),
        runtime=rising(20),
    params:
        network=lambda w: C.network(w.network).model_dump(mode="json", exclude={"scaling", "anew"}),
        search=plain(C.search),
        code=code_digest("depthdial.networks.build"),
    script:
        "../workflow_scripts/find_units.py"


rule adopt_weights:
    """Take a network that was trained elsewhere as it is."""
    input:
        images=IMAGES,
        network=NETWORK.description,
        begins=lambda w: layout.begins(C, place(w), w.seed),
        module=lambda w: C.network(w.network).module_file,
    output:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        history=f"{SEED_FOLDER}/history.csv",
    log:
        "logs/{experiment}/adopt_weights/{dataset}-{network}-seed{seed}.log",
    wildcard_constraints:
        network=one_of(n.name for n in C.networks if n.adopted),
    conda:
        "../envs/train.yaml"
    threads: 1
    resources:
        mem_mb=rising(4000),
        runtime=rising(60),
    params:
        network=lambda w: plain(C.network(w.network)),
        code=code_digest("depthdial.networks.weights", "depthdial.networks.adopt"),
    script:
        "../workflow_scripts/adopt_weights.py"


rule train:
    """Train one network with one seed on one data set; from weights that were trained before, if it has such."""
    input:
        images=IMAGES,
        network=NETWORK.description,
        begins=lambda w: layout.begins(C, place(w), w.seed),
        module=lambda w: C.network(w.network).module_file,
    output:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        history=f"{SEED_FOLDER}/history.csv",
    log:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.log",
    benchmark:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.tsv"
    wildcard_constraints:
        network=one_of(n.name for n in C.networks if not n.adopted),
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
