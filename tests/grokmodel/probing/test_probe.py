import math

import numpy as np
import pytest
import torch

from grokmodel.analysis.timesteps import some_pairs
from grokmodel.data.names import OPERATIONS
from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.diffusion import flow
from grokmodel.probing.activations import record
from grokmodel.probing.probe import all_pairs, shares
from tests.grokmodel.analysis.handmade import (
    pairs_of,
    probe_of,
    random_member,
    without_strict_pairs,
)
from tests.grokmodel.tiny import banks_for, decoders_for, tiny

P = 7


def some_members(**changes):
    """Members that differ in all that a probe allows them to differ in."""
    configs = [tiny(seed=1), tiny(seed=2, split="unordered"), tiny(seed=3, train_fraction=0.8)]
    return [random_member(tiny(**(c.to_dict() | changes))) for c in configs]


# --- pairs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_whole_grid_is_read_row_by_row_with_its_results(op):
    probe = probe_of(random_member(tiny(op=op)))
    a, b = probe.pair_MQ2[0].T.tolist()
    assert [x * P + y for x, y in zip(a, b)] == list(range(P**2))
    table = torch.from_numpy(result_table(op, P)).reshape(-1)
    assert torch.equal(probe.defined_MQ[0], table != UNDEFINED)
    assert torch.equal(probe.c_MQ[0][probe.defined_MQ[0]], table[table != UNDEFINED])


def test_at_other_pairs_the_members_and_their_predictions_are_the_same():
    grid = probe_of(*some_members())
    pairs = some_pairs(grid.members, 20)
    probe = grid.at(pairs)
    assert probe.members == grid.members
    number_MQ = torch.from_numpy(pairs @ (P, 1))
    assert torch.equal(probe.c_MQ, grid.c_MQ.gather(1, number_MQ))
    x_MX = grid.noise()[:, :1]
    with torch.no_grad():
        of_grid = grid.predict(x_MX.expand(-1, grid.Q, -1), 0.5, grid.operands())
        of_pairs = probe.predict(x_MX.expand(-1, probe.Q, -1), 0.5, probe.operands())
    expected = of_grid.gather(1, number_MQ[..., None].expand_as(of_pairs))
    torch.testing.assert_close(of_pairs, expected, rtol=1e-4, atol=1e-5)


# --- members --------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [(1, 1, 1), (2, 2, 2), (1, 2, 3)])
def test_draws_and_samples_of_a_member_do_not_depend_on_its_pack_mates(N):
    members = [random_member(tiny(**m.config.to_dict() | {"N": n}))
               for m, n in zip(some_members(), N)]  # fmt: skip
    together = probe_of(*members)
    with torch.no_grad():
        samples = together.sample(together.noise(), 3, together.operands())
        for i, member in enumerate(members):
            alone = probe_of(member)
            for draw in (0, 1):
                assert torch.equal(alone.noise(draw)[0], together.noise(draw)[i])
                assert torch.equal(alone.targets(draw)[0], together.targets(draw)[i])
                mine, theirs = alone.operands(draw)[0], together.operands(draw)[i]
                torch.testing.assert_close(mine, theirs)
            found = alone.sample(alone.noise(), 3, alone.operands())[0]
            # a few products of float32 in another order
            torch.testing.assert_close(found, samples[i], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("patch", [8, 4])
def test_templates_are_the_mean_images_of_the_members_own_banks(patch):
    configs = [tiny(N=1, patch=patch), tiny(N=3, seed=2, patch=patch)]
    banks = banks_for(*configs)
    probe = probe_of(*map(random_member, configs), banks=banks)
    for found, bank in zip(probe.templates(), banks.values()):
        expected = torch.from_numpy(bank.standardized.mean(1))
        tokens = expected.view(P, 8 // patch, patch, 8 // patch, patch).transpose(2, 3)
        torch.testing.assert_close(found, tokens.reshape(P, -1))


# --- chance ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [1, 2])
@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(
    "gate", [{}, {"input_gate": False}, {"visible_below": 0.5}, {"visible_below": 0.51}]
)
def test_draws_are_equal_if_and_only_if_the_probe_says_that_they_are(N, t, gate):
    probe = probe_of(random_member(tiny(N=N, **gate)))
    first, second = (record(probe, t, draw) for draw in (0, 1))
    same = all(torch.equal(first[name], second[name]) for name in first)
    assert same == probe.is_certain(t)


def test_the_image_of_a_result_is_drawn_apart_from_those_of_the_operands():
    """All pairs are (0, 0), whose result is 0: which of its images is shown, for a, b and c?"""
    N, Q = 4, 400
    probe = probe_of(random_member(tiny(N=N)), pairs=np.zeros((1, Q, 2), int))
    images = probe.pack.bank.images[:N].flatten(1)
    of_c = torch.cdist(probe.targets()[0], images).argmin(1)
    embedded = probe.pack.embed_operands(
        probe.params, torch.tensor([[[0, 0], [1, 1], [2, 2], [3, 3]]])
    )
    of_ab = torch.cdist(probe.operands()[0], embedded[0, :, 0]).argmin(-1)  # (Q, 2)
    error = 4 * (0.25 * 0.75 / Q) ** 0.5
    for drawn in (of_ab[:, 0], of_ab[:, 1], of_ab.flatten()[:Q]):
        assert float((of_c == drawn).float().mean()) == pytest.approx(1 / N, abs=error)


# --- samples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("t_start", [1.0, 0.6])
def test_samples_are_those_of_the_flow(t_start):
    probe = probe_of(*some_members())
    operands = probe.operands()
    with torch.no_grad():
        found = probe.sample(probe.noise(), 4, operands, t_start=t_start)
        expected = flow.sample(
            lambda x, t: probe.predict(x, float(t[0]), operands), probe.noise(), 4, t_start
        )
    torch.testing.assert_close(found, expected)


# --- what is right --------------------------------------------------------------------------------


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_images_of_the_results_are_right_where_there_is_a_result(op):
    probe = probe_of(random_member(tiny(op=op)))
    right = probe.right(probe.targets(), decoders_for(probe.banks))
    assert torch.equal(right, probe.defined_MQ)
    np.testing.assert_array_equal(all_pairs(P) @ (P, 1), np.arange(P**2))
    wrong = probe.right(probe.targets(0, (probe.c_MQ + 1) % P), decoders_for(probe.banks))
    assert not wrong.any()


@pytest.mark.parametrize("patch", [8, 4])
def test_an_image_that_is_not_finite_has_no_class(patch):
    probe = probe_of(*some_members(patch=patch))
    x = probe.targets().clone()
    x[0, 3, 5] = torch.nan
    x[1, 4, 0] = torch.inf
    expected = probe.c_MQ.clone()
    expected[0, 3] = expected[1, 4] = UNDEFINED
    found = probe.classes(x, decoders_for(probe.banks))
    assert torch.equal(found, expected)


def test_shares_are_taken_over_the_pairs_of_each_side():
    config = tiny(train_fraction=0.7)
    probe = probe_of(random_member(config))
    train, strict = pairs_of(config)
    right = torch.zeros(1, P**2, dtype=torch.bool)
    right[0, train[:10]] = right[0, strict[:1]] = True
    (found,) = shares(right, probe)
    expected = (10 / len(train), 1 / (P**2 - len(train)), 1 / len(strict))
    assert found == pytest.approx(expected)


def test_without_strict_pairs_there_is_no_strict_share():
    config = without_strict_pairs(tiny, P=3, train_fraction=0.9)
    (found,) = shares(torch.ones(1, 9, dtype=torch.bool), probe_of(random_member(config)))
    assert (found.train, found.val) == (1, 1)
    assert math.isnan(found.strict)


@pytest.mark.parametrize("other", [{"op": "sub"}, {"P": 5}])
def test_members_of_different_kinds_are_refused(other):
    with pytest.raises(ValueError, match=r"members of \(P, op\) = .*; need one kind at a time"):
        probe_of(random_member(tiny()), random_member(tiny(**other)))
