"""Write the report: one page with everything inside it."""

from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.artefacts import read_table
from depthdial.compare.files import read_comparison
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import read_manifest
from depthdial.deploy.tuned import known_gain
from depthdial.devices.processors import kind_of, title
from depthdial.devices.records import read_records
from depthdial.files import write_json, write_text
from depthdial.report.findings import off_front
from depthdial.report.page import Place, Section, render
from depthdial.report.pictures import picture
from depthdial.report.places import Measured, place, said
from depthdial.report.sections import dial_sections, made, paper, training_hours
from depthdial.report.tables import comparison
from depthdial.runs.logs import configure_logging
from depthdial.runs.provenance import git_commit, versions
from depthdial.schedule.table import read_schedule
from depthdial.select.latency_model import described, read_latency_model


def main(smk: Any) -> None:
    """``output.page``, and what it says in words as ``output.said``; dials, places and inputs are in their order."""
    configure_logging(smk.log[0])
    places = on_devices(smk)
    sections = [*about_dials(smk), *about_recipes(smk)]
    claims = read_comparison(smk.input.claims)
    if smk.params.paper:
        sections.append(paper(claims, Path(smk.input.claims).read_text(encoding="utf-8")))
    sections.append(made(provenance(smk), smk.params.settings))
    write_json(smk.output.said, said(smk.params.title, places))
    write_text(smk.output.page, render(smk.params.title, places, sections, footer(smk)))


def on_devices(smk: Any) -> list[Place]:
    """Every dial on every device."""
    drawn = iter(smk.input.device_figures)
    found = []
    for index, about in enumerate(smk.params.places):
        key = f"place{index}"
        paths = list(islice(drawn, len(about["figures"])))
        tables = Measured(
            configurations=read_comparison(smk.input.configurations[index]),
            equal_time=read_comparison(smk.input.equal_time[index]),
            schedule=read_schedule(smk.input.schedule[index]),
            summary=read_table(smk.input.summary[index]),
            target=read_manifest(smk.input.bundles[index], verify=False).target,
            processor=title(kind_of(read_records(smk.input.records[index])[0].fingerprint)),
            known_gain=gain(smk, index),
            trace=read_comparison(Path(next(path for path in paths if Path(path).stem == "trace")).with_suffix(".csv")),
        )
        pictures = [picture(path, smk.params.captions, smk.params.colours, key) for path in paths]
        found.append(place(key, about, tables, {one.name: one for one in pictures}))
    return found


def gain(smk: Any, index: int) -> float | None:
    """What tuning on the device of a place would save, where it is known."""
    bundle = Path(smk.input.bundles[index])
    manifest, fingerprint = read_manifest(bundle, verify=False), read_records(smk.input.records[index])[0].fingerprint
    graph, threads = read_graph(bundle / manifest.graph), int(fingerprint.get("threads", 1))
    return known_gain(manifest.target, graph, kind_of(fingerprint), threads, smk.params.cache)


def about_dials(smk: Any) -> list[Section]:
    """The parts about the dials by themselves."""
    drawn = iter(smk.input.dial_figures)
    costs = [described(read_latency_model(path)) for path in smk.input.cost] or [""] * len(smk.params.dials)
    found = []
    for index, (dial, cost) in enumerate(zip(smk.params.dials, costs, strict=True)):
        key = f"dial{index}"
        paths = islice(drawn, len(dial["figures"]))
        pictures = [picture(path, smk.params.captions, smk.params.colours, key) for path in paths]
        tables = [comparison(capital(one["heading"]), one["path"]) for one in dial["tables"]]
        title = dial["title"] if len(smk.params.dials) > 1 else ""
        front = off_front(read_comparison(dial["tables"][0]["path"]))
        sentences = {"equal": [*front, *([cost] if cost else [])]}
        found += dial_sections(key, title, tables, {one.name: one for one in pictures}, sentences)
    return found


def about_recipes(smk: Any) -> list[Section]:
    """The ablation of training recipes, one for each data set."""
    found = []
    for index, about in enumerate(smk.params.recipes):
        key = f"recipes{index}"
        paths = [Path(path).with_suffix(".svg") for path in about["figures"]]
        pictures = [picture(path, smk.params.captions, smk.params.colours, key) for path in paths]
        tables = [comparison("Dials by how they were trained", about["path"])]
        lead = "What each way of training costs, and what its dial reaches."
        found.append(Section(key, about["heading"], lead, [], tables, pictures))
    return found


def provenance(smk: Any) -> dict[str, str]:
    """What made the page."""
    tables = {path: read_comparison(path) for path in smk.input.tables if Path(path).stem == "training"}
    by_dataset: dict[Path, list[pd.DataFrame]] = {}
    for path, table in tables.items():
        by_dataset.setdefault(Path(path).parents[1], []).append(table)
    hours = sum(training_hours(found) for found in by_dataset.values())
    found = {"experiment": smk.wildcards.experiment, "command": smk.params.command, "commit": git_commit()}
    found |= versions("torch", "iree-base-compiler", "iree-base-runtime", "snakemake", "pulp", "highspy")
    found["training"] = f"{hours:.2g} processor hours"
    for path, about in zip(smk.input.records, smk.params.places, strict=True):
        fingerprint = read_records(path)[0].fingerprint
        found[f"device {about['device']}"] = "; ".join(f"{key}: {value}" for key, value in fingerprint.items())
    return found


def footer(smk: Any) -> str:
    """The last line of the page."""
    return f"Made by depthdial at commit {git_commit()}: {smk.params.command}"


def capital(heading: str) -> str:
    """The heading with its first letter in capitals, the others as they are."""
    return heading[0].upper() + heading[1:]


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
