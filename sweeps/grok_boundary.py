"""Find the boundary of generalization in a plane of two axes, from few of its points.

    python sweeps/grok_boundary.py --name wall --x weight_decay 0.1 30 --y train_fraction 0.3 0.9
    python sweeps/grok_boundary.py --name small --x P --x-values 11 17 23 31 --y lr 3e-4 1e-2

Points are asked for where neighboring ones disagree, a pack at a time, until the boundary is known
to the tolerance. Every other config field is a flag with one value. Run again, a search resumes
where it stopped, and no trial is trained twice.

Exit code: 0, the boundary that was seen is known; 1, it is not: trials failed, `--max-trials` did
not suffice, or all observed points are on one side (see `state` in boundary.json); 2, bad input.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from grokmodel.core.config import Config
from grokmodel.errors import ConfigError
from service.boundary.plane import (
    SIDES,
    Axis,
    Plane,
    listed_axis,
    make_plane,
    needs_list,
    spaced_axis,
)
from service.boundary.state import NONE_SEEN, OPEN, Found, Search, make_search
from service.cli.commands import exit_code
from service.cli.parser import Parser
from service.schedule.preview import check_data, dry_run, local_resources
from service.settings import Settings, load_settings, without_password
from service.store.manifest import checked_name
from service.text import count
from sweeps import flags

HINTS = {
    OPEN: "stopped by --max-trials; with more the same command resumes",
    NONE_SEEN: "no boundary to follow; take wider ranges, or more --cells under another --name",
}
"""State of a boundary that is not known -> what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    return exit_code("grok_boundary", lambda: run(args), is_answer=args.dry_run)


def run(args: argparse.Namespace) -> int:
    from service.boundary.study import storage_url  # Optuna: not before the flags are parsed

    settings = load_settings(args.store, args.data_root)
    name = checked_name(args.name)
    flags.check_gpus(args)
    if args.pack is not None and args.pack < 1:
        raise ConfigError("--pack", args.pack, "1 or more points")
    plane = dataclasses.replace(plane_of(args), data_root=settings.data_root)
    search = make_search(name, plane, args.tolerance, args.max_trials)
    url = storage_url(settings)
    _, warning = check_data([c for p in search.first for c in plane.configs(p)], settings)
    if warning:
        flags.say(warning)
    if args.dry_run:
        print(preview(search, args.pack, url, settings))
        return 0
    found = find(search, args.pack, args.gpus, url, settings)
    if found is None:
        return 1
    print(closing(name, found.in_words(), url, settings))
    if found.state in HINTS:
        print(f"grok_boundary: {HINTS[found.state]}", file=sys.stderr)
    return 1 if found.state in HINTS else 0


def find(
    search: Search, points: int | None, gpus: int | None, url: str, settings: Settings
) -> Found | None:
    """Search with real sweeps; None: trials failed, and stderr has a line on it."""
    # Ray and MLflow: only when they are needed
    from service.analysis.pending import NONE, Wish
    from service.boundary.search import find_boundary, round_size
    from service.schedule.cluster import cluster_resources, start_ray
    from service.schedule.driver import run_sweep
    from service.schedule.plan import SweepError
    from service.store import marks
    from service.store.store import Store
    from service.tracking import outbox

    def train(configs: Sequence[Config]) -> None:
        run_sweep(search.name, configs, settings, flags.say, Wish(scope=NONE), gpus=gpus)

    def pack() -> int:
        if points is not None:
            return points
        start_ray()
        return round_size(search.plane, cluster_resources(gpus))

    store = Store(settings)
    store.preflight()
    checked_name(search.name, store)
    try:
        found = find_boundary(search, url, store, train, pack, flags.say)
    except SweepError as error:
        print(f"grok_boundary: {error}", file=sys.stderr)
        return None
    marks.mark(store, search.name, [marks.SWEEP])  # its picture is younger than the last round
    outbox.publish(settings, search.name, flags.say)
    return found


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="grok_boundary", description=__doc__, usage="grok_boundary.py [flags]")
    parser.add_argument("--name", default="boundary", help="name of the sweep and of the study")
    _add_plane(parser)
    parser.add_argument(
        "--tolerance", type=int, default=1, metavar="CELLS", help="stop when known to so many"
    )
    parser.add_argument(
        "--max-trials", type=int, metavar="N",
        help="at most (default: a quarter of the lattice, or two first rounds if that is more)",
    )  # fmt: skip
    parser.add_argument(
        "--pack", type=int, metavar="N", help="points per round (default: fill the cluster)"
    )
    flags.add_places(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its cost")
    flags.add_fields(parser, "everything else, one value each", nargs=None)
    return parser


def _add_plane(parser: argparse.ArgumentParser) -> None:
    for axis in ("x", "y"):
        parser.add_argument(
            f"--{axis}", nargs="+", required=True, metavar=("FIELD", "LOW HIGH"),
            help="a config field and its range",
        )  # fmt: skip
        parser.add_argument(
            f"--{axis}-values", nargs="+", type=float, metavar="V", help="in place of LOW and HIGH"
        )
        parser.add_argument(
            f"--{axis}-scale", choices=("log", "linear"),
            help="spacing of the values (default: log for weight decay, learning rate, sizes)",
        )  # fmt: skip
    parser.add_argument(
        "--cells", nargs=2, type=int, default=(16, 16), metavar=("NX", "NY"),
        help="values along each axis (default: 16 16)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="K", help="seeds 0 ... K-1 at each point")
    parser.add_argument(
        "--what", choices=tuple(SIDES), default="generalized",
        help="what tells the sides apart: validation pairs whose mirror is held out too are "
        "learned by the last step (default), or training pairs are",
    )  # fmt: skip


def plane_of(args: argparse.Namespace) -> Plane:
    """The plane that the flags describe."""
    fixed = flags.family_fields(args) | flags.given_fields(args)
    some = None if args.seeds is None else flags.seeds(args.seeds, fixed)
    seeds = some or [fixed.pop("seed", 0)]
    x, y = (axis_of(name, args, cells) for name, cells in zip("xy", args.cells))
    recipe = {name: value for name, (value,) in flags.recipe_fields(args).items()}
    fixed = {name: v for name, v in recipe.items() if name not in (x.field, y.field)} | fixed
    try:
        return make_plane(x, y, fixed, seeds, args.what)
    except ConfigError as error:
        for name, axis in (("x", x), ("y", y)):
            if getattr(args, f"{name}_values") is None and needs_list(axis, error):
                words = f"{error.allowed}; --{name}-values lists those of {axis.field} one by one"
                raise ConfigError(error.field, error.value, words) from None
        raise


def axis_of(name: str, args: argparse.Namespace, cells: int) -> Axis:
    """The axis that the flags of x or of y describe."""
    flag = f"--{name}"
    field, *bounds = getattr(args, name)
    field = field.replace("-", "_")
    values, scale = getattr(args, f"{name}_values"), getattr(args, f"{name}_scale")
    log = None if scale is None else scale == "log"
    if values is not None:
        if bounds:
            raise ConfigError(flag, tuple(bounds), f"left out when {flag}-values is given")
        return listed_axis(flag, field, values, log)
    try:
        low, high = map(float, bounds)
    except ValueError:
        words = f"FIELD LOW HIGH, or FIELD with {flag}-values"
        raise ConfigError(flag, " ".join([field, *bounds]), words) from None
    return spaced_axis(flag, field, low, high, cells, log)


def preview(search: Search, pack: int | None, url: str, settings: Settings) -> str:
    """The plan as text: lattice, rounds, most trials, and what the first round will cost."""
    from service.boundary.search import round_size

    plane, first, seeds = search.plane, search.first, len(search.plane.seeds)
    lines = [
        f"boundary {search.name}: {plane.shape[0]} x {plane.shape[1]} points, {seeds} seeds each",
        f"  sides         {plane.side(True)}, or not",
        *(f"  {axis.field:<12}  {_values(axis)}" for axis in (plane.x, plane.y)),
        f"  first round   {len(first)} points, {len(first) * seeds} trials",
        f"  then          {pack or round_size(plane, local_resources())} points per round",
        f"  at most       {search.most_points} points, {search.most_points * seeds} trials",
        f"  tolerance     {count(search.tolerance, 'cell')}",
        f"  study         {without_password(url)}",
        "its first round:",
    ]
    configs = [config for point in first for config in plane.configs(point)]
    return "\n".join([*lines, dry_run(search.name, configs, settings)])


def _values(axis: Axis) -> str:
    shown = [f"{value:g}" for value in axis.values]
    some = shown if len(shown) <= 8 else [*shown[:3], "...", *shown[-2:]]
    return f"{len(shown)} values, {'log' if axis.log else 'linear'}: {', '.join(some)}"


def closing(name: str, words: str, url: str, settings: Settings) -> str:
    """What was found and where it lies."""
    return f"""
{words}

picture  {settings.store}/boundaries/{name}/boundary.png
points   {settings.store}/boundaries/{name}/boundary.json
study    {shlex.join(["optuna-dashboard", without_password(url)])}
"""


if __name__ == "__main__":
    sys.exit(main())
