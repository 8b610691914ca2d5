import pytest
import torch

from grokmodel.core.pack_size import MEMORY_SHARE, Measured, best_size, measure_pack
from grokmodel.image.family import FAMILY
from tests.grokmodel.tiny import CPU, inputs_for, tiny


class Device:
    """A device on which `full` members run as fast as one, and further ones in turn."""

    def __init__(self, full, bytes_each=0):
        self.full, self.bytes_each, self.tried = full, bytes_each, []

    def measure(self, members):
        self.tried.append(members)
        return Measured(members, max(1.0, members / self.full), members * self.bytes_each)


@pytest.mark.parametrize("full", [1, 2, 8, 64])
def test_the_pack_is_as_large_as_fills_the_device(full):
    found = best_size(Device(full).measure, at_most=256)
    assert full <= found.members <= 2 * full
    assert found.rate == full


def test_no_size_above_the_most_that_is_wanted_is_tried():
    device = Device(full=1000)
    assert best_size(device.measure, at_most=24).members == 24
    assert device.tried == [1, 2, 4, 8, 16, 24]


def test_a_pack_that_might_not_fit_is_not_tried():
    device = Device(full=1000, bytes_each=10)
    found = best_size(device.measure, at_most=256, free_bytes=500)
    assert found.peak_bytes <= MEMORY_SHARE * 500
    assert max(device.tried) == found.members == 32


def test_a_pack_is_measured_by_training_it():
    config = tiny()
    inputs = inputs_for(config)
    one, many = (measure_pack(FAMILY, config, inputs, CPU, m, "eager") for m in (1, 64))
    assert (one.members, many.members) == (1, 64)
    assert one.seconds < many.seconds < 64 * one.seconds


def test_a_size_that_does_not_fit_is_not_taken():
    def measure(members):
        if members > 8:
            raise torch.OutOfMemoryError
        return Measured(members, 1.0, 0)

    assert best_size(measure, at_most=256).members == 8
