"""Image banks of a process, and the decoders that read samples, trained once per bank.

Uses: store, grokmodel. Used by: worker, analysis, schedule, boundary, sweeps.
"""
