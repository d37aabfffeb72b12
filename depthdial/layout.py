"""Where results lie: paths hold identities (data set, network, seed, device, configuration), never settings.

Names and wildcards are alike here: ``Place("{experiment}", "{dataset}")`` answers the patterns that rules are made of.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from depthdial.config.experiment import Experiment
from depthdial.config.study import Study
from depthdial.networks.configurations import slot_names

ROOT = "results"


@dataclass(frozen=True)
class Place:
    """An experiment; a data set, a network and a device in it, as far as they are named."""

    experiment: str
    dataset: str = ""
    network: str = ""
    device: str = ""

    @property
    def folder(self) -> str:
        """The folder of the network, of the data set, or of the whole experiment."""
        return _joined(ROOT, self.experiment, self.dataset, self.network)

    @property
    def images(self) -> str:
        """The split images of the data set."""
        return f"{_joined(ROOT, self.experiment, self.dataset)}/images.safetensors"

    @property
    def description(self) -> str:
        """What the network is for the images of the data set."""
        return f"{self.folder}/network.json"

    def seed(self, seed: int | str, name: str = "") -> str:
        """The folder of the network as one seed trained it, or a file in it."""
        return _joined(self.folder, f"seed{seed}", name)

    def stage(self, stage: str, name: str = "") -> str:
        """The folder of what a stage made of the network on the device, or a file in it."""
        return _joined(self.folder, stage, self.device, name)

    def table(self, name: str, suffix: str = "csv") -> str:
        """A comparison table of what is named: of the experiment, the data set, the network or the device."""
        return _joined(ROOT, self.experiment, "tables", self.dataset, self.network, self.device, f"{name}.{suffix}")

    def figure(self, name: str, suffix: str) -> str:
        """A figure of what is named, as ``svg``, ``png`` or its data (``csv``)."""
        return _joined(ROOT, self.experiment, "figures", self.dataset, self.network, self.device, f"{name}.{suffix}")


def _joined(*parts: str) -> str:
    return "/".join(part for part in parts if part)


def dials(experiment: Experiment) -> list[Place]:
    """Every dial on every data set, in the order of the configuration."""
    return [
        Place(experiment.experiment, dataset.name, network)
        for dataset in experiment.datasets
        for network in experiment.names("dial")
    ]


def dials_on_devices(experiment: Experiment, devices: Iterable[str]) -> list[Place]:
    """Every dial on every data set and device, in the order of the configuration."""
    names = list(devices)
    return [Place(p.experiment, p.dataset, p.network, device) for p in dials(experiment) for device in names]


def of_seeds(place: Place, networks: Iterable[str], seeds: Iterable[int | str], *names: str) -> list[str]:
    """Files of networks on the data set of ``place``: the first name for all networks and seeds, then the next."""
    folders = [
        Place(place.experiment, place.dataset, network).seed(seed) for network in list(networks) for seed in list(seeds)
    ]
    return [f"{folder}/{name}" for name in names for folder in folders]


def of_all_networks(experiment: Experiment, name: str, *roles: str) -> list[str]:
    """A file of every data set, network of the given roles (all networks without any) and seed."""
    return [
        path
        for dataset in experiment.datasets
        for path in of_seeds(
            Place(experiment.experiment, dataset.name), experiment.names(*roles), experiment.seeds, name
        )
    ]


def descriptions(place: Place, networks: Iterable[str]) -> list[str]:
    """What networks are for the images of the data set."""
    return [Place(place.experiment, place.dataset, network).description for network in networks]


def begins(experiment: Experiment, place: Place, seed: int | str) -> list[str]:
    """What a network begins with: a file of weights, or weights and history of another network of the experiment."""
    earlier = experiment.begins_with(place.network)
    if earlier is None:
        return experiment.network(place.network).weights_file
    return of_seeds(place, [earlier], [seed], "weights.safetensors", "history.csv")


def ablation(experiment: Experiment, place: Place, seed: int | str) -> list[str]:
    """What says which BatchNorm statistics the masks of a network get, where the settings do not."""
    return [place.seed(seed, "ablation.parquet")] if experiment.recalibration(place.network) is None else []


def mask_shards(experiment: Experiment, place: Place, seed: int | str, units: int) -> list[str]:
    """The shards of all masks of a network of so many units; of too many, those of all generations of its search."""
    network = experiment.network(place.network)
    shards = range(experiment.evaluate.shards if network.searched else 1)
    if not network.searched or units <= experiment.search.exhaustive_blocks:
        return [place.seed(seed, f"masks/shard{shard}.parquet") for shard in shards]
    generations = range(experiment.search.generations)
    return [place.seed(seed, f"search/generation{g}/shard{s}.parquet") for g in generations for s in shards]


def earlier_shards(experiment: Experiment, place: Place, seed: int | str, generation: int) -> list[str]:
    """The shards of all generations of a search before ``generation``."""
    shards = range(experiment.evaluate.shards)
    return [place.seed(seed, f"search/generation{g}/shard{s}.parquet") for g in range(generation) for s in shards]


def search_runs(experiment: Experiment, place: Place, seed: int | str) -> list[str]:
    """The shards of the searches that are compared on a network too deep to know the truth."""
    return [place.seed(seed, f"searches/shard{shard}.parquet") for shard in range(experiment.evaluate.shards)]


def sampled_masks(experiment: Experiment, place: Place, networks: Iterable[str], seeds: Iterable[int]) -> list[str]:
    """The shards of random masks of those of the networks that are too deep to evaluate all, if there are to be any."""
    deep = [network for network in networks if experiment.compare.skipped and experiment.too_deep(network)]
    shards = range(experiment.evaluate.shards)
    return of_seeds(place, deep, seeds, *(f"samples/shard{shard}.parquet" for shard in shards))


def finetuned(experiment: Experiment, network: str) -> bool:
    """Whether a network is trained further on its configurations before it is deployed."""
    return experiment.finetune is not None and experiment.network(network).role == "dial"


def deployed_weights(experiment: Experiment, place: Place, seed: int | str) -> str:
    """The weights of a network's configurations: a dial's may be fine-tuned on them."""
    return place.seed(seed, f"{'finetuned' if finetuned(experiment, place.network) else 'weights'}.safetensors")


def deployed_configurations(experiment: Experiment, place: Place, seed: int | str) -> str:
    """The configurations of a network, with the validation accuracies of the weights that are deployed."""
    return place.seed(seed, f"{'finetuned' if finetuned(experiment, place.network) else 'configurations'}.json")


def tuning_device(study: Study, target: str) -> str | None:
    """The device on which a target is tuned, the first that runs it; None if it is not tuned."""
    devices = [device.name for device in study.devices.values() if device.target == target]
    return devices[0] if devices and study.experiment.deploy.tune == "device" else None


def tuning(study: Study, place: Place, seed: int | str, target: str) -> list[str]:
    """What says how loops are cut, where that is measured."""
    return [place.seed(seed, f"tuned/{target}.json")] if tuning_device(study, target) else []


def compiled(experiment: Experiment, place: Place, seed: int | str, target: str) -> list[str]:
    """The compiled configurations of a network: a dial has several, a static network is one."""
    several = experiment.network(place.network).role == "dial"
    names = slot_names(experiment.select.configurations if several else 1)
    return [place.seed(seed, f"compiled/{target}/{name}.vmfb") for name in names]


def bundles(experiment: Experiment, place: Place, target: str, networks: Iterable[str]) -> list[str]:
    """The bundles of networks, as the deployed seed trained them, for a target."""
    return of_seeds(place, networks, [experiment.deploy.seed], f"bundle/{target}")


def cost_models(experiment: Experiment, places: Iterable[Place]) -> list[str]:
    """The models of the device whose latency is traded against accuracy, of the dials in ``places``; none for MACs."""
    device = experiment.select.cost
    traded = [p for p in places if device != "macs" and experiment.network(p.network).role == "dial"]
    return [Place(p.experiment, p.dataset, p.network, device).stage("cost", "model.json") for p in traded]


def comparison_tables(experiment: Experiment, devices: Iterable[str], places: Iterable[Place]) -> list[str]:
    """The comparison tables of dials, those on each device included."""
    names = list(devices)
    return [path for place in places for path in _tables_of(experiment, names, place)]


def _tables_of(experiment: Experiment, devices: list[str], place: Place) -> list[str]:
    names = ["equal_macs", "skipping", "training"]
    if experiment.searches_compared(place.network):
        names.append("rankings")
    on_devices = [Place(place.experiment, place.dataset, place.network, device) for device in devices]
    return [
        *(place.table(name) for name in names),
        *(on.table(name) for on in on_devices for name in ("equal_time", "configurations")),
    ]
