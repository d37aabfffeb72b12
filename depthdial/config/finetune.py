"""How a dial is fine-tuned on its chosen configurations."""

from __future__ import annotations

from pydantic import Field

from depthdial.config.base import Section


class Finetune(Section):
    """A short training of the chosen configurations alone: at every step the full network and one other of them, which
    learns from the full network's outputs. Batches and augmentation are those of the network's recipe."""

    epochs: int = Field(default=2, ge=1, le=100_000)
    """Passes over the training split."""
    learning_rate: float = Field(default=0.02, gt=0)
    """Learning rate at the beginning; it falls linearly to zero."""
