"""Image banks of a process, the decoders that read samples, trained once per bank, and snapshots.

Uses: store, tables, grokmodel. Used by: worker, analysis, schedule, boundary, results, sweeps.
"""
