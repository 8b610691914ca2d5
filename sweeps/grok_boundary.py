"""Find the boundary of generalisation in a plane of two axes, from few of its points.

    python sweeps/grok_boundary.py --name wall --x weight_decay 0.1 30 --y train_fraction 0.3 0.9
    python sweeps/grok_boundary.py --name small --x P --x-values 11 17 23 31 --y lr 3e-4 1e-2

Points are asked for where neighbouring ones disagree, a pack at a time, until the boundary is known
to the tolerance. Every other config field is a flag with one value. Run again, a search goes on
where it stopped, and trained trials are never trained twice.

Exit code: 0, the boundary is known; 1, it is not: trials failed, `--max-trials` did not suffice, or
all that was observed is on one side (`state` in boundary.json says so); 2, bad input.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from grokmodel.image.config import ConfigError, TrialConfig
from service.boundary.lattice import NONE_SEEN, OPEN
from service.boundary.plane import (
    SIDES,
    Axis,
    Plane,
    is_log,
    listed_axis,
    make_plane,
    needs_list,
    spaced_axis,
)
from service.cli.commands import exit_code
from service.schedule.preview import check_data, dry_run, local_resources
from service.settings import Settings, load_settings, without_password
from sweeps import flags
from sweeps.flags import say

if TYPE_CHECKING:
    from service.boundary.search import Search

HINTS = {
    OPEN: "stopped by --max-trials; with more the same command goes on",
    NONE_SEEN: "no boundary to follow; take wider ranges, or more --cells under another --name",
}
"""State of a boundary that is not known -> what to do."""


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    return exit_code("grok_boundary", lambda: run(args), is_answer=args.dry_run)


def run(args: argparse.Namespace) -> int:
    from service.boundary import (
        search as boundary_search,  # Optuna: not before the flags are parsed
    )
    from service.boundary.study import BoundaryStudy, storage_url

    settings = load_settings(args.store, args.data_root)
    name = flags.checked_name(args.name)
    flags.check_gpus(args)
    if args.pack is not None and args.pack < 1:
        raise ConfigError("--pack", args.pack, "1 or more points")
    plane = plane_of(args)
    search = boundary_search.make_search(name, plane, args.tolerance, args.max_trials)
    url = storage_url(settings)
    if warning := check_data([c for point in search.first for c in plane.configs(point)], settings):
        say(warning)
    if args.dry_run:
        print(preview(search, args.pack, url, settings))
        return 0
    # Ray and MLflow: only when they are needed
    from service.schedule.cluster import cluster_resources, start_ray
    from service.schedule.driver import run_sweep
    from service.schedule.tune import SweepError
    from service.store.store import Store

    def train(configs: Sequence[TrialConfig]) -> None:
        run_sweep(name, configs, settings, say, "none", gpus=args.gpus)

    def pack() -> int:
        if args.pack is not None:
            return int(args.pack)
        start_ray()
        return boundary_search.round_size(plane, cluster_resources(args.gpus))

    store = Store(settings)
    store.preflight()
    study = BoundaryStudy(name, plane, url)
    try:
        found = boundary_search.find_boundary(search, study, store, train, pack, say)
    except SweepError as error:
        print(f"grok_boundary: {error}", file=sys.stderr)
        return 1
    print(closing(name, found.in_words(), url, settings))
    if found.state in HINTS:
        print(f"grok_boundary: {HINTS[found.state]}", file=sys.stderr)
    return 1 if found.state in HINTS else 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--name", default="boundary", help="name of the sweep and of the study")
    for axis in ("x", "y"):
        parser.add_argument(
            f"--{axis}",
            nargs="+",
            required=True,
            metavar=("FIELD", "LOW HIGH"),
            help="a config field and its range",
        )
        parser.add_argument(
            f"--{axis}-values", nargs="+", type=float, metavar="V", help="in place of LOW and HIGH"
        )
        parser.add_argument(
            f"--{axis}-scale",
            choices=("log", "linear"),
            help="spacing of the values (default: log for weight decay, learning rate, sizes)",
        )
    parser.add_argument(
        "--cells", nargs=2, type=int, default=(16, 16), metavar=("NX", "NY"),
        help="values along each axis (default: 16 16)",
    )  # fmt: skip
    parser.add_argument(
        "--tolerance", type=int, default=1, metavar="CELLS", help="stop when known to so many"
    )
    parser.add_argument(
        "--max-trials", type=int, metavar="N",
        help="at most (default: a quarter of the lattice, or two first rounds if that is more)",
    )  # fmt: skip
    parser.add_argument("--pack", type=int, metavar="N", help="points a round (default: fill)")
    parser.add_argument("--seeds", type=int, metavar="K", help="seeds 0 ... K-1 at each point")
    parser.add_argument(
        "--what",
        choices=tuple(SIDES),
        default="generalised",
        help="what tells the sides apart: strict pairs learned (default), or training pairs",
    )
    flags.add_places(parser)
    parser.add_argument("--dry-run", action="store_true", help="print the plan and its cost")
    flags.add_fields(parser, "everything else, one value each", nargs=None)
    return parser


def plane_of(args: argparse.Namespace) -> Plane:
    """The plane that the flags describe."""
    fixed = flags.given_fields(args)
    if args.seeds is not None and "seed" in fixed:
        raise ConfigError("--seeds", args.seeds, "left out when --seed is given")
    one = [fixed.pop("seed", 0)]
    seeds = one if args.seeds is None else flags.seeds(args.seeds)
    x, y = (axis_of(name, args, cells) for name, cells in zip("xy", args.cells))
    try:
        return make_plane(x, y, fixed, seeds, args.what)
    except ConfigError as error:
        for name, axis in (("x", x), ("y", y)):
            if getattr(args, f"{name}_values") is None and needs_list(axis, error):
                words = f"{error.allowed}; --{name}-values lists those of {axis.field} one by one"
                raise ConfigError(error.field, error.value, words) from None
        raise


def axis_of(name: str, args: argparse.Namespace, cells: int) -> Axis:
    flag = f"--{name}"
    field, *bounds = getattr(args, name)
    field = field.replace("-", "_")
    values, scale = getattr(args, f"{name}_values"), getattr(args, f"{name}_scale")
    if values is not None:
        if bounds:
            raise ConfigError(flag, tuple(bounds), f"left out when {flag}-values is given")
        return listed_axis(flag, field, values, None if scale is None else scale == "log")
    try:
        low, high = map(float, bounds)
    except ValueError:
        words = f"FIELD LOW HIGH, or FIELD with {flag}-values"
        raise ConfigError(flag, " ".join([field, *bounds]), words) from None
    return spaced_axis(
        flag, field, low, high, cells, is_log(field) if scale is None else scale == "log"
    )


def preview(search: Search, pack: int | None, url: str, settings: Settings) -> str:
    """The plan as text: lattice, rounds, most trials, and what the first round will cost."""
    from service.boundary.figure import cells_in_words
    from service.boundary.search import round_size

    plane, seeds = search.plane, len(search.plane.seeds)
    first = search.first
    lines = [
        f"boundary {search.name}: {plane.shape[0]} x {plane.shape[1]} points, {seeds} seeds each",
        f"  sides         {plane.what} or not",
        *(f"  {axis.field:<12}  {_values(axis)}" for axis in (plane.x, plane.y)),
        f"  first round   {len(first)} points, {len(first) * seeds} trials",
        f"  then          {pack or round_size(plane, local_resources())} points a round",
        f"  at most       {search.most_points} points, {search.most_points * seeds} trials",
        f"  tolerance     {cells_in_words(search.tolerance)}",
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
study    optuna-dashboard {without_password(url)}
"""


if __name__ == "__main__":
    sys.exit(main())
