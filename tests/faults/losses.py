"""How much training a fault has cost, from what the workers noted."""

import contextlib
import json
from collections import defaultdict

from service.store.store import LAST_RETRY_S


def lost_work(trace, faults):
    """Of every trial that was started again: seconds of training that were done twice, those of
    them in which the store could have taken a resume point, and the fault that came before."""
    notes = []
    for path in trace.iterdir():
        lines = path.read_text().splitlines()
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line of a killed worker may be half
                notes.append({"file": path.name, **json.loads(line)})
    notes.sort(key=lambda note: note["at"])
    history, found = defaultdict(list), []
    for note in notes:
        for trial, step in note["steps"].items():
            before = history[trial]
            if before and before[-1]["file"] != note["file"]:
                reached = next(b["at"] for b in before if b["step"] >= step)
                last = before[-1]["at"]
                # a kill ends the notes of a worker at once
                cause = min(faults, key=lambda f: abs(f["at"] - last), default={"kind": "none"})
                twice_s = max(0.0, last - reached)
                lost_s = max(0.0, twice_s - store_away_s(reached, last, faults))
                lost = {"trial": trial, "lost_s": lost_s, "trained_twice_s": twice_s}
                found.append(lost | {"kind": cause["kind"]})
                history[trial] = before = []
            before.append({"file": note["file"], "at": note["at"], "step": step})
    return found


def store_away_s(start, end, faults):
    """Seconds between two times in which the store took nothing: training goes on meanwhile, and
    what is tried again afterward may have waited for its turn."""
    spans = [(f["at"], f["until"] + LAST_RETRY_S) for f in faults if f["kind"] in ("s3", "full")]
    total = 0.0
    for at, until in sorted(spans):
        at, until = max(start, at), min(end, until)
        total += max(0.0, until - at)
        start = max(start, until)
    return total
