"""A budget buys the cheapest scales first, and says why it does not buy a larger one."""

import pytest

from grokmodel.errors import ConfigError
from sweeps.budget import choose, parse_budget, possible_scales
from tests.sweeps.made_up import PAIR, MadeUp, made_up


def names(budget_s, lacking=lambda scale: "", experiments=PAIR, costs=None):
    found = choose(experiments, budget_s, costs or MadeUp(), lacking)
    return [choice.scale.name if choice.scale else None for choice in found]


def test_a_budget_buys_the_cheapest_first():
    assert names(5) == [None, None]
    assert names(10) == ["small", None]
    assert names(20) == ["small", "small"]
    assert names(110) == ["small", "half"]
    assert names(1100) == ["full", "half"]
    assert names(2000) == ["full", "full"]


def test_more_time_never_makes_an_experiment_smaller():
    rank = {None: 0, "small": 1, "half": 2, "full": 3}
    before = [0, 0]
    for budget in range(0, 2200, 5):
        now = [rank[name] for name in names(budget)]
        assert all(x >= y for x, y in zip(now, before, strict=True)), budget
        before = now


def test_what_cannot_fit_is_not_measured():
    costs = MadeUp()
    names(15, costs=costs)
    assert set(costs.measured) == {"small"}


def test_a_scale_that_is_not_taken_has_a_reason():
    choices = choose(PAIR, 110, MadeUp(), lambda scale: "")
    assert "the budget ends before full" in choices[0].reason
    no_data = choose(PAIR, 1e6, MadeUp(), lambda scale: "no files")
    assert [c.scale for c in no_data] == [None, None]
    assert {c.reason for c in no_data} == {"no files"}
    assert [c.reason for c in choose(PAIR, 1e6, MadeUp(), lambda scale: "")] == ["", ""]


def test_stand_ins_are_for_those_without_data():
    experiment = made_up("a", 1, "full", "small", "half", stand_in=("half",))
    assert [s.name for s in possible_scales(experiment, lambda s: "")] == ["small", "full"]
    without = possible_scales(experiment, lambda s: "" if s.stand_in else "no files")
    assert [s.name for s in without] == ["half"]


def test_budgets_are_times():
    assert [parse_budget(t) for t in ("90s", "20m", "1.5h", "3d")] == [90, 1200, 5400, 259_200]
    for text in ("", "20", "h", "-1h", "0m", "1w", "inf"):
        with pytest.raises(ConfigError, match="--budget"):
            parse_budget(text)
