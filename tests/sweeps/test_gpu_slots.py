"""The way of packs on GPUs, as far as it can be gone without one: Ray believes in a GPU, and the
processes that it gives it to train on the CPU."""

import pandas as pd
import pytest

from tests.sweeps.scripts import run_script

BELIEVE = """
ray.init(
    address="local", num_cpus=2, num_gpus=1, include_dashboard=False, logging_level="error"
)
"""
SWEEP = """
from service.schedule.cluster import cluster_resources

assert str(cluster_resources()) == "1 GPU, 1 CPU"
lines = []
configs = preset_configs("smoke", {"seed": list(range(6)), "weight_decay": [1.0], "steps": [50]})
run_sweep("gpu", configs, load_settings(str(folder)), lines.append, UNANALYZED)
print(json.dumps(lines))
"""


@pytest.mark.slow
def test_a_sweep_on_a_gpu_measures_its_packs_and_trains_every_trial_once(tmp_path):
    planned = run_script(BELIEVE + SWEEP, tmp_path)[0]
    assert "6 to train" in planned
    assert "on 1 slots of 1 GPU, 1 CPU" in planned
    trials = pd.read_parquet(tmp_path / "tables" / "trials")
    assert sorted(trials["seed"]) == list(range(6))


WITHOUT_DATA = """
from grokmodel.errors import UserError
from grokmodel.image.config import TrialConfig
from service.schedule.pack_size import most_members

try:
    most_members([TrialConfig(data="emnist")], str(folder))
except UserError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.mark.cluster
def test_a_measurement_without_its_data_names_what_is_missing(tmp_path):
    name, said = run_script(BELIEVE + WITHOUT_DATA, tmp_path)
    assert name == "DataError"
    assert said.startswith(f"{tmp_path}/emnist-bymerge-train-images-idx3-ubyte.gz: not found; put")
