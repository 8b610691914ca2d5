"""Sweeps with parts that no flag can put in: a script, run in a process of its own."""

import json

from tests.environment import ROOT as ROOT
from tests.environment import python

PRELUDE = """
import contextlib, itertools, json, os, shutil, signal, sys, time, uuid
from pathlib import Path

import ray
from service.analysis.pending import NONE, Wish
from service.schedule.driver import run_sweep
from service.schedule.plan import SweepError
from service.settings import Settings, load_settings
from service.store.store import Store
from sweeps.presets import preset_configs

folder, UNANALYZED = Path(sys.argv[1]), Wish(scope=NONE)
"""


def run_script(script, folder):
    """What the script prints last, as JSON; it knows `folder`, and has no cluster."""
    done = python("-c", PRELUDE + script, str(folder))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
