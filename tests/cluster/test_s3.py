"""The store in S3: a server that checks every signature, fills up, goes away and comes back."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from service.store.store import StoreError
from service.tables.bundle import export, read
from service.tables.importing import import_bundles
from service.tables.parquet import DamagedPartError
from service.tables.parts import read_part
from service.tables.reading import done_ids
from service.tables.writing import write_rows
from tests.service.rows import curve_row, finish
from tests.service.tiny import tiny_config
from tests.tracking_servers import dead_server

pytestmark = pytest.mark.cluster


def test_what_is_put_is_got_listed_and_deleted(make_store):
    store = make_store()
    store.preflight()
    assert store.list("") == []
    store.put("a/b/one", b"1")
    store.put("a/two", b"22")
    store.put("ab", b"of another folder")
    assert store.get("a/b/one") == b"1"
    assert [(e.key, e.size) for e in store.entries("a")] == [("a/b/one", 1), ("a/two", 2)]
    assert store.exists("a/two")
    store.delete("a/two")
    store.delete("a/two")  # what is not there need not be deleted
    assert not store.exists("a/two")
    assert store.get_or_none("a/two") is None
    store.delete_empty_folder("a")
    assert store.exists("a/b/one")
    store.delete_folder("a")
    assert store.list("") == ["ab"]


def test_the_clock_of_a_listing_is_the_stores(make_store):
    store = make_store()
    store.put("now", b"")
    age = time.time() - store.entries("")[0].modified.timestamp()
    assert -2 < age < 10


def test_a_large_object_goes_in_parts_and_comes_back_whole(make_store, stack):
    store, data = make_store(), os.urandom(40 * 2**20)
    store.put("large", data)
    assert store.get("large") == data
    asked = [path for method, path in stack.s3.requests() if method == "PUT" and "large" in path]
    assert len([path for path in asked if "partNumber" in path]) == 3
    store.put("large", b"small")
    assert store.get("large") == b"small"


def test_listings_are_read_to_their_end(make_store):
    """More objects than the 1,000 of one answer."""
    store = make_store()
    names = [f"many/{i:04}" for i in range(1100)]
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda name: store.put(name, b"x"), names))
    assert store.list("many") == names


def test_a_reader_never_sees_half_an_object(make_store):
    store = make_store()
    contents = [bytes([k]) * 3_000_000 for k in (1, 2)]
    store.put("key", contents[0])
    seen = set()
    with ThreadPoolExecutor(1) as pool:
        writes = [pool.submit(store.put, "key", contents[k % 2]) for k in range(12)]
        while not all(write.done() for write in writes):
            seen.add(store.get("key"))
    assert not any(write.exception() for write in writes)
    assert seen <= set(contents)


# --- what is wrong is said at once, and how to mend it -------------------------------------------

NO_KEY = {
    **dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""),
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_SHARED_CREDENTIALS_FILE": "/none",
}
BAD_KEYS = {
    "wrong secret": ({"AWS_SECRET_ACCESS_KEY": "not-the-secret"}, "refuses the key .*ACCESS_KEY"),
    "unknown key": ({"AWS_ACCESS_KEY_ID": "grok:nobody"}, "refuses the key .*ACCESS_KEY_ID"),
    "no key": (NO_KEY, r"no credentials\. Set AWS_ACCESS_KEY_ID"),
}


@pytest.mark.parametrize("case", BAD_KEYS)
def test_a_bad_key_is_one_clear_error(make_store, monkeypatch, case):
    change, said = BAD_KEYS[case]
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    started = time.monotonic()
    with pytest.raises(StoreError, match=f"store s3://.*cannot write preflight/.*{said}") as error:
        make_store().preflight()
    assert time.monotonic() - started < 30  # a store that is away is waited for: 90 s
    assert "not-the-secret" not in str(error.value)


def test_a_bucket_that_is_missing_or_of_others_is_named(make_store, stack, monkeypatch):
    """And a key that may only read is refused before anything starts."""
    stack.s3.create("theirs")
    with pytest.raises(StoreError, match=r"does not permit it.*s3-policy.json on bucket 'theirs'"):
        make_store(store="s3://theirs/x").preflight()
    with pytest.raises(StoreError, match=r"cannot read key: .*does not permit it"):
        read_part(make_store(store="s3://theirs/x"), "key")  # and not that it is damaged
    stack.s3.let_in(stack.key, "theirs", write=False)
    store = make_store(store="s3://theirs/x")
    assert store.list("") == []
    with pytest.raises(StoreError, match=r"cannot write preflight/.*does not permit it"):
        store.preflight()
    for name, value in stack.s3.keys[0].env(stack.s3.endpoint).items():  # of the owner
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=r"has no bucket .nowhere.\. Make it"):
        make_store(store="s3://nowhere/at/all").preflight()


def test_nobody_listening_is_one_clear_error(make_store):
    with pytest.raises(StoreError, match=r"AWS_ENDPOINT_URL_S3 .now http://127"):
        make_store(s3_endpoint=dead_server()).preflight()


def test_anonymous_requests_are_refused(stack):
    unsigned = Config(signature_version=UNSIGNED, s3={"addressing_style": "path"})
    client = boto3.client(
        "s3", endpoint_url=stack.s3.endpoint, region_name="us-east-1", config=unsigned
    )
    for call in (client.list_objects_v2, client.head_bucket):
        with pytest.raises(ClientError):
            call(Bucket="sweeps")


# --- it goes away and comes back -----------------------------------------------------------------


def test_a_store_that_is_away_for_a_while_is_waited_for(make_store, stack):
    store = make_store(patience_s=60.0)
    store.put("before", b"1")
    stack.s3.kill()
    timer = threading.Timer(4.0, stack.s3.start)
    timer.start()
    started = time.monotonic()
    store.put("meanwhile", b"2")
    assert time.monotonic() - started > 3
    assert (store.get("before"), store.get("meanwhile")) == (b"1", b"2")
    timer.join()
    stack.s3.wait()


def test_a_part_of_a_table_is_waited_for_and_never_called_damaged_by_a_server_that_is_away(
    make_store, stack
):
    """It is by pyarrow that parts are read, not by boto3 as other objects."""
    store = make_store(patience_s=60.0)
    key = write_rows(store, "curves", "one", [curve_row("a", step) for step in (0, 10)])
    stack.s3.kill()
    with pytest.raises(StoreError, match=f"cannot read {key}: .*AWS_ENDPOINT_URL_S3"):
        read_part(make_store(patience_s=0.0), key)
    timer = threading.Timer(4.0, stack.s3.start)
    timer.start()
    rows, _ = read_part(store, key)
    assert len(rows) == 2
    timer.join()
    stack.s3.wait()
    store.put(key, store.get(key)[:40] + b"?" + store.get(key)[41:])
    with pytest.raises(DamagedPartError):
        read_part(store, key)
    store.delete(key)
    assert read_part(store, key) is None


def test_a_full_store_is_waited_for_and_then_named(make_store, stack):
    with stack.s3.full():
        store = make_store(patience_s=3.0)
        started = time.monotonic()
        with pytest.raises(StoreError, match="cannot write x"):
            store.put("x", b"1")
        assert time.monotonic() - started > 3
        assert store.list("") == []  # nothing is half there
    store.put("x", b"1")


def test_what_is_damaged_on_its_way_is_not_taken(make_store, stack):
    """A wire that flips one bit of every body: the server finds that its checksum differs."""
    store = make_store(patience_s=0.5)
    with damaging_wire(stack.s3.ports["proxy"]) as endpoint:
        damaged = make_store(patience_s=0.5, s3_endpoint=endpoint)
        with pytest.raises(StoreError):
            damaged.put("precious", b"weights" * 1000)
    assert not store.exists("precious")


class damaging_wire:  # noqa: N801
    """A proxy that changes `weights` to `Weights` in what is sent to a port."""

    def __init__(self, port):
        self.port = port

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.accept, daemon=True).start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.port))
            for ends in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source, target, is_request):
        try:
            while data := source.recv(1 << 20):
                target.sendall(data.replace(b"weights", b"Weights", 1) if is_request else data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def __exit__(self, *_):
        self.listener.close()


def test_a_bundle_goes_from_bucket_to_bucket(make_store, tmp_path):
    here, there = make_store(), make_store(store="s3://sweeps/bundle-there")
    rows = finish(here, "mine", [tiny_config()])
    export(here, "mine", tmp_path / "1", {})
    for _ in range(2):
        import_bundles(there, [read(tmp_path / "1" / "mine")])
    assert done_ids(there) == {rows[0]["trial_id"]}
    export(there, "mine", tmp_path / "2", {})
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n / "mine").iterdir()} for n in "12")
    assert one == two
