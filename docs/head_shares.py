"""How much of its power a hook point has at each frequency, and which is a head's strongest; for
the scripts beside it."""

from __future__ import annotations

import pandas as pd


def shares(spectra: pd.DataFrame) -> pd.DataFrame:
    """Rows of `spectra` at t = 1, where nothing is shown, with the `share` of each frequency."""
    rows = spectra.query("shown == 'nothing'").copy()
    power = rows[["fve_a", "fve_b", "fve_ab"]].sum(axis=1)
    total = power.groupby([rows[name] for name in ("trial_id", "hook", "head")]).transform("sum")
    rows["share"] = power / total
    return rows


def strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """Of what `shares` returns, each head's strongest frequency in its scores with a, and whether
    the head is `special`: it has half of its power or more there, and more than by chance."""
    score = rows[rows["hook"] == "block0.score[a]"].sort_values("share")
    heads = score.groupby(["trial_id", "head"]).last()
    return heads.assign(special=(heads["share"] >= 0.5) & (heads["p_value"] <= 0.05))
