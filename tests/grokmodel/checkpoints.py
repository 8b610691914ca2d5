"""Members compared bit for bit, and checkpoints as another program would write them."""

import numpy as np
import torch
from safetensors.torch import load

from grokmodel.core import checksummed
from tests.grokmodel.tiny import curve_array

ROWS = ("weights", "first", "second", "average", "step")


def assert_identical(member, other):
    """Equal bit for bit."""
    assert member.config == other.config
    for name in ROWS:
        assert torch.equal(getattr(member.state, name), getattr(other.state, name)), name
    np.testing.assert_array_equal(curve_array(member.curve), curve_array(other.curve))


def rewritten(data, tensors=None, **changes):
    """A checkpoint with other tensors or entries in its header, whole by its checksum."""
    header = checksummed.header(data) | changes
    del header[checksummed.CHECKSUM]
    return checksummed.dump(load(data) if tensors is None else tensors, header)
