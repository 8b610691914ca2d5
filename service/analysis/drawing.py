"""Drawing into the store: what `service.report` draws from the tables is stored, and marked for
MLflow."""

from __future__ import annotations

from collections.abc import Mapping

from service.analysis.pending import FIGURES
from service.report import figures, page, sweep_figures, trial_figures
from service.store import keys
from service.store.store import Store
from service.tables.reading import part_key
from service.tables.rows import Row
from service.tracking import outbox


def draw_trial(store: Store, sweep: str, row: Row) -> list[str]:
    """All figures of a trial for which there are rows; returns their keys.

    An earlier failure to draw them is forgotten.
    """
    trial_id = str(row["trial_id"])
    drawn = trial_figures.draw(store, sweep, row)
    files = {
        keys.trial_figure_key(sweep, trial_id, f"{name}.png"): figures.png(figure)
        for name, figure in drawn.items()
    }
    _put(store, files)
    if files:
        outbox.mark(store, sweep, [trial_id])
    store.delete(part_key("failures", sweep, [{"trial_id": trial_id, "analysis": FIGURES}]))
    return list(files)


def draw_sweep(store: Store, sweep: str, planes: list[tuple[str, str]] | None = None) -> list[str]:
    """The figures of a sweep and the report that shows them; returns their keys.

    Args:
        planes: (x, y) axes, of which only figures are drawn; by default all, and the report.
    """
    prefix = keys.figures_prefix(sweep)
    drawn = sweep_figures.draw(store, sweep, planes)
    files = {f"{prefix}/{name}": data for name, data in sorted(drawn.items())}
    _put(store, files)
    if planes is None:
        report = {page.key(sweep): page.page(store, sweep).encode()}
        _put(store, report)
        files |= report
    outbox.mark(store, sweep, [outbox.SWEEP])
    return list(files)


def _put(store: Store, files: Mapping[str, bytes]) -> None:
    for key, data in files.items():
        store.put(key, data)
