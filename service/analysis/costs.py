"""What analyses take, beside what training took."""

from __future__ import annotations

import pandas as pd

from service.analysis.registry import ANALYSES


def costs_table(analyses: pd.DataFrame, trials: pd.DataFrame) -> str:
    """Markdown: what each analysis took a trial, and what training took."""
    lines = ["| analysis | samples a checkpoint | checkpoints | s a trial, median (range) |",
             "|---|---|---|---|"]  # fmt: skip
    total = 0.0
    for analysis in ANALYSES:
        mine = analyses[(analyses["analysis"] == analysis.name) & (analyses["settings"] == "")]
        if mine.empty:
            continue
        total += mine["seconds"].median()
        count = f"{mine['checkpoints'].median():.0f}"
        cells = (analysis.name, analysis.budget, count, _seconds(mine["seconds"]))
        lines.append(f"| {' | '.join(cells)} |")
    lines.append(f"| all of these | | | {total:.1f} |")
    known = trials[trials["trial_id"].isin(analyses["trial_id"])]
    if len(known):
        lines.append(f"| training | | | {_seconds(known['wall_s'])} |")
    return "\n".join(lines)


def _seconds(values: pd.Series) -> str:
    return f"{values.median():.2f} ({values.min():.2f}-{values.max():.2f})"
