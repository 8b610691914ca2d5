"""Figures say what the rows say."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex

from grokmodel.configs import CONFIGS
from grokmodel.errors import ConfigError
from service.colors import PHASE_COLORS
from service.report import figures, phase_figures, sweep_figures
from service.tables.writing import write_rows
from tests.service.rows import curve_row, finished_curve, finished_row
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


def stripes(figure):
    """Color and width of every stripe in a phase diagram, by its place from the left."""
    (found,) = (c for c in figure.axes[0].collections if isinstance(c, PolyCollection))
    corners = [path.vertices for path in found.get_paths()]
    names = {to_hex(color).upper(): phase for phase, color in PHASE_COLORS.items()}
    return sorted(
        (float(xy[:, 0].min()), round(float(np.ptp(xy[:, 0])), 6), names[to_hex(color).upper()])
        for xy, color in zip(corners, found.get_facecolor(), strict=True)
    )


def test_a_cell_is_divided_among_its_phases():
    trials = trials_of(
        (0, 0.5, 0, "memorization"),
        (0, 0.5, 1, "memorization"),
        (0, 0.5, 2, "grokking"),
        (1, 0.5, 0, "grokking"),
    )
    figure = phase_figures.phase_diagram(trials, "weight_decay", "train_fraction")
    assert sorted(texts(figure)) == ["grok 1", "mem 2\ngrok 1"]
    (_, mem, _), (_, grok, _), alone = stripes(figure)
    assert (mem, grok) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert alone == (1.0, 1.0, "grokking")
    assert "divided" in figure.axes[0].get_title()


@pytest.mark.parametrize("pair", [("memorization", "grokking"), ("confusion", "diverged")])
def test_a_tie_is_drawn_as_one(pair):
    trials = trials_of(*((0, 0.5, seed, phase) for seed, phase in enumerate(pair)))
    for rows in (trials, trials[::-1]):
        figure = phase_figures.phase_diagram(rows, "weight_decay", "train_fraction")
        assert stripes(figure) == [(0.0, 0.5, pair[0]), (0.5, 0.5, pair[1])]
        assert len(texts(figure)[0].splitlines()) == 2


def test_a_cell_of_all_phases_has_room_for_them():
    trials = trials_of(*((0, 0.5, seed, phase) for seed, phase in enumerate(figures.PHASES)))
    (text,) = texts(phase_figures.phase_diagram(trials, "weight_decay", "train_fraction"))
    assert [line.split()[1] for line in text.splitlines()] == ["1"] * 5


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
    if draw is phase_figures.phase_diagram:
        (ax,) = figure.axes
        assert len(stripes(figure)) == len(trials)
        assert len(ax.collections) == 1  # lines between so many cells would cover them
        assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["0", "13"]
        return
    for ax in figure.axes[:2]:
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
    assert shown[0].endswith(("grok 1", "1/1"))
    assert shown[1].endswith(("grok 1", "2/2"))
    assert shown[1].startswith(("conf 1", "10"))


def test_axes_are_named_and_ticks_are_values():
    figure = phase_figures.phase_diagram(trials_of((0, 0.5, 0, "grokking")), "weight_decay", "P")
    ax = figure.axes[0]
    assert ax.get_xlabel() == "weight decay"
    assert ax.get_ylabel() == "modulus P"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0"]


def test_grok_steps_show_medians_over_all_trials():
    trials = trials_of(
        (0, 0.5, 0, "memorization"),
        (1, 0.5, 0, "grokking"),
        (2, 0.5, 0, "grokking"),
        (2, 0.5, 1, "memorization"),
        (2, 0.5, 2, "memorization"),
        (3, 0.5, 0, "confusion"),
    )
    trials["steps_run"] = 3000
    trials["val_step_strict"] = [None, 2000, 1000, None, None, None]
    trials["train_step"] = [500, 500, 500, 500, 1000, None]
    shown = texts(phase_figures.grok_steps(trials, "weight_decay", "train_fraction"))
    steps, lags = shown[:4], shown[4:]
    assert steps == ["not by\n3,000\n0/1", "2,000\n1/1", "> 3,000\n1/3", "not by\n3,000\n0/1"]
    assert lags == ["not by\n2,500\n0/1", "1,500\n1/1", ">= 2,000\n1/3", "-"]


def test_values_that_six_digits_do_not_tell_apart_have_labels_that_do():
    trials = trials_of((0.1234567, 0.5, 0, "grokking"), (0.12345671, 0.5, 0, "confusion"))
    ax = phase_figures.phase_diagram(trials, "weight_decay", "train_fraction").axes[0]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.1234567", "0.12345671"]


def test_titles_tell_trials_apart_and_fit():
    many = {"variant": "sandwich", "ffn": 64, "sandwich_ffn": 512, "sandwich_skip": False}
    many |= {"ema": 0.998, "precision": "bfloat16", "late_decay_from": 20, "lr": 0.002}
    titles = [figures.trial_title(finished_row(tiny_config(**c))) for c in ({}, many)]
    assert "lr=" not in titles[0]
    assert "lr=0.002" in titles[1]
    assert "patch" not in titles[1]  # as large as the image, as by default
    assert max(len(line) for title in titles for line in title.splitlines()) <= 90
    close = [figures.trial_title(finished_row(tiny_config(weight_decay=d)))
             for d in (0.1234567, 0.12345671)]  # fmt: skip
    assert close[0].splitlines()[0] != close[1].splitlines()[0]
    row = finished_row(tiny_config(**many))
    figure = figures.trial_curve(row, pd.DataFrame(finished_curve(tiny_config(**many))))
    figure.canvas.draw()
    top = figure.axes[0].title.get_window_extent().y1
    assert top <= figure.bbox.y1


def test_phase_colors_differ_for_every_phase():
    assert set(PHASE_COLORS) == set(figures.PHASES)
    assert len(set(PHASE_COLORS.values())) == len(figures.PHASES)


def test_a_plane_from_the_store_shows_all_its_trials(store):
    """Of rows of which one is there twice."""
    configs = [tiny_config(weight_decay=d, P=p, seed=s) for d in (0, 1) for p in (7, 11)
               for s in range(2)]  # fmt: skip
    rows = [finished_row(c) for c in configs]
    write_rows(store, "trials", "sweep", rows)
    write_rows(store, "trials", "sweep", rows[:1])
    drawn = sweep_figures.draw(store, "sweep", ["phase", "grok-step"], [("weight_decay", "P")])
    assert set(drawn) == {"phase-weight_decay-P", "grok-step-weight_decay-P"}
    figure = phase_figures.phase_diagram(pd.DataFrame(rows), "weight_decay", "P")
    for kind in figures.FORMATS:
        found = figures.render(drawn["phase-weight_decay-P"], kind)
        assert found == figures.render(figure, kind)


def test_axes_that_do_not_vary_are_refused(store):
    write_rows(store, "trials", "sweep", [finished_row(tiny_config(P=p)) for p in (7, 11)])
    with pytest.raises(ConfigError, match=r"'weight_decay' .* must be an axis that varies: P"):
        sweep_figures.draw(store, "sweep", ["phase"], [("P", "weight_decay")])


def test_default_planes_are_the_axes_that_vary():
    trials = pd.DataFrame([finished_row(tiny_config(P=p, weight_decay=d)) for p in (7, 11, 13)
                           for d in (0, 1)])  # fmt: skip
    assert sweep_figures.default_planes(trials) == [("P", "weight_decay")]


def test_unseen_images_are_drawn_where_they_were_measured():
    row, rows = finished_row(tiny_config()), finished_curve(tiny_config())
    curve = pd.DataFrame(rows)
    names = [text.get_text() for text in figures.trial_curve(row, curve).legends[0].get_texts()]
    assert not [name for name in names if "unseen" in name]
    seen = curve.assign(val_acc_heldout=0.5, val_acc_strict_heldout=0.25)
    figure = figures.trial_curve(row, seen)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "strict, unseen images" in names
    line = next(x for x in figure.axes[0].lines if x.get_label() == "strict, unseen images")
    assert set(line.get_ydata()) == {0.25}


@pytest.mark.parametrize("family", CONFIGS)
def test_a_family_names_its_curves_and_each_of_them_is_drawn(family):
    names = CONFIGS[family].curve_names.accuracies
    measured = dict.fromkeys(names, 0.25)
    curve = pd.DataFrame([curve_row("a", step, **measured) for step in (10, 20)])
    _, axes = figures.new_figure(3, 3)
    figures.accuracies(axes[0, 0], family, curve)
    lines = {line.get_label(): line for line in axes[0, 0].get_lines()}
    assert set(names.values()) == {name for name in lines if not name.startswith("_")}
    assert all((lines[name].get_ydata() == 0.25).all() for name in names.values())


def test_the_curves_of_a_phase_are_as_many_lines_as_trials_and_never_joined(monkeypatch):
    trials = pd.DataFrame({"trial_id": ["a", "b", "c"], "phase": "grokking", "family": "image"})
    steps = [0, 10, 20, 40]
    curves = pd.DataFrame(
        [curve_row(t, s, val_acc_strict=s / 40) for t in "cab" for s in steps[::-1]]
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
