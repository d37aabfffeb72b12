"""Figures of accuracies: names that stand by their points, intervals of one seed and of several."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from depthdial.figures.accuracies import points
from depthdial.figures.style import canvas, point, spread

PLACES = st.tuples(st.floats(0.1, 0.9), st.floats(0.1, 0.9))


@settings(max_examples=20)
@given(st.lists(PLACES, min_size=2, max_size=4))
def test_names_stand_by_their_own_points(places: list[tuple[float, float]]) -> None:
    """Of points that are not too close no name covers another, leaves the frame or is nearer to another's point."""
    if any(np.hypot(a[0] - b[0], a[1] - b[1]) < 0.2 for i, a in enumerate(places) for b in places[:i]):
        return
    with canvas(88) as (figure, axis):
        axis.set(xlim=(0, 1), ylim=(0, 1))
        names = [point(axis, at, "resnet20", "black", "o", (at[1], at[1])) for at in places]
        spread(figure, names)
        boxes = [name.get_window_extent() for name in names]
        centres = [axis.transData.transform(at) for at in places]
        frame = axis.get_window_extent()
    for index, box in enumerate(boxes):
        assert frame.contains(box.x0, box.y0)
        assert frame.contains(box.x1, box.y1)
        assert not any(box.overlaps(other) for other in boxes[:index])
        far = [np.hypot(*(np.clip(c, (box.x0, box.y0), (box.x1, box.y1)) - c)) for c in centres]
        assert far[index] == min(far)


def test_a_name_keeps_off_points_without_a_name() -> None:
    with canvas(88) as (figure, axis):
        axis.set(xlim=(0, 1), ylim=(0, 1))
        name = point(axis, (0.5, 0.5), "resnet20", "black", "o", (0.5, 0.5))
        spread(figure, [name])
        usual = name.get_window_extent()
        x, y = axis.transData.inverted().transform(((usual.x0 + usual.x1) / 2, (usual.y0 + usual.y1) / 2))
        spread(figure, [name], [(x, y)])
        moved = name.get_window_extent()
        assert not moved.contains(*axis.transData.transform((x, y)))


def test_of_one_seed_the_interval_is_that_of_its_images() -> None:
    row = {"network": "dial", "role": "dial", "budget": "full", "macs": 10, "low": 0.85, "high": 0.95}
    one = pd.DataFrame([{**row, "seed": 0, "test_accuracy": 0.9}])
    found = points(one).iloc[0]
    assert (found["low"], found["high"], found["seeds"]) == (0.85, 0.95, 1)
    two = pd.concat([one, one.assign(seed=1, test_accuracy=0.92)])
    found = points(two).iloc[0]
    assert found["low"] < 0.85, "Student's t of two seeds is wide"
    assert found["test_accuracy"] == 0.91
