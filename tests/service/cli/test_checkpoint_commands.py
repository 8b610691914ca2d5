"""`grok examine` on checkpoints in the layouts of others."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grokmodel.tokens.published import read_published
from sweeps import grok
from tests.grokmodel.tokens import theirs
from tests.grokmodel.tokens.theirs import P


@pytest.fixture
def examine(capsys):
    def run(*words):
        return grok.main(["examine", *map(str, words)]), *capsys.readouterr()

    return run


def test_examine_says_what_a_checkpoint_knows(examine, tmp_path):
    """One frequency, in neurons whose bias is so large that they are linear."""
    K, weights, path = 2, theirs.paper(), tmp_path / "run.pth"
    angle = 2 * np.pi * K * torch.arange(P + 1) / P
    weights["embed.W_E"] = torch.randn(theirs.D, 2) @ torch.stack([angle.cos(), angle.sin()])
    weights["blocks.0.mlp.b_in"].fill_(100)
    weights["blocks.0.attn.W_Q"].zero_()
    torch.save({"model": weights, "train_losses": [0.25]}, path)
    code, out, _ = examine(path, "--seed", 1, "--train-fraction", 0.5)
    said = [line.split(None, 1)[1] for line in out.splitlines()]
    split = read_published(path, 1, 0.5).split
    loss_Q = F.cross_entropy(
        theirs.logits(weights).double(), theirs.all_tokens()[:, :2].sum(1) % P, reduction="none"
    )
    loss = loss_Q[split.train @ (P, 1)].mean()
    assert code == 0
    assert said[1] == "P = 7, add, width 6, 2 heads, 5 hidden units"
    assert said[2].startswith("24 train, 25 validate, ")
    assert said[3].endswith(f"loss {loss:.4g} (in the file: 0.25)")
    assert said[4].endswith("(in the file: none)")
    assert f"of 5: 5 of frequency {K}" in said


def test_examine_names_what_is_wrong_in_a_line(examine, tmp_path):
    code, out, err = examine(tmp_path / "none.pth")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "there is no such file" in err
