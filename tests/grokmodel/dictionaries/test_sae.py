import pytest
import torch

from grokmodel.dictionaries import sae
from tests.grokmodel.analysis.handmade import random


@pytest.fixture(scope="module")
def planted():
    """Data of 20 directions, two at a time."""
    atoms = torch.nn.functional.normalize(random(20, 16), dim=1)
    on = torch.rand(150, 20, generator=torch.Generator().manual_seed(1)).topk(2, dim=1).indices
    codes = torch.zeros(150, 20).scatter(1, on, 1 + random(150, 2).abs())
    return sae.scaled(codes @ atoms)


@pytest.fixture(scope="module", params=[sae.TOPK, sae.ARCHETYPAL])
def found(request, planted):
    return request.param, sae.fit(planted, request.param, [0, 1])


def test_codes_are_few_and_not_negative_and_explain_the_data(found, planted):
    _, of = found
    assert of.codes_RQK.min() >= 0
    assert (of.codes_RQK > 0).sum(-1).max() <= sae.ACTIVE
    assert (of.explained(planted) > 0.8).all()


def test_a_seed_finds_the_same_alone_and_beside_another(found, planted):
    kind, of = found
    alone = sae.fit(planted, kind, [1])
    torch.testing.assert_close(alone.atoms_RKd[0], of.atoms_RKd[1], atol=1e-3, rtol=1e-3)


def test_archetypal_atoms_do_not_leave_the_data(planted):
    """In any direction an atom reaches as far as the data, and RELAXED, times one number."""
    (atoms,) = sae.fit(planted, sae.ARCHETYPAL, [0]).atoms_RKd
    (free,) = sae.fit(planted, sae.TOPK, [0]).atoms_RKd
    away = torch.nn.functional.normalize(random(500, 16, seed=2), dim=1)
    reach = ((planted @ away.T).amax(0) + sae.RELAXED).clamp(min=1e-3)
    size = ((atoms @ away.T) / reach).max()
    inner = atoms / size
    assert ((inner @ away.T).amax(0) <= reach + 1e-5).all()
    # atoms lie nearer to data than free directions do
    units = torch.nn.functional.normalize(planted, dim=1)
    nearest = [
        (torch.nn.functional.normalize(a, dim=1) @ units.T).amax(1).mean() for a in (atoms, free)
    ]
    assert nearest[0] > nearest[1]


def test_data_in_another_order_start_another_dictionary(planted):
    same = sae.fit(planted, sae.ARCHETYPAL, [0])
    other = sae.fit(planted, sae.ARCHETYPAL, [0], reorder=True)
    assert (same.atoms_RKd - other.atoms_RKd).abs().max() > 0.1


def test_data_that_do_not_vary_are_nothing():
    assert (sae.scaled(torch.ones(5, 3)) == 0).all()
    rows = sae.scaled(random(50, 3) + 7)
    assert rows.square().sum(1).mean() == pytest.approx(1)
