"""Writes in the background: in order, complete in the end, errors where one trains."""

import contextlib
import threading

import pytest

from service.worker import writer as module
from service.worker.writer import Writer


def test_writes_keep_their_order_and_are_done_at_the_end():
    done = []
    with Writer() as writer:
        for i in range(100):
            writer.submit(lambda i=i: done.append(i))
    assert done == list(range(100))


def fail():
    raise OSError("disk full")


def test_an_error_is_raised_where_one_trains_and_ends_all_writing():
    done, writer = [], Writer()
    writer.submit(fail).result()
    with pytest.raises(OSError, match="disk full"):
        writer.check()
    with pytest.raises(OSError, match="disk full"):
        writer.submit(lambda: done.append(1))
    with pytest.raises(OSError, match="disk full"):
        writer.__exit__(None, None, None)
    assert done == []


def test_what_follows_a_failed_write_is_not_written():
    """No row without its snapshot, though both were handed over before the error was seen."""
    gate, done, writer = threading.Event(), [], Writer()
    writer.submit(gate.wait)
    writer.submit(fail)
    writer.submit(lambda: done.append(1))
    gate.set()
    with pytest.raises(OSError, match="disk full"):
        writer.__exit__(None, None, None)
    assert done == []


def test_what_was_handed_over_is_written_though_training_failed():
    done = []
    with contextlib.suppress(ZeroDivisionError), Writer() as writer:
        writer.submit(lambda: done.append(1))
        1 / 0  # noqa: B018
    assert done == [1]


def test_data_that_wait_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    gate, handed = threading.Event(), []

    def hand_over(writer):
        for i in range(4):
            writer.submit(lambda: gate.wait(10), size=40)
            handed.append(i)

    with Writer() as writer:
        thread = threading.Thread(target=hand_over, args=(writer,))
        thread.start()
        thread.join(0.3)
        assert len(handed) == 2
        gate.set()
        thread.join()
    assert len(handed) == 4
