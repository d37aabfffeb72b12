"""Skip masks: which residual blocks of a network are kept."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import total_ordering
from itertools import combinations
from math import comb


@total_ordering
@dataclass(frozen=True)
class Mask:
    """An immutable choice of blocks: a string of ``1`` (kept) and ``0`` (skipped), block 0 first.

    Masks order as their strings do, so that masks with a common prefix are neighbours.
    """

    bits: str

    def __post_init__(self) -> None:
        if not self.bits or set(self.bits) - {"0", "1"}:
            raise ValueError(f"a mask is a string of 0 and 1, got {self.bits!r}")

    @classmethod
    def full(cls, n: int) -> Mask:
        """The mask that keeps all ``n`` blocks."""
        return cls("1" * n)

    @classmethod
    def from_kept(cls, n: int, kept: Iterator[int] | list[int] | set[int]) -> Mask:
        """The mask of ``n`` blocks that keeps those whose indices are given."""
        chosen = set(kept)
        return cls("".join("1" if block in chosen else "0" for block in range(n)))

    @classmethod
    def nested(cls, stages: Sequence[int], depths: Sequence[int]) -> Mask:
        """The mask that keeps the first ``depths`` of the blocks of each stage (Cai et al. 2020, section 3.2)."""
        return cls("".join("1" * kept + "0" * (units - kept) for units, kept in zip(stages, depths, strict=True)))

    @property
    def n(self) -> int:
        """Number of blocks that the mask speaks of."""
        return len(self.bits)

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices of the kept blocks, ascending."""
        return tuple(i for i, bit in enumerate(self.bits) if bit == "1")

    @property
    def skipped(self) -> tuple[int, ...]:
        """Indices of the skipped blocks, ascending."""
        return tuple(i for i, bit in enumerate(self.bits) if bit == "0")

    @property
    def gates(self) -> tuple[bool, ...]:
        """One truth value per block: True where the block is kept."""
        return tuple(bit == "1" for bit in self.bits)

    def flip(self, block: int) -> Mask:
        """The mask that differs in ``block`` alone."""
        other = "0" if self.bits[block] == "1" else "1"
        return Mask(self.bits[:block] + other + self.bits[block + 1 :])

    def __str__(self) -> str:
        return self.bits

    def __lt__(self, other: Mask) -> bool:
        return self.bits < other.bits


def sampled_masks(n: int, skipped: int, count: int) -> list[Mask]:
    """``count`` random masks that skip so many of n units, always the same ones; all of them if there are no more."""
    if comb(n, skipped) <= count:
        return [Mask.from_kept(n, set(range(n)) - set(away)) for away in combinations(range(n), skipped)]
    generator = random.Random(f"{n} {skipped}")
    found: set[Mask] = set()
    while len(found) < count:
        found.add(Mask.from_kept(n, set(range(n)) - set(generator.sample(range(n), skipped))))
    return sorted(found)


def all_masks(n: int) -> Iterator[Mask]:
    """All 2^n masks in the order of their strings."""
    for value in range(2**n):
        yield Mask(format(value, f"0{n}b"))
