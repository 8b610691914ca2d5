"""The tables of analyses that are about frequencies."""

from __future__ import annotations

from service.tables.schema.columns import (
    BOOL,
    FLOAT,
    HEAD,
    HOOK,
    INT,
    LEVEL,
    STR,
    Column,
    T,
    accuracies,
    analysis,
)

_FREQUENCY = Column("frequency", INT, "k", "cycles per P")
_IS_KEY = Column(
    "is_key",
    BOOL,
    "the frequency (or every one of the set) is a key frequency: dominant (smallest set with 95 % "
    "of the in-frequency power), these at most half of all and beyond chance (p_dominant at most "
    "0.05), and not one of the weakest that only fill up the sum",
)

SPECTRA = analysis(
    "spectra",
    "Fraction of variance explained (FVE) by each frequency, of an activation over all (a, b). "
    "Hook point `target` is the right image of every pair: what a perfect output would show. The "
    "null is the same with the classes in random order, the same on both axes, 100 times.",
    "analysis/spectra.py; arXiv 2604.17673",
    ("hook", "head", "t", "shown", "frequency"),
    HOOK,
    HEAD,
    T,
    Column(
        "shown",
        STR,
        "what the noisy image is of: right or wrong result; nothing: noise alone, at t = 1. Below "
        "t = 1 the right result is in the input: what is there with a wrong one is computed",
    ),
    Column("ordering", STR, "plain: symbols; log: discrete logarithms of symbols but 0"),
    _FREQUENCY,
    Column("fve_a", FLOAT, "variance explained by cos, sin(2 pi k a / P)", "share"),
    Column("fve_b", FLOAT, "the same of b", "share"),
    Column("fve_ab", FLOAT, "by the products of both at equal k", "share"),
    Column("fve_cross", FLOAT, "of the whole grid, by products of unequal k", "share"),
    Column(
        "null_q95",
        FLOAT,
        "95 % quantile over random orders of the strongest frequency's share of the in-frequency "
        "power (sum of fve_a, fve_b and fve_ab over all frequencies)",
        "share",
    ),
    Column(
        "p_value",
        FLOAT,
        "(1 + random orders whose strongest frequency has this one's share or more) / (1 + orders)",
        "share",
    ),
    Column(
        "p_dominant",
        FLOAT,
        "the same of the dominant frequencies together, against as many strongest ones",
        "share",
    ),
    _IS_KEY,
    Column(
        "entropy", FLOAT, "FVE entropy of the hook point: 0 one frequency, 1 all alike", "share"
    ),
)

IDENTITIES = analysis(
    "identities",
    "Neurons of the last FFN along directions from the output side, regressed on the products of "
    "cos and sin at one frequency: cos(w(a+b)) = cos cos - sin sin, sin(w(a+b)) = cos sin + sin "
    "cos. Key frequencies are those before the non-linearity, in rows of either hook point.",
    "analysis/identities.py; arXiv 2604.17673",
    ("hook", "control", "direction", "frequency"),
    Column(
        "hook",
        STR,
        "before (block0.ffn.pre; of SwiGLU the value, not the gate) or behind the non-linearity",
    ),
    _FREQUENCY,
    Column("direction", STR, "wave over c that the direction writes: cos or sin"),
    Column("control", INT, "-1: direction from the output side; 0, 1, ...: random direction"),
    Column("cos_cos", FLOAT, "coefficient of cos(wa) cos(wb)"),
    Column("sin_sin", FLOAT, "coefficient of sin(wa) sin(wb)"),
    Column("cos_sin", FLOAT, "coefficient of cos(wa) sin(wb)"),
    Column("sin_cos", FLOAT, "coefficient of sin(wa) cos(wb)"),
    Column("fve", FLOAT, "variance explained by all four products", "share"),
    Column("fve_rule", FLOAT, "by the rule's combination of them alone", "share"),
    _IS_KEY,
)

PROGRESS = analysis(
    "progress",
    "Progress measures of a snapshot, from its output at t = 1 and the last snapshot's dominant "
    "frequencies (smallest set with 95 % of the output's in-frequency power).",
    "analysis/progress.py; arXiv 2301.05217",
    (),
    Column("n_dominant", INT, "frequencies that are kept or removed"),
    Column("train_loss", FLOAT, "squared error per pixel at t = 1, training pairs"),
    Column("strict_loss", FLOAT, "the same, strict pairs"),
    Column(
        "restricted_loss",
        FLOAT,
        "all pairs; of the output only mean and rule at the dominant ones",
    ),
    Column("excluded_loss", FLOAT, "training pairs; the rule at the dominant frequencies removed"),
    Column("strict_acc", FLOAT, "accuracy on strict pairs by one step from t = 1", "share"),
    Column("restricted_acc", FLOAT, "accuracy on strict pairs, restricted; leaks", "share"),
    Column(
        "restricted_acc_within_split",
        FLOAT,
        "the same, waves fitted to strict pairs alone",
        "share",
    ),
    Column("excluded_acc", FLOAT, "accuracy on training pairs, excluded", "share"),
    Column("gini_embedding", FLOAT, "Gini coefficient of the FVEs of the embedding"),
    Column("gini_neurons", FLOAT, "the same of the FFN neurons"),
    Column("gini_output", FLOAT, "the same of the output"),
)

ABLATIONS = analysis(
    "ablations",
    "Accuracy of 1-step samples with a hook point projected off some frequencies, or on to them.",
    "analysis/ablations.py",
    ("hook", "mode", "selection", "n_frequencies", "draw", "fit"),
    Column("hook", STR, "activation, all heads and both operands of it; empty: none"),
    Column("mode", STR, "remove or keep the frequencies; none: nothing is done"),
    Column("selection", STR, "top: those with most power; random: the control"),
    Column("n_frequencies", INT, "size of the set"),
    Column("draw", INT, "number of the random set"),
    Column("fit", STR, "all: coefficients over all pairs, leaks; within_split: of each side of it"),
    Column("frequencies", STR, "the set"),
    _IS_KEY,
    *accuracies("with the hook point projected"),
)

BLOCKED = analysis(
    "blocked",
    "Blocked arithmetic: the FFN neurons' dominant frequencies are removed in a part of sampling.",
    "analysis/ablations.py",
    ("when", "level"),
    Column("when", STR, "steps in which they are removed: t > t* or t <= t*"),
    LEVEL,
    Column("t", FLOAT, "t*"),
    *accuracies("with the dominant frequencies removed"),
)
