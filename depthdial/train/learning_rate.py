"""Learning-rate schedules as functions of the progress of training."""

from __future__ import annotations

import math
from typing import Literal

WARM_UP = 0.2


def learning_rate_factor(
    schedule: Literal["one_cycle", "cosine", "step"], progress: float, warm_up: float = 0.0
) -> float:
    """The share of the peak learning rate at ``progress`` in [0, 1], of which ``warm_up`` is a straight rise."""
    if progress < warm_up:
        return progress / warm_up
    if warm_up:
        progress = (progress - warm_up) / (1 - warm_up)
    if schedule == "one_cycle":
        return progress / WARM_UP if progress < WARM_UP else (1 - progress) / (1 - WARM_UP)
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01
