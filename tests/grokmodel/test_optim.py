import pytest
import torch

from grokmodel.optim import Hyper, OptimState, update

n, STEPS = 20, 50
LR = (1e-3, 1e-2, 3e-2)
WEIGHT_DECAY = (0.0, 1.0, 3.0)
BETA1 = (0.9, 0.0, 0.8)
BETA2 = (0.98, 0.999, 0.5)
EMA = (0.98, 0.0, 0.7)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hyper(warmup=(0, 0, 0), dtype=torch.float64):
    values = {"lr": LR, "warmup": warmup, "weight_decay": WEIGHT_DECAY}
    values |= {"beta1": BETA1, "beta2": BETA2, "ema": EMA}
    return Hyper(**{name: torch.tensor(v, dtype=dtype) for name, v in values.items()})


def gradient(weights, step):
    """That of a bent bowl, so that the path matters, with some noise."""
    return weights**3 + weights + random(*weights.shape, seed=step).to(weights.dtype)


def run(warmup=(0, 0, 0), dtype=torch.float64):
    """(STEPS, M, n) weights and averages after every update."""
    state = OptimState.start(random(len(LR), n, seed=99).to(dtype))
    weights, averages = [], []
    for step in range(STEPS):
        update(state, gradient(state.weights, step), hyper(warmup, dtype))
        weights.append(state.weights.clone())
        averages.append(state.average.clone())
    return torch.stack(weights), torch.stack(averages)


def run_by_torch(i, warmup=0):
    """(STEPS, n) weights of member i by torch.optim.AdamW."""
    p = torch.nn.Parameter(random(len(LR), n, seed=99)[i])
    optimizer = torch.optim.AdamW(
        [p], lr=LR[i], betas=(BETA1[i], BETA2[i]), weight_decay=WEIGHT_DECAY[i]
    )
    weights = []
    for step in range(STEPS):
        optimizer.param_groups[0]["lr"] = LR[i] * min(1, (step + 1) / max(warmup, 1))
        all_rows = p.detach().repeat(len(LR), 1)  # the noise of row i is that of a pack
        p.grad = gradient(all_rows, step)[i]
        optimizer.step()
        weights.append(p.detach().clone())
    return torch.stack(weights)


def test_every_member_moves_as_under_torch_adamw():
    weights, _ = run()
    for i in range(len(LR)):
        torch.testing.assert_close(weights[:, i], run_by_torch(i), rtol=1e-6, atol=1e-9)


def test_in_single_precision_too():
    weights, _ = run(dtype=torch.float32)
    for i in range(len(LR)):
        torch.testing.assert_close(weights[:, i].double(), run_by_torch(i), rtol=1e-3, atol=1e-4)


def test_the_learning_rate_warms_up_linearly_for_each_member():
    warmup = (10, 1, 25)
    weights, _ = run(warmup)
    for i in range(len(LR)):
        torch.testing.assert_close(weights[:, i], run_by_torch(i, warmup[i]), rtol=1e-6, atol=1e-9)


def test_the_average_follows_the_weights_with_a_decay_that_grows_to_its_value():
    weights, averages = run()
    expected = random(len(LR), n, seed=99)
    for step in range(1, STEPS + 1):
        for i, ema in enumerate(EMA):
            decay = min(ema, step / (step + 10))
            expected[i] = decay * expected[i] + (1 - decay) * weights[step - 1, i]
        torch.testing.assert_close(averages[step - 1], expected, rtol=1e-6, atol=1e-7)


def test_without_averaging_the_average_is_the_weights():
    weights, averages = run()
    assert EMA[1] == 0
    assert torch.equal(averages[:, 1], weights[:, 1])


def test_weight_decay_shrinks_weights_that_get_no_gradient():
    state = OptimState.start(random(len(LR), n))
    start = state.weights.clone()
    for _ in range(STEPS):
        update(state, torch.zeros_like(start), hyper())
    shrunk = (1 - torch.tensor(LR).double() * torch.tensor(WEIGHT_DECAY).double()) ** STEPS
    torch.testing.assert_close(state.weights, start * shrunk[:, None], rtol=1e-6, atol=0)


def test_the_step_counter_counts_updates_of_each_member():
    state = OptimState.start(random(len(LR), n))
    state.step += torch.tensor([0, 10, 100])
    update(state, torch.zeros(len(LR), n).double(), hyper())
    assert state.step.tolist() == [1, 11, 101]


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_member_whose_gradient_is_not_finite_leaves_the_others_alone(bad):
    healthy, sick = (OptimState.start(random(len(LR), n)) for _ in range(2))
    for step in range(5):
        grad = gradient(healthy.weights, step)
        update(sick, grad.index_fill(0, torch.tensor([1]), bad), hyper())
        update(healthy, grad, hyper())
    assert not torch.isfinite(sick.weights[1]).any()
    for rows in vars(healthy):
        assert torch.equal(getattr(sick, rows)[[0, 2]], getattr(healthy, rows)[[0, 2]])
