"""What the page of results holds: its tables, each with the networks in it and the figures below it."""

from __future__ import annotations

from typing import Any

from depthdial.compare.design import control_of
from depthdial.config.study import Study
from depthdial.figures.catalogue import figures_of
from depthdial.layout import Place, dials, dials_on_devices

ContentsOfTable = dict[str, Any]
"""heading, CSV (``path``), networks in it (``names``), ``figures``; of a device also its
label (``device``) and what was measured (``records``)."""


def dial_tables(study: Study, dial: Place) -> list[ContentsOfTable]:
    """The tables of one dial, in the order of the page."""
    experiment = study.experiment
    compared = [dial.network, *control_of(experiment, dial.network)]
    everything = [*compared, *experiment.names("static")]
    tables = [_table("at equal MACs", dial, "equal_macs", everything, "equal")]
    for name, device in study.devices.items():
        place = Place(dial.experiment, dial.dataset, dial.network, name)
        heading = f"At equal time on {device.label}"
        tables.append(
            _table(heading, place, "equal_time", everything, "latency")
            | {"device": device.label, "records": place.stage("bench", "records.jsonl")}
        )
    tables.append(_table("Skipping blocks", dial, "skipping", compared, "skipping"))
    if experiment.searches_compared(dial.network):
        tables.append(_table("Rankings of blocks", dial, "rankings", [dial.network], "searches"))
    trained = [_table("Training time", dial, "training", everything)] if _trained(study, everything) else []
    return tables + trained


def dial_parts(study: Study) -> list[dict[str, Any]]:
    """The parts of the report that speak of a dial: title, names of its figures, tables."""
    return [
        {"title": _title(study, dial), "figures": figures_of(study, dial), "tables": dial_tables(study, dial)}
        for dial in dials(study.experiment)
    ]


def device_parts(study: Study) -> list[dict[str, Any]]:
    """The parts of the report that speak of a dial on a device: title, network, device, whether
    the data set is an easy one to try things with, names of the figures."""
    return [
        {
            "title": f"{_title(study, place)}, on {study.devices[place.device].label}",
            "network": place.network,
            "device": place.device,
            "easy": study.experiment.dataset(place.dataset).source == "digits",
            "figures": figures_of(study, place),
        }
        for place in dials_on_devices(study.experiment, study.devices)
    ]


def worths(study: Study) -> list[dict[str, str]]:
    """What the first paragraph of the results says of each dial on the first device: title, network and tables."""
    name, device = next(iter(study.devices.items()))
    return [
        {
            "title": _title(study, dial),
            "network": dial.network,
            "device": device.label,
            "recipes": Place(dial.experiment, dial.dataset).table("recipes"),
            "equal_macs": dial.table("equal_macs"),
            "training": dial.table("training"),
            "equal_time": Place(dial.experiment, dial.dataset, dial.network, name).table("equal_time"),
            "configurations": Place(dial.experiment, dial.dataset, dial.network, name).table("configurations"),
        }
        for dial in dials(study.experiment)
    ]


def _title(study: Study, dial: Place) -> str:
    return f"{dial.network} on {study.experiment.dataset(dial.dataset).label}"


def recipe_tables(study: Study) -> list[ContentsOfTable]:
    """The tables of training recipes, one for each data set; none where no dial is trained."""
    experiment = study.experiment
    if not _trained(study, experiment.names("dial")):
        return []
    places = [Place(experiment.experiment, dataset.name) for dataset in experiment.datasets]
    return [
        _table(
            f"Training recipes on {experiment.dataset(place.dataset).label}",
            place,
            "recipes",
            experiment.names("dial"),
            *figures_of(study, place),
        )
        for place in places
    ]


def _trained(study: Study, names: list[str]) -> bool:
    return not all(study.experiment.network(name).adopted for name in names)


def _table(heading: str, place: Place, name: str, networks: list[str], *figures: str) -> ContentsOfTable:
    return {
        "heading": heading,
        "path": place.table(name),
        "names": networks,
        "figures": [place.figure(figure, "png") for figure in figures],
    }


def of_the_paper(study: Study) -> bool:
    """Whether any dial is of the paper's family of networks, so that its claims can be put to it."""
    dials = [network for network in study.experiment.networks if network.role == "dial"]
    return any(network.family == "he_resnet" for network in dials)
