"""Plans: every trial once, done ones never again, packs of one shape."""

import pytest
import torch

from grokmodel.config import ConfigError
from service import plan as planning
from service.plan import Resources, calibrate, cost, expand, make_plan, pack
from service.tables import write_rows
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CPU = Resources(slots=2, cpus=1.0, gpus=0.0)


def test_expand_is_the_whole_grid_once():
    axes = {"P": [7, 11], "weight_decay": [0, 0.0, 1], "seed": [0, 1]}
    configs = expand(axes)
    cells = {(c.P, c.weight_decay, c.seed) for c in configs}
    assert len(configs) == len(cells) == 8
    assert cells == {(p, w, s) for p in (7, 11) for w in (0.0, 1.0) for s in (0, 1)}


def test_a_bad_combination_names_its_field():
    with pytest.raises(ConfigError, match=r"P = 4 .*prime"):
        expand({"op": ["div"], "P": [5, 4]})


def test_packs_hold_every_trial_once_and_one_shape_each():
    configs = [tiny_config(width=w, seed=s) for w in (16, 32) for s in range(9)]
    packs = pack(configs, CPU)
    assert sorted(c.trial_id for p in packs for c in p) == sorted(c.trial_id for c in configs)
    assert all(len({c.shape for c in p}) == 1 for p in packs)


def test_cpu_packs_are_small_enough_to_balance_and_never_too_large():
    configs = [tiny_config(seed=s) for s in range(24)]
    assert [len(p) for p in pack(configs, CPU)] == [3] * 8
    many = [tiny_config(seed=s) for s in range(1000)]
    assert max(map(len, pack(many, CPU))) <= planning.MAX_MEMBERS["cpu"]


def test_a_gpu_gets_one_pack_of_all():
    configs = [tiny_config(seed=s) for s in range(24)]
    assert [len(p) for p in pack(configs, Resources(1, 8.0, 1.0))] == [24]


def test_done_trials_are_not_planned_again(store):
    configs = [tiny_config(seed=s) for s in range(4)]
    write_rows(store, "trials", "mine", [finished_row(configs[0])])
    write_rows(store, "trials", "other", [finished_row(configs[1])])
    plan = make_plan(store, "mine", configs + configs, CPU)
    assert plan.done == (configs[0],)
    assert plan.shared == (configs[1],)
    assert set(plan.todo) == set(configs[2:])


def test_cost_is_bounded_by_the_longest_pack_and_the_slots():
    configs = [tiny_config(seed=s) for s in range(8)]
    plan = planning.Plan("s", tuple(configs), (), (), pack(configs, CPU))
    seconds = {configs[0].shape: 0.01}
    assert cost(plan, seconds, CPU) == pytest.approx(8 * 40 * 0.01 / 2)
    assert cost(plan, seconds, Resources(100, 1.0, 0.0)) == pytest.approx(40 * 0.01)


def test_calibration_measures_every_shape(settings):
    packs = [[tiny_config()], [tiny_config(seed=1)], [tiny_config(width=32)]]
    seconds = calibrate(packs, settings.data_root, torch.device("cpu"))
    assert set(seconds) == {packs[0][0].shape, packs[2][0].shape}
    assert all(0 < s < 1 for s in seconds.values())
