"""The one number per trial that each analysis comes to: what a table of runs has room for.

All of the last checkpoint at t = 1, where the noisy image shows nothing.
"""

from __future__ import annotations

from collections.abc import Collection

import pandas as pd
import pyarrow.dataset as ds

from grokmodel.probing.null import CHANCE
from service.store.store import Store
from service.tables.reading import read_table

NEURONS = ".ffn.pre"
"""End of the name of the neurons before a non-linearity."""
HEAD_SITES = ("score[a]", "weighted_value[a]")
OWN_FREQUENCY = 0.5
"""Share of a head's power in one frequency from which it counts as specialized in it."""
POWERS = ["fve_a", "fve_b", "fve_ab"]


def headlines(
    store: Store, sweep: str, trial_ids: Collection[str]
) -> dict[str, dict[str, float | None]]:
    """Trial -> its numbers, as far as its analyses are done; None where one could not tell."""
    done = read_table(store, "analyses", sweep, trial_ids, ["trial_id", "analysis"])
    found = [
        headline(store, sweep, list(done.loc[done["analysis"] == analysis, "trial_id"]))
        for analysis, headline in HEADLINES.items()
        if (done["analysis"] == analysis).any()
    ]
    if not found:
        return {}
    frame = pd.concat(found, axis=1)
    return {
        str(trial_id): {name: None if value != value else float(value) for name, value in mine}
        for trial_id, mine in ((i, row.items()) for i, row in frame.iterrows())
    }


def critical_levels(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`critical_observed`, `critical_predicted`: see the table `critical`."""
    columns = ["trial_id", "step", "observed", "predicted"]
    rows = read_table(store, "critical", sweep, ids, columns).sort_values("step")
    last = rows.groupby("trial_id")[["observed", "predicted"]].last()
    return last.add_prefix("critical_").astype(float)


def rule_fve(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`rule_fve`: of the neurons before the last non-linearity, along a direction from the output
    side, variance explained by the rule at the frequency at which it explains most."""
    columns = ["trial_id", "hook", "fve_rule"]
    rows = read_table(store, "identities", sweep, ids, columns, ds.field("control") < 0)
    rows = rows[rows["hook"].str.endswith(NEURONS)]
    return rows.groupby("trial_id")[["fve_rule"]].max().rename(columns={"fve_rule": "rule_fve"})


def frequencies(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`key_frequencies` before the last non-linearity, and `specialized_heads`."""
    columns = ["trial_id", "hook", "head", "frequency", "p_value", "is_key", *POWERS]
    rows = read_table(store, "spectra", sweep, ids, columns, ds.field("t") == 1)
    neurons = rows[rows["hook"].str.endswith(NEURONS)]
    last = neurons[neurons["hook"] == neurons.groupby("trial_id")["hook"].transform("max")]
    keys = last.groupby("trial_id")["is_key"].sum().rename("key_frequencies")
    heads = specialization(rows)["special"].groupby("trial_id").sum().rename("specialized_heads")
    return pd.concat([keys, heads], axis=1).astype(float)


def specialization(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of `spectra`: for every trial and head `top`, the share of its power in its strongest
    frequency, and `special`, whether that is OWN_FREQUENCY or more and no chance."""
    kinds = rows["hook"].str.split(".", n=1).str[-1]
    rows = rows[kinds.isin(HEAD_SITES)]
    rows = rows.assign(power=rows[POWERS].sum(axis=1))
    sites = rows.groupby(["trial_id", "head", "hook"])
    top = sites["power"].max() / sites["power"].sum().clip(lower=1e-12)
    special = (top >= OWN_FREQUENCY) & (sites["p_value"].min() <= CHANCE)
    return pd.DataFrame({"top": top, "special": special}).groupby(["trial_id", "head"]).max()


def llc(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`llc`: the median over chains."""
    rows = read_table(store, "learning_coefficient", sweep, ids, ["trial_id", "llc"])
    return rows.groupby("trial_id")[["llc"]].median()


def progress(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`restricted_acc`, on strict pairs and fitted to them alone, and `gini_output`."""
    columns = {"restricted_acc_within_split": "restricted_acc", "gini_output": "gini_output"}
    return _at_the_end(read_table(store, "progress", sweep, ids), columns)


def merger(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`merger_output`: the merger ratio of the output."""
    is_output = (ds.field("hook") == "output") & (ds.field("t") == 1)
    rows = read_table(store, "representation", sweep, ids, None, is_output)
    return _at_the_end(rows, {"merger": "merger_output"})


def complexity(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`bdm_ffn_up`: algorithmic complexity of the FFN's input weights."""
    of_ffn = ds.field("matrix") == "block0.ffn.up"
    rows = read_table(store, "complexity", sweep, ids, None, of_ffn)
    return _at_the_end(rows, {"bdm": "bdm_ffn_up"})


def automata(store: Store, sweep: str, ids: Collection[str]) -> pd.DataFrame:
    """`automaton_states`, and `acc_1000` at length 1,000, of a parity network."""
    columns = {"states": "automaton_states", "acc_1000": "acc_1000"}
    return _at_the_end(read_table(store, "automata", sweep, ids), columns)


def _at_the_end(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Columns of the last snapshot of each trial."""
    last = rows[rows["step"] == rows.groupby("trial_id")["step"].transform("max")]
    return last.groupby("trial_id")[[*columns]].mean().rename(columns=columns).astype(float)


HEADLINES = {
    "timesteps": critical_levels,
    "identities": rule_fve,
    "spectra": frequencies,
    "learning_coefficient": llc,
    "progress": progress,
    "representation": merger,
    "complexity": complexity,
    "automata": automata,
}
"""Analysis -> the numbers that it comes to, a column each, by trial."""
TITLES = {
    "key_frequencies": "key frequencies before the FFN's non-linearity",
    "specialized_heads": "specialized heads",
    "rule_fve": "FVE of the rule, best frequency",
    "restricted_acc": "restricted accuracy, within-split fit",
    "gini_output": "Gini of the output's FVEs",
    "merger_output": "merger ratio of the output, t = 1",
    "bdm_ffn_up": "BDM of the FFN's input weights (bits per weight)",
    "automaton_states": "states of the automaton",
    "acc_1000": "accuracy at length 1,000",
    "llc": "learning coefficient",
    "critical_observed": "critical noise-step index, observed",
    "critical_predicted": "critical noise-step index, predicted",
}
"""What they are called in figures and on pages."""
