"""The output of a model, projected on frequencies over all pairs or on each side apart."""

from grokmodel.probing.hooks import Site
from grokmodel.probing.projections import projecting, projecting_own

OUTPUT = Site("output")


def project(probe, value, frequencies, mode):
    """`value` of the output site, projected with equal frequencies for all members."""
    tap = projecting([OUTPUT], probe, [frequencies] * len(probe), mode)
    return tap("output", value)


def project_own(probe, value, frequencies, mode):
    tap, _ = projecting_own([OUTPUT], probe, [frequencies] * len(probe), mode)
    return tap("output", value)
