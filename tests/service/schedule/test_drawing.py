"""What is drawn is stored, marked for MLflow, and complete."""

import pytest

from service.schedule.drawing import draw_sweep, is_drawn, links
from service.store import keys, marks
from service.store.manifest import write_manifest
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


@pytest.mark.parametrize("decays", [(0,), (0, 1)])
def test_a_sweep_ends_with_its_page_and_pictures(store, settings, decays):
    configs = [tiny_config(weight_decay=d, seed=s) for d in decays for s in range(2)]
    write_rows(store, "trials", "sweep", [finished_row(c) for c in configs])
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    found = draw_sweep(store, "sweep", settings)
    assert sorted(found) == store.list(keys.figures_prefix("sweep"))
    names = {key.rsplit("/", 1)[1] for key in found}
    planes = {"phase-weight_decay-seed.png"} if len(decays) > 1 else set()
    assert names == {"report.html", "curves.png"} | planes
    for key in found:
        head = store.get(key)[:60]
        assert head.startswith(
            {"png": b"\x89PNG", "html": b"<!doctype html>"}[key.rsplit(".", 1)[1]]
        )
    assert marks.marked(store, "sweep") == [marks.SWEEP]
    assert is_drawn(store, "sweep")


def test_a_page_that_was_drawn_while_it_was_trained_is_not_the_last_one(store, settings):
    write_rows(store, "trials", "sweep", [finished_row(tiny_config())])
    assert not is_drawn(store, "sweep")
    (page, *pictures) = draw_sweep(store, "sweep", settings)
    for key in pictures:  # as a kill between the two would leave it
        store.delete(key)
    assert store.exists(page)
    assert not is_drawn(store, "sweep")


def test_a_page_leads_to_its_sweep_and_its_trials_in_mlflow(store, settings):
    assert links(store, "sweep", settings) == {}
    write_manifest(store, "sweep", [tiny_config()], "")  # MLflow does not know it
    assert links(store, "sweep", settings) == {}
    write_manifest(store, "sweep", [tiny_config()], "7")
    found = links(store, "sweep", settings)
    assert "/#/experiments/7/runs?" in found["sweep"]
    assert found["mlflow"] == f"{found['sweep']}&searchFilter=tags.trial_id%20%3D%20%22TRIAL%22"
