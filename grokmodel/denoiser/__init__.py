"""What a trained denoiser shares with a linear one: how much of it the denoiser of a Gaussian
explains, how many steps that saves, and which principal components are learned first.

Uses: core, data, image, probing. Used by: catalog.
"""
