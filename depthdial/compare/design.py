"""The design of the comparisons: which networks of an experiment stand beside which."""

from __future__ import annotations

from typing import Any

from depthdial.config.experiment import Experiment
from depthdial.config.study import Study
from depthdial.layout import dials


def controls(experiment: Experiment, dial: str) -> list[str]:
    """The constant-depth networks of the same shape as a dial."""
    shape = experiment.network(dial).shape
    return [other.name for other in experiment.networks if other.role == "control" and other.shape == shape]


def control_of(experiment: Experiment, dial: str) -> list[str]:
    """The constant-depth network that a dial is compared with, if there is one: of its recipe if it can be."""
    recipe = experiment.network(dial).recipe
    return sorted(controls(experiment, dial), key=lambda name: experiment.network(name).recipe != recipe)[:1]


def as_published(experiment: Experiment, dial: str) -> bool:
    """Whether a dial is trained as Stochastic Depth was published, as its control is: no steps or shapes of ours."""
    network = experiment.network(dial)
    if network.adopted or network.weights is not None:
        return False
    plain = experiment.recipe(dial).sandwich is None and network.survival and network.survival.shape == "linear"
    return bool(plain) and any(experiment.network(c).recipe == network.recipe for c in controls(experiment, dial))


def stochastic(experiment: Experiment, dial: str) -> bool:
    """Whether a dial, or a dial that it begins with, is trained here with Stochastic Depth: whether some step draws
    gates by survival probabilities."""
    dials = [name for name in (dial, *experiment.earlier(dial)) if experiment.network(name).role == "dial"]
    return any(experiment.recipe(name).draws_by_survival for name in dials if not experiment.network(name).adopted)


def held_against_claims(experiment: Experiment) -> list[str]:
    """The dials that the paper's claims are put to, one of each shape: trained as published if there is such a one, or
    with Stochastic Depth at least."""
    names = experiment.names("dial")
    first: dict[object, str] = {}
    published, drawn = ([n for n in names if says(experiment, n)] for says in (as_published, stochastic))
    for name in [*published, *drawn, *names]:
        first.setdefault(experiment.network(name).shape, name)
    return list(first.values())


def claims_dials(study: Study) -> list[dict[str, Any]]:
    """Every dial of the paper's family as claims name it, and whether the paper's are put to it (``published``)."""
    experiment = study.experiment
    claimed = held_against_claims(experiment)
    return [
        {
            "dataset": dial.dataset,
            "label": experiment.dataset(dial.dataset).label,
            "network": dial.network,
            "depth": experiment.network(dial.network).depth,
            "published": dial.network in claimed,
            "stochastic": stochastic(experiment, dial.network),
            "devices": list(study.devices),
        }
        for dial in dials(experiment)
        if experiment.network(dial.network).family == "he_resnet"
    ]


def dials_alike(experiment: Experiment) -> dict[str, list[str]]:
    """Dials of the same shape, which can be compared: the name of the shape to theirs, where there are several."""
    found: dict[str, list[str]] = {}
    for name in experiment.names("dial"):
        found.setdefault(experiment.network(name).shape_name, []).append(name)
    return {shape: names for shape, names in found.items() if len(names) > 1}


def training_settings(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """What sets the training of each dial apart: its recipe but for the name, weights, survival and scaling."""
    found = {}
    for name in experiment.names("dial"):
        survival = experiment.network(name).survival
        recipe = {} if experiment.network(name).adopted else experiment.recipe(name).model_dump(mode="json")
        found[name] = {key: value for key, value in recipe.items() if key != "name"} | {
            "weights": experiment.network(name).weights,
            "survival": survival and survival.model_dump(mode="json"),
            "scaling": experiment.evaluation(name).scaling,
        }
    return found
