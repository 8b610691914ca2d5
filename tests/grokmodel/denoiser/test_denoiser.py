import numpy as np
import pytest
import torch

from grokmodel.denoiser.denoiser import EVERY, FEWER, GAUSSIAN, LEVELS_T, STEPS, denoiser, skips
from grokmodel.denoiser.gaussian import Gaussian
from tests.grokmodel.analysis.handmade import (
    decoders_of,
    follower_probe,
    memorizer,
    probe_of,
    random_member,
)
from tests.grokmodel.tiny import tiny


def shares_of(probe):
    (rows,) = denoiser(probe)
    assert [row.t for row in rows] == list(LEVELS_T)
    return rows


def skips_of(probe):
    (rows,) = skips(probe, decoders_of(probe))
    return {(row.start, row.skipped): row for row in rows}


def test_who_draws_the_answer_is_explained_by_the_right_class_at_any_level():
    rows = shares_of(follower_probe(input_gate=False))
    assert min(row.right_class for row in rows) > 0.999
    for row in rows:  # what a Gaussian has of the truth it has of a model that knows the truth
        assert row.gaussian == pytest.approx(row.truth_gaussian, abs=1e-3)


def test_the_more_noise_the_less_of_a_model_with_the_answer_is_gaussian():
    rows = shares_of(follower_probe())
    shares = [row.gaussian for row in rows]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.9
    assert shares[-1] == pytest.approx(0, abs=0.1)
    # the score is all noise there, whatever the model draws
    assert rows[-1].gaussian_score == 1


def test_no_linear_map_of_the_operands_knows_a_sum():
    at_noise = shares_of(follower_probe(P=11))[-1]
    assert at_noise.linear_operands < 0.2


def test_a_memorizer_is_right_about_the_class_of_training_pairs_alone():
    rows = shares_of(follower_probe(memorizer))
    assert all(row.right_class < 0.9 for row in rows)


def test_who_needs_no_noise_may_start_anywhere():
    found = skips_of(follower_probe(input_gate=False))
    assert len(found) == 3 * (STEPS // EVERY)
    for row in found.values():
        assert (row.train_acc, row.val_acc, row.val_acc_strict) == (1, 1, 1)


def test_nothing_skipped_is_the_same_for_all():
    found = skips_of(probe_of(random_member(tiny(), 0.1)))
    assert found[GAUSSIAN, 0].train_acc == found[FEWER, 0].train_acc
    assert found[GAUSSIAN, EVERY].t == pytest.approx(1 - EVERY / STEPS)


def test_undefined_pairs_do_not_count():
    """What a model draws for a division by 0 changes no share."""
    rows = shares_of(follower_probe(op="div"))
    assert min(row.right_class for row in rows) > 0.999


def test_with_several_images_a_class_is_a_gaussian_too():
    probe = follower_probe(N=3)
    (rows,) = denoiser(probe)
    images = probe.pack.images_of(0).flatten(1)
    of_class = Gaussian.of(images[:3], torch.ones(3))
    assert len(of_class.variance_K) == 2
    # this one draws the mean image of the class, which is what its Gaussian has at t = 1
    assert rows[-1].right_class > 0.99
    assert np.isfinite([v for row in rows for v in vars(row).values()]).all()
