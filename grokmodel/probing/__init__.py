"""How one looks into a trained model: run it on pairs of one's choosing, hook its activations,
project them on Fourier bases, set what is found against chance.

Uses: core, data, diffusion, image, tokens. Used by: analysis, denoiser, dictionaries.
"""
