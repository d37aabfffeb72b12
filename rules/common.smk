# The only file of rules with functions: what several stages share.
import hashlib
import os
import platform
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from depthdial.config.devices import LOCAL
from depthdial.config.study import load_study
from depthdial.networks.configurations import slot_names
from depthdial.devices.connection import agent_source
from depthdial.errors import DepthDialError
from depthdial.files import sha256_file
from depthdial.runs.job_states import first_words, unknown_is_long
from depthdial.runs.locks import release_stale_locks
from depthdial.runs.orphans import cancel_orphans
from depthdial.runs.provenance import code_digest, versions

try:
    STUDY = load_study(
        config,
        where=", ".join(map(str, workflow.overwrite_configfiles)) or "config/config.yaml",
        root=Path(workflow.basedir),
    )
except DepthDialError as error:
    raise WorkflowError(str(error)) from None

# Jobs parse this file too; only a head that is to work may judge whether locks are stale.
if workflow.is_main_process and not workflow.output_settings.dryrun:
    HEAD = release_stale_locks(Path(".snakemake"))

# The executor plugin would wait for ever for a job of which sacct says who has cancelled it, and for sacct where there is
# none, if Slurm does not answer just when the plugin wants to know for how long squeue remembers jobs.
if plugin := sys.modules.get("snakemake_executor_plugin_slurm"):
    plugin.query_job_status = first_words(plugin.query_job_status)
    plugin.get_min_job_age = unknown_is_long(plugin.get_min_job_age)

C = STUDY.experiment
TARGETS = STUDY.targets
DEVICES = STUDY.devices
# All cores of the machine that a job runs on; on a cluster the workflow as a whole has no number of cores.
ALL_CORES = workflow.resource_settings.cores or os.cpu_count()
DATASETS = [dataset.name for dataset in C.datasets]


wildcard_constraints:
    experiment=C.experiment,
    dataset="|".join(DATASETS),
    network="|".join(C.names()),
    seed="|".join(map(str, C.seeds)),
    configuration=r"c\d\d",
    target="|".join(TARGETS),
    device="|".join(DEVICES),
    shard=r"\d+",


def network_files(pattern, *roles):
    """``pattern`` for every data set, network of the given roles (all without any) and seed."""
    return expand(
        f"results/{C.experiment}/{{dataset}}/{{network}}/{pattern}",
        dataset=DATASETS,
        network=C.names(*roles),
        seed=C.seeds,
    )


def on_devices(pattern):
    """``pattern`` for every data set, dial and device."""
    return expand(
        f"results/{C.experiment}/{{dataset}}/{{network}}/{pattern}",
        dataset=DATASETS,
        network=C.names("dial"),
        device=list(DEVICES),
    )


def file_digest(path):
    """SHA-256 of a file of the checkout that is no Python module."""
    return sha256_file(Path(workflow.basedir) / path)[:16]


def rising(amount, at_most=None):
    """A resource that doubles with every attempt: a job that failed may have lacked memory or time."""
    return lambda wildcards, attempt: min(amount * 2 ** (attempt - 1), at_most or float("inf"))


def gpus(device):
    """GPUs that a job asks a cluster for: one, if the configuration names it."""
    return int(device.startswith("cuda"))


def plain(section):
    """A part of the configuration as plain values: a rule runs again when one of them changes."""
    return section.model_dump(mode="json")


# Used by masks.smk.
def mask_tables(wildcards):
    """The shards of all masks; of a network too deep for that, the shards of all generations of its search."""
    network = C.network(wildcards.network)
    folder = "results/{experiment}/{dataset}/{network}/seed{seed}".format(**wildcards)
    shards = range(C.evaluate.shards if network.searched else 1)
    if not network.searched or network.n_blocks <= C.search.exhaustive_blocks:
        return [f"{folder}/masks/shard{shard}.parquet" for shard in shards]
    generations = range(C.search.generations)
    return [f"{folder}/search/generation{g}/shard{s}.parquet" for g in generations for s in shards]


# Used by search.smk.
def search_settings(*names):
    """Settings of the searches by name, and those of the scores of blocks, which all of them depend on."""
    return C.search.model_dump(mode="json", include={*names, "importance_images", "hessian_probes"})


# Used by search.smk and figures.smk.
def truth_known(network):
    """Whether the table of a network holds all its masks, so that searches can be compared with the truth."""
    return C.network(network).n_blocks <= C.search.exhaustive_blocks and not C.evaluate.racing.enabled


# Used by select.smk.
def cost_model(w):
    """The cost model of the device whose latency is traded against accuracy, if it is one."""
    if C.select.cost == "macs" or C.network(w.network).role != "dial":
        return []
    return "results/{experiment}/{dataset}/{network}/cost/{device}/model.json".format(**w, device=C.select.cost)


# Used by select.smk, masks.smk and deploy.smk.
SEED_FOLDER = "results/{experiment}/{dataset}/{network}/seed{seed}"


def deployed_weights(w):
    """The weights of a network's configurations: a dial's may be fine-tuned on them."""
    finetuned = C.finetune is not None and C.network(w.network).role == "dial"
    return f"{SEED_FOLDER}/{'finetuned' if finetuned else 'weights'}.safetensors".format(**w)


# Used by deploy.smk, and by bench.smk for the cost model: what exporting and linking depend on.
GATE = C.deploy.model_dump(mode="json", include={"gate_images", "tolerance_absolute", "tolerance_relative"})


# Used by deploy.smk and bench.smk: another release of IREE makes other code.
IREE = versions("iree-base-compiler")["iree-base-compiler"]


def slots(network):
    """Names of the configurations of a network: a dial has several, a static network is one."""
    return slot_names(C.select.configurations if C.network(network).role == "dial" else 1)


def tuning(wildcards):
    """What says in which way to compile: nothing, for the first of the target's variants, unless this machine can tune."""
    if not C.deploy.tune or TARGETS[wildcards.target].architecture != platform.machine():
        return []
    return f"{SEED_FOLDER}/tuned/{{target}}.json".format(**wildcards)


# Used by bench.smk.
DEVICE_RESOURCES = {name: f"device_{name.replace('-', '_')}" for name in DEVICES}


# One benchmark at a time per device, without a flag on the command line.
for resource in DEVICE_RESOURCES.values():
    workflow.global_resources.setdefault(resource, 1)


def bundles_for(role):
    """The bundles of all networks of a role (of the dial itself: one) for the target of a device."""

    def bundles(w):
        names = [w.network] if role == "dial" else C.names(role)
        folder = "results/{experiment}/{dataset}/{network}/seed{seed}/bundle/{target}"
        return [
            folder.format(
                experiment=w.experiment,
                dataset=w.dataset,
                network=name,
                seed=C.deploy.seed,
                target=DEVICES[w.device].target,
            )
            for name in names
        ]

    return bundles


def device_threads(w):
    """A benchmark of this machine has it to itself."""
    return ALL_CORES if DEVICES[w.device].host == LOCAL else 1


def one_at_a_time():
    """Each device's resource, which only jobs on that device use."""
    return {resource: (lambda w, name=name: int(w.device == name)) for name, resource in DEVICE_RESOURCES.items()}


def device_settings(w):
    """What is said of a device but for its label: that changes no number."""
    return DEVICES[w.device].model_dump(mode="json", exclude={"title"})


PROTOCOL = C.benchmark.model_dump(mode="json", exclude={"devices", "devices_file", "cost_model"})
AGENT = hashlib.sha256(agent_source()).hexdigest()[:16]
COST_FOLDER = "results/{experiment}/{dataset}/{network}/cost"


# Used by figures.smk.
FIGURE_FILES = ["svg", "png", "csv"]
DEVICE_FIGURES = ["latency", "schedule", "curve", "trace", "policies"]
ALONE = "results/{experiment}/figures/{dataset}/{network}"
ON_DEVICE = f"{ALONE}/{{device}}"


def figure_outputs(stem):
    """The three files of a figure, by name; the vector one is part of `snakemake --report`."""
    name = Path(stem).name
    files = {suffix: f"{stem}.{suffix}" for suffix in FIGURE_FILES}
    labels = {"figure": name}
    labels |= {place: f"{{{place}}}" for place in ("dataset", "network", "device") if f"{{{place}}}" in stem}
    files["svg"] = report(files["svg"], caption=f"../report/{name}.rst", category="Figures", labels=labels)
    return files


def dial_figures(network):
    """The figures of a dial by itself; the truth of the searches is known where all masks are evaluated."""
    return ["equal", "skipping", "cloud", "ablation", *(["searches"] if truth_known(network) else [])]


def look(*colours):
    """The settings of a picture: its size and the colours that it uses, no others."""
    return {
        "colours": {name: getattr(C.figures, name) for name in colours},
        "width_mm": C.figures.width_mm,
        "dots_per_inch": C.figures.dots_per_inch,
    }


def controls(network):
    """The constant-depth networks of the same shape as a dial."""
    dial = C.network(network)
    return [
        other.name
        for other in C.networks
        if other.role == "control" and (other.depth, other.width) == (dial.depth, dial.width)
    ]


DIALS = [
    {
        "dataset": dataset,
        "network": network,
        "title": f"{network} on {C.dataset(dataset).label}",
        "figures": dial_figures(network),
    }
    for dataset in DATASETS
    for network in C.names("dial")
]


PLACES = [
    dial | {"device": device, "title": f"{dial['title']}, on {DEVICES[device].label}", "figures": DEVICE_FIGURES}
    for dial in DIALS
    for device in DEVICES
]


def figure_files(places, *suffixes):
    """The files of all figures of some dials, or of some dials on devices, in their order."""
    return [
        "/".join(
            ["results", C.experiment, "figures", *(p[k] for k in ("dataset", "network", "device") if k in p), name]
        )
        + f".{suffix}"
        for p in places
        for name in p["figures"]
        for suffix in suffixes
    ]


# Used by report.smk.
def in_places(pattern):
    """``pattern`` for every dial on every device, in their order."""
    return [f"results/{C.experiment}/{pattern.format(**place)}" for place in PLACES]


def cost_models():
    """The models of the device whose latency is traded against accuracy, if it is one: of every dial in its order."""
    pattern = "results/{experiment}/{dataset}/{network}/cost/{device}/model.json"
    return [
        pattern.format(experiment=C.experiment, device=C.select.cost, **dial)
        for dial in DIALS
        if C.select.cost != "macs"
    ]


# Used by compare.smk and report.smk.
TABLES = "results/{experiment}/tables"
FINETUNED_FILES = ["finetuned.csv", "test.parquet"] if C.finetune else []
SEARCHED_FILES = ["budgets.parquet", "masks.parquet", "history.csv"]


def trained(dataset, networks, *tables, seeds=C.seeds):
    """The weights of some networks with every seed, then the tables that comparisons read beside them."""
    names = ["weights.safetensors", *tables]
    folders = [f"results/{C.experiment}/{dataset}/{network}/seed{seed}" for network in networks for seed in seeds]
    return [f"{folder}/{name}" for name in names for folder in folders]


def control_of(network):
    """The constant-depth network that a dial is compared with, if there is one: of its shape, of its recipe if it can be."""
    dial = C.network(network)
    return sorted(controls(network), key=lambda name: C.network(name).recipe != dial.recipe)[:1]


def published(network):
    """Whether a dial is trained as Stochastic Depth was published, and as its control is: no steps or shapes of ours."""
    dial = C.network(network)
    plain_steps = C.recipe(network).sandwich is None and dial.survival.shape == "linear"
    return plain_steps and any(C.network(name).recipe == dial.recipe for name in controls(network))


def first_of_each_shape(names):
    """The first of some networks for each depth and width."""
    shapes = {}
    for name in names:
        shapes.setdefault((C.network(name).depth, C.network(name).width), name)
    return list(shapes.values())


# The paper's claims are put to one dial of each shape.
PUBLISHED = first_of_each_shape([*filter(published, C.names("dial")), *C.names("dial")])


def training_settings():
    """What the training of each dial is told, but for names."""
    return {
        name: C.recipe(name).model_dump(mode="json", exclude={"name"})
        | {"survival": plain(C.network(name).survival), "scaling": C.evaluation(name).scaling}
        for name in C.names("dial")
    }


def comparison_tables(place):
    """The comparison tables of a dial, those on each device included."""
    folder = f"results/{C.experiment}/tables/{place['dataset']}/{place['network']}"
    names = ["equal_macs", "skipping", "training", *(["rankings"] if truth_known(place["network"]) else [])]
    return [
        *(f"{folder}/{name}.csv" for name in names),
        *(f"{folder}/{device}/{name}.csv" for device in DEVICES for name in ("equal_time", "configurations")),
    ]


# The networks of each shape of which there are several dials, so that they can be compared: title to names.
def shapes():
    found = {}
    for name in C.names("dial"):
        network = C.network(name)
        title = f"ResNet-{network.depth}" + (f", width {network.width}" if network.width != 16 else "")
        found.setdefault(title, []).append(name)
    return {title: names for title, names in found.items() if len(names) > 1}


def recipe_figures(*suffixes):
    """The figures that compare dials of the same shape, if there are any."""
    stems = [f"results/{C.experiment}/figures/{dataset}/recipes" for dataset in DATASETS if shapes()]
    return [f"{stem}.{suffix}" for stem in stems for suffix in suffixes]


# Used by report.smk.
CONFIG_FILE = (
    os.path.relpath(workflow.overwrite_configfiles[0]) if workflow.overwrite_configfiles else "config/config.yaml"
)


def published_tables(dial):
    """The tables of one dial on the page of results: heading, CSV, networks in it, figures; of a device also its label."""
    network, dataset = dial["network"], dial["dataset"]
    place = f"{dataset}/{network}"
    others = [network, *control_of(network), *C.names("static")]

    def table(heading, name, names, *figures, device=None):
        folder = f"{place}/{device}" if device else place
        found = {
            "heading": heading,
            "path": f"tables/{folder}/{name}.csv",
            "names": names,
            "figures": [f"figures/{folder}/{figure}.png" for figure in figures],
        }
        return found | ({"device": DEVICES[device].label} if device else {})

    return [
        table("at equal MACs", "equal_macs", others, "equal"),
        *(table(f"At equal time on {DEVICES[d].label}", "equal_time", others, "latency", device=d) for d in DEVICES),
        table("Skipping blocks", "skipping", [network, *control_of(network)], "skipping"),
        *([table("Rankings of blocks", "rankings", [network], "searches")] if truth_known(network) else []),
        table("Training time", "training", others),
    ]


def published_recipes():
    """The tables of training recipes on the page of results, one for each data set."""
    return [
        {
            "heading": f"Training recipes on {C.dataset(dataset).label}",
            "path": f"tables/{dataset}/recipes.csv",
            "names": C.names("dial"),
            "figures": [f"figures/{dataset}/recipes.png"] if shapes() else [],
        }
        for dataset in DATASETS
    ]


def clear_the_queue():
    """Cancel what a head that was killed left in Slurm's queue: it would run beside the jobs of this one."""
    on_slurm = workflow.executor_plugin.name == "slurm"  # elsewhere Slurm may be installed and not in use
    try:
        ended = cancel_orphans(Path.cwd(), HEAD, answer_s=60 if on_slurm else 0)
    except DepthDialError as error:
        if on_slurm:
            raise WorkflowError(str(error)) from None
    else:
        if ended:
            logger.info(f"Cancelled {len(ended)} jobs of an earlier run in this folder: {' '.join(ended)}")


def name_unrecorded():
    """Warn of files whose jobs ended while no head lived: Snakemake does not know how they were made."""
    dag = workflow.dag
    jobs = [job for job in dag.jobs if dag.reason(job).no_metadata and not dag.needrun(job)]
    if jobs:
        logger.warning(
            "No record of how these were made, so no changed setting or code will rerun them (docs/cluster.md, "
            f'"The head was killed"): {" ".join(sorted(str(file) for job in jobs for file in job.output))}'
        )


onstart:
    if workflow.is_main_process:
        clear_the_queue()
        name_unrecorded()
