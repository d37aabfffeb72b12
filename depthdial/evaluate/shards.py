"""Sets of masks: what they cost together, and their division among jobs along prefixes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

from depthdial.networks.masks import Mask


def block_evaluations(masks: Iterable[Mask]) -> int:
    """Block evaluations per image that a set of masks costs when common prefixes are shared.

    All 2^n masks cost 2^n - 1.
    """
    return sum(_additions(sorted(set(masks))))


def shard(masks: Iterable[Mask], index: int, count: int) -> list[Mask]:
    """The masks of shard ``index`` of ``count``: a run of neighbours, so that prefixes stay together.

    Runs are cut where the block evaluations, counted from the first mask on, pass equal shares.
    """
    if not 0 <= index < count:
        raise ValueError(f"shard {index} of {count} does not exist")
    ordered = sorted(set(masks))
    costs = [0, *accumulate(cost + 1 for cost in _additions(ordered))]
    cuts = [bisect_left(costs, costs[-1] * part / count) for part in (index, index + 1)]
    return ordered[cuts[0] : cuts[1]]


def _additions(ordered: list[Mask]) -> list[int]:
    """Kept blocks of each mask behind the prefix that it shares with the mask before it."""
    additions, before = [], ""
    for mask in ordered:
        common = next((i for i, (a, b) in enumerate(zip(before, mask.bits, strict=False)) if a != b), len(before))
        additions.append(mask.bits.count("1", common))
        before = mask.bits
    return additions
