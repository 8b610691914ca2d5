"""While a sweep is trained its page grows, at next to no cost, and is never taken for the last."""

import threading
import time
from functools import partial
from types import SimpleNamespace

import pytest

from service import page
from service.schedule import upkeep as module
from service.schedule.drawing import draw_sweep, is_drawn
from service.schedule.upkeep import EVERY_S, MOST_SHARE, Upkeep
from service.store.manifest import write_manifest
from service.tables import compaction
from service.tables.compaction import merge_small
from service.tables.reading import read_table
from service.tables.writing import write_rows
from tests.service.rows import finished_curve, finished_row
from tests.service.tiny import tiny_config


@pytest.fixture
def clock(monkeypatch):
    """Hands of the module's clock: seconds that have gone, and those that a thread has worked."""
    hands = SimpleNamespace(now=1000.0, worked=0.0)
    fake = SimpleNamespace(monotonic=lambda: hands.now, thread_time=lambda: hands.worked)
    monkeypatch.setattr(module, "time", fake)
    return hands


@pytest.fixture
def upkeep(store, settings):
    return Upkeep(store, "sweep", settings, lambda: "1/2 trials, time left: 3 min at most")


def finish(store, seed):
    config = tiny_config(seed=seed)
    write_rows(store, "curves", "sweep", finished_curve(config))
    write_rows(store, "trials", "sweep", [finished_row(config)])


def step(upkeep):
    upkeep.on_step_end(1, [])
    upkeep.close()


def test_it_is_there_at_once_and_is_drawn_when_it_is_time(store, upkeep, clock):
    step(upkeep)  # at once, empty
    empty = store.get(page.key("sweep"))
    finish(store, 0)
    clock.now += EVERY_S - 1
    step(upkeep)
    assert store.get(page.key("sweep")) == empty  # it is not time yet
    clock.now += 1
    step(upkeep)
    assert len(store.get(page.key("sweep"))) > len(empty)
    assert not is_drawn(store, "sweep")


def test_it_takes_no_more_than_its_share_of_the_time(store, upkeep, clock, monkeypatch):
    def slow(*_, **__):
        clock.worked += 6.0
        return "<html>"

    monkeypatch.setattr(page, "page", slow)
    step(upkeep)
    pause = 6.0 / MOST_SHARE
    clock.now += pause - 1
    step(upkeep)
    assert clock.worked == 6.0
    clock.now += EVERY_S
    step(upkeep)
    assert clock.worked == 12.0


def test_the_last_page_of_another_driver_stays(store, upkeep, settings):
    """Two drivers train one sweep; one ends, the other is killed before it does."""
    finish(store, 0)
    write_manifest(store, "sweep", [tiny_config(seed=0)], "1")
    draw_sweep(store, "sweep", settings)
    last = store.get(page.key("sweep"))
    step(upkeep)
    assert store.get(page.key("sweep")) == last


def test_it_is_not_tried_again_at_once_when_it_fails(upkeep, clock, monkeypatch):
    tries = []

    def fail(*_):
        tries.append(1)
        raise MemoryError

    monkeypatch.setattr(module, "merge_small", fail)
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    for _ in range(3):
        step(upkeep)
    assert len(tries) == 1


def test_a_page_that_cannot_be_drawn_ends_no_sweep(upkeep, monkeypatch, caplog):
    monkeypatch.setattr(page, "page", lambda *_, **__: 1 / 0)
    step(upkeep)
    assert "cannot be drawn" in caplog.text
    started = time.monotonic()
    upkeep.close()
    assert time.monotonic() - started < 1


def test_small_parts_are_merged_while_it_is_trained(store, upkeep, monkeypatch):
    monkeypatch.setattr(compaction, "MANY_PARTS", 2)
    monkeypatch.setattr(module, "merge_small", partial(merge_small, settled_s=-1.0))
    for seed in range(3):
        finish(store, seed)
    assert len(store.list("tables/trials")) == 3
    step(upkeep)
    assert len(store.list("tables/trials")) == len(store.list("tables/curves")) == 1
    assert len(read_table(store, "trials", "sweep")) == 3


def test_they_are_merged_while_the_page_is_not_due(store, upkeep, clock, monkeypatch):
    monkeypatch.setattr(compaction, "MANY_PARTS", 2)
    monkeypatch.setattr(module, "merge_small", partial(merge_small, settled_s=-1.0))

    def slow(*_, **__):
        clock.worked += 6.0
        return "<html>"

    monkeypatch.setattr(page, "page", slow)
    step(upkeep)
    for seed in range(3):
        finish(store, seed)
    clock.now += EVERY_S
    step(upkeep)
    assert len(store.list("tables/trials")) == 1
    assert clock.worked == 6.0
