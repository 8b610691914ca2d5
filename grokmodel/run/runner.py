"""Trains the trials of a plan, pack after pack, until all are done or the time is up."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from grokmodel import families
from grokmodel.core.checkpoint import dump_snapshot, dump_state, is_snapshot_step
from grokmodel.core.config import Config
from grokmodel.core.execution import AUTO, default_mode
from grokmodel.core.member import Member
from grokmodel.core.pack_size import Measured, best_size, measure_pack
from grokmodel.core.packing import MOST_ON_GPU, by_shape, evenly
from grokmodel.core.rows import curve_rows
from grokmodel.core.training import Round
from grokmodel.families import family_of
from grokmodel.run.analyzing import Analyzer
from grokmodel.run.output import Output
from grokmodel.run.plan import Plan
from grokmodel.run.results import STATE, Trial

ON_CPU = 4
"""Members of a pack on a CPU: each costs its full time there."""
RECENT, SLACK = 5, 1.5
"""Rounds by which the next one is judged, so that one in which steps were compiled is soon
forgotten; times the longest of them that has to be left."""
SAY_S = 10.0
"""Seconds between lines of progress, at least."""
FINAL, ALL, NONE = "final", "all", "none"
CHECKPOINTS = (FINAL, ALL, NONE)
"""Which snapshots are kept: of the end, of log-spaced steps as in a sweep, or none."""


@dataclass(frozen=True)
class Limits:
    """How a run goes about it."""

    until: float
    """Time of `time.monotonic` at which it should have ended."""
    members: int | None = None
    """Of a pack; None: what suits the device."""
    checkpoints: str = FINAL
    save_s: float = 30.0
    """Seconds between resume points: what a kill can cost."""
    mode: str = AUTO
    """How steps are run: one of `execution.MODES`, or what suits device and trials."""
    analyses: Sequence[str] = ()
    """Of every trial as it finishes."""


class Runner:
    """One run of a plan.

    Args:
        stopping: whether somebody wants it to stop, asked after every round of evaluations.
    """

    def __init__(
        self,
        plan: Plan,
        output: Output,
        device: torch.device,
        limits: Limits,
        stopping: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self.plan, self.output, self.device, self.limits = plan, output, device, limits
        self.stopping, self.say = stopping, say
        self.analyzer = Analyzer(limits.analyses, plan.inputs, device, limits.until, stopping, say)
        self.round_at = self.saved_at = self.said_at = time.monotonic()
        self.recent = deque[float](maxlen=RECENT)
        """Seconds of the last rounds."""
        self.spent = self.saving = 0.0
        """Seconds of all rounds, and of saving, at most."""
        self.rounds = 0
        self.made = 0
        """Steps made in this run, by all trials together."""
        self.step_of = {
            i: int(trial.curve[-1]["step"]) for i, trial in output.unfinished.items() if trial.curve
        }
        """How far each trial has come."""
        self.live: dict[str, Trial] = {}
        """Trials of the pack, with samples and snapshots so far."""

    def run(self) -> bool:
        """Train; whether all trials are done. At least one round is made."""
        for configs in self._packs():
            todo = [c for c in configs if c.trial_id not in self.output.done]
            if todo and (self._is_late() or not self._train(todo)):
                self.output.save(at_end=True)
                self._progress(at_end=True)
                return False
        self.output.clear()
        self._progress(at_end=True)
        return True

    # --- packs -----------------------------------------------------------------------------------

    def _packs(self) -> Iterator[Sequence[Config]]:
        """Packs of one shape after another, the longest trials first; always the same."""
        for n, group in enumerate(by_shape(self.plan.configs).values()):
            if all(c.trial_id in self.output.done for c in group):
                continue
            size = self.limits.members or self.output.sizes.get(str(n)) or self._best(group)
            self.output.sizes[str(n)] = size
            yield from evenly(group, -(-len(group) // size))

    def _best(self, group: Sequence[Config]) -> int:
        """Members of the best pack, measured on a GPU."""
        most = min(len(group), MOST_ON_GPU if self.device.type == "cuda" else ON_CPU)
        if self.device.type != "cuda" or most == 1:
            return most
        self.say("measuring the best size of a pack")
        config, free = group[0], torch.cuda.mem_get_info(self.device)[0]
        mode = default_mode(self.device) if self.limits.mode == AUTO else self.limits.mode
        found = best_size(
            lambda members: measure_pack(
                family_of(config), config, self.plan.inputs, self.device, members, mode
            ),
            most, free,
        )  # fmt: skip
        torch.cuda.empty_cache()
        self.recent.append(found.seconds * config.eval_every)
        return self._in_time(found, config.steps)

    def _in_time(self, found: Measured, steps: int) -> int:
        """Fewer members than are best, if so many would not come to their end: a smaller pack has
        finished some when the time is up."""
        left = self.limits.until - time.monotonic()
        if found.seconds * steps <= left:
            return found.members
        return max(1, int(found.rate * left / steps))

    def _train(self, configs: Sequence[Config]) -> bool:
        """Train a pack; whether it came to its end."""
        members = [self._restored(config) for config in configs]
        before = self.output.unfinished
        self.live = {
            (i := m.config.trial_id): replace(before[i]) if m.curve else Trial() for m in members
        }
        self.say(f"a pack of {len(members)}, from step {min(m.step for m in members)}")
        self._finish([m for m in members if m.finished])
        self.round_at = time.monotonic()
        for round_ in families.train(members, self.plan.inputs, self.device, self.limits.mode):
            self._record(round_)
            if any(not m.finished for m in members) and self._is_late():
                self._keep(round_)
                return False
        return True

    def _restored(self, config: Config) -> Member[Any]:
        trial = self.output.unfinished.get(config.trial_id)
        if trial is None:
            return families.start(config)
        return families.resumed(config, trial.weights[STATE], f"{self.output.folder}/resume-*.zip")

    # --- what a round brings ---------------------------------------------------------------------

    def _record(self, round_: Round[Any]) -> None:
        self._finish([m for m in round_.evaluated if m.finished])
        self._sample(round_)
        if (begun := time.monotonic()) - self.saved_at > self.limits.save_s:
            self._keep(round_)
            self.output.save()
            self.saved_at = time.monotonic()
            self.saving = max(self.saving, self.saved_at - begun)
        for member in round_.evaluated:
            self.made += member.step - self.step_of.get(member.config.trial_id, 0)
            self.step_of[member.config.trial_id] = member.step
        seconds, self.round_at = time.monotonic() - self.round_at, time.monotonic()
        self.spent += seconds
        self.rounds += 1
        self.recent.append(seconds)
        self._progress()

    def _finish(self, members: Sequence[Member[Any]]) -> None:
        if not members:
            return
        found = {}
        finished = family_of(members[0].config).finish(members, self.plan.inputs, self.device)
        for done in finished:
            trial_id = done.member.config.trial_id
            before = self.live.pop(trial_id)
            weights = {n: data for n, data in before.weights.items() if n != STATE}
            if self.limits.checkpoints != NONE:
                weights |= snapshot(done.member)
            samples = before.samples + done.samples
            found[trial_id] = Trial(done.trial, done.curve, samples, weights)
        self.output.add(found)
        if self.limits.analyses:
            self.output.add_analyses(self.analyzer.run(finished))

    def _sample(self, round_: Round[Any]) -> None:
        """Samples, and perhaps weights, of the log-spaced steps at which a sweep keeps them."""
        due = [
            m for m in round_.evaluated
            if not m.finished and is_snapshot_step(m.step, m.config.eval_every)
        ]  # fmt: skip
        if not due:
            return
        found = family_of(due[0].config).samples(due, round_.pack, self.plan.inputs)
        for member in due:
            trial = self.live[member.config.trial_id]
            trial.samples = trial.samples + found[member.config.trial_id]
            if self.limits.checkpoints == ALL:
                round_.pack.write_back(member)
                trial.weights = trial.weights | snapshot(member)

    def _keep(self, round_: Round[Any]) -> None:
        """Resume points of the pack's trials, as they are now."""
        round_.write_back()
        for member in round_.evaluated:
            if not member.finished:
                trial = self.live[member.config.trial_id]
                weights = trial.weights | {STATE: dump_state(member)}
                self.output.unfinished[member.config.trial_id] = Trial(
                    None, curve_rows(member), trial.samples, weights
                )

    # --- time and words --------------------------------------------------------------------------

    def _is_late(self) -> bool:
        """Whether there is no time for another round; never before the first."""
        needed = SLACK * max(self.recent, default=0.0) + self.saving
        over = time.monotonic() + needed > self.limits.until
        return self.rounds > 0 and (over or self.stopping())

    def _progress(self, at_end: bool = False) -> None:
        """Now and then one line: what is done, how fast it goes, what is left."""
        if time.monotonic() - self.said_at < (1.0 if at_end else SAY_S):
            return
        self.said_at = time.monotonic()
        configs, done = self.plan.configs, self.output.done
        phases = ", ".join(f"{n} {phase}" for phase, n in sorted(Counter(done.values()).items()))
        words = [f"{len(done)}/{len(configs)} trials done" + (f" ({phases})" if phases else "")]
        rate = self.made / self.spent if self.spent else 0.0
        left = sum(
            c.steps - self.step_of.get(c.trial_id, 0) for c in configs if c.trial_id not in done
        )
        if rate:
            words.append(f"{rate:,.0f} steps/s of all trials together")
        if rate and left:
            words.append(f"{left / rate / 60:,.1f} min of training left at most")
            if self.limits.until < math.inf:
                minutes = max(0.0, self.limits.until - self.said_at) / 60
                words.append(f"{minutes:.1f} min until it stops")
        self.say(", ".join(words))


def snapshot(member: Member[Any]) -> dict[str, bytes]:
    """Averaged weights of a member at its step, by the name of their file."""
    return {f"step={member.step}.safetensors": dump_snapshot(member)}
