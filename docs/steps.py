"""What the sandwich of a sweep draws in 1 to 50 steps: docs/steps.png, and how much of it is right,
read by the nearest class mean and by the CNN: python docs/steps.py runs many DATA_ROOT"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from grokmodel import noise
from grokmodel.checkpoint import load_snapshot
from grokmodel.decoder import MeanDecoder
from grokmodel.evaluate import sample_images
from grokmodel.pack import Pack, bank_key, with_results
from grokmodel.symbols import load_bank
from service import figures, storage
from service.decoders import get_decoder
from service.settings import load_settings
from service.tables import read_table

STEPS = (1, 2, 4, 10, 50)
DRAWS = 10
SHOWN = 14

folder, sweep, data_root = [*sys.argv[1:], ""][:3]
torch.set_num_threads(1)
store = storage.Store(load_settings(folder))
trials = read_table(store, "trials", sweep)
(trial,) = trials.query("variant == 'sandwich' and N > 1 and cooldown > 0").to_dict("records")
snapshot = storage.snapshot_key(trial["trial_id"], int(trial["steps_run"]))
member = load_snapshot(store.get(snapshot))
config, key = member.config, bank_key(member.config)
bank = load_bank(*key, root=data_root)
pack = Pack([member], {key: bank}, torch.device("cpu"))
split = pack.splits[0]
kinds = {"training": split.train[:64], "strict": split.val[split.strict]}
readers = {"mean": MeanDecoder(bank), "CNN": get_decoder(store, key, bank)}

figure = Figure(figsize=(0.45 * SHOWN + 1.0, 0.45 * 13), layout="constrained")
print(f"| Euler steps | {' | '.join(f'{k}, by {r}' for k in kinds for r in readers)} |")
print("|---" * (1 + len(kinds) * len(readers)) + "|")
table: dict[int, list[str]] = {steps: [] for steps in STEPS}
for part, (kind, pairs) in zip(figure.subfigures(2, 1), kinds.items()):
    triplets = torch.as_tensor(np.tile(with_results(config, pairs), (DRAWS, 1)))
    rows = part.subplots(len(STEPS) + 1, SHOWN)
    for row, steps in zip(rows, STEPS):
        drawn = sample_images(pack, triplets[None, :, :2], noise.EVAL_VAL, steps)[0]
        ink = bank.ink(drawn)
        right = [(d.classify(ink) == triplets[:, 2]).float().mean() for d in readers.values()]
        table[steps] += [f"{share:.2f}" for share in right]
        for ax, image in zip(row, ink):
            ax.imshow(image.clamp(0, 1), cmap="gray_r", vmin=0, vmax=1)
        row[0].set_ylabel(f"{steps}", rotation=0, ha="right", va="center", fontsize=8)
    for ax, c in zip(rows[-1], triplets[:, 2]):
        ax.imshow(bank.images[c].mean(0), cmap="gray_r", vmin=0, vmax=1)
    rows[-1][0].set_ylabel("mean of a + b", rotation=0, ha="right", va="center", fontsize=8)
    part.suptitle(f"{kind} pairs, by Euler steps", fontsize=9)
    for ax in rows.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
for steps, cells in table.items():
    print(f"| {steps} | {' | '.join(cells)} |")
(Path(__file__).parent / "steps.png").write_bytes(figures.png(figure))
