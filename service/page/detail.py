"""What the page shows of one trial, once it is opened."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from grokmodel.analysis.ablations import ALL
from grokmodel.analysis.spectra import NOTHING
from grokmodel.configs import config_of
from grokmodel.image.config import TrialConfig
from service.page.overview import columns_of, few, rounded
from service.tables.names import changed_fields, train_command
from service.text import config_value

Detail = dict[str, Any]
CURVE = ("step", "loss", "train_acc", "val_acc", "val_acc_strict", "val_acc_heldout",
         "val_acc_strict_heldout", "mem_share", "val_loss")  # fmt: skip
POINTS = 120
LEVELS_OF_GRAY = 16
"""Two pixels go into a byte: the eye sees no difference, the page is half as long."""


def training(
    sweep: str, row: Mapping[str, Any], curve: pd.DataFrame, samples: pd.DataFrame
) -> Detail:
    """Of every trial: settings, curve, samples.

    Args:
        row: of `trials`.
        curve, samples: its rows of these tables.
    """
    config = config_of(row)
    samples = samples[samples["step"] <= row["steps_run"]]  # of another run, that took longer
    curve = curve.sort_values("step")
    curve = curve.iloc[few(len(curve), POINTS)]
    known = [name for name in CURVE if curve[name].notna().any()]
    return {
        "command": train_command(config, sweep),
        "unusual": {name: config_value(value) for name, value in changed_fields(config).items()},
        "config": {name: config_value(value) for name, value in config.to_dict().items()},
        "train_step": _steps(row["train_step"]),
        "strict_step": _steps(row["val_step_strict"]),
        "curve": columns_of(curve, known),
        "samples": _samples(samples, config.side) if isinstance(config, TrialConfig) else None,
    }


def _steps(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _samples(samples: pd.DataFrame, side: int) -> Detail:
    """Pairs, steps, and images of the operands, the results and every sample."""
    samples = samples.sort_values(["step", "sample"])
    first = samples.drop_duplicates("sample")
    steps = sorted(samples["step"].unique())
    return {
        "side": side,
        "steps": [int(step) for step in steps],
        "pairs": [
            list(pair) for pair in zip(*(first[name].tolist() for name in ("pairs", *"abc")))
        ],
        "known": _packed([*first["image_a"], *first["image_b"], *first["image_c"]]),
        "drawn": _packed(list(samples["image"])),
        "sampled": rounded(samples["sampled"]),
    }


def _packed(images: list[bytes]) -> str:
    """Images of LEVELS_OF_GRAY, two pixels per byte, in base64."""
    gray = np.frombuffer(b"".join(images), np.uint8)
    levels = np.round(gray / 255 * (LEVELS_OF_GRAY - 1)).astype(np.uint8)
    if len(levels) % 2:
        levels = np.append(levels, 0)
    return base64.b64encode((levels[::2] << 4 | levels[1::2]).tobytes()).decode()


# --- analyses ------------------------------------------------------------------------------------

Draft = Callable[[pd.DataFrame], Detail | None]


def _spectra(rows: pd.DataFrame) -> Detail | None:
    """Of every hook point and head, at pure noise, the share of each frequency."""
    place = ["hook", "head"]
    rows = rows.sort_values([*place, "frequency"])
    starts = np.flatnonzero(~rows.duplicated(place).to_numpy())
    power = rows[["fve_a", "fve_b", "fve_ab"]].to_numpy(float).sum(axis=1)
    sums = np.add.reduceat(power, starts)
    counts = np.diff([*starts, len(rows)])
    shares = np.array(rounded(power / np.repeat(sums, counts).clip(1e-12), 3))
    frequency, is_key = rows["frequency"].to_numpy(), rows["is_key"].to_numpy(bool)
    names = list(zip(rows["hook"].to_numpy()[starts], rows["head"].to_numpy()[starts].tolist()))
    first = rows.iloc[starts]
    chance, p = rounded(first["null_q95"], 3), rounded(first["p_dominant"], 2)
    places = [
        {
            "hook": hook, "head": head, "share": shares[start : start + count].tolist(),
            "key": frequency[start : start + count][is_key[start : start + count]].tolist(),
            "chance": chance[i], "p": p[i],
        }
        for i, ((hook, head), start, count) in enumerate(zip(names, starts, counts))
    ]  # fmt: skip
    return {"places": places, "frequencies": np.unique(frequency).tolist()}


def _identities(rows: pd.DataFrame) -> Detail | None:
    rows = rows[rows["hook"].str.endswith("ffn.pre")]
    mine = rows[(rows["control"] == -1) & (rows["direction"] == "cos")].sort_values("frequency")
    names = ("frequency", "cos_cos", "sin_sin", "cos_sin", "sin_cos", "is_key")
    return columns_of(mine, names) if len(mine) else None


def _ablations(rows: pd.DataFrame) -> Detail | None:
    """Strict accuracy per hook point: frequencies removed or kept, top ones or random ones."""
    rows = rows[rows["fit"] == ALL]
    names = ["hook", "n_frequencies", "mode", "selection"]
    found = rows.groupby(names, sort=False)["val_acc_strict"].agg(["mean", "min", "max"])
    found = found.dropna().reset_index()
    return columns_of(found, [*names, "mean", "min", "max"]) if len(found) else None


def _by_step(*names: str) -> Draft:
    def draft(rows: pd.DataFrame) -> Detail | None:
        return columns_of(rows.sort_values("step"), ("step", *names))

    return draft


def _as_it_is(*names: str) -> Draft:
    return lambda rows: columns_of(rows, names)


def _denoiser(rows: pd.DataFrame) -> Detail | None:
    """Of the last snapshot."""
    rows = rows[rows["step"] == rows["step"].max()].sort_values("t")
    return columns_of(rows, ("t", "gaussian", "unconditional", "right_class", "linear_operands"))


def _spectral_bias(rows: pd.DataFrame) -> Detail | None:
    rows = rows.dropna(subset=["step_half"])
    return columns_of(rows, ("t", "variance", "step_half")) if len(rows) else None


def _merger(rows: pd.DataFrame) -> Detail | None:
    return columns_of(rows.sort_values(["hook", "step"]), ("hook", "step", "merger"))


ANALYSES: dict[str, Draft] = {
    "spectra": _spectra,
    "heads": _as_it_is("block", "head", "acc_strict", "acc_strict_patched", "acc_strict_ablated"),
    "progress": _by_step("train_loss", "strict_loss", "restricted_loss", "excluded_loss",
                         "restricted_acc_within_split", "excluded_acc", "strict_acc"),
    "basins": _by_step("pairs", "copy_share", "rule_share", "neither_share"),
    "complexity": _by_step("matrix", "stable_rank"),
    "identities": _identities,
    "ablations": _ablations,
    "timesteps": _as_it_is("level", "recover_acc", "rectify_acc", "entropy"),
    "critical": _as_it_is("observed", "predicted"),
    "swaps": _as_it_is("level", "old_share", "new_share", "neither_share"),
    "blocked": _as_it_is("when", "t", "val_acc_strict"),
    "representation": _merger,
    "learning_coefficient": _as_it_is("llc"),
    "denoiser": _denoiser,
    "skips": _as_it_is("start", "skipped", "train_acc", "val_acc_strict"),
    "spectral_bias": _spectral_bias,
    "dictionaries": _as_it_is("dictionary", "stability", "rule_fve", "frequency_fve", "result_fve"),
    "automata": _by_step("states", "minimal_states", "merged", "acc_1000"),
}  # fmt: skip
"""Table -> what the page needs of a trial's rows."""
AT_NOISE = ds.field("t") == 1
WHERE = {
    "spectra": AT_NOISE & (ds.field("shown") == NOTHING),
    "representation": AT_NOISE & (ds.field("head") == -1),
}
"""Of some tables it needs few rows."""


def analyses(frames: Mapping[str, pd.DataFrame]) -> Detail:
    """What the analyses found of a trial, table by table; nothing of those without rows."""
    found = {
        table: draft(frames[table]) for table, draft in ANALYSES.items() if not frames[table].empty
    }
    return {table: data for table, data in found.items() if data}
