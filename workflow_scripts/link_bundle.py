"""Link the compiled configurations of one network into a bundle for one target."""

from pathlib import Path
from typing import Any

from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target
from depthdial.deploy.bundle import link
from depthdial.deploy.gate import run_tool
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write the folder ``output.bundle``."""
    configure_logging(smk.log[0])
    link(
        smk.input.exported,
        {Path(path).stem: path for path in smk.input.modules},
        smk.input.configurations,
        smk.input.images,
        Deploy.model_validate(smk.params.deploy),
        smk.output.bundle,
        tool=run_tool(Target.model_validate(smk.params.target), Path(smk.params.cache)),
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
