"""The picture of a boundary: sides shaded, seeds of observed points by phase, the line between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.path import Path

from grokmodel.core.outcome import PHASES
from service.boundary.lattice import Point, edges
from service.boundary.plane import Axis, Plane
from service.boundary.state import Found
from service.colors import PHASE_COLORS
from service.report import figures
from service.report.phase_figures import UNITS
from service.tables.names import distinct

SHADES = ("#F4EFE6", "#DCEFE8")
"""The side that has not generalized (or learned), and the one that has."""
CELL_IN, LEAST_IN = 0.3, 2.4
"""Inches per cell, within the bounds of a page; inches of a side, at least."""
LINES = {"boundary": "solid", "boundary, not known yet": (0, (2, 1.5))}
"""Label -> line style."""


def draw(found: Found) -> Figure:
    """The lattice, a square per point; a dot where a point was observed."""
    plane, side_XY = found.search.plane, found.belief.side_XY
    nx, ny = plane.shape
    size_in = figures.plane_in(plane.shape, (CELL_IN, CELL_IN))
    width, height = (max(side, LEAST_IN) for side in size_in)
    figure, axes = figures.new_figure(width + 3.0, height + 1.2)
    ax: Axes = axes[0, 0]
    ax.imshow(side_XY.T, origin="lower", cmap=ListedColormap(SHADES), vmin=0, vmax=1, aspect="auto")
    lines = dict(zip(LINES, _steps(found)))
    for label, steps in lines.items():
        ax.add_collection(
            LineCollection(steps, colors="black", lw=1.8, linestyles=[LINES[label]], zorder=2)
        )
    size = min(110.0, (0.55 * 72 * min(width / nx, height / ny)) ** 2)
    _dots(ax, found.phases, size)
    _ticks(ax, plane)
    ax.set_title(_title(found), fontsize=9)
    handles = _handles(found, [label for label in LINES if lines[label]])
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _dots(ax: Axes, phases_of: Mapping[Point, Sequence[str]], size: float) -> None:
    """Pies of the phases of the points' seeds: where they disagree, none is drawn for all."""
    if not phases_of:
        return
    x, y = zip(*phases_of)
    ax.scatter(x, y, s=size, color="white", edgecolors="black", lw=1.0, zorder=3)
    points_of: dict[tuple[str, float, float], list[Point]] = {}
    for point, phases in phases_of.items():
        counts, begin = Counter(phases), 90.0
        for phase in (phase for phase in PHASES if counts[phase]):
            end = begin + 360 * counts[phase] / len(phases)
            points_of.setdefault((phase, begin, end), []).append(point)
            begin = end
    for (phase, begin, end), points in points_of.items():  # few kinds of slices, many points
        slice_ = Path.wedge(begin, end)
        # a marker is scaled to its own extent, a slice has to be to that of the disc
        scaled = size * np.abs(slice_.vertices).max() ** 2
        color = PHASE_COLORS[phase]
        x, y = zip(*points)
        ax.scatter(x, y, s=scaled, marker=slice_, color=color, lw=0, zorder=4)


def _steps(found: Found) -> tuple[list[list[tuple[float, float]]], ...]:
    """The line between the squares of each edge's two points: where it is known, where not."""
    known: list[list[tuple[float, float]]] = []
    not_known: list[list[tuple[float, float]]] = []
    for (x, y), (x2, y2) in edges(found.belief.side_XY):
        low, high = ((0.5, -0.5), (0.5, 0.5)) if x != x2 else ((-0.5, 0.5), (0.5, 0.5))
        line = [(x + low[0], y + low[1]), (x + high[0], y + high[1])]
        (not_known if found.open_XY[x, y] or found.open_XY[x2, y2] else known).append(line)
    return known, not_known


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


def _title(found: Found) -> str:
    observed = f"{found.points} of {found.share_XY.size} points observed, the rest inferred"
    return f"{observed}\n{found.boundary_in_words}"


def _handles(found: Found, lines: Sequence[str]) -> list[Patch | Line2D]:
    plane = found.search.plane
    there = {phase for phases in found.phases.values() for phase in phases}
    dots = [
        Line2D([], [], ls="", marker="o", color=PHASE_COLORS[p], mec="black", mew=0.5, label=p)
        for p in PHASES
        if p in there
    ]
    labels = [plane.side(True), plane.side(False)]
    if len(plane.seeds) > 1:
        labels[0] += ",\nat least half of the seeds"
        dots.append(Line2D([], [], ls="", label="one slice per seed"))
    sides = [Patch(facecolor=color, edgecolor="#999999", label=label, lw=0.5)
             for color, label in zip(SHADES[::-1], labels)]  # fmt: skip
    strokes = [Line2D([], [], color="black", lw=1.8, ls=LINES[k], label=k) for k in lines]
    return [*dots, *sides, *strokes]
