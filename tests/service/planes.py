"""A plane small enough to be searched in every test."""

from service.boundary.plane import make_plane, spaced_axis

SIZE = 9
"""Points on each of its axes."""


def small_plane():
    x = spaced_axis("--x", "weight_decay", 0.1, 10, SIZE, log=True)
    y = spaced_axis("--y", "train_fraction", 0.1, 0.9, SIZE, log=False)
    return make_plane(x, y, {"P": 7, "side": 8, "width": 16, "ffn": 16}, [0, 1])
