"""A part that the store does not give is not called damaged: its rows may be whole."""

import errno

import pytest

from service.health import checks
from service.health.finding import FAIL
from service.store.s3 import Bucket
from service.store.store import Store, StoreError
from service.tables import parquet
from service.tables.compaction import tidy
from service.tables.reading import read_rows, read_table
from service.tables.writing import TableError
from tests.service.parts import now, parts, write_curves

DELETE = "delete it and run its sweep again"
UNREADABLE = {
    "of another user": PermissionError(errno.EACCES, "Permission denied"),
    "server away": ConnectionError("connection reset"),
}


@pytest.fixture
def store(settings):
    """A store with three parts, that tries nothing twice."""
    store = Store(settings, patience_s=0.0)
    write_curves(store, "abc")
    return store


def refuse(monkeypatch, store, error):
    """One part cannot be opened any more; returns its key."""
    bad, real = parts(store)[1], parquet.check_path

    def check_path(filesystem, path):
        if path == store.path(bad):
            raise error
        real(filesystem, path)

    monkeypatch.setattr(parquet, "check_path", check_path)
    return bad


def damage(store):
    """One bit of a page of one part is another one, which pyarrow calls an OSError; its key."""
    bad = parts(store)[1]
    data = bytearray(store.get(bad))
    data[40] ^= 1
    store.put(bad, bytes(data))
    return bad


def readers(store):
    return (
        lambda: read_table(store, "curves"),
        lambda: read_rows(store, "curves", "abc"),
        lambda: now(store, tables=["curves"]),
    )


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_part_that_cannot_be_opened_is_named_and_not_to_be_deleted(
    store, settings, monkeypatch, case
):
    bad, before = refuse(monkeypatch, store, UNREADABLE[case]), parts(store)
    for read in readers(store):
        with pytest.raises(StoreError, match=f"cannot read {bad}: .*Check") as error:
            read()
        assert "delete" not in str(error.value)
    assert tidy(store, "one", settled_s=-1.0) == 0
    assert parts(store) == before
    monkeypatch.setattr(checks, "PREFLIGHT_S", 0.0)
    (found,) = checks.tables(settings)
    assert found.level == FAIL
    assert f"cannot read {bad}: " in found.text
    assert "elete" not in str(found)


def test_what_a_store_refuses_in_the_words_of_damage_is_not_damaged(store, settings, monkeypatch):
    """pyarrow says both of S3 and of a damaged page that an OSError came, without a number."""
    refuse(monkeypatch, store, OSError("AWS Error ACCESS_DENIED during HeadObject operation"))
    denied = PermissionError(errno.EACCES, "Permission denied")

    def get(self, key):
        raise denied

    monkeypatch.setattr(type(store.objects), "get", get)
    for read in readers(store):
        with pytest.raises(StoreError, match="Permission denied"):
            read()
    (found,) = checks.tables(settings)
    assert "Permission denied" in found.text


def test_a_part_that_is_whole_is_not_damaged_whatever_the_words(store, settings, monkeypatch):
    """Of an S3 server that is away pyarrow knows no more than a number, or less."""
    bad = refuse(monkeypatch, store, OSError("AWS Error UNKNOWN during HeadObject operation"))
    for read in readers(store):
        with pytest.raises(StoreError, match=f"cannot read {bad}: AWS Error UNKNOWN") as error:
            read()
        assert "delete" not in str(error.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 403, 404, 501])
def test_an_answer_of_which_only_the_status_is_known_is_waited_for_if_it_may_pass(status):
    error = OSError(f"AWS Error UNKNOWN (HTTP status {status}) during HeadObject operation")
    assert Bucket("bucket", None, "x").is_passing(error) == (status not in (403, 404, 501))


def test_a_damaged_page_is_called_damaged_and_nothing_is_merged(store, settings):
    bad, before = damage(store), parts(store)
    for read in readers(store):
        with pytest.raises(TableError, match=f"table curves: .*{bad}: .*CRC.*; {DELETE}"):
            read()
    assert tidy(store, "one", settled_s=-1.0) == 0  # and no error
    assert parts(store) == before
    (found,) = checks.tables(settings)
    assert bad in found.text
    assert "CRC" in found.text
    assert found.todo == "Delete it and run its sweep again"


def test_a_store_that_is_away_for_a_moment_is_waited_for(settings, monkeypatch):
    store = Store(settings, patience_s=5.0)
    write_curves(store, "abc")
    real, calls = parquet.check_path, []

    def check_path(filesystem, path):
        calls.append(path)
        if len(calls) == 1:
            raise OSError(errno.ESTALE, "Stale file handle")
        real(filesystem, path)

    monkeypatch.setattr(parquet, "check_path", check_path)
    for read in (lambda: now(store, tables=["curves"]), lambda: list(checks.tables(settings))):
        calls.clear()
        read()
    calls.clear()
    assert len(read_table(store, "curves")) == 6
    assert len(parts(store)) == 1
