"""`grok doctor`: is everything there that a sweep needs? A line per check, and what to do about it.

Each check is bounded in time and stands alone: one that fails, hangs or breaks stops no other.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from service.health.checks import CHECKS
from service.health.finding import FAIL, WARNING, Check, Finding
from service.settings import Settings, SettingsError, load_settings, without_password


def run(store: str | None, as_json: bool = False, data_root: str | None = None) -> int:
    """Make all checks and print what was found; the exit code is 1 if one fails."""
    found = []
    for finding in findings(store, data_root, CHECKS):
        found.append(finding)
        if not as_json:
            print(finding, flush=True)
    failed = sum(finding.level == FAIL for finding in found)
    if as_json:
        lines = [{k: without_password(v) for k, v in asdict(f).items()} for f in found]
        print(json.dumps(lines, indent=1))
    else:
        warned = any(finding.level == WARNING for finding in found)
        well = "all is well" + ", but for the warnings" * warned
        print(f"{failed} of {len(found)} checks failed" if failed else well)
    return int(failed > 0)


def findings(
    store: str | None, data_root: str | None, checks: Iterable[Check]
) -> Iterator[Finding]:
    """What the checks find, one after another."""
    try:
        settings = load_settings(store, data_root)
    except SettingsError as error:
        yield Finding("settings", FAIL, str(error), "Nothing else was checked")
        return
    for check in checks:
        yield from bounded(check, settings)


def bounded(check: Check, settings: Settings) -> list[Finding]:
    """What a check finds within its time; one that hangs is left to itself."""
    answers: queue.Queue[list[Finding]] = queue.Queue()

    def look() -> None:
        try:
            found = list(check.look(settings))
        except Exception as error:  # a check that breaks is a finding too
            lines = str(error).strip().splitlines() or [""]
            found = [Finding(check.name, FAIL, f"{type(error).__name__}: {lines[0]}", check.hint)]
        answers.put(found)

    # a daemon: what hangs must not keep the process
    threading.Thread(target=look, name=f"check-{check.name}", daemon=True).start()
    try:
        return answers.get(timeout=check.limit_s)
    except queue.Empty:
        text = f"no answer within {check.limit_s:.0f} s"
        return [Finding(check.name, FAIL, text, check.hint)]
