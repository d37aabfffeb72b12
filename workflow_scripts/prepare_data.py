"""Read one data set and write its three splits."""

from pathlib import Path
from typing import Any

from depthdial.config.data import Dataset
from depthdial.data.images import save_images
from depthdial.data.prepare import prepare
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.images`` as ``params.dataset`` says."""
    configure_logging(smk.log[0])
    settings = Dataset.model_validate(smk.params.dataset)
    classes, splits = prepare(settings, Path(smk.output.images).parent)
    save_images(smk.output.images, settings.name, classes, splits, settings.reading, settings.normalisation)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
