"""The figures of an experiment: an entry each. Rules, captions, the report and the page of results follow from it.

A figure ``name`` is drawn by ``depthdial.figures.<name>.draw(style, **inputs, **settings)``, which returns a Drawing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from depthdial.compare.design import control_of, controls, dials_alike
from depthdial.config.study import Study
from depthdial.layout import Place, dials, dials_on_devices, of_seeds, sampled_masks

Files = dict[str, str | list[str]]


def _data_set(study: Study, place: Place) -> str:
    return study.experiment.dataset(place.dataset).label


def _dial(study: Study, place: Place) -> str:
    return f"{place.network} on {_data_set(study, place)}"


def _device(study: Study, place: Place) -> str:
    return f"{place.network} on {study.devices[place.device].label}"


def _always(study: Study, place: Place) -> bool:
    return True


def _nothing(study: Study, place: Place) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Figure:
    """A figure of every data set, dial, or dial on a device: what it shows, where that lies, what it says."""

    name: str
    of: Literal["dataset", "network", "device"]
    caption: str
    inputs: Callable[[Study, Place], Files]
    colours: tuple[str, ...] = ()
    """The colours of the configuration that it uses; another one changes nothing."""
    title: Callable[[Study, Place], str] = _data_set
    settings: Callable[[Study, Place], dict[str, Any]] = _nothing
    """What else its module wants to know, as plain values."""
    drawn: Callable[[Study, Place], bool] = _always
    """Whether there is such a figure of a place."""

    @property
    def wildcards(self) -> tuple[str, ...]:
        """What tells the figures of this name apart."""
        return ("dataset", "network", "device")[: {"dataset": 1, "network": 2, "device": 3}[self.of]]

    @property
    def pattern(self) -> Place:
        """Where rules place it: with wildcards instead of names."""
        return Place("{experiment}", **{name: f"{{{name}}}" for name in self.wildcards})


def _trained(name: str) -> Callable[[Study, Place], Files]:
    """A file of the deployed seed."""
    return lambda study, place: {
        name.partition(".")[0]: place.seed(study.experiment.deploy.seed, name),
    }


def _accuracies_of_dials(study: Study, place: Place) -> Files:
    names = study.experiment.names("dial")
    return {"accuracies": [Place(place.experiment, place.dataset, name).table("accuracies") for name in names]}


def _skipping_tables(study: Study, place: Place) -> dict[str, tuple[str, str, int]]:
    experiment = study.experiment
    roles = {place.network: "dial"} | dict.fromkeys(controls(experiment, place.network), "control")
    return {
        path: (name, role, seed)
        for name, role in roles.items()
        for seed in experiment.seeds
        for path in (
            *of_seeds(place, [name], [seed], "masks.parquet"),
            *sampled_masks(experiment, place, [name], [seed]),
        )
    }


def _skipping_runs(study: Study, place: Place) -> list[tuple[str, str, int]]:
    return list(_skipping_tables(study, place).values())


def _skipping(study: Study, place: Place) -> Files:
    return {"masks": list(_skipping_tables(study, place))}


def _cloud(study: Study, place: Place) -> Files:
    experiment, seed = study.experiment, study.experiment.deploy.seed
    return {
        "masks": place.seed(seed, "masks.parquet"),
        "configurations": place.seed(seed, "configurations.json"),
        "statics": of_seeds(place, experiment.names("static"), [seed], "configurations.json"),
    }


def _searches(study: Study, place: Place) -> Files:
    seed = study.experiment.deploy.seed
    return {"search": place.seed(seed, "search.parquet"), "fronts": place.seed(seed, "search_fronts.parquet")}


def _replayed(*names: str) -> Callable[[Study, Place], Files]:
    return lambda study, place: {name: place.stage("replay", f"{name}.parquet") for name in names}


FIGURES = (
    Figure(
        "equal",
        "network",
        "Test accuracy at equal MACs. Lines: the mask that is most accurate on the validation split at no "
        "more than each budget, of the dial and of the network of constant "
        "depth; bands span the seeds. Diamonds: the static networks. Squares: the full networks as trained. "
        "Bars: 95 % intervals over the seeds; of one seed over the test images (Wilson's).",
        lambda study, place: {"accuracies": place.table("accuracies")},
        ("dial", "control", "static"),
        settings=lambda study, place: {"network": place.network},
    ),
    Figure(
        "skipping",
        "network",
        "Accuracy on the validation split against the number of skipped blocks, over all masks with so many "
        "blocks skipped; of a network too deep for that, over those that a search asked for or that were drawn at "
        "random. Lines are means over the seeds, bands span the seeds. Left the dial, "
        "right the same network trained with constant depth: the wider the gap between best"
        " and worst, the more it matters which blocks are skipped.",
        _skipping,
        ("dial", "control"),
        settings=lambda study, place: {"runs": _skipping_runs(study, place)},
    ),
    Figure(
        "cloud",
        "network",
        "Every mask of the network, its cost and its validation accuracy. The stepped line is the Pareto "
        "front; c00 is the full network, c01 and on are the configurations chosen for deployment. Diamonds "
        "are the smaller networks that one would deploy instead. Bars are 95 % Wilson intervals.",
        _cloud,
        ("dial", "static", "neutral"),
    ),
    Figure(
        "ablation",
        "network",
        "How a kept block's branch is scaled at inference (by its survival probability, not at all, or by the"
        " inverse), and whether the BatchNorm statistics are recalibrated for each mask: the same masks under"
        " all six rules.",
        _trained("ablation.parquet"),
        ("dial", "control", "static"),
        title=_dial,
    ),
    Figure(
        "searches",
        "network",
        "What each search strategy finds of the true front for the block evaluations that it spends (left; "
        "bands span the search seeds), and the fronts at the end of the budget beside the truth, which comes "
        "from evaluating every mask (right). Of a network too deep for that, the best front of all strategies together "
        "stands for it.",
        _searches,
        ("neutral",),
        title=_dial,
        drawn=lambda study, place: study.experiment.searches_compared(place.network),
    ),
    Figure(
        "recipes",
        "dataset",
        "Dials of the same shape that were trained differently: test accuracy of the mask that is most "
        "accurate on the validation split at no more than each budget of MACs. Bands span the seeds.",
        _accuracies_of_dials,
        settings=lambda study, place: {"shapes": dials_alike(study.experiment)},
        drawn=lambda study, place: bool(dials_alike(study.experiment)),
    ),
    Figure(
        "dial",
        "device",
        "Test accuracy against measured latency. The line is the dial: one network, a point for each configuration. "
        "Diamonds are the static networks that one would deploy instead, the square is the same network trained with "
        "constant depth. Bars are 95 % intervals of each by itself: paired differences are narrower.",
        lambda study, place: {name: place.table(name) for name in ("configurations", "equal_time")},
        ("dial", "control", "static"),
        settings=lambda study, place: {
            "network": place.network,
            "constant": control_of(study.experiment, place.network),
        },
    ),
    Figure(
        "latency",
        "device",
        "What the configurations cost on the device and what they reach on the test split, which was read "
        "once, for these configurations. Bars are 95 % intervals: bootstrap for the median latency, Wilson "
        "for the accuracy.",
        lambda study, place: {"configurations": place.table("configurations")},
        ("dial", "static"),
        settings=lambda study, place: {"network": place.network, "device": place.device},
    ),
    Figure(
        "schedule",
        "device",
        "The schedule: which configuration answers under which conditions. Brighter cells cost more; hatched "
        "ones ask for a deadline that no configuration meets and get the fastest. What is rare may be costly "
        "within the budget, so a frequent condition can get a cheaper configuration than a rare one beside "
        "it.",
        _replayed("cells"),
        title=_device,
    ),
    Figure(
        "curve",
        "device",
        "What keeping more configurations loaded would buy: fewer missed inputs come first, then budgets that"
        " are kept, then accuracy, on the validation split by which the schedule chooses. It can fall from one K"
        " to the next where a budget is kept that fewer configurations had to exceed. The ring marks what is shipped.",
        _replayed("curve"),
        ("dial",),
        title=_device,
    ),
    Figure(
        "trace",
        "device",
        "One held-out day: the deadline asked for, the configuration that the schedule chose, the charge left"
        " and the correct inferences so far, beside the full network alone and a clairvoyant oracle.",
        _replayed("steps", "summary"),
        ("dial", "control", "oracle", "neutral", "static"),
        title=_device,
        settings=lambda study, place: {"trace": study.experiment.figures.trace},
    ),
    Figure(
        "policies",
        "device",
        "All policies on the held-out traces. They choose by validation accuracy; what they reach is on the test split."
        " Left: how many inferences a charge gives, and at what accuracy."
        " Right: the share of all inputs that was answered correctly and in time; lines span the traces.",
        _replayed("summary"),
        ("dial", "control", "static", "oracle", "neutral"),
        title=_device,
    ),
)
"""In the order of the report."""
CAPTIONS = {figure.name: figure.caption for figure in FIGURES}


def figures_of(study: Study, place: Place) -> list[str]:
    """Names of the figures of a data set, of a dial, or of a dial on a device."""
    of = "device" if place.device else "network" if place.network else "dataset"
    return [figure.name for figure in FIGURES if figure.of == of and figure.drawn(study, place)]


def all_places(study: Study) -> list[Place]:
    """Everything that there are figures of: dials, then dials on devices, then data sets."""
    experiment = study.experiment
    return [
        *dials(experiment),
        *dials_on_devices(experiment, study.devices),
        *(Place(experiment.experiment, dataset.name) for dataset in experiment.datasets),
    ]


def figure_files(study: Study, places: list[Place], *suffixes: str) -> list[str]:
    """The files of all figures of some places, in their order."""
    return [place.figure(name, suffix) for place in places for name in figures_of(study, place) for suffix in suffixes]


def style_of(study: Study, figure: Figure) -> dict[str, Any]:
    """The settings of a picture: its size, its resolution and the colours that it uses, no others."""
    settings = study.experiment.figures
    return {
        "colours": {name: getattr(settings, name) for name in figure.colours},
        "width_mm": settings.width_mm,
        "dots_per_inch": settings.dots_per_inch,
    }
