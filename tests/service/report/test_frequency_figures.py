"""Figures of heads, spectra and identities say what the rows say, and have room for it."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from service.report import heads_figure, trial_figures
from service.report.heads_figure import FROM_DARK, MAX_PANELS
from service.report.spectra_figure import spectra
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

K = 11


def trials_of(*cells):
    """Rows from (config changes, phase)."""
    return pd.DataFrame(
        [finished_row(tiny_config(P=23, **changes)) | {"phase": phase} for changes, phase in cells]
    )


def score_rows(trial_id, *heads, block=0):
    """Rows of both operands' scores: of every head its frequency and the share there, for a and b;
    the others share the rest. Below 0.4 the strongest is not beyond chance."""
    rows = []
    for head, (k, *of_operands) in enumerate(heads):
        for operand, share in zip("ab", of_operands):
            for i in range(1, K + 1):
                power = share if i == k else (1 - share) / (K - 1)
                row = {"trial_id": trial_id, "hook": f"block{block}.score[{operand}]", "head": head,
                       "t": 1.0, "shown": "nothing", "frequency": i, "fve_a": 0.5 * power,
                       "fve_b": 0.0, "fve_ab": 0.1 * power, "fve_cross": 0.4, "null_q95": 0.4,
                       "p_value": 0.01 if power > 0.4 else 1.0, "is_key": False}  # fmt: skip
                # what is in the input is no matter of heads
                rows += [row, row | {"t": 0.5, "shown": "right", "fve_b": 1.0 * (i == 2)}]
    return rows


def panels(figure):
    """The visible panels, in reading order, without the scale."""
    return [ax for ax in figure.axes if ax.get_visible() and ax.get_ylim()[0] > ax.get_ylim()[1]]


def drawn(trials, rows, ids):
    return heads_figure.heads(trials, heads_figure.shares(rows), [ids])


def dots(ax):
    """{(frequency, row from the top): (color, whether it is large)}"""
    return {
        (line.get_xdata()[0], line.get_ydata()[0] - 0.5): (line.get_color(), line.get_ms() > 2)
        for line in ax.lines
        if line.get_marker() == "o"
    }


# --- which trials ---------------------------------------------------------------------------------


def test_few_trials_are_all_shown_a_cell_together():
    cells = [({"heads": h, "seed": s}, "grokking") for h in (1, 2) for s in (1, 0)]
    trials = trials_of(*cells, ({"heads": 2, "seed": 7}, "diverged"))
    by_id = trials.set_index("trial_id")
    found = heads_figure.chosen(trials)
    assert [[(by_id.heads[i], by_id.seed[i]) for i in ids] for ids in found] == [
        [(1, 0), (1, 1)],
        [(2, 0), (2, 1)],
    ]


def test_of_many_trials_those_typical_of_a_cell_and_of_many_cells_those_of_a_phase():
    many = [({"weight_decay": d, "seed": s}, "grokking" if s else "memorization")
            for d in (0.0, 1.0) for s in range(7)]  # fmt: skip
    trials = trials_of(*many)
    phases = trials.set_index("trial_id")["phase"]
    found = heads_figure.chosen(trials)
    assert [[phases[i] for i in ids] for ids in found] == [["memorization", "grokking"]] * 2
    cells = trials_of(*(({"weight_decay": 0.1 * d, "seed": s}, "grokking" if s else "confusion")
                        for d in range(8) for s in range(3)))  # fmt: skip
    phases = cells.set_index("trial_id")["phase"]
    assert [[phases[i] for i in ids] for ids in heads_figure.chosen(cells)] == [["grokking"]] * 8
    found = heads_figure.chosen(
        trials_of(*(({"weight_decay": 0.1 * d}, "grokking") for d in range(MAX_PANELS + 1)))
    )
    assert len(found) == 1


# --- heads ----------------------------------------------------------------------------------------


def test_a_panel_shows_the_share_of_every_head_and_marks_what_is_beyond_chance():
    trials = trials_of(({"heads": 2}, "grokking")).assign(val_acc_strict=0.975)
    (trial_id,) = trials["trial_id"]
    rows = pd.DataFrame(score_rows(trial_id, (7, 0.9, 0.7), (3, 0.45, 0.3)))
    rows.loc[(rows["head"] == 0) & (rows["frequency"] == 2), "is_key"] = True
    figure = drawn(trials, rows, [trial_id])
    (ax,) = panels(figure)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["1", "0"]  # by frequency: 3, then 7
    share = ax.collections[0].get_array().reshape(2, K)
    np.testing.assert_allclose(share.sum(1), 1)
    assert (share[0, 2], share[1, 6]) == (pytest.approx(0.375), pytest.approx(0.8))
    large = ("white", True)
    assert dots(ax) == {(3, 0): large, (7, 1): large, (2, 1): ("black", False)}
    assert share[0, 2] > FROM_DARK
    said = [text.get_text() for text in (*ax.texts, *figure.texts)]
    assert "strict 0.97, grokking" in said or "strict 0.98, grokking" in said
    assert " 0.80" in said
    assert any("less than 0.40" in " ".join(text.split()) for text in said)


def test_nothing_is_marked_that_chance_has_as_well():
    trials = trials_of(({"heads": 2}, "memorization"))
    (trial_id,) = trials["trial_id"]
    rows = pd.DataFrame(score_rows(trial_id, (7, 0.3, 0.3), (3, 0.2, 0.1)))
    (ax,) = panels(drawn(trials, rows, [trial_id]))
    assert dots(ax) == {}
    below = rows[rows["t"] < 1]
    assert heads_figure.shares(below).empty


@pytest.mark.parametrize("heads", [1, 4, 8, 16])
@pytest.mark.parametrize("columns", [1, 3])
def test_every_word_is_in_the_picture_and_on_no_other(heads, columns):
    trials = trials_of(*(({"width": 16 * heads, "heads": heads, "seed": s}, "grokking")
                         for s in range(columns)))  # fmt: skip
    ids = list(trials["trial_id"])
    rows = [r for i in ids for r in score_rows(i, *((h % K + 1, 0.9, 0.9) for h in range(heads)))]
    figure = drawn(trials, pd.DataFrame(rows), ids)
    figure.canvas.draw()
    shown = [text for ax in figure.axes for text in (*ax.texts, *ax.get_yticklabels(),
             *ax.get_xticklabels(), ax.yaxis.label, ax.xaxis.label)]  # fmt: skip
    boxes = [text.get_window_extent() for text in (*shown, *figure.texts) if text.get_text()]
    assert len(boxes) > 2 * heads
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
    for box, other in itertools.combinations(boxes, 2):
        assert not box.shrunk(0.9, 0.9).overlaps(other.shrunk(0.9, 0.9))


def test_heads_of_two_blocks_stand_below_each_other():
    trials = trials_of(({"depth": 2}, "grokking"))
    (trial_id,) = trials["trial_id"]
    rows = [r for block in (0, 1) for r in score_rows(trial_id, (5 - block, 0.9, 0.9), block=block)]
    (ax,) = panels(drawn(trials, pd.DataFrame(rows), [trial_id]))
    assert [t.get_text() for t in ax.get_yticklabels()] == ["0.0", "1.0"]


# --- one trial ------------------------------------------------------------------------------------


def test_a_spectrum_is_drawn_with_what_chance_has():
    row = finished_row(tiny_config(P=23))
    rows = pd.DataFrame(score_rows(row["trial_id"], (7, 0.9, 0.9)))
    (ax,) = spectra(row, {"spectra": rows}).axes
    (line,) = ax.lines
    assert line.get_ydata()[0] == pytest.approx(0.4 * 0.6)  # of what is not cross
    below = rows[rows["t"] < 1]
    wrong = below.assign(shown="wrong", fve_b=0.0, null_q95=0.2)
    (ax,) = spectra(row, {"spectra": pd.concat([below, wrong])}).axes
    assert ax.lines[0].get_ydata()[0] == pytest.approx(0.2 * 0.6)


def test_identities_are_drawn_before_and_behind_the_non_linearity():
    row = finished_row(tiny_config(P=23))
    rows = [
        {"hook": f"block0.ffn.{part}", "control": control, "direction": direction, "frequency": k,
         "cos_cos": 1.0 * k, "sin_sin": -1.0, "cos_sin": 0.0, "sin_cos": 0.0, "fve_rule": 0.1,
         "is_key": k == 3}
        for part in ("post", "pre") for control in (-1, 0) for direction in ("cos", "sin")
        for k in range(1, K + 1)
    ]  # fmt: skip
    figure = trial_figures.identities(row, {"identities": pd.DataFrame(rows)})
    titles = [ax.get_title() for ax in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["block0.ffn.pre"] * 3 + [
        "block0.ffn.post"
    ] * 3
    shade = to_hex(trial_figures.KEY_SHADE)
    for ax in figure.axes:
        (key,) = (p for p in ax.patches if to_hex(p.get_facecolor()) == shade)
        assert (key.get_x(), key.get_width()) == (2.5, 1)
