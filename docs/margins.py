"""How far apart K frequencies can hold P classes: python docs/margins.py [P]

A model that knows a + b by the waves cos(w_k (a + b)), sin(w_k (a + b)) of K frequencies scores the
class c by sum_k cos(w_k (a + b - c)) = K at the right class. The margin of a set of frequencies is
1 - max over wrong classes of that sum / K: 0 cannot tell two classes apart, 1 + 1 / (P - 1) is what
all frequencies together have. Printed for every K: the best set, and the median over all sets
(100,000 random ones where there are more).
"""

import itertools
import math
import sys

import numpy as np

P = int(sys.argv[1]) if len(sys.argv) > 1 else 23
HALF = (P - 1) // 2
MOST = 100_000
waves = np.cos(2 * np.pi * np.outer(np.arange(1, HALF + 1), np.arange(1, P)) / P)
rng = np.random.default_rng(0)

print(f"P = {P}: margin of K of {HALF} frequencies\n   K    best  median  worst  one best set")
for K in range(1, HALF + 1):
    if math.comb(HALF, K) <= MOST:
        sets = np.array(list(itertools.combinations(range(HALF), K)))
    else:
        sets = np.array([rng.choice(HALF, K, replace=False) for _ in range(MOST)])
    margins = np.concatenate(
        [1 - waves[part].sum(1).max(1) / K for part in np.array_split(sets, len(sets) // 2000 + 1)]
    )
    best = sorted(int(k) + 1 for k in sets[margins.argmax()])
    print(f"{K:4d}  {margins.max():6.3f}  {np.median(margins):6.3f} {margins.min():6.3f}  {best}")
