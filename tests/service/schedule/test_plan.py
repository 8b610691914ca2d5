"""Plans: every trial once, done ones never again, packs of one shape."""

import json

import pytest

from grokmodel.errors import ConfigError
from grokmodel.image.config import TrialConfig
from service.schedule import plan as planning
from service.schedule.plan import Resources, cost, expand, make_plan, pack
from service.tables.writing import write_rows
from tests.benchmarks import tables_scale
from tests.service.rows import finished_row
from tests.service.tiny import tiny_config

CPU = Resources(slots=2, cpus=1.0, gpus=0.0)


def test_expand_is_the_whole_grid_once():
    axes = {"P": [7, 11], "weight_decay": [0, 0.0, 1], "seed": [0, 1]}
    configs = expand(axes)
    cells = {(c.P, c.weight_decay, c.seed) for c in configs}
    assert len(configs) == len(cells) == 8
    assert cells == {(p, w, s) for p in (7, 11) for w in (0.0, 1.0) for s in (0, 1)}


def test_what_is_not_an_axis_has_the_default_of_today():
    """And not the value that it had in old results."""
    assert expand({"N": [2], "batch": [64]}) == [TrialConfig(N=2, batch=64)]


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
    assert [len(p) for p in pack(configs, CPU)] == [4] * 6
    few = [tiny_config(seed=s) for s in range(8)]  # a member alone would waste a CPU
    assert [len(p) for p in pack(few, CPU)] == [4] * 2
    assert [len(p) for p in pack(few[:2], CPU)] == [1, 1]  # but no slot is left without
    many = [tiny_config(seed=s) for s in range(1000)]
    assert max(map(len, pack(many, CPU))) <= planning.MAX_MEMBERS["cpu"]
    assert [len(p) for p in pack(configs, Resources(1, 8.0, 1.0))] == [24]  # a GPU: one of all


def test_done_trials_are_not_planned_again(store):
    """What two sweeps have done is done here."""
    configs = [tiny_config(seed=s) for s in range(4)]
    for sweep, done in (("another", [0]), ("mine", [0]), ("other", [0, 1])):
        write_rows(store, "trials", sweep, [finished_row(configs[i]) for i in done])
    plan = make_plan(store, "mine", configs + configs, CPU)
    assert (plan.done, plan.shared) == ((configs[0],), (configs[1],))
    assert plan.todo == configs[2:]
    assert make_plan(store, "new", configs, CPU).shared == tuple(configs[:2])


def test_the_benchmark_of_large_stores_runs(tmp_path, capsys):
    """It checks its plans and tables by itself; times of a busy machine are not judged here."""
    out = tmp_path / "scale.json"
    flags = ["--rows", "600", "--part-rows", "250", "--no-targets", "--json", str(out)]
    assert tables_scale.main(flags) == 0
    report = json.loads(out.read_text())
    printed = capsys.readouterr().out
    assert all(measure["name"] in printed for measure in report["measures"])
    assert {"cpu", "pandas"} <= report["machine"].keys()


def test_cost_is_bounded_by_the_longest_pack_and_the_slots():
    configs = [tiny_config(seed=s) for s in range(8)]
    plan = planning.Plan("s", tuple(configs), (), (), pack(configs, CPU))
    seconds = {configs[0].shape: 0.01}
    assert cost(plan, seconds, CPU) == pytest.approx(8 * 40 * 0.01 / 2)
    longest = max(map(len, plan.packs))
    assert cost(plan, seconds, Resources(100, 1.0, 0.0)) == pytest.approx(longest * 40 * 0.01)


@pytest.mark.parametrize("trials", [1, 2, 3, 7, 50, 129, 1000])
def test_slots_get_equally_many_packs_of_nearly_one_size(trials):
    slots = 4
    packs = pack([tiny_config(seed=s) for s in range(trials)], Resources(slots, 1.0, 0.0))
    sizes = [len(p) for p in packs]
    assert sum(sizes) == trials
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    assert len(packs) % slots == 0 or max(sizes) == 1
    assert max(sizes) <= 16


# --- sizes of packs on GPUs ----------------------------------------------------------------------

GPU = Resources(slots=2, cpus=4.0, gpus=1.0)


def test_on_gpus_a_pack_is_as_large_as_was_measured_to_pay(store):
    narrow = [tiny_config(seed=s) for s in range(40)]
    wide = [tiny_config(seed=s, width=32) for s in range(10)]
    asked = []

    def measure(one_each):
        asked.extend(one_each)
        return {narrow[0].shape: 8, wide[0].shape: 100}

    plan = make_plan(store, "s", narrow + wide, GPU, measure)
    assert sorted(c.width for c in asked) == [16, 32]
    sizes = {w: [len(p) for p in plan.packs if p[0].width == w] for w in (16, 32)}
    assert sizes[32] == [10]
    assert sum(sizes[16]) == 40
    assert max(sizes[16]) <= 8


def test_nothing_is_measured_for_cpus_or_when_all_is_done(store):
    def measure(one_each):
        raise AssertionError("asked")

    configs = [tiny_config(seed=s) for s in range(3)]
    assert make_plan(store, "s", configs, CPU, measure).packs
    write_rows(store, "trials", "s", [finished_row(c) for c in configs])
    assert not make_plan(store, "s", configs, GPU, measure).packs
