"""Link what was exported and compiled into a bundle: the folder that goes to a device."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthdial.artefacts import read_json, read_record
from depthdial.config.deploy import Deploy
from depthdial.data.images import load_info
from depthdial.deploy.compile import Compiled
from depthdial.deploy.gate import check_bundle
from depthdial.deploy.graph.nodes import Graph, read_graph
from depthdial.deploy.manifest import (
    DESCRIPTION,
    GRAPH,
    BundledConfiguration,
    Gate,
    Input,
    Manifest,
    write_manifest,
)
from depthdial.errors import ArtefactError
from depthdial.files import DIGESTS, atomic_folder, digests, sha256_file
from depthdial.networks.configurations import Configuration, ConfigurationSet, read_configurations

StrPath = str | os.PathLike[str]


def link(
    exported: StrPath,
    modules: Mapping[str, StrPath],
    configurations: StrPath,
    images: StrPath,
    settings: Deploy,
    folder: StrPath,
    *,
    tool: Sequence[str] | None = None,
) -> Manifest:
    """Put a bundle together in ``folder`` from ``modules`` (side files beside them), by configuration.

    With ``tool``, the command of iree-run-module for the target, every configuration passes the numerics
    gate before the bundle appears; without, the manifest says that none did. Raises ArtefactError for parts
    that do not fit each other and DeployError that names all configurations that fail the gate.
    """
    chosen = read_configurations(configurations)
    compiled = _read_side_files(chosen, modules)
    with atomic_folder(folder) as temporary:
        # Snakemake leaves a hidden time stamp in folders that it manages; it is no part of the bundle.
        shutil.copytree(exported, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*"))
        _check_exported(temporary, exported)
        _check_graph(read_graph(temporary / GRAPH), compiled, exported)
        (temporary / "modules").mkdir()
        for name, path in modules.items():
            shutil.copyfile(path, temporary / _module(name))
        manifest = _manifest(chosen, compiled[0], images, settings, temporary, gated=tool is not None)
        write_manifest(temporary, manifest)
        check_bundle(temporary, manifest, tool)
    return manifest


def _check_exported(copied: Path, exported: StrPath) -> None:
    """Raise ArtefactError unless what was copied is what ``export`` wrote; its list of digests stays behind."""
    written = read_json(copied / DIGESTS, "export again")
    (copied / DIGESTS).unlink()
    found = digests(copied)
    if changed := sorted(name for name in {*written, *found} if written.get(name) != found.get(name)):
        raise ArtefactError(f"{exported}: not as it was exported: {', '.join(changed[:8])}; delete it and run again")


def _read_side_files(chosen: ConfigurationSet, modules: Mapping[str, StrPath]) -> list[Compiled]:
    """What is said of the modules, once they are those of the configurations. Raises ArtefactError otherwise."""
    names = [configuration.name for configuration in chosen.configurations]
    if sorted(modules) != sorted(names):
        raise ArtefactError(f"modules are of {', '.join(sorted(modules))}; configurations are {', '.join(names)}")
    found = []
    for configuration in chosen.configurations:
        path = Path(modules[configuration.name])
        compiled = read_record(path.with_suffix(".json"), Compiled, "the side file of a module")
        if compiled.mask != configuration.mask:
            raise ArtefactError(
                f"{path}: compiled for mask {compiled.mask}, {configuration.name} is {configuration.mask}"
            )
        if sha256_file(path) != compiled.module_sha256:
            raise ArtefactError(f"{path}: changed since it was compiled; compile again")
        found.append(compiled)
    if any(one.target != found[0].target for one in found):
        raise ArtefactError(f"{chosen.network}: modules of different targets; compile again")
    return found


def _check_graph(graph: Graph, compiled: Sequence[Compiled], exported: StrPath) -> None:
    """Raise ArtefactError unless all modules are of the graph that was exported."""
    if wrong := [one.configuration for one in compiled if one.graph_sha256 != graph.sha256]:
        raise ArtefactError(f"{exported}: {', '.join(wrong)} were compiled from another graph; compile again")


def _module(name: str) -> str:
    return f"modules/{name}.vmfb"


def _manifest(
    chosen: ConfigurationSet,
    compiled: Compiled,
    images: StrPath,
    settings: Deploy,
    folder: Path,
    gated: bool,
) -> Manifest:
    info = load_info(images)
    gate = Gate(
        inputs=tuple(f"gate/input{index}.npy" for index in range(settings.gate_images)),
        absolute=settings.tolerance_absolute,
        relative=settings.tolerance_relative,
    )
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return Manifest(
        dataset=chosen.dataset,
        network=chosen.network,
        seed=chosen.seed,
        description=DESCRIPTION,
        graph=GRAPH,
        scaling=chosen.scaling,
        recalibrated=bool(chosen.recalibrated),
        target=compiled.target,
        input=Input(
            shape=(1, *info.shape),
            mean=info.mean,
            deviation=info.deviation,
            classes=info.classes,
            reading=info.reading,
        ),
        weights="weights.irpa",
        gate=gate,
        gated=gated,
        configurations=tuple(_bundled(one, gate) for one in chosen.configurations),
        files={path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
    )


def _bundled(configuration: Configuration, gate: Gate) -> BundledConfiguration:
    name = configuration.name
    return BundledConfiguration(
        name=name,
        mask=configuration.mask,
        macs=configuration.macs,
        on_front=configuration.on_front,
        validation_accuracy=configuration.validation_accuracy,
        module=_module(name),
        batchnorm=f"batchnorm/{name}.irpa",
        expected=tuple(f"gate/{name}.{index}.npy" for index in range(len(gate.inputs))),
    )
