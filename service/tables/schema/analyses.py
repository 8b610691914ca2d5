"""The tables that analyses fill, and those that keep account of them."""

from __future__ import annotations

from service.tables.schema.columns import BOOL, FLOAT, ID, INT, RUN, STR, VERSION, Column, Table

_STEP = Column("step", INT, "updates made by the analyzed weights", "steps")
_HOOK = Column("hook", STR, "activation, such as block0.ffn.post or, of one operand, embedding[a]")
_HEAD = Column("head", INT, "attention head; -1 where the hook point has none")
_T = Column("t", FLOAT, "noise level: 0 data, 1 noise")
_LEVEL = Column("level", INT, "Euler steps above the image", "steps")
_FREQUENCY = Column("frequency", INT, "k", "cycles per P")
_IS_KEY = Column("is_key", BOOL, "the frequency (or every one of the set) is a key frequency")


def _accuracies(when: str) -> tuple[Column, ...]:
    return (
        Column("train_acc", FLOAT, f"accuracy on training pairs {when}", "share"),
        Column("val_acc", FLOAT, f"accuracy on held-out pairs {when}", "share"),
        Column("val_acc_strict", FLOAT, f"accuracy on strict pairs {when}", "share"),
    )


def _analysis(
    name: str, meaning: str, source: str, key: tuple[str, ...], *columns: Column
) -> Table:
    """A table of one analysis: every row belongs to one checkpoint of one trial."""
    full_key = ("trial_id", "run_id", "step", *key)
    return Table(name, meaning, full_key, (ID, RUN, _STEP, *columns, VERSION), source)


SPECTRA = _analysis(
    "spectra",
    "Fraction of variance explained (FVE) by each frequency, of an activation over all (a, b). "
    "Site `target` is the right image of every pair: what a perfect output would show.",
    "analysis/spectra.py; arXiv 2604.17673",
    ("hook", "head", "t", "frequency"),
    _HOOK,
    _HEAD,
    _T,
    Column("ordering", STR, "plain: symbols; log: discrete logarithms of symbols but 0"),
    _FREQUENCY,
    Column("fve_a", FLOAT, "variance explained by cos, sin(2 pi k a / P)", "share"),
    Column("fve_b", FLOAT, "the same of b", "share"),
    Column("fve_ab", FLOAT, "by the products of both at equal k", "share"),
    Column("fve_cross", FLOAT, "of the whole grid, by products of unequal k", "share"),
    _IS_KEY,
    Column(
        "entropy", FLOAT, "FVE entropy of the hook point: 0 one frequency, 1 all alike", "share"
    ),
)

IDENTITIES = _analysis(
    "identities",
    "FFN neurons along directions from the output side, regressed on the products of cos and sin "
    "at one frequency: cos(w(a+b)) = cos cos - sin sin, sin(w(a+b)) = cos sin + sin cos.",
    "analysis/identities.py; arXiv 2604.17673",
    ("control", "direction", "frequency"),
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

PROGRESS = _analysis(
    "progress",
    "Progress measures of a snapshot, from its output at t = 1 and the last snapshot's dominant "
    "frequencies (smallest set with 90 % of the output's in-frequency power).",
    "analysis/progress.py; arXiv 2301.05217",
    (),
    Column("n_dominant", INT, "frequencies that are kept or removed"),
    _IS_KEY,
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

ABLATIONS = _analysis(
    "ablations",
    "Accuracy of 1-step samples with a hook point projected off some frequencies, or on to them.",
    "analysis/ablations.py",
    ("hook", "mode", "selection", "n_frequencies", "draw", "fit"),
    Column("hook", STR, "activation, all heads and both operands of it; empty: none"),
    Column("mode", STR, "remove or keep the frequencies; none: nothing is done"),
    Column("selection", STR, "top: those with most power; random: the control"),
    Column("n_frequencies", INT, "size of the set"),
    Column("draw", INT, "number of the random set"),
    Column("fit", STR, "all: coefficients over all pairs, leaks; own: of each side of the split"),
    Column("frequencies", STR, "the set"),
    _IS_KEY,
    *_accuracies("with the hook point projected"),
)

BLOCKED = _analysis(
    "blocked",
    "Blocked arithmetic: the FFN neurons' dominant frequencies are removed in a part of sampling.",
    "analysis/ablations.py",
    ("when", "level"),
    Column("when", STR, "steps in which they are removed: t > t* or t <= t*"),
    _LEVEL,
    Column("t", FLOAT, "t*"),
    *_accuracies("with the dominant frequencies removed"),
)

TIMESTEPS = _analysis(
    "timesteps",
    "Samples started at every noise level from the right result or from a wrong one.",
    "analysis/timesteps.py; arXiv 2604.17673",
    ("level",),
    _LEVEL,
    _T,
    Column("recover_acc", FLOAT, "start: the right result noised to t; end: a + b", "share"),
    Column("rectify_acc", FLOAT, "start: a wrong result noised to t; end: a + b", "share"),
    Column("entropy", FLOAT, "FVE entropy of the FFN pre-activation", "share"),
)

CRITICAL = _analysis(
    "critical",
    "The noise level that separates computing from drawing, observed and predicted.",
    "analysis/timesteps.py; arXiv 2604.17673",
    (),
    Column("levels", INT, "noise levels in all"),
    Column("observed", INT, "largest level with rectify accuracy below 0.5 %", "level"),
    Column("predicted", INT, "level of the steepest change of FVE entropy", "level"),
    Column("difference", INT, "predicted - observed", "levels"),
)

SWAPS = _analysis(
    "swaps",
    "Samples whose operands are exchanged at a noise level: whose sum do they follow?",
    "analysis/timesteps.py",
    ("level",),
    _LEVEL,
    _T,
    Column("old_share", FLOAT, "samples of the old sum", "share"),
    Column("new_share", FLOAT, "samples of the new sum", "share"),
    Column("neither_share", FLOAT, "samples of neither", "share"),
)

REPRESENTATION = _analysis(
    "representation",
    "How a hook point arranges the pairs: are those with the same result together?",
    "analysis/representation.py; van Rossem and Saxe, ICML 2025",
    ("hook", "head", "t"),
    _HOOK,
    _HEAD,
    _T,
    Column("fisher", FLOAT, "variance between results over variance within"),
    Column(
        "merger",
        FLOAT,
        "RMS distance, same result over different: 0 merged (t = 0 shows the answer)",
    ),
    Column("participation", FLOAT, "participation ratio: effective dimension"),
)

PCA = _analysis(
    "pca",
    "Points of the plane of a hook point's principal components: class centroids and some pairs.",
    "analysis/representation.py",
    ("hook", "head", "t", "kind", "a", "b", "c"),
    _HOOK,
    _HEAD,
    _T,
    Column("kind", STR, "centroid or pair"),
    Column("a", INT, "operand; -1 for a centroid"),
    Column("b", INT, "operand; -1 for a centroid"),
    Column("c", INT, "result"),
    *(Column(f"pc{i}", FLOAT, f"coordinate on component {i}") for i in (1, 2, 3)),
    Column("explained", FLOAT, "variance explained by the three components", "share"),
)

HEADS = _analysis(
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

COMPLEXITY = _analysis(
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

LEARNING_COEFFICIENT = _analysis(
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

BASINS = _analysis(
    "basins",
    "Where random starts end.",
    "analysis/basins.py",
    ("pairs",),
    Column("pairs", STR, "train or strict"),
    Column("starts", INT, "random starts"),
    Column("copy_share", FLOAT, "end in a training image, of whatever class", "share"),
    Column("rule_share", FLOAT, "end in a new image of the right class", "share"),
    Column("neither_share", FLOAT, "end elsewhere", "share"),
    Column("right_share", FLOAT, "decode to the right class, copies among them", "share"),
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
    *(REPRESENTATION, PCA, HEADS, COMPLEXITY, LEARNING_COEFFICIENT, BASINS, ANALYSES, FAILURES),
)
