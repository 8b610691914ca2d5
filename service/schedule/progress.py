"""How far a sweep is: a bar on a terminal, a line every half minute in a log."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from ray.tune import Callback
from tqdm import tqdm

from service.schedule.plan import Plan
from service.text import duration

LINE_EVERY_S, BAR_EVERY_S = 30.0, 0.5


class TaskProgress:
    """How many of some things are done: a bar on a terminal, now and then a line in a log."""

    def __init__(self, total: int, what: str, say: Callable[[str], None]) -> None:
        self.total, self.what, self.say, self.done = total, what, say, 0
        self.line_at = time.monotonic() + LINE_EVERY_S
        self.bar = tqdm(
            total=total,
            desc=what,
            disable=not sys.stderr.isatty() or not total,
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {desc}, {elapsed}",
        )

    def __enter__(self) -> TaskProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def facts(self) -> dict[str, Any]:
        """For the heartbeat."""
        return {"done": self.done, "todo": self.total}

    def add(self, count: int) -> None:
        self.done += count
        self.bar.update(count)
        due = time.monotonic() >= self.line_at or self.done == self.total
        if self.bar.disable and due:
            self.line_at = time.monotonic() + LINE_EVERY_S
            self.say(f"{self.done}/{self.total} {self.what}")


class Watcher(Callback):  # type: ignore[misc]
    """What Tune calls while it trains. It is not kept: Tune pickles its callbacks for a resumption
    of which we make no use, and neither a store nor a bar on a terminal can be pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SweepProgress(Watcher):
    """Collects the reports of all packs and shows them."""

    def __init__(self, plan: Plan) -> None:
        self.total_trials = len(plan.todo)
        self.total_steps = sum(c.steps for c in plan.todo)
        self.steps: dict[str, int] = {}
        self.restored: dict[str, int] = {}
        """Steps of each pack that another run of the sweep has made."""
        self.phases: dict[str, str] = {}
        """Of trials that have their row: what is only trained may be lost."""
        self.waiting: dict[str, str] = {}
        """What the store says to each pack that it takes nothing of."""
        self.has_ended = False
        self.started = time.monotonic()
        self.bar = tqdm(
            total=100.0,
            leave=False,  # what is done follows as a line
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            bar_format="{percentage:3.0f}%|{bar}| {elapsed}{postfix}",
        )
        self.show_every_s = LINE_EVERY_S if self.bar.disable else BAR_EVERY_S
        self.show_at = self.started + self.show_every_s

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: Mapping[str, Any], **info: Any
    ) -> None:
        self.restored.setdefault(trial.trial_id, result["restored"])
        self.steps[trial.trial_id] = result["steps"]
        self.phases.update(result["phases"])
        self.waiting[trial.trial_id] = result["waiting"]
        self._show()

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self.waiting.pop(trial.trial_id, None)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        self._show()

    def close(self) -> None:
        """The packs have ended, well or not."""
        self.has_ended = True
        self.bar.close()

    def line(self) -> str:
        """Trials done, phases so far, trials per hour; steps done, time left or what is waited for.

        Long trials end late: of a pack that trains there are only steps to tell.
        """
        seconds = time.monotonic() - self.started
        done = len(self.phases)
        parts = [f"{done}/{self.total_trials} trials"]
        if done:
            counts = Counter(self.phases.values()).most_common()
            parts[0] += f" ({', '.join(f'{n} {phase}' for phase, n in counts)})"
            parts.append(f"{3600 * done / seconds:,.0f} trials/h")
        if not self.has_ended:
            parts += [f"{self._share():.0%} of the steps", self._left(seconds)]
        return ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """For the heartbeat, whose thread asks."""
        left = self._left_s(time.monotonic() - self.started)
        done, todo = len(self.phases), self.total_trials
        here = {"done": done, "todo": todo, "share": self._share(), "left_s": left}
        return here | {"waiting": self._why_waiting()}

    def _share(self) -> float:
        """Of all steps; a copy first, as another thread may ask."""
        return min(sum(list(self.steps.values())) / max(self.total_steps, 1), 1.0)

    def _why_waiting(self) -> str:
        return next((why for why in list(self.waiting.values()) if why), "")

    def _is_writing(self) -> bool:
        """All is trained, and not yet written."""
        return self._share() == 1.0 and len(self.phases) < self.total_trials

    def _left_s(self, seconds: float) -> float | None:
        """Seconds left at most; None as long as too little is done to tell, or as it depends on the
        store."""
        if self._why_waiting() or self._is_writing():
            return None
        share = self._share()
        made = share - sum(list(self.restored.values())) / max(self.total_steps, 1)
        return None if made <= 0.01 else seconds * (1 - share) / made

    def _left(self, seconds: float) -> str:
        if why := self._why_waiting():
            return f"waiting: {why}"
        if self._is_writing():
            return "time left: the last rows are being written"
        left = self._left_s(seconds)
        if left is None:
            return "time left: measuring"
        return f"time left: {duration(left)} at most"

    def _show(self) -> None:
        if time.monotonic() < self.show_at:
            return
        self.show_at = time.monotonic() + self.show_every_s
        if self.bar.disable:
            print(f"grok: {self.line()}", flush=True)
        else:
            self.bar.n = 100.0 * self._share()
            self.bar.set_postfix_str(self.line())
