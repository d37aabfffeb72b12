# The only file of rules with functions: what several stages share.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, workflow.basedir)

from depthdial.config.load import load_experiment
from depthdial.errors import DepthDialError
from depthdial.locks import release_stale_locks
from depthdial.provenance import code_digest

try:
    C = load_experiment(config, where=", ".join(map(str, workflow.overwrite_configfiles)) or "config/config.yaml")
except DepthDialError as error:
    raise WorkflowError(str(error)) from None

# Jobs parse this file too; only the head may judge whether locks are stale.
if workflow.is_main_process:
    ALIVE = release_stale_locks(Path(".snakemake"))

DATASETS = [dataset.name for dataset in C.datasets]


wildcard_constraints:
    experiment=C.experiment,
    dataset="|".join(DATASETS),
    network="|".join(C.names()),
    seed="|".join(map(str, C.seeds)),
    configuration=r"c\d\d",
    shard=r"\d+",


def network_files(pattern, *roles):
    """``pattern`` for every data set, network of the given roles (all without any) and seed."""
    return expand(
        f"results/{C.experiment}/{{dataset}}/{{network}}/{pattern}",
        dataset=DATASETS,
        network=C.names(*roles),
        seed=C.seeds,
    )


def plain(section):
    """A part of the configuration as plain values: a rule runs again when one of them changes."""
    return section.model_dump(mode="json")
