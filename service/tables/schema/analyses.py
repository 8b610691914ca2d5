"""The tables that analyses fill, and those that keep account of them."""

from __future__ import annotations

from service.tables.schema.columns import (
    BOOL,
    FLOAT,
    HEAD,
    HOOK,
    ID,
    INT,
    LEVEL,
    RUN,
    STR,
    VERSION,
    Column,
    T,
    Table,
    accuracies,
    analysis,
)
from service.tables.schema.frequencies import ABLATIONS, BLOCKED, IDENTITIES, PROGRESS, SPECTRA

TIMESTEPS = analysis(
    "timesteps",
    "Samples started at every noise level from the right result or from a wrong one.",
    "analysis/timesteps.py; arXiv 2604.17673",
    ("level",),
    LEVEL,
    T,
    Column("recover_acc", FLOAT, "start: the right result noised to t; end: a + b", "share"),
    Column("rectify_acc", FLOAT, "start: a wrong result noised to t; end: a + b", "share"),
    Column("entropy", FLOAT, "FVE entropy of the FFN pre-activation", "share"),
)

CRITICAL = analysis(
    "critical",
    "The noise level that separates computing from drawing, observed and predicted.",
    "analysis/timesteps.py; arXiv 2604.17673",
    (),
    Column("levels", INT, "noise levels in all"),
    Column("observed", INT, "largest level with rectify accuracy below 0.5 %", "level"),
    Column(
        "predicted",
        INT,
        "steepest change of FVE entropy; null if it moves by < 0.01",
        "level",
    ),
    Column("difference", INT, "predicted - observed", "levels"),
)

SWAPS = analysis(
    "swaps",
    "Samples whose operands are exchanged at a noise level: whose sum do they follow?",
    "analysis/timesteps.py",
    ("level",),
    LEVEL,
    T,
    Column("old_share", FLOAT, "samples of the old sum", "share"),
    Column("new_share", FLOAT, "samples of the new sum", "share"),
    Column("neither_share", FLOAT, "samples of neither", "share"),
)

REPRESENTATION = analysis(
    "representation",
    "How a hook point arranges the pairs: are those with the same result together?",
    "analysis/representation.py; van Rossem and Saxe, ICML 2025",
    ("hook", "head", "t"),
    HOOK,
    HEAD,
    T,
    Column("fisher", FLOAT, "variance between results over variance within"),
    Column(
        "merger",
        FLOAT,
        "RMS distance, same result over different: 0 merged (t = 0 shows the answer)",
    ),
    Column("participation", FLOAT, "participation ratio: effective dimension"),
)

PCA = analysis(
    "pca",
    "Points of the plane of a hook point's principal components: class centroids and some pairs.",
    "analysis/representation.py",
    ("hook", "head", "t", "kind", "a", "b", "c"),
    HOOK,
    HEAD,
    T,
    Column("kind", STR, "centroid or pair"),
    Column("a", INT, "operand; -1 for a centroid"),
    Column("b", INT, "operand; -1 for a centroid"),
    Column("c", INT, "result"),
    *(Column(f"pc{i}", FLOAT, f"coordinate on component {i}") for i in (1, 2, 3)),
    Column("explained", FLOAT, "variance explained by the three components", "share"),
)

HEADS = analysis(
    "heads",
    "What each attention head does for the answer, at t = 1.",
    'analysis/heads.py; "Grokking From Abstraction to Intelligence"',
    ("block", "head"),
    Column("block", INT, "transformer block"),
    Column("head", INT, "attention head: what it writes to the c-tokens"),
    Column("margin", FLOAT, "squared distance per pixel: nearest wrong template less right one"),
    Column("margin_patched", FLOAT, "the same with the head's output from another pair"),
    Column("margin_ablated", FLOAT, "the same with its mean over all pairs"),
    Column("acc_strict", FLOAT, "accuracy on strict pairs", "share"),
    Column("acc_strict_patched", FLOAT, "the same, patched", "share"),
    Column("acc_strict_ablated", FLOAT, "the same, ablated", "share"),
)

COMPLEXITY = analysis(
    "complexity",
    "How complex each weight matrix is.",
    "analysis/complexity.py; Zenil et al. 2018 (BDM)",
    ("matrix",),
    Column("matrix", STR, "weight matrix"),
    Column("rows", INT, "inputs"),
    Column("columns", INT, "outputs"),
    Column("stable_rank", FLOAT, "squared Frobenius norm over squared largest singular value"),
    Column("entropy", FLOAT, "entropy of squared singular values: 0 one, 1 all alike", "share"),
    Column("bdm", FLOAT, "algorithmic complexity of the signs about the median", "bits per weight"),
    Column("norm", FLOAT, "Frobenius norm"),
)

LEARNING_COEFFICIENT = analysis(
    "learning_coefficient",
    "Local learning coefficient by Langevin chains about the averaged weights.",
    "analysis/learning_coefficient.py; arXiv 2308.12108",
    ("chain",),
    Column("chain", INT, "number of the chain"),
    Column("llc", FLOAT, "n beta (mean loss of the chain - loss); below 0: not at a minimum"),
    Column("loss", FLOAT, "training loss of the weights, on the same batches"),
    Column("loss_of_chain", FLOAT, "mean training loss of the chain"),
    Column("samples", INT, "n: noisy images that the trial was trained on"),
    Column("resolution", FLOAT, "curvature above which a direction counts"),
)

BASINS = analysis(
    "basins",
    "Where random starts end; of family rules, where half of an image leads.",
    "analysis/basins.py, analysis/rules.py",
    ("pairs",),
    Column("pairs", STR, "train or strict; rules: half of a training image, or of another"),
    Column("starts", INT, "random starts"),
    Column("copy_share", FLOAT, "end in a training image, of whatever class", "share"),
    Column("rule_share", FLOAT, "end in a new image of the right class, or a valid one", "share"),
    Column("neither_share", FLOAT, "end elsewhere", "share"),
    Column(
        "right_share",
        FLOAT,
        "decode to the right class, copies too; rules: end where they are from",
        "share",
    ),
)

AUTOMATA = analysis(
    "automata",
    "The finite automaton inside a parity network: hidden states that lie together are one.",
    "analysis/automata.py; van Rossem and Saxe, ICML 2025",
    (),
    Column("states", INT, "states of the automaton", "states"),
    Column("minimal_states", INT, "of its smallest equal; null if it is not finite", "states"),
    Column("is_finite", BOOL, "every state has a successor for both symbols"),
    Column("computes_parity", BOOL, "it is finite and right about sequences of any length"),
    Column("conflicts", INT, "transitions that depend on which sequence led to a state"),
    Column("agreeing", FLOAT, "mean distance of sequences of equal parity", "spread"),
    Column("disagreeing", FLOAT, "mean distance of those of unequal parity", "spread"),
    Column("merged", FLOAT, "pairs of equal parity nearer than 0.01 of the spread", "share"),
    Column("wrongly_merged", FLOAT, "the same of unequal parity", "share"),
    Column("acc_1000", FLOAT, "accuracy on 20 random sequences of length 1,000", "share"),
)

DENOISER = analysis(
    "denoiser",
    "What explains the learned denoiser at a noise level: share of the variance of its prediction "
    "over all pairs, shown the right result noised. Below 0: worse than its mean.",
    "denoiser/denoiser.py; arXiv 2412.09726",
    ("t",),
    T,
    Column("gaussian", FLOAT, "by the Gaussian denoiser of all results of training pairs", "share"),
    Column("gaussian_velocity", FLOAT, "the same of the velocity, noise in it", "share"),
    Column("gaussian_score", FLOAT, "the same of the score, nearly all noise near t = 1", "share"),
    Column("unconditional", FLOAT, "by the best denoiser that knows all images, not a, b", "share"),
    Column("right_class", FLOAT, "by the Gaussian of the right class; N = 1: its image", "share"),
    Column("linear", FLOAT, "by a linear map of the noisy image, fitted to other noise", "share"),
    Column("linear_operands", FLOAT, "the same with any function of a plus one of b", "share"),
    Column("truth_gaussian", FLOAT, "of the right image, by the Gaussian denoiser", "share"),
)

SKIPS = analysis(
    "skips",
    "Samples of 20 steps whose first ones the network does not take.",
    "denoiser/denoiser.py; arXiv 2412.09726",
    ("start", "skipped"),
    Column(
        "start",
        STR,
        "gaussian: the flow of the Gaussian of the results instead; mean: that of their mean "
        "alone; fewer: as many steps fewer, from noise",
    ),
    Column("skipped", INT, "steps that the network does not take, of 20", "steps"),
    Column("t", FLOAT, "noise level at which it starts; of `fewer`, at which the others do"),
    *accuracies("of the samples"),
)

SPECTRAL_BIAS = analysis(
    "spectral_bias",
    "By which step each principal component of the training pairs' results is learned.",
    "denoiser/spectral_bias.py; arXiv 2503.03206",
    ("t", "component"),
    T,
    Column("component", INT, "principal component of the results, 1 the largest"),
    Column("variance", FLOAT, "variance of the results along it"),
    Column("step_half", FLOAT, "its error is below half of the first; null: never", "steps"),
    Column("step_explained", FLOAT, "its error is below half of its variance", "steps"),
    Column("final_error", FLOAT, "error at the end over variance"),
    Column(
        "exponent",
        FLOAT,
        "of step_half ~ variance^exponent over all components at this t; null: one is learned "
        "before the second snapshot, or too few are",
    ),
    Column("exponent_low", FLOAT, "2.5 % quantile of it, components resampled"),
    Column("exponent_high", FLOAT, "97.5 % quantile"),
)

DICTIONARIES = analysis(
    "dictionaries",
    "Sparse autoencoders of the neurons that write the answer, at t = 1, and their controls.",
    "dictionaries/dictionaries.py; arXiv 2406.04093, 2502.12892",
    ("hook", "dictionary", "seed"),
    HOOK,
    Column(
        "dictionary",
        STR,
        "topk; archetypal, which all seeds start at the same data; archetypal_reordered, each at "
        "its own; neurons: none; data: random data as atoms",
    ),
    Column("seed", INT, "seed of the autoencoder"),
    Column("features", INT, "atoms that are ever active"),
    Column("explained", FLOAT, "variance of the neurons that is reconstructed", "share"),
    Column("stability", FLOAT, "cosine of an atom with the nearest of another seed, mean"),
    Column("rule_fve", FLOAT, "variance of a feature that the result explains, median", "share"),
    Column("frequency_fve", FLOAT, "its best frequency of the result, median", "share"),
    Column("null_q95", FLOAT, "the same, classes in random order: 95 % quantile, median", "share"),
    Column("one_frequency", FLOAT, "features half explained by one, beyond chance", "share"),
    Column("result_fve", FLOAT, "variance that one result explains, median", "share"),
    Column("one_result", FLOAT, "features half explained by one result", "share"),
)

ANALYSES = Table(
    "analyses",
    "One analysis of one trial, done. Written last: a row means that its rows are there.",
    key=("trial_id", "run_id", "analysis", "settings"),
    columns=(
        ID,
        RUN,
        Column("analysis", STR, "name of the analysis"),
        Column("settings", STR, "what was asked for beyond the defaults of the analysis"),
        Column("checkpoints", INT, "checkpoints of the trial that were analyzed"),
        Column("seconds", FLOAT, "time that fell to this trial", "s"),
        Column("device", STR, "device that did it"),
        VERSION,
    ),
    source="service/analysis/tasks.py",
)

FAILURES = Table(
    "failures",
    "An analysis of a trial that could not be done. Gone when it succeeds.",
    key=("trial_id", "analysis"),
    columns=(
        ID,
        Column("analysis", STR, "name of the analysis"),
        Column("checkpoint", STR, "file at fault; empty if none is"),
        Column("error", STR, "kind of error"),
        Column("message", STR, "what was wrong, and what would be right"),
        VERSION,
    ),
    source="service/analysis/tasks.py",
)

ALL_ANALYSES = (
    *(SPECTRA, IDENTITIES, PROGRESS, ABLATIONS, BLOCKED, TIMESTEPS, CRITICAL, SWAPS),
    *(REPRESENTATION, PCA, HEADS, COMPLEXITY, LEARNING_COEFFICIENT, BASINS, AUTOMATA),
    *(DENOISER, SKIPS, SPECTRAL_BIAS, DICTIONARIES),
    *(ANALYSES, FAILURES),
)
