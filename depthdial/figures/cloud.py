"""All evaluated masks, their front and the chosen configurations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, in_percent, point, spread, tell
from depthdial.networks.configurations import ConfigurationSet, read_configurations
from depthdial.select.front import pareto_front

MOST_TOLD = 600
"""Of more masks only those on the front tell their figures."""


def draw(style: Style, *, masks: str, configurations: str, statics: Sequence[str]) -> Drawing:
    """The masks of one network and seed, what was chosen of them, and the static networks' configurations."""
    chosen = read_configurations(configurations)
    data = cloud_data(read_table(masks), chosen)
    beside = [(s.network, s.configurations[0]) for s in map(read_configurations, statics)]
    table = pd.DataFrame(
        [(name, c.macs, c.validation_accuracy, c.validation_low, c.validation_high) for name, c in beside],
        columns=["network", "macs", "val_accuracy", "low", "high"],
    )
    shown = pd.concat([data.assign(network=chosen.network), table[["network", "macs", "val_accuracy"]]])
    note = f"{chosen.network}, seed {chosen.seed}; bars: 95 % Wilson intervals"
    return Drawing(picture(data, table, chosen, style), shown, note)


def cloud_data(masks: pd.DataFrame, chosen: ConfigurationSet) -> pd.DataFrame:
    """The masks of one network and seed with their place: on the front or not, and the configuration's name."""
    names = {c.mask: c.name for c in chosen.configurations}
    front = set(pareto_front(masks["macs"].to_numpy(float), masks["val_accuracy"].to_numpy(float)).tolist())
    table = masks[["mask", "kept", "macs", "val_accuracy"]].reset_index(drop=True)
    table["on_front"] = [index in front for index in range(len(table))]
    table["configuration"] = table["mask"].map(names)
    return table


def tooltip(row: Mapping[Any, Any]) -> str:
    """What a mask says of itself."""
    name = f"{row['configuration']}, " if pd.notna(row["configuration"]) else ""
    macs = f"{row['macs'] / 1e6:.3g} million MACs"
    return f"{name}{row['mask']}: {100 * row['val_accuracy']:.1f} %, {macs}, {row['kept']} blocks kept"


def picture(data: pd.DataFrame, statics: pd.DataFrame, chosen: ConfigurationSet, style: Style) -> Figure:
    """Accuracy against MACs; bars are 95 % Wilson intervals of the chosen configurations and static networks.

    ``statics`` has network, macs, val_accuracy, low, high.
    """
    with canvas(style.width_mm, 0.8) as (figure, axis):
        axis.scatter(data["macs"] / 1e6, data["val_accuracy"], s=5, color=style.colours["neutral"], alpha=0.35,
                     linewidths=0, label=f"{len(data)} masks", rasterized=True)  # fmt: skip
        front = data[data["on_front"]].sort_values("macs")
        axis.step(
            front["macs"] / 1e6,
            front["val_accuracy"],
            where="post",
            color=style.colours["dial"],
            linewidth=1,
            label="front",
        )
        names = []
        for c in chosen.configurations:
            at = (c.macs / 1e6, c.validation_accuracy)
            names.append(point(axis, at, c.name, style.colours["dial"], "o", (c.validation_low, c.validation_high)))
        for row in statics.to_dict("records"):
            at = (row["macs"] / 1e6, row["val_accuracy"])
            names.append(point(axis, at, row["network"], style.colours["static"], "D", (row["low"], row["high"])))
            tell(axis, at, f"static {row['network']}: {100 * row['val_accuracy']:.1f} %, {at[0]:.3g} million MACs")
        lowest = min(c.validation_low for c in chosen.configurations)
        axis.set_ylim(min(lowest, statics["low"].min() if len(statics) else 1) - 0.06, 1.005)
        axis.set(xlabel="million MACs per image", ylabel="validation accuracy / %", title=style.title)
        in_percent(axis.yaxis)
        hidden = int((data["val_accuracy"] < axis.get_ylim()[0]).sum())
        telling = front if len(data) > MOST_TOLD else data
        for row in telling[telling["val_accuracy"] >= axis.get_ylim()[0]].to_dict("records"):
            tell(axis, (row["macs"] / 1e6, row["val_accuracy"]), tooltip(row))
        axis.legend(loc="lower right", title=f"{hidden} masks lie below" if hidden else None, title_fontsize=6.5)
        spread(figure, names)
        return figure
