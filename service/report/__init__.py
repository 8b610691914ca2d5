"""Figures for paper, drawn from tables. Pure: reads, returns figures, writes nothing.

Uses: store, tables, colors. Used by: analysis, boundary, reproduction, results, cli.
"""
