"""What is tried again, how often and after which pauses, by a clock that nobody waits for."""

import pytest

from service.retry import retry


class Clock:
    """Time goes on by sleeping, and by the seconds that a call takes."""

    def __init__(self):
        self.now, self.pauses = 100.0, []

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.pauses.append(seconds)


class Call:
    """Fails so many times with an error, each time after some seconds."""

    def __init__(self, clock, failures, seconds=0.0, error=OSError):
        self.clock, self.failures, self.seconds, self.error = clock, failures, seconds, error
        self.calls = 0

    def __call__(self):
        self.calls += 1
        self.clock.now += self.seconds
        if self.calls <= self.failures:
            raise self.error(f"failure {self.calls}")
        return "answer"


def is_os_error(error):
    return isinstance(error, OSError)


def run(clock, call, for_s=10.0, **limits):
    limits = {"first_s": 0.5, "last_s": 4.0} | limits
    return retry(call, is_os_error, for_s, clock=clock, **limits)


def test_pauses_double_up_to_the_last():
    clock = Clock()
    assert run(clock, Call(clock, 6), for_s=20.0) == "answer"
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("seconds", "limits", "calls"),
    [
        (0.0, {}, 6),
        (6.0, {}, 2),  # the time that a call takes counts
        (0.0, {"for_s": 0.0}, 1),
        (0.0, {"tries": 3}, 3),
    ],
)
def test_the_last_error_is_raised_when_time_or_tries_are_over(seconds, limits, calls):
    clock = Clock()
    with pytest.raises(OSError, match=f"failure {calls}"):
        run(clock, Call(clock, 99, seconds), **limits)
    assert len(clock.pauses) == calls - 1
    if "tries" not in limits and not seconds:
        assert sum(clock.pauses) == limits.get("for_s", 10.0)  # to the last second
    assert run(Clock(), Call(clock, calls - 1), **limits) == "answer"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_does_not_pass_is_raised_at_once(error):
    """Nor is one who ends the process kept from it."""
    clock = Clock()
    call = Call(clock, 1, error=error)
    with pytest.raises(error, match="failure 1"):
        run(clock, call)
    assert call.calls == 1


def test_whether_an_error_passes_is_asked_only_where_something_follows_from_it():
    """Who is asked may say that it is tried again."""
    clock, asked = Clock(), []
    with pytest.raises(OSError, match="failure 2"):
        retry(Call(clock, 9), lambda e: not asked.append(str(e)), 10.0, first_s=0.5, last_s=4.0,
              tries=2, clock=clock)  # fmt: skip
    assert asked == ["failure 1"]
