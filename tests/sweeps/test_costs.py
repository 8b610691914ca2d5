"""What a scale costs: by what its shapes take in packs as large as its own."""

import json

import pytest

from service.schedule import pack_size
from service.schedule.plan import Resources
from sweeps.budget import COSTS_KEY, DECODER_S, OVERHEAD_S, Costs
from sweeps.paper import Scale

TINY = {"P": [5], "side": [8], "width": [16], "ffn": [16], "batch": [32], "t_levels": [8],
        "steps": [100], "eval_every": [50], "seed": [0, 1, 2]}  # fmt: skip
CPU, GPU = Resources(2, 1.0, 0.0), Resources(1, 1.0, 1.0)


def scale(**change):
    return Scale("full", "tiny", ({**TINY, **change},))


@pytest.fixture
def measured(monkeypatch):
    """Sizes of the packs that are measured, each step of which takes a second."""
    sizes = []

    def step_seconds(plan, data_root):
        sizes.append(len(plan.packs[0]))
        return {plan.packs[0][0].shape: 1.0}

    monkeypatch.setattr(pack_size, "step_seconds", step_seconds)
    monkeypatch.setattr(
        pack_size, "most_members_here", lambda configs, _: {c.shape: 64 for c in configs}
    )
    return sizes


def test_on_a_gpu_a_pack_is_measured_as_large_as_the_scale_fills_it(store, measured):
    costs = Costs(store, "", GPU)
    costs.of(scale())
    costs.of(scale(seed=[0]))
    costs.of(scale(seed=list(range(100))))
    assert measured == [3, 1, 50]  # 100 trials make two packs of at most 64
    costs.of(scale())
    assert len(measured) == 3


def test_on_a_cpu_one_member_tells(store, measured):
    costs = Costs(store, "", CPU)
    costs.of(scale())
    costs.of(scale(seed=[0]))
    assert measured == [1]


def test_a_decoder_is_counted_once_a_bank(store, measured):
    costs = Costs(store, "", CPU)
    one, four = costs.of(scale()), costs.of(scale(N=[4]))
    assert four - one == pytest.approx(DECODER_S)
    assert costs.of(scale(N=[4], P=[5, 7])) > four + DECODER_S
    assert costs.at_least(scale(N=[4])) == pytest.approx(four)


def test_what_is_left_is_that_of_trials_without_a_row(store, measured):
    costs, ids = Costs(store, "", CPU), [c.trial_id for c in scale().configs]
    assert costs.left(scale(), set()) == costs.of(scale())
    assert OVERHEAD_S < costs.left(scale(), set(ids[:2])) < costs.of(scale())
    assert costs.left(scale(), set(ids)) == 0


@pytest.mark.parametrize("text", ["{", "[]", '{"a": "b"}', '{"a": NaN}', '{"a": -1.0}'])
def test_damaged_costs_are_measured_again(text, store, measured):
    store.put(COSTS_KEY, text.encode())
    Costs(store, "", CPU).of(scale())
    assert measured == [1]
    assert "a" not in json.loads(store.get(COSTS_KEY))
    Costs(store, "", CPU).of(scale())
    assert measured == [1]
