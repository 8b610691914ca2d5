"""What is drawn is stored, marked for MLflow, and shown on the page."""

import re

import pytest

from service.analysis.drawing import draw_sweep, draw_trials
from service.store import keys
from service.tables.reading import read_table, write_rows
from service.tracking import marks
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


def write(store, *rows):
    write_rows(store, "trials", "sweep", rows)
    curves = (finished_curve(tiny_config(seed=row["seed"])) for row in rows)
    write_rows(store, "curves", "sweep", [r for c in curves for r in c])


@pytest.mark.parametrize("decays", [(0,), (0, 1)])
def test_a_sweep_is_stored_as_png_and_svg(store, decays):
    configs = [tiny_config(weight_decay=d, seed=s) for d in decays for s in range(2)]
    write_rows(store, "trials", "sweep", [finished_row(c) for c in configs])
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    found = draw_sweep(store, "sweep")
    assert found == store.list(keys.figures_prefix("sweep"))
    kinds = {kind: {k.rsplit(".", 1)[0] for k in found if k.endswith(kind)}
             for kind in ("png", "svg", "html")}  # fmt: skip
    assert kinds["png"] == kinds["svg"]
    assert kinds["html"] == {"figures/sweep/report"}
    for key in found:
        head = store.get(key)[:60]
        start = {"png": b"\x89PNG", "svg": b"<?xml", "html": b"<!doctype html>"}
        assert head.startswith(start[key.rsplit(".", 1)[1]])
    assert marks.marked(store, "sweep") == [marks.SWEEP]


def test_planes_are_drawn_without_a_report(store):
    write(store, finished_row(tiny_config()))
    found = draw_sweep(store, "sweep", [("weight_decay", "P")])
    assert {k.rsplit("/", 1)[1] for k in found} == {
        f"{name}-weight_decay-P.{kind}"
        for name in ("phase", "grok-step")
        for kind in ("png", "svg")
    }
    assert marks.marked(store, "sweep") == [marks.SWEEP]


def test_a_trial_that_is_drawn_has_failed_no_more(store):
    row = finished_row(tiny_config())
    failure = {"trial_id": row["trial_id"], "analysis": "figures", "checkpoint": "", "error": "E"}
    write_rows(store, "failures", "sweep", [failure | {"message": "disk full"}])
    assert draw_trials(store, "sweep", [row]) == []  # no analysis is done
    assert read_table(store, "failures", "sweep").empty
    assert marks.marked(store, "sweep") == []


def test_the_page_shows_the_trial_in_the_middle_and_says_so(store):
    accuracies = (0.955, 0.2, 0.3)
    rows = [
        finished_row(tiny_config(seed=s))
        | {"phase": "memorization", "val_acc_strict": a, "val_step_strict": None, "tau_rule": None}
        for s, a in enumerate(accuracies)
    ]
    write(store, *rows)
    draw_sweep(store, "sweep")
    page = store.get("figures/sweep/report.html").decode()
    assert f"memorization: trial {rows[2]['trial_id']}" in page
    assert "In the middle of the 3 trials of its phase, by accuracy on strict pairs." in page
    assert re.search("<td>&gt; 40</td>", page)  # not by the last step, rather than nothing
    assert "never" not in page


def test_rows_of_the_page_tell_close_values_apart(store):
    configs = [tiny_config(lr=lr) for lr in (0.0012345, 0.0012346)]
    write_rows(store, "trials", "sweep", [finished_row(c) for c in configs])
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    draw_sweep(store, "sweep")
    page = store.get("figures/sweep/report.html").decode()
    assert "<td>0.0012345</td>" in page
    assert "<td>0.0012346</td>" in page
    assert re.search("lr 0.001234[56], ", page)  # all settings of the trial that is shown
