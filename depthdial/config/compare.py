"""How networks are compared at equal cost."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from depthdial.config.base import Section


class Compare(Section):
    """Costs at which networks are compared, beside those of the static networks."""

    shares: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(default=(0.25, 0.5, 0.75), max_length=50)
    """Shares of the full network's MACs. For each, and for each static network, the most accurate mask of no more MACs
    is chosen on the validation split and read once on the test split."""
    skipped: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Numbers of skipped blocks at which networks too deep to evaluate all masks have random ones evaluated, the same
    for dials and controls, to say how far the best and the worst lie apart."""
    skipped_masks: int = Field(default=2000, ge=2)
    """So many for each number; all masks where there are no more."""
