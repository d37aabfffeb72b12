# The only file of rules with functions: what several stages share.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from depthdial.config.study import load_study
from depthdial.errors import DepthDialError
from depthdial.files import sha256_file
from depthdial.locks import release_stale_locks
from depthdial.provenance import code_digest

try:
    STUDY = load_study(
        config,
        where=", ".join(map(str, workflow.overwrite_configfiles)) or "config/config.yaml",
        root=Path(workflow.basedir),
    )
except DepthDialError as error:
    raise WorkflowError(str(error)) from None

# Jobs parse this file too; only the head may judge whether locks are stale.
if workflow.is_main_process:
    ALIVE = release_stale_locks(Path(".snakemake"))

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


def rising(amount):
    """A resource that doubles with every attempt: a job that failed may have lacked memory or time."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


def plain(section):
    """A part of the configuration as plain values: a rule runs again when one of them changes."""
    return section.model_dump(mode="json")
