"""A trial that two drivers train at once: readers see one of its runs, all of it and the same."""

import dataclasses
import itertools

import pandas as pd
import pytest

from grokmodel.core.rows import curve_rows, run_id
from service.schedule.plan import Plan
from service.schedule.reuse import adopt
from service.tables.reading import read_table
from service.tables.schema import TABLES
from service.tables.writing import write_rows
from tests.service.parts import now
from tests.service.rows import finished_member, finished_row
from tests.service.tiny import tiny_config

CONFIG, OTHER = tiny_config(), tiny_config(seed=1)


def run(evaluations, loss=None, config=CONFIG):
    """Rows of `curves` and of `trials` of a run that stopped after so many evaluations."""
    member = finished_member(config)
    member.curve = member.curve[:evaluations]
    if loss is not None:
        member.curve[-1] = dataclasses.replace(member.curve[-1], loss=loss)
    return curve_rows(member), finished_row(config, member=member)


EARLY, LATE, ROUNDED = run(3), run(5), run(5, loss=0.25)
"""Of one trial: settled at different steps; the third only rounded otherwise than the second."""
RUNS = {run[1]["run_id"]: run for run in (EARLY, LATE, ROUNDED)}


def write(store, found, sweep="one", others=()):
    """As the worker of a driver does; others are trials that got their rows at the same time."""
    every = [found, *others]
    write_rows(store, "curves", sweep, [row for curve, _ in every for row in curve])
    write_rows(store, "trials", sweep, [row for _, row in every])


def one_run(store, sweep):
    """The run that is read of the trial, once it is seen that all of it and nothing else is."""
    (row,) = read_table(store, "trials", sweep, [CONFIG.trial_id]).to_dict("records")
    curve, its = RUNS[row["run_id"]]
    assert row["steps_run"] == its["steps_run"]
    read = read_table(store, "curves", sweep, [CONFIG.trial_id]).sort_values("step")
    assert list(read["step"]) == [r["step"] for r in curve]
    assert list(read["loss"]) == [r["loss"] for r in curve]
    return row["run_id"]


def test_runs_are_told_apart_by_their_curves():
    assert len(RUNS) == 3
    again = finished_member(CONFIG)
    again.wall_s = 99.0
    assert run_id(again.curve) == LATE[1]["run_id"]
    assert run_id(again.curve[:3]) == EARLY[1]["run_id"]  # of which it is the continuation


@pytest.mark.parametrize("order", list(itertools.permutations((EARLY, LATE, ROUNDED), 2)))
@pytest.mark.parametrize("others", [(), (run(5, config=OTHER),)])
def test_of_two_runs_one_is_read_and_it_stays_the_same(store, order, others):
    first, second = order
    write(store, first)
    write(store, second, others=others)
    seen = one_run(store, "one")
    assert seen == one_run(store, None) == min(found[1]["run_id"] for found in order)
    plain = pd.read_parquet(store.path("tables/curves"))
    assert set(plain["run_id"]) >= {found[1]["run_id"] for found in order}
    now(store)
    assert one_run(store, "one") == seen
    plain = [pd.read_parquet(store.path(f"tables/{name}")) for name in ("curves", "trials")]
    joined = plain[0].merge(plain[1], on=["trial_id", "run_id"])
    assert sum(joined["trial_id"] == CONFIG.trial_id) == len(RUNS[seen][0])


def test_rows_that_are_written_in_turn_are_none_of_two_runs(store):
    """The curve of a run is there before its row, whatever another driver does in between."""
    write_rows(store, "curves", "one", LATE[0])
    write_rows(store, "curves", "one", ROUNDED[0])
    write_rows(store, "trials", "one", [ROUNDED[1]])
    assert one_run(store, "one") == ROUNDED[1]["run_id"]
    write_rows(store, "trials", "one", [LATE[1]])
    one_run(store, "one")


def test_a_sweep_takes_over_one_run(store):
    write(store, EARLY)
    write(store, LATE, sweep="two")
    assert one_run(store, "one") != one_run(store, "two")
    adopt(store, Plan("three", (CONFIG,), (), (CONFIG,), ()))
    assert one_run(store, "three") == one_run(store, None)


def test_analyses_of_another_run_are_not_read(store):
    early, late = (
        {"trial_id": CONFIG.trial_id, "run_id": found[1]["run_id"], "analysis": "heads"}
        | {"settings": "", "checkpoints": 1, "seconds": 1.0, "device": "cpu"}
        for found in (EARLY, LATE)
    )
    write_rows(store, "analyses", "one", [early])
    write(store, LATE)
    assert read_table(store, "analyses", "one").empty
    write_rows(store, "analyses", "one", [late])
    assert list(read_table(store, "analyses", "one", columns=["run_id"])["run_id"]) == [
        late["run_id"]
    ]


def test_every_table_of_trials_says_of_which_run_its_rows_are():
    assert {name for name, table in TABLES.items() if not table.is_by_run} == {
        "failures",
        "samples",
    }
