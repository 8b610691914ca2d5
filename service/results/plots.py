"""The figures of a trial and of a sweep as methods: `trial.plot.spectra()`, `sweep.plot.heads()`.

Each returns a matplotlib figure, drawn from the tables, which a notebook shows. matplotlib is
loaded with the first one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from service.results.errors import ResultError
from service.store.store import Store
from service.tables.reading import read_table
from service.text import grok_command

if TYPE_CHECKING:  # matplotlib: only when a figure is asked for
    from matplotlib.figure import Figure

FILLED_BY = {"critical": "timesteps", "pca": "representation"}
"""Table -> the analysis that fills it, where that has another name."""
OF_TRAINING = ("curves", "samples")
"""Tables that training fills."""
NEEDED: dict[str, tuple[str, ...]] = {
    "heads": ("spectra",), "measures": (), "alignment": ("timesteps",)
}  # fmt: skip
"""Figure of a sweep -> analyses that it is drawn from; () stands for all."""


class TrialPlots:
    """The figures of one trial. Each raises a ResultError if it has no rows to be drawn from."""

    def __init__(self, store: Store, sweep: str, row: Mapping[str, Any]) -> None:
        self._store, self._sweep, self._row = store, sweep, row

    def __repr__(self) -> str:
        return f"figures of trial {self._row['trial_id']}: {', '.join(_figures(self))}"

    def curve(self) -> Figure:
        """Loss and accuracies over training."""
        return self._draw("curve")

    def samples(self) -> Figure:
        """What it drew for the same pairs over training."""
        return self._draw("samples")

    def spectra(self) -> Figure:
        """Variance that each frequency explains at every hook point, beside chance."""
        return self._draw("spectra")

    def training(self) -> Figure:
        """Progress measures, where samples end, and complexity over training."""
        return self._draw("training")

    def identities(self) -> Figure:
        """Coefficients of the product formulas along directions from the output."""
        return self._draw("identities")

    def ablations(self) -> Figure:
        """Strict accuracy with frequencies removed, or only these kept."""
        return self._draw("ablations")

    def timesteps(self) -> Figure:
        """When, on the way from noise to image, the answer is computed."""
        return self._draw("timesteps")

    def representation(self) -> Figure:
        """Principal components of hook points; how results merge over training."""
        return self._draw("representation")

    def denoiser(self) -> Figure:
        """What explains the denoiser, what steps that saves, when components are learned."""
        return self._draw("denoiser")

    def _draw(self, name: str) -> Figure:
        from service.report.trial_figures import TRIAL_FIGURES, draw

        drawn = draw(self._store, self._sweep, self._row, [name])
        if name not in drawn:
            tables = TRIAL_FIGURES[name][0]
            missing = f"trial {self._row['trial_id']} has no rows in table {tables[0]}"
            analyses = dict.fromkeys(FILLED_BY.get(t, t) for t in tables if t not in OF_TRAINING)
            if not analyses:
                raise ResultError(f"{missing}, which training fills")
            raise ResultError(f"{missing}; {_way(self._store, self._sweep, *analyses)}")
        return drawn[name]


class SweepPlots:
    """The figures of a sweep. Each raises a ResultError if there is nothing to be drawn from."""

    def __init__(self, store: Store, sweep: str, trials: Callable[[], pd.DataFrame]) -> None:
        self._store, self._sweep, self._read_trials = store, sweep, trials

    def __repr__(self) -> str:
        return f"figures of sweep {self._sweep}: {', '.join(_figures(self))}"

    def phases(self, x: str | None = None, y: str | None = None) -> Figure:
        """Phases over two axes.

        Args:
            x, y: config columns that the sweep varies; by default those with most values.

        Raises:
            ConfigError: an axis that does not vary.
        """
        from service.report.phase_figures import phase_diagram

        return phase_diagram(self._trials(), *self._plane(x, y))

    def steps(self, x: str | None = None, y: str | None = None) -> Figure:
        """When strict pairs are learned over two axes, and the lag; arguments as of `phases`."""
        from service.report.phase_figures import grok_steps

        return grok_steps(self._trials(), *self._plane(x, y))

    def curves(self) -> Figure:
        """Accuracies of all trials over training, by phase."""
        if read_table(self._store, "curves", self._sweep, columns=["trial_id"]).empty:
            raise ResultError(f"sweep {self._sweep!r} has no rows in table curves")
        return self._across("curves")

    def heads(self) -> Figure:
        """Which frequencies the attention heads of typical trials carry."""
        return self._across("heads")

    def measures(self) -> Figure:
        """Measures of the analyses by phase, a point per trial."""
        return self._across("measures")

    def alignment(self) -> Figure:
        """Critical noise-step index as predicted from entropy and as observed."""
        return self._across("alignment")

    def _trials(self) -> pd.DataFrame:
        trials = self._read_trials()
        if trials.empty:
            raise ResultError(f"sweep {self._sweep!r} has no finished trial")
        return trials

    def _plane(self, x: str | None, y: str | None) -> tuple[str, str]:
        """The axes that are asked for; in place of one that is not, the first other one."""
        from service.report.sweep_figures import check_axes, plane_axes

        axes = plane_axes(self._trials())
        check_axes(axes, x=x, y=y)
        free = [axis for axis in axes if axis not in (x, y)]
        chosen = [axis or (free.pop(0) if free else "") for axis in (x, y)]
        if not all(chosen):
            varied = ", ".join(axes) or "nothing"
            raise ResultError(f"sweep {self._sweep!r} varies {varied}; a plane needs two axes")
        return chosen[0], chosen[1]

    def _across(self, name: str) -> Figure:
        from service.report.sweep_figures import ACROSS

        figure = ACROSS[name](self._store, self._sweep, self._trials())
        if figure is None:
            few = f"too few trials of sweep {self._sweep!r} have what {name} is drawn from"
            raise ResultError(f"{few}; {_way(self._store, self._sweep, *NEEDED[name])}")
        return figure


def _figures(plots: object) -> list[str]:
    return [name for name in vars(type(plots)) if not name.startswith("_")]


def _way(store: Store, sweep: str, *analyses: str) -> str:
    """How to have more rows: some analyses, or all."""
    only = ["--only", ",".join(analyses)] if analyses else []
    return f"to analyze: {grok_command(store.url, 'analyze', '--sweep', sweep, *only)}"
