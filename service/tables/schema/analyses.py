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
    *(ANALYSES, FAILURES),
)
