"""Masks, ideal masks and the multichannel oracle against direct formulas and their own limits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import binary_mask, ideal_binary_mask, ideal_ratio_mask, oracle_wiener

SETTINGS = settings(deadline=None, max_examples=25)


def spectra(*shape: int, seed: int = 0, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def sdr(estimate: torch.Tensor, truth: torch.Tensor) -> float:
    error = (estimate - truth).abs().square().sum()
    return float(10 * torch.log10(truth.abs().square().sum() / error))


def test_binary_masks_give_each_bin_to_the_loudest():
    v, x = spectra(3, 2, 5, 7).abs(), spectra(2, 5, 7)
    y = binary_mask(v, x)
    for bin_ in np.ndindex(2, 5, 7):
        loudest = max(range(3), key=lambda j, at=bin_: v[(j, *at)])
        for j in range(3):
            assert y[(j, *bin_)] == (x[bin_] if j == loudest else 0)


def test_binary_masks_of_mono_models_serve_all_channels():
    v, x = spectra(3, 1, 5, 7).abs(), spectra(2, 5, 7)
    torch.testing.assert_close(binary_mask(v, x), binary_mask(v.expand(3, 2, 5, 7), x))
    torch.testing.assert_close(binary_mask(v) * x, binary_mask(v, x))


def test_binary_masks_settle_ties_and_silence():
    v = torch.tensor([[0.0, 2.0, 1.0], [0.0, 2.0, 3.0]]).reshape(2, 1, 1, 3)
    expected = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(binary_mask(v).reshape(2, 3), expected)


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.bool])
def test_binary_masks_take_whole_numbers(dtype):
    v = torch.tensor([0, 1]).reshape(2, 1, 1, 1).to(dtype)
    assert binary_mask(v).flatten().tolist() == [0, 1]
    assert binary_mask(v).dtype == torch.float32


@given(alpha=st.sampled_from([0.5, 1, 1.3, 2, 4]), scale=st.sampled_from([1e-20, 1e-6, 1, 1e15]))
@SETTINGS
def test_ideal_ratio_masks_are_shares_at_any_scale(alpha, scale):
    references = spectra(3, 2, 5, 7)
    power = references.abs() ** alpha
    found = ideal_ratio_mask(references * scale, alpha=alpha)
    torch.testing.assert_close(found, power / power.sum(0))
    single = ideal_ratio_mask((references * scale).to(torch.complex64), alpha=alpha)
    torch.testing.assert_close(single.double(), found, atol=1e-5, rtol=0)


def test_ideal_masks_are_zero_in_silence_and_sum_to_one_elsewhere():
    references = spectra(4, 2, 5, 7)
    references[..., 3] = 0
    for masks in (ideal_ratio_mask(references), ideal_binary_mask(references)):
        total = masks.sum(0)
        assert (total[..., 3] == 0).all()
        torch.testing.assert_close(total[..., :3], torch.ones_like(total[..., :3]))


def test_ideal_binary_masks_follow_the_local_criterion():
    references = spectra(3, 2, 5, 7)
    for threshold in (-6.0, 0.0, 3.0):
        found = ideal_binary_mask(references, threshold=threshold)
        for j in range(3):
            rest = sum(references[k] for k in range(3) if k != j)
            level = 20 * torch.log10(references[j].abs() / rest.abs())
            torch.testing.assert_close(found[j], (level > threshold).double())


def test_two_equal_definitions_of_binary_masks_agree_for_two_sources():
    references = spectra(2, 2, 5, 7)
    torch.testing.assert_close(
        ideal_binary_mask(references), ideal_binary_mask(references, threshold=0)
    )
    torch.testing.assert_close(ideal_binary_mask(references), binary_mask(references.abs()))


def test_masks_given_a_mixture_are_applied_to_it():
    references = spectra(3, 2, 5, 7)
    x = references.sum(0)
    for function in (ideal_ratio_mask, ideal_binary_mask):
        torch.testing.assert_close(function(references, x), function(references) * x)


def test_better_oracles_separate_better():
    generator = torch.Generator().manual_seed(3)
    levels = torch.rand(3, 1, 33, 60, generator=generator) ** 4
    pan = torch.tensor([[1.0, 0.2], [0.7, 0.7], [0.2, 1.0]])[:, :, None, None]
    references = pan * levels * spectra(3, 1, 33, 60, dtype=torch.complex64)
    x = references.sum(0)
    reached = [
        sdr(y, references)
        for y in (
            binary_mask(torch.ones(3, 1, 33, 60), x),
            ideal_ratio_mask(references, x),
            oracle_wiener(references, x),
            oracle_wiener(references, x, width=0),
        )
    ]
    assert reached == sorted(reached)
    assert reached[2] > reached[1] + 3


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_the_local_oracle_is_the_filter_of_local_covariances(channels):
    references, x = spectra(2, channels, 3, 8), spectra(channels, 3, 8, seed=1)
    width = 2
    found = oracle_wiener(references, x, width=width)
    for f, t in np.ndindex(3, 8):
        near = references[..., f, max(0, t - width) : t + width + 1]
        local = torch.einsum("jcn,jdn->jcd", near, near.conj())
        power = references[..., f, t].abs().square().sum(-1)
        local = local / local.diagonal(dim1=-2, dim2=-1).sum(-1)[:, None, None]
        local = power[:, None, None] * (local + 1e-7 / channels * torch.eye(channels))
        expected = local @ torch.linalg.solve(local.sum(0), x[:, f, t])
        torch.testing.assert_close(found[..., f, t], expected, rtol=1e-6, atol=1e-8)


def test_an_oracle_as_wide_as_the_signal_is_the_one_without_a_width():
    references = spectra(3, 2, 5, 20)
    whole = oracle_wiener(references, references.sum(0))
    torch.testing.assert_close(oracle_wiener(references, references.sum(0), width=20), whole)


@given(width=st.sampled_from([None, 0, 1, 40]), scale=st.sampled_from([1e-6, 1.0, 1e6]))
@SETTINGS
def test_oracles_sum_to_the_mixture_at_any_scale(width, scale):
    references = spectra(3, 2, 5, 7)
    references[:, :, 2] = 0
    references[1] = 0
    x = references.sum(0)
    found = oracle_wiener(references, x, width=width)
    torch.testing.assert_close(found.sum(0), x, rtol=1e-6, atol=1e-8)
    scaled = oracle_wiener(references * scale, x * scale, width=width)
    torch.testing.assert_close(scaled / scale, found, rtol=1e-6, atol=1e-8)
    assert (found[1] == 0).all()


def test_oracles_in_blocks_equal_oracles_at_once(monkeypatch):
    references = spectra(3, 2, 50, 20)
    whole = oracle_wiener(references, references.sum(0), width=3)
    monkeypatch.setattr("unweave.filtering.oracle._BLOCK", 1000)
    blocks = oracle_wiener(references, references.sum(0), width=3)
    torch.testing.assert_close(blocks, whole)


@pytest.mark.parametrize("function", [binary_mask, ideal_ratio_mask, ideal_binary_mask])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_leading_axes_are_free(function, lead):
    models, x = spectra(*lead, 3, 2, 5, 7).abs(), spectra(*lead, 2, 5, 7)
    found = function(models, x)
    assert found.shape == models.shape
    for at in np.ndindex(*lead):
        torch.testing.assert_close(found[at], function(models[at], x[at]))


@pytest.mark.parametrize("width", [None, 1])
def test_oracles_take_leading_axes(width):
    references = spectra(2, 3, 3, 2, 5, 7)
    found = oracle_wiener(references, references.sum(-4), width=width)
    for at in np.ndindex(2, 3):
        one = oracle_wiener(references[at], references[at].sum(-4), width=width)
        torch.testing.assert_close(found[at], one)


@pytest.mark.parametrize("function", [binary_mask, ideal_ratio_mask, ideal_binary_mask])
def test_numpy_in_numpy_out_and_nothing_is_modified(function):
    models, x = spectra(3, 2, 5, 7).abs(), spectra(2, 5, 7, dtype=torch.complex64)
    given_models, given_x = models.numpy().copy(), x.numpy().copy()
    given_models.flags.writeable = given_x.flags.writeable = False
    found = function(given_models, given_x)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.complex64
    np.testing.assert_array_equal(found, function(models, x).numpy())
    np.testing.assert_array_equal(given_models, models.numpy())
    np.testing.assert_array_equal(given_x, x.numpy())
    assert function(given_models).dtype == np.float64


def test_gradients():
    references = spectra(2, 2, 3, 4).requires_grad_()
    x = spectra(2, 3, 4, seed=1).requires_grad_()
    for alpha in (1.0, 1.5, 2.0):
        assert torch.autograd.gradcheck(
            lambda r, m, alpha=alpha: ideal_ratio_mask(r, m, alpha=alpha), (references, x)
        )
    assert torch.autograd.gradcheck(lambda m: binary_mask(references.detach().abs(), m), x)
    for width in (0, 1):
        assert torch.autograd.gradcheck(
            lambda r, m, width=width: oracle_wiener(r, m, width=width), (references, x), atol=1e-4
        )


def test_gradients_are_finite_in_silence():
    references = torch.zeros(2, 2, 3, 4, dtype=torch.complex64, requires_grad=True)
    for alpha in (0.5, 1.0, 2.0):
        ideal_ratio_mask(references, alpha=alpha).sum().backward()
    oracle_wiener(references, torch.ones(2, 3, 4) + 0j, width=1).abs().sum().backward()
    assert torch.isfinite(torch.view_as_real(references.grad)).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: binary_mask(-torch.ones(2, 1, 3, 4)), "negative"),
        (lambda: binary_mask(torch.full((2, 1, 3, 4), torch.nan)), "NaN"),
        (lambda: binary_mask(torch.ones(0, 1, 3, 4)), "at least one source"),
        (lambda: binary_mask(torch.ones(2, 3, 4)), "at least one source"),
        (lambda: binary_mask(spectra(2, 1, 3, 4)), "models are real"),
        (lambda: binary_mask(torch.ones(2, 3, 3, 4), spectra(2, 3, 4)), "does not fit"),
        (lambda: binary_mask(torch.ones(2, 1, 3, 4), torch.ones(2, 3, 4)), "complex"),
        (lambda: ideal_ratio_mask(spectra(2, 1, 3, 4), spectra(2, 3, 4)), "do not fit"),
        (lambda: ideal_ratio_mask(spectra(2, 1, 3, 4), alpha=0), "alpha=0"),
        (lambda: ideal_ratio_mask(spectra(2, 1, 3, 4), alpha=float("nan")), "alpha=nan"),
        (lambda: ideal_ratio_mask(torch.ones(2, 1, 3, 4).int()), "int32"),
        (lambda: ideal_binary_mask(spectra(2, 1, 3, 4), threshold="loud"), "threshold='loud'"),
        (lambda: ideal_binary_mask(spectra(2, 1, 3, 4), threshold=float("inf")), "finite"),
        (lambda: oracle_wiener(spectra(2, 2, 3, 4), spectra(2, 3, 4), width=-1), "width=-1"),
        (lambda: oracle_wiener(spectra(0, 2, 3, 4), spectra(2, 3, 4)), "at least"),
        (lambda: oracle_wiener(spectra(2, 1, 3, 4), spectra(2, 3, 4)), "does not fit"),
    ],
)
def test_errors_say_what_was_wrong(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_no_frames_give_no_frames():
    models, x = spectra(2, 2, 3, 0).abs(), spectra(2, 3, 0)
    for found in (
        binary_mask(models, x),
        ideal_ratio_mask(models, x),
        ideal_binary_mask(models, x),
        oracle_wiener(models + 0j, x),
        oracle_wiener(models + 0j, x, width=1),
    ):
        assert found.shape == (2, 2, 3, 0)
