"""The EM algorithm: norbert's where that is meant, and exact."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import expectation_maximization, softmask
from unweave.filtering._regular import LOADING

SETTINGS = settings(max_examples=15, deadline=None)


def problem(sources=3, channels=2, freq=6, frames=25, seed=0, dtype=torch.complex128):
    made = torch.Generator().manual_seed(seed)
    shape = (sources, channels, freq, frames)
    y = torch.randn(shape, dtype=dtype, generator=made)
    y = y * torch.rand(sources, 1, freq, frames, generator=made) ** 3
    return y, y.sum(0) + 0.1 * torch.randn(shape[1:], dtype=dtype, generator=made)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
@pytest.mark.parametrize("n_iter", [0, 1, 2, 4])
@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_norbert_is_reproduced_with_its_regularisation(norbert, channels, n_iter, backend):
    y, x = (part.numpy() for part in problem(channels=channels))
    expected = norbert.expectation_maximization(
        y.transpose(3, 2, 1, 0).copy(), x.transpose(2, 1, 0), n_iter, eps=1e-9
    )
    got = expectation_maximization(y, x, n_iter=n_iter, eps=1e-9, backend=backend)
    assert abs(got[0].transpose(3, 2, 1, 0) - expected[0]).max() < 1e-6 * abs(x).max()
    assert abs(got[1][:, 0].transpose(2, 1, 0) - expected[1]).max() < 1e-6 * expected[1].max(
        initial=1
    )
    assert abs(got[2].transpose(1, 2, 3, 0) - expected[2]).max() < 1e-6


def test_one_iteration_is_the_formula():
    y, x = problem(2, 3, 4, 5)
    found, psd, covariances = expectation_maximization(y, x, n_iter=1)
    for f in range(4):
        v = y[:, :, f].abs().square().mean(1)
        R = torch.einsum("jct,jdt->jcd", y[:, :, f], y[:, :, f].conj()) / v.sum(-1)[:, None, None]
        torch.testing.assert_close(psd[:, 0, f], v)
        torch.testing.assert_close(covariances[:, f], R)
        for t in range(5):
            models = v[:, t, None, None] * (R + LOADING * torch.eye(3))
            expected = models @ torch.linalg.inv(models.sum(0)) @ x[:, f, t]
            torch.testing.assert_close(found[:, :, f, t], expected, rtol=1e-5, atol=1e-7)


def penalised(x, v, R):
    """Give the log-likelihood of each frequency, and the penalty that loading comes from."""
    covariance = torch.einsum("jft,jfcd->ftcd", v[:, 0].to(R.dtype), R)
    z = torch.linalg.solve(covariance, x.movedim(0, -1))
    fit = (x.movedim(0, -1).conj() * z).sum(-1).real
    likelihood = -(fit + torch.linalg.slogdet(covariance)[1]).sum(-1)
    penalty = torch.linalg.inv(R).diagonal(dim1=-2, dim2=-1).sum(-1).real.sum(0)
    return likelihood - LOADING * x.shape[-1] * penalty


@given(
    sources=st.integers(1, 4),
    channels=st.integers(1, 4),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    seed=st.integers(0, 999),
)
@SETTINGS
def test_the_exact_algorithm_never_lowers_the_likelihood(sources, channels, scale, seed):
    y, x = problem(sources, channels, seed=seed)
    y, x = scale * y, scale * x
    values = []
    for n_iter in (1, 2, 3, 5, 9, 17):
        _, v, R = expectation_maximization(y, x, n_iter=n_iter, exact=True)
        values.append(penalised(x, v, R))
    for earlier, later in itertools.pairwise(values):
        assert (later >= earlier - 1e-7 * earlier.abs()).all()
    assert (values[-1] > values[0]).all() or sources * channels == 1


def test_the_default_algorithm_may_lower_it_as_norberts_does(norbert):
    # The densities of one channel, once they sum to the power of the mixture, are the best there
    # are; the estimates of two equal sources have half of that power together.
    x = torch.ones(1, 1, 4, dtype=torch.complex128)
    y = torch.full((2, 1, 1, 4), 0.5**0.5, dtype=torch.complex128)
    values = []
    for n_iter in (1, 2):
        _, v, R = expectation_maximization(y, x, n_iter=n_iter)
        values.append(penalised(x, v, R + LOADING))
        theirs = norbert.expectation_maximization(
            y.permute(3, 2, 1, 0).numpy().copy(), x.permute(2, 1, 0).numpy(), n_iter, eps=1e-12
        )
        np.testing.assert_allclose(v[:, 0].permute(2, 1, 0), theirs[1], rtol=1e-5)
    assert values[1] < values[0] - 0.1


def test_both_algorithms_return_estimates_that_sum_to_the_mixture():
    y, x = problem(dtype=torch.complex64)
    for exact in (False, True):
        for n_iter in (1, 3):
            found, _, _ = expectation_maximization(y, x, n_iter=n_iter, exact=exact)
            assert found.dtype == torch.complex64
            assert (found.sum(0) - x).abs().max() < 1e-5 * x.abs().max()


def test_point_sources_are_found_again():
    made = torch.Generator().manual_seed(0)
    wave = torch.randn(2, 1, 3, 200, dtype=torch.complex128, generator=made)
    wave = wave * torch.rand(2, 1, 1, 200, generator=made) ** 4
    y = wave * torch.tensor([[0.9, 0.4], [0.3, 1.0]])[:, :, None, None]
    found, _, R = expectation_maximization(y, y.sum(0), n_iter=1)
    assert (found - y).abs().max() < 1e-3 * y.abs().max()
    ranks = torch.linalg.eigvalsh(R)
    assert (ranks[..., 0] < 1e-9).all()


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("exact", [False, True])
def test_leading_axes_are_free(lead, exact):
    y, x = problem(dtype=torch.complex64)
    many = y.expand(*lead, *y.shape), x.expand(*lead, *x.shape)
    for got, expected in zip(
        expectation_maximization(*many, exact=exact),
        expectation_maximization(y, x, exact=exact),
        strict=True,
    ):
        torch.testing.assert_close(got, expected.expand_as(got), rtol=1e-4, atol=1e-5)


def test_no_iterations_return_a_copy_and_an_empty_model():
    y, x = problem()
    found, v, R = expectation_maximization(y, x, n_iter=0)
    assert torch.equal(found, y)
    assert found.data_ptr() != y.data_ptr()
    assert not v.any()
    assert not R.any()
    assert v.shape == (3, 1, 6, 25)
    assert R.shape == (3, 6, 2, 2)


@pytest.mark.parametrize("shape", [(0, 2, 6, 25), (3, 2, 0, 25), (3, 2, 6, 0)])
def test_empty_problems_have_empty_results(shape):
    y = torch.ones(shape, dtype=torch.complex64)
    found, v, R = expectation_maximization(y, y.new_ones(shape[1:]))
    assert found.shape == shape
    assert v.shape == (shape[0], 1, *shape[2:])
    assert R.shape == (shape[0], shape[2], 2, 2)


def test_progress_is_shown_on_standard_error(capsys):
    y, x = problem()
    expectation_maximization(y, x, verbose=True)
    shown = capsys.readouterr()
    assert "EM" in shown.err
    assert not shown.out
    expectation_maximization(y, x)
    assert not capsys.readouterr().err


@pytest.mark.parametrize("exact", [False, True])
def test_gradients_are_right(exact):
    y, x = problem(2, 2, 2, 6)
    y, x = y.requires_grad_(), x.requires_grad_()
    # Regularised by more than a little, for finite differences of singular models are far off.
    assert torch.autograd.gradcheck(
        lambda y, x: expectation_maximization(y, x, n_iter=2, eps=1e-2, exact=exact), (y, x)
    )


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_gradients_are_finite_in_silence(channels):
    for exact in (False, True):
        y = torch.zeros(2, channels, 3, 4, dtype=torch.complex128, requires_grad=True)
        found, _, _ = expectation_maximization(y, y[0], exact=exact)
        found.abs().sum().backward()
        assert y.grad.isfinite().all()
        assert found.isfinite().all()


def test_what_does_not_fit_is_refused():
    y, x = problem()
    with pytest.raises(ParameterError, match="must be complex spectrograms of the sources"):
        expectation_maximization(y.abs(), x)
    with pytest.raises(ParameterError, match="does not fit a mixture"):
        expectation_maximization(y[:, :1], x)
    with pytest.raises(ParameterError, match="no exact=True"):
        expectation_maximization(y, x, exact=True, backend="compiled")
    with pytest.raises(ParameterError, match="n_iter=True"):
        expectation_maximization(y, x, n_iter=True)


def test_it_refines_the_estimates_of_masks():
    y, _ = problem(3, 1, 20, 200)
    y = y * torch.tensor([[1.0, 0.1], [0.1, 1.0], [0.7, -0.7]])[:, :, None, None]
    x = y.sum(0)
    rough = softmask(y.abs(), x)
    fine, _, _ = expectation_maximization(rough, x, n_iter=1)
    assert (fine - y).abs().square().sum() < (rough - y).abs().square().sum()
