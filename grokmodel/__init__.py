"""The science: data, model, fused training, analyses. Runs without Ray, MLflow, S3 or pandas.

errors      what a user can fix
core        what knows no model: config, member, training, optimizer, noise, checkpoint, outcome
data        images of symbols, pairs and splits
image       the Diffusion Transformer on images: the first model; image.dit: one trial of it
run         trains a plan file where there is torch only: a borrowed GPU, a SLURM node
probing     how one looks into a trained model: hooks, projections, Fourier bases
analysis    what is measured of a trained model
"""
