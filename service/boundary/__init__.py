"""The search for a phase boundary in a plane of two axes: an Optuna sampler on a lattice, in rounds
of sweeps.

Uses: schedule, report, tables, store. Used by: sweeps.
"""
