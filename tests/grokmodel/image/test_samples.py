"""Images that a pack draws."""

import torch

from grokmodel.core import noise
from grokmodel.image.evaluate import sample_images
from grokmodel.image.pack import Member, Pack
from tests.grokmodel.analysis.handmade import always
from tests.grokmodel.tiny import CPU, banks_for, synthetic_bank, tiny


def test_samples_of_a_constant_prediction_are_that_image():
    expected = torch.from_numpy(synthetic_bank(7, 1, 8).standardized[5])
    member = always(tiny(), expected[0].numpy())
    pack = Pack([member], banks_for(member.config), CPU)
    pairs = torch.tensor([[[0, 1], [2, 3], [6, 6]]])
    samples = sample_images(pack, pairs, noise.EVAL_VAL, 4)
    torch.testing.assert_close(samples, expected.expand(1, 3, 8, 8).reshape(1, 3, 8, 8))


def test_samples_of_a_member_do_not_depend_on_its_pack_mates():
    configs = [tiny(seed=1), tiny(seed=2, P=9), tiny(seed=3, N=2)]
    members = [Member.start(c) for c in configs]
    pairs = torch.tensor([[0, 1], [2, 3], [4, 4]])
    together = Pack(members, banks_for(*configs), CPU)
    samples = sample_images(together, pairs.expand(3, -1, 2), noise.EVAL_VAL, 4)
    for member, expected in zip(members, samples):
        alone = Pack([member], banks_for(member.config), CPU)
        found = sample_images(alone, pairs[None], noise.EVAL_VAL, 4)[0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
