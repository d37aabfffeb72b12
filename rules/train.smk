# Where networks come from: described once for each data set, then trained with each seed, or adopted as they are.
ADOPTED = [network.name for network in C.networks if network.adopted]
TRAINED = [network.name for network in C.networks if not network.adopted]
# What a network is, apart from how it comes to its weights.
SHAPE = {"name", "role", "family", "depth", "width", "model", "module", "units"}


def one_of(names):
    """A wildcard that is one of the names; nothing, if there are none."""
    return "|".join(names) or "(?!)"


def own_module(w):
    """The file of a network of the user's own."""
    return [C.network(w.network).module.partition(":")[0]] if C.network(w.network).module else []


def own_weights(w):
    """The file of weights that a network begins with, if it does and they are no weights of a library."""
    weights = C.network(w.network).weights
    return [weights] if weights and Path(weights).suffix else []


checkpoint describe_network:
    """Say what a network is for the images of a data set: its units, what they cost; nothing after it need run it."""
    input:
        images=IMAGES,
        module=own_module,
    output:
        network=NETWORK.description,
    log:
        "logs/{experiment}/describe_network/{dataset}-{network}.log",
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(20),
    params:
        network=lambda w: C.network(w.network).model_dump(
            mode="json", include=SHAPE | {"weights", "recipe", "survival"}
        ),
        search=plain(C.search),
        code=code_digest("depthdial.networks"),
    script:
        "../workflow_scripts/describe_network.py"


def units_of(w):
    """The number of units of a network, which is in the settings for He's family alone."""
    known = C.network(w.network).n_units
    if known is not None:
        return known
    found = checkpoints.describe_network.get(experiment=w.experiment, dataset=w.dataset, network=w.network)
    return read_description(found.output.network).n_units


rule adopt_weights:
    """Take a network that was trained elsewhere as it is."""
    input:
        images=IMAGES,
        network=NETWORK.description,
        adopted=own_weights,
        module=own_module,
    output:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        history=f"{SEED_FOLDER}/history.csv",
    log:
        "logs/{experiment}/adopt_weights/{dataset}-{network}-seed{seed}.log",
    wildcard_constraints:
        network=one_of(ADOPTED),
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
    """Train one network with one seed on one data set; from weights that were trained elsewhere, if it has such."""
    input:
        images=IMAGES,
        network=NETWORK.description,
        adopted=own_weights,
        module=own_module,
    output:
        weights=f"{SEED_FOLDER}/weights.safetensors",
        history=f"{SEED_FOLDER}/history.csv",
    log:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.log",
    benchmark:
        "logs/{experiment}/train/{dataset}-{network}-seed{seed}.tsv"
    wildcard_constraints:
        network=one_of(TRAINED),
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
