"""PyTorch's hooks and nnsight see and replace in a DiT what a hook of the pack does there."""

import pytest
import torch

from grokmodel.probing.hooks import hook_points, recorder
from tests.grokmodel.batch import random
from tests.grokmodel.image.dit.variants import LARGE, Pair, assert_close

VARIANTS = [LARGE, {"heads": 2}, LARGE | {"position": "rotary", "qk_norm": True}]
POINTS = list(Pair(LARGE).dit.hook_points)


def seen_by_pack(pair):
    """Value of every hook point of the pair's member, in the order of the forward pass."""
    seen = {}
    pair.by_pack(recorder(seen))
    return {name: value[pair.i] for name, value in seen.items()}


def replaced_by_pack(pair, point, value):
    """Prediction with one hook point of the pair's member replaced."""

    def hook(name, whole):
        if name == point:
            whole = whole.clone()
            whole[pair.i] = value
        return whole

    return pair.by_pack(hook)


def submodule(pair, point):
    return pair.dit.get_submodule(pair.dit.hook_points[point])


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_forward_hooks_see_what_the_hook_of_the_pack_sees(changes):
    pair, found = Pair(changes), {}
    for point in pair.dit.hook_points:

        def keep(module, args, output, point=point):
            found[point] = output

        submodule(pair, point).register_forward_hook(keep)
    pair.by_dit()
    expected = seen_by_pack(pair)
    assert list(found) == list(expected) == list(pair.dit.hook_points)
    for name, value in expected.items():
        assert_close(found[name], value)


@pytest.mark.parametrize("point", POINTS)
def test_what_a_forward_hook_returns_goes_on_as_in_the_pack(point):
    pair = Pair(LARGE)
    value = random(*seen_by_pack(pair)[point].shape, seed=5).float()
    before = pair.by_dit()
    submodule(pair, point).register_forward_hook(lambda *_: value)
    after = pair.by_dit()
    assert_close(after, replaced_by_pack(pair, point, value))
    assert not torch.isclose(after, before).all(-1).all(-1).any(), "every image depends on it"


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_every_hook_point_of_the_tables_is_a_submodule(changes):
    pair = Pair(changes)
    assert {point.name for point in hook_points(pair.config.shape)} <= set(pair.dit.hook_points)


@pytest.fixture(scope="module")
def nnsight():
    return pytest.importorskip("nnsight", reason="nnsight is not installed; make test does")


@pytest.mark.parametrize("point", POINTS)
def test_nnsight_reads_and_replaces_it(nnsight, point):
    pair = Pair(LARGE)
    expected = seen_by_pack(pair)[point]
    value = random(*expected.shape, seed=5).float()
    model = nnsight.NNsight(pair.dit)
    place = model.get(pair.dit.hook_points[point])
    with torch.no_grad(), model.trace(*pair.arguments):
        found = place.output.save()
    assert_close(found, expected)
    with torch.no_grad(), model.trace(*pair.arguments):
        place.output = value
        after = model.output.save()
    assert_close(after, replaced_by_pack(pair, point, value))
