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


def test_the_last_error_is_raised_when_the_time_is_over():
    clock = Clock()
    with pytest.raises(OSError, match="failure 6"):
        run(clock, Call(clock, 99))
    assert clock.pauses == [0.5, 1.0, 2.0, 4.0, 2.5]


def test_the_time_that_a_call_takes_counts():
    clock = Clock()
    call = Call(clock, 99, seconds=6.0)
    with pytest.raises(OSError, match="failure 2"):
        run(clock, call)


def test_no_time_is_one_try():
    clock = Clock()
    with pytest.raises(OSError, match="failure 1"):
        run(clock, Call(clock, 99), for_s=0.0)
    assert clock.pauses == []


def test_tries_are_counted_where_they_are_limited():
    clock = Clock()
    with pytest.raises(OSError, match="failure 3"):
        run(clock, Call(clock, 99), tries=3)
    assert run(Clock(), Call(clock, 2), tries=3) == "answer"


def test_what_does_not_pass_is_raised_at_once():
    clock = Clock()
    call = Call(clock, 1, error=ValueError)
    with pytest.raises(ValueError, match="failure 1"):
        run(clock, call)
    assert call.calls == 1


def test_who_ends_the_process_is_not_kept_from_it():
    clock = Clock()
    with pytest.raises(KeyboardInterrupt):
        run(clock, Call(clock, 1, error=KeyboardInterrupt))


def test_whether_an_error_passes_is_asked_only_where_something_follows_from_it():
    """Who is asked may say that it is tried again."""
    clock, asked = Clock(), []

    def passes(error):
        asked.append(str(error))
        return True

    with pytest.raises(OSError, match="failure 2"):
        retry(Call(clock, 9), passes, 10.0, first_s=0.5, last_s=4.0, tries=2, clock=clock)
    assert asked == ["failure 1"]
