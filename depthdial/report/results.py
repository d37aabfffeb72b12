"""The comparisons of an experiment as a Markdown page, each table with its CSV and with what made it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.files import read_comparison
from depthdial.compare.tables import columns_of, escaped, markdown
from depthdial.files import atomic_folder, write_text
from depthdial.report.findings import off_front

SENTENCES = {
    "claims": "What the paper says, what was found here, and what could not be checked. A verdict is given only where "
    "the 95 % interval lies wholly on one side; what was not checked is named as such.",
    "equal_macs": "Test accuracy of the mask that is most accurate on the validation split at no more than each budget "
    "of MACs; means over the seeds, which are the repetitions. Intervals are 95 %: Student's t for means, Welch's for "
    "differences of networks trained apart, paired t for the dial against its own full network. Of one seed the test "
    "images are the repetitions: Wilson's intervals, differences on the same images (Agresti and Min); what they say "
    "is about these networks alone.",
    "equal_time": "The configuration that is most accurate on the validation split among those measured no slower than "
    "each budget; the budgets are the static networks' medians and shares of the full network's. Test accuracy of one "
    "seed with Wilson's interval; differences are on the same images (Agresti and Min, 95 %).",
    "skipping": "Validation accuracy over all masks that skip so many blocks; of a network too deep for that over "
    "those that a search asked for, or random ones where the table says so. Means over the seeds with 95 % intervals "
    "(Student's t; differences Welch's t; of one seed over the same random masks).",
    "rankings": "The front that each strategy of search finds, as a share of the true hypervolume; of a network too "
    "deep to evaluate all masks, as a share of what all strategies found together. Means over the training seeds with "
    "95 % intervals (Student's t; against sensitivity paired by seed). Of strategies that draw lots the median over "
    "search seeds.",
    "training": "Branches of closed blocks are not executed. GMACs are those of all forward passes that a training "
    "image went through; time is processor time; both with those of a network whose weights it begins with. Its share "
    "of constant depth's with a 95 % interval (Welch's t on logarithms).",
    "recipes": "Dials of the same shape that were trained differently. Test accuracy of the best mask at each share of "
    "the MACs (chosen on validation); hypervolume of the validation front; the mean of all masks, where all are "
    "evaluated; and, of the seed that is deployed, the same sampled masks with BatchNorm recalibrated for each and as "
    "trained. Means over the seeds with 95 % intervals (Student's t; test accuracies of one seed: Wilson's).",
    "networks": "Every trained network. The metadata of the weights, whole: {metadata}.",
}
"""What is said before each table."""


@dataclass(frozen=True)
class Origin:
    """What made the numbers of a page."""

    command: str
    commit: str
    machine: str

    def line(self, seeds: Sequence[int], recipes: str, device: str = "") -> str:
        """What made one table."""
        names = [name for name in (recipes, device or self.machine) if name]
        return f"Seeds {', '.join(map(str, seeds))}; {escaped('; '.join(names))}; `{self.command}` at {self.commit}."


@dataclass(frozen=True)
class Part:
    """A table on the page: heading and its level, the CSV, what made it, its figures."""

    level: int
    heading: str
    path: str
    origin: str
    figures: Sequence[str] = ()

    def text(self, folder: Path, captions: Mapping[str, str]) -> str:
        """Heading, explanation, figures, table and origin, with links for a page in ``folder``."""
        table = read_comparison(self.path)
        path = Path(os.path.relpath(self.path, folder))
        figures = [Path(os.path.relpath(figure, folder)) for figure in self.figures]
        metadata = f"[{path.stem}.json]({path.with_suffix('.json')})"
        paragraphs = [
            f"{'#' * self.level} {escaped(self.heading)}",
            SENTENCES[path.stem].format(metadata=metadata),
            *(f"![{captions[figure.stem]}]({figure})" for figure in figures),
            *(off_front(table) if path.stem == "equal_macs" else []),
            markdown(table, columns_of(path.stem, table)),
            f"Numbers: [{path.name}]({path}). {self.origin}",
        ]
        return "\n\n".join(paragraphs)


def results_page(
    title: str, introduction: str, parts: Sequence[Part], folder: Path, captions: Mapping[str, str]
) -> str:
    """The page, with links that hold in ``folder``, where it will lie; ``captions`` by name of figure."""
    return "\n\n".join([f"# {escaped(title)}", introduction, *(part.text(folder, captions) for part in parts)]) + "\n"


LINK = re.compile(r"(!?\[[^\]]*\])\(((?!https?:|#)[^)]+)\)")
"""A link to a file beside the page."""


def linked(page: str) -> list[str]:
    """The files that a page links to, in their order."""
    return list(dict.fromkeys(match.group(2) for match in LINK.finditer(page)))


def moved(page: str, folder: str) -> str:
    """The page with its files in ``folder`` beside it."""
    return LINK.sub(rf"\1({folder}/\2)", page)


def publish(folder: Path, to: Path) -> list[Path]:
    """Copy an experiment's page of results and what it links to; returns the copies.

    ``folder`` is named as the experiment; the page becomes ``to``/<experiment>.md, its files lie in
    ``to``/<experiment>/, from which what an earlier page left goes.
    """
    page, name = (folder / "results.md").read_text(encoding="utf-8"), folder.name
    beside, files = to / name, linked(page)
    with atomic_folder(beside) as temporary:
        for file in files:
            (temporary / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file, temporary / file)
    write_text(to / f"{name}.md", moved(page, name))
    return [to / f"{name}.md", *(beside / file for file in files)]


def recipe_names(networks: pd.DataFrame, names: Sequence[str]) -> str:
    """The recipes of some networks, in words."""
    found: list[Any] = sorted(set(networks.loc[networks["network"].isin(list(names)), "recipe"]))
    return ("recipe " if len(found) == 1 else "recipes ") + ", ".join(map(str, found))
