"""Members that several analyses need, trained once a module."""

import pytest

from tests.grokmodel.analysis.handmade import probe_of
from tests.grokmodel.tiny import tiny, train_together


@pytest.fixture(scope="module")
def trained_pair():
    """Two members that use the operands and the noisy image: their answers change by level."""
    how = {"width": 32, "ffn": 64, "lr": 3e-3, "weight_decay": 0.1, "steps": 100, "eval_every": 100}
    return probe_of(*train_together(*(tiny(seed=s, **how) for s in (1, 2))))
