"""Figures say what the rows say."""

import numpy as np
import pandas as pd
import pytest

from service.report import figures, phase_figures, sweep_figures
from service.tables.reading import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


def trials_of(*cells):
    """Rows from (weight_decay, train_fraction, seed, phase)."""
    rows = []
    for decay, fraction, seed, phase in cells:
        row = finished_row(tiny_config(weight_decay=decay, train_fraction=fraction, seed=seed))
        rows.append({**row, "phase": phase})
    return pd.DataFrame(rows)


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_a_cell_shows_its_commonest_phase_and_share():
    trials = trials_of(
        (0, 0.5, 0, "memorization"),
        (0, 0.5, 1, "memorization"),
        (0, 0.5, 2, "grokking"),
        (1, 0.5, 0, "grokking"),
    )
    figure = phase_figures.phase_diagram(trials, "weight_decay", "train_fraction")
    assert sorted(texts(figure)) == ["grok\n1/1", "mem\n2/3"]
    (mesh,) = figure.axes[0].collections
    assert len(np.unique(mesh.get_array().reshape(-1, 4), axis=0)) == 2


def test_of_phases_that_are_as_common_the_first_is_shown():
    trials = trials_of((0, 0.5, 0, "comprehension"), (0, 0.5, 1, "memorization"))
    figure = phase_figures.phase_diagram(trials, "weight_decay", "train_fraction")
    assert texts(figure) == ["mem\n1/2"]


@pytest.mark.parametrize("draw", [phase_figures.phase_diagram, phase_figures.grok_steps])
def test_a_plane_of_many_cells_fits_on_a_page(draw):
    """What takes an inch a value takes 800 MB for 100 by 100, and the driver with it."""
    cells = [(float(i), 0.3 + 0.006 * j, 0, "grokking") for i in range(100) for j in (0, 1)]
    cells += [(0.0, 0.3 + 0.006 * j, 0, "memorization") for j in range(2, 100)]
    trials = trials_of(*cells)
    trials["val_step_strict"] = trials["val_step_strict"].where(trials["phase"] == "grokking")
    figure = draw(trials, "weight_decay", "train_fraction")
    assert (figure.get_size_inches() <= (17, 9)).all()
    assert texts(figure) == []
    for ax in figure.axes[: 1 if draw is phase_figures.phase_diagram else 2]:
        assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["0", "13"]
        assert len(ax.get_yticklabels()) == 8
        (mesh,) = ax.collections
        color_YX4 = mesh.get_array()
        assert (color_YX4[..., 3] > 0).sum() == len(trials)
        assert not (color_YX4[0, 0] == color_YX4[99, 0]).all()


@pytest.mark.parametrize("draw", [phase_figures.phase_diagram, phase_figures.grok_steps])
def test_cells_without_text_are_explained_beside_them(draw):
    trials = trials_of(*((0.0, 0.3 + 0.02 * j, 0, "grokking") for j in range(30)))
    figure = draw(trials, "weight_decay", "train_fraction")
    assert texts(figure) == []
    assert figure.legends or len(figure.axes) == 4  # a scale for either panel


@pytest.mark.parametrize("draw", [phase_figures.phase_diagram, phase_figures.grok_steps])
def test_a_plane_may_have_one_axis_twice(draw):
    trials = trials_of((0, 0.5, 0, "grokking"), (1, 0.5, 0, "grokking"), (1, 0.5, 1, "confusion"))
    shown = texts(draw(trials, "weight_decay", "weight_decay"))
    assert shown[0].endswith("1/1")
    assert shown[1].endswith(("1/2", "2/2"))


def test_axes_are_named_and_ticks_are_values():
    figure = phase_figures.phase_diagram(trials_of((0, 0.5, 0, "grokking")), "weight_decay", "P")
    ax = figure.axes[0]
    assert ax.get_xlabel() == "weight decay"
    assert ax.get_ylabel() == "modulus P"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0"]


def test_grok_steps_show_median_and_never():
    trials = trials_of((0, 0.5, 0, "memorization"), (1, 0.5, 0, "grokking"))
    trials["val_step_strict"] = [None, 2000]
    trials["train_step"] = [500, 500]
    shown = texts(phase_figures.grok_steps(trials, "weight_decay", "train_fraction"))
    assert shown == ["never", "2,000\n1/1", "never", "1,500\n1/1"]


def test_phase_colours_differ_for_every_phase():
    assert set(figures.PHASE_COLORS) == set(figures.PHASES)
    assert len(set(figures.PHASE_COLORS.values())) == len(figures.PHASES)


@pytest.mark.parametrize("decays", [(0,), (0, 1)])
def test_a_sweep_is_drawn_as_png_and_svg(store, decays):
    configs = [tiny_config(weight_decay=d, seed=s) for d in decays for s in range(2)]
    write_rows(store, "trials", "sweep", [finished_row(c) for c in configs])
    write_rows(store, "curves", "sweep", [r for c in configs for r in finished_curve(c)])
    keys = sweep_figures.draw(store, "sweep")
    assert {k.rsplit(".", 1)[0] for k in keys if k.endswith(".png")} == {
        k.rsplit(".", 1)[0] for k in keys if k.endswith(".svg")
    }
    for key in keys:
        head = store.get(key)[:60]
        assert head.startswith(b"\x89PNG") if key.endswith("png") else b"<?xml" in head


def test_a_plane_from_the_store_shows_all_its_trials(store):
    """Only the columns that its figures need are read, of rows of which one is there twice."""
    configs = [tiny_config(weight_decay=d, P=p, seed=s) for d in (0, 1) for p in (7, 11)
               for s in range(2)]  # fmt: skip
    rows = [finished_row(c) for c in configs]
    write_rows(store, "trials", "sweep", rows)
    write_rows(store, "trials", "sweep", rows[:1])
    keys = sweep_figures.draw(store, "sweep", planes=[("weight_decay", "P")])
    assert len(keys) == 4
    figure = phase_figures.phase_diagram(pd.DataFrame(rows), "weight_decay", "P")
    assert store.get("figures/sweep/phase-weight_decay-P.svg") == figures.svg(figure)


def test_default_planes_are_the_axes_that_vary():
    trials = pd.DataFrame([finished_row(tiny_config(P=p, weight_decay=d)) for p in (7, 11, 13)
                           for d in (0, 1)])  # fmt: skip
    assert sweep_figures.default_planes(trials) == [("P", "weight_decay")]


def test_unseen_images_are_drawn_where_they_were_measured():
    row, curve = finished_row(tiny_config()), finished_curve(tiny_config())
    names = [text.get_text() for text in figures.trial_curve(row, curve).legends[0].get_texts()]
    assert not [name for name in names if "unseen" in name]
    seen = [{**e, "val_acc_heldout": 0.5, "val_acc_strict_heldout": 0.25} for e in curve]
    figure = figures.trial_curve(row, seen)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "strict, unseen images" in names
    line = next(x for x in figure.axes[0].lines if x.get_label() == "strict, unseen images")
    assert set(line.get_ydata()) == {0.25}


def test_the_curves_of_a_phase_are_as_many_lines_as_trials_and_never_joined(monkeypatch):
    trials = pd.DataFrame({"trial_id": ["a", "b", "c"], "phase": "grokking"})
    steps = [0, 10, 20, 40]
    curves = pd.DataFrame(
        [
            {"trial_id": t, "step": s, "train_acc": 0.1, "val_acc": 0.2, "val_acc_strict": s / 40}
            for t in "cab"
            for s in steps[::-1]
        ]
    )
    (ax,) = figures.sweep_curves(trials, curves).axes
    strict = next(line for line in ax.get_lines() if "strict" in line.get_label())
    x, y = strict.get_data()
    assert np.isnan(x).sum() == 3
    np.testing.assert_array_equal(x[~np.isnan(x)], [10, 20, 40] * 3)
    np.testing.assert_array_equal(y[~np.isnan(x)], [0.25, 0.5, 1.0] * 3)
    monkeypatch.setattr(figures, "MAX_LINES", 2)
    (ax,) = figures.sweep_curves(trials, curves).axes
    assert ax.get_title() == "grokking (2 of 3 trials)"
