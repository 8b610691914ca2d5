"""How many points a search for the boundary takes, and how far from the dense grid's it ends.

    python tests/benchmarks/boundary.py --synthetic 100       a few minutes: truths made up
    python tests/benchmarks/boundary.py --synthetic 40 --first-seed 1000     others of them
    python tests/benchmarks/boundary.py --store DIR           real training, about ten minutes
    python tests/benchmarks/boundary.py --store DIR --seeds 0 1 2 --again 3 4 5     half an hour
    python tests/benchmarks/boundary.py --store DIR --plane generalized --size 12   half an hour

*Synthetic*: sides of a 16 x 16 lattice by formulas, with seeds that draw each. *Real*, on built-in
glyphs: `learned`, learning rate against weight decay, tiny models told apart by whether training
pairs are learned; `generalized`, weight decay against training fraction, fast-recipe models told
apart by whether strict pairs are. The search comes first, then the rest of the lattice is trained;
both see the same trials.

Distances are in cells, between the middles of edges, along the axis where they are farther apart.
`there`: from the edge of the found boundary that is farthest from the dense one; `back`: from the
edge of the dense one that is farthest from the found one. With `--again` the dense grid is trained
a second time with other seeds and compared in the same way: so far apart are grids by seeds alone.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd
import torch

from grokmodel.core.rows import trial_row
from grokmodel.data.load import load_bank
from grokmodel.families import train
from grokmodel.image.config import TrialConfig
from grokmodel.image.decoder import MeanDecoder
from grokmodel.image.evaluate import Accuracy
from grokmodel.image.family import ImageInputs, final_columns
from grokmodel.image.pack import Member, bank_key
from service.boundary.lattice import Bools, Floats, edges, unresolved
from service.boundary.plane import SIDES, Plane, make_plane, spaced_axis
from service.boundary.search import find_boundary
from service.boundary.state import make_search
from service.boundary.study import storage_url
from service.settings import load_settings
from service.store.store import Store
from service.tables.reading import read_table
from service.tables.writing import write_rows
from sweeps.recipes import FAST
from tests.benchmarks import machine
from tests.benchmarks.boundary_truths import PACK, SIZE, distance, distances, searched, truths

MEMBERS = 8
TINY = {"P": 11, "side": 8, "width": 32, "ffn": 32, "batch": 64, "t_levels": 16, "steps": 400}
TINY |= {"eval_every": 25, "eval_pairs": 128, "sample_steps": 2, "final_sample_steps": 2}
TINY |= {"train_fraction": 0.7}
FIXED = {name: value for name, (value,) in FAST.items()}
FIXED |= {"P": 31, "batch": 384, "t_levels": 48, "steps": 1500, "eval_every": 125}


def synthetic(count: int, first_seed: int = 0) -> tuple[list[str], list[list[str]]]:
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(first_seed, first_seed + count):
        for name, share_XY in truths(seed):
            seen_XY, side_XY, rounds = searched(share_XY)
            dense_XY = share_XY >= 0.5
            there, back = distance(side_XY, dense_XY), distance(dense_XY, side_XY)
            is_open = unresolved(seen_XY, side_XY, 1).any()
            points = float((~np.isnan(seen_XY)).sum())
            found.setdefault(name, []).append((points, there, back, rounds, float(is_open)))
    rows = []
    for name, cases in found.items():
        points, there, back, rounds, is_open = np.array(cases).T
        rows.append([
            name, str(len(cases)), f"{np.median(points):.0f} ({points.max():.0f})",
            f"{np.median(points) / SIZE**2:.0%} ({points.max() / SIZE**2:.0%})",
            f"{there.max():g}", f"{np.mean(back <= 1):.0%}", f"{back.max():g}",
            f"{rounds.mean():.1f}", f"{is_open.mean():.0%}",
        ])  # fmt: skip
    head = ["truth", "planes", "points, median (most)", "share", "there, most", "back <= 1",
            "back, most", "rounds", "not resolved"]  # fmt: skip
    return head, rows


# --- real training -------------------------------------------------------------------------------


def real_plane(what: str, size: int, seeds: Sequence[int]) -> Plane:
    if what == "learned":
        x = spaced_axis("--x", "lr", 1e-3, 0.05, size, log=True)
        y = spaced_axis("--y", "weight_decay", 0.1, 10, size, log=True)
        return make_plane(x, y, TINY, seeds, what)
    x = spaced_axis("--x", "weight_decay", 0.3, 30, size, log=True)
    y = spaced_axis("--y", "train_fraction", 0.3, 0.9, size, log=False)
    return make_plane(x, y, FIXED, seeds, what)


class Trainer:
    """Trains what a table lacks, in packs in this process: results are those of a sweep, which
    trains the same packs in Ray's workers, and rounds cost no start of workers."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name

    def __call__(self, configs: Sequence[TrialConfig]) -> None:
        known = set(read_table(self.store, "trials", self.name)["trial_id"])
        todo = [config for config in configs if config.trial_id not in known]
        for at in range(0, len(todo), MEMBERS):
            self._train(todo[at : at + MEMBERS])
            quiet(f"{self.name}: {min(at + MEMBERS, len(todo))}/{len(todo)} trials")

    def _train(self, configs: Sequence[TrialConfig]) -> None:
        members = [Member.start(config) for config in configs]
        banks = {key: load_bank(*key, root="data") for key in {bank_key(c) for c in configs}}
        decoders = {key: MeanDecoder(bank) for key, bank in banks.items()}
        for _ in train(members, ImageInputs(banks, decoders), torch.device("cpu")):
            pass
        rows = []
        for member in members:  # the last evaluation stands for the final one
            last = member.curve[-1]
            found = Accuracy(last.train_acc, last.val_acc, last.val_acc_strict, float("nan"))
            rows.append(trial_row(member, final_columns(member, found, found), "cpu"))
        write_rows(self.store, "trials", self.name, rows)


def real(
    what: str, size: int, seeds: Sequence[int], again: Sequence[int], pack: int, folder: str
) -> tuple[list[str], list[list[str]]]:
    """The search, then the rest of the dense lattice; then that with other seeds, if any."""
    torch.set_num_threads(1)
    settings, plane = load_settings(folder), real_plane(what, size, seeds)
    store = Store(settings)
    search = make_search(sweep_name(plane), plane, 1, None)
    trainer, url = Trainer(store, search.name), storage_url(settings)
    found = find_boundary(search, url, store, trainer, lambda: pack, quiet)
    share_XY, trials = dense(plane, store)
    asked = {c.trial_id for point in found.phases for c in plane.configs(point)}
    cost = seconds(trials[trials["trial_id"].isin(asked)])
    grid_XY = share_XY >= 0.5
    head = ["", "points", "share", "training", "edges", "there", "back", "grid's edges within 1",
            "wrong sides", "seeds disagree"]  # fmt: skip
    rows = [
        [*row("search", seeds, found.points, cost, found.belief.side_XY, grid_XY), ""],
        [*row("dense grid", seeds, grid_XY.size, seconds(trials), grid_XY), disagree(share_XY)],
    ]
    if again:
        share_XY, trials = dense(real_plane(what, size, again), store)
        other = row("dense grid", again, share_XY.size, seconds(trials), share_XY >= 0.5, grid_XY)
        rows.append([*other, disagree(share_XY)])
    return head, rows


def dense(plane: Plane, store: Store) -> tuple[Floats, pd.DataFrame]:
    """Shares at all points of a plane, trained where they are not, and the rows of the trials."""
    points, name = list(np.ndindex(plane.shape)), sweep_name(plane)
    Trainer(store, name)([config for point in points for config in plane.configs(point)])
    trials = read_table(store, "trials", name)
    phase_of = dict(zip(trials["trial_id"], trials["phase"]))
    shares = [plane.share(plane.phases_at(point, phase_of)) for point in points]
    return np.array(shares).reshape(plane.shape), trials


def row(
    name: str,
    seeds: Sequence[int],
    points: int,
    cost: float,
    side_XY: Bools,
    grid_XY: Bools | None = None,
) -> list[str]:
    """A boundary, its cost, and how far it and the dense grid's are from each other."""
    size = side_XY.size
    out = [f"{name}, seeds {' '.join(map(str, seeds))}", str(points), f"{points / size:.0%}",
           f"{cost:.0f} s", str(len(edges(side_XY)))]  # fmt: skip
    if grid_XY is None:
        return [*out, "", "", "", ""]
    back, there = distances(grid_XY, side_XY), distance(side_XY, grid_XY)
    near, wrong = int((back <= 1).sum()), int((side_XY != grid_XY).sum())
    return [*out, f"{there:g}", f"{back.max(initial=0.0):g}", f"{near} of {len(back)}",
            f"{wrong} of {size}"]  # fmt: skip


def disagree(share_XY: Floats) -> str:
    return f"{((share_XY > 0) & (share_XY < 1)).sum()} of {share_XY.size}"


def seconds(trials: pd.DataFrame) -> float:
    return float(trials["wall_s"].sum())


def sweep_name(plane: Plane) -> str:
    return "-".join([plane.what, *map(str, plane.seeds)])


def quiet(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument(
        "--synthetic", type=int, metavar="N", help="N planes of each kind, no training"
    )
    parser.add_argument(
        "--first-seed", type=int, default=0, metavar="S",
        help="draw those planes by seeds S ... S+N-1; the search was chosen by those from 0",
    )  # fmt: skip
    parser.add_argument("--plane", choices=tuple(SIDES), default="learned", help="real training")
    parser.add_argument(
        "--size", type=int, default=SIZE, help="points along each axis, real training"
    )
    parser.add_argument(
        "--seeds", type=int, nargs="+", default=[0], help="seeds of each point, real training"
    )
    parser.add_argument(
        "--again", type=int, nargs="+", default=[], help="other seeds, for a second dense grid"
    )
    parser.add_argument("--pack", type=int, default=PACK, help="points per round, real training")
    parser.add_argument("--store", help="folder to keep (default: a temporary one)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.synthetic:
            head, rows = synthetic(args.synthetic, args.first_seed)
        else:
            head, rows = real(
                args.plane, args.size, args.seeds, args.again, args.pack, args.store or folder
            )
    print(markdown(head, rows))
    found = {"machine": machine.describe("cpu"), "head": head, "rows": rows}
    machine.write_json(args.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
