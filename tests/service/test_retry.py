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


def run(failures, for_s=10.0, seconds=0.0, error=OSError, **limits):
    """What a call comes to that fails so many times: its answer or last error, and the pauses."""
    clock, made = Clock(), []

    def call():
        made.append(1)
        clock.now += seconds
        if len(made) <= failures:
            raise error(f"failure {len(made)}")
        return "answer"

    def passes(raised):
        return isinstance(raised, OSError)

    limits = {"first_s": 0.5, "last_s": 4.0} | limits
    try:
        return retry(call, passes, for_s, clock=clock, **limits), clock.pauses
    except BaseException as raised:
        return str(raised), clock.pauses


@pytest.mark.parametrize(
    ("call", "outcome"),
    [
        ({"failures": 6, "for_s": 20.0}, ("answer", [0.5, 1.0, 2.0, 4.0, 4.0, 4.0])),
        ({"failures": 99}, ("failure 6", [0.5, 1.0, 2.0, 4.0, 2.5])),  # to the end of its time
        ({"failures": 99, "seconds": 6.0}, ("failure 2", [0.5])),  # that of the call counts
        ({"failures": 99, "for_s": 0.0}, ("failure 1", [])),
        ({"failures": 99, "tries": 3}, ("failure 3", [0.5, 1.0])),
        ({"failures": 2, "tries": 3}, ("answer", [0.5, 1.0])),
        ({"failures": 1, "error": ValueError}, ("failure 1", [])),  # it does not pass
        ({"failures": 1, "error": KeyboardInterrupt}, ("failure 1", [])),
    ],
)
def test_a_call_is_made_again_after_pauses_that_double_up_to_the_last(call, outcome):
    assert run(**call) == outcome


def test_whether_an_error_passes_is_asked_only_where_something_follows_from_it():
    """Who is asked may say that it is tried again."""
    asked = []

    def call():
        raise OSError(f"failure {len(asked) + 1}")

    def passes(error):
        asked.append(str(error))
        return True

    with pytest.raises(OSError, match="failure 2"):
        retry(call, passes, 10.0, first_s=0.5, last_s=4.0, tries=2, clock=Clock())
    assert asked == ["failure 1"]
