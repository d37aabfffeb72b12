"""Train the networks of an experiment one after another within a time limit: for a GPU machine that has little else.

It needs PyTorch, NumPy, Pillow, and the wheels of pydantic, safetensors and PyYAML; not Snakemake, pandas, torchvision.
Files lie where the workflow looks for them, so a folder that is carried back is gone on with there.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from depthdial.config.experiment import Experiment
from depthdial.config.load import read_experiment
from depthdial.config.networks import Network
from depthdial.data.images import load_info, load_split, save_images
from depthdial.data.prepare import prepare
from depthdial.errors import ConfigError
from depthdial.layout import Place, begins
from depthdial.networks.describe import describe
from depthdial.networks.description import write_description
from depthdial.runs.provenance import code_digest
from depthdial.train.tasks import train_network

logger = logging.getLogger(__name__)


class TimeUpError(BaseException):
    """The time is up: nobody but ``main`` catches it. What was trained up to the last whole epoch is kept."""


def train_all(experiment: Experiment, dataset: str, archive: str, device: str, threads: int) -> None:
    """Train what is not yet trained, network by network and seed by seed; a line of speed for each."""
    settings = experiment.dataset(dataset).model_copy(update={"path": archive})
    place = Place(experiment.experiment, dataset)
    if not Path(place.images).is_file():
        Path(place.images).parent.mkdir(parents=True, exist_ok=True)
        classes, splits = prepare(settings, Path(place.images).parent)
        save_images(place.images, settings.name, classes, splits, settings.reading, settings.normalisation)
    info, count = load_info(place.images), len(load_split(place.images, "train"))
    for seed in experiment.seeds:
        for network in in_order(experiment):
            at = Place(experiment.experiment, dataset, network.name)
            weights, history = Path(at.seed(seed, "weights.safetensors")), Path(at.seed(seed, "history.csv"))
            if not weights.is_file():
                weights.parent.mkdir(parents=True, exist_ok=True)
                write_description(at.description, describe(network, info.shape, len(info.classes)))
                train_network(
                    place.images,
                    at.description,
                    network,
                    experiment.recipe(network.name).model_copy(update={"device": device}),
                    seed,
                    begins=begins(experiment, at, seed),
                    code=code_digest("depthdial.train.loop"),
                    threads=threads,
                    weights=weights,
                    history=history,
                )
            logger.info("%s, seed %d: %s", network.name, seed, speed(history, count))


def in_order(experiment: Experiment) -> list[Network]:
    """The networks to train, each behind those that it begins with the weights of."""
    trained = (network for network in experiment.networks if not network.adopted)
    return sorted(trained, key=lambda network: len(experiment.earlier(network.name)))


def speed(history: Path, images: int) -> str:
    """How fast a network was trained on so many images an epoch, from its history."""
    with history.open(encoding="utf-8", newline="") as file:
        epochs = list(csv.DictReader(file))
    seconds = sum(float(epoch["seconds"]) for epoch in epochs)
    accuracy = 100 * float(epochs[-1]["validation_accuracy"])
    return f"{len(epochs) * images / seconds:.0f} images/s, {seconds:.0f} s, validation accuracy {accuracy:.2f} %"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 0 when all networks are trained, 3 when the time was up before: then run it again."""
    parser = argparse.ArgumentParser(prog="python -m depthdial.train.gpu", description=__doc__)
    parser.add_argument("--experiment", type=Path, required=True, help="the YAML file of the experiment")
    parser.add_argument("--archive", type=Path, required=True, help="the archive of its data set")
    parser.add_argument("--dataset", help="the name of the data set, if the experiment has several")
    parser.add_argument("--results", type=Path, default=Path(), help="the folder in which results/ lies")
    parser.add_argument("--minutes", type=float, default=9.0, help="stop after so long")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout, force=True)
    experiment, archive = read_experiment(given.experiment), given.archive.resolve()
    names = [dataset.name for dataset in experiment.datasets]
    dataset = given.dataset or names[0]
    if dataset not in names or (given.dataset is None and len(names) > 1):
        raise ConfigError(f"--dataset: {given.experiment} has {', '.join(names)}; name one of them")
    given.results.mkdir(parents=True, exist_ok=True)
    os.chdir(given.results)
    signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, 60 * given.minutes)
    try:
        train_all(experiment, dataset, str(archive), given.device, torch.get_num_threads())
    except TimeUpError:
        logger.info("the time is up; the same command goes on after the last whole epoch")
        return 3
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return 0


def _time_is_up(number: int, frame: FrameType | None) -> Any:
    raise TimeUpError


if __name__ == "__main__":
    sys.exit(main())
