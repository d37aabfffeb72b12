"""How masks are evaluated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from depthdial.config.base import Section


class Evaluate(Section):
    """Evaluation of masks on the validation split, sharing the work of common prefixes."""

    scaling: Literal["none", "survival", "inverse"] = "survival"
    """Factor of a kept block's branch: `survival` p_l as Huang et al. (2016) at inference, `none` 1 as in
    their training, `inverse` 1 / p_l."""
    recalibrate: Literal["auto", "own", "recalibrated", "blend"] = "auto"
    """BatchNorm statistics of masks: the network's `own`; `recalibrated`: taken anew for every mask from training
    images, shifted and mirrored as the recipe did; `blend`: the mean of both. `auto`: recalibrated for networks trained
    here; for adopted ones whichever is most accurate on validation images, over masks that keep at least half the
    units."""
    calibration_images: int = Field(default=512, ge=2, le=10_000_000)
    """Training images for recalibration, drawn once; all of them if the split is smaller."""
    batch_size: int = Field(default=512, ge=1, le=1_000_000)
    """Images in one call of a block. A longer split is cut into batches; on a shorter one several prefixes
    share a call."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Type of convolutions and activations; BatchNorm statistics and the classifier are always float32."""
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:[0-9]{1,3})?)$")
    """Where masks are evaluated: `cpu`, `cuda` or `cuda:N`."""
    memory_mb: int = Field(default=2048, ge=64, le=10_000_000)
    """Bound on a job's activations in MiB; validation images that do not fit take further passes."""
    shards: int = Field(default=1, ge=1, le=1024)
    """Jobs among which the masks of one network are split, along prefixes."""
