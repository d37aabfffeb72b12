"""NSGA-II over masks, by pymoo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.networks.description import Description
from depthdial.networks.masks import Mask
from depthdial.search.base import Searcher


class Evolution(Searcher):
    """NSGA-II (Deb et al. 2002) on error and cost: uniform crossover, bit flips, no duplicates.

    The first population spreads over the numbers of kept blocks. Offspring known already are not measured
    again; the search is over when thirty generations in a row bring nothing new.
    """

    POPULATION = 16

    def __init__(self, network: Description, seed: int = 0, population: int = POPULATION) -> None:
        super().__init__(network, seed)
        self.seed, self.population = seed, population

    def _generations(self) -> Iterator[Sequence[Mask]]:
        algorithm = self._algorithm()
        stale = 0
        while stale < 30:
            offspring = algorithm.ask()
            if offspring is None or not len(offspring):
                return
            masks = [_mask(row) for row in offspring.get("X")]
            stale = stale + 1 if set(masks) <= set(self.accuracy) else 0
            yield masks
            costs = [self.network.macs(mask) / self.network.full_macs for mask in masks]
            offspring.set("F", np.column_stack([costs, [1 - self.accuracy[mask] for mask in masks]]))
            algorithm.tell(infills=offspring)

    def _algorithm(self) -> Any:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.problem import Problem
        from pymoo.operators.crossover.ux import UniformCrossover
        from pymoo.operators.mutation.bitflip import BitflipMutation
        from pymoo.termination import get_termination

        n = self.network.n_units
        algorithm = NSGA2(
            pop_size=self.population,
            sampling=self._first_population(),
            crossover=UniformCrossover(),
            mutation=BitflipMutation(prob_var=1 / n),
            eliminate_duplicates=True,
        )
        problem = Problem(n_var=n, n_obj=2, xl=0, xu=1, vtype=bool)
        algorithm.setup(problem, termination=get_termination("n_gen", 10**9), seed=self.seed, verbose=False)
        return algorithm

    def _first_population(self) -> NDArray[np.bool_]:
        n = self.network.n_units
        rows = np.zeros((self.population, n), bool)
        for row, kept in zip(rows, np.linspace(0, n, self.population).round().astype(int), strict=True):
            row[self.rng.permutation(n)[:kept]] = True
        return rows


def _mask(row: NDArray[np.bool_]) -> Mask:
    return Mask("".join("1" if bit else "0" for bit in row))
