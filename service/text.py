"""Numbers, durations and errors as people read them: the one place that says how."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Iterable

from service.settings import without_password

MINUTE, HOUR, DAY = 60, 3600, 86_400
MOST_SHOWN = 300
"""Characters of an error in a line."""


def duration(seconds: float) -> str:
    """Seconds in the largest unit of which there are two: `119 s`, `2 min`, `4.6 days`."""
    if seconds < 2 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 2 * HOUR:
        return f"{seconds / MINUTE:.0f} min"
    value, unit = (seconds / HOUR, "h") if seconds < 2 * DAY else (seconds / DAY, "days")
    return f"{value:,.1f}".removesuffix(".0") + f" {unit}"


def byte_size(size: float) -> str:
    """Bytes: `999 B`, `1.5 kB` (1 kB is 1,000 B)."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def count(number: int, one: str, many: str = "") -> str:
    """`1 trial`, `2,000 trials`; `2 analyses` where `many` is no `one` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def percent(share: float, digits: int = 0) -> str:
    """A share of 1: `50 %`."""
    return f"{100 * share:.{digits}f} %"


def config_value(value: object) -> str:
    """A setting. A float in the shortest form that reads back equal: `3`, `0.3`, `1e-05`."""
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


def measured(value: object) -> str:
    """A number with as many digits as one wants to read; nothing for what was not measured."""
    if value is None or value != value:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 1000 else f"{value:.3g}"


def spread(values: Iterable[float | None], digits: int = 2) -> str:
    """`median (lowest to highest)`, and of how many if some were not measured; `-` if none."""
    every = list(values)
    known = [value for value in every if value is not None and value == value]
    if not known:
        return "-"
    low, mid, high = (
        f"{v:,.{digits}f}" for v in (min(known), statistics.median(known), max(known))
    )
    words = f"{mid} ({low} to {high})" if len(known) > 1 else mid
    return words if len(known) == len(every) else f"{words} in {len(known)} of {len(every)}"


def grok_command(store: str, *words: str) -> str:
    """A command that works as it stands, whatever store its reader's shell has by default."""
    return shlex.join(["grok", *words, "--store", store])


def table_cell(text: str) -> str:
    """A text in a Markdown table."""
    return text.replace("|", "\\|")


def one_line(error: BaseException) -> str:
    """What an error says: its first line, without passwords."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shortened(without_password(lines[0]))


def shortened(text: str) -> str:
    """As much of a text as a message shows."""
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def reason(error: BaseException) -> str:
    """What an error goes back to, in one line: `Connection refused` rather than the five exceptions
    that are made of it."""
    root = error
    while cause := root.__cause__ or root.__context__:
        root = cause
    return one_line(root if isinstance(root, OSError) and str(root) else error)
