"""Where half of an image leads, for models whose pixels are known."""

import numpy as np
import pytest
import torch

from grokmodel.analysis.rules import basins
from grokmodel.rules.pack import Member
from grokmodel.rules.sampling import completed
from tests.grokmodel.rules.tiny import CPU, pack_of, tiny


def sure(group_size):
    """A member that draws a one wherever it is asked."""
    member = Member.start(tiny(model="autoregressive", group_size=group_size))
    member.layout(member.config).views(member.state.average)["final.b"].fill_(100.0)
    return member


def test_what_is_given_stays_and_the_rest_is_drawn():
    pack = pack_of(tiny(model="autoregressive"))
    pack.params(pack.state.average)["final.b"].fill_(100.0)
    x = pack.val_MQX[:, :40]
    bits = (x > 0).numpy()
    for hidden, given in ((0.0, 36), (0.5, 18), (1.0, 0)):
        ends = completed(pack, x, hidden)
        assert np.array_equal(ends[..., :given], bits[..., :given])
        assert ends[..., given:].all()


def test_a_flow_that_draws_what_it_sees_goes_back_the_more_is_left():
    """One Euler step of a model that is linear in x_t: the sign of what is left decides."""
    pack = pack_of(tiny(sample_steps=1, pixels_per_token=36, width=36, heads=2))
    p = pack.params(pack.state.average)
    for value in p.values():
        value.zero_()
    p["embed.w"][0], p["final.w"][0] = torch.eye(36), torch.eye(36)
    x = pack.val_MQX[:, :100]
    wrong = [(completed(pack, x, h) != (x > 0).numpy()).mean() for h in (0.01, 0.5, 1.0)]
    assert wrong[0] < 0.01
    assert wrong[1] == pytest.approx(0.159, abs=0.05)  # a normal number is below -1
    assert wrong[2] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("group_size", "rule"), [(6, 1.0), (3, 0.0)])
def test_ends_are_told_apart(group_size, rule):
    """Six ones are even, three are odd."""
    ((train, other),) = basins([sure(group_size)], CPU)
    assert (train.pairs, other.pairs) == ("train", "strict")
    for row in (train, other):
        assert row.copy_share + row.rule_share + row.neither_share == pytest.approx(1)
        assert row.rule_share == rule
        assert row.right_share == row.copy_share == 0
        assert row.starts == 128


def test_members_of_several_rules_are_measured_together_as_alone():
    members = [sure(6), sure(3)]
    assert basins(members, CPU) == [basins([m], CPU)[0] for m in members]
