"""Some trials of a sweep, by a query or an id, in an order, and as a table, a line per trial."""

from __future__ import annotations

import difflib
from typing import Any

import pandas as pd

from grokmodel.errors import ConfigError, UserError
from service.tables import clocks
from service.tables.names import varied_fields
from service.text import config_value, measured, one_line

EXAMPLE = "'weight_decay >= 2 and phase == \"grokking\"'"
RESULTS = {
    "val_acc_strict": "strict",
    "val_acc_strict_final": "strict, final steps",
}
MOST_NAMED = 6
"""Trials in a message."""
STEPS = {"train_step": "train step", "val_step_strict": "strict step"}


class NoTrialError(UserError, LookupError):
    """No trial, or not one alone, has an id that begins so. Says which there are."""


def by_prefix(trials: pd.DataFrame, prefix: str, where: str) -> dict[str, Any]:
    """The row of the one trial whose id begins so.

    Args:
        trials: one row each.
        where: what was looked through, in words.

    Raises:
        NoTrialError: there is none, or there are several.
    """
    ids = trials["trial_id"]
    mine = trials[ids.str.startswith(str(prefix))]
    if len(mine) == 1:
        return mine.to_dict("records")[0]
    if mine.empty:
        known = f"; it has {_named(ids)}" if len(ids) else ""
        raise NoTrialError(f"no finished trial {prefix!r} in {where}{known}")
    several = f"{prefix!r} matches {len(mine)} trials in {where}"
    raise NoTrialError(f"{several}, {_named(mine['trial_id'])}; need more of the id")


def _named(ids: pd.Series) -> str:
    first = ", ".join(sorted(ids)[:MOST_NAMED])
    return first if len(ids) <= MOST_NAMED else f"{first} and {len(ids) - MOST_NAMED} more"


def where(trials: pd.DataFrame, query: str) -> pd.DataFrame:
    """The trials of which a query of pandas is true.

    Raises:
        ConfigError: it is none, or not about the columns.
    """
    try:
        # nothing but the columns has a name in it
        found = trials.eval(query, engine="python", local_dict={}, global_dict={})
        if not (isinstance(found, pd.Series) and found.dtype == bool):
            raise TypeError("it is neither true nor false of a trial")
    except Exception as error:  # of pandas' parser, of Python's, or of the values
        allowed = f"a query over columns of `trials`, such as {EXAMPLE} ({one_line(error)})"
        raise ConfigError("--where", query, allowed) from error
    return trials[found]


def in_order(trials: pd.DataFrame, column: str, descending: bool = False) -> pd.DataFrame:
    """The trials by a column, those without a value last.

    Raises:
        ConfigError: there is no such column.
    """
    if column not in trials.columns:
        near = difflib.get_close_matches(column, trials.columns, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        words = f"a column of `trials`, which `grok columns` lists, or lag{hint}"
        raise ConfigError("--sort", column, words)
    return trials.sort_values([column, "trial_id"], ascending=[not descending, True])


def trials_table(trials: pd.DataFrame, also: str = "") -> str:
    """One Markdown line per trial: what tells it from the others, and what it came to.

    Args:
        also: a column that is to be shown too.
    """
    varied = [*varied_fields(trials), "seed"]
    shown = {*varied, "trial_id", "phase", *RESULTS, *STEPS, "lag"}
    more = [also] if also and also not in shown else []
    head = ["trial", *varied, "phase", *RESULTS.values(), *STEPS.values(), "lag", *more]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    learned = {column: clocks.cells(trials, column) for column in STEPS}
    for i, row in enumerate(trials.to_dict("records")):
        cells = [
            row["trial_id"],
            *(config_value(row[name]) for name in varied),
            row["phase"],
            *(measured(row[name]) or "-" for name in RESULTS),
            *(learned[column][i] or "-" for column in STEPS),
            *(measured(row[name]) or "-" for name in ("lag", *more)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
