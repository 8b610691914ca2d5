"""Results as rows: the schema, Parquet parts that are written whole and read once per key,
compaction, sweeps as bundles that last (`bundle`, `importing`), and what tables say in words
(phases, settings, censored steps, names of trials).

Uses: store. Used by: everything that has results or shows them.
"""
