"""What is said of samples that were made to be valid, new, copied or repeated."""

import math

import numpy as np
import pytest

from grokmodel.core.outcome import COMPREHENSION, CONFUSION, MEMORIZATION, Evaluation, outcome
from grokmodel.rules.config import PIXELS
from grokmodel.rules.evaluate import evaluate, measured
from grokmodel.rules.family import FAMILY
from grokmodel.rules.images import valid_images
from grokmodel.rules.pack import Member
from grokmodel.rules.sampling import sample
from tests.grokmodel.rules.tiny import CPU, pack_of, tiny, train_together

K = 3


def images(count, seed=0, k=K):
    return valid_images(k, count, np.random.default_rng(seed))


def broken(some):
    """The same images, one group of each not valid."""
    out = some.copy()
    out[:, 0] ^= 1
    return out


def test_new_valid_samples_are_the_rule_and_no_memory():
    found = measured(images(100, seed=1), images(40), K)
    assert found["train_acc"] == found["val_acc"] == found["val_acc_strict"] == 1
    assert found["novel_share"] == 1
    assert found["mem_share"] == 0


def test_copies_are_valid_but_say_nothing_of_the_rule():
    train = images(40)
    found = measured(np.resize(train, (100, PIXELS)), train, K)
    assert (found["train_acc"], found["mem_share"]) == (1, 1)
    assert found["val_acc"] == found["val_acc_strict"] == found["novel_share"] == 0
    few_fresh = np.concatenate([np.resize(train, (97, PIXELS)), images(3, seed=1)])
    assert measured(few_fresh, train, K)["val_acc_strict"] == pytest.approx(0.3)


def test_the_same_image_over_and_over_is_one():
    found = measured(np.zeros((100, PIXELS), dtype=np.uint8), images(40), K)
    assert found["train_acc"] == 1
    assert found["val_acc_strict"] == pytest.approx(0.1)
    assert found["novel_share"] == pytest.approx(0.01)


def test_one_broken_group_breaks_the_sample_and_one_group_in_twelve():
    mixed = np.concatenate([images(50, seed=1), broken(images(50, seed=2))])
    found = measured(mixed, images(40), K)
    assert found["val_acc_strict"] == found["train_acc"] == 0.5
    assert found["val_acc"] == pytest.approx(1 - 0.5 / 12)


def test_groups_are_remembered_beyond_chance():
    train = images(64, k=12)
    # each group from another training image: no sample is a copy, every group is
    place = np.random.default_rng(3).integers(64, size=(200, 3))
    mixed = train.reshape(64, 3, 12)[place, np.arange(3)].reshape(200, PIXELS)
    found = measured(mixed, train, 12)
    assert found["mem_groups"] == 1
    assert found["mem_share"] < 0.1
    assert measured(images(500, seed=1, k=12), train, 12)["mem_groups"] < 0.05
    # of groups of three there are four valid ones: all were seen, which says nothing
    assert math.isnan(measured(images(100, seed=1), images(64), K)["mem_groups"])


# --- from curves to clocks ------------------------------------------------------------------------


def evaluations(*shares):
    """Of (valid, rule, copies) every 100 steps."""
    return [
        Evaluation(100 * i, 1.0, valid, 1.0, rule, copied, 5.0)
        for i, (valid, rule, copied) in enumerate(shares)
    ]


@pytest.mark.parametrize(
    ("shares", "phase", "clocks"),
    [
        ([(0, 0, 0)] * 6, CONFUSION, (None, None)),
        ([(0, 0, 0), *[(1, 1, 0)] * 4, *[(1, 0.5, 1)] * 4], COMPREHENSION, (100, 500)),
        ([(0, 0, 0), *[(0.5, 0.1, 0.5)] * 2, *[(1, 0.2, 0.9)] * 4], MEMORIZATION, (None, 100)),
        ([(0, 0, 0), *[(1, 1, 0)] * 5], COMPREHENSION, (100, None)),
    ],
)
def test_phases_and_clocks_of_curves(shares, phase, clocks):
    found = outcome(evaluations(*shares), 5.0)
    assert (found.phase, (found.tau_rule, found.tau_mem)) == (phase, clocks)


@pytest.mark.parametrize(
    ("shares", "window"),
    [([(0, 0, 0), (1, 1, 0), (1, 1, 0), (1, 0, 1)], 200), ([(1, 1, 0)] * 3, None),
     ([(0, 0, 1), (1, 1, 0)], -100)],
)  # fmt: skip
def test_the_window_lies_between_the_clocks(shares, window):
    member = Member.start(tiny())
    member.curve = evaluations(*shares)
    (done,) = FAMILY.finish([member], None, CPU)
    assert done.trial["window"] == window
    assert done.trial["n_train"] == 20


# --- samples --------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["flow", "autoregressive"])
def test_samples_are_a_function_of_seed_and_step(model):
    configs = [tiny(model=model), tiny(model=model, seed=2)]
    pack, alone = pack_of(*configs), pack_of(configs[1])
    drawn = sample(pack)
    assert drawn.shape == (2, 16, PIXELS)
    assert set(np.unique(drawn)) <= {0, 1}
    assert np.array_equal(drawn[1], sample(alone)[0])
    if model == "autoregressive":  # an untrained flow draws one image over and over
        pack.state.step += 1
        assert not np.array_equal(drawn, sample(pack))


def test_a_model_that_is_sure_of_every_pixel_draws_it():
    pack = pack_of(tiny(model="autoregressive"))
    p = pack.params(pack.state.average)
    p["final.b"].fill_(100.0)
    assert sample(pack).all()
    (found,) = evaluate(pack, pack.loss_sum_M)
    assert found.novel_share == 0  # twelve groups of three ones are odd
    assert found.val_loss > 10


@pytest.mark.parametrize(("model", "depth"), [("flow", 2), ("autoregressive", 1)])
def test_few_images_are_learned_by_heart(model, depth):
    config = tiny(
        model=model, depth=depth, width=32, heads=4, ffn=128, images=2, batch=16, lr=1e-2,
        steps=800, eval_every=50, sample_steps=20, eval_samples=64,
    )  # fmt: skip
    (member,) = train_together(config)
    last = member.curve[-1]
    assert member.step < 800, "it settles early"
    assert outcome(member.curve, member.divergence_ratio).tau_mem
    assert last.mem_share >= 0.8
    assert last.train_acc >= 0.8
    assert last.novel_share < 0.2
    assert last.val_loss > last.loss


def test_of_many_images_the_rule_is_learned_and_new_ones_are_drawn():
    config = tiny(
        model="autoregressive", group_size=2, images=512, width=32, heads=4, ffn=128, batch=32,
        lr=6e-3, steps=300, eval_every=50, eval_samples=64,
    )  # fmt: skip
    (member,) = train_together(config)
    found = outcome(member.curve, member.divergence_ratio)
    assert found.tau_rule
    assert found.tau_mem is None
    last = member.curve[-1]
    assert last.novel_share >= 0.9
    # 18 of 36 pixels follow from the one before: half a bit per pixel is left
    assert last.val_loss == pytest.approx(math.log(2) / 2, rel=0.15)
