"""Prints the tables of docs/analyses.md from a store: python docs/findings.py runs demo"""

from __future__ import annotations

import sys

import pandas as pd

PHASES = ["confusion", "memorization", "grokking", "comprehension"]
STORE, SWEEP = sys.argv[1:3]


def read(table: str) -> pd.DataFrame:
    """Rows of the sweep, each with the phase, training fraction and weight decay of its trial."""
    frame = pd.read_parquet(f"{STORE}/tables/{table}").query("sweep == @SWEEP")
    return frame if table == "trials" else frame.merge(ABOUT, on="trial_id")


trials = read("trials")
ABOUT = trials[["trial_id", "phase", "train_fraction", "weight_decay", "seed", "n_strict"]]


def show(title: str, values: dict[str, pd.Series], by: pd.Series) -> None:
    """Markdown: median (lowest-highest) of each column by phase."""
    print(f"\n**{title}**\n\n| phase | trials | {' | '.join(values)} |")
    print("|---" * (len(values) + 2) + "|")
    for phase in PHASES:
        mine = [column[by == phase].dropna() for column in values.values()]
        if any(len(m) for m in mine):
            cells = (spread(m) for m in mine)
            print(f"| {phase} | {max(len(m) for m in mine)} | {' | '.join(cells)} |")


def spread(values: pd.Series) -> str:
    if values.empty:
        return "-"
    digits = 0 if values.abs().median() >= 20 else 3 if values.abs().max() < 0.02 else 2
    low, mid, high = (f"{v:.{digits}f}" for v in (values.min(), values.median(), values.max()))
    return f"{mid} ({low} to {high})"


def last(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["step"] == frame.groupby("trial_id")["step"].transform("max")]


def by_trial(frame: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Mean of a column a trial, and the trials' phases."""
    mean = frame.groupby("trial_id")[column].mean()
    return mean, ABOUT.set_index("trial_id").loc[mean.index, "phase"]


def spectra() -> None:
    at_noise = read("spectra").query("t == 1 or site == 'target'")
    entropy = at_noise.groupby(["trial_id", "site"])["entropy"].mean().unstack()
    phases = ABOUT.set_index("trial_id").loc[entropy.index, "phase"]
    sites = ["block0.score[a]", "block0.ffn.pre", "block0.ffn.post", "output", "target"]
    show("FVE entropy at t = 1 (1: all frequencies alike)", {s: entropy[s] for s in sites}, phases)
    keys = at_noise[at_noise["is_key"]].groupby("trial_id").size().index
    counts = ABOUT[ABOUT["trial_id"].isin(keys)]["phase"].value_counts().to_dict()
    print(f"\nTrials with a key frequency at any site, by phase: {counts or 'none'}")


def identities() -> None:
    frame = read("identities")
    own, phases = by_trial(frame[frame["control"] < 0], "fve_rule")
    random, _ = by_trial(frame[frame["control"] >= 0], "fve_rule")
    title = "Variance of the neurons explained by cos, sin(w(a + b)), mean over all frequencies"
    show(title, {"directions from the output": own, "random directions": random}, phases)


def ablations() -> None:
    frame = read("ablations")
    clean = frame[frame["mode"] == "none"].set_index("trial_id")["val_acc_strict"]
    largest = frame.groupby(["trial_id", "site"])["n_frequencies"].transform("max")
    frame = frame[frame["n_frequencies"] == largest]
    for site in ("block0.value", "block0.score", "block0.ffn.post"):
        columns = {"nothing done": clean}
        for mode in ("remove", "keep"):
            for selection, fit in (("leading", "all"), ("random", "all"), ("leading", "own")):
                chosen = frame.query(
                    "site == @site and mode == @mode and selection == @selection and fit == @fit"
                )
                columns[f"{mode} {selection}, {fit}"] = by_trial(chosen, "val_acc_strict")[0]
        carriers = frame[frame["site"] == site].groupby("trial_id")["n_frequencies"].first()
        columns["carriers"] = carriers.astype(float)
        phases = ABOUT.set_index("trial_id").loc[clean.index, "phase"]
        columns = {name: values.reindex(clean.index) for name, values in columns.items()}
        show(f"Strict accuracy with the carriers of {site} removed or kept", columns, phases)


def progress() -> None:
    frame = read("progress")
    end = last(frame).set_index("trial_id")
    strict = trials.set_index("trial_id")["val_acc_strict"].reindex(end.index)
    columns = {"strict": strict, "restricted": end["restricted_acc"],
               "restricted, own fit": end["restricted_acc_own"]}  # fmt: skip
    show("Accuracy on strict pairs at the end", columns, end["phase"])
    curves = read("curves")
    grokked = frame[frame["phase"].isin(["grokking", "comprehension"])]
    rows = []
    for trial_id, mine in grokked.dropna(subset="restricted_acc_own").groupby("trial_id"):
        curve = curves[(curves["trial_id"] == trial_id) & curves["step"].isin(mine["step"])]
        both = mine.merge(curve[["step", "val_acc_strict"]], on="step").sort_values("step")
        gap = both["restricted_acc_own"] - both["val_acc_strict"]
        rows.append((gap.max(), both.loc[gap.idxmax(), "step"], (gap > -0.02).mean()))
    gaps = pd.DataFrame(rows, columns=["largest lead", "at step", "share ahead"])
    found = ", ".join(f"{name} {spread(gaps[name])}" for name in gaps)
    print(f"\nLead of restricted (own fit) over strict accuracy, {len(gaps)} that grokked: {found}")


def timesteps() -> None:
    critical = read("critical").set_index("trial_id")
    gap = critical["difference"].abs()
    entropy = read("timesteps").groupby("trial_id")["entropy"]
    columns = {"observed": critical["observed"], "predicted": critical["predicted"], "gap": gap,
               "range of the entropy": entropy.max() - entropy.min()}  # fmt: skip
    show(
        "Critical level of 50", {n: c.astype(float) for n, c in columns.items()}, critical["phase"]
    )
    known = critical[critical["phase"] != "confusion"]
    both = known[["observed", "predicted"]].astype(float)
    print(f"\nWithout confusion: {len(known)} trials, median gap {gap[known.index].median():.0f} "
          f"levels, Spearman correlation {both.rank().corr().iloc[0, 1]:.2f}")  # fmt: skip
    fractions = sorted(known["train_fraction"].unique())
    print("\nObserved/predicted by seed:\n")
    print(f"| weight decay | {' | '.join(f'R = {share:g}' for share in fractions)} |")
    print("|---" * (len(fractions) + 1) + "|")
    for decay, mine in known.sort_values("seed").groupby("weight_decay"):
        cells = (mine[mine["train_fraction"] == share] for share in fractions)
        pairs = (
            ", ".join(f"{o}/{p}" for o, p in zip(c["observed"], c["predicted"])) for c in cells
        )
        print(f"| {decay:g} | {' | '.join(pairs)} |")


def structure() -> None:
    llc, phases = by_trial(read("learning_coefficient"), "llc")
    merger = last(read("representation")).query("site == 'output' and t == 1")
    rank = last(read("complexity")).query("matrix == 'block0.ffn.up'")
    columns = {
        "learning coefficient": llc,
        "merger ratio of the output": by_trial(merger, "merger")[0],
        "stable rank of FFN in": by_trial(rank, "stable_rank")[0],
        "BDM of FFN in": by_trial(rank, "bdm")[0],
    }
    show("Structure", {name: values.reindex(llc.index) for name, values in columns.items()}, phases)
    ends = last(read("basins")).query("pairs == 'train'").set_index("trial_id")
    columns = {c: ends[c] for c in ("copy_share", "rule_share", "neither_share")}
    show("Ends of random starts for training pairs", columns, ends["phase"])


for part in (spectra, identities, ablations, progress, timesteps, structure):
    part()
