"""Figures that cannot be drawn."""

from service.analysis.failures import lines
from service.analysis.pending import Wish
from service.report import figures
from service.schedule import driver, stages
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


def test_a_figure_that_cannot_be_drawn_is_a_failure_and_the_next_one_is_drawn(
    store, settings, monkeypatch
):
    config = tiny_config()
    write_rows(store, "trials", "one", [finished_row(config)])
    write_rows(store, "curves", "one", finished_curve(config))
    with monkeypatch.context() as broken:
        broken.setattr(figures, "sweep_curves", lambda *_: 1 / 0)
        assert lines(stages.draw(store, "one", settings)) == [
            "figures of sweep one: ZeroDivisionError('division by zero')"
        ]
    assert not driver.is_complete(store, "one", [config], Wish(names=()))
    assert stages.draw(store, "one", settings) == []
    assert driver.is_complete(store, "one", [config], Wish(names=()))
