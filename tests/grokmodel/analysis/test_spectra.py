import numpy as np
import pytest
import torch

from grokmodel.analysis.spectra import NOTHING, RIGHT, TARGET, WRONG, spectra, target_grids
from grokmodel.data.bank import SymbolBank
from grokmodel.image.model import Layout
from grokmodel.image.pack import Member, bank_key
from grokmodel.probing.activations import collect
from grokmodel.probing.cyclic import LOG, PLAIN, cyclic_order
from grokmodel.probing.hooks import NO_HEAD, hook_points
from grokmodel.probing.null import against_null
from tests.grokmodel.analysis.handmade import follower_probe, probe_of, random_member
from tests.grokmodel.tiny import banks_for, tiny


def by_site(rows):
    """{(hook point, head, t, shown): its rows by ascending frequency}."""
    out = {}
    for row in rows:
        out.setdefault((row.hook, row.head, row.t, row.shown), []).append(row)
    return out


def target_rows(member, bank=None):
    banks = {bank_key(member.config): bank} if bank else None
    (rows,) = spectra(probe_of(member, banks=banks), [])
    return rows


def wave_bank(order, k, side=8):
    """Images that are a wave of frequency k over the elements of the group."""
    pattern = np.random.default_rng(0).random((2, side, side))
    images = np.full((order.P, 1, side, side), 0.5, np.float32)
    for i, symbol in enumerate(order.elements):
        angle = 2 * np.pi * k * i / order.n
        images[symbol] += 0.25 * (np.cos(angle) * pattern[0] + np.sin(angle) * pattern[1])
    return SymbolBank(images, images, images, tuple(map(str, range(order.P))))


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"heads": 2, "variant": "sandwich", "patch": 4}])
@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_every_hook_point_has_the_shares_of_its_grid_at_every_frequency_and_level(changes, op):
    config = tiny(op=op, **changes)
    probe = probe_of(random_member(config))
    (rows,) = spectra(probe, [0.0, 1.0])
    shown = ((0.0, RIGHT), (0.0, WRONG), (1.0, NOTHING))
    expected = {(s.label, s.head, *what) for s in hook_points(config.shape) for what in shown}
    found = by_site(rows)
    assert set(found) == expected | {(TARGET, NO_HEAD, 0.0, RIGHT)}
    for mine in found.values():
        assert [row.frequency for row in mine] == [1, 2, 3]
        assert {row.ordering for row in mine} == {PLAIN if op in ("add", "sub") else LOG}
    for grid in next(collect(probe, 1.0)):
        (expected,) = against_null([probe.order.arrange(grid.values)], probe.random_orders[0])
        mine = found[grid.point.label, grid.point.head, 1.0, NOTHING]
        for share in ("fve_a", "fve_b", "fve_ab"):
            assert [getattr(r, share) for r in mine] == getattr(expected, share).tolist()
        assert {r.fve_cross for r in mine} == {expected.cross}
        assert {r.entropy for r in mine} == {expected.entropy}
        assert [r.p_value for r in mine] == expected.p_values.tolist()
        assert {r.p_dominant for r in mine} == {expected.p_dominant}
        assert mine[0].null_q95 == pytest.approx(expected.null_q95, abs=1e-6)
        assert tuple(r.frequency for r in mine if r.is_key) == expected.key_frequencies


# --- what is shown --------------------------------------------------------------------------------


def copier(config):
    """A member that draws the noisy image as it is shown."""
    member = Member.start(config)
    member.state.average.zero_()
    p = {k: v[0] for k, v in Layout(config.shape).views(member.state.average).items()}
    for name in ("embed.w", "final.w"):
        p[name].copy_(torch.eye(64))
    return member


@pytest.mark.parametrize("op", ["add", "mul"])
def test_what_is_in_the_input_is_gone_when_a_wrong_result_is_shown(op):
    config = tiny(op=op, P=11, width=64, norm="none")
    (rows,) = spectra(probe_of(copier(config)), [0.0, 1.0])
    found = by_site(rows)
    right, wrong = (found["output", NO_HEAD, 0.0, shown] for shown in (RIGHT, WRONG))
    target = found[TARGET, NO_HEAD, 0.0, RIGHT]
    np.testing.assert_allclose([r.fve_ab for r in right], [r.fve_ab for r in target], atol=1e-6)
    assert sum(r.fve_ab for r in right) == pytest.approx(1, abs=1e-6)
    assert sum(r.fve_ab for r in wrong) < 0.5
    assert min(r.p_value for r in wrong) > 0.01
    # what does not look at the noisy image is the same, whatever that shows
    for key in [k for k in found if k[0].startswith(("embedding", "block0.value"))]:
        for of_right, of_wrong in zip(found[key], found[(*key[:2], 0.0, WRONG)]):
            assert of_right.fve_a == of_wrong.fve_a


# --- the target -----------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_the_target_has_the_power_of_the_templates_in_the_products(op):
    config = tiny(op=op, P=11, N=2)
    (bank,) = banks_for(config).values()
    templates = bank.standardized.mean(1)[list(cyclic_order(op, 11).elements)]
    power = (np.abs(np.fft.rfft(templates.reshape(len(templates), -1), axis=0)) ** 2).sum(1)[1:]
    if op in ("mul", "div"):
        power[-1] /= 2  # rfft counts the frequency of alternating signs once, the others twice
    rows = target_rows(random_member(config))
    np.testing.assert_allclose([r.fve_ab for r in rows], power / power.sum(), rtol=1e-5)
    np.testing.assert_allclose([r.fve_a + r.fve_b for r in rows], 0, atol=1e-9)
    assert rows[0].fve_cross == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("op", ["mul", "div"])
@pytest.mark.parametrize("k", [1, 3, 4, 5])
def test_a_wave_over_the_logarithm_is_a_single_key_frequency(op, k):
    """Frequency 5 is n / 2: alternating signs."""
    bank = wave_bank(cyclic_order(op, 11), k)
    rows = target_rows(random_member(tiny(op=op, P=11)), bank)
    assert [r.frequency for r in rows] == [1, 2, 3, 4, 5]
    assert [r.frequency for r in rows if r.is_key] == [k]
    assert rows[k - 1].fve_ab == pytest.approx(1, abs=1e-6)
    assert rows[0].entropy == pytest.approx(0, abs=1e-4)


def test_a_composite_modulus_has_a_spectrum_of_products_in_plain_order():
    rows = target_rows(random_member(tiny(op="mul", P=6)))
    assert {r.ordering for r in rows} == {PLAIN}
    assert [r.frequency for r in rows] == [1, 2, 3]


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_the_target_is_what_a_rule_follower_draws(op):
    probe = follower_probe(pixels=True, op=op)
    (grids,) = collect(probe, 1.0)
    drawn = next(g.values for g in grids if g.point.name == "output")
    np.testing.assert_allclose(probe.order.arrange(drawn), target_grids(probe)[0], atol=1e-4)
