from types import SimpleNamespace

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
from grokmodel.diffusion.layers import time_features
from grokmodel.image.pack import bank_key
from grokmodel.probing.cyclic import cyclic_order
from grokmodel.probing.hooks import editor, last_ffn
from tests.grokmodel.analysis.handmade import (
    follower_probe,
    lookup_config,
    pixel_bank,
    probe_of,
    random_member,
    recorded,
    wave_neurons_member,
)
from tests.grokmodel.tiny import tiny

P = 23
PRE, POST = "block0.ffn.pre", "block0.ffn.post"
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
    row = SimpleNamespace(**_regress(5 + rule_wave(wave, k, sign), k, direction, sign))
    assert products(row) == pytest.approx(expected, abs=1e-12)
    assert (row.fve, row.fve_rule) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("grid", "k", "expected", "fve", "fve_rule"),
    [
        (138910 * rule_wave(np.cos, 1, 1), 1, (138910, -138910, 0, 0), 1, 1),
        (rule_wave(np.cos, 4, -1), 4, (1, 1, 0, 0), 1, 0),  # of the difference
        (rule_wave(np.cos, 4, 1), 5, (0, 0, 0, 0), 0, 0),  # of another frequency
        (np.outer(np.cos(angles(3)), np.cos(angles(3))), 3, (1, 0, 0, 0), 1, 0.5),
        (rule_wave(np.cos, 12, 1, 24), 12, (1, 0, 0, 0), 1, 1),  # alternating signs
        (np.zeros((P, P)), 1, (0, 0, 0, 0), 0, 0),
    ],
)
def test_a_grid_is_explained_by_four_products_and_by_the_rule(grid, k, expected, fve, fve_rule):
    row = SimpleNamespace(**_regress(grid, k, "cos", 1))
    assert products(row) == pytest.approx(expected, abs=1e-6)
    assert (row.fve, row.fve_rule) == pytest.approx((fve, fve_rule), abs=1e-12)


# --- directions -----------------------------------------------------------------------------------


def centered_waves(probe, i):
    """(V, X) DFT over c of the dual of the centered templates of member i, cos and sin by turns."""
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
        waves_VCX = centered_waves(probe, i).reshape(-1, config.tokens_per_image, config.patch**2)
        expected = np.einsum("fx,vcx->vcf", map_FX, waves_VCX).reshape(len(waves_VCX), -1)
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=atol)


def test_behind_a_layer_norm_directions_are_the_mean_gradient_over_the_pairs():
    probe = probe_of(random_member(tiny(norm="pre", P=5)))
    found = output_directions(probe)[0]
    waves_VX = torch.from_numpy(centered_waves(probe, 0)).float()
    nudge = torch.zeros(1, probe.Q, 1, 16, requires_grad=True)
    hook = editor([last_ffn(probe.shape)], probe.shape, lambda _, part: part + nudge)
    x_QX = probe.predict(probe.noised(1.0, 0), 1.0, probe.operands(), hook)[0]
    for v, wave in enumerate(waves_VX):
        (grad,) = torch.autograd.grad((x_QX @ wave).sum(), nudge, retain_graph=True)
        torch.testing.assert_close(found[v], grad[0, :, 0].mean(0), rtol=1e-3, atol=1e-4)


# --- members --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("op", "sign"), OPERATIONS_AND_SIGNS)
def test_a_member_that_draws_by_the_rule_computes_its_waves(op, sign):
    """Right images, whatever the templates, have an FVE of 1.

    Symbol 0 has no logarithm, but takes part in the standardization of the images.
    """
    (rows,) = identities(follower_probe(pixels=True, op=op))
    by_rule = [row for row in rows if row.control == OUTPUT and row.hook == POST]
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


@pytest.mark.parametrize("pixels", [True, False])
def test_only_along_the_directions_of_the_output_do_neurons_follow_the_rule(pixels):
    """Random patterns are far from orthogonal, as letters are, which share their strokes: a
    projection on the templates themselves would mix them up."""
    (rows,) = identities(follower_probe(pixels=pixels))
    rows = [row for row in rows if row.hook == POST]
    right = [row.fve_rule for row in rows if row.control == OUTPUT]
    control = [row for row in rows if row.control != OUTPUT]
    np.testing.assert_allclose(right, 1, atol=1e-3)
    assert [row.control for row in control] == [c for c in range(CONTROLS) for _ in range(3)]
    assert np.mean([row.fve_rule for row in control]) < 0.1


# --- before and behind the non-linearity ----------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2, 3])
def test_only_at_the_key_frequency_are_there_coefficients_before_the_non_linearity(k):
    config = lookup_config(depth=2, width=40)
    bank = pixel_bank(config.P, config.side)
    probe = probe_of(wave_neurons_member(config, bank, k), banks={bank_key(config): bank})
    (rows,) = identities(probe)
    before, behind = (
        {row.frequency: row for row in rows
         if (row.hook, row.control, row.direction) == (f"block1.ffn.{part}", OUTPUT, "cos")}
        for part in ("pre", "post")
    )  # fmt: skip
    size = {i: np.hypot(row.cos_cos, row.sin_sin) for i, row in before.items()}
    assert before[k].fve_rule == pytest.approx(1, abs=1e-3)
    assert max(size[i] for i in size if i != k) < 1e-3 * size[k]
    for i, row in behind.items():
        assert row.fve_rule == pytest.approx(1, abs=1e-3)
        assert row.cos_cos == pytest.approx(behind[k].cos_cos, rel=1e-2)
        assert row.is_key == before[i].is_key == (i == k)


def test_of_swiglu_the_value_is_looked_at_and_not_its_gate():
    config = tiny(activation="swiglu", patch=4)
    probe = probe_of(random_member(config))
    (rows,) = identities(probe)
    pre_QCG = recorded(probe)[PRE][0]
    F_nnF = pre_QCG[..., config.ffn :].reshape(config.P, config.P, -1).numpy()
    u_F = output_directions(probe)[0, 2].numpy()
    (row,) = (
        r for r in rows if (r.hook, r.frequency, r.direction, r.control) == (PRE, 2, "cos", -1)
    )
    expected = _regress(F_nnF.astype(np.float64) @ u_F, 2, "cos", 1)
    assert {name: getattr(row, name) for name in expected} == pytest.approx(expected, rel=1e-4)


def test_without_a_cyclic_rule_there_are_no_identities():
    assert identities(probe_of(random_member(tiny(op="mul", P=6)))) == [[]]
