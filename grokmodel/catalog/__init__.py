"""The analyses there are, of every family: what each needs and fills, and what computes it.

Uses: all of `grokmodel` but `run`. Used by: `run` and the service, which know stores and files.
"""
