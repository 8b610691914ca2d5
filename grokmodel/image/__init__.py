"""The Diffusion Transformer that draws a + b from the images of a and b, written for M members at
once: config, model, rectified flow, pack, evaluation, decoders.

Uses: core, data. Used by: probing, analysis, the service.
"""
