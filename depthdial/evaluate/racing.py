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

from depthdial.arch import Architecture
from depthdial.evaluate.results import Evaluation
from depthdial.evaluate.shards import block_evaluations
from depthdial.masks import Mask

STAKES = np.array([0.1, 0.3, 0.6, 0.9])
Bools = NDArray[np.bool_]
EvaluateImages = Callable[[Sequence[Mask], NDArray[np.int64]], Bools]
"""Correctness (masks, images) of masks on the images of the given indices."""


@dataclass(frozen=True)
class Race:
    """The survivors' correctness on all images, and the block evaluations spent in units of all images."""

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
    seed: int = 0,
) -> Race:
    """Evaluate ``masks`` (sorted) in rounds, each doubling the images seen, and drop what is beaten.

    ``costs`` are those of the masks; ``alpha`` is the probability with which any one front member may be
    dropped. ``spared`` masks are never dropped.
    """
    order = np.random.default_rng(seed).permutation(n_images)
    alive = np.arange(len(masks))
    wealth = np.zeros((len(masks), len(STAKES)))
    correct = np.zeros((len(masks), 0), bool)
    spent = 0.0
    while correct.shape[1] < n_images:
        seen = correct.shape[1]
        part = order[seen : max(2 * seen, first_images)]
        survivors = [masks[index] for index in alive.tolist()]
        fresh = evaluate(survivors, part)
        spent += block_evaluations(survivors) * len(part) / n_images
        if seen:
            wealth += _winnings(fresh, _challengers(costs[alive], correct.sum(axis=1)))
        correct = np.hstack([correct, fresh])
        if correct.shape[1] < n_images:
            stays = logsumexp(wealth, axis=1) - np.log(len(STAKES)) < -np.log(alpha)
            stays |= np.array([mask in spared for mask in survivors])
            alive, wealth, correct = alive[stays], wealth[stays], correct[stays]
    unshuffled = np.empty_like(correct)
    unshuffled[:, order] = correct
    kept = tuple(masks[index] for index in alive.tolist())
    return Race(Evaluation(kept, n_images, np.packbits(unshuffled, axis=1)), spent)


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


def _winnings(fresh: Bools, challengers: NDArray[np.int64]) -> NDArray[np.float64]:
    """Growth (masks, stakes) of the logarithm of the challengers' wealth in a round."""
    won = (fresh[challengers] & ~fresh).sum(axis=1)[:, None]
    lost = (~fresh[challengers] & fresh).sum(axis=1)[:, None]
    growth: NDArray[np.float64] = won * np.log1p(STAKES) + lost * np.log1p(-STAKES)
    return growth
