"""Write the comparisons of the experiment as a Markdown page."""

from pathlib import Path
from typing import Any

from depthdial.compare.files import read_comparison
from depthdial.devices.processors import kind_of, this_processor, title
from depthdial.devices.records import read_records
from depthdial.files import write_text
from depthdial.report.results import Origin, Part, recipe_names, results_page
from depthdial.report.worth import worth
from depthdial.runs.logs import configure_logging
from depthdial.runs.provenance import git_commit, versions


def main(smk: Any) -> None:
    """Write ``output.page``, with links to the tables and figures that it shows."""
    configure_logging(smk.log[0])
    networks = read_comparison(smk.input.networks)
    origin = Origin(smk.params.command, git_commit(), this_processor())
    seeds = sorted(set(networks["seed"]))

    def part(
        level: int, heading: str, path: str, names: list[str], figures: list[str], device: str = "", records: str = ""
    ) -> Part:
        own = [smk.params.deployed] if device else seeds
        if records:
            device = f"{device}: {title(kind_of(read_records(records)[0].fingerprint))}"
        recipes = recipe_names(networks, names) if names else ""
        return Part(level, heading, path, origin.line(own, recipes, device), figures)

    everything = list(networks["network"])
    parts = [part(2, "Paper and here", smk.input.claims, everything, [])] if smk.params.paper else []
    parts += [part(2, **table) for table in smk.params.recipes]
    for dial in smk.params.dials:
        first, *others = dial["tables"]
        parts.append(part(2, **{**first, "heading": f"{dial['title']}: {first['heading']}"}))
        parts += [part(3, **table) for table in others]
    parts.append(part(2, "The networks", smk.input.networks, everything, []))
    folder = Path(smk.output.page).parent
    origin_of_all = (
        f"Written by the workflow: `{smk.params.command}`, then `{smk.params.publish}`. Masks are chosen on the "
        "validation split; the test split is read once, for what was chosen. "
        f"Made with {made_with()} on {this_processor()}, at commit {git_commit()}; the networks at the commits in the "
        "last table. Below every table stand its CSV and what made it."
    )
    introduction = f"{worth(smk.params.worths, folder)}\n\n{origin_of_all}"
    write_text(smk.output.page, results_page(smk.params.title, introduction, parts, folder, smk.params.captions))


def made_with() -> str:
    """The versions that matter."""
    return ", ".join(f"{name} {version}" for name, version in versions("torch", "iree-base-compiler").items())


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
