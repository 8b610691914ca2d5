"""Whether there is room is told before the training, from real disks."""

import dataclasses
import logging

import pytest

from service.schedule.space import bytes_needed, check_space
from service.settings import Settings
from service.store.store import Store, StoreError
from service.tracking import outbox
from service.worker.pack_run import PackJob
from tests.full_disk import small_disk
from tests.service.packs import run_pack
from tests.service.tiny import tiny_config

CONFIGS = [tiny_config(width=64, ffn=128, seed=s, steps=200 + 50 * s) for s in range(3)]


@pytest.fixture
def disk(tmp_path):
    return Store(Settings(str(tmp_path / "disk" / "store"), "", ""))


def test_it_is_about_what_training_leaves(settings, store):
    settings = dataclasses.replace(settings, checkpoint_s=1e9)
    run_pack(PackJob("sweep", settings, tuple(CONFIGS), 1.0))
    assert outbox.publish(settings, "sweep", print)
    left = sum(entry.size for entry in store.entries(""))
    least, likely = bytes_needed(CONFIGS)
    assert least < left
    assert 0.8 < likely / left < 1.25


@pytest.mark.parametrize(("share", "outcome"), [(0.5, "refused"), (2.0, "warned"), (20.0, "well")])
def test_a_disk_that_is_too_small_is_said(tmp_path, disk, caplog, share, outcome):
    least, _ = bytes_needed(CONFIGS)
    caplog.set_level(logging.WARNING)
    with small_disk(tmp_path / "disk", int(share * least)):
        if outcome == "refused":
            with pytest.raises(StoreError, match=r"kB free in .*disk/store: the 3 trials .* need "):
                check_space(disk, CONFIGS)
        else:
            check_space(disk, CONFIGS)
    assert (" free in " in caplog.text) == (outcome == "warned")
    assert not list((tmp_path / "disk").iterdir())
