"""The picture of a boundary: inferred sides shaded, observed points by phase, the line between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from grokmodel.core.outcome import PHASES
from service.boundary.lattice import Belief, Point, edges
from service.boundary.plane import Axis, Plane
from service.report import figures
from service.report.figures import PHASE_COLORS
from service.report.phase_figures import UNITS
from service.tables.names import distinct

SHADES = ("#F4EFE6", "#DCEFE8")
"""The side that has not generalised (or learned), and the one that has."""
CELL_IN, LEAST_IN = 0.3, 2.4
"""Inches a cell, within the bounds of a page; inches of a side, at least."""


def draw(
    plane: Plane, tolerance: int, belief: Belief, phases: Mapping[Point, Sequence[str]]
) -> Figure:
    """The lattice, a square a point; a dot where a point was observed."""
    nx, ny = plane.shape
    size_in = figures.plane_in(plane.shape, (CELL_IN, CELL_IN))
    width, height = (max(side, LEAST_IN) for side in size_in)
    figure, axes = figures.new_figure(width + 2.4, height + 1.0)
    ax: Axes = axes[0, 0]
    ax.imshow(
        belief.side_XY.T, origin="lower", cmap=ListedColormap(SHADES), vmin=0, vmax=1, aspect="auto"
    )
    ax.add_collection(LineCollection(_steps(belief), colors="black", linewidths=1.8, zorder=2))
    size = min(110.0, (0.55 * 72 * min(width / nx, height / ny)) ** 2)
    for point, found in phases.items():
        _dot(ax, point, found, size)
    _ticks(ax, plane)
    seen = bool(len(edges(belief.side_XY)))
    ax.set_title(_title(plane, tolerance, phases, seen), fontsize=9)
    handles = _handles(plane, phases, seen)
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _dot(ax: Axes, point: Point, found: Sequence[str], size: float) -> None:
    """A point in the colour of its phase; where seeds disagree, a pie of their phases."""
    counts, start = Counter(found), 0.25
    for phase in (p for p in PHASES if counts[p]):
        end = start + counts[phase] / len(found)
        marker: Any = "o" if len(counts) == 1 else _wedge(start, end)
        # a marker is drawn as large as its farthest coordinate, whatever that is
        scale = 1.0 if len(counts) == 1 else np.abs(marker).max() ** 2
        ax.scatter(*point, s=size * scale, marker=marker, color=PHASE_COLORS[phase],
                   edgecolors="black", lw=0.5, zorder=3)  # fmt: skip
        start = end


def _wedge(start: float, end: float) -> np.ndarray:
    """Corners of a part of the unit circle, in turns."""
    angles = 2 * np.pi * np.linspace(start, end, 40)
    return np.array([(0.0, 0.0), *zip(np.cos(angles), np.sin(angles))])


def _steps(belief: Belief) -> list[list[tuple[float, float]]]:
    """The line between the squares of each edge's two points."""
    lines = []
    for (x, y), (x2, _) in edges(belief.side_XY):
        if x != x2:
            lines.append([(x + 0.5, y - 0.5), (x + 0.5, y + 0.5)])
        else:
            lines.append([(x - 0.5, y + 0.5), (x + 0.5, y + 0.5)])
    return lines


def _ticks(ax: Axes, plane: Plane) -> None:
    for axis, name in ((plane.x, "x"), (plane.y, "y")):
        places = figures.tick_places(len(axis))
        labels = distinct(axis.values, digits=3)
        getattr(ax, f"set_{name}ticks")(places, [labels[i] for i in places])
        getattr(ax, f"set_{name}label")(_label(axis))
    ax.tick_params(labelsize=8, length=2)


def _label(axis: Axis) -> str:
    name = UNITS.get(axis.field, axis.field)
    return f"{name} (log)" if axis.log else name


def _title(plane: Plane, tolerance: int, phases: Mapping[Point, Sequence[str]], seen: bool) -> str:
    size = plane.shape[0] * plane.shape[1]
    what = f"tolerance {cells_in_words(tolerance)}" if seen else "no boundary seen"
    return f"{len(phases)} of {size} points observed; {what}"


def cells_in_words(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _handles(
    plane: Plane, phases: Mapping[Point, Sequence[str]], seen: bool
) -> list[Patch | Line2D]:
    there = {phase for found in phases.values() for phase in found}
    dots = [
        Line2D([], [], ls="", marker="o", color=PHASE_COLORS[p], mec="black", mew=0.5, label=p)
        for p in PHASES
        if p in there
    ]
    sides = [Patch(facecolor=c, edgecolor="#999999", label=t, lw=0.5)
             for c, t in zip(SHADES[::-1], (plane.what, f"not {plane.what}"))]  # fmt: skip
    line = Line2D([], [], color="black", lw=1.8, label="boundary")
    return [*dots, *sides, *([line] if seen else [])]
