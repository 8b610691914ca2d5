"""A sweep whose disk is full ends with the reason, whatever Tune wrote there."""

from tests.full_disk import small_disk
from tests.sweeps.scripts import run_script

SWEEP = """
import contextlib, itertools, json, sys, uuid
from service.analysis.pending import NONE, Wish
from service.schedule import tune
from service.schedule.driver import run_sweep
from service.settings import load_settings
from service.store.store import Store, StoreError
from sweeps.presets import preset_configs

tune.MAX_FAILURES = 0
Store.__init__.__defaults__ = (1.0,)  # seconds that this process, which is the driver, waits
settings = load_settings(sys.argv[1] + "/disk/store")

def fill_the_disk(*args):
    store = Store(settings, patience_s=0.0)
    for size in (100_000, 4096, 0):  # in the end there is no room for an empty file either
        with contextlib.suppress(StoreError):
            for _ in itertools.count():
                store.put(f"other/{uuid.uuid4()}", bytes(size))
    store.put("result", b"x")  # there is no room for
    yield

said = []
try:
    configs, wish = preset_configs("smoke", {}), Wish(scope=NONE)
    run_sweep("full", configs, settings, said.append, wish, trainer=fill_the_disk)
except tune.SweepError as error:
    print(json.dumps({"error": str(error), "said": said}))
"""


def test_a_full_disk_is_the_reason_that_a_sweep_gives(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with small_disk(tmp_path / "disk", 4 * 2**20):
        found = run_script(SWEEP, tmp_path)
    assert "4 of 4 trials are not done" in found["error"]
    assert "disk/store: cannot write result: No space left on device" in found["error"]
    assert any(line.startswith("0/4 trials (no phase yet)") for line in found["said"])
