"""The sweep that faults are done to: `python -m tests.faults.driver NAME TRIALS [STEPS]`.

Real training at a set pace, so that a fault finds it in the middle on any machine; every round is
noted in the folder GROK_TRACE, from which the harness reads what a fault has cost.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from grokmodel.families import train
from service.analysis.pending import NONE, Wish
from service.data.banks import bind_images
from service.schedule.driver import run_sweep
from service.schedule.plan import SweepError
from service.settings import load_settings
from service.store.store import StoreError
from service.tracking.client import TrackingError
from tests.service.tiny import tiny_config

STEPS, EVERY = 80, 2
PACE_S = 0.25
"""Seconds a round, at least."""


def configs(count, steps=STEPS):
    trials = (tiny_config(seed=i, steps=steps, eval_every=EVERY) for i in range(count))
    return bind_images(trials, "data")


def paced_trainer(folder, members, inputs, device, mode):
    """`train`, noting for every round which step each trial has reached."""
    path = Path(folder, f"{os.getpid()}-{time.time_ns()}.jsonl")
    with path.open("a", buffering=1) as trace:
        note(trace, members)
        for round_ in train(members, inputs, device):
            time.sleep(PACE_S)
            note(trace, members)
            yield round_


def note(trace, members):
    steps = {m.config.trial_id: m.step for m in members}
    trace.write(json.dumps({"at": time.time(), "pid": os.getpid(), "steps": steps}) + "\n")


def main():
    name, count = sys.argv[1], int(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else STEPS
    trainer = partial(paced_trainer, os.environ["GROK_TRACE"])
    try:
        wish = Wish(scope=NONE)
        run_sweep(name, configs(count, steps), load_settings(), print, wish, trainer=trainer)
    except (SweepError, StoreError, TrackingError) as error:
        print(f"driver: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
