"""Analyses of a sweep: which there are (`registry`), which are missing (`pending`), the Ray tasks
that do them (`tasks`), and the drawing of what they found.

Uses: data, report, store, tables, tracking. Used by: schedule, cli, sweeps.
"""
