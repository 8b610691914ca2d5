"""Ray on a machine that is too busy to start it in the half minute that Ray allows."""

import pytest
import ray

from service.schedule import cluster

SLOW = "The current node timed out during startup. This could happen because ..."


@pytest.fixture
def starts(monkeypatch):
    """Starts of Ray, each of which fails with the next of these errors, if there is one."""
    errors, asked = [], []

    def init(**options):
        asked.append(options["address"])
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(cluster, "_prove_a_worker", lambda limit_s: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return errors, asked


def test_a_slow_start_is_tried_again(starts):
    errors, asked = starts
    errors += [Exception(SLOW)] * 2
    cluster.start_ray()
    assert asked == ["local"] * 3


@pytest.mark.parametrize(
    ("said", "tries", "refusal"),
    [(SLOW, 3, "did not start on this machine in 3 attempts"),
     ("no memory", 1, "does not start on this machine: no memory")],
)  # fmt: skip
def test_a_start_that_fails_is_one_clear_error(starts, said, tries, refusal):
    errors, asked = starts
    errors += [Exception(said)] * 9
    with pytest.raises(cluster.ClusterError, match=refusal):
        cluster.start_ray()
    assert len(asked) == tries
