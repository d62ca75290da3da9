"""Models of the residual against norbert's formula, put right where norbert is wrong."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import residual_model, softmask

SETTINGS = settings(deadline=None, max_examples=25)


def models(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def mixture(*shape: int, seed: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.complex128, generator=generator)


def direct(v: np.ndarray, x: np.ndarray, alpha: float, autoscale: bool) -> np.ndarray:
    """The definition, loop by loop."""
    power = np.abs(x) ** alpha
    sources, (channels, freq, frames) = v.shape[0], x.shape
    out = np.zeros((sources + 1, channels, freq, frames))
    for c, f in np.ndindex(channels, freq):
        model = v[:, min(c, v.shape[1] - 1), f]
        total = model.sum(0)
        if autoscale:
            model = model * (power[c, f] @ total) / (total @ total)
        out[:-1, c, f] = model
        out[-1, c, f] = np.maximum(0, power[c, f] - model.sum(0))
    return out


@pytest.mark.parametrize("autoscale", [False, True])
@pytest.mark.parametrize("alpha", [1, 1.3, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_definition_holds(alpha, autoscale, channels):
    v, x = models(3, channels, 5, 7), mixture(2, 5, 7)
    found = residual_model(v, x, alpha=alpha, autoscale=autoscale)
    expected = direct(v.numpy(), x.numpy(), alpha, autoscale)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("autoscale", [False, True])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_with_gradients_or_without_with_any_axes_and_any_order(lead, autoscale):
    v, x = models(*lead, 3, 1, 5, 7), mixture(*lead, 2, 5, 7)
    found = residual_model(v, x, autoscale=autoscale)
    assert found.shape == (*lead, 4, 2, 5, 7)
    followed = residual_model(v.clone().requires_grad_(), x, autoscale=autoscale)
    torch.testing.assert_close(followed.detach(), found)
    turned = residual_model(v.mT.contiguous().mT, x.mT.contiguous().mT, autoscale=autoscale)
    torch.testing.assert_close(turned, found)
    assert turned.stride(-2) == 1
    for at in np.ndindex(*lead):
        torch.testing.assert_close(residual_model(v[at], x[at], autoscale=autoscale), found[at])


@given(scale=st.sampled_from([1e-6, 1.0, 1e6]), alpha=st.sampled_from([1, 1.5, 2]))
@SETTINGS
def test_models_scale_with_the_mixture(scale, alpha):
    v, x = models(3, 2, 5, 7), mixture(2, 5, 7)
    for autoscale in (False, True):
        one = residual_model(v, x, alpha=alpha, autoscale=autoscale)
        other = residual_model(v * scale**alpha, x * scale, alpha=alpha, autoscale=autoscale)
        torch.testing.assert_close(other / scale**alpha, one)


@given(scale=st.sampled_from([1e-30, 1e-6, 1.0, 1e6, 1e30]))
@SETTINGS
def test_the_level_of_autoscaled_models_does_not_count(scale):
    v, x = models(3, 1, 5, 7).float(), mixture(2, 5, 7).to(torch.complex64)
    one = residual_model(v, x, autoscale=True)
    torch.testing.assert_close(residual_model(v * scale, x, autoscale=True), one)


def test_right_models_but_for_their_level_leave_no_residual():
    magnitude = models(3, 2, 5, 7) + 0.1
    x = magnitude.sum(0) + 0j
    found = residual_model(0.01 * magnitude, x, autoscale=True)
    torch.testing.assert_close(found[:3], magnitude)
    assert found[3].max() < 1e-12
    assert residual_model(0.01 * magnitude, x)[3].min() > 0.2


def test_the_residual_takes_what_models_leave():
    v, x = models(3, 1, 5, 7), mixture(2, 5, 7)
    v[..., 2] = 0
    x[:, 3] = 0
    with_residual = residual_model(v, x)
    assert (with_residual.sum(0) >= x.abs() * (1 - 1e-12)).all()
    torch.testing.assert_close(softmask(with_residual, x).sum(0), x)
    torch.testing.assert_close(with_residual[-1, ..., 2], x[..., 2].abs())


@pytest.mark.parametrize("autoscale", [False, True])
def test_silence_is_finite(autoscale):
    v, x = torch.zeros(2, 1, 3, 4), torch.zeros(2, 3, 4, dtype=torch.complex64)
    found = residual_model(v, x, autoscale=autoscale)
    assert found.dtype == torch.float32
    assert (found == 0).all()
    full = residual_model(v, x + 1, autoscale=autoscale)
    assert (full[-1] == 1).all()


def test_dtypes():
    x = mixture(2, 5, 7)
    for v, mix, kind in [
        (models(3, 2, 5, 7).float(), x.to(torch.complex64), torch.float32),
        (models(3, 2, 5, 7), x.to(torch.complex64), torch.float64),
        (models(3, 2, 5, 7).float(), x, torch.float64),
        ((4 * models(3, 2, 5, 7)).int(), x.to(torch.complex64), torch.float32),
    ]:
        for autoscale in (False, True):
            assert residual_model(v, mix, autoscale=autoscale).dtype == kind


@pytest.mark.parametrize("autoscale", [False, True])
def test_numpy_in_numpy_out_and_nothing_is_modified(autoscale):
    v, x = models(3, 2, 5, 7).numpy(), 100 * mixture(2, 5, 7).numpy()
    kept_v, kept_x = v.copy(), x.copy()
    v.flags.writeable = x.flags.writeable = False
    found = residual_model(v, x, autoscale=autoscale)
    assert isinstance(found, np.ndarray)
    assert found.flags.writeable
    np.testing.assert_array_equal(v, kept_v)
    np.testing.assert_array_equal(x, kept_x)


@pytest.mark.parametrize("autoscale", [False, True])
@pytest.mark.parametrize("alpha", [1.0, 1.5, 2.0])
def test_gradients(alpha, autoscale):
    v = models(2, 1, 2, 4).requires_grad_()
    x = (3 * mixture(2, 2, 4)).requires_grad_()

    def work(v: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return residual_model(v, x, alpha=alpha, autoscale=autoscale)

    assert torch.autograd.gradcheck(work, (v, x))
    silent = torch.zeros(2, 2, 4, dtype=torch.complex128, requires_grad=True)
    work(v, silent).sum().backward()
    assert torch.isfinite(torch.view_as_real(silent.grad)).all()


def test_no_sources_and_no_frames():
    x = mixture(2, 5, 7)
    for autoscale in (False, True):
        found = residual_model(models(0, 2, 5, 7), x, autoscale=autoscale)
        torch.testing.assert_close(found, x.abs()[None])
        empty = residual_model(models(3, 1, 5, 0), x[..., :0], autoscale=autoscale)
        assert empty.shape == (4, 2, 5, 0)


@pytest.mark.parametrize(
    ("v", "options", "message"),
    [
        (-models(3, 2, 5, 7), {}, "negative"),
        (models(3, 2, 5, 7) * torch.nan, {}, "NaN"),
        (models(3, 2, 5, 7) + 0j, {}, "models are real"),
        (models(3, 3, 5, 7), {}, "does not fit"),
        (models(3, 5, 7), {}, "does not fit"),
        (models(3, 2, 5, 7), {"alpha": 0}, "alpha=0"),
        (models(3, 2, 5, 7), {"alpha": "2"}, "alpha='2'"),
    ],
)
def test_errors_say_what_was_wrong(v, options, message):
    with pytest.raises(ParameterError, match=message):
        residual_model(v, mixture(2, 5, 7), **options)
