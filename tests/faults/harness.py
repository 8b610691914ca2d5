"""Runs sweeps on a real cluster while faults are done to it, and checks what is left of them.

python -m tests.faults.harness --faults 200 --seed 1
"""

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from mlflow import MlflowClient

from grokmodel.core.checkpoint import load_snapshot
from grokmodel.image.pack import Member
from infra.local.stack import running
from service.settings import Settings
from service.store.keys import snapshot_key
from service.store.store import Store
from service.tables.reading import read_table
from service.tracking import outbox
from tests.environment import user_environment
from tests.faults.driver import EVERY, STEPS, configs
from tests.faults.faults import Faults, plan
from tests.faults.losses import lost_work

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINT_S = 2.0
SLACK_S = 3.0
"""Beyond an interval: a round, and the time that a resume point takes to arrive."""
SWEEP_S = 600.0
TRIALS = 12
FAULTS_A_SWEEP = 10
MAX_STARTS = 8
TIMINGS = ["wall_s", "device", "sweep"]


class Driver:
    """The process that runs per sweep; killed and started again at will."""

    def __init__(self, name, env, log):
        self.name, self.env, self.log = name, env, log
        self.process, self.starts = None, 0

    def start(self):
        self.starts += 1
        command = [sys.executable, "-m", "tests.faults.driver", self.name, str(TRIALS)]
        with self.log.open("a") as stream:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdout=stream, stderr=stream
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ended(self):
        return self.process.poll() is not None

    def succeeded(self):
        return self.process.poll() == 0


class Harness:
    """A cluster, the undisturbed results, and the faults done so far."""

    def __init__(self, stack, folder):
        self.stack, self.folder, self.log = stack, folder, folder / "driver.log"
        self.trace = folder / "trace"
        self.env = user_environment(GROK_CHECKPOINT_S=str(CHECKPOINT_S), PYTHONUNBUFFERED="1")
        self.env |= stack.env()
        self.done, self.lost, self.seconds, self.gave_up = [], [], [], []
        self.expected, self.published = None, 0

    def sweep(self, name, faults, dice):
        """Run one sweep to its end with some faults on the way; raises what is wrong with it.

        Args:
            faults: a deque of kinds and seconds of quiet before them; those that were done are
                taken off its left.
        """
        # a store of its own: trials that another sweep has trained would not be trained again
        store = f"s3://sweeps/{name}"
        trace = self.trace / name
        trace.mkdir(parents=True)
        env = self.env | {"GROK_STORE": store, "GROK_TRACE": str(trace)}
        driver = Driver(name, env, self.log)
        hands = Faults(self.stack, driver, dice)
        started = time.monotonic()
        driver.start()
        self.wait(driver, hands.workers, started)
        for _ in range(FAULTS_A_SWEEP):
            if not faults:
                break
            kind, quiet_s = faults[0]
            time.sleep(quiet_s)
            if driver.succeeded():
                break
            at, hit = time.time(), hands.do(kind)
            if hit is not None:
                faults.popleft()
                fault = {"sweep": name, "kind": kind, "hit": hit, "at": at, "until": time.time()}
                self.done.append(fault)
            # the next fault comes upon a sweep that is at work and has saved again
            ended = time.time()
            self.wait(driver, hands.workers, started)
            self.wait(driver, lambda: self.has_saved(store, ended), started)  # noqa: B023
        self.wait(driver, lambda: False, started)
        self.seconds.append(time.monotonic() - started)
        self.lost += [{"sweep": name, **lost} for lost in lost_work(trace, self.done)]
        if Store(self.settings(store)).list("outbox"):
            # MLflow was away when the sweep ended: what the driver told its user to do then
            self.published += 1
            assert outbox.publish(self.settings(store), name, print)
        self.check(name, Store(self.settings(store)))

    def wait(self, driver, goes_on, started):
        """Until work goes on or is done; a driver that has given up is started again."""
        while not driver.succeeded() and not goes_on():
            # it may have come to its good end since it was asked
            if driver.ended() and not driver.succeeded():
                code = driver.process.returncode
                self.gave_up.append(f"exit code {code}: {self.log.read_text()[-2000:]}")
                driver.start()
            if time.monotonic() - started > SWEEP_S or driver.starts > MAX_STARTS:
                driver.kill()
                raise AssertionError(f"{driver.name} hangs: {self.log.read_text()[-3000:]}")
            time.sleep(1.0)

    def has_saved(self, store, since):
        """Whether a resume point or a row was written after a time."""
        place = Store(self.settings(store))
        states = (e for e in place.entries("checkpoints") if e.key.endswith("state.safetensors"))
        written = [*states, *place.entries("tables/trials")]
        return any(e.modified.timestamp() > since + 1 for e in written)  # in whole seconds

    def settings(self, store):
        return Settings(store, self.stack.mlflow.uri, "", self.stack.s3.endpoint)

    def check(self, name, store):
        """Every promise about what a sweep leaves behind."""
        ids = sorted(c.trial_id for c in configs(TRIALS))
        trials, curves = (science(read_table(store, t, name)) for t in ("trials", "curves"))
        assert sorted(trials["trial_id"]) == ids, "not one row per trial"
        for key in store.list("tables"):
            pq.read_table(pa.BufferReader(store.get(key)))
        snapshots = {i: snapshot_key(i, STEPS, run) for i, run in zip(ids, trials["run_id"])}
        members = {i: load_snapshot(Member, store.get(key)) for i, key in snapshots.items()}
        weights = {i: member.state.weights for i, member in members.items()}
        for key in store.list("checkpoints"):
            assert "state" not in key, f"{key} was left"
            load_snapshot(Member, store.get(key))
        if self.expected is None:
            self.expected = trials, curves, weights
        for mine, whole in zip((trials, curves), self.expected, strict=False):
            pd.testing.assert_frame_equal(mine, whole, check_exact=True)
        for i in ids:
            assert torch.equal(weights[i], self.expected[2][i]), f"weights of {i} differ"
        self.check_runs(name, ids)

    def check_runs(self, name, ids):
        client = MlflowClient(self.stack.mlflow.uri)
        experiment = client.get_experiment_by_name(name)
        runs = client.search_runs([experiment.experiment_id])
        assert sorted(r.data.tags.get("trial_id", "") for r in runs) == ["", *ids]
        for run in runs:
            assert run.info.status == "FINISHED", run.data.tags
            if "trial_id" in run.data.tags:
                assert run.data.metrics["steps_run"] == STEPS
                history = client.get_metric_history(run.info.run_id, "loss")
                steps = [m.step for m in history]
                assert steps == sorted(set(steps)), "a point twice"
                assert len(steps) == STEPS // EVERY + 1, "points are missing"

    def report(self):
        """What was done, and what it cost, as Markdown."""
        lines = [
            f"{len(self.done)} faults in {len(self.seconds) - 1} sweeps of {TRIALS} trials; "
            f"resume points every {CHECKPOINT_S:g} s",
            "",
            "| fault | times | trials restarted | lost s: median | max | max with store away |",
            "|---|---|---|---|---|---|",
        ]
        for kind in Faults.KINDS:
            times = sum(f["kind"] == kind for f in self.done)
            mine = [x for x in self.lost if x["kind"] == kind]
            lost, twice = ([x[name] for x in mine] for name in ("lost_s", "trained_twice_s"))
            found = (statistics.median(lost), max(lost), max(twice)) if mine else ()
            cells = [f"{x:.1f}" for x in found] or ["-"] * 3
            lines.append(f"| {kind} | {times} | {len(lost)} | {' | '.join(cells)} |")
        lines += [
            "",
            f"drivers that gave up and were started again: {len(self.gave_up)}; "
            f"sweeps that MLflow got by `grok publish`: {self.published}",
        ]
        return "\n".join(lines)


def science(rows):
    """What must not depend on what happened."""
    by = ["trial_id", "steps_run" if "steps_run" in rows else "step"]
    return rows.drop(columns=TIMINGS, errors="ignore").sort_values(by, ignore_index=True)


def run(count, seed):
    """Do so many faults; returns the harness."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        place = Path(folder)
        with running(place / "stack") as stack, patch.dict(os.environ, stack.env()):
            harness = Harness(stack, place)
            harness.sweep("undisturbed", deque(), random.Random(seed))
            print(f"undisturbed: {harness.seconds[0]:.0f} s")
            left = deque(plan(seed, count))
            for number in itertools.count(1):
                if not left:
                    break
                before = len(harness.done)
                harness.sweep(f"faults{number}", left, random.Random(f"{seed}-{number}"))
                hit = ", ".join(f"{f['kind']} ({f['hit']})" for f in harness.done[before:])
                print(f"faults{number}: {harness.seconds[-1]:.0f} s, {hit}")
            return harness


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faults", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", help="file for all faults and what they cost")
    args = parser.parse_args()
    harness = run(args.faults, args.seed)
    print(harness.report())
    for said in harness.gave_up:
        print("a driver gave up:", said, sep="\n", file=sys.stderr)
    if args.json:
        found = {"faults": harness.done, "lost": harness.lost, "seconds": harness.seconds}
        Path(args.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
