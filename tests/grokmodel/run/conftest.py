"""A plan of trials of two shapes, and what its run leaves."""

import pytest

from tests.grokmodel.runs import CONFIGS, plan_of, run


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    return plan_of(tmp_path_factory.mktemp("plan") / "plan.zip", *CONFIGS)


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    """What a run leaves that nothing happened to."""
    out = tmp_path_factory.mktemp("whole")
    assert run(plan, out, "--checkpoints", "all") == 0
    return out
