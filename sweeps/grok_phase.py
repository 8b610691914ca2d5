"""Sweep grids of configs and draw phase diagrams of grokking.

    python sweeps/grok_phase.py --preset demo
    python sweeps/grok_phase.py --P 23 31 --weight-decay 0 1 3 --train-fraction 0.5 0.8 --seeds 3
    ray job submit --working-dir . -- python sweeps/grok_phase.py --preset demo

Every config field is a flag that takes one or more values; the sweep is their grid. Run again, a
sweep goes on where it stopped, and trained trials are never trained twice.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run as a script, from anywhere

from grokmodel.errors import ConfigError
from service.cli.commands import exit_code
from service.cli.parser import Parser
from service.schedule.preview import check_data, dry_run
from service.settings import load_settings
from service.store.manifest import checked_name
from service.tables.summary import closing_words, phase_table
from service.text import count, grok_command
from sweeps import flags
from sweeps.flags import say
from sweeps.presets import PRESET_ANALYSES, PRESETS, family_of_preset, preset_configs


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    return exit_code("grok_phase", lambda: run(args), is_answer=bool(args.dry_run or args.export))


def run(args: argparse.Namespace) -> int:
    settings = load_settings(args.store, args.data_root)
    name = checked_name(args.name if args.name is not None else args.preset or "sweep")
    flags.check_gpus(args)
    scope = args.analyses or PRESET_ANALYSES.get(args.preset, "all")
    configs = preset_configs(args.preset, overrides(args))
    configs, warning = check_data(configs, settings)
    if warning:
        say(warning)
    if args.dry_run:
        print(dry_run(name, configs, settings))
        return 0
    if args.export:
        from service.schedule.export import export_plan  # Ray: only when it is needed

        print(export_plan(args.export, name, configs, settings))
        return 0
    # Ray and MLflow: only when they are needed
    from service.analysis.pending import Wish
    from service.schedule.driver import run_sweep
    from service.schedule.plan import SweepError

    try:
        result = run_sweep(name, configs, settings, say, Wish(scope=scope), gpus=args.gpus)
    except SweepError as error:
        print(f"grok_phase: {error}", file=sys.stderr)
        return 1
    print(f"\nsweep {name}: {count(len(result.trials), 'trial')}, {result.seconds:.0f} s")
    print(phase_table(result.trials))
    print(closing_words(name, settings, result.experiment_id))
    if result.failures:
        again = grok_command(settings.store, "analyze", "--sweep", name)
        print(f"grok_phase: analyses or drawings failed: {len(result.failures)}, named above; "
              f"to try them again: {again}", file=sys.stderr)  # fmt: skip
    return 1 if result.failures else 0


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="grok_phase", description=__doc__, usage="grok_phase.py [flags]")
    parser.add_argument("--preset", choices=sorted(PRESETS), help="a start that flags override")
    parser.add_argument("--name", help="name of the sweep (default: that of the preset)")
    flags.add_places(parser)
    parser.add_argument(
        "--analyses",
        choices=("all", "quick", "none"),
        help="after training: all of every trial, the expensive ones of a typical trial of each "
        "phase only, or none (default: that of the preset, all)",
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="print the plan and its cost")
    instead.add_argument(
        "--export", type=Path, metavar="PLAN.zip",
        help="write what is left to train to a plan file, with images and decoders, and train "
        "nothing: python -m grokmodel.run trains it where only torch, numpy and safetensors are, "
        "and grok import-results takes in what it leaves (docs/cluster.md)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="K", help="seeds 0 ... K-1")
    flags.add_fields(parser, "axes, one or more values each", nargs="+")
    return parser


def preset_family(args: argparse.Namespace) -> str:
    """The family of the preset's trials, which `--family` may name but not change."""
    family = family_of_preset(args.preset)
    if args.preset and args.family not in (None, family):
        raise ConfigError("--family", args.family, f"{family}: preset {args.preset} is of it")
    return family


def overrides(args: argparse.Namespace) -> dict[str, list[Any]]:
    """The axes that were given as flags, and what a recipe sets."""
    family = flags.family_fields(args, preset_family(args))
    axes = flags.recipe_fields(args) | flags.given_fields(args)
    axes |= {name: [value] for name, value in family.items()}
    if args.seeds is not None:
        axes["seed"] = flags.seeds(args.seeds, axes)
    return axes


if __name__ == "__main__":
    sys.exit(main())
