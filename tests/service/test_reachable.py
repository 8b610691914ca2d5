"""A server that is not there is told from one that is, whatever its address looks like."""

import socket

import pytest

from service.reachable import PORTS, check_reachable
from service.tracking.client import Tracking, TrackingError


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


FORMS = ("127.0.0.1:{}", "ray://127.0.0.1:{}", "postgresql+psycopg://me@127.0.0.1:{}/db?a=b@c",
         "postgresql://me:p/1@2:3@127.0.0.1:{}/db")  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_a_server_takes_connections_or_it_does_not(form, port):
    check_reachable(form.format(port))
    with socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        check_reachable(form.format(closed))


def test_a_database_without_a_port_has_its_usual_one(port, monkeypatch):
    monkeypatch.setitem(PORTS, "mysql", port)
    check_reachable("mysql+pymysql://127.0.0.1/db")
    monkeypatch.setitem(PORTS, "mysql", 1)
    with pytest.raises(ConnectionRefusedError):
        check_reachable("mysql+pymysql://127.0.0.1/db")


def test_of_others_nothing_is_asked():
    for address in ("auto", "local", "sqlite:////a/b.db", "http://127.0.0.1:1"):
        check_reachable(address)


@pytest.mark.parametrize("address", ["postgresql://h:99999/db", "h:port", "[::1"])
def test_what_is_no_port_takes_no_connections(address):
    with pytest.raises(OSError):  # noqa: PT011
        check_reachable(address)


@pytest.mark.parametrize("uri", ["postgresql://me:pa/ss@127.0.0.1:1/db", "postgresql://h:99999/db"])
def test_an_odd_address_of_mlflow_is_one_clear_error(uri):
    with pytest.raises(TrackingError, match="does not answer") as caught:
        Tracking.start(uri, "sweep", "", patience_s=0.0)
    assert "pa/" not in str(caught.value)
