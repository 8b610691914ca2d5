import numpy as np
import pytest
import torch

from grokmodel.analysis.identities import (
    CONTROLS,
    OUTPUT,
    _regress,
    identities,
    output_directions,
)
from grokmodel.image.model import time_features
from grokmodel.probing.cyclic import cyclic_order
from grokmodel.probing.hooks import editor, last_ffn
from tests.grokmodel.analysis.handmade import (
    lookup_config,
    pixel_bank,
    pixel_banks,
    probe_of,
    random_member,
    rule_follower,
)
from tests.grokmodel.tiny import banks_for, tiny

P = 23
OPERATIONS_AND_SIGNS = [("add", 1), ("sub", -1), ("mul", 1), ("div", -1)]


def angles(k, n=P):
    return 2 * np.pi * k * np.arange(n) / n


def rule_wave(wave, k, sign, n=P):
    w = angles(k, n)
    return wave(w[:, None] + sign * w)


def products(row):
    return (row.cos_cos, row.sin_sin, row.cos_sin, row.sin_cos)


# --- regression -----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 5, 11])
@pytest.mark.parametrize(
    ("direction", "wave", "sign", "expected"),
    [
        ("cos", np.cos, 1, (1, -1, 0, 0)),
        ("cos", np.cos, -1, (1, 1, 0, 0)),
        ("sin", np.sin, 1, (0, 0, 1, 1)),
        ("sin", np.sin, -1, (0, 0, -1, 1)),
    ],
)
def test_a_wave_of_the_rule_has_the_coefficients_of_its_identity(
    direction, wave, sign, expected, k
):
    row = _regress(5 + rule_wave(wave, k, sign), k, direction, sign, True, OUTPUT)
    assert products(row) == pytest.approx(expected, abs=1e-12)
    assert (row.fve, row.fve_rule) == pytest.approx((1, 1))


def test_coefficients_are_in_proportion_to_the_activity():
    row = _regress(138910 * rule_wave(np.cos, 1, 1), 1, "cos", 1, True, OUTPUT)
    assert products(row) == pytest.approx((138910, -138910, 0, 0), abs=1e-6)


def test_a_wave_of_the_difference_is_no_wave_of_the_sum():
    row = _regress(rule_wave(np.cos, 4, -1), 4, "cos", 1, True, OUTPUT)
    assert row.fve == pytest.approx(1)
    assert row.fve_rule == pytest.approx(0, abs=1e-12)


def test_another_frequency_is_not_explained():
    row = _regress(rule_wave(np.cos, 4, 1), 5, "cos", 1, False, OUTPUT)
    assert products(row) == pytest.approx((0, 0, 0, 0), abs=1e-12)
    assert (row.fve, row.fve_rule) == pytest.approx((0, 0), abs=1e-12)


def test_one_product_alone_is_explained_by_the_four_products_and_half_by_the_rule():
    w = angles(3)
    row = _regress(np.outer(np.cos(w), np.cos(w)), 3, "cos", 1, True, OUTPUT)
    assert products(row) == pytest.approx((1, 0, 0, 0), abs=1e-12)
    assert (row.fve, row.fve_rule) == pytest.approx((1, 0.5))


def test_a_mixture_is_explained_in_proportion_to_its_power():
    grid = rule_wave(np.cos, 3, 1) + 2 * rule_wave(np.cos, 7, 1)
    assert _regress(grid, 3, "cos", 1, True, OUTPUT).fve_rule == pytest.approx(1 / 5)
    assert _regress(grid, 7, "cos", 1, True, OUTPUT).fve_rule == pytest.approx(4 / 5)


def test_alternating_signs_are_one_product():
    n = 24
    row = _regress(rule_wave(np.cos, n // 2, 1, n), n // 2, "cos", 1, True, OUTPUT)
    assert products(row) == pytest.approx((1, 0, 0, 0), abs=1e-9)
    assert (row.fve, row.fve_rule) == pytest.approx((1, 1))


def test_neurons_without_activity_are_not_explained():
    row = _regress(np.zeros((P, P)), 1, "cos", 1, False, OUTPUT)
    assert (row.fve, row.fve_rule, *products(row)) == (0, 0, 0, 0, 0, 0)


def test_along_a_random_direction_neurons_of_many_frequencies_are_not_at_one():
    """The control fails where the direction from the output side succeeds."""
    rng = np.random.default_rng(0)
    keys = [1, 3, 7, 9]
    waves = np.stack([rule_wave(f, k, 1) for k in keys for f in (np.cos, np.sin)], axis=-1)
    mixing, _ = np.linalg.qr(rng.standard_normal((64, len(keys) * 2)))
    neurons = waves @ mixing.T  # 64 neurons, each a mixture of all key frequencies
    right = [_regress(neurons @ mixing[:, 2 * i], k, "cos", 1, True, OUTPUT).fve_rule
             for i, k in enumerate(keys)]  # fmt: skip
    control = [_regress(neurons @ rng.standard_normal(64), k, "cos", 1, True, 0).fve_rule
               for k in keys for _ in range(20)]  # fmt: skip
    np.testing.assert_allclose(right, 1)
    assert np.mean(control) == pytest.approx(1 / 8, abs=0.05)


# --- directions -----------------------------------------------------------------------------------


def centred_waves(probe, i):
    """(V, X) DFT over c of the dual of the centred templates of member i, cos and sin by turns."""
    templates = probe.templates()[i][list(probe.order.elements)].double().numpy()
    n = len(templates)
    dual = np.linalg.pinv(templates - templates.mean(0), rcond=1e-5).T
    dft = np.fft.rfft(dual, axis=0)[1:]
    assert len(dft) == n // 2
    return np.stack([dft.real, -dft.imag], axis=1).reshape(-1, templates.shape[1])


@pytest.mark.parametrize("norm", ["ffn", "none"])
@pytest.mark.parametrize(
    "changes", [{}, {"op": "mul"}, {"N": 2}, {"patch": 4}, {"depth": 2, "activation": "swiglu"}]
)
def test_directions_are_the_product_of_the_matrices_behind_the_neurons(norm, changes):
    config = tiny(norm=norm, **changes)
    probe = probe_of(random_member(config), random_member(tiny(norm=norm, seed=2, **changes)))
    found = output_directions(probe)
    last = f"block{config.depth - 1}"
    for i in range(2):
        p = {k: v[i].double() for k, v in probe.params.items()}
        features = time_features(torch.ones(1, 1), config.width)[0].double()
        time = torch.nn.functional.silu(features @ p["time.w"] + p["time.b"])
        gate = 1 + (time @ p[f"{last}.mod.w"] + p[f"{last}.mod.b"])[0, -config.width :]
        scale = 1 + (time @ p["final.mod.w"] + p["final.mod.b"])[0, -config.width :]
        map_FX = (p[f"{last}.ffn.down.w"] * gate * scale @ p["final.w"]).numpy()
        waves_VCX = centred_waves(probe, i).reshape(-1, config.tokens_per_image, config.patch**2)
        expected = np.einsum("fx,vcx->vcf", map_FX, waves_VCX).reshape(len(waves_VCX), -1)
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=atol)


def test_behind_a_layer_norm_directions_are_the_mean_gradient_over_the_pairs():
    probe = probe_of(random_member(tiny(norm="pre", P=5)))
    found = output_directions(probe)[0]
    waves_VX = torch.from_numpy(centred_waves(probe, 0)).float()
    nudge = torch.zeros(1, probe.Q, 1, 16, requires_grad=True)
    hook = editor([last_ffn(probe.shape)], probe.shape, lambda _, part: part + nudge)
    x_QX = probe.predict(probe.noised(1.0, 0), 1.0, probe.operands(), hook)[0]
    for v, wave in enumerate(waves_VX):
        (grad,) = torch.autograd.grad((x_QX @ wave).sum(), nudge, retain_graph=True)
        torch.testing.assert_close(found[v], grad[0, :, 0].mean(0), rtol=1e-3, atol=1e-4)


def test_directions_of_a_member_do_not_depend_on_its_pack_mates():
    members = [random_member(tiny(seed=s, N=2)) for s in (1, 2, 3)]
    together = output_directions(probe_of(*members))
    for member, expected in zip(members, together):
        (alone,) = output_directions(probe_of(member))
        torch.testing.assert_close(alone, expected, rtol=1e-3, atol=1e-3)


# --- members --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "sign"), OPERATIONS_AND_SIGNS)
def test_a_member_that_draws_by_the_rule_computes_its_waves(op, sign):
    """Right images, whatever the templates, have an FVE of 1.

    Symbol 0 has no logarithm, but takes part in the standardization of the images.
    """
    config = lookup_config(op=op)
    member = rule_follower(config, pixel_bank(7, 8))
    (rows,) = identities(probe_of(member, banks=pixel_banks(member)))
    by_rule = [row for row in rows if row.control == OUTPUT]
    n = cyclic_order(op, 7).n
    assert len(by_rule) == n - 1
    for row in by_rule:
        assert (row.fve, row.fve_rule) == pytest.approx((1, 1), abs=1e-4)
        if 2 * row.frequency == n:
            assert products(row)[1:] == pytest.approx((0, 0, 0), abs=1e-3)
        elif row.direction == "cos":
            ratio = np.array(products(row)) / row.cos_cos
            np.testing.assert_allclose(ratio, (1, -sign, 0, 0), atol=1e-3)
        else:
            ratio = np.array(products(row)) / row.sin_cos
            np.testing.assert_allclose(ratio, (0, 0, sign, 1), atol=1e-3)


def test_its_neurons_along_random_directions_do_not():
    config = lookup_config()
    member = rule_follower(config, pixel_bank(7, 8))
    (rows,) = identities(probe_of(member, banks=pixel_banks(member)))
    control = [row for row in rows if row.control != OUTPUT]
    assert sorted({row.control for row in control}) == list(range(CONTROLS))
    assert len(control) == CONTROLS * 3
    assert np.mean([row.fve_rule for row in control]) < 0.1


@pytest.mark.parametrize(("op", "n"), [("add", 7), ("mul", 6)])
def test_every_frequency_has_a_row_for_each_direction(op, n):
    (rows,) = identities(probe_of(random_member(tiny(op=op))))
    found = [(r.frequency, r.direction) for r in rows if r.control == OUTPUT]
    waves = [(k, d) for k in range(1, n // 2 + 1) for d in ("cos", "sin")]
    assert found == [w for w in waves if w != (n / 2, "sin")]


@pytest.mark.parametrize("N", [1, 2])
def test_rows_of_a_member_do_not_depend_on_its_pack_mates(N):
    members = [random_member(tiny(N=N, seed=s)) for s in (1, 2, 3)]
    for member, expected in zip(members, identities(probe_of(*members))):
        (alone,) = identities(probe_of(member))
        for mine, theirs in zip(alone, expected, strict=True):
            assert (mine.frequency, mine.direction) == (theirs.frequency, theirs.direction)
            assert mine.is_key == theirs.is_key
            size = max(map(abs, products(theirs)))
            assert products(mine) == pytest.approx(products(theirs), rel=1e-3, abs=1e-3 * size)
            assert (mine.fve, mine.fve_rule) == pytest.approx(
                (theirs.fve, theirs.fve_rule), 1e-3, 1e-6
            )


def test_without_a_cyclic_rule_there_are_no_identities():
    assert identities(probe_of(random_member(tiny(op="mul", P=6)))) == [[]]


def test_right_images_of_overlapping_templates_have_an_fve_of_one_too():
    """Letters share their strokes; a projection on the templates themselves would mix them up."""
    config = lookup_config()
    banks = banks_for(config)  # random patterns, far from orthogonal
    member = rule_follower(config, *banks.values())
    (rows,) = identities(probe_of(member, banks=banks))
    for row in rows:
        if row.control == OUTPUT:
            assert row.fve_rule == pytest.approx(1, abs=1e-3)
