"""Analyses of a sweep: which are missing (`pending`), and the Ray tasks that do them (`tasks`).

Uses: data, report, store, tables, tracking. Used by: schedule, cli, sweeps.
"""
