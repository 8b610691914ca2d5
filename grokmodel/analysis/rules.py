"""Basins of models of rule-valid images: where does half of an image lead?

Half of a training image, or of a valid image that does not train, is hidden: by noise at t = 0.5
for a flow, else the last 18 pixels. A model that knows the rule makes valid images of both; one
that remembers goes back to training images.

Shapes: M members, Q starts, X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from grokmodel.analysis.basins import STARTS, STRICT, TRAIN, BasinRow
from grokmodel.rules.images import copies, signs, valid_groups
from grokmodel.rules.pack import Member, Pack, split_images
from grokmodel.rules.sampling import completed

HIDDEN = 0.5


def basins(members: Sequence[Member], device: torch.device) -> list[list[BasinRow]]:
    """Rows of every member, for starts from training images and from others."""
    pack = Pack(members, device)
    splits = [split_images(m.config) for m in members]
    out: list[list[BasinRow]] = [[] for _ in members]
    for kind, name in enumerate((TRAIN, STRICT)):
        shown_MQX = np.stack([np.resize(s[kind], (STARTS, s[kind].shape[1])) for s in splits])
        ends_MQX = completed(pack, torch.from_numpy(signs(shown_MQX)).to(device), HIDDEN)
        for i, member in enumerate(members):
            is_copy = copies(ends_MQX[i], pack.train[i])
            is_valid = valid_groups(ends_MQX[i], member.config.group_size).all(1)
            shares = (
                is_copy,
                is_valid & ~is_copy,
                ~is_valid & ~is_copy,
                (ends_MQX[i] == shown_MQX[i]).all(1),
            )
            out[i].append(BasinRow(name, STARTS, *(float(x.mean()) for x in shares)))
    return out
