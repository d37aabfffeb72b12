"""The paper's sensitivity ranking against the other strategies, on true fronts."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from depthdial.statistics.intervals import mean, paired, share

SENSITIVITY = "sensitivity"


def rankings(searches: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A row per strategy, the best first; ``searches`` are the tables of ``compare_searches``, one per training seed.

    Columns: strategy, seeds, search_seeds; at the end of the budget: masks, share_of_exhaustive (block evaluations),
    hypervolume (share of the true front's) and igd_plus; where the truth is not known, block_evaluations and
    hypervolume_together (share of that of all strategies together) in place of the two; at_cost: the hypervolume share
    by the time that the strategy has spent what the sensitivity ranking takes, or after its first generation if that
    costs more;
    behind_sensitivity: the ranking's own hypervolume share minus at_cost, paired by training seed. Of several search
    seeds the median counts.
    """
    reference = [
        (table[table["strategy"] == SENSITIVITY].iloc[-1] if (table["strategy"] == SENSITIVITY).any() else None)
        for table in searches
    ]
    known = "share_of_exhaustive" in searches[0]
    spent, whole = ("share_of_exhaustive", "hypervolume") if known else ("block_evaluations", "hypervolume_together")
    rows = []
    for strategy in dict.fromkeys(name for table in searches for name in table["strategy"]):
        ends, costs = [], []
        for table, other in zip(searches, reference, strict=True):
            part = table[table["strategy"] == strategy]
            last = part.groupby("search_seed").last()
            ends.append(last[["masks", spent, "hypervolume_share", "igd_plus"]].median())
            if other is not None:
                costs.append(_at_cost(part, float(other["block_evaluations"])))
        rivals = [float(other["hypervolume_share"]) for other in reference if other is not None]
        rows.append(
            {
                "strategy": strategy,
                "seeds": len(ends),
                "search_seeds": int(searches[0].query("strategy == @strategy")["search_seed"].nunique()),
                "masks": mean(end["masks"] for end in ends).value,
                spent: mean(end[spent] for end in ends).value,
                **share(end["hypervolume_share"] for end in ends).columns(whole),
                "igd_plus": mean(end["igd_plus"] for end in ends).value,
                **share(costs).columns("at_cost"),
                **paired(rivals, costs).columns("behind_sensitivity"),
            }
        )
    return pd.DataFrame(rows).sort_values(whole, ascending=False, ignore_index=True)


def _at_cost(part: pd.DataFrame, cost: float) -> float:
    """Median over search seeds of the hypervolume share once ``cost`` block evaluations are spent."""
    shares = []
    for _, run in part.groupby("search_seed"):
        within = run[run["block_evaluations"] <= cost]
        shares.append(float((within if len(within) else run.head(1))["hypervolume_share"].iloc[-1]))
    return float(pd.Series(shares).median())
