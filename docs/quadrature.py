"""Are two heads on one frequency in quadrature? python docs/quadrature.py STORE SWEEP [DATA]

At t = 1 the score of a head is a wave over a and one over b, cos(w a + f) and cos(w b + g). Their
product has the wave of the sum, cos(w (a + b) + f + g) / 2. Two heads hold its cosine and its sine
if f + g differs by 90 degrees, that is, if each of their own waves is turned by 45. Printed for
every pair of specialized heads on one frequency: how far apart f + g are, modulo 180 since the sign
is free, so from 0 to 90 degrees, even by chance, of which a third are above 60.
"""

import itertools
import sys

import numpy as np
import torch

from grokmodel.core.checkpoint import load_snapshot
from grokmodel.image.pack import Member, bank_key
from grokmodel.probing.activations import collect
from grokmodel.probing.probe import Probe
from service.data.banks import bank_of
from service.results import open_sweep
from service.settings import load_settings
from service.store.keys import snapshot_key
from service.store.store import Store

STORE, SWEEP = sys.argv[1:3]
SPECIALIZED = 0.5
settings = load_settings(STORE, sys.argv[3] if len(sys.argv) > 3 else None)
store = Store(settings)
trials = open_sweep(STORE, SWEEP).trials.query("heads > 1")


def wave(grid_ab: np.ndarray, axis: int) -> np.ndarray:
    """Complex amplitude at every frequency of what a score has along one operand."""
    return np.fft.rfft(grid_ab.mean(1 - axis))[1:]


alone: list[tuple[float, float]] = []
print("| heads | R | seed | strict | frequency: degrees apart, for each two heads on it |")
print("|---|---|---|---|---|")
for row in trials.sort_values(["heads", "train_fraction", "seed"]).to_dict("records"):
    key = snapshot_key(row["trial_id"], int(row["steps_run"]), row["run_id"])
    member = load_snapshot(Member, store.get(key))
    bank = bank_of(bank_key(member.config), settings.data_root)
    probe = Probe([member], {bank_key(member.config): bank}, torch.device("cpu"))
    (grids,) = collect(probe, 1.0)
    scores = {
        (g.point.head, g.point.operand): g.values[..., 0] for g in grids if g.point.kind == "score"
    }
    strongest = {}
    for head in range(row["heads"]):
        a, b = wave(scores[head, "a"], 0), wave(scores[head, "b"], 1)
        power = np.abs(a) ** 2
        if power.max() >= SPECIALIZED * power.sum():
            k = int(power.argmax())
            strongest.setdefault(k + 1, []).append(np.angle(a[k]) + np.angle(b[k]))
    found = []
    for k, phases in sorted(strongest.items()):
        turns = [np.degrees(abs(x - y)) % 180 for x, y in itertools.combinations(phases, 2)]
        apart = [min(turn, 180 - turn) for turn in turns]
        if apart:
            found.append(f"{k}: " + ", ".join(f"{degrees:.0f}" for degrees in apart))
        if len(phases) == 2:
            alone.append((apart[0], row["val_acc_strict"]))
    setting = f"{row['heads']} | {row['train_fraction']:g} | {row['seed']}"
    print(f"| {setting} | {row['val_acc_strict']:.2f} | {'; '.join(found) or 'no two on one'} |")
LEARNED = [apart for apart, strict in alone if strict >= 0.5]
for words, mine in (("all", [apart for apart, _ in alone]), ("strict 0.5 or more", LEARNED)):
    if mine:
        above, median = sum(apart > 60 for apart in mine), np.median(mine)
        print(f"\n{words}: {len(mine)} frequencies that two heads share, median {median:.0f} "
              f"degrees, {above} above 60 (by chance a third)")  # fmt: skip
