"""How a store and its sweeps are: status, doctor, garbage.

Uses: store, tables, tracking. Used by: cli.
"""
