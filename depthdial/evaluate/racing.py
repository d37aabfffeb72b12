"""Racing: masks that cannot be on the front are dropped before they have seen all images.

Images come in random order, in rounds. Before a round every mask is given a challenger: the mask that has
been best so far among those that cost no more. On each image of the round the challenger bets against the
mask: its wealth is multiplied by 1 + b when it alone is right and by 1 - b when the mask alone is right,
averaged over several stakes b. A mask on the front is, in expectation, beaten by none that costs no more, so
the wealth held against it is a nonnegative supermartingale and by Ville's inequality ever exceeds 1 / a with
a probability of at most a (testing by betting: Shafer 2021; Waudby-Smith and Ramdas 2024). With
a = (1 - confidence) / (number of distinct costs), the chance that the race drops any member of the front,
one for each cost, is at most 1 - confidence. Images are taken as independent draws: the front is that of
expected accuracies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from depthdial.evaluate.results import Evaluation
from depthdial.evaluate.shards import block_evaluations
from depthdial.networks.description import Architecture
from depthdial.networks.masks import Mask

STAKES = np.array([0.1, 0.3, 0.6, 0.9])
ROWS = 4096
"""Masks whose correctness is unpacked at once."""
Packed = NDArray[np.uint8]
EvaluateImages = Callable[[Sequence[Mask], NDArray[np.int64]], Packed]
"""Correctness of masks on the images of the given indices, (masks, ceil(images / 8)) by ``numpy.packbits``."""


@dataclass(frozen=True)
class Race:
    """The survivors' correctness on all images, and the block evaluations spent in units of all images.

    Calibration images count among them: every round walks them again.
    """

    evaluation: Evaluation
    block_evaluations: float


def distinct_costs(arch: Architecture) -> int:
    """How many different numbers of MACs the masks of a network have."""
    sums = {0}
    for block in arch.blocks:
        sums |= {total + block.macs for total in sums}
    return len(sums)


def race(
    evaluate: EvaluateImages,
    masks: Sequence[Mask],
    costs: NDArray[np.float64],
    n_images: int,
    alpha: float,
    first_images: int,
    spared: Sequence[Mask] = (),
    calibration_images: int = 0,
    seed: int = 0,
) -> Race:
    """Evaluate ``masks`` (sorted) in rounds, each doubling the images seen, and drop what is beaten.

    ``costs`` are those of the masks; ``alpha`` is the probability with which any one front member may be
    dropped. ``spared`` masks are never dropped.
    """
    order = np.random.default_rng(seed).permutation(n_images)
    alive = np.arange(len(masks))
    wealth = np.zeros((len(masks), len(STAKES)))
    counts = np.zeros(len(masks), np.int64)
    rounds: list[tuple[NDArray[np.int64], Packed]] = []
    seen, spent = 0, 0.0
    while seen < n_images:
        part = order[seen : max(2 * seen, first_images)]
        survivors = [masks[index] for index in alive.tolist()]
        fresh = evaluate(survivors, part)
        spent += block_evaluations(survivors) * (len(part) + calibration_images) / (n_images + calibration_images)
        if seen:
            wealth += _winnings(fresh, _challengers(costs[alive], counts))
        counts = counts + _ones(fresh)
        rounds.append((part, fresh))
        seen += len(part)
        if seen < n_images:
            stays = logsumexp(wealth, axis=1) - np.log(len(STAKES)) < -np.log(alpha)
            stays |= np.array([mask in spared for mask in survivors])
            alive, wealth, counts = alive[stays], wealth[stays], counts[stays]
            rounds = [(images, packed[stays]) for images, packed in rounds]
    kept = tuple(masks[index] for index in alive.tolist())
    return Race(Evaluation(kept, n_images, _in_order(rounds, len(alive), n_images)), spent)


def _in_order(rounds: Sequence[tuple[NDArray[np.int64], Packed]], n_masks: int, n_images: int) -> Packed:
    """The correctness of all rounds with the images in their own order, some rows at a time."""
    packed = np.zeros((n_masks, (n_images + 7) // 8), np.uint8)
    for start in range(0, n_masks, ROWS):
        rows = slice(start, start + ROWS)
        correct = np.zeros((len(packed[rows]), n_images), bool)
        for images, fresh in rounds:
            correct[:, images] = np.unpackbits(fresh[rows], axis=1, count=len(images))
        packed[rows] = np.packbits(correct, axis=1)
    return packed


def _challengers(costs: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each mask the index of the best so far among those that cost no more, itself if there is none."""
    order = np.lexsort((-counts, costs))
    best = np.empty(len(costs), np.int64)
    leader = order[0]
    for index in order:
        if counts[index] > counts[leader]:
            leader = index
        best[index] = leader
    return best


def _winnings(fresh: Packed, challengers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Growth (masks, stakes) of the logarithm of the challengers' wealth in a round."""
    theirs = fresh[challengers]
    won, lost = _ones(theirs & ~fresh)[:, None], _ones(fresh & ~theirs)[:, None]
    growth: NDArray[np.float64] = won * np.log1p(STAKES) + lost * np.log1p(-STAKES)
    return growth


def _ones(packed: Packed) -> NDArray[np.int64]:
    return np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
