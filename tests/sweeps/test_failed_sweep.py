"""A sweep that cannot come to its end says why."""

import json
import re

import pytest

from tests.environment import GROK_PHASE, python
from tests.full_disk import small_disk
from tests.grokmodel.data_files import write_two_alike
from tests.sweeps.scripts import run_script

WITHOUT_PYTHON = """
os.environ["RAY_worker_register_timeout_seconds"] = "10"
ray.init(
    address="local", num_cpus=2, include_dashboard=False, logging_level="error",
    log_to_driver=False, runtime_env={"py_executable": "/nowhere/python"},
)
try:
    configs = preset_configs("smoke", {})
    run_sweep("dark", configs, load_settings(str(folder)), print, UNANALYZED)
except SweepError as error:
    print(json.dumps(str(error)))
"""


@pytest.mark.slow
def test_workers_that_never_start_end_a_sweep(tmp_path):
    """Ray gives each of them up after six attempts; Tune would start every pack ten times more."""
    assert "no worker of Ray starts" in run_script(WITHOUT_PYTHON, tmp_path)


FULL_DISK = """
from service.schedule import tune
from service.store.store import StoreError

tune.MAX_FAILURES = 0
Store.__init__.__defaults__ = (1.0,)  # seconds that this process, which is the driver, waits

def fill_the_disk(*args):
    store = Store(settings, patience_s=0.0)
    for size in (100_000, 4096, 0):  # in the end there is no room for an empty file either
        with contextlib.suppress(StoreError):
            for _ in itertools.count():
                store.put(f"other/{uuid.uuid4()}", bytes(size))
    store.put("result", b"x")  # there is no room for
    yield

os.environ["MLFLOW_TRACKING_URI"], said = f"sqlite:///{folder}/mlflow.db", []
settings = load_settings(f"{folder}/disk/store")
try:
    configs = preset_configs("smoke", {})
    run_sweep("full", configs, settings, said.append, UNANALYZED, trainer=fill_the_disk)
except SweepError as error:
    print(json.dumps({"error": str(error), "said": said}))
"""


@pytest.mark.cluster
def test_a_full_disk_is_the_reason_that_a_sweep_gives(tmp_path):
    """Whatever Tune wrote there."""
    with small_disk(tmp_path / "disk", 4 * 2**20):
        found = run_script(FULL_DISK, tmp_path)
    assert "4 of 4 trials are not done" in found["error"]
    assert "disk/store: cannot write result: No space left on device" in found["error"]
    assert "0/4 trials" in found["said"]


@pytest.mark.cluster
@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:head", "nowhere"])
def test_a_cluster_that_cannot_be_joined_is_named(address, tmp_path):
    done = python(GROK_PHASE, "--preset", "smoke", GROK_STORE=tmp_path, RAY_ADDRESS=address)
    assert done.returncode == 2
    assert f"RAY_ADDRESS = {address!r}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


ALIKE = ["--name", "alike", "--data", "kuzushiji49", "--P", "7", "--N", "2", "--side", "8"]
REFUSAL = r"the decoder of 7 symbols reads 0\.\d+ of the held-out images; need 0\.98"


@pytest.mark.cluster
def test_a_sweep_without_a_decoder_ends_with_one_line(tmp_path):
    """What is wrong with the user's data is told as such, also when a Ray task finds it."""
    write_two_alike(tmp_path)
    done = python(GROK_PHASE, *ALIKE, GROK_STORE=tmp_path / "store", GROK_DATA=tmp_path)
    assert done.returncode == 2
    assert re.match(f"grok_phase: {REFUSAL}", done.stderr.splitlines()[-1])
    assert "Traceback" not in done.stderr
    assert "ray::" not in done.stderr
    (beat,) = tmp_path.glob("store/progress/alike/*.json")  # what `grok status` shows
    assert re.match(REFUSAL, json.loads(beat.read_text())["error"])
