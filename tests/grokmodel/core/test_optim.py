import pytest
import torch

from grokmodel.core.optim import Hyper, Optimizer, OptimState

n, STEPS = 20, 50
LR = (1e-3, 1e-2, 3e-2)
WEIGHT_DECAY = (0.0, 1.0, 3.0)
BETA1 = (0.9, 0.0, 0.8)
BETA2 = (0.98, 0.999, 0.5)
EMA = (0.98, 0.0, 0.7)
NEVER = (0, 0, 0)
LATE_WEIGHT_DECAY = (2.0, 0.0, 0.5)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hyper(warmup=NEVER, dtype=torch.float64, late=NEVER, cooldown=NEVER):
    values = {"lr": LR, "warmup": warmup, "weight_decay": WEIGHT_DECAY}
    values |= {"late_decay_from": late, "late_weight_decay": LATE_WEIGHT_DECAY}
    values |= {"steps": (STEPS,) * 3, "cooldown": cooldown}
    values |= {"beta1": BETA1, "beta2": BETA2, "ema": EMA}
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
    values |= {"steps": (20, 30, 20, 25), "cooldown": (8, 0, 8, 12)}
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
