"""Ray on a machine that is too busy to start it in the half minute that Ray allows; rows that a
sweep takes from another; figures that cannot be drawn."""

import pytest
import ray

from service import phase_figures, runner
from service.analysis_plan import Wish
from service.plan import Plan
from service.schema import SCHEMA_VERSION
from service.tables import read_table, write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

SLOW = "The current node timed out during startup. This could happen because ..."


@pytest.fixture
def starts(monkeypatch):
    """Starts of Ray, each of which fails with the next of these errors, if there is one."""
    errors, asked = [], []

    def init(**options):
        asked.append(options["address"])
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return errors, asked


def test_a_slow_start_is_tried_again(starts):
    errors, asked = starts
    errors += [Exception(SLOW)] * 2
    runner.start_ray()
    assert asked == ["local"] * 3


def test_a_machine_that_stays_too_busy_is_one_clear_error(starts):
    errors, asked = starts
    errors += [Exception(SLOW)] * 9
    with pytest.raises(runner.ClusterError, match="did not start on this machine in 3 attempts"):
        runner.start_ray()
    assert len(asked) == 3


def test_any_other_error_is_not_tried_again(starts):
    errors, asked = starts
    errors += [Exception("no memory")]
    with pytest.raises(Exception, match="no memory"):
        runner.start_ray()
    assert len(asked) == 1


def test_rows_of_another_sweep_keep_their_version(store):
    """An old result does not become one of the present schema by being copied."""
    config = tiny_config()
    old = {**finished_row(config), "schema_version": SCHEMA_VERSION - 1}
    write_rows(store, "trials", "one", [old])
    runner.adopt(store, Plan("two", (config,), (), (config,), ()))
    assert list(read_table(store, "trials", "two")["schema_version"]) == [SCHEMA_VERSION - 1]


def test_a_figure_that_cannot_be_drawn_is_a_failure_and_the_next_one_is_drawn(store, monkeypatch):
    config = tiny_config()
    write_rows(store, "trials", "one", [finished_row(config)])
    with monkeypatch.context() as broken:
        broken.setattr(phase_figures, "phase_diagram", lambda *_: 1 / 0)
        assert runner.draw(store, "one") == [
            "figures of sweep one: ZeroDivisionError('division by zero')"
        ]
    assert not runner.is_complete(store, "one", [config], Wish(names=()))
    assert runner.draw(store, "one") == []
    assert runner.is_complete(store, "one", [config], Wish(names=()))
