"""``depthdial inspect``, ``run``, ``sign`` and ``verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from depthdial.artefacts import read_record
from depthdial.deploy.manifest import AGAIN, SIGNATURE, Manifest, Text, read_manifest
from depthdial.networks.description import read_description

app = typer.Typer()
BundleFolder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder with a manifest.json.")]
PASSED = "numerics: every configuration computes what PyTorch computes"
UNCHECKED = "numerics: NOT CHECKED, nothing ran the target where this was made; `depthdial run` checks what it loads"


@app.command()
def inspect(bundle: BundleFolder) -> None:
    """Verify a bundle and say what is inside."""
    for line in describe(bundle, read_manifest(bundle)):
        typer.echo(line)


@app.command()
def run(
    bundle: BundleFolder,
    images: Annotated[Path, typer.Option(help="Folder or archive of image files to classify.")],
    config: Annotated[str, typer.Option(help="Configuration; default: the first, which computes most.")] = "",
) -> None:
    """Classify images with one configuration: a line per file, its name and its class."""
    from depthdial.data.folder import printable, read_pictures
    from depthdial.deploy.runtime import Bundle

    opened = Bundle(bundle)
    about, chosen = opened.manifest.input, config or opened.manifest.configurations[0].name
    opened.load(chosen)
    for name, pixels in read_pictures(images, about.reading, about.shape[1:]):
        typer.echo(f"{printable(name)}\t{about.classes[opened.classify(pixels, chosen)]}")


@app.command("sign")
def sign_bundle(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Private Ed25519 key, PEM without a password, as OpenSSL writes it.")],
) -> None:
    """Verify a bundle and sign its manifest, which holds the hashes of all its files."""
    from depthdial.deploy.signing import sign

    sign(bundle, key)
    typer.echo(f"signed: {bundle / SIGNATURE}")


@app.command("verify")
def verify_bundle(
    bundle: BundleFolder,
    key: Annotated[Path, typer.Option(help="Public key of whoever signs bundles, PEM.")],
) -> None:
    """Check who made a bundle: the signature of its manifest, then every file against it."""
    from depthdial.deploy.signing import verify

    verify(bundle, key)
    manifest = read_manifest(bundle)
    typer.echo(f"{bundle}: signed by the key in {key}; all {len(manifest.files)} files match")


def describe(folder: Path, manifest: Manifest) -> list[str]:
    """Lines about a bundle: what it is, what it was compiled for, its configurations, its files."""
    target, full = manifest.target, read_description(folder / manifest.description).full_macs
    sizes = {name: (folder / name).stat().st_size for name in manifest.files}
    modules = sum(sizes[name] for name in {one.module for one in manifest.configurations})
    batchnorm = sum(sizes[name] for name in {one.batchnorm for one in manifest.configurations})
    titles, figures = measured(folder, manifest)
    lines = [
        f"{manifest.network} on {manifest.dataset}, seed {manifest.seed}; "
        f"branches scaled: {manifest.scaling}; BatchNorm recalibrated: {'yes' if manifest.recalibrated else 'no'}",
        f"target {target.name}: {target.triple}, {target.cpu} {','.join(target.features)}, IREE {target.compiler}",
        f"loops cut {target.way}",
        f"{sum(sizes.values()) / 1e3:.0f} kB: weights {sizes[manifest.weights] / 1e3:.0f} kB (once), "
        f"code {modules / 1e3:.0f} kB, BatchNorm {batchnorm / 1e3:.0f} kB; all {len(sizes)} files match",
        PASSED if manifest.gated else UNCHECKED,
        *([f"packed for the schedule in {manifest.schedule}"] if manifest.schedule else []),
        "",
        f"{'name':6}{'MACs':>12}{'share':>8}{'validation':>12}{titles}  mask",
    ]
    for one in manifest.configurations:
        front = "" if one.on_front else "  (beside the front)"
        lines.append(
            f"{one.name:6}{one.macs:12,}{one.macs / full:8.1%}{one.validation_accuracy:12.4f}"
            f"{figures.get(one.name, '')}  {one.mask}{front}"
        )
    return lines


def measured(folder: Path, manifest: Manifest) -> tuple[str, dict[str, str]]:
    """Titles and, by configuration, columns of latency and energy, as the device's schedule in the bundle has them."""
    if manifest.schedule is None:
        return "", {}
    table = read_record(folder / manifest.schedule, _Measured, "a schedule", AGAIN)
    titles = f"{'median ms':>11}{f'{table.quantile} ms':>10}  {f'mJ ({table.energy_source})':13}"
    return titles, {
        one.name: f"{one.median_ms:11.4g}{one.latency_ms:10.4g}  {one.energy_mj:<13.4g}" for one in table.configurations
    }


class _Figures(BaseModel):
    name: Text
    median_ms: float
    latency_ms: float
    energy_mj: float


class _Measured(BaseModel):
    """What is shown of a schedule; ``schedule.table``, which knows all of it, builds on this package."""

    quantile: Text
    energy_source: Text
    configurations: tuple[_Figures, ...]
