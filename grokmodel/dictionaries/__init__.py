"""Dictionaries of an activation by sparse autoencoders: are they stable, are they frequencies?

Uses: image, probing. Used by: service.analysis, which stores the rows.
"""
