"""Colors of pages and figures: those of Okabe and Ito, told apart by color-blind readers."""

PHASE_COLORS = {
    "confusion": "#BBBBBB",
    "memorization": "#E69F00",
    "grokking": "#009E73",
    "comprehension": "#56B4E9",
    "diverged": "#D55E00",
}
TRAIN_COLOR, VAL_COLOR, STRICT_COLOR, LOSS_COLOR = "#0072B2", "#CC79A7", "#009E73", "#555555"
ORANGE, SKY, RED, GRAY = "#E69F00", "#56B4E9", "#D55E00", "#BBBBBB"
