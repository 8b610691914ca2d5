import pytest
import torch

from grokmodel.core.optim import GROKFAST, MUON, SGD, Hyper, Optimizer, OptimState, orthogonalized

n, STEPS = 20, 50
LR = (1e-3, 1e-2, 3e-2)
WEIGHT_DECAY = (0.0, 1.0, 3.0)
BETA1 = (0.9, 0.0, 0.8)
BETA2 = (0.98, 0.999, 0.5)
EMA = (0.98, 0.0, 0.7)
NEVER = (0, 0, 0)
LATE_WEIGHT_DECAY = (2.0, 0.0, 0.5)
UNUSED = {"grokfast_decay": (0.9,) * 4, "grokfast_gain": (2.0,) * 4}
UNUSED |= {"muon_momentum": (0.95,) * 4, "weight_clip": (0.0,) * 4}
"""By AdamW without a clip."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hyper(warmup=NEVER, dtype=torch.float64, late=NEVER, cooldown=NEVER):
    values = {"lr": LR, "warmup": warmup, "weight_decay": WEIGHT_DECAY}
    values |= {"late_decay_from": late, "late_weight_decay": LATE_WEIGHT_DECAY}
    values |= {"steps": (STEPS,) * 3, "cooldown": cooldown}
    values |= {"beta1": BETA1, "beta2": BETA2, "ema": EMA} | {k: v[:3] for k, v in UNUSED.items()}
    return Hyper(**{name: torch.tensor(v, dtype=dtype) for name, v in values.items()})


def gradient(weights, step):
    """That of a bent bowl, so that the path matters, with some noise."""
    return weights**3 + weights + random(*weights.shape, seed=step).to(weights.dtype)


def run(warmup=NEVER, dtype=torch.float64, late=NEVER, cooldown=NEVER):
    """(STEPS, M, n) weights and averages after every update."""
    state = OptimState.start(random(len(LR), n, seed=99).to(dtype))
    optimizer = Optimizer(state, hyper(warmup, dtype, late, cooldown))
    weights, averages = [], []
    for step in range(STEPS):
        optimizer.update(gradient(state.weights, step))
        weights.append(state.weights.clone())
        averages.append(state.average.clone())
    return torch.stack(weights), torch.stack(averages)


def run_by_torch(i, warmup=0, late=0, cooldown=0):
    """(STEPS, n) weights of member i by torch.optim.AdamW."""
    p = torch.nn.Parameter(random(len(LR), n, seed=99)[i])
    optimizer = torch.optim.AdamW(
        [p], lr=LR[i], betas=(BETA1[i], BETA2[i]), weight_decay=WEIGHT_DECAY[i]
    )
    weights = []
    for step in range(STEPS):
        ramp = min(1, (step + 1) / max(warmup, 1), (STEPS - step) / max(cooldown, 1))
        optimizer.param_groups[0]["lr"] = LR[i] * ramp
        if late and step >= late:
            optimizer.param_groups[0]["weight_decay"] = LATE_WEIGHT_DECAY[i]
        all_rows = p.detach().repeat(len(LR), 1)  # the noise of row i is that of a pack
        p.grad = gradient(all_rows, step)[i]
        optimizer.step()
        weights.append(p.detach().clone())
    return torch.stack(weights)


@pytest.mark.parametrize("late", [NEVER, (20, 30, 0)])
def test_sgd_is_that_of_torch_after_a_decoupled_decay(late):
    state = OptimState.start(random(len(LR), n, seed=99), SGD)
    assert state.slow.shape == (len(LR), 0)
    optimizer = Optimizer(state, hyper((10, 1, 25), late=late), SGD)
    others = [torch.nn.Parameter(w.clone()) for w in state.weights]
    by_torch = [torch.optim.SGD([p], lr=1.0) for p in others]
    for step in range(STEPS):
        grad = gradient(state.weights, step)
        optimizer.update(grad)
        for i, (p, theirs) in enumerate(zip(others, by_torch, strict=True)):
            lr = LR[i] * min(1, (step + 1) / (10, 1, 25)[i])
            is_late = late[i] and step >= late[i]
            decay = LATE_WEIGHT_DECAY[i] if is_late else WEIGHT_DECAY[i]
            theirs.param_groups[0]["lr"], p.grad = lr, grad[i]
            with torch.no_grad():
                p.mul_(1 - lr * decay)
            theirs.step()
            torch.testing.assert_close(state.weights[i], p.detach(), rtol=1e-6, atol=1e-9)
    assert not state.first.any()
    assert not state.second.any()


@pytest.mark.parametrize(
    ("warmup", "late", "cooldown"),
    [
        (NEVER, NEVER, NEVER),
        ((10, 1, 25), NEVER, NEVER),
        ((10, 0, 25), NEVER, (20, STEPS, 40)),
        (NEVER, (20, 30, 0), NEVER),
    ],
)
@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [(torch.float64, 1e-6, 1e-9), (torch.float32, 1e-3, 1e-4)]
)
def test_every_member_moves_as_under_torch_adamw(warmup, late, cooldown, dtype, rtol, atol):
    weights, _ = run(warmup, dtype, late, cooldown)
    for i in range(len(LR)):
        expected = run_by_torch(i, warmup[i], late[i], cooldown[i])
        torch.testing.assert_close(weights[:, i].double(), expected, rtol=rtol, atol=atol)


def test_the_average_follows_the_weights_with_a_decay_that_grows_to_its_value():
    weights, averages = run()
    expected = random(len(LR), n, seed=99)
    for step in range(1, STEPS + 1):
        for i, ema in enumerate(EMA):
            decay = min(ema, step / (step + 10))
            expected[i] = decay * expected[i] + (1 - decay) * weights[step - 1, i]
        torch.testing.assert_close(averages[step - 1], expected, rtol=1e-6, atol=1e-7)


def test_members_that_share_a_launch_move_as_those_that_do_not():
    """Members 0 and 2 are alike and share a parameter group; 1 and 3 differ from them."""
    values = {"lr": (1e-2, 1e-3, 1e-2, 1e-2), "warmup": (5, 5, 5, 0), "weight_decay": (1.0,) * 4}
    values |= {"beta1": (0.9,) * 4, "beta2": (0.98,) * 4, "ema": (0.9,) * 4}
    values |= {"late_decay_from": (10, 10, 10, 0), "late_weight_decay": (3.0,) * 4}
    values |= {"steps": (20, 30, 20, 25), "cooldown": (8, 0, 8, 12)} | UNUSED
    together = {name: torch.tensor(v, dtype=torch.float64) for name, v in values.items()}
    start = random(4, n, seed=3)
    state = OptimState.start(start.clone())
    optimizer = Optimizer(state, Hyper(**together))
    assert sorted(rows for rows, _ in optimizer.groups) == [[0, 2], [1], [3]]
    alone = [OptimState.start(start[i : i + 1].clone()) for i in range(4)]
    each = [
        Optimizer(alone[i], Hyper(**{k: v[i : i + 1] for k, v in together.items()}))
        for i in range(4)
    ]
    for step in range(20):
        grad = gradient(state.weights, step)
        optimizer.update(grad)
        for i in range(4):
            each[i].update(grad[i : i + 1])
    for name, rows in vars(state).items():
        assert torch.equal(rows, torch.cat([getattr(a, name) for a in alone])), name


def test_a_state_is_taken_over_wherever_it_stands():
    """Ten updates, a new optimizer on the same state, ten more: as twenty without a break."""
    straight, broken = (OptimState.start(random(len(LR), n)) for _ in range(2))
    ramps = hyper(warmup=(15, 0, 3), late=(8, 12, 0), cooldown=(45, 0, 35))
    first = Optimizer(straight, ramps)
    for step in range(20):
        if step % 10 == 0:
            second = Optimizer(broken, ramps)
        first.update(gradient(straight.weights, step))
        second.update(gradient(broken.weights, step))
    for name, rows in vars(straight).items():
        assert torch.equal(rows, getattr(broken, name)), name


# --- Grokfast, Muon, clipped weights --------------------------------------------------------------


def test_grokfast_moves_as_adamw_on_gradients_with_their_slow_part_amplified():
    start = random(3, n, seed=4)
    filtered, plain = OptimState.start(start.clone(), GROKFAST), OptimState.start(start.clone())
    first, second = Optimizer(filtered, hyper(), GROKFAST), Optimizer(plain, hyper())
    slow = torch.zeros_like(start)
    for step in range(STEPS):
        grad = gradient(start, step)
        slow = 0.9 * slow + 0.1 * grad
        first.update(grad.clone())
        second.update(grad + 2 * slow)
    torch.testing.assert_close(filtered.weights, plain.weights)


def test_muon_moves_a_matrix_by_its_orthogonalized_gradient_and_leaves_the_rest_to_adamw():
    rows, columns = 3, 5
    start = random(3, n, seed=4)
    state, plain = OptimState.start(start.clone(), MUON), OptimState.start(start.clone())
    grad = random(3, n, seed=5)
    Optimizer(state, hyper(), MUON, [(2, rows, columns)]).update(grad.clone())
    Optimizer(plain, hyper()).update(grad)
    matrix = slice(2, 2 + rows * columns)
    # momentum has begun with this gradient, and is in its direction
    direction = orthogonalized(grad[:, matrix].view(3, rows, columns)).flatten(1)
    for i, (lr, decay) in enumerate(zip(LR, WEIGHT_DECAY, strict=True)):
        moved = (1 - lr * decay) * start[i, matrix] - state.weights[i, matrix]
        torch.testing.assert_close(moved, lr * 0.2 * columns**0.5 * direction[i])
    state.weights[:, matrix] = plain.weights[:, matrix] = 0
    assert torch.equal(state.weights, plain.weights)


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (9, 2)])
def test_an_orthogonalized_matrix_keeps_its_singular_vectors_and_their_values_are_near_one(shape):
    x = random(2, *shape, seed=1)
    u, _, vh = torch.linalg.svd(x, full_matrices=False)
    inside = u.mT @ orthogonalized(x) @ vh.mT
    values = inside.diagonal(dim1=1, dim2=2)
    torch.testing.assert_close(inside, torch.diag_embed(values), rtol=0, atol=1e-6)
    assert 0.6 < values.min() <= values.max() < 1.3


def test_a_clip_scales_matrices_back_that_are_too_large_and_nothing_else():
    start = random(3, n, seed=4)
    clipped, plain = OptimState.start(start.clone()), OptimState.start(start.clone())
    limit = torch.tensor([0.5, 0.0, 100.0], dtype=torch.float64)
    limits = Hyper(**vars(hyper()) | {"weight_clip": limit})
    Optimizer(clipped, limits, matrices=[(2, 3, 5)]).update(gradient(start, 0))
    Optimizer(plain, hyper()).update(gradient(start, 0))
    matrix = slice(2, 17)
    spread = clipped.weights[0, matrix].square().mean().sqrt() * 3**0.5
    assert spread.item() == pytest.approx(0.5)
    factor = clipped.weights[0, matrix] / plain.weights[0, matrix]
    torch.testing.assert_close(factor, factor[:1].expand(15))
    clipped.weights[0, matrix] = plain.weights[0, matrix] = 0
    assert torch.equal(clipped.weights, plain.weights)
