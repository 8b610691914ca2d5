"""Networks whose automaton is known."""

import torch


def params(**arrays):
    """Parameters of one network, with a member axis of 1."""
    return {name.replace("_", "."): torch.tensor([value]) for name, value in arrays.items()}


def parity_network():
    """Units p = ReLU(x - a), q = ReLU(a - x) and r, which is 1 at the start only; a = p + q - 2r is
    the parity so far, and |x - a| that with x.

    Even sequences end in (0, 0, 0), odd ones in (1, 0, 0) if they end in 1 and in (0, 1, 0) if not.
    """
    return params(
        in_w=[[0.0, 0.0, 0.0], [1.0, -1.0, 0.0]],
        in_b=[0.0, 0.0, 0.0],
        rec_w=[[-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [2.0, -2.0, 0.0]],
        rec_b=[0.0, 0.0, 0.0],
        out_w=[[-1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]],
        out_b=[0.5, -0.5],
    )


def counting_network():
    """One unit, h <- 2 h + x: another number for every sequence."""
    return params(
        in_w=[[0.0], [1.0]],
        in_b=[0.0],
        rec_w=[[2.0]],
        rec_b=[0.0],
        out_w=[[0.0, 0.0]],
        out_b=[0.0, 0.0],
    )
