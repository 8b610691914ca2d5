"""What `grok doctor` looks at: this machine, the data and the results. What it asks over a network
is in `endpoints`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import Requirement

from grokmodel.data.load import read_files
from grokmodel.data.names import EMNIST_SETS, KUZUSHIJI, OMNIGLOT_SETS
from grokmodel.data.omniglot import ARCHIVES
from grokmodel.errors import DataError
from service.health import endpoints
from service.health.finding import FAIL, NOTE, OK, WARNING, Check, Finding
from service.provenance import PACKAGES
from service.settings import Settings
from service.store.manifest import read_manifest, sweep_names
from service.store.store import PREFLIGHT_S, Store, StoreError
from service.tables.parquet import DamagedPartError
from service.tables.parts import ADVICE, read_part
from service.tables.schema import TABLES
from service.text import byte_size

OLDEST_PYTHON = (3, 11)
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
LEAST_FREE, LITTLE_FREE = 1e9, 20e9
"""Bytes of a folder store's disk below which a sweep cannot, or may not, come to its end."""
SLOW_PUT_S = 2.0
CLOCK_S = 30.0
"""Seconds by which two clocks may differ: `grok status` tells the dead from the living by them."""
TABLES_S = 60.0
"""Seconds for reading all tables; parts that are left then are not read."""
THREADS = 8
DATA_FILES = {
    **{name: (f"emnist-{kind}-*",) for name, kind in EMNIST_SETS.items()},
    KUZUSHIJI: ("k49-*",),
    **dict.fromkeys(OMNIGLOT_SETS, ARCHIVES),
}
"""Data set -> patterns of its files."""


def versions(settings: Settings) -> Iterator[Finding]:
    """Python and the packages, against those that were tested together."""
    python = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        yield Finding("python", FAIL, python, "Install Python 3.11 or newer")
    else:
        yield Finding("python", OK, python)
    tested = _tested()
    other = []
    for need in _needs():
        try:
            have = importlib.metadata.version(need.name)
        except importlib.metadata.PackageNotFoundError:
            todo = "pip install -c constraints.txt -e ."
            yield Finding("packages", FAIL, f"{need.name} is not installed", todo)
            continue
        if not need.specifier.contains(have, prereleases=True):
            todo = f"pip install -c constraints.txt '{need}'"
            yield Finding("packages", FAIL, f"{need.name} {have}: need {need.specifier}", todo)
        elif have.partition("+")[0] != tested.get(need.name, have).partition("+")[0]:
            other.append(f"{need.name} {have} (tested: {tested[need.name]})")
    if other:
        todo = "If something fails: pip install -c constraints.txt -e ."
        yield Finding("packages", WARNING, ", ".join(other), todo)
    elif not tested:
        yield Finding("packages", NOTE, f"no {CONSTRAINTS.name} beside the code to compare with")
    else:
        main = ", ".join(f"{name} {tested[name]}" for name in PACKAGES if name in tested)
        yield Finding("packages", OK, f"as tested: {main}")


def store(settings: Settings) -> Iterator[Finding]:
    """Write, read, list, delete; space; the store's clock."""
    place = Store(settings)
    started = time.monotonic()
    try:
        place.preflight()
    except (StoreError, OSError) as error:
        yield Finding("store", FAIL, str(error), "Nothing can be kept without it")
        return
    key = f"preflight/{uuid.uuid4().hex}"
    put = time.monotonic()
    place.put(key, b"grok")
    put_s = time.monotonic() - put
    now = datetime.now(UTC)
    entry = next((e for e in place.entries("preflight") if e.key == key), None)
    place.delete(key)
    if not place.is_s3:
        place.delete_empty_folder("preflight")
    took = f"all in {time.monotonic() - started:.2f} s, a write in {1000 * put_s:.0f} ms"
    text = f"{settings.store}: write, read, list, delete: {took}"
    if put_s > SLOW_PUT_S:
        yield Finding("store", WARNING, text, "Training waits for a store that is that slow")
    else:
        yield Finding("store", OK, text)
    if (free := place.free_bytes()) is not None:
        yield _space(free, settings.store)
    if entry is not None:
        yield _clock((entry.modified - now).total_seconds())


def devices(settings: Settings) -> Iterator[Finding]:
    """What this machine trains on."""
    import torch

    if not torch.cuda.is_available():
        cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        text = f"no CUDA device; {cpus} CPUs, {torch.get_num_threads()} threads"
        yield Finding("devices", OK, text)
        return
    rounded = "with" if torch.cuda.is_bf16_supported() else "without"
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        text = f"{name}, {byte_size(free)} of {byte_size(total)} free, {rounded} bfloat16"
        if free < total / 2:
            todo = "Another program holds its memory; packs become smaller"
            yield Finding("devices", WARNING, text, todo)
        else:
            yield Finding("devices", OK, text)


def data(settings: Settings) -> Iterator[Finding]:
    """Every data set of which there is a file has to be whole."""
    folder = Path(settings.data_root)
    found = False
    for name, patterns in DATA_FILES.items():
        if not any(path for pattern in patterns for path in folder.glob(pattern)):
            continue
        found = True
        try:
            raw = read_files(name, folder)
        except DataError as error:
            yield Finding("data", FAIL, f"{name}: {error}", "Put the official file in its place")
        else:
            images = sum(len(labels) for _, labels in (raw.train, raw.test))
            yield Finding("data", OK, f"{name}: {images:,} images in {folder}")
    if not found:
        text = f"no EMNIST, Kuzushiji-49 or Omniglot in {folder}; glyphs are built in"
        yield Finding("data", NOTE, text)


def manifests(settings: Settings) -> Iterator[Finding]:
    """What sweeps were asked for."""
    place, damaged = Store(settings), 0
    names = sweep_names(place)
    for name in names:
        try:
            read_manifest(place, name)
        except StoreError as error:  # it says what to do
            damaged += 1
            yield Finding("sweeps", FAIL, str(error))
    if not damaged:
        yield Finding("sweeps", OK, f"manifests of {len(names)}, all can be read")


def tables(settings: Settings) -> Iterator[Finding]:
    """Every part of every table, read whole as far as time allows."""
    place = Store(settings, PREFLIGHT_S)
    keys = [k for k in place.list("tables") if k.endswith(".parquet")]
    deadline = time.monotonic() + TABLES_S

    def look(key: str) -> list[Finding] | None:
        return None if time.monotonic() > deadline else list(_wrong(place, key))

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(look, keys))
    for found in answers:
        yield from found or ()
    if unread := answers.count(None):
        text = f"{unread} of {len(keys)} parts were not read in {TABLES_S:.0f} s"
        yield Finding("tables", WARNING, text, "Merge them: grok compact")
    elif not any(answers):
        yield Finding("tables", OK, f"{len(keys)} parts, all can be read")


def _wrong(place: Store, key: str) -> Iterator[Finding]:
    """What is wrong with a part; nothing if it went meanwhile."""
    try:
        found = read_part(place, key)
    except StoreError as error:  # it says what to do
        yield Finding("tables", FAIL, str(error))
        return
    except DamagedPartError as error:
        yield Finding("tables", FAIL, f"{place.uri(key)}: {error}", ADVICE.capitalize())
        return
    table = TABLES.get(key.split("/")[1])
    known = {f.name: f.type for f in table.arrow} if table else {}
    odd = [f.name for f in found[1] if known.get(f.name, f.type) != f.type] if found else []
    if odd:
        text = f"{place.uri(key)}: columns {', '.join(odd)} have other types"
        yield Finding("tables", FAIL, text, ADVICE.capitalize())


def _space(free: int, where: str) -> Finding:
    text = f"{byte_size(free)} free in {where}"
    if free < LEAST_FREE:
        return Finding("space", FAIL, text, "Make room: grok gc lists what can go")
    if free < LITTLE_FREE:
        return Finding(
            "space", WARNING, text, "A large sweep may fill it; grok gc lists what can go"
        )
    return Finding("space", OK, text)


def _clock(ahead_s: float) -> Finding:
    if abs(ahead_s) <= CLOCK_S:
        return Finding("clock", OK, f"the store's and this one differ by less than {CLOCK_S:.0f} s")
    which = "ahead of" if ahead_s > 0 else "behind"
    text = f"the store's clock is {abs(ahead_s):.0f} s {which} this one"
    todo = "Set the clocks (NTP): `grok status` and `grok gc` go by the age of objects"
    return Finding("clock", WARNING, text, todo)


def _tested() -> dict[str, str]:
    if not CONSTRAINTS.exists():
        return {}
    lines = re.findall(r"^([\w.\-]+)==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in lines}


def _needs() -> list[Requirement]:
    """What this package needs to run."""
    try:
        needs = importlib.metadata.requires("grok-sweep") or []
    except importlib.metadata.PackageNotFoundError:  # run from its source, as in a submitted job
        needs = list(PACKAGES)
    found = (Requirement(need) for need in needs)
    return [need for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]


CHECKS = (
    Check("packages", versions, 10.0, "Set up the environment again"),
    Check("store", store, 60.0, "Check the disk, the mount or the S3 server"),
    Check("tracking", endpoints.tracking, 30.0, "Check that the MLflow server answers"),
    Check("ray", endpoints.ray, endpoints.RAY_S + 20.0, "Check that Ray runs: ray status"),
    Check("devices", devices, 60.0, "Check the GPU's driver: nvidia-smi"),
    Check("data", data, 120.0, "Check the disk with the data files"),
    Check("sweeps", manifests, 60.0, "Check the disk, the mount or the S3 server"),
    Check("tables", tables, TABLES_S + 30.0, "Check the disk, the mount or the S3 server"),
)
