"""Write the report: one page with everything inside it."""

from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.files import read_comparison
from depthdial.devices.records import read_records
from depthdial.files import write_text
from depthdial.report.findings import off_front
from depthdial.report.page import Section, comparison, device_section, picture, render
from depthdial.runs.logs import configure_logging
from depthdial.runs.provenance import git_commit, versions
from depthdial.schedule.table import read_schedule
from depthdial.select.latency_model import described, read_latency_model

CLAIMS = (
    "A verdict is given only where the 95 % interval lies wholly on one side; what was not checked is named as such, "
    "with the reason."
)


def main(smk: Any) -> None:
    """Claims and recipes, then ``params.dials``, then ``params.places``; all inputs are in their order."""
    configure_logging(smk.log[0])
    captions = smk.params.captions
    sections = [Section("Paper and here", [CLAIMS], [], [comparison("Claims and goals", smk.input.claims)])]
    for recipes in smk.params.recipes:
        pictures = [picture(Path(path).with_suffix(".svg"), captions) for path in recipes["figures"]]
        tables = [comparison("Dials of the same shape, trained differently", recipes["path"])]
        sections.append(Section(recipes["heading"], [], pictures, tables))
    provenance = {"experiment": smk.wildcards.experiment, "commit": git_commit()}
    provenance |= versions("torch", "iree-base-compiler", "iree-base-runtime", "snakemake", "pulp", "highspy")
    drawn = iter(smk.input.dial_figures)
    costs = [described(read_latency_model(path)) for path in smk.input.cost] or [""] * len(smk.params.dials)
    for dial, cost in zip(smk.params.dials, costs, strict=True):
        pictures = [picture(path, captions) for path in islice(drawn, len(dial["figures"]))]
        tables = [comparison(capital(table["heading"]), table["path"]) for table in dial["tables"]]
        front = off_front(read_comparison(dial["tables"][0]["path"]))
        sections.append(Section(dial["title"], front, pictures, tables, cost))
    drawn = iter(smk.input.device_figures)
    for index, place in enumerate(smk.params.places):
        pictures = [picture(path, captions) for path in islice(drawn, len(place["figures"]))]
        measured = (read_comparison(smk.input.configurations[index]), read_comparison(smk.input.equal_time[index]))
        schedule, summary = read_schedule(smk.input.schedule[index]), pd.read_parquet(smk.input.summary[index])
        sections.append(device_section(place["title"], place["network"], *measured, schedule, summary, pictures))
        fingerprint = read_records(smk.input.records[index])[0].fingerprint
        provenance[f"device {place['device']}"] = "; ".join(f"{key}: {value}" for key, value in fingerprint.items())
    write_text(smk.output.page, render(smk.params.title, sections, provenance, smk.params.settings))


def capital(heading: str) -> str:
    """The heading with its first letter in capitals, the others as they are."""
    return heading[0].upper() + heading[1:]


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
