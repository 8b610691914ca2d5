"""The benchmarks run, at sizes that say nothing about speed."""

import json

import pytest

from tests.environment import python

SCRIPT = "tests/benchmarks/fused_training.py"
WITHOUT = """
import runpy, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # importing it raises ImportError
sys.argv = sys.argv[2:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*command):
    done = python(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.cluster
def test_fused_training_sets_packs_against_the_plain_model(tmp_path):
    out = tmp_path / "fused.json"
    sizes = ["--widths", "16", "--members", "1", "4", "--seconds", "0.1", "--rounds", "1"]
    printed = run(
        SCRIPT,
        *sizes,
        "--precisions",
        "float32",
        "--no-levers",
        "--peers",
        "vmap",
        "--json",
        str(out),
    )
    plain, vmap, one, four = json.loads(out.read_text())["rows"]
    assert (plain["kind"], one["members"], four["members"]) == ("plain", 1, 4)
    assert vmap["member_steps_per_s"] > 0
    assert plain["ratio_to_plain"] == 1.0
    assert four["ratio_to_plain"] == four["member_steps_per_s"] / plain["member_steps_per_s"]
    assert 0 < four["share_of_ceiling"] < 1
    assert f"{four['ratio_to_plain']:.2f}x" in printed


def test_fused_training_needs_torch_and_numpy_alone():
    others = "ray,mlflow,pandas,pyarrow,safetensors,PIL,matplotlib,scipy,optuna,boto3,pybdm"
    cell = {"kind": "plain", "width": 16, "members": 1, "precision": "float32"}
    run("-c", WITHOUT, others, SCRIPT, "--cell", json.dumps(cell), "--seconds", "0.1")
