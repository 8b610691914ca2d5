"""What is known of a member, as rows of the tables; `finish` makes all of a finished trial.

Whoever trains writes these rows, to a store or to a file that is imported later.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from grokmodel.core.outcome import Evaluation, outcome
from grokmodel.data.pairs import split_pairs
from grokmodel.image.evaluate import Accuracy, Decoders, accuracy
from grokmodel.image.pack import Banks, Member, Pack
from grokmodel.image.samples import Sample, draw_samples

Row = dict[str, Any]
T = TypeVar("T")

MAX_POINTS = 200
"""Points of a thinned curve, at most."""


@dataclass(frozen=True)
class Finished:
    """A finished member and its rows."""

    member: Member
    trial: Row
    """Of `trials`."""
    curve: list[Row]
    """Of `curves`."""
    samples: list[Row]
    """Of `samples`, at its last step."""


def finish(
    members: Sequence[Member], banks: Banks, decoders: Decoders, device: torch.device
) -> list[Finished]:
    """Measure and draw what is asked of finished members, all of one PackShape."""
    pack = Pack(members, banks, device)
    finals = accuracy(pack, decoders, banks, pack.shape.final_sample_steps)
    one_steps = accuracy(pack, decoders, banks, 1)
    samples = samples_of(members, pack, banks, decoders)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return [
        Finished(
            member, trial_row(member, final, one_step, name), curve_rows(member),
            samples[member.config.trial_id],
        )
        for member, final, one_step in zip(members, finals, one_steps, strict=True)
    ]  # fmt: skip


def samples_of(
    members: Sequence[Member], pack: Pack, banks: Banks, decoders: Decoders
) -> dict[str, list[Row]]:
    """The `samples` rows of members of a pack at their step, by trial."""
    drawn = zip(pack.members, draw_samples(pack, decoders, banks), strict=True)
    return {
        member.config.trial_id: sample_rows(member, samples)
        for member, samples in drawn
        if member in members
    }


def trial_row(member: Member, final: Accuracy, one_step: Accuracy, device: str) -> Row:
    """The `trials` row of a finished member.

    Args:
        final, one_step: accuracies by `final_sample_steps` and by a single step.
    """
    split = split_pairs(member.config)
    row = {
        "trial_id": member.config.trial_id,
        "run_id": run_id(member.curve),
        **member.config.to_dict(),
        **dataclasses.asdict(outcome(member.curve, member.divergence_ratio)),
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
        "wall_s": member.wall_s,
        "device": device,
    }
    return without_nan(row)


def thinned(curve: Sequence[T]) -> list[T]:
    """At most MAX_POINTS rows: log-spaced, with the first and the last."""
    n = len(curve)
    if n <= MAX_POINTS:
        return list(curve)
    index = np.unique(np.geomspace(1, n, MAX_POINTS).round().astype(int) - 1)
    return [curve[i] for i in index]


def curve_rows(member: Member) -> list[Row]:
    """The `curves` rows of a member."""
    of = {"trial_id": member.config.trial_id, "run_id": run_id(member.curve)}
    return [without_nan({**of, **dataclasses.asdict(e)}) for e in member.curve]


def sample_rows(member: Member, samples: Iterable[Sample]) -> list[Row]:
    """The `samples` rows of a member at its step."""
    of = {"trial_id": member.config.trial_id, "step": member.step}
    return [{**of, **vars(sample)} for sample in samples]


def run_id(curve: Iterable[Evaluation]) -> str:
    """Which run of a trial has this curve, or begins with it. Runs that agree to the last bit, as a
    run that was resumed and one that was not, are the same; on another device, or in another pack,
    sums may be rounded otherwise."""
    seen = [(e.step, float(e.loss), float(e.weight_norm)) for e in curve]
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]


def without_nan(row: Row) -> Row:
    """NaN becomes null: not measured. An infinite loss stays what it is."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
