"""The output of a model, projected on frequencies over all pairs or on each side apart."""

from grokmodel.probing.hooks import HookPoint
from grokmodel.probing.projections import projecting, projecting_own

OUTPUT = HookPoint("output")


def project(probe, value, frequencies, mode):
    """`value` of the output hook point, projected with equal frequencies for all members."""
    hook = projecting([OUTPUT], probe, [frequencies] * len(probe), mode)
    return hook("output", value)


def project_own(probe, value, frequencies, mode):
    hook, _ = projecting_own([OUTPUT], probe, [frequencies] * len(probe), mode)
    return hook("output", value)
