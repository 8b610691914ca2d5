"""What the commands of `grok` do that are about one trial; each returns an exit code."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grokmodel.data.pairs import UNDEFINED, result_table
from grokmodel.errors import ConfigError
from service.results import Trial, find_trial
from service.results.trial import SAMPLES, STEPS
from service.settings import Settings
from service.text import byte_size, count

if TYPE_CHECKING:  # torch: only when it is needed
    from torch import Tensor

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
COLUMNS = 8
"""Samples in a row of a picture."""


def add(verbs: Any) -> tuple[argparse.ArgumentParser, ...]:
    """Add the commands; returns their parsers."""
    showing = verbs.add_parser("show", help="all that one asks of a trial first, on a screen")
    showing.set_defaults(run=run_show)
    exporting = verbs.add_parser(
        "export", help="a trial's model as a folder: config.json, model.safetensors"
    )
    sampling = verbs.add_parser("sample", help="draw a ∘ b by a trial's model, as a picture")
    aligning = verbs.add_parser(
        "transfer", help="does what matters in a trial's model say what matters in another's?"
    )
    for command in (showing, exporting, sampling, aligning):
        command.add_argument("trial", metavar="TRIAL", help="its id, or how that begins")
        command.add_argument("--sweep", help="look in this sweep only (default: in all)")
    exporting.add_argument("folder", metavar="DIR", help="gets the two files")
    exporting.set_defaults(run=run_export)
    for command in (exporting, sampling):
        command.add_argument(
            "--step", type=int, metavar="SNAPSHOT",
            help="step of a snapshot, of those that `grok show` lists (default: the last)",
        )  # fmt: skip
    for name in ("--a", "--b"):
        sampling.add_argument(name, type=int, required=True, help="operand, from 0 to P - 1")
    sampling.add_argument("--n", type=int, default=SAMPLES, help="samples (default: %(default)s)")
    sampling.add_argument(
        "--steps", type=int, default=STEPS, help="Euler steps (default: %(default)s)"
    )
    sampling.add_argument("--seed", type=int, default=0, help="of the noise (default: %(default)s)")
    sampling.add_argument("--out", metavar="FILE", help="PNG (default: TRIAL-aA-bB.png)")
    sampling.set_defaults(run=run_sample)
    aligning.add_argument("other", metavar="OTHER", help="id of the other, of the same task")
    aligning.set_defaults(run=run_transfer)
    return showing, exporting, sampling, aligning


def run_show(settings: Settings, args: argparse.Namespace) -> int:
    from service.results.card import card

    print(card(find_trial(settings, args.trial, args.sweep)))
    return 0


def run_export(settings: Settings, args: argparse.Namespace) -> int:
    trial = find_trial(settings, args.trial, args.sweep)
    model, folder = trial.model(args.step), Path(args.folder)
    model.save(folder)
    size = byte_size(sum(path.stat().st_size for path in folder.iterdir()))
    print(f"{folder}: the model of trial {trial.id} at step {model.step:,}, {size}")
    print(f"  from grokmodel.image.dit import DiT; dit = DiT.load({str(folder)!r})")
    return 0


def run_sample(settings: Settings, args: argparse.Namespace) -> int:
    trial = find_trial(settings, args.trial, args.sweep)
    images = trial.sample(args.a, args.b, args.n, args.steps, args.step, args.seed)
    found = trial.decode(images, args.steps).tolist()
    out = Path(args.out or f"{trial.id[:8]}-a{args.a}-b{args.b}.png")
    try:
        out.write_bytes(_picture(trial, args.a, args.b, images, found))
    except OSError as error:
        words = f"a file that can be written ({error.strerror})"
        raise ConfigError("--out", str(out), words) from error
    print(out)
    print(_words(trial, args, found))
    return 0


def run_transfer(settings: Settings, args: argparse.Namespace) -> int:
    small, large = (find_trial(settings, x, args.sweep) for x in (args.trial, args.other))
    print(small.transfer_to(large).to_string(index=False, float_format=lambda x: f"{x:.3f}"))
    return 0


def _right(trial: Trial, a: int, b: int) -> int:
    """Class of the right result, or UNDEFINED."""
    return int(result_table(trial.images.op, trial.images.P)[a, b])


def _picture(trial: Trial, a: int, b: int, images: Tensor, found: list[int]) -> bytes:
    """Operands and result in the first row, by their first images; samples below, each with the
    class that is read in it."""
    from service.report.contact_sheet import Tile, contact_sheet

    right = _right(trial, a, b)
    known = {"a": a, "b": b} | ({} if right == UNDEFINED else {"right": right})
    first = [Tile(trial.bank.images[c, 0], f"{name}: {c}") for name, c in known.items()]
    drawn = [Tile(x, str(c), c != right) for x, c in zip(images.numpy(), found, strict=True)]
    rows = [drawn[i : i + COLUMNS] for i in range(0, len(drawn), COLUMNS)]
    return contact_sheet([first, *rows])


def _words(trial: Trial, args: argparse.Namespace, found: list[int]) -> str:
    """What was drawn, and as what it is read."""
    right, labels = _right(trial, args.a, args.b), trial.bank.labels
    asked = f"{args.a} {SIGNS[trial.images.op]} {args.b} mod {trial.images.P}"
    answer = "not defined" if right == UNDEFINED else f"{right} ({labels[right]})"
    read = (f"{c} ({labels[c]}) {count(n, 'time')}" for c, n in Counter(found).most_common())
    share = f"{sum(c == right for c in found)} of {len(found)} right"
    return f"{asked} is {answer}; read as {', '.join(read)}: {share}"
