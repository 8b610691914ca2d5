"""Each check of this machine, the data and the results finds what is really wrong."""

import gzip
import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from service.health import checks
from service.health.finding import FAIL, NOTE, OK, WARNING
from service.store.objects import Entry
from service.store.store import Store
from service.tables.writing import write_rows
from tests.grokmodel.data_files import random_blocks, write_omniglot
from tests.service.health.findings import levels, only, words
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config


def of_store(settings, check):
    return [finding for finding in checks.store(settings) if finding.check == check]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_read_only_folder_is_no_store(settings, tmp_path):
    (tmp_path / "store").mkdir(mode=0o500)
    only(checks.store(settings), FAIL, "permissions")


@pytest.mark.parametrize("place", ["/dev/null/store", "/proc/grok"])
def test_a_folder_that_cannot_be_made_is_no_store(settings, place):
    only(checks.store(replace(settings, store=place)), FAIL, place)


@pytest.mark.parametrize(("free", "level"), [(1e6, FAIL), (5e9, WARNING), (1e12, OK)])
def test_a_full_disk_is_said(settings, monkeypatch, free, level):
    here = shutil.disk_usage("/")._replace(free=int(free))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: here)
    only(of_store(settings, "space"), level)


@pytest.mark.parametrize(("ahead_s", "level"), [(0, OK), (3600, WARNING), (-3600, WARNING)])
def test_clocks_that_differ_are_said(settings, monkeypatch, ahead_s, level):
    real = Store.entries

    def entries(self, prefix, hidden=False):
        by = timedelta(seconds=ahead_s)
        return [Entry(e.key, e.size, e.modified + by) for e in real(self, prefix, hidden)]

    monkeypatch.setattr(Store, "entries", entries)
    only(of_store(settings, "clock"), level)


def test_a_damaged_data_set_is_said_and_an_absent_one_only_noted(settings, tmp_path):
    only(checks.data(settings), NOTE)
    name = "emnist-bymerge-train-images"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"{name}-idx3-ubyte.gz").write_bytes(gzip.compress(b"no IDX"))
    only(checks.data(settings), FAIL, name)


def test_an_archive_is_counted_for_each_data_set_that_it_has(settings, tmp_path):
    (tmp_path / "data").mkdir()
    write_omniglot(tmp_path / "data" / "images_background.zip", random_blocks())
    found = list(checks.data(settings))
    assert levels(found) == [OK, FAIL]
    assert "omniglot-katakana: 940 images" in found[0].text
    assert "lacks 840 of the 840 drawings of Sanskrit" in found[1].text


def test_other_versions_are_a_warning_and_missing_packages_fail(settings, monkeypatch, tmp_path):
    assert FAIL not in levels(checks.versions(settings))
    file = tmp_path / "constraints.txt"
    file.write_text("numpy==1.0\n")
    monkeypatch.setattr(checks, "CONSTRAINTS", file)
    found = list(checks.versions(settings))
    assert WARNING in levels(found)
    assert "tested: 1.0" in words(found)
    needs = ["numpy>=99", "not-to-be-found"]
    monkeypatch.setattr(checks.importlib.metadata, "requires", lambda name: needs)
    found = list(checks.versions(settings))
    assert levels(found).count(FAIL) == 2
    assert "need >=99" in words(found)
    assert "not-to-be-found is not installed" in words(found)


def test_tables_too_many_to_read_are_said(store, settings, monkeypatch):
    write_rows(store, "trials", "mine", [finished_row(tiny_config())])
    monkeypatch.setattr(checks, "TABLES_S", -1.0)
    only(checks.tables(settings), WARNING, "grok compact")
