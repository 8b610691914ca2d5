"""Experiments, and what they cost, made up."""

from sweeps.paper import Experiment, Scale


def made_up(name, weight, *names, stand_in=()):
    return Experiment(
        name, name, weight, tuple(Scale(n, n, (), stand_in=n in stand_in) for n in names)
    )


PAIR = (made_up("a", 2, "full", "small"), made_up("b", 1, "full", "half", "small"))
SECONDS = {"full": 1000.0, "half": 100.0, "small": 10.0}


class MadeUp:
    """Costs by name of the scale; notes what was measured."""

    def __init__(self, bound=0.5):
        self.measured, self.bound = [], bound

    def of(self, scale):
        self.measured.append(scale.name)
        return SECONDS[scale.name]

    def at_least(self, scale):
        return self.bound * SECONDS[scale.name]
