"""REPRODUCTION.md: claims of the paper, our numbers, verdicts. Made from the tables alone."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import torch

from grokmodel.core.config import SCIENCE_VERSION
from service.provenance import cpu_name, git_commit
from service.reproduction import mirror
from service.reproduction.claims import CLAIMS, Judged, judge
from service.reproduction.evidence import NOT, NOT_RUN, PARTLY, REPRODUCED, VERDICTS, Evidence, Ran

PAPER = "[arXiv 2604.17673](https://arxiv.org/abs/2604.17673)"
WORDS = {REPRODUCED: "reproduced", PARTLY: "partly", NOT: "not reproduced", NOT_RUN: "not run"}
RULES = """\
Verdicts are computed from the tables by the rule that stands with each claim. `strict` pairs are
validation pairs whose mirror (b, a) did not train either; numbers are median (lowest to highest)
over trials. Learned means an accuracy of 0.95 for three evaluations in a row, of samples drawn
during training.

- **reproduced**: the rule is met by all experiments of the claim, at the paper's scale and on its
  images.
- **partly**: the weaker half of the rule is met, or what is known in few steps is not drawn in
  many; or the rule itself, but at a smaller scale or in a neighbouring regime only.
- **not reproduced**: neither is met *at the scale given*. Of a smaller scale this says what our
  smaller models did not show, not that the paper is wrong.
- **not run**: there are no trials to judge by, too few trials or settings for a verdict, none that
  learned or draw what the claim is about, or parts were not run that could turn it. Trials of a
  neighbouring regime may support a claim in their stead, but not refute it; trials on other images
  are shown and judge nothing.

The paper's scale means its data, image side, width, FFN, moduli and R. Optimiser and its schedule,
batch, precision, noise levels, initial weights, the number of heads, the gate on the model's input
(`visible_below`: above a noise level it sees its operands alone) and how samples are read are ours
at every scale ([docs/recipe.md](docs/recipe.md), [docs/diverse.md](docs/diverse.md)). So is the
alphabet of EMNIST where there are several images a symbol: the P classes that come first in the
order `distinct`, which puts look-alikes last; with one image they are the first in the order of the
data, letters before digits.
The paper's numbers are those of its text and figures as far as we have them; `curve` means that it
shows one and we hold no number of it. The commands under a claim run again what it rests on, at the
scales given, whatever the time; of a claim that was not run, its experiments at the smallest scale
(`--scale full` is the paper's)."""
SMALLEST = "brief"
"""A scale that all experiments have."""


class Run(NamedTuple):
    """What added trials or analyses to a scale of an experiment."""

    date: str
    """YYYY-MM-DD."""
    budget: str
    """As it was given; empty: a scale was asked for."""
    device: str
    commit: str
    versions: str


Runs = Mapping[str, Sequence[Run]]
"""Experiment -> the runs that what is shown of it comes from; none: that is not known."""


def this_run(budget: str) -> Run:
    """When and on what this runs, and of which version."""
    gpus = torch.cuda.device_count()
    device = f"{gpus} x {torch.cuda.get_device_name()}" if gpus else f"{cpu_name()}, no GPU"
    versions = [
        f"Python {platform.python_version()}",
        *(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "ray", "mlflow")),
        f"science version {SCIENCE_VERSION}",
    ]
    return Run(
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        budget=budget,
        device=f"{os.cpu_count()} CPUs, {device}",
        commit=git_commit(),
        versions=", ".join(versions),
    )


def document(evidence: Evidence, runs: Runs, figures: Sequence[tuple[str, str]] = ()) -> str:
    """The whole document.

    Args:
        figures: path, relative to the document, and caption of each.
    """
    judged = [judge(claim, evidence) for claim in CLAIMS]
    parts = [_head(judged, evidence, runs), _table(judged), "## How to read a verdict", RULES,
             "## What was run", _experiments(evidence, runs), *_figures(figures),
             "## Claim by claim", *(_section(j, evidence) for j in judged),
             "## The mirror leak", _mirror_words(), "\n".join(mirror.section(evidence)),
             "## Not run, and did not come out", _open(judged, evidence)]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def _head(judged: Sequence[Judged], evidence: Evidence, runs: Runs) -> str:
    counts = Counter(j.verdict for j in judged)
    said = ", ".join(f"{counts[v]} {WORDS[v]}" for v in VERDICTS)
    shown = [run for name in evidence.ran for run in runs.get(name, ())]
    return f"""# The paper reproduced

"Grokking of Diffusion Models: Case Study on Modular Addition" ({PAPER}),
claim by claim. Written by `grok reproduce`; every number of ours is read from the tables of its
sweeps and none is typed in.

**Of {len(judged)} claims: {said}.** {_span(shown)}"""


def _span(runs: Sequence[Run]) -> str:
    """When and on what all of it was run."""
    if not runs:
        return "When it was run, and by which commit, is not known."
    runs = sorted(runs, key=lambda run: run.date)
    first, last = runs[0].date, runs[-1].date
    when = f"Run on {first}" if first == last else f"Run from {first} to {last}"
    commits = _each(f"`{_short(run.commit)}`" for run in runs)
    which = f"commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"
    devices = " and on ".join(_each(run.device for run in runs))
    versions = " and ".join(_each(run.versions for run in runs))
    return f"{when} by {which}, on {devices};\n{versions}. What came when: below."


def _each(values: Iterable[str]) -> list[str]:
    """Every value once, in order."""
    return list(dict.fromkeys(values))


def _short(commit: str) -> str:
    head, *changes = commit.partition("+")
    return head[:7] + "".join(changes)


def _table(judged: Sequence[Judged]) -> str:
    lines = ["| claim | the paper | ours | scale | verdict |", "|---|---|---|---|---|"]
    for j in judged:
        c = j.claim
        ours = _cell(j.finding.short or (j.finding.measured or ("-",))[0])
        ours += " (with one image a symbol)" if j.from_stand_in else ""
        lines.append(f"| [{c.id}](#{c.id}): {c.statement} | {c.number} | {ours} | "
                     f"{', '.join(j.scales) or '-'} | **{WORDS[j.verdict]}** |")  # fmt: skip
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _experiments(evidence: Evidence, runs: Runs) -> str:
    lines = ["| experiment | scale | trials | run | what that is |", "|---|---|---|---|---|"]
    for ran in evidence.ran.values():
        done = f"{ran.done} of {ran.planned}" if ran.sweep else "-"
        what = ran.words if ran.sweep else f"not run: {ran.reason}"
        when = "; ".join(_each(map(_when, runs.get(ran.experiment, ())))) or "not known"
        lines.append(f"| `{ran.experiment}`: {ran.title} | {ran.scale or '-'} | {done} | "
                     f"{when if ran.sweep else '-'} | {_cell(what)} |")  # fmt: skip
    return "\n".join(lines)


def _when(run: Run) -> str:
    budget = f", budget {run.budget}" if run.budget else ""
    return f"{run.date}, `{_short(run.commit)}`{budget}"


def _figures(figures: Sequence[tuple[str, str]]) -> list[str]:
    return [f"![{caption.split('.')[0]}]({path})\n\n*{caption}*" for path, caption in figures]


def _section(j: Judged, evidence: Evidence) -> str:
    c = j.claim
    lines = [f"### {c.id}", "", f"{c.statement} ({c.where}) The paper: {c.number}.", ""]
    lines += [f"- {line}" for line in j.finding.measured]
    if not evidence.of(c.experiments, stand_ins=True):
        lines += [f"- not run: {name}: {_reason(evidence, name)}" for name in c.experiments]
    rests = "; ".join(f"`{r.experiment}` at {r.scale}, {r.done} of {r.planned} trials"
                      for r in _ran(j, evidence))  # fmt: skip
    lines += ["", f"*Rule.* {c.rule}", "", f"**{WORDS[j.verdict].capitalize()}**{_why(j)}"]
    lines[-1] += f" It rests on {rests}." if rests and j.verdict != NOT_RUN else ""
    return "\n".join([*lines, "", *(f"    {line}" for line in commands(j, evidence))])


def _ran(j: Judged, evidence: Evidence) -> list[Ran]:
    return evidence.of(j.claim.stand_in if j.from_stand_in else j.claim.experiments)


def _why(j: Judged) -> str:
    if j.from_stand_in and j.verdict == NOT_RUN:
        return ": with many images a symbol; the numbers are of one image, which cannot refute it."
    if j.from_stand_in:
        return (
            ": judged on trials with one image a symbol, as those with many images do not suffice."
        )
    return ": the rule is met, but not at the paper's scale throughout." if j.capped else "."


def _reason(evidence: Evidence, name: str) -> str:
    ran = evidence.ran.get(name)
    return ran.reason if ran and ran.reason else "not asked for"


def commands(j: Judged, evidence: Evidence) -> list[str]:
    """What runs again just what a claim was judged on, a line a scale."""
    names = j.claim.experiments + (j.claim.stand_in if j.from_stand_in else ())
    scales: dict[tuple[str, bool], list[str]] = {}
    for ran in evidence.of(names, stand_ins=True):
        scales.setdefault((ran.scale, ran.stand_in), []).append(ran.experiment)
    scales = scales or {(SMALLEST, False): list(names)}
    return [
        f".venv/bin/grok reproduce --only {' '.join(mine)} --scale {scale}"
        + ("" if on_glyphs else " --data-root DIR")
        for (scale, on_glyphs), mine in scales.items()
    ]


def _mirror_words() -> str:
    return (
        "`a + b = b + a`. The paper splits ordered pairs, so most validation pairs have their "
        "mirror in training: can its validation accuracies be explained by that alone?"
    )


def _open(judged: Sequence[Judged], evidence: Evidence) -> str:
    lines = []
    for j in judged:
        if j.verdict in (NOT, NOT_RUN):
            why = j.finding.short or "; ".join(j.finding.measured[:1])
            lines.append(f"- {j.claim.id}, {WORDS[j.verdict]}" + (f": {why}" if why else ""))
    for ran in evidence.ran.values():
        if not ran.sweep:
            lines.append(f"- experiment `{ran.experiment}` was not run: {ran.reason}")
        elif not ran.is_full:
            rest = "" if ran.done == ran.planned else f", {ran.done} of {ran.planned} trials"
            why = f": {ran.reason}" if ran.reason else ""
            lines.append(f"- experiment `{ran.experiment}` was run at scale {ran.scale}{rest}, "
                         f"not at the paper's{why}")  # fmt: skip
    return "\n".join(lines) or "Everything was run at the paper's scale and came out."
