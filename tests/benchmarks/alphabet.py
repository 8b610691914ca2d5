"""The order of EMNIST's classes in `alphabets.DISTINCT_ORDER`, made anew from training images.

    python tests/benchmarks/alphabet.py --data-root DIR
    python tests/benchmarks/alphabet.py --data-root DIR --read 23 31

A decoder of all 47 classes is trained on three quarters of the training images and reads the rest;
then another quarter is left out, and so on. From the classes that are still there, the one that is
most often confused with the others is taken out; what was taken out first stands last. The images
of the test files are not looked at: they tell afterward what the order is worth, by `--read`.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from grokmodel.data.alphabets import DISTINCT_ORDER, HAS_DISTINCT, MERGED
from grokmodel.data.bank import SymbolBank
from grokmodel.data.load import load_bank
from grokmodel.data.names import DISTINCT, PLAIN
from grokmodel.image.decoder import RECIPES, fit_decoder

FOLDS = 4


def confusions(bank: SymbolBank, folds: int) -> np.ndarray:
    """(P, P) counts: images of a class, by the class that they are read as."""
    P, K = bank.pool.shape[:2]
    counts = np.zeros((P, P), dtype=int)
    for fold in range(folds):
        left_out = np.arange(K) % FOLDS == fold
        model = fit_decoder(dataclasses.replace(bank, pool=bank.pool[:, ~left_out]), "quick")
        images = torch.from_numpy(bank.pool[:, left_out]).flatten(0, 1)
        labels = np.arange(P).repeat(left_out.sum())
        np.add.at(counts, (labels, model.classify(images).numpy()), 1)
        print(
            f"fold {fold}: {np.trace(counts) / counts.sum():.3f} of the images are read correctly"
        )
    return counts


def least_alike_first(counts: np.ndarray) -> list[int]:
    """Classes in the order that is described above; of two alike the later one goes first."""
    both = counts + counts.T
    np.fill_diagonal(both, 0)
    kept, taken = list(range(len(both))), []
    while len(kept) > 1:
        confused = both[np.ix_(kept, kept)].sum(1)
        worst = max(range(len(kept)), key=lambda i: (confused[i], i))
        taken.append(kept.pop(worst))
    return kept + taken[::-1]


def read(data: str, P: int, side: int, root: str) -> None:
    """Print what each recipe's decoder of the first P symbols reads of the held-out images."""
    alphabet = DISTINCT if data in HAS_DISTINCT else PLAIN
    bank = load_bank(data, P, 2, side, alphabet, root=root)
    labels = torch.arange(P).repeat_interleave(bank.heldout.shape[1])
    for recipe in RECIPES:
        started = time.monotonic()
        found = fit_decoder(bank, recipe).classify(torch.from_numpy(bank.heldout).flatten(0, 1))
        share, seconds = float((found == labels).float().mean()), time.monotonic() - started
        print(f"P = {P}, side {side}, {recipe}: {share:.4f}, {seconds:.0f} s", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    root = os.environ.get("GROK_DATA", "data")
    parser.add_argument("--data-root", default=root, help="folder of the data files (GROK_DATA)")
    parser.add_argument("--folds", type=int, default=2, help=f"of {FOLDS}; two take five minutes")
    parser.add_argument("--read", type=int, nargs="+", metavar="P", help="try the order that is")
    parser.add_argument("--data", default="emnist", help="data set that is read (emnist)")
    parser.add_argument("--side", type=int, default=16, help="of the images that are read")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for P in args.read or ():
        read(args.data, P, args.side, args.data_root)
    if args.read:
        return 0
    bank = load_bank("emnist", len(MERGED), 2, 16, root=args.data_root)
    counts = confusions(bank, args.folds)
    order = "".join(bank.labels[i] for i in least_alike_first(counts))
    print(order, "as it is" if order == DISTINCT_ORDER else f"instead of {DISTINCT_ORDER}")
    pairs = sorted(((counts[i, j] + counts[j, i], bank.labels[j] + bank.labels[i])
                    for i in range(len(counts)) for j in range(i)), reverse=True)  # fmt: skip
    print("most often confused:", ", ".join(f"{pair} {n}" for n, pair in pairs[:16]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
