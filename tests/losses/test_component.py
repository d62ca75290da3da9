import pytest
import torch

from unweave.errors import ParameterError
from unweave.losses import ComponentLoss, component_loss


def magnitudes(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(*shape, dtype=torch.float64, generator=generator) for _ in range(3)]


def formula(mask, target, residual, alpha, beta):
    """The published equation, example by example."""
    values = []
    for m, y, r in zip(mask, target, residual, strict=True):
        filtered, unit = m * r, r / torch.linalg.vector_norm(r)
        total = (1 - alpha - beta) * ((m * y - y) ** 2).sum() + alpha * (filtered**2).sum()
        total += beta * ((filtered / torch.linalg.vector_norm(filtered) - unit) ** 2).sum()
        values.append(total / m.numel())
    return torch.stack(values)


@pytest.mark.parametrize("shape", [(4,), (4, 7), (2, 1, 5, 3), (3, 5, 4, 2, 1)])
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.0), (0.3, 0.5), (0.0, 0.0)])
def test_it_is_the_published_equation_in_any_shape(shape, alpha, beta):
    inputs = magnitudes(*shape)
    expected = formula(*inputs, alpha, beta)
    kept = [x.clone() for x in inputs]
    for reduction, value in (
        ("none", expected),
        ("mean", expected.mean()),
        ("sum", expected.sum()),
    ):
        got = component_loss(*inputs, alpha=alpha, beta=beta, reduction=reduction)
        torch.testing.assert_close(got, value)
    layer = ComponentLoss(alpha=alpha, beta=beta)
    torch.testing.assert_close(layer(*inputs), expected.mean())
    assert all(torch.equal(a, b) for a, b in zip(inputs, kept, strict=True))


def test_known_values_of_each_component():
    ones = torch.ones(2, 3, 4)
    half = 0.5 * ones
    assert float(component_loss(half, 2 * ones, ones, alpha=0.0)) == pytest.approx(1.0)
    assert float(component_loss(half, ones, 4 * ones, alpha=0.5)) == pytest.approx(0.125 + 2.0)
    # A mask that keeps one of two equal bins turns the residual by 45 degrees: |d|^2 = 2 - sqrt(2).
    mask, flat = torch.tensor([[1.0, 0.0]]), torch.ones(1, 2)
    third = component_loss(mask, flat * 0, flat, alpha=0.0, beta=0.5)
    assert float(third) == pytest.approx(0.25 * (2 - 2**0.5))


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_gradients(beta):
    mask, target, residual = magnitudes(2, 3, 2)
    mask.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m: component_loss(m, target, residual, alpha=0.3, beta=beta), (mask,)
    )


def test_gradients_on_silence_are_finite():
    mask = torch.zeros(2, 5, requires_grad=True)
    for target, residual in (magnitudes(2, 5)[:2], (torch.zeros(2, 5), torch.zeros(2, 5))):
        component_loss(mask, target.float(), residual.float(), alpha=0.2, beta=0.3).backward()
        assert torch.isfinite(mask.grad).all()


def test_the_best_mask_is_silence_only_where_a_warning_says_so():
    _, target, residual = magnitudes(1, 50)

    def optimum(**weights):
        mask = torch.full((1, 50), 0.5, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([mask], lr=0.02)
        for _ in range(300):
            optimiser.zero_grad()
            component_loss(mask, target, residual, **weights).backward()
            optimiser.step()
        return float(mask.detach().abs().mean())

    assert optimum() > 0.3
    with pytest.warns(UserWarning, match="best mask is silence"):
        assert optimum(alpha=0.2, beta=0.8) < 0.02


def test_the_documented_example_runs():
    mask, target, residual = (x.float() for x in magnitudes(4, 16, 8, 1))
    mask.requires_grad_()
    with pytest.warns(UserWarning, match="alpha=0.2 and beta=0.8"):
        loss = component_loss(mask=mask, target=target, residual=residual, alpha=0.2, beta=0.8)
    loss.backward()
    assert loss.item() > 0
    with pytest.warns(UserWarning, match="silence"):
        ComponentLoss(alpha=1.0)


def test_half_precision_neither_overflows_nor_stalls():
    ones = torch.ones(1, 100_000, dtype=torch.bfloat16)
    loss = component_loss(0.5 * ones, ones, ones, alpha=0.5)
    assert loss.dtype == torch.bfloat16
    assert float(loss) == 0.25


def test_errors():
    x = torch.ones(2, 3)
    with pytest.raises(ParameterError, match="same shape"):
        component_loss(x, x, torch.ones(2, 4))
    with pytest.raises(ParameterError, match="same shape"):
        component_loss(torch.tensor(1.0), torch.tensor(1.0), torch.tensor(1.0))
    with pytest.raises(ParameterError, match="at most 1"):
        component_loss(x, x, x, alpha=0.7, beta=0.4)
    with pytest.raises(ParameterError, match="at least 0"):
        ComponentLoss(alpha=-0.1)
    with pytest.raises(ParameterError, match="floating"):
        component_loss(x.long(), x, x)
    with pytest.raises(ParameterError, match="reduction"):
        component_loss(x, x, x, reduction="avg")
