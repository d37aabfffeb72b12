"""Write the report: one page with everything inside it."""

from itertools import islice
from typing import Any

import pandas as pd

from depthdial.devices.records import read_records
from depthdial.files import write_text
from depthdial.logs import configure_logging
from depthdial.provenance import git_commit, versions
from depthdial.report.page import Section, device_section, picture, render
from depthdial.schedule.table import read_schedule


def main(smk: Any) -> None:
    """Sections for each of ``params.dials``, then for each of ``params.places``; all inputs are in their order."""
    configure_logging(smk.log[0])
    captions = smk.params.captions
    sections = []
    provenance = {"experiment": smk.wildcards.experiment, "commit": git_commit()}
    provenance |= versions("torch", "iree-base-compiler", "iree-base-runtime", "snakemake", "pulp", "highspy")
    drawn = iter(smk.input.dial_figures)
    for dial in smk.params.dials:
        sections.append(
            Section(dial["title"], [], [picture(path, captions) for path in islice(drawn, len(dial["figures"]))])
        )
    drawn = iter(smk.input.device_figures)
    for index, place in enumerate(smk.params.places):
        pictures = [picture(path, captions) for path in islice(drawn, len(place["figures"]))]
        latency, summary = pd.read_parquet(smk.input.latency[index]), pd.read_parquet(smk.input.summary[index])
        schedule = read_schedule(smk.input.schedule[index])
        sections.append(device_section(place["title"], place["network"], latency, schedule, summary, pictures))
        fingerprint = read_records(smk.input.records[index])[0].fingerprint
        provenance[f"device {place['device']}"] = "; ".join(f"{key}: {value}" for key, value in fingerprint.items())
    write_text(smk.output.page, render(smk.params.title, sections, provenance, smk.params.settings))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
