"""What the runs of `grok reproduce` noted of themselves, in `reproduction/state.json`.

A scale of an experiment has the runs that added trials or analyses to it; a run that found all of
it done is not among them. Why an experiment is not larger belongs to the scale that was chosen
then, not to another that the document shows. Notes of before scales were told apart have a reason
only.
"""

from __future__ import annotations

import json
from typing import Any

from service.reproduction.document import Run
from service.store.store import Store, StoreError

STATE_KEY = "reproduction/state.json"


class Notes:
    """Of every experiment the newest `reason` and `failed`, and of its `scales` reason and runs.

    Raises:
        StoreError: the file is damaged. It cannot be made anew from the tables.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        data = store.get_or_none(STATE_KEY)
        try:
            state = json.loads(data) if data is not None else {}
            self.experiments: dict[str, Any] = state.get("experiments", {})
            for note in self.experiments.values():
                _check(note)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(
                f"store {store.url}: {STATE_KEY} is damaged ({type(error).__name__}, {error}); "
                "delete it to go on: what was run stays, but not when and by which commit"
            ) from error

    def reason(self, experiment: str, scale: str = "") -> str:
        """Why it was not run or not larger: by the newest run of a scale, or of any."""
        if experiment not in self.experiments:  # what there is of it came in a bundle
            return "" if scale else "not asked for"
        note = self.experiments[experiment]
        if not scale or "scales" not in note:
            return str(note["reason"])
        return str(note["scales"].get(scale, {}).get("reason", ""))

    def runs(self, experiment: str, scale: str) -> list[Run]:
        """Those that the scale comes from, the oldest first; none if that is not known."""
        scales = self.experiments.get(experiment, {}).get("scales", {})
        return [Run(**run) for run in scales.get(scale, {}).get("runs", [])]

    def add(self, experiment: str, reason: str, failed: bool = False, scale: str = "") -> None:
        """Note how the newest run of an experiment ended."""
        note = self.experiments.setdefault(experiment, {})
        note |= {"reason": reason, "failed": failed, "scales": note.get("scales", {})}
        if scale:
            note["scales"].setdefault(scale, {})["reason"] = reason

    def add_run(self, experiment: str, scale: str, reason: str, run: Run) -> bool:
        """Note that a run adds to a scale; false if that is known."""
        note = self.experiments[experiment]["scales"].setdefault(scale, {"reason": reason})
        runs = note.setdefault("runs", [])
        if run._asdict() in runs:
            return False
        runs.append(run._asdict())
        return True

    def drop_run(self, experiment: str, scale: str, run: Run) -> None:
        """It did not."""
        self.experiments[experiment]["scales"][scale]["runs"].remove(run._asdict())

    def save(self) -> None:
        body = {"experiments": self.experiments}
        self.store.put(STATE_KEY, json.dumps(body, indent=1).encode())


def _check(note: Any) -> None:
    """Raise a TypeError, a KeyError or an AttributeError if a note is not of its form."""
    for part in (note, *note.get("scales", {}).values()):
        if not isinstance(part["reason"], str):
            raise TypeError("a reason that is no text")
        for run in part.get("runs", []):
            if not all(isinstance(value, str) for value in Run(**run)):
                raise TypeError("a run of other than texts")
