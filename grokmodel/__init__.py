"""The science: data, model, fused training, analyses. Runs without Ray, MLflow, S3 or pandas.

errors      what a user can fix
machine     what this machine is, and settings of its processes
core        what knows no model: config, member, training, optimizer, noise, checkpoint, outcome
data        images of symbols, pairs and splits
diffusion   what all flows share: noise levels, loss, Euler steps, layers
image       the Diffusion Transformer on images: the first model; image.dit: one trial of it
tokens, parity, rules
            the other families of trials
configs, families
            all families by name, without their models and with them
run         trains a plan file where there is torch only: a borrowed GPU, a SLURM node
probing     how one looks into a trained model: hooks, projections, Fourier bases
analysis    what is measured of a trained model
denoiser, dictionaries
            two larger measures: what the denoiser is made of, sparse autoencoders
catalog     all analyses by name, and what computes each for a family
"""
