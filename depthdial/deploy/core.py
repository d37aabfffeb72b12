"""What kernels are cut for: vector registers and what they hold, caches and cores."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Processor(BaseModel):
    """A core as the loops of a kernel see it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    cpu: str
    """As LLVM names it."""
    registers: int
    """Vector registers."""
    floats: int
    """Single-precision numbers in one of them."""
    fused: bool
    """Whether a product is added to a sum by one instruction."""
    by_element: bool
    """Whether an instruction multiplies by one number of a register, which then needs no register of its own."""
    l1_kb: int
    """First-level data cache."""
    l2_kb: int
    """Second-level cache of a core."""
    cores: int
    """Cores that may share an inference."""
