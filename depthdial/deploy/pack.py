"""What a product ships: the configurations that it uses as functions of one module, over one copy of the weights.

Configurations are compiled and measured apart, so that a failure is of one and a device can be asked what each takes.
Together they are smaller and share code: equal layers of different configurations are one kernel.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthdial.arch import Architecture
from depthdial.config.targets import Target
from depthdial.deploy.archive import read_archive, write_archive
from depthdial.deploy.compile import Compiler, compiled_for
from depthdial.deploy.gate import check_configuration
from depthdial.deploy.manifest import Manifest, read_manifest, write_manifest
from depthdial.deploy.program import program
from depthdial.errors import ArtefactError
from depthdial.files import atomic_folder, sha256_file
from depthdial.masks import Mask

log = logging.getLogger(__name__)
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
    configuration passes the numerics gate again before the folder appears. Raises ArtefactError for a bundle that is
    damaged, or of another target or release; DeployError if the compiler or the gate fails.
    """
    whole, source = read_manifest(bundle), Path(bundle)
    about = f"{whole.network}, configurations {', '.join(names)} in one module, target {whole.target.name}"
    if whole.target.variant not in target.variants or whole.target != compiled_for(
        whole.target.name, target, whole.target.variant
    ):
        raise ArtefactError(f"{bundle}: was compiled for target {whole.target.name} as it was then; compile again")
    masks = {name: Mask(whole.named(name).mask) for name in names}
    text = program(Architecture.from_dict(whole.architecture), masks)
    module = Compiler(about, Path(log_path)).module(text, target, whole.target.variant)
    with atomic_folder(folder) as temporary:
        (temporary / MODULE).write_bytes(module)
        archives = [read_archive(source / whole.named(name).batchnorm) for name in names]
        write_archive(temporary / BATCHNORM, {key: value for one in archives for key, value in one.items()})
        expected = [path for name in names for path in whole.named(name).expected]
        (temporary / "gate").mkdir()
        for path in (whole.weights, *whole.gate.inputs, *expected):
            shutil.copyfile(source / path, temporary / path)
        for name, given in (schedule or {}).items():
            shutil.copyfile(given, temporary / name)
        manifest = _manifest(whole, names, next(iter(schedule or {}), None), temporary)
        write_manifest(temporary, manifest)
        for name in names if tool else ():
            worst = check_configuration(temporary, manifest, name, tool or ())
            log.info("%s: within %.2g of PyTorch", name, worst.largest)
    return manifest


def _manifest(whole: Manifest, names: Sequence[str], schedule: str | None, folder: Path) -> Manifest:
    shared = {"module": MODULE, "batchnorm": BATCHNORM}
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return whole.model_copy(
        update={
            "configurations": tuple(whole.named(name).model_copy(update=shared) for name in names),
            "schedule": schedule,
            "files": {path.relative_to(folder).as_posix(): sha256_file(path) for path in files},
        }
    )
