"""How masks are searched, and how strategies are compared."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import Field

from depthdial.config.base import Section, Seed

Strategy = Literal[
    "exhaustive",
    "sensitivity",
    "l2",
    "fisher",
    "hessian",
    "random",
    "elimination",
    "construction",
    "nsga2",
    "surrogate",
]
STRATEGIES: tuple[Strategy, ...] = tuple(name for name in get_args(Strategy) if name != "exhaustive")
"""Those compared by default: all but the truth itself."""
LARGEST_EXHAUSTIVE = 20
"""Blocks of a network of which all masks may be evaluated, about a million of them."""


class Search(Section):
    """Search of the masks of networks too deep to evaluate all, and its test on those that are not."""

    exhaustive_blocks: int = Field(default=12, ge=1, le=LARGEST_EXHAUSTIVE)
    """Networks of at most so many blocks have all 2^n masks evaluated; deeper ones are searched."""
    strategy: Strategy = "surrogate"
    """The search of deeper networks; with `exhaustive` they are refused."""
    generations: int = Field(default=12, ge=1, le=1000)
    """Generations of that search; each is one round of evaluation jobs."""
    batch: int = Field(default=64, ge=1, le=100_000)
    """Masks of a generation, for strategies that can choose: `nsga2`, `surrogate`; beam of `construction`."""
    seed: Seed = 0
    """Seed of that search."""
    importance_images: int = Field(default=128, ge=1, le=1_000_000)
    """Training images for the Fisher information and the Hessian's trace."""
    hessian_probes: int = Field(default=8, ge=1, le=10_000)
    """Random vectors of Hutchinson's estimator."""
    compare: tuple[Strategy, ...] = Field(default=STRATEGIES, max_length=len(STRATEGIES) + 1)
    """Strategies compared against the truth of networks with all masks evaluated."""
    compare_seeds: int = Field(default=3, ge=1, le=1000)
    """Search seeds of the strategies that are random."""
    compare_budget: float = Field(default=0.5, gt=0, le=1)
    """Block evaluations that each may spend, as a share of those of all masks."""
    compare_deep_budget: int = Field(default=0, ge=0, le=10**9)
    """Block evaluations that each may spend on a dial too deep to evaluate all masks; nobody knows its true front, so
    what each finds is held against the best front of all together. 0: searches of such dials are not compared."""
    ablation_masks: int = Field(default=32, ge=1, le=100_000)
    """Masks on which the rules of scaling are compared, with and without recalibration."""

    def settings(self, *names: str) -> dict[str, Any]:
        """Settings by name as plain values, and those of the scores of units, which all strategies depend on."""
        return self.model_dump(mode="json", include={*names, "importance_images", "hessian_probes"})

    def problem(self, n_blocks: int) -> str | None:
        """What keeps this search from a network of so many blocks, if anything does."""
        if n_blocks <= self.exhaustive_blocks:
            return None
        if self.strategy == "exhaustive":
            return (
                f"strategy: exhaustive: a network of {n_blocks} blocks has 2^{n_blocks} masks, exhaustive_blocks "
                f"allows 2^{self.exhaustive_blocks}; raise it (at most {LARGEST_EXHAUSTIVE}) or take surrogate"
            )
        if self.strategy == "elimination" and self.generations <= n_blocks:
            return (
                f"generations: elimination skips one block a generation and needs {n_blocks + 1} for {n_blocks} "
                f"blocks, got {self.generations}"
            )
        if self.strategy == "nsga2" and self.batch < 4:
            return f"batch: nsga2 evolves a population of so many masks, which takes at least 4, got {self.batch}"
        return None
