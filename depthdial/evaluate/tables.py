"""Mask tables: Parquet, a row per mask, with what made them in the file's metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from depthdial.artefacts import reading
from depthdial.errors import ArtefactError
from depthdial.evaluate.results import Evaluation
from depthdial.files import atomic_path
from depthdial.networks.description import Description
from depthdial.networks.masks import Mask

FORMAT = "depthdial-masks-1"
COLUMNS = {
    "mask": pa.string(),
    "kept": pa.int64(),
    "macs": pa.int64(),
    "n_val": pa.int64(),
    "val_correct": pa.int64(),
    "val_accuracy": pa.float64(),
    "correct": pa.binary(),
}
"""``correct`` holds the correctness of every validation image as of ``numpy.packbits``."""


WORK = ("seconds", "block_evaluations")
"""What is said about a table and adds up over its shards."""


def mask_table(network: Description, evaluation: Evaluation) -> pd.DataFrame:
    """One row per mask, in the order of the masks' strings; none, with the same types, for no masks."""
    counts = evaluation.counts
    table = pd.DataFrame(
        {
            "mask": [mask.bits for mask in evaluation.masks],
            "kept": [len(mask.kept) for mask in evaluation.masks],
            "macs": [network.macs(mask) for mask in evaluation.masks],
            "n_val": evaluation.n_images,
            "val_correct": counts,
            "val_accuracy": counts / evaluation.n_images,
            "correct": [row.tobytes() for row in evaluation.packed],
        }
    )
    return table.astype({"mask": "str", "kept": "int64", "macs": "int64", "n_val": "int64", "correct": "object"})


def write_masks(path: str | os.PathLike[str], table: pd.DataFrame, about: dict[str, Any]) -> None:
    """Check and write a mask table; ``about`` (JSON values) goes into the file's metadata."""
    check_masks(table, str(path))
    arrow = pa.Table.from_pandas(table, pa.schema(COLUMNS), preserve_index=False)
    arrow = arrow.replace_schema_metadata({"format": FORMAT, "about": json.dumps(about)})
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def read_masks(path: str | os.PathLike[str]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A mask table and what was said about it. Raises ArtefactError on anything else."""
    with reading(path, "a mask table"):
        arrow = pq.read_table(path)
        metadata = arrow.schema.metadata or {}
        found = metadata.get(b"format", b"nothing").decode()
        if found != FORMAT:
            raise ArtefactError(f"{path}: expected format {FORMAT}, found {found}; delete it and run again")
        table = arrow.to_pandas()
        check_masks(table, str(path))
        return table, json.loads(metadata[b"about"])


def check_masks(table: pd.DataFrame, where: str) -> None:
    """Raise ArtefactError unless this is a mask table: columns, ranges, unique masks, consistent counts."""
    import pandera.pandas as pa_check

    column, ok = pa_check.Column, pa_check.Check
    schema = pa_check.DataFrameSchema(
        {
            "mask": column(str, ok.str_matches(r"^[01]+$"), unique=True),
            "kept": column(int, ok.ge(0)),
            "macs": column(int, ok.gt(0)),
            "n_val": column(int, ok.gt(0)),
            "val_correct": column(int, ok.ge(0)),
            "val_accuracy": column(float, ok.in_range(0, 1)),
            "correct": column(object),
        },
        checks=[
            ok(lambda t: t["kept"] == t["mask"].str.count("1"), name="kept counts the ones of mask"),
            ok(lambda t: t["val_accuracy"] == t["val_correct"] / t["n_val"], name="accuracy is the share"),
            ok(lambda t: t["correct"].map(len) == (t["n_val"] + 7) // 8, name="one bit per image"),
        ],
        strict=True,
        ordered=True,
    )
    try:
        schema.validate(table, lazy=True)
    except pa_check.errors.SchemaErrors as errors:
        failed = "; ".join(map(str, errors.failure_cases["check"].unique()))
        raise ArtefactError(f"{where}: not a mask table, fails: {failed}") from None


def merge_masks(paths: Sequence[str | os.PathLike[str]]) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The tables of all shards as one, in the order of the masks' strings, whatever the order of ``paths``.

    Counts of work are added up. Raises ArtefactError if the shards were not made by the same settings.
    """
    tables, abouts = zip(*(read_masks(path) for path in paths), strict=True)
    first = {key: value for key, value in abouts[0].items() if key not in WORK}
    for path, about in zip(paths, abouts, strict=True):
        if {key: about.get(key) for key in first} != first:
            raise ArtefactError(f"{path}: made by other settings than {paths[0]}; delete both and run again")
    table: pd.DataFrame = pd.concat(tables).sort_values("mask", ignore_index=True)
    work = {key: sum(about[key] for about in abouts) for key in WORK}
    return table, first | work


def masks_of(table: pd.DataFrame) -> list[Mask]:
    """The masks of a table's rows."""
    return [Mask(bits) for bits in table["mask"]]
