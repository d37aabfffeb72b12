"""The latency of any mask on one device, from a few dozen measured ones.

A mask costs what no mask can skip plus what its kept blocks contribute. Blocks of the same shape contribute the same,
so that a few dozen masks are enough for a deep network too. Fitted by least squares of relative errors with no
contribution below zero (Lawson and Hanson 1974, chapter 23), for no block takes less than no time; the error is that on
masks that were measured but not fitted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.optimize import nnls

from depthdial.artefacts import read_record
from depthdial.config.benchmark import CostModel as Settings
from depthdial.errors import ArtefactError, MeasurementError
from depthdial.files import write_json
from depthdial.networks.configurations import Configuration, slot_names
from depthdial.networks.description import Description
from depthdial.networks.masks import Mask


class LatencyModel(BaseModel):
    """Contributions of blocks to latency on one device, and how well they explain what was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)

    schema_version: Literal[1] = 1
    device: str
    network: str
    base_ms: float
    """What stem, classifier and call take."""
    blocks_ms: tuple[float, ...]
    """What each block adds when it is kept."""
    fitted: int
    """Number of masks to which the model was fitted."""
    held_out: int
    """Number of masks on which its error was measured."""
    mean_error: float
    """Mean of |predicted - measured| / measured over the held-out masks."""
    largest_error: float
    """The largest of these."""
    mean_error_macs: float
    """The same mean for a line through MACs in place of blocks, fitted to the same masks: what is gained."""
    valid: bool
    """Whether the measurements hold up."""

    def latency_ms(self, mask: Mask) -> float:
        """Predicted latency. Raises ArtefactError for a mask of another length."""
        if mask.n != len(self.blocks_ms):
            raise ArtefactError(f"the cost model has {len(self.blocks_ms)} blocks, mask {mask} has {mask.n}")
        return self.base_ms + sum(self.blocks_ms[block] for block in mask.kept)


def read_latency_model(path: str | os.PathLike[str]) -> LatencyModel:
    """Read and check. Raises ArtefactError that names the file."""
    return read_record(path, LatencyModel, "a cost model")


def write_latency_model(path: str | os.PathLike[str], model: LatencyModel) -> None:
    """Write as JSON, whole or not at all."""
    write_json(path, model.model_dump(mode="json"))


def predicted_latency(model: LatencyModel, masks: Sequence[str]) -> NDArray[np.float64]:
    """Predicted latency in ms (n,) of masks given as strings."""
    return np.array([model.latency_ms(Mask(mask)) for mask in masks])


def described(model: LatencyModel) -> str:
    """In sentences: what was chosen by the model, how far it errs, and whether its measurements hold up."""
    mean, largest, by_macs = (
        f"{100 * error:.1f} %" for error in (model.mean_error, model.largest_error, model.mean_error_macs)
    )
    text = (
        f"The configurations of {model.network} were chosen by their latency on {model.device}, predicted from "
        f"{model.fitted} measured masks. On {model.held_out} further masks the prediction errs by {mean} in the mean, "
        f"{largest} at most; a line through MACs by {by_macs} in the mean."
    )
    noisy = "The device was too noisy when they were measured: the choice is not valid. Measure again."
    return text if model.valid else f"{text} {noisy}"


def cost_masks(n: int, settings: Settings) -> list[Mask]:
    """The full mask, the masks to fit and then those held out, all different, every number of kept blocks as likely.

    Fewer if the network has not as many masks.
    """
    generator = np.random.default_rng(settings.seed)
    wanted = min(1 + settings.masks + settings.held_out, 2**n)
    chosen = {Mask.full(n): None}
    while len(chosen) < wanted:
        kept = generator.choice(n, int(generator.integers(n + 1)), replace=False)
        chosen.setdefault(Mask.from_kept(n, kept.tolist()))
    return list(chosen)


def cost_configurations(network: Description, settings: Settings) -> tuple[Configuration, ...]:
    """The masks of ``cost_masks`` as configurations; nothing is known of their accuracy, so its interval is [0, 1]."""
    masks = cost_masks(network.n_units, settings)
    return tuple(
        Configuration(
            name=name,
            mask=str(mask),
            macs=network.macs(mask),
            on_front=False,
            validation_accuracy=0.0,
            validation_low=0.0,
            validation_high=1.0,
        )
        for name, mask in zip(slot_names(len(masks)), masks, strict=True)
    )


def fit_latency_model(table: pd.DataFrame, network: Description, device: str, held_out: int) -> LatencyModel:
    """Fit to a device's latency table of ``cost_masks``, whose last ``held_out`` rows are kept aside.

    Raises MeasurementError if there are too few masks for the kinds of the network's units.
    """
    masks = [Mask(bits) for bits in table["mask"]]
    measured = table["latency_ms"].to_numpy(np.float64)
    macs = table["macs"].to_numpy(np.float64)
    kinds = [unit.kind for unit in network.units]
    groups = list(dict.fromkeys(kinds))
    design = np.array([[1.0, *(sum(kinds[unit] == kind for unit in mask.kept) for kind in groups)] for mask in masks])
    fitted = len(masks) - held_out
    if fitted < 2 or np.linalg.matrix_rank(design[:fitted]) < design.shape[1]:
        raise MeasurementError(
            f"device {device}: {fitted} masks are too few for {len(groups)} kinds of units; raise "
            f"benchmark.cost_model.masks"
        )
    line = np.column_stack([np.ones(len(masks)), macs / macs.max()])
    predicted, parameters = _least_squares(design, measured, fitted)
    by_macs, _ = _least_squares(line, measured, fitted)
    errors = (np.abs(predicted - measured) / measured)[fitted:]
    contributions = dict(zip(groups, parameters[1:].tolist(), strict=True))
    return LatencyModel(
        device=device,
        network=str(table["network"].iloc[0]),
        base_ms=float(parameters[0]),
        blocks_ms=tuple(contributions[kind] for kind in kinds),
        fitted=fitted,
        held_out=held_out,
        mean_error=float(errors.mean()),
        largest_error=float(errors.max()),
        mean_error_macs=float((np.abs(by_macs - measured) / measured)[fitted:].mean()),
        valid=bool(table["valid"].all()),
    )


def _least_squares(
    design: NDArray[np.float64], measured: NDArray[np.float64], fitted: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predictions for all rows and parameters, from the first ``fitted`` rows, by relative errors."""
    weights = 1 / measured[:fitted]
    scaled = design[:fitted] * weights[:, None]
    parameters = np.asarray(nnls(scaled, np.ones(fitted))[0], np.float64)
    return design @ parameters, parameters
