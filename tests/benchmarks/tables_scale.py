"""How long plans, queries and figures take when a store holds 100,000 trials.

    python tests/benchmarks/tables_scale.py --json scale.json

Rows are made up, the store is a temporary folder; nothing is trained. The exit code is 1 if a
target is missed.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

import numpy as np
import pandas as pd

from grokmodel.core.outcome import PHASES
from grokmodel.image.config import TrialConfig
from service.report import figures, sweep_figures
from service.schedule.plan import Plan, Resources, expand, make_plan
from service.settings import Settings
from service.store.store import Store
from service.tables.compaction import MANY_PARTS, compact, merge_small
from service.tables.reading import read_table
from service.tables.schema import TABLES
from service.tables.writing import write_rows
from tests.benchmarks import machine

SWEEP, OTHER_SWEEP = "scale", "other"
PLANE = ("weight_decay", "train_fraction")
CELLS = {
    "P": [23, 29, 31, 37, 41],
    "weight_decay": [0.0, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 30.0],
    "train_fraction": [0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9],
}
"""Axes of the grid; the seeds make up its size."""
PLAN_TARGET_S, DIAGRAM_TARGET_S = 10.0, 2.0
CPUS = Resources(slots=2, cpus=1.0, gpus=0.0)


@dataclass(frozen=True)
class Measure:
    """One timed piece of work."""

    name: str
    seconds: float
    target_s: float | None = None

    @property
    def missed(self) -> bool:
        return self.target_s is not None and self.seconds > self.target_s

    def __str__(self) -> str:
        target = "" if self.target_s is None else f"{self.target_s:.1f}"
        return f"{self.name:<68}{self.seconds:>9.2f}{target:>9}{'  MISSED' if self.missed else ''}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = machine.parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=100_000, help="trials in the store")
    parser.add_argument("--part-rows", type=int, default=256, help="rows a Parquet file")
    parser.add_argument("--no-targets", action="store_true", help="times are not judged")
    args = parser.parse_args(argv)
    print(f"{args.rows} trials in parts of {args.part_rows}")
    print(f"{'':<68}{'seconds':>9}{'target':>9}")
    measures = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Settings(folder, f"sqlite:///{folder}/mlflow.db", folder, None))
        for measure in measured(store, args.rows, args.part_rows):
            print(measure, flush=True)
            measures.append(measure)
    about = machine.describe("cpu", ("numpy", "pandas", "pyarrow", "matplotlib"))
    report = {"rows": args.rows, "part_rows": args.part_rows, "machine": about}
    report["measures"] = [{**asdict(m), "missed": m.missed} for m in measures]
    machine.write_json(args.json, report)
    return int(not args.no_targets and any(m.missed for m in measures))


def measured(store: Store, rows: int, part_rows: int) -> Iterator[Measure]:
    """Fill the store and time what is asked of it, before and after its parts are merged."""
    seconds, configs = timed(lambda: grid(rows))
    yield Measure("expand the grid", seconds)
    made_up = finished_rows(configs)
    yield from written(store, made_up, part_rows)
    yield from asked(store, rows)
    seconds, fewer = timed(lambda: compact(store, say=str, settled_s=-1.0))
    parts = len(store.list("tables/trials"))
    yield Measure(f"grok compact: {parts + fewer} parts become {parts}", seconds)
    for measure in asked(store, rows):
        yield dataclasses.replace(measure, name=f"compacted, {measure.name}")


def asked(store: Store, rows: int) -> Iterator[Measure]:
    """What people and sweeps ask of a store that is full."""
    yield from plans(store, rows)
    seconds, frame = timed(lambda: read_table(store, "trials"))
    yield Measure("read_table, all columns", seconds)
    assert len(frame) == rows
    seconds, _ = timed(lambda: read_table(store, "trials", SWEEP, columns=["P", "phase"]))
    yield Measure("read_table, two columns of one sweep", seconds)
    seconds, frame = timed(lambda: pd.read_parquet(store.path("tables/trials")))
    yield Measure("pd.read_parquet, all columns", seconds)
    assert len(frame) == rows
    seconds, _ = timed(lambda: draw_phases(store))
    yield Measure("phase diagram: read, count, draw a PNG", seconds, DIAGRAM_TARGET_S)


def plans(store: Store, rows: int) -> Iterator[Measure]:
    """Building the configs and taking off what is done, three times."""
    cases = (
        ("all done here", SWEEP, {}, lambda plan: plan.done),
        ("all done by another sweep", OTHER_SWEEP, {}, lambda plan: plan.shared),
        ("none done", SWEEP, {"lr": 2e-3}, lambda plan: plan.todo),
    )
    for name, sweep, change, part in cases:
        seconds, plan = timed(lambda s=sweep, c=change: planned(store, s, rows, c))
        yield Measure(f"expand, plan and dedup: {name}", seconds, PLAN_TARGET_S)
        assert len(part(plan)) == rows


def planned(store: Store, sweep: str, rows: int, change: dict[str, Any]) -> Plan:
    return make_plan(store, sweep, grid(rows, **change), CPUS)


def grid(rows: int, **change: Any) -> list[TrialConfig]:
    cells = int(np.prod([len(values) for values in CELLS.values()]))
    fixed = {name: [value] for name, value in change.items()}
    return expand({**fixed, "seed": list(range(-(-rows // cells))), **CELLS})[:rows]


def finished_rows(configs: Sequence[TrialConfig]) -> list[dict[str, Any]]:
    """A row of `trials` for each config; a phase has a likely place in the plane."""
    rng = np.random.default_rng(0)
    outcomes = (c.name for c in TABLES["trials"].columns if c.source != "config.py")
    empty = dict.fromkeys(name for name in outcomes if name != "schema_version")
    rows = []
    for config, luck in zip(configs, rng.normal(0, 0.2, len(configs)), strict=True):
        ease = config.train_fraction + 0.2 * min(config.weight_decay, 3.0) + luck
        index = int(np.digitize(ease, [0.2, 0.7, 1.1, 1.8]))
        learned, strict = index >= 1, 2 <= index <= 3
        pairs = config.P**2
        accuracies = {"train": float(learned), "val": 0.9 * strict, "strict": 0.8 * strict}
        ids = {"trial_id": config.trial_id, "run_id": config.trial_id}
        row = {**empty, **config.to_dict(), **ids, "phase": PHASES[index]}
        for suffix in ("", "_final", "_1step"):
            row[f"train_acc{suffix}"] = accuracies["train"]
            row[f"val_acc{suffix}"] = accuracies["val"]
            row[f"val_acc_strict{suffix}"] = accuracies["strict"]
        row["train_step"] = 500 if learned else None
        row["val_step"] = row["val_step_strict"] = row["tau_rule"] = 2500 if strict else None
        row |= {"steps_run": config.steps, "n_train": pairs // 2, "n_val": pairs - pairs // 2}
        row |= {"n_strict": pairs // 4, "wall_s": 12.5 + luck, "device": "cpu"}
        rows.append(row)
    return rows


def written(store: Store, rows: Sequence[dict[str, Any]], part_rows: int) -> Iterator[Measure]:
    """Write the rows, and merge small parts now and then, as a sweep does."""
    writing = merging = 0.0
    for i in range(0, len(rows), part_rows):
        seconds, _ = timed(lambda i=i: write_rows(store, "trials", SWEEP, rows[i : i + part_rows]))
        writing += seconds
        if i // part_rows % MANY_PARTS == 0:
            merging += timed(lambda: merge_small(store, SWEEP, settled_s=-1.0))[0]
    parts = len(store.list("tables/trials"))
    yield Measure(f"write the rows, {-(-len(rows) // part_rows)} parts", writing)
    yield Measure(f"merge them meanwhile: {parts} parts are left", merging)


def draw_phases(store: Store) -> bytes:
    """What `grok figures --x --y` does for its first picture."""
    (figure,) = sweep_figures.draw(store, SWEEP, ["phase"], [PLANE]).values()
    return figures.render(figure, "png")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    sys.exit(main())
