"""A pack whose disk is full says so while it waits, and counts what is written, not trained."""

import dataclasses
from functools import partial

import pytest

from service.store.store import Store, StoreError
from service.tables.reading import read_table
from service.worker import pack_run
from service.worker.pack_run import PackJob
from tests.full_disk import fill, small_disk
from tests.service.packs import run_pack
from tests.service.tiny import tiny_config

CONFIGS = (tiny_config(seed=0), tiny_config(seed=1, steps=60))


@pytest.fixture
def job(settings, tmp_path, monkeypatch):
    """A pack whose store is a small disk."""
    monkeypatch.setattr(pack_run, "REPORT_S", 0.2)
    with small_disk(tmp_path / "disk", 4 * 2**20) as disk:
        here = dataclasses.replace(settings, store=str(disk / "store"))
        yield PackJob("sweep", here, CONFIGS, 1.0)


def patience(monkeypatch, seconds):
    monkeypatch.setattr(pack_run, "Store", partial(Store, patience_s=seconds))


def test_a_full_disk_is_reported_while_it_is_waited_for_and_nothing_counts_as_done(
    job, tmp_path, monkeypatch
):
    patience(monkeypatch, 8.0)
    reports = []

    def report(progress):
        if not reports:
            fill(tmp_path / "disk" / "other")
        reports.append(progress)

    with pytest.raises(StoreError, match=r"cannot write .*No space left"):
        run_pack(job, report)
    assert reports[-1].steps == sum(c.steps for c in CONFIGS)  # all is trained
    assert [r.phases for r in reports] == [{}] * len(reports)
    assert "cannot write" in reports[-1].waiting
    assert "No space left" in reports[-1].waiting
    (tmp_path / "disk" / "other").unlink()
    assert read_table(Store(job.settings), "trials").empty


def test_a_pack_goes_on_once_there_is_room(job, tmp_path, monkeypatch):
    patience(monkeypatch, 60.0)
    other, reports = tmp_path / "disk" / "other", []

    def report(progress):
        if not reports:
            fill(other)
        if progress.waiting and other.exists():
            other.unlink()
        reports.append(progress)

    run_pack(job, report)
    assert any(r.waiting for r in reports)
    assert reports[-1].waiting == ""
    assert reports[-1].phases.keys() == {c.trial_id for c in CONFIGS}
    assert len(read_table(Store(job.settings), "trials")) == len(CONFIGS)
