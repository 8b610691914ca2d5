"""What the picture of a boundary says of its points."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex

from service.boundary import figure
from service.boundary.lattice import Belief
from service.boundary.plane import Axis, Plane
from service.report.figures import PHASE_COLORS

CLOSE = (0.1231, 0.1232, 0.1233)


def drawn(phases):
    """Axes of a picture with these phases at its points."""
    plane = Plane(
        Axis("weight_decay", CLOSE, log=False), Axis("P", (7, 11, 13), log=False), {}, (0,)
    )
    nothing = np.zeros(plane.shape)
    return figure.draw(plane, 1, Belief(nothing, nothing > 0), phases).axes[0]


def dots(ax):
    """Phase and marker of every dot, by its point."""
    names = {to_hex(color): phase for phase, color in PHASE_COLORS.items()}
    found = [c for c in ax.collections if isinstance(c, PathCollection)]
    return [
        (tuple(map(int, c.get_offsets()[0])), names[to_hex(c.get_facecolor()[0])], c) for c in found
    ]


def test_a_point_on_which_seeds_agree_is_of_one_colour():
    ((point, phase, _),) = dots(drawn({(1, 2): ["grokking", "grokking"]}))
    assert (point, phase) == ((1, 2), "grokking")


@pytest.mark.parametrize("found", [["grokking", "memorization"], ["memorization", "grokking"]])
def test_a_tie_is_drawn_as_one(found):
    halves = dots(drawn({(1, 1): found}))
    assert sorted(phase for _, phase, _ in halves) == ["grokking", "memorization"]
    areas = [area(dot) for *_, dot in halves]
    assert areas[0] == pytest.approx(areas[1])


def test_a_pie_is_as_large_as_a_dot_and_shared_like_the_seeds():
    *parts, whole = dots(drawn({(0, 0): ["confusion", "grokking", "grokking"],
                                (1, 1): ["grokking"]}))  # fmt: skip
    sizes = {phase: area(dot) / area(whole[2]) for _, phase, dot in parts}
    assert sizes["confusion"] == pytest.approx(1 / 3, rel=0.02)
    assert sizes["grokking"] == pytest.approx(2 / 3, rel=0.02)


def area(dot):
    """Square points within a marker as it is drawn."""
    (path,) = dot.get_paths()
    (x, y), scale = np.array(path.to_polygons()[0]).T, dot.get_sizes()[0]
    return scale * abs(np.dot(x[:-1], y[1:]) - np.dot(x[1:], y[:-1])) / 2


def test_labels_of_close_values_differ():
    assert [t.get_text() for t in drawn({}).get_xticklabels()] == ["0.1231", "0.1232", "0.1233"]
