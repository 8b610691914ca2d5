"""Twenty things go wrong while sweeps run, and nothing is lost. `make faults` does two hundred."""

from collections import Counter

import pytest

from tests.faults.faults import Faults
from tests.faults.harness import CHECKPOINT_S, SLACK_S, run
from tests.faults.losses import lost_work

pytestmark = pytest.mark.cluster


def test_after_twenty_faults_every_sweep_is_as_if_nothing_had_happened():
    """Rows, runs, files and numbers are checked by the harness after every sweep."""
    harness = run(20, seed=0)
    print(harness.report())
    counts = Counter(fault["kind"] for fault in harness.done)
    assert sum(counts.values()) == 20
    assert set(counts) == set(Faults.KINDS)
    assert harness.gave_up == []  # drivers that were not killed went on by themselves
    assert len(harness.lost) >= 4
    assert max(lost["lost_s"] for lost in harness.lost) <= CHECKPOINT_S + SLACK_S


def test_lost_work_is_what_was_trained_twice(tmp_path):
    """A worker that had reached step 30 and was started again at step 10 has lost two rounds."""
    old = [(100.0, 0), (101.0, 10), (102.0, 20), (103.0, 30)]
    new = [(110.0, 10), (111.0, 20)]
    for name, notes in (("old", old), ("new", new)):
        lines = [f'{{"at": {at}, "pid": 1, "steps": {{"t": {step}}}}}' for at, step in notes]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines) + '\n{"at": 1')  # cut by the kill
    faults = [{"kind": "mlflow", "at": 90.0}, {"kind": "worker", "at": 103.2}]
    (lost,) = lost_work(tmp_path, faults)
    assert (lost["lost_s"], lost["trained_twice_s"], lost["kind"]) == (2.0, 2.0, "worker")
    faults.append({"kind": "s3", "at": 101.5, "until": 102.0})  # nothing could be saved after that
    (lost,) = lost_work(tmp_path, faults)
    assert (lost["lost_s"], lost["trained_twice_s"]) == (0.5, 2.0)
