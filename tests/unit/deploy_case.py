"""A small network, deployed for this machine: what tests of deployment share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target
from depthdial.data.images import Split, save_images
from depthdial.deploy.bundle import link
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.export import export, shared_tensors
from depthdial.deploy.graph.nodes import Graph, read_graph
from depthdial.deploy.manifest import GRAPH, Manifest
from depthdial.networks.build import dial
from depthdial.networks.configurations import Configuration, ConfigurationSet, slot_names, write_configurations
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.networks.weights import save_statistics, save_weights

ARCH = Architecture(depth=8, width=4, in_channels=3, image_size=8, classes=5)
HOST = Target(triple="x86_64-unknown-linux-gnu", cpu="host")


def graph_of(arch: Architecture) -> Graph:
    """What the full network of an architecture computes."""
    return shared_tensors(random_network(arch))[0]


def random_network(arch: Architecture = ARCH, seed: int = 0) -> Dial:
    """A network whose BatchNorm has statistics of its own, as after training."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = dial(arch.describe(), [1 - 0.5 * (i + 1) / arch.n_blocks for i in range(arch.n_blocks)]).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            with torch.no_grad():
                module.weight.copy_(torch.rand(module.num_features, generator=generator) * 0.5 + 0.5)
                module.bias.copy_(torch.randn(module.num_features, generator=generator) * 0.2)
            module.running_mean.copy_(torch.randn(module.num_features, generator=generator) * 0.3)
            module.running_var.copy_(torch.rand(module.num_features, generator=generator) + 0.5)
    return net


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Case:
    """Files of a trained network with configurations ``masks``, in a folder."""

    def __init__(self, folder: Path, masks: list[str], arch: Architecture = ARCH, scaling: str = "survival") -> None:
        self.folder, self.arch, self.net = folder, arch, random_network(arch)
        self.masks = dict(zip(slot_names(len(masks)), masks, strict=True))
        rng = np.random.default_rng(1)
        shape = (6, arch.in_channels, arch.image_size, arch.image_size)
        split = Split(rng.integers(0, 256, shape, dtype=np.uint8), np.arange(6) % arch.classes)
        names = [f"class{i}" for i in range(arch.classes)]
        self.images, self.weights = folder / "images.safetensors", folder / "weights.safetensors"
        save_images(self.images, "noise", names, {"train": split, "validation": split, "test": split})
        save_weights(self.weights, self.net, {})
        self.configurations, self.batchnorm = folder / "configurations.json", folder / "batchnorm.safetensors"
        rows = tuple(
            Configuration(
                name=name,
                mask=mask,
                macs=arch.describe().macs(Mask(mask)),
                on_front=True,
                validation_accuracy=0.5,
                validation_low=0.4,
                validation_high=0.6,
            )
            for name, mask in self.masks.items()
        )
        chosen = ConfigurationSet(
            dataset="noise", network="net", seed=0, scaling=scaling, recalibrated=True, configurations=rows
        )
        write_configurations(self.configurations, chosen)
        save_statistics(self.batchnorm, self.statistics())

    def statistics(self) -> dict[str, dict[str, torch.Tensor]]:
        """Statistics of every configuration, each a little off the parent's."""
        found: dict[str, dict[str, torch.Tensor]] = {}
        for index, (name, mask) in enumerate(self.masks.items()):
            for key, value in self.net.state_dict().items():
                kept = not key.startswith("blocks.") or mask[int(key.split(".")[1])] == "1"
                if key.endswith(("running_mean", "running_var")) and kept:
                    found.setdefault(name, {})[key] = value * (1 + 0.1 * index)
        return found

    def export(self) -> Path:
        """Write the exported folder."""
        settings, folder = Deploy(), self.folder / "exported"
        export(self.weights, self.batchnorm, self.configurations, self.images, settings, folder)
        return folder

    def graph(self) -> Graph:
        """What it computes."""
        exported = self.folder / "exported"
        return read_graph((exported if exported.exists() else self.export()) / GRAPH)

    def compile(self, target: Target, name: str = "host") -> dict[str, Path]:
        """Compile every configuration; modules by configuration."""
        graph, modules = self.graph(), {}
        for configuration, mask in self.masks.items():
            path = self.folder / name / f"{configuration}.vmfb"
            compile_configuration(
                graph,
                Mask(mask),
                target,
                names=("net", configuration, name),
                output=path,
                side_file=path.with_suffix(".json"),
                log_path=path.with_suffix(".log"),
            )
            modules[configuration] = path
        return modules

    def bundle(self, target: Target, tool: list[str] | None, name: str = "host") -> tuple[Path, Manifest]:
        """Export, compile, check and link."""
        folder = self.folder / "bundle" / name
        exported, modules = self.export(), self.compile(target, name)
        return folder, link(exported, modules, self.configurations, self.images, Deploy(), folder, tool=tool)
