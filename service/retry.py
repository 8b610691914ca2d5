"""What fails for a while is tried again."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What the module `time` is, and tests put in its place."""

    def monotonic(self) -> float: ...
    def sleep(self, seconds: float, /) -> None: ...


def retry(
    call: Callable[[], T],
    passes: Callable[[Exception], bool],
    for_s: float = math.inf,
    *,
    first_s: float,
    last_s: float,
    tries: int | None = None,
    clock: Clock = time,
) -> T:
    """What the call returns, made again after ever longer pauses while that may help.

    Args:
        passes: whether an error may pass. Asked before the call is made again, not after the last.
        for_s: seconds after which it is made for the last time.
        first_s: seconds of the first pause, doubled with each ...
        last_s: ... up to these.
        tries: calls, at most.

    Raises:
        the last error of the call.
    """
    deadline, pause = clock.monotonic() + for_s, first_s
    for number in itertools.count(1):
        try:
            return call()
        except Exception as error:
            left_s = deadline - clock.monotonic()
            if number == tries or left_s <= 0 or not passes(error):
                raise
        clock.sleep(min(pause, left_s))
        pause = min(2 * pause, last_s)
    raise AssertionError("a loop that returns or raises")
