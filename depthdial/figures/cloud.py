"""All evaluated masks, their front and the chosen configurations."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from depthdial.figures.style import canvas, point, spread
from depthdial.networks.configurations import ConfigurationSet
from depthdial.select.front import pareto_front


def cloud_data(masks: pd.DataFrame, chosen: ConfigurationSet) -> pd.DataFrame:
    """The masks of one network and seed with their place: on the front or not, and the configuration's name."""
    names = {c.mask: c.name for c in chosen.configurations}
    front = set(pareto_front(masks["macs"].to_numpy(float), masks["val_accuracy"].to_numpy(float)).tolist())
    table = masks[["mask", "kept", "macs", "val_accuracy"]].reset_index(drop=True)
    table["on_front"] = [index in front for index in range(len(table))]
    table["configuration"] = table["mask"].map(names)
    return table


def draw_cloud(
    data: pd.DataFrame,
    statics: pd.DataFrame,
    chosen: ConfigurationSet,
    colours: Mapping[str, str],
    title: str,
    width_mm: float,
) -> Figure:
    """Accuracy against MACs; bars are 95 % Wilson intervals of the chosen configurations and static networks.

    ``statics`` has network, macs, val_accuracy, low, high.
    """
    with canvas(width_mm, 0.8) as (figure, axis):
        axis.scatter(data["macs"] / 1e6, data["val_accuracy"], s=5, color=colours["neutral"], alpha=0.35,
                     linewidths=0, label=f"{len(data)} masks", rasterized=True)  # fmt: skip
        front = data[data["on_front"]].sort_values("macs")
        axis.step(
            front["macs"] / 1e6, front["val_accuracy"], where="post", color=colours["dial"], linewidth=1, label="front"
        )
        names = []
        for c in chosen.configurations:
            at = (c.macs / 1e6, c.validation_accuracy)
            names.append(point(axis, at, c.name, colours["dial"], "o", (c.validation_low, c.validation_high)))
        for row in statics.to_dict("records"):
            at = (row["macs"] / 1e6, row["val_accuracy"])
            names.append(point(axis, at, row["network"], colours["static"], "D", (row["low"], row["high"])))
        lowest = min(c.validation_low for c in chosen.configurations)
        axis.set_ylim(min(lowest, statics["low"].min() if len(statics) else 1) - 0.06, 1.005)
        axis.set(xlabel="million MACs per image", ylabel="validation accuracy", title=title)
        hidden = int((data["val_accuracy"] < axis.get_ylim()[0]).sum())
        axis.legend(loc="lower right", title=f"{hidden} masks lie below" if hidden else None, title_fontsize=6.5)
        spread(figure, names)
        return figure
