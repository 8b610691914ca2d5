"""Prints the tables of docs/findings.md and docs/analyses.md: python docs/findings.py runs demo"""

from __future__ import annotations

import sys

import pandas as pd
from head_shares import shares, strongest

from service.results import open_sweep

PHASES = ["confusion", "memorization", "grokking", "comprehension"]
STORE, SWEEP = sys.argv[1:3]


def read(table: str) -> pd.DataFrame:
    """Rows of the sweep, each with the phase, training fraction and weight decay of its trial."""
    return sweep.table(table).merge(ABOUT, on="trial_id")


def is_there(table: str) -> bool:
    return not sweep.table(table).empty


sweep = open_sweep(STORE, SWEEP)
trials = sweep.trials
ABOUT = trials[["trial_id", "phase", "train_fraction", "weight_decay", "seed", "n_strict"]]


def show(title: str, values: dict[str, pd.Series], by: pd.Series) -> None:
    """Markdown: median (lowest-highest) of each column by phase."""
    print(f"\n**{title}**\n\n| phase | trials | {' | '.join(values)} |")
    print("|---" * (len(values) + 2) + "|")
    for phase in PHASES:
        mine = [column[by == phase].dropna() for column in values.values()]
        if any(len(m) for m in mine):
            trials = max(len(m) for m in mine)
            cells = (spread(m) + (f", {len(m)} of {trials}" if 0 < len(m) < trials else "")
                     for m in mine)  # fmt: skip
            print(f"| {phase} | {trials} | {' | '.join(cells)} |")


def spread(values: pd.Series) -> str:
    if values.empty:
        return "-"
    digits = 0 if values.abs().median() >= 20 else 3 if values.abs().max() < 0.02 else 2
    low, mid, high = (f"{v:.{digits}f}" for v in (values.min(), values.median(), values.max()))
    return f"{mid} ({low} to {high})"


def last(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["step"] == frame.groupby("trial_id")["step"].transform("max")]


def by_trial(frame: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """Mean of a column per trial, and the trials' phases."""
    mean = frame.groupby("trial_id")[column].mean()
    return mean, ABOUT.set_index("trial_id").loc[mean.index, "phase"]


def spectra() -> None:
    rows = read("spectra")
    at_noise = rows.query("shown == 'nothing' or hook == 'target'")
    entropy = at_noise.groupby(["trial_id", "hook"])["entropy"].mean().unstack()
    phases = ABOUT.set_index("trial_id").loc[entropy.index, "phase"]
    points = ["block0.score[a]", "block0.ffn.pre", "block0.ffn.post", "output", "target"]
    show("FVE entropy at t = 1 (1: all frequencies alike)", {s: entropy[s] for s in points}, phases)
    keys = at_noise[at_noise["is_key"]].groupby("trial_id").size().index
    counts = ABOUT[ABOUT["trial_id"].isin(keys)]["phase"].value_counts().to_dict()
    print(f"\nTrials with a key frequency at any hook point, by phase: {counts or 'none'}")
    of_both = rows[rows["hook"] == "block0.ffn.pre"].groupby(["trial_id", "t", "shown"])["fve_ab"]
    shown = of_both.sum().unstack(["t", "shown"])
    columns = {f"t = {t:g}, {what} shown": shown[t, what] for t, what in sorted(shown.columns)}
    show("2-D FVE of block0.ffn.pre, sum over all frequencies", columns, phases[shown.index])


def mechanism() -> None:
    """Trial by trial what the paper's claims on frequencies are about."""
    rows = shares(read("spectra"))
    heads = strongest(rows)
    neurons = dict(list(rows[rows["hook"] == "block0.ffn.pre"].groupby("trial_id")))
    waves = read("identities").query("control < 0 and direction == 'cos'")
    head = (
        "P | heads | seed | phase | strict | specialized heads | a head's strongest frequency: "
        "share | by chance, 95 % | key frequencies of ffn.pre (share) | p | best of them: cos cos, "
        "sin sin, FVE | non-key over key coefficient, ffn.pre | ffn.post"
    )
    print(f"\n**The paper's mechanism, trial by trial**\n\n| {head} |")
    print("|---" * (head.count("|") + 1) + "|")
    for _, trial in trials.sort_values(["P", "heads", "seed"]).iterrows():
        i = trial["trial_id"]
        mine, pre = heads.loc[i], neurons[i]
        key = pre[pre["is_key"]].sort_values("share", ascending=False)
        listed = ", ".join(f"{r.frequency} ({r.share:.2f})" for r in key.itertuples()) or "none"
        cells = [*trial[["P", "heads", "seed", "phase"]], f"{trial['val_acc_strict']:.2f}",
                 f"{mine['special'].sum()} of {len(mine)}", spread(mine["share"]),
                 spread(mine["null_q95"]), listed, f"{pre['p_dominant'].iloc[0]:.2f}",
                 *_waves(waves[waves["trial_id"] == i])]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |")


def numbers_of_heads() -> None:
    """What models know, and what their heads do, by the number of heads."""
    heads = strongest(shares(read("spectra"))).reset_index()
    head = (
        "heads | seeds | training pairs right | validation | the same less its mirrored pairs | "
        "strict | specialized heads | a head's strongest frequency: share"
    )
    print(f"\n**By the number of heads**\n\n| {head} |")
    print("|---" * (head.count("|") + 1) + "|")
    for count, mine in trials.groupby("heads"):
        of_them = heads[heads["trial_id"].isin(mine["trial_id"])]
        mirrored = 1 - mine["n_strict"] / mine["n_val"]
        cells = [count, mine["seed"].nunique(), spread(mine["train_acc_final"]),
                 spread(mine["val_acc_final"]), spread(mine["val_acc_final"] - mirrored),
                 spread(mine["val_acc_strict_final"]),
                 f"{of_them['special'].sum()} of {len(of_them)}",
                 spread(of_them["share"])]  # fmt: skip
        print(f"| {' | '.join(map(str, cells))} |")


def _waves(rows: pd.DataFrame) -> list[str]:
    """Coefficients of a trial, of the best key frequency and of the others over the key ones."""
    size = (rows["cos_cos"] ** 2 + rows["sin_sin"] ** 2) ** 0.5
    ratios = []
    for part in ("pre", "post"):
        here = rows["hook"].str.endswith(part)
        key, rest = size[here & rows["is_key"]].median(), size[here & ~rows["is_key"]].median()
        ratios.append(f"{rest / key:.3f}" if rows["is_key"].any() else "-")
    best = rows[rows["hook"].str.endswith("pre") & rows["is_key"]].nlargest(1, "fve")
    words = [f"{r.cos_cos:.2f}, {r.sin_sin:.2f}, {r.fve:.2f}" for r in best.itertuples()]
    return [*(words or ["-"]), *ratios]


def identities() -> None:
    frame = read("identities")
    for part in ("pre", "post"):
        mine = frame[frame["hook"].str.endswith(part)]
        own, phases = by_trial(mine[mine["control"] < 0], "fve_rule")
        random, _ = by_trial(mine[mine["control"] >= 0], "fve_rule")
        title = f"Variance of ffn.{part} explained by cos, sin(w(a + b)), mean over all frequencies"
        show(title, {"directions from the output": own, "random directions": random}, phases)


def ablations() -> None:
    frame = read("ablations")
    clean = frame[frame["mode"] == "none"].set_index("trial_id")["val_acc_strict"]
    phases = ABOUT.set_index("trial_id").loc[clean.index, "phase"]
    sizes = frame.groupby(["trial_id", "hook"])["n_frequencies"]
    sets = {"the dominant frequencies": "max", "the top half": "min"}
    for words, which in sets.items():
        chosen = frame[frame["n_frequencies"] == sizes.transform(which)]
        for point in ("block0.value", "block0.score", "block0.ffn.pre", "block0.ffn.post"):
            mine = chosen[chosen["hook"] == point]
            columns = {"no intervention": clean}
            for mode in ("remove", "keep"):
                for selection, fit in (("top", "all"), ("random", "all"), ("top", "within_split")):
                    query = "mode == @mode and selection == @selection and fit == @fit"
                    values = by_trial(mine.query(query), "val_acc_strict")[0]
                    columns[f"{mode} {selection}, {fit}"] = values.reindex(clean.index)
            if point == "block0.ffn.post" and words == "the dominant frequencies":
                names = ["no intervention", "keep top, all", "keep top, within_split"]
                known = columns[names[-1]].notna()
                leak = {name: columns[name][known] for name in names}
                show("The projection leak: trials with a fit of their own", leak, phases[known])
            size = mine.groupby("trial_id")["n_frequencies"].first().astype(float)
            columns["frequencies"] = size.reindex(clean.index)
            show(f"Strict accuracy with {words} of {point} removed or kept", columns, phases)


def progress() -> None:
    frame = read("progress")
    end = last(frame).set_index("trial_id")
    names = {"strict_acc": "one step", "restricted_acc": "restricted",
             "restricted_acc_within_split": "restricted, within-split fit"}  # fmt: skip
    columns = {title: end[name] for name, title in names.items()}
    show("Accuracy on strict pairs at the end, from t = 1", columns, end["phase"])
    enough = end["restricted_acc_within_split"].notna()
    columns = {title: values[enough] for title, values in columns.items()}
    show("The same, trials with enough strict pairs for a fit of their own", columns, end["phase"])
    known = frame.dropna(subset="restricted_acc_within_split")
    gap = (
        (known["restricted_acc_within_split"] - known["strict_acc"])
        .groupby(known["trial_id"])
        .max()
    )
    columns = {"largest lead": gap}
    phases = ABOUT.set_index("trial_id").loc[gap.index, "phase"]
    show(
        "Lead of restricted (within-split fit) over one-step strict accuracy in training",
        columns,
        phases,
    )


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
    for words, some in (
        ("Without confusion", known),
        ("Of these with weight decay 0", known[known["weight_decay"] == 0]),
        ("Of these with weight decay above 0", known[known["weight_decay"] > 0]),
    ):
        both = some[["observed", "predicted"]].astype(float)
        at_edge = int((some["predicted"] == 0).sum())
        print(f"\n{words}: {len(some)} trials, median gap {gap[some.index].median():.0f} levels, "
              f"Spearman correlation {both.rank().corr().iloc[0, 1]:.2f}, "
              f"{at_edge} predicted at level 0")  # fmt: skip
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
    merger = last(read("representation")).query("hook == 'output' and t == 1")
    rank = last(read("complexity")).query("matrix == 'block0.ffn.up'")
    columns = {
        "learning coefficient": llc,
        "weight norm": last(read("curves")).set_index("trial_id")["weight_norm"],
        "merger ratio of the output": by_trial(merger, "merger")[0],
        "stable rank of FFN in": by_trial(rank, "stable_rank")[0],
        "BDM of FFN in": by_trial(rank, "bdm")[0],
    }
    show("Structure", {name: values.reindex(llc.index) for name, values in columns.items()}, phases)
    ends = last(read("basins")).query("pairs == 'train'").set_index("trial_id")
    columns = {c: ends[c] for c in ("copy_share", "rule_share", "neither_share")}
    show("Ends of random starts for training pairs", columns, ends["phase"])


def learning() -> None:
    """Steps at which trials with a cool-down learned, and how quiet they were before it."""
    cooled = trials[trials["cooldown"] > 0].sort_values(["heads", "seed"])
    if cooled.empty:
        return
    print("\n**When trials with a cool-down learned**\n\n| heads | R | seed | training pairs | "
          "validation pairs | strict pairs | training accuracy in the 2,500 steps before the "
          "cool-down |")  # fmt: skip
    print("|---" * 7 + "|")
    curves = read("curves")
    for _, row in cooled.iterrows():
        end = row["steps"] - row["cooldown"]
        before = curves["step"].between(end - 2500, end)
        mine = curves[(curves["trial_id"] == row["trial_id"]) & before]
        steps = (
            f"not by {row['steps_run']:,}" if pd.isna(row[name]) else f"{row[name]:,.0f}"
            for name in ("train_step", "val_step", "val_step_strict")
        )
        accuracy = f"{mine['train_acc'].min():.2f} to {mine['train_acc'].max():.2f}"
        cells = (row["heads"], row["train_fraction"], row["seed"], *steps, accuracy)
        print(f"| {' | '.join(map(str, cells))} |")


PARTS = {
    learning: ["curves"],
    spectra: ["spectra"],
    mechanism: ["spectra", "identities"],
    numbers_of_heads: ["spectra"],
    identities: ["identities"],
    ablations: ["ablations"],
    progress: ["progress"],
    timesteps: ["timesteps", "critical"],
    structure: ["learning_coefficient", "representation", "complexity", "basins"],
}
"""What can be told of a sweep, and the tables that takes: not every sweep has all analyses."""
for part, tables in PARTS.items():
    if all(is_there(table) for table in tables):
        part()
