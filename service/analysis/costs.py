"""What analyses take, beside what training took."""

from __future__ import annotations

import pandas as pd

from grokmodel.catalog.analyses import ANALYSES
from service.text import spread


def costs_table(analyses: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Markdown: what each analysis took per trial, and what training took."""
    lines = ["| analysis | samples per checkpoint | checkpoints | s/trial, median (range) |",
             "|---|---|---|---|"]  # fmt: skip
    total = 0.0
    for analysis in ANALYSES:
        mine = analyses[(analyses["analysis"] == analysis.name) & (analyses["settings"] == "")]
        if mine.empty:
            continue
        total += mine["seconds"].median()
        count = f"{mine['checkpoints'].median():.0f}"
        cells = (analysis.name, analysis.budget, count, spread(mine["seconds"]))
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| all of these | | | {total:.1f} |")
    known = trials[trials["trial_id"].isin(analyses["trial_id"])]
    if len(known):
        lines.append(f"| training | | | {spread(known['wall_s'])} |")
    return "\n".join(lines)
