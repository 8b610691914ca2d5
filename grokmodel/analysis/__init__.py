"""What is measured of trained models, one measure per module: a function of a probe that returns
typed rows, tested against a known answer.

Uses: core, data, diffusion, the models, probing. Used by: catalog.
"""
