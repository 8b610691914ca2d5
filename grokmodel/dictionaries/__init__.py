"""Dictionaries of an activation by sparse autoencoders: are they stable, are they frequencies?

Uses: image, probing. Used by: catalog.
"""
