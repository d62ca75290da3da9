"""The pieces of the filter against norbert's, and against the whole."""

import numpy as np
import pytest
import torch

from unweave.errors import ParameterError
from unweave.filtering import (
    apply_filter,
    expectation_maximization,
    get_local_gaussian_model,
    get_mix_model,
    wiener_gain,
)


def spectra(*shape, seed=0, dtype=torch.complex128):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_each_piece_is_norberts(norbert, channels):
    y = spectra(3, channels, 7, 20).numpy()
    theirs = y.transpose(3, 2, 1, 0)
    x = y.sum(0)
    v, R = get_local_gaussian_model(y, eps=0.5)
    for j in range(3):
        v_j, R_j = norbert.get_local_gaussian_model(theirs[..., j], 0.5)
        np.testing.assert_allclose(v[j, 0].T, v_j)
        np.testing.assert_allclose(R[j], R_j[0])
    tv, tR = v[:, 0].transpose(2, 1, 0), R.transpose(1, 2, 3, 0)
    mix = get_mix_model(v, R)
    expected = norbert.get_mix_model(tv, tR)
    np.testing.assert_allclose(mix.transpose(1, 0, 2, 3), expected)
    inverse = np.linalg.inv(mix)
    gain = wiener_gain(v[0], R[0], inverse)
    expected = norbert.wiener_gain(tv[..., 0], R[0], inverse.transpose(1, 0, 2, 3))
    np.testing.assert_allclose(gain.transpose(1, 0, 2, 3), expected, atol=1e-12)
    filtered = apply_filter(x, gain)
    expected = norbert.apply_filter(x.transpose(2, 1, 0), expected)
    np.testing.assert_allclose(filtered.transpose(2, 1, 0), expected, atol=1e-12)


def test_without_eps_traces_are_the_number_of_channels_and_silence_is_zero():
    y = spectra(3, 2, 7, 20)
    y[1, :, 4] = 0
    v, R = get_local_gaussian_model(y)
    traces = R.diagonal(dim1=-2, dim2=-1).sum(-1).real
    expected = torch.full((3, 7), 2.0, dtype=torch.float64)
    expected[1, 4] = 0
    torch.testing.assert_close(traces, expected)
    assert not v[1, 0, 4].any()


def test_together_they_are_one_iteration_of_the_whole():
    y = spectra(3, 2, 7, 20)
    x = y.sum(0)
    v, R = get_local_gaussian_model(y)
    gains = wiener_gain(v, R, torch.linalg.inv(get_mix_model(v, R)))
    filtered = apply_filter(x, gains)
    torch.testing.assert_close(filtered.sum(0), x)
    whole, _, _ = expectation_maximization(y, x, n_iter=1)
    torch.testing.assert_close(filtered, whole, rtol=1e-4, atol=1e-5)


def test_leading_axes_are_free_and_broadcast():
    y = spectra(5, 3, 2, 7, 20)
    v, R = get_local_gaussian_model(y)
    assert v.shape == (5, 3, 1, 7, 20)
    assert R.shape == (5, 3, 7, 2, 2)
    mix = get_mix_model(v, R)
    torch.testing.assert_close(mix[2], get_mix_model(v[2], R[2]))
    torch.testing.assert_close(get_mix_model(v, R[0])[2], get_mix_model(v[2], R[0]))
    gains = wiener_gain(v, R, torch.linalg.inv(mix)[:, None])
    assert gains.shape == (5, 3, 7, 20, 2, 2)
    assert apply_filter(y.sum(1)[:, None], gains).shape == (5, 3, 2, 7, 20)


def test_gradients_are_right():
    y = spectra(2, 2, 2, 3).requires_grad_()

    def whole(y):
        v, R = get_local_gaussian_model(y)
        gains = wiener_gain(v, R, torch.linalg.inv(get_mix_model(v, R)))
        return apply_filter(y.sum(0), gains)

    assert torch.autograd.gradcheck(whole, y)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda v, R: get_local_gaussian_model(v), "y has dtype"),
        (lambda v, R: get_local_gaussian_model(v[0] + 0j, eps=-1), "eps=-1"),
        (lambda v, R: get_mix_model(v[:, 0], R), "must be"),
        (lambda v, R: get_mix_model(v[:2], R), "same number of sources"),
        (lambda v, R: wiener_gain(v, R, R), "inv_Cxx of shape"),
        (lambda v, R: apply_filter(v[0] + 0j, R), "W of shape"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*get_local_gaussian_model(spectra(3, 2, 7, 20)))
