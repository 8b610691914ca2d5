"""Rows of trials as evidence, and the verdict on them."""

import pandas as pd

from grokmodel.analysis.timesteps import MOVES
from service.reproduction.claims import CLAIMS, judge
from service.reproduction.evidence import Evidence, Ran
from service.tables.schema import TABLES

BY_ID = {claim.id: claim for claim in CLAIMS}
EXPERIMENTS = tuple(dict.fromkeys(name for claim in CLAIMS for name in claim.experiments))
ALL, FEW = range(1, 12), (1, 3, 7, 9)


def trial(i=0, **fields):
    """A row of a trial that groks."""
    row = {
        "trial_id": f"t{i}", "data": "emnist", "P": 23, "N": 1, "variant": "baseline", "depth": 1,
        "heads": 1, "ffn": 128, "sandwich_ffn": 0, "width": 128, "side": 16, "split": "ordered",
        "train_fraction": 0.9, "steps": 5000, "steps_run": 5000, "sample_steps": 10, "seed": i,
        "phase": "grokking", "train_step": 250.0, "val_step": 1000.0, "val_step_strict": 1500.0,
        "val_acc": 1.0, "val_acc_strict": 1.0, "val_acc_final": 1.0, "val_acc_strict_final": 1.0,
        "train_acc_final": 1.0, "train_acc_1step": 1.0, "val_acc_1step": 1.0,
        "val_acc_strict_1step": 1.0, "n_strict": 12, "n_val": 53,
    }  # fmt: skip
    return row | fields


FAILED = {"phase": "memorization", "val_step": None, "val_step_strict": None, "val_acc": 0.2}
FAILED |= {"val_acc_strict": 0.0, "val_acc_final": 0.2, "val_acc_strict_final": 0.0}
MIRROR_ONLY = FAILED | {"val_step": 250.0, "val_acc": 0.96, "val_acc_final": 0.96}
AT_ONCE = {"phase": "comprehension"}
KNOWS = {"val_acc_strict_final": 0.0, "val_acc_final": 0.1, "train_acc_final": 0.3}
"""Groks by samples of few steps; those of many are wrong."""


def evidence(tables, is_full=True, reason="", stand_ins=()):
    """Evidence of experiments -> tables -> rows; those that are not named were not run."""
    ran = {name: Ran(name, name, reason=reason or "no data") for name in EXPERIMENTS}
    for name, mine in tables.items():
        count = len(mine["trials"])
        ran[name] = Ran(name, name, f"paper-{name}", "full" if is_full else "small", "words",
                        is_full and name not in stand_ins, name in stand_ins, planned=count,
                        done=count)  # fmt: skip

    def read(table, sweep):
        rows = tables[sweep.removeprefix("paper-")].get(table, [])
        return pd.DataFrame(rows) if rows else TABLES[table].arrow.empty_table().to_pandas()

    return Evidence(read, ran)


def verdict(claim, tables, **how):
    return judge(BY_ID[claim], evidence(tables, **how)).verdict


def trials(*kinds):
    return {"trials": [trial(i, **kind) for i, kind in enumerate(kinds)]}


def curve(i, *values):
    """Rows of (validation, strict) accuracies, 250 steps apart; training pairs are known."""
    return [
        {"trial_id": f"t{i}", "step": 250 * k, "train_acc": 1.0, "val_acc": v, "val_acc_strict": s}
        for k, (v, s) in enumerate(values)
    ]


def flat(rows):
    """Trials, each with a curve on which everything is known."""
    every = [row for r in rows for row in curve(r["trial_id"][1:], (1.0, 1.0), (1.0, 1.0))]
    return {"trials": rows, "curves": every}


def spectra(i, keys, hook="block0.ffn.pre", head=-1, by_chance=False):
    """Eleven frequencies of which `keys` have all the power, or all alike; and others that a trial
    has below t = 1, where the right result is shown."""
    power = {k: 1 / len(keys) if k in keys else 0.0 for k in range(1, 12)}
    few = len(keys) <= 5 and not by_chance
    rows = [
        {"trial_id": f"t{i}", "hook": hook, "head": head, "t": 1.0, "shown": "nothing",
         "frequency": k, "fve_a": p, "fve_b": 0.0, "fve_ab": 0.0, "null_q95": 0.4,
         "p_value": 0.01 if few and p > 0.4 else 1.0, "p_dominant": 0.01 if few else 1.0,
         "is_key": few and k in keys, "entropy": 0.5}
        for k, p in power.items()
    ]  # fmt: skip
    in_input = {"t": 0.5, "shown": "right", "fve_a": 0.0, "p_value": 0.01, "p_dominant": 0.01}
    return rows + [r | in_input | {"fve_ab": float(r["frequency"] == 6),
                                   "is_key": r["frequency"] == 6} for r in rows]  # fmt: skip


def identities(i, first, second, fve, key=(1,), direction="cos", others=0.1, random=0.02):
    """Eleven frequencies, the first as given and `others` with a hundredth of it; a control. Behind
    the non-linearity all are alike."""
    names = ("cos_cos", "sin_sin") if direction == "cos" else ("cos_sin", "sin_cos")
    zero = dict.fromkeys(("cos_cos", "sin_sin", "cos_sin", "sin_cos"), 0.0)
    control = zero | {"trial_id": f"t{i}", "control": 0, "direction": "cos", "frequency": 1,
                      "fve": random, "fve_rule": random, "is_key": False}  # fmt: skip
    rows = [control] + [
        zero | {"trial_id": f"t{i}", "control": -1, "direction": direction, "frequency": k,
                names[0]: first if k == 1 else first / 100,
                names[1]: second if k == 1 else second / 100,
                "fve": fve if k == 1 else others, "fve_rule": fve, "is_key": k in key}
        for k in range(1, 12)
    ]  # fmt: skip
    alike = {names[0]: 1.0, names[1]: 1.0, "fve": 1.0, "fve_rule": 1.0}
    behind = [r | (alike if r["control"] < 0 else {}) for r in rows]
    return [r | {"hook": f"block0.ffn.{part}"} for part, of_part in
            (("pre", rows), ("post", behind)) for r in of_part]  # fmt: skip


def timesteps(values, i=0, extent=0.5):
    """Rectified samples by level; the entropy changes by `extent` in all."""
    return [
        {"trial_id": f"t{i}", "level": level, "rectify_acc": accuracy,
         "entropy": extent * level / max(values)}
        for level, accuracy in values.items()
    ]  # fmt: skip


def critical(pairs, extent=0.5, first=0):
    """Rows of observed and predicted levels, a trial each, and of the entropies behind them."""
    moves = extent >= MOVES
    rows = [
        {"trial_id": f"t{i}", "levels": 51, "observed": o, "predicted": p if moves else None,
         "difference": p - o if moves else None}
        for i, (o, p) in enumerate(pairs, first)
    ]  # fmt: skip
    steps = [row for i, _ in enumerate(pairs, first) for row in timesteps({0: 0, 50: 1}, i, extent)]
    return {"critical": rows, "timesteps": steps}
