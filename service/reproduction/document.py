"""REPRODUCTION.md: claims of the paper, our numbers, verdicts. Made from the tables alone.

The words are in the template `document.md.j2`, what it is rendered with is gathered here.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from grokmodel.core.config import SCIENCE_VERSION
from grokmodel.core.outcome import HELD_FOR, LEARNED
from grokmodel.machine import cpu_name
from service.provenance import git_commit
from service.reproduction import mirror
from service.reproduction.claims import CLAIMS, ClaimVerdict, judge
from service.reproduction.evidence import STEPS_FINAL, VERDICTS, Evidence
from service.store.origins import Facts
from service.text import count, percent, spread, table_cell

TEMPLATE = "document.md.j2"
SMALLEST = "brief"
"""A scale that all experiments have."""
ON_GLYPHS = "glyphs-"
"""How the names of scales begin that need no data files."""


class Run(NamedTuple):
    """What added trials or analyses to a scale of an experiment."""

    date: str
    """YYYY-MM-DD."""
    budget: str
    """As it was given; empty: a scale was asked for."""
    device: str
    commit: str
    versions: str

    @property
    def short_commit(self) -> str:
        """Seven digits, and whether there were changes."""
        head, *changes = self.commit.partition("+")
        return head[:7] + "".join(changes)

    @property
    def when(self) -> str:
        budget = f", budget {self.budget}" if self.budget else ""
        return f"{self.date}, `{self.short_commit}`{budget}"


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


def run_of(facts: Facts) -> Run:
    """The run that trained what was imported, by what was noted of it."""
    versions = ("python", "version.torch", "version.ray", "version.mlflow", "science_version")
    names = ("Python", "torch", "ray", "mlflow", "science version")
    there = dict(re.findall(r"(CPU|GPU) (\d+)", facts.get("cluster", "")))
    device = facts.get("device", "a device that is not known")
    device = f"{there['GPU']} x {device}" if "GPU" in there else f"{device}, no GPU"
    known = [f"{name} {facts[key]}" for name, key in zip(names, versions) if key in facts]
    return Run(
        date=facts.get("date", "not known"),
        budget="",
        device=f"{there['CPU']} CPUs, {device}" if "CPU" in there else device,
        commit=facts.get("git.commit", "unknown"),
        versions=", ".join(known),
    )


def document(evidence: Evidence, runs: Runs, figures: Sequence[tuple[str, str]] = ()) -> str:
    """The whole document.

    Args:
        figures: path, relative to the document, and caption of each.
    """
    shown = [run for name in evidence.ran for run in runs.get(name, ())]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": table_cell, "percent": percent, "spread": spread}
    claims = [judge(claim, evidence) for claim in CLAIMS]
    rules = list(dict.fromkeys(c.claim.rule for c in claims))
    text = environment.get_template(TEMPLATE).render(
        claims=claims,
        texts=rules,
        number_of={rule: number for number, rule in enumerate(rules, start=1)},
        verdicts=VERDICTS,
        ran=list(evidence.ran.values()),
        runs=runs,
        all_runs=sorted(shown, key=lambda run: run.date),
        figures=figures,
        mirror=mirror.measure(evidence),
        rules=mirror,
        count=count,
        lacking=partial(lacking, evidence=evidence),
        commands=partial(commands, evidence=evidence),
        learned=LEARNED,
        held_for=HELD_FOR,
        steps_final=STEPS_FINAL,
    )
    # what a template leaves out leaves its empty lines
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def lacking(verdict: ClaimVerdict, evidence: Evidence) -> list[tuple[str, str]]:
    """Experiments of a claim none of which was run, and why."""
    names = verdict.claim.experiments
    if evidence.of(names, stand_ins=True):
        return []
    found = {name: evidence.ran.get(name) for name in names}
    return [(name, (ran and ran.reason) or "not asked for") for name, ran in found.items()]


def commands(verdict: ClaimVerdict, evidence: Evidence) -> list[str]:
    """What runs again just what a verdict rests on, a line per scale."""
    claim = verdict.claim
    names = claim.experiments + claim.control + claim.other_images
    names += claim.stand_in if verdict.from_stand_in else ()
    scales: dict[str, list[str]] = {}
    for ran in evidence.of(names, stand_ins=True):
        scales.setdefault(ran.scale, []).append(ran.experiment)
    scales = scales or {SMALLEST: list(names)}
    return [
        f".venv/bin/grok reproduce --only {' '.join(mine)} --scale {scale}"
        + ("" if scale.startswith(ON_GLYPHS) else " --data-root DIR")
        for scale, mine in scales.items()
    ]
