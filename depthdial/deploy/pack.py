"""What a product ships: the configurations that it uses as functions of one module, over one copy of the weights.

Configurations are compiled and measured apart, so that a failure is of one and a device can be asked what each takes.
Together they are smaller and share code: equal layers of different configurations are one kernel.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthdial.config.targets import Target
from depthdial.deploy.archive import read_archive, write_archive
from depthdial.deploy.compile import Compiler, compiled_for
from depthdial.deploy.gate import check_bundle
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import CompiledFor, Manifest, read_manifest, write_manifest
from depthdial.errors import ArtefactError
from depthdial.files import atomic_folder, sha256_file
from depthdial.networks.masks import Mask

StrPath = str | os.PathLike[str]
MODULE = "configurations.vmfb"
BATCHNORM = "batchnorm.irpa"


def pack(
    bundle: StrPath,
    names: Sequence[str],
    target: Target,
    folder: StrPath,
    *,
    log_path: StrPath,
    tool: Sequence[str] | None = None,
    schedule: Mapping[str, StrPath] | None = None,
) -> Manifest:
    """Put the configurations ``names`` of a bundle into ``folder`` as one module, with the files of a schedule.

    ``schedule`` are these files by the name that they get; the first is the one that the manifest names. ``target``
    is the one that the bundle was compiled for. With ``tool``, the command of iree-run-module for it, every
    configuration passes the numerics gate again before the folder appears; without, the manifest says that none did:
    their code is compiled anew. Raises ArtefactError for a bundle that is damaged, or of another target or release;
    DeployError if the compiler or the gate fails.
    """
    whole, source = read_manifest(bundle), Path(bundle)
    about = f"{whole.network}, configurations {', '.join(names)} in one module, target {whole.target.name}"
    _require_same(whole.target, target, bundle)
    masks = {name: Mask(whole.named(name).mask) for name in names}
    graph = read_graph(source / whole.graph)
    module = Compiler(about, Path(log_path)).module(graph, masks, target, whole.target.tuned)
    with atomic_folder(folder) as temporary:
        (temporary / MODULE).write_bytes(module)
        archives = [read_archive(source / whole.named(name).batchnorm) for name in names]
        write_archive(temporary / BATCHNORM, {key: value for one in archives for key, value in one.items()})
        expected = [path for name in names for path in whole.named(name).expected]
        (temporary / "gate").mkdir()
        for path in (whole.weights, whole.description, whole.graph, *whole.gate.inputs, *expected):
            shutil.copyfile(source / path, temporary / path)
        for name, given in (schedule or {}).items():
            shutil.copyfile(given, temporary / name)
        manifest = _manifest(whole, names, next(iter(schedule or {}), None), temporary, gated=tool is not None)
        write_manifest(temporary, manifest)
        check_bundle(temporary, manifest, tool)
    return manifest


def _require_same(then: CompiledFor, target: Target, bundle: StrPath) -> None:
    """Raises ArtefactError unless what is compiled here and now would be what the bundle holds."""
    old, now = then.model_dump(), compiled_for(then.name, target, then.tuned).model_dump()
    if changed := [f"\n  {key} was {old[key]}, is {now[key]}" for key in now if old[key] != now[key]]:
        about = f"{bundle}: target {then.name} is not what it was when this was compiled; compile again"
        raise ArtefactError(about + "".join(changed))


def _manifest(whole: Manifest, names: Sequence[str], schedule: str | None, folder: Path, gated: bool) -> Manifest:
    shared = {"module": MODULE, "batchnorm": BATCHNORM}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return whole.model_copy(
        update={
            "configurations": tuple(whole.named(name).model_copy(update=shared) for name in names),
            "gated": gated,
            "schedule": schedule,
            "files": {path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
        }
    )
