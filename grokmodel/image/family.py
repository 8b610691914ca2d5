"""The family of the image model: images and decoders are what it needs besides its members."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from grokmodel.core.execution import EAGER
from grokmodel.core.family import Family
from grokmodel.core.outcome import Evaluation
from grokmodel.core.rows import Row
from grokmodel.data.pairs import split_pairs
from grokmodel.image.evaluate import Accuracy, Decoders, accuracy, evaluate
from grokmodel.image.pack import Banks, Member, Pack
from grokmodel.image.samples import Sample, draw_samples


@dataclass(frozen=True)
class ImageInputs:
    """A bank of images, and what reads samples of them, for the `bank_key` of every member."""

    banks: Banks
    decoders: Decoders


class ImageFamily(Family):
    """Diffusion Transformers that draw the image of a + b."""

    member, pack = Member, Pack

    def fuse(
        self,
        members: Sequence[Member],
        inputs: ImageInputs,
        device: torch.device,
        mode: str = EAGER,
    ) -> Pack:
        return Pack(members, inputs.banks, device, mode)

    def evaluate(self, pack: Pack, inputs: ImageInputs, losses_M: Tensor) -> list[Evaluation]:
        return evaluate(pack, inputs.decoders, inputs.banks, losses_M)

    def examples(self, member: Member) -> int:
        """Noisy images: no two are alike."""
        return max(member.step, 1) * member.config.batch

    def finals(self, pack: Pack, inputs: ImageInputs) -> list[Row]:
        banks, decoders = inputs.banks, inputs.decoders
        finals = accuracy(pack, decoders, banks, pack.shape.final_sample_steps)
        one_steps = accuracy(pack, decoders, banks, 1)
        found = zip(pack.members, finals, one_steps, strict=True)
        return [final_columns(member, final, one_step) for member, final, one_step in found]

    def samples(
        self, members: Sequence[Member], pack: Pack, inputs: ImageInputs
    ) -> dict[str, list[Row]]:
        drawn = zip(pack.members, draw_samples(pack, inputs.decoders, inputs.banks), strict=True)
        return {
            member.config.trial_id: sample_rows(member, samples)
            for member, samples in drawn
            if member in members
        }


FAMILY = ImageFamily()


def final_columns(member: Member, final: Accuracy, one_step: Accuracy) -> Row:
    """What `trials` has of a finished member beyond its curve.

    Args:
        final, one_step: accuracies by `final_sample_steps` and by a single step.
    """
    split = split_pairs(member.config)
    return {
        "train_acc_final": final.train,
        "val_acc_final": final.val,
        "val_acc_strict_final": final.strict,
        "val_acc_heldout_final": final.heldout,
        "val_acc_strict_heldout_final": final.strict_heldout,
        "train_acc_1step": one_step.train,
        "val_acc_1step": one_step.val,
        "val_acc_strict_1step": one_step.strict,
        "n_train": len(split.train),
        "n_val": len(split.val),
        "n_strict": int(split.strict.sum()),
    }


def sample_rows(member: Member, samples: Iterable[Sample]) -> list[Row]:
    """The `samples` rows of a member at its step."""
    of = {"trial_id": member.config.trial_id, "step": member.step}
    return [{**of, **vars(sample)} for sample in samples]
