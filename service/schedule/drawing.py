"""The page of a sweep and its pictures: drawn, stored, and marked for MLflow."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from service import page
from service.report import figures, heads_figure, sweep_figures
from service.settings import Settings
from service.store import keys
from service.store.manifest import read_manifest
from service.store.marks import SWEEP, mark
from service.store.store import Store
from service.tables.summary import ui_address

PICTURES = ("heads", "phase", "curves")
"""Figures that a sweep ends with; all others: `grok figures`."""


def draw_sweep(store: Store, sweep: str, settings: Settings) -> list[str]:
    """The page of a sweep, then its pictures, which say that the page is the last one; returns
    their keys."""
    drawn = sweep_figures.draw(store, sweep, PICTURES)
    pictures = {name: figures.render(figure, "png") for name, figure in sorted(drawn.items())}
    shown = {heads_figure.TITLE: pictures["heads"]} if "heads" in pictures else {}
    put_page(store, sweep, page.page(store, sweep, "", links(store, sweep, settings), shown))
    prefix = keys.figures_prefix(sweep)
    files = {f"{prefix}/{name}.png": data for name, data in pictures.items()}
    for key, data in files.items():
        store.put(key, data)
    mark(store, sweep, [SWEEP])
    return [page.key(sweep), *files]


def put_page(store: Store, sweep: str, html: str) -> None:
    store.put(page.key(sweep), html.encode())


def links(store: Store, sweep: str, settings: Settings) -> Mapping[str, str]:
    """Addresses in MLflow: of the sweep, and of a trial whose id takes the place of TRIAL."""
    manifest = read_manifest(store, sweep)
    if manifest is None or not manifest.experiment_id:
        return {}
    of_trial = quote('tags.trial_id = "TRIAL"')
    address = ui_address(settings, manifest.experiment_id)
    return {"sweep": address, "mlflow": f"{address}&searchFilter={of_trial}"}


def is_drawn(store: Store, sweep: str) -> bool:
    """Whether its last page is there, and not one that was drawn while it was trained."""
    return any(key != page.key(sweep) for key in store.list(keys.figures_prefix(sweep)))
