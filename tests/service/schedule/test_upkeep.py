"""While a sweep is trained its page grows, at next to no cost, and is never taken for the last."""

import time
from types import SimpleNamespace

import pytest

from service import page
from service.analysis.drawing import is_drawn
from service.schedule import growing
from service.schedule.growing import EVERY_S, MOST_SHARE, GrowingPage
from service.tables.reading import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def clock(monkeypatch):
    """Hands of the module's clock: seconds that have gone, and those that a thread has worked."""
    hands = SimpleNamespace(now=1000.0, worked=0.0)
    fake = SimpleNamespace(monotonic=lambda: hands.now, thread_time=lambda: hands.worked)
    monkeypatch.setattr(growing, "time", fake)
    return hands


@pytest.fixture
def growing_page(store, settings):
    return GrowingPage(store, "sweep", settings, lambda: "1/2 trials, time left: 3 min at most")


def finish(store, seed):
    config = tiny_config(seed=seed)
    write_rows(store, "curves", "sweep", finished_curve(config))
    write_rows(store, "trials", "sweep", [finished_row(config)])


def step(growing_page):
    growing_page.on_step_end(1, [])
    growing_page.close()


def test_it_is_there_at_once_and_is_drawn_when_it_is_time(store, growing_page, clock):
    step(growing_page)  # at once, empty
    empty = store.get(page.key("sweep"))
    finish(store, 0)
    clock.now += EVERY_S - 1
    step(growing_page)
    assert store.get(page.key("sweep")) == empty  # it is not time yet
    clock.now += 1
    step(growing_page)
    assert len(store.get(page.key("sweep"))) > len(empty)
    assert not is_drawn(store, "sweep")


def test_it_takes_no_more_than_its_share_of_the_time(store, growing_page, clock, monkeypatch):
    def slow(*_, **__):
        clock.worked += 6.0
        return "<html>"

    monkeypatch.setattr(page, "page", slow)
    step(growing_page)
    pause = 6.0 / MOST_SHARE
    clock.now += pause - 1
    step(growing_page)
    assert clock.worked == 6.0
    clock.now += 2
    step(growing_page)
    assert clock.worked == 12.0


def test_a_page_that_cannot_be_drawn_ends_no_sweep(growing_page, monkeypatch, caplog):
    monkeypatch.setattr(page, "page", lambda *_, **__: 1 / 0)
    step(growing_page)
    assert "cannot be drawn" in caplog.text
    started = time.monotonic()
    growing_page.close()
    assert time.monotonic() - started < 1
