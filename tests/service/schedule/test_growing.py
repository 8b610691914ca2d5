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
    row = finished_row(config)
    write_rows(store, "curves", "sweep", finished_curve(config))
    write_rows(store, "trials", "sweep", [row])
    return {"news": (SimpleNamespace(row=row),)}


def step(growing_page, *results):
    for result in results:
        growing_page.on_trial_result(1, [], None, result)
    growing_page.on_step_end(1, [])
    growing_page.close()


def test_it_is_there_at_once_and_grows_when_there_is_news_and_it_is_time(
    store, growing_page, clock, monkeypatch
):
    drawn = []
    real = page.page

    def counted(*args, **options):
        drawn.append(clock.now)
        return real(*args, **options)

    monkeypatch.setattr(page, "page", counted)
    step(growing_page)  # at once, empty
    step(growing_page, finish(store, 0))
    assert len(drawn) == 1  # it is not time yet
    clock.now += EVERY_S
    step(growing_page)
    assert len(drawn) == 2
    clock.now += 10 * EVERY_S
    step(growing_page, {"news": ()})
    assert len(drawn) == 2  # nothing is new
    step(growing_page, finish(store, 1))
    assert len(drawn) == 3
    assert store.exists(page.key("sweep"))
    assert not is_drawn(store, "sweep")


def test_it_takes_no_more_than_its_share_of_the_time(store, growing_page, clock, monkeypatch):
    def slow(*_, **__):
        clock.worked += 6.0
        return "<html>"

    monkeypatch.setattr(page, "page", slow)
    step(growing_page)
    pause = 6.0 / MOST_SHARE
    clock.now += pause - 1
    step(growing_page, finish(store, 0))
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
