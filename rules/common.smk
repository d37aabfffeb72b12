# The only file of rules with functions: what only Snakemake can know, and what rules of several stages share.
import os
import sys
from collections import defaultdict
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from depthdial import layout
from depthdial.compare.design import claims_dials, control_of, training_settings
from depthdial.config.load import DEFAULT
from depthdial.config.study import read_study
from depthdial.data.fingerprint import fingerprints
from depthdial.errors import DepthDialError
from depthdial.figures.catalogue import CAPTIONS, FIGURES, all_places, figure_files, style_of
from depthdial.files import sha256_file
from depthdial.layout import Place
from depthdial.networks.description import read_description
from depthdial.report.contents import device_parts, dial_parts, of_the_paper, recipe_tables, worths
from depthdial.runs.job_states import first_words, unknown_is_long
from depthdial.runs.locks import release_stale_locks
from depthdial.runs.machine import lacks
from depthdial.runs.orphans import cancel_orphans
from depthdial.runs.progress import StageLine
from depthdial.runs.provenance import code_digest, versions

# `--configfile FILE` replaces the default experiment; merged, two experiments would mix. Snakemake has parsed FILE before
# it comes here, with the last of two equal keys; what counts is what is read here, with the reader of all files.
CONFIG_FILES = [Path(os.path.relpath(file)) for file in workflow.overwrite_configfiles]
if not CONFIG_FILES:
    CONFIG_FILES = [DEFAULT if DEFAULT.is_file() else Path(workflow.basedir) / DEFAULT]
    workflow.configfiles.extend(map(str, CONFIG_FILES))
try:
    STUDY = read_study(CONFIG_FILES, workflow.config_settings.config, root=Path(workflow.basedir))
    # Jobs need not look again, and may run where no images are.
    images = STUDY.experiment.datasets if workflow.is_main_process else []
    FINGERPRINTS = defaultdict(str, fingerprints(images, plan=workflow.output_settings.dryrun))
except DepthDialError as error:
    raise WorkflowError(str(error)) from None

# Jobs parse this file too; only a head that is to work may judge the machine, and whether locks are stale.
if workflow.is_main_process and not workflow.output_settings.dryrun:
    if problems := lacks(sys.executable, Path.cwd(), os.environ):
        raise WorkflowError("This machine is not ready:\n  " + "\n  ".join(problems))
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
    generation=r"\d+",
    configuration=r"c\d\d",
    target="|".join(TARGETS),
    device="|".join(DEVICES),
    shard=r"\d+",


# Patterns with wildcards, of which most inputs and outputs are made.
ON_DEVICE = Place("{experiment}", "{dataset}", "{network}", "{device}")
NETWORK = Place("{experiment}", "{dataset}", "{network}")
DATA_SET = Place("{experiment}", "{dataset}")
EXPERIMENT = Place("{experiment}")
IMAGES = ON_DEVICE.images
SEED_FOLDER = ON_DEVICE.seed("{seed}")
FIGURE_FILES = ["svg", "png", "csv"]
DIALS = layout.dials(C)
PLACES = layout.dials_on_devices(C, DEVICES)
DATA_SETS = [Place(C.experiment, dataset) for dataset in DATASETS]


def place(wildcards):
    """The place that wildcards speak of, as far as they do."""
    return Place(*(wildcards.get(name, "") for name in ("experiment", "dataset", "network", "device")))


def rising(amount, at_most=None):
    """A resource that doubles with every attempt: a job that failed may have lacked memory or time."""
    return lambda wildcards, attempt: min(amount * 2 ** (attempt - 1), at_most or float("inf"))


def gpus(device):
    """GPUs that a job asks a cluster for: one, if the configuration names it."""
    return int(device.startswith("cuda"))


def plain(section):
    """A part of the configuration as plain values: a rule runs again when one of them changes."""
    return section.model_dump(mode="json")


def one_of(names):
    """A wildcard that is one of the names; nothing, if there are none."""
    return "|".join(names) or "(?!)"


def units_of(w):
    """The number of units of a network, which only for He's family is in the settings."""
    known = C.network(w.network).n_units
    if known is not None:
        return known
    found = checkpoints.find_units.get(experiment=w.experiment, dataset=w.dataset, network=w.network)
    return read_description(found.output.network).n_units


def bundles_of(*roles):
    """The bundles of the networks of some roles, of the dial itself without any, for the target of a device."""
    return lambda w: layout.bundles(C, place(w), DEVICES[w.device].target, C.names(*roles) if roles else [w.network])


# One benchmark at a time per device, without a flag on the command line: each device is a resource of its own.
DEVICE_RESOURCES = {name: f"device_{name.replace('-', '_')}" for name in DEVICES}
for resource in DEVICE_RESOURCES.values():
    workflow.global_resources.setdefault(resource, 1)


def one_at_a_time():
    """Each device's resource, which only jobs on that device use."""
    return {resource: (lambda w, name=name: int(w.device == name)) for name, resource in DEVICE_RESOURCES.items()}


# What exporting and linking depend on, here and for the cost model; and another release of IREE makes other code.
GATE = C.deploy.model_dump(mode="json", include={"gate_images", "tolerance_absolute", "tolerance_relative"})
IREE = versions("iree-base-compiler")["iree-base-compiler"]
# What comparisons read beside the weights of a network: of one that was searched; of a dial also what fine-tuning gave.
SEARCHED_FILES = ["weights.safetensors", "budgets.parquet", "masks.parquet", "history.csv"]
FINETUNED_FILES = ["configurations.json", "finetuned.json", "test.parquet"] if C.finetune else []


def figure_outputs(figure):
    """The three files of a figure, by name; the vector one is part of `snakemake --report`."""
    files = {suffix: figure.pattern.figure(figure.name, suffix) for suffix in FIGURE_FILES}
    labels = {"figure": figure.name} | {name: f"{{{name}}}" for name in figure.wildcards}
    files["svg"] = report(files["svg"], caption="../report/figure.rst", category="Figures", labels=labels)
    return files


def at_place(function):
    """``function``, which asks for the study and a place, as an input function or a parameter."""
    return lambda w: function(STUDY, place(w))


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


def show_stages():
    """Where a person watches, say after every job how far each stage is; a stage is a file of rules."""
    if not sys.stderr.isatty():
        return
    order = {rule.name: number for number, rule in enumerate(workflow.rules)}
    jobs = sorted(
        (job for job in workflow.dag.needrun_jobs() if not job.is_norun), key=lambda job: order[job.rule.name]
    )
    stages = {job.jobid: Path(str(job.rule.snakefile)).stem for job in jobs}
    logger.handlers.insert(0, StageLine(stages, sys.stderr))


onstart:
    if workflow.is_main_process:
        show_stages()
        clear_the_queue()
        name_unrecorded()
