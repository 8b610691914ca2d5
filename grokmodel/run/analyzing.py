"""Analyses of trials as they finish, on the machine that trained them: what they find takes less
room than weights, and a GPU less time than what is at home."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from grokmodel.catalog.analyses import ANALYSES, Analysis, chosen
from grokmodel.catalog.runs import Context
from grokmodel.core.family import Inputs
from grokmodel.core.outcome import DIVERGED
from grokmodel.core.rows import Finished
from grokmodel.run.results import Tables

CHOICES = tuple(analysis.name for analysis in ANALYSES if not analysis.over_training)
"""Those of the last checkpoint: the earlier ones are not in memory any more."""
DONE = "analyses"
"""Table of what has been done."""


@dataclass
class Analyzer:
    """Does what is asked for, if there is time; what fails is said and left out."""

    names: Sequence[str]
    inputs: Inputs
    device: torch.device
    until: float
    """Time of `time.monotonic` after which nothing is begun."""
    stopping: Callable[[], bool]
    say: Callable[[str], None]
    longest: dict[str, float] = field(default_factory=dict)
    """Seconds that some trials took, by analysis."""

    def run(self, finished: Sequence[Finished]) -> dict[str, Tables]:
        """Rows by trial and table; trials are of one shape."""
        rows: dict[str, Tables] = defaultdict(lambda: defaultdict(list))
        trials = [done for done in finished if done.trial["phase"] != DIVERGED]
        for analysis in chosen(self.names) if trials else ():
            if trials[0].trial["family"] in analysis.families:
                for some in self._together(analysis, trials):
                    self._analyze(analysis, some, rows)
        return rows

    def _together(
        self, analysis: Analysis, trials: Sequence[Finished]
    ) -> Iterator[Sequence[Finished]]:
        """Of one P and operation, and as many as fit."""
        kinds = defaultdict(list)
        for done in trials:
            kinds[done.member.config.kind].append(done)
        for mine in kinds.values():
            most = analysis.most(mine[0].member.config, 1, self.device)
            for i in range(0, len(mine), most):
                yield mine[i : i + most]

    def _analyze(
        self, analysis: Analysis, trials: Sequence[Finished], rows: dict[str, Tables]
    ) -> None:
        ids = [done.trial["trial_id"] for done in trials]
        began, of = time.monotonic(), f"{analysis.name} of {', '.join(ids)}"
        if self.stopping() or began + self.longest.get(analysis.name, 0.0) > self.until:
            self.say(f"no time for {of}")
            return
        members: list[Any] = [done.member for done in trials]
        runs = {done.trial["trial_id"]: done.trial["run_id"] for done in trials}
        try:
            found = analysis.run(members, Context(self.inputs, self.device))
        except Exception as error:  # the rows of the trials are worth more than this
            self.say(f"{of} failed and is left out: {type(error).__name__}: {error}")
            return
        for table, mine in analysis.rows(found, members, runs).items():
            for row in mine:
                rows[row["trial_id"]][table].append(row)
        seconds = time.monotonic() - began
        self.longest[analysis.name] = max(self.longest.get(analysis.name, 0.0), seconds)
        for trial_id, run_id in runs.items():
            done = analysis.mark(trial_id, run_id, 1, seconds / len(trials), self.device)
            rows[trial_id][DONE].append(done)
