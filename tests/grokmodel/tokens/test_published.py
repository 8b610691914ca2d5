"""Published checkpoints: the same logits in either layout, and nothing in a file is run."""

import pickle
import random
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from grokmodel.analysis import tokens
from grokmodel.errors import ConfigError, DataError
from grokmodel.probing.token_probe import TokenProbe
from grokmodel.tokens.model import forward
from grokmodel.tokens.pack import Pack
from grokmodel.tokens.published import read_published
from tests.grokmodel.pickles import MakesAFile
from tests.grokmodel.tiny import CPU
from tests.grokmodel.tokens import theirs
from tests.grokmodel.tokens.theirs import P


@pytest.fixture
def saved(tmp_path):
    """Makes a `.pth` of what a checkpoint holds."""

    def save(body):
        torch.save(body, tmp_path / "run.pth")
        return tmp_path / "run.pth"

    return save


def our_logits(published):
    pack = Pack([published.member], CPU)
    a_MQ, b_MQ, _ = (x[None] for x in theirs.all_tokens().unbind(1))
    return forward(pack.params(pack.state.average), pack.shape, a_MQ, b_MQ)[0]


@pytest.mark.parametrize("make", [theirs.paper, theirs.lens])
def test_logits_are_those_of_the_checkpoint_in_either_layout_and_format(make, saved, tmp_path):
    weights = make()
    save_file(weights, tmp_path / "run.safetensors")
    for path in (saved(weights), saved({"model": weights}), tmp_path / "run.safetensors"):
        published = read_published(path)
        assert published.member.config.P == P
        torch.testing.assert_close(
            our_logits(published), theirs.logits(weights), atol=1e-5, rtol=1e-5
        )


def test_the_frequency_that_is_planted_is_found(saved):
    """Attention that looks at both operands alike, and an MLP that adds nothing: logits are linear
    in embeddings of one frequency."""
    K, weights = 2, theirs.paper()
    angle = 2 * np.pi * K * torch.arange(P + 1) / P
    plane_2V = torch.stack([angle.cos(), angle.sin()])
    weights["embed.W_E"] = torch.randn(theirs.D, 2) @ plane_2V
    for name in ("blocks.0.attn.W_Q", "blocks.0.mlp.W_out"):
        weights[name].zero_()
    probe = TokenProbe([read_published(saved(weights)).member], CPU)
    powers = {(r.hook, r.frequency): r.fve_a + r.fve_b + r.fve_ab for r in tokens.spectra(probe)[0]}
    for hook in ("embedding[a]", "embedding[b]", "output"):
        assert powers[hook, K] == pytest.approx(1, abs=1e-5), hook


# --- what a file says of its training -------------------------------------------------------------


def test_training_pairs_are_those_of_the_papers_code(saved):
    """Which shuffles triples by `random.seed`; the config in the file says seed and fraction."""
    config = {"seed": 3, "frac_train": 0.4, "fn_name": "subtract"}
    body = {"model": theirs.paper(), "config": config, "train_losses": [3.0, 0.5]}
    published = read_published(saved(body))
    pairs = [(a, b) for a in range(P) for b in range(P)]
    random.Random(3).shuffle(pairs)
    expected = pairs[: int(0.4 * P**2)]
    assert sorted(map(tuple, published.split.train.tolist())) == sorted(expected)
    assert len(published.split.val) == P**2 - len(expected)
    held = set(pairs) - set(expected)
    is_strict = [(b, a) in held for a, b in published.split.val.tolist()]
    assert published.split.strict.tolist() == is_strict
    assert published.losses == {"train": 0.5}
    assert published.member.config.op == "sub"
    other = read_published(saved(body), seed=4, train_fraction=0.2).split
    assert len(other.train) == int(0.2 * P**2)


def test_training_pairs_in_the_file_are_taken_as_they_are(saved):
    body = {"model": theirs.lens(), "train_indices": torch.tensor([0, 9, 48])}
    assert read_published(saved(body)).split.train.tolist() == [[0, 0], [1, 2], [6, 6]]
    body["train_indices"] = torch.tensor([49])
    with pytest.raises(DataError, match="train_indices has 49; need 0 to 48"):
        read_published(saved(body))


# --- nothing is run -------------------------------------------------------------------------------


def test_a_pickle_that_would_run_something_is_refused_and_not_run(saved, tmp_path):
    trap = MakesAFile(tmp_path / "made")
    with pytest.raises(DataError, match=r"would run io\.open"):
        read_published(saved({"model": theirs.paper(), "config": trap}))
    plain = tmp_path / "plain.pth"
    plain.write_bytes(pickle.dumps(trap))
    with pytest.raises(DataError, match="need safetensors, or a zip"):
        read_published(plain)
    assert not (tmp_path / "made").exists()


def test_a_config_of_transformer_lens_and_numbers_of_numpy_are_passed_over(saved, monkeypatch):
    module = types.ModuleType("transformer_lens.config")

    class Config:
        def __init__(self):
            self.dtype = torch.float32

        def __setstate__(self, state):
            raise AssertionError("it was made")

    Config.__module__, Config.__qualname__ = module.__name__, "Config"
    module.Config = Config
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "transformer_lens", types.ModuleType("transformer_lens"))
        patch.setitem(sys.modules, module.__name__, module)
        path = saved({"model": theirs.lens(), "config": Config(), "test_losses": [np.float32(1)]})
    assert read_published(path).member.config.width == theirs.D


# --- other models ---------------------------------------------------------------------------------


def without(name):
    return {n: t for n, t in theirs.paper().items() if n != name}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (without("unembed.W_U"), "no tensor unembed.W_U; need embed.W_E"),
        (theirs.paper() | {"blocks.0.mlp.W_in": torch.ones(5, 7)},
         r"blocks.0.mlp.W_in has shape \(5, 7\); need \(5, 6\), as P = 7, width = 6"),
        (theirs.paper() | {"unembed.W_U": torch.ones(6, 11)},
         r"unembed.W_U has shape \(6, 11\); need \(6, 8\), as P = 7"),
        (theirs.paper() | {"pos_embed.W_pos": torch.ones(4, 6)}, r"need \(3, 6\)"),
        (theirs.paper() | {"embed.W_E": torch.ones(6)}, r"embed.W_E has shape \(6,\); need 2 axes"),
        (theirs.paper() | {"blocks.1.attn.W_K": torch.ones(1)}, "it has a tensor blocks.1.attn"),
        (theirs.paper() | {"ln_final.w": torch.ones(6)}, "ln_final.w; need a model of one block"),
        (theirs.lens() | {"blocks.0.attn.b_O": torch.ones(6)}, "b_O is not 0; need 0"),
        (theirs.paper() | {"blocks.0.mlp.b_in": torch.full((5,), torch.nan)}, "b_in has values"),
        ({"model": 3}, "`model` is no dict"),
        ([1], "holds a list; need a dict"),
        ({"model": theirs.paper(), "config": {"fn_name": "rand"}}, "operation 'rand'; need one"),
    ],
)  # fmt: skip
def test_what_is_another_model_is_refused_with_the_tensor_named(weights, message, saved):
    with pytest.raises(DataError, match=message):
        read_published(saved(weights))


def test_heads_that_are_not_the_width_are_refused(saved):
    weights = theirs.paper() | {"blocks.0.attn.W_O": torch.ones(6, 8)}
    weights |= {f"blocks.0.attn.W_{x}": torch.ones(2, 4, 6) for x in "QKV"}
    with pytest.raises(DataError, match="2 heads of 4 are not the width, 6"):
        read_published(saved(weights))


def test_damaged_files_and_bad_settings_are_named(saved, tmp_path):
    with pytest.raises(DataError, match="there is no such file"):
        read_published(tmp_path / "none.pth")
    for name in ("cut.pth", "cut.safetensors"):
        (tmp_path / name).write_bytes(saved(theirs.paper()).read_bytes()[:1000])
        with pytest.raises(DataError, match=name):
            read_published(tmp_path / name)
    with pytest.raises(ConfigError, match="train_fraction = 2"):
        read_published(saved(theirs.paper()), train_fraction=2)
    with pytest.raises(ConfigError, match="seed"):
        read_published(saved({"model": theirs.paper(), "config": {"seed": "x"}}))
