"""Messages in the background: the newest wins, a failure holds up nobody, one line says so."""

import threading
import time

import pytest
from mlflow.entities import Dataset, DatasetInput
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, INVALID_PARAMETER_VALUE

from service.store.store import StoreError
from service.tracking import publisher as module
from service.tracking.client import Tracking
from service.tracking.publisher import Publisher
from tests.tracking_servers import MlflowServer

URI = "http://user:secret@nowhere:1"


@pytest.fixture
def make(monkeypatch):
    """Publishers that try again soon; no call is made of their tracking."""
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.01)
    made = []

    def build(threads=1):
        monkeypatch.setattr(module, "SERVER_THREADS", threads)
        made.append(Publisher(Tracking(URI, "1", "2")))
        return made[-1]

    yield build
    for publisher in made:
        publisher.close()


class Server:
    """Takes messages while it is up."""

    def __init__(self):
        self.up, self.got, self.asked = threading.Event(), [], 0
        self.up.set()

    def message(self, text):
        def send(tracking):
            self.asked += 1
            if not self.up.is_set():
                raise ConnectionError("refused")
            self.got.append(text)

        return send


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_what_is_offered_is_sent_in_order(make):
    publisher, server = make(), Server()
    for i in range(20):
        publisher.offer(str(i), server.message(i))
    assert publisher.drain(10) == 0
    assert server.got == list(range(20))


def test_a_newer_message_takes_the_place_of_one_that_waits(make):
    publisher, server, gate = make(), Server(), threading.Event()
    publisher.offer("other", lambda tracking: gate.wait())
    for i in range(1000):
        publisher.offer("trial", server.message(i))
    assert len(publisher._waiting) <= 2
    gate.set()
    assert publisher.drain(10) == 0
    assert server.got == [999]


def test_a_server_that_was_away_gets_everything_once_and_two_lines_tell(make, caplog):
    publisher, server = make(), Server()
    server.up.clear()
    for i in range(5):
        publisher.offer(str(i), server.message(i))
    until(lambda: server.asked >= 4)
    assert publisher.drain(10) == 5  # whoever does not wait for it is not kept
    assert "refused" in publisher.trouble
    publisher.offer("0", server.message("newer"))
    server.up.set()
    assert publisher.drain(10, patience_s=10) == 0
    assert sorted(map(str, server.got)) == ["1", "2", "3", "4", "newer"]
    lines = [record.message for record in caplog.records]
    assert len(lines) == 2
    assert "does not answer" in lines[0]
    assert "is back" in lines[1]
    assert "secret" not in caplog.text


def test_a_message_that_fails_leaves_a_newer_one_in_its_place(make):
    publisher, server, gate = make(), Server(), threading.Event()

    def fails(tracking):
        gate.wait()
        raise ConnectionError("refused")

    publisher.offer("trial", fails)
    until(lambda: publisher._sending)
    publisher.offer("trial", server.message("newer"))
    gate.set()
    assert publisher.drain(10, patience_s=10) == 0
    assert server.got == ["newer"]


def test_tries_become_rare(make, monkeypatch):
    monkeypatch.setattr(module, "FIRST_RETRY_S", 0.1)
    publisher, server = make(threads=4), Server()
    server.up.clear()
    for i in range(8):
        publisher.offer(str(i), server.message(i))
    time.sleep(1.0)
    assert 3 <= server.asked <= 4 + 4  # all threads once, then at 0.1, 0.3, 0.7 s


def test_what_the_server_refuses_is_dropped_with_a_line_and_holds_up_nothing(make, caplog):
    publisher, server = make(), Server()

    def refused(tracking):
        raise MlflowException("no such param", INVALID_PARAMETER_VALUE)

    publisher.offer("bad", refused)
    publisher.offer("good", server.message("good"))
    assert publisher.drain(10) == 0
    assert server.got == ["good"]
    assert "refuses bad: no such param" in caplog.text
    assert publisher.trouble == ""


def test_a_store_that_does_not_give_what_is_to_be_sent_is_no_server_away(make, caplog):
    publisher, server = make(), Server()

    def unread(tracking):
        raise StoreError("store s3://b: cannot read tables")

    publisher.offer("trial", unread)
    publisher.offer("good", server.message("good"))
    assert publisher.drain(10) == 0
    assert server.got == ["good"]
    assert publisher.trouble == ""
    assert "MLflow does not get trial: store s3://b: cannot read" in caplog.text
    assert "does not answer" not in caplog.text


def test_what_is_refused_once_is_sent_again(make, caplog):
    publisher, refusals, got = make(), [None] * (module.REFUSALS - 1), []

    def send(tracking):
        if refusals:
            refusals.pop()
            raise MlflowException("UNIQUE constraint failed", BAD_REQUEST)
        got.append("sent")

    publisher.offer("trial", send)
    assert publisher.drain(10) == 0
    assert got == ["sent"]
    assert not caplog.records


@pytest.mark.cluster
def test_trials_of_one_data_set_are_all_sent_at_once_by_a_server(tmp_path, caplog):
    data = Dataset("images", "digest", "local", "{}", "{}", "{}")
    with MlflowServer(tmp_path) as server:
        for sweep in range(8):  # MLflow refuses one of two in about one of four
            tracking = Tracking.start(server.uri, f"sweep{sweep}", (tmp_path / "files").as_uri())
            runs = [
                tracking.run_of("name", str(i), str(i), {}) for i in range(module.SERVER_THREADS)
            ]
            with Publisher(tracking) as publisher:
                for run in runs:
                    publisher.offer(
                        run.info.run_id,
                        lambda tracking, run=run: tracking.log_inputs(
                            run, [DatasetInput(data, [])]
                        ),
                    )
                assert publisher.drain(60) == 0
            for run in runs:
                assert tracking.client.get_run(run.info.run_id).inputs.dataset_inputs
    assert "refuses" not in caplog.text


def test_a_call_that_hangs_keeps_nobody(make):
    publisher, gate = make(), threading.Event()
    publisher.offer("trial", lambda tracking: gate.wait())
    started = time.monotonic()
    assert publisher.drain(0.3) == 1
    publisher.close()
    assert time.monotonic() - started < 10  # the call never returns
    gate.set()


def test_one_trial_is_never_sent_by_two_threads_at_a_time(make):
    publisher, busy, clashes = make(threads=4), set(), []

    def message(key):
        def send(tracking):
            clashes.extend(busy & {key})
            busy.add(key)
            time.sleep(0.002)
            busy.discard(key)

        return send

    for i in range(200):
        publisher.offer(str(i % 3), message(str(i % 3)))
        time.sleep(0.001)
    assert publisher.drain(10) == 0
    assert clashes == []


def test_after_the_end_nothing_is_tried_again(make):
    publisher, server = make(), Server()
    server.up.clear()
    publisher.offer("trial", server.message(0))
    until(lambda: server.asked >= 1)
    publisher.close()
    until(lambda: not any(thread.is_alive() for thread in publisher._started))


def test_one_call_that_fails_is_no_server_away(make):
    server, publisher = Server(), make()
    server.up.clear()
    publisher.offer("a", server.message("a"))
    until(lambda: publisher.trouble)
    assert publisher.drain(0.3, patience_s=5) == 1
    assert not publisher.is_away(5)
    time.sleep(0.3)
    assert publisher.is_away(0.3)
    server.up.set()
    assert publisher.drain(10, patience_s=5) == 0
    assert not publisher.is_away(0)
