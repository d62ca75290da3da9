import pytest
import torch
from torch.distributions import Normal, kl_divergence

from unweave.errors import ParameterError
from unweave.losses import kl_div_loss


def latent(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(*shape, dtype=dtype, generator=generator)
    return mu, 0.1 + torch.rand(*shape, dtype=dtype, generator=generator)


def test_it_is_the_divergence_from_the_standard_normal_distribution():
    mu, sigma = latent(3, 4, 5)
    expected = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0))
    torch.testing.assert_close(kl_div_loss(mu, sigma), expected.sum())
    torch.testing.assert_close(kl_div_loss(mu, sigma, reduction="none"), expected)
    torch.testing.assert_close(kl_div_loss(mu, sigma, reduction="mean"), expected.mean())
    torch.testing.assert_close(kl_div_loss(mu, sigma, reduction="batchmean"), expected.sum() / 3)


def test_known_values():
    zero, one = torch.zeros(2, 3), torch.ones(2, 3)
    assert float(kl_div_loss(zero, one)) == 0
    assert float(kl_div_loss(2 * one, one)) == pytest.approx(12)
    # sigma = e: (e^2 - 2 - 1) / 2
    assert float(kl_div_loss(zero, torch.e * one, reduction="mean")) == pytest.approx(2.194528)


def test_gradients():
    mu, sigma = (x.requires_grad_() for x in latent(2, 3))
    assert torch.autograd.gradcheck(kl_div_loss, (mu, sigma))


def test_no_deviation_at_all_has_a_finite_loss_and_gradient():
    mu, sigma = torch.zeros(3, requires_grad=True), torch.zeros(3, requires_grad=True)
    loss = kl_div_loss(mu, sigma)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(sigma.grad).all()


def test_half_precision_is_summed_in_single():
    mu = torch.ones(5000, dtype=torch.bfloat16)
    loss = kl_div_loss(mu, mu)
    assert loss.dtype == torch.bfloat16
    assert float(loss) == pytest.approx(2500, rel=0.01)


def test_errors():
    with pytest.raises(ParameterError, match="same shape"):
        kl_div_loss(torch.zeros(2), torch.ones(3))
    with pytest.raises(ParameterError, match="reduction"):
        kl_div_loss(torch.zeros(2), torch.ones(2), reduction="avg")
    with pytest.raises(ParameterError, match="floating"):
        kl_div_loss(torch.zeros(2).long(), torch.ones(2))
