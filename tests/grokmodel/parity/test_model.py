import torch

from grokmodel.parity.model import Layout, hidden_after, hidden_of_tree, readout
from grokmodel.parity.pack import training_sequences
from grokmodel.parity.sequences import all_sequences, count
from tests.grokmodel.parity.tiny import pack_of, tiny


def torch_network(config, row_n):
    """The same network of torch's own layers."""
    p = Layout(config.shape).views(row_n[None])
    rnn = torch.nn.RNN(2, config.hidden, nonlinearity="relu", batch_first=True)
    out = torch.nn.Linear(config.hidden, 2)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(p["in.w"][0].T)
        rnn.weight_hh_l0.copy_(p["rec.w"][0].T)
        rnn.bias_ih_l0.copy_(p["in.b"][0])
        rnn.bias_hh_l0.copy_(p["rec.b"][0])
        out.weight.copy_(p["out.w"][0].T)
        out.bias.copy_(p["out.b"][0])
    return rnn, out


def gradient_of(rnn, out):
    """Gradients in the order of a row."""
    parts = (rnn.weight_ih_l0.grad.T, rnn.bias_ih_l0.grad, rnn.weight_hh_l0.grad.T,
             rnn.bias_hh_l0.grad, out.weight.grad.T, out.bias.grad)  # fmt: skip
    return torch.cat([part.flatten() for part in parts])


def test_loss_and_gradient_are_those_of_torchs_rnn_on_every_batch_of_an_epoch():
    """Of one length and of mixed ones, each sequence run by itself, unpadded."""
    configs = [tiny(), tiny(seed=2, batches="mixed", train_fraction=0.7)]
    pack = pack_of(*configs)
    pack.state.weights.add_(0.1)  # no bias is 0
    for step in range(int(pack.epoch_steps_M.max())):
        weights = pack.state.weights.clone().requires_grad_()
        step_M = torch.full((2,), step)
        losses = pack.loss(weights, step_M)
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        nodes, shares = pack.batch(step_M)
        for i, config in enumerate(configs):
            rnn, out = torch_network(config, pack.state.weights[i])
            outputs, targets = [], []
            for k in nodes[i][shares[i] > 0].tolist():
                bits = pack.symbols_KT[k, : pack.length_K[k]]
                onehot = torch.nn.functional.one_hot(bits, 2).float()[None]
                h = rnn(onehot, torch.ones(1, 1, config.hidden))[1][-1, 0]
                outputs.append(out(h))
                targets.append(torch.eye(2)[int(bits.sum()) % 2])
            loss = torch.nn.functional.mse_loss(torch.stack(outputs), torch.stack(targets))
            loss.backward()
            torch.testing.assert_close(losses[i].detach(), loss.detach())
            torch.testing.assert_close(gradient[i], gradient_of(rnn, out), rtol=1e-4, atol=1e-6)


def test_states_of_the_tree_are_those_after_each_sequence():
    pack = pack_of(tiny(), tiny(seed=2))
    p = pack.params(pack.state.weights)
    tree = hidden_of_tree(p, 4)
    symbols, length = (x.expand(2, *x.shape) for x in (pack.symbols_KT, pack.length_K))
    torch.testing.assert_close(hidden_after(p, symbols, length), tree)
    assert readout(p, tree).shape == (2, count(4), 2)


def test_weights_start_with_the_spread_of_xavier_and_biases_at_zero():
    config = tiny(hidden=100, gain=0.3)
    layout = Layout(config.shape)
    row = layout.init(seed=0, gain=0.3)
    assert row.shape == (layout.n,)
    p = layout.views(row[None])
    assert abs(float(p["rec.w"].std()) / (0.3 * (2 / 200) ** 0.5) - 1) < 0.05
    assert abs(float(p["in.w"].std()) / (0.3 * (2 / 102) ** 0.5) - 1) < 0.2
    assert not any(p[name].any() for name in ("in.b", "rec.b", "out.b"))
    ((start, rows, columns),) = layout.matrices
    assert torch.equal(row[start : start + rows * columns].view(rows, columns), p["rec.w"][0])


def test_sequences_are_numbered_as_a_tree():
    tree = all_sequences(3)
    assert len(tree.length_K) == count(3) == 15
    words = [
        "".join(map(str, s[:n])) for s, n in zip(tree.symbols_KT.tolist(), tree.length_K.tolist())
    ]
    assert words[:7] == ["", "0", "1", "00", "01", "10", "11"]
    assert len(set(words)) == 15
    for k in range(7):
        assert [words[2 * k + 1], words[2 * k + 2]] == [words[k] + "0", words[k] + "1"]
    assert tree.parity_K.tolist() == [word.count("1") % 2 for word in words]


def test_a_fraction_of_all_sequences_trains_which_follows_from_the_seed():
    kept = training_sequences(tiny(train_fraction=0.5, max_length=6))
    assert len(kept) == 63
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert 1 <= kept.min() <= kept.max() < count(6)
    assert not torch.equal(kept, training_sequences(tiny(train_fraction=0.5, max_length=6, seed=2)))
    assert len(training_sequences(tiny())) == 30
    assert len(training_sequences(tiny(train_fraction=1e-6))) == 1
