"""Figures and the page of a sweep, drawn from tables. Pure: reads, returns figures or HTML, writes
nothing; `service.analysis.drawing` stores what it returns.

Uses: store, tables. Used by: analysis, worker, boundary, reproduction, results, cli.
"""
