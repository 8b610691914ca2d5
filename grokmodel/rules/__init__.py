"""Rule-valid images as Wang, Finn and Liu (arXiv 2605.10019) have them, for M members at once: an
unconditional Diffusion Transformer or a causal transformer draws 6 x 6 binary images in which every
group of pixels has even parity. Config, images, model, pack, samplers, evaluation.

Uses: core, diffusion. Used by: the service, as it uses image.
"""
