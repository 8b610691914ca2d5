"""The commands of `grok`. Those that answer at once load neither torch, MLflow nor matplotlib.

Uses: everything in the service. Used by: sweeps.
"""
