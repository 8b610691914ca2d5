"""The one number per trial that an analysis comes to, from rows whose answer is known."""

import pytest

from grokmodel.catalog.analyses import ANALYSES
from service.tables.headlines import headlines
from service.tables.writing import write_rows
from tests.service.rows import analyze, finish, made_up_rows
from tests.service.tiny import tiny_config


@pytest.fixture
def rows(store):
    return finish(store, "mine", [tiny_config(seed=s) for s in range(3)])


def write(store, table, row, *changes):
    """Rows of a table that are made up but for some columns; and that their analysis is done."""
    of = {"trial_id": row["trial_id"], "run_id": row["run_id"]}
    made = made_up_rows(table, {**of, "step": row["steps_run"]})[0]
    write_rows(store, table, "mine", [{**made, **change} for change in changes])
    (name,) = [analysis.name for analysis in ANALYSES if table in analysis.tables]
    mark = {"analysis": name, "settings": "", "checkpoints": 1, "seconds": 0.5, "device": "cpu"}
    write_rows(store, "analyses", "mine", [{**of, **mark}])


def ids(rows):
    return [row["trial_id"] for row in rows]


def test_before_the_analyses_there_is_nothing(store, rows):
    assert headlines(store, "mine", ids(rows)) == {}


def test_critical_level_and_llc(store, rows):
    write(store, "critical", rows[0], {"observed": 3, "predicted": None})
    chains = [{"chain": i, "llc": llc} for i, llc in enumerate((1.0, 5.0, 2.0))]
    write(store, "learning_coefficient", rows[1], *chains)
    found = headlines(store, "mine", ids(rows))
    assert found[rows[0]["trial_id"]]["critical_observed"] == 3
    assert found[rows[0]["trial_id"]]["critical_predicted"] is None
    assert found[rows[1]["trial_id"]]["llc"] == 2
    assert rows[2]["trial_id"] not in found
    assert headlines(store, "mine", [rows[2]["trial_id"]]) == {}


def test_the_rule_is_read_before_the_non_linearity_along_directions_of_the_output(store, rows):
    pre, post = {"hook": "block0.ffn.pre"}, {"hook": "block0.ffn.post"}
    write(store, "identities", rows[0],
        {**pre, "control": -1, "frequency": 1, "fve_rule": 0.5},
        {**pre, "control": -1, "frequency": 2, "fve_rule": 0.7},
        {**pre, "control": 0, "frequency": 1, "fve_rule": 0.8},
        {**post, "control": -1, "frequency": 1, "fve_rule": 0.9},
    )  # fmt: skip
    assert headlines(store, "mine", ids(rows)) == {rows[0]["trial_id"]: {"rule_fve": 0.7}}


def spectrum(hook, head, powers, t=1.0, p_value=0.01, key=()):
    return [
        {"hook": hook, "head": head, "t": t, "shown": "nothing", "frequency": k, "fve_a": power,
         "fve_b": 0.0, "fve_ab": 0.0, "p_value": p_value, "is_key": k in key}
        for k, power in enumerate(powers, start=1)
    ]  # fmt: skip


def test_key_frequencies_and_specialized_heads(store, rows):
    write(store, "spectra", rows[0],
        *spectrum("block0.ffn.pre", -1, (0.3, 0.3, 0.1), key=(1, 2)),
        *spectrum("block0.ffn.post", -1, (0.3, 0.3, 0.1), key=(1, 2, 3)),
        *spectrum("block0.ffn.pre", -1, (0.3, 0.3, 0.1), t=0.5, key=(3,)),
        *spectrum("block0.score[a]", 0, (0.1, 0.6, 0.1)),
        *spectrum("block0.score[a]", 1, (0.3, 0.3, 0.2)),  # no frequency of its own
        *spectrum("block0.weighted_value[a]", 1, (0.3, 0.3, 0.3)),
        *spectrum("block0.score[a]", 2, (0.1, 0.6, 0.1), p_value=0.5),  # by chance
        *spectrum("block0.weighted_value[a]", 3, (0.0, 0.0, 0.2)),
        *spectrum("block0.score[b]", 1, (0.0, 0.0, 0.9)),  # not where it is asked
    )  # fmt: skip
    found = headlines(store, "mine", ids(rows))
    assert found == {rows[0]["trial_id"]: {"key_frequencies": 2, "specialized_heads": 2}}


def test_of_whatever_rows_there_is_one_number_per_trial(store, rows):
    analyze(store, "mine", rows[:2])
    found = headlines(store, "mine", ids(rows))
    assert found.keys() == set(ids(rows[:2]))
    assert found[rows[0]["trial_id"]]["llc"] == pytest.approx((1 / 3 + 1 / 7) / 2)
