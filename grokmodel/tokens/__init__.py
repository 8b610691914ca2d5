"""The one-layer transformer that learns a ∘ b from the tokens a, b and "=" (Nanda et al. 2023,
arXiv 2301.05217), written for M members at once: config, model, pack, evaluation.

Uses: core, data. Used by: the service.
"""
