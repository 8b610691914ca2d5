"""Rows that a sweep takes from another; figures that cannot be drawn."""

from service.analysis.pending import Wish
from service.report import phase_figures
from service.schedule import driver
from service.schedule.plan import Plan
from service.tables.reading import read_table, write_rows
from service.tables.schema import SCHEMA_VERSION
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def test_rows_of_another_sweep_keep_their_version(store):
    """An old result does not become one of the present schema by being copied."""
    config = tiny_config()
    old = {**finished_row(config), "schema_version": SCHEMA_VERSION - 1}
    write_rows(store, "trials", "one", [old])
    driver.adopt(store, Plan("two", (config,), (), (config,), ()))
    assert list(read_table(store, "trials", "two")["schema_version"]) == [SCHEMA_VERSION - 1]


def test_a_figure_that_cannot_be_drawn_is_a_failure_and_the_next_one_is_drawn(store, monkeypatch):
    config = tiny_config()
    write_rows(store, "trials", "one", [finished_row(config)])
    with monkeypatch.context() as broken:
        broken.setattr(phase_figures, "phase_diagram", lambda *_: 1 / 0)
        assert driver.draw(store, "one") == [
            "figures of sweep one: ZeroDivisionError('division by zero')"
        ]
    assert not driver.is_complete(store, "one", [config], Wish(names=()))
    assert driver.draw(store, "one") == []
    assert driver.is_complete(store, "one", [config], Wish(names=()))
