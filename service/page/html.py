"""Tables -> one HTML file with all that it needs in it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.page import detail
from service.page.overview import overview
from service.store import keys
from service.store.store import Store
from service.tables.reading import read_table, read_tables

Frames = Mapping[str, pd.DataFrame]
"""Table -> rows of one trial."""
FOLDER = Path(__file__).parent
TEMPLATE, STYLE = "page.html.j2", "page.css"
LIBRARIES = ("vendor/d3-7.9.2.min.js", "vendor/plot-0.6.17.min.js")
SCRIPTS = ("data.js", "filter.js", "map.js", "curves.js", "table.js", "samples.js", "analyses.js",
           "trial.js", "main.js")  # fmt: skip
"""In the order in which they are run; together one program."""
MOST_BYTES = 12 * 2**20
"""Of all trials together, as they stand in the page. What does not fit is left out, and said."""
AT_ONCE = 500
"""Trials whose rows are in memory together."""


def key(sweep: str) -> str:
    return f"{keys.figures_prefix(sweep)}/report.html"


def page(
    store: Store,
    sweep: str,
    state: str = "",
    links: Mapping[str, str] | None = None,
    pictures: Mapping[str, bytes] | None = None,
    with_analyses: bool = True,
) -> str:
    """The page as HTML.

    Args:
        state: how far a sweep is that still runs; empty if it is done.
        links: addresses by name: `mlflow`, the sweep's runs there.
        pictures: PNGs of the whole sweep by title.
        with_analyses: what analyses found too, which are done after the training.
    """
    trials = read_table(store, "trials", sweep)
    core = overview(store, sweep, trials, with_analyses)
    core |= {"state": state, "links": dict(links or {})}
    if with_analyses:
        core |= {"costs": _costs(store, sweep), "failures": _failures(store, sweep)}
    blobs = dict(_details(store, sweep, trials, core["typical"], with_analyses))
    environment = Environment(
        loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template(TEMPLATE).render(
        sweep=sweep,
        style=_text(STYLE),
        libraries=[_text(name) for name in LIBRARIES],
        scripts=[_text(f"js/{name}") for name in SCRIPTS],
        core=_squeezed(core),
        curve_names=core["curve_names"],
        blobs=blobs,
        pictures={
            title: base64.b64encode(data).decode() for title, data in (pictures or {}).items()
        },
    )


def _text(name: str) -> str:
    return (FOLDER / name).read_text()


def _squeezed(data: Any) -> str:
    """JSON, gzip, base64: the browser has all three."""
    packed = gzip.compress(json.dumps(data, separators=(",", ":")).encode(), 6, mtime=0)
    return base64.b64encode(packed).decode()


def _details(
    store: Store, sweep: str, trials: pd.DataFrame, first: Sequence[str], with_analyses: bool
) -> Iterator[tuple[str, str]]:
    """(id, data) of trials, as long as there is room: in one half of it curves and samples, in the
    other what analyses found; typical trials come first."""
    order = [*first, *(i for i in trials["trial_id"] if i not in set(first))]
    row_of = {row["trial_id"]: row for row in trials.to_dict("records")}

    def training(trial_id: str, frames: Frames) -> detail.Detail:
        return detail.training(sweep, row_of[trial_id], frames["curves"], frames["samples"])

    def analyses(trial_id: str, frames: Frames) -> detail.Detail:
        return detail.analyses(frames)

    yield from _fitting(store, sweep, order, "t", ("curves", "samples"), training)
    if with_analyses:
        yield from _fitting(store, sweep, order, "a", tuple(detail.ANALYSES), analyses)


def _fitting(
    store: Store,
    sweep: str,
    order: Sequence[str],
    kind: str,
    tables: Sequence[str],
    draft: Callable[[str, Frames], detail.Detail],
) -> Iterator[tuple[str, str]]:
    """What is drafted of trials, one after another, until half of the room is taken."""
    left = MOST_BYTES // 2
    for i in range(0, len(order), AT_ONCE):
        batch = order[i : i + AT_ONCE]
        frames = read_tables(store, tables, sweep, batch, detail.WHERE)
        # their places, as a frame for every trial at once takes much memory
        of_trial = {table: frame.groupby("trial_id").indices for table, frame in frames.items()}
        for trial_id in batch:
            mine = {t: frames[t].iloc[of_trial[t].get(trial_id, [])] for t in tables}
            data = draft(trial_id, mine)
            squeezed = _squeezed(data) if data else ""
            left -= len(squeezed)
            if left <= 0:
                return
            if data:
                yield f"{kind}-{trial_id}", squeezed


def _costs(store: Store, sweep: str) -> list[list[Any]]:
    marks = read_table(store, "analyses", sweep)
    seconds = marks[marks["settings"] == ""].groupby("analysis")["seconds"]
    return [
        [name, int(count), round(float(median), 3)]
        for name, count, median in zip(
            seconds.count().index, seconds.count(), seconds.median(), strict=True
        )
    ]


def _failures(store: Store, sweep: str) -> list[list[str]]:
    frame = read_table(store, "failures", sweep)
    names = ["trial_id", "analysis", "error", "message"]
    return [list(map(str, row)) for row in frame[names].itertuples(index=False, name=None)]
