"""Bundles of networks with random weights: arithmetic and memory do not depend on what was learnt."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target, load_targets
from depthdial.data.images import Split, save_images
from depthdial.deploy.bundle import link
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.export import export
from depthdial.deploy.gate import run_tool
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import GRAPH
from depthdial.deploy.pack import pack
from depthdial.networks.configurations import Configuration, ConfigurationSet, slot_names, write_configurations
from depthdial.networks.description import Description
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask

ROOT = Path(__file__).resolve().parents[1]


def target_here(name: str) -> Target:
    """A target of targets.yaml, for as many cores as this machine has."""
    return load_targets(ROOT / "config" / "targets.yaml")[name].model_copy(update={"cores": os.cpu_count()})


def he(depth: int) -> Description:
    """The CIFAR-10 network of this depth."""
    return Architecture(depth, 16, 3, 32, 10).describe()


def random_network(folder: Path, network: Description, masks: list[Mask]) -> None:
    """What the workflow would have left in ``folder`` for a network with these configurations."""
    import torch

    from depthdial.networks.build import dial
    from depthdial.networks.weights import save_weights

    torch.manual_seed(0)
    net = dial(network).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (4, *network.input_shape), dtype=np.uint8)
    split = Split(pixels, np.zeros(4, np.int64))
    classes = [f"class{index}" for index in range(network.classes)]
    save_images(folder / "images.safetensors", "noise", classes, {"train": split, "validation": split, "test": split})
    save_weights(folder / "weights.safetensors", net, {})
    rows = tuple(
        Configuration(
            name=name,
            mask=str(mask),
            macs=network.macs(mask),
            on_front=True,
            validation_accuracy=0,
            validation_low=0,
            validation_high=0,
        )
        for name, mask in zip(slot_names(len(masks)), masks, strict=True)
    )
    chosen = ConfigurationSet(
        dataset="noise",
        network="network",
        seed=0,
        scaling="none",
        recalibrated=False,
        configurations=rows,
    )
    write_configurations(folder / "configurations.json", chosen)


def make_bundle(folder: Path, network: Description, masks: list[Mask], name: str = "host") -> Path:
    """Export, compile for the target ``name`` as the workflow would, check and link."""
    folder.mkdir(parents=True)
    random_network(folder, network, masks)
    target = target_here(name)
    files = {name: folder / f"{name}.safetensors" for name in ("weights", "images")}
    configurations, settings = folder / "configurations.json", Deploy()
    export(files["weights"], None, configurations, files["images"], settings, folder / "exported")
    modules, graph = {}, read_graph(folder / "exported" / GRAPH)
    for slot, mask in zip(slot_names(len(masks)), masks, strict=True):
        modules[slot] = folder / "modules" / f"{slot}.vmfb"
        compile_configuration(
            graph,
            mask,
            target,
            names=(folder.name, slot, name),
            output=modules[slot],
            side_file=modules[slot].with_suffix(".json"),
            log_path=modules[slot].with_suffix(".log"),
        )
    tool = run_tool(target, folder / "cache")
    bundle = folder / "bundle"
    link(folder / "exported", modules, configurations, files["images"], settings, bundle, tool=tool)
    return bundle


def skipping(network: Description, count: int) -> list[Mask]:
    """``count`` masks: the full network, and on to one that keeps the first unit of each stage, evenly apart."""
    units = network.units
    first = {unit.index for unit in units if unit.index == 0 or unit.stage != units[unit.index - 1].stage}
    others = [unit.index for unit in units if unit.index not in first]
    order = np.random.default_rng(1).permutation(others).tolist()
    steps = max(1, count - 1)
    return [
        Mask.from_kept(network.n_units, first | set(order[: round(len(order) * (steps - step) / steps)]))
        for step in range(count)
    ]


def make_packed(folder: Path, count: int, name: str = "host") -> Path:
    """The first ``count`` configurations of a bundle packed as for a product."""
    target = target_here(name)
    packed = folder / f"packed{count}"
    names, log = slot_names(count), folder / f"packed{count}.log"
    pack(folder / "bundle", names, target, packed, log_path=log, tool=run_tool(target, folder / "cache"))
    return packed
