"""What is different from norbert on purpose: what norbert does, and what is done instead."""

import warnings
from typing import Any

import numpy as np
import pytest

import unweave.compat.norbert as ours
from unweave.errors import ParameterError

EPS = float(np.finfo(np.float64).eps)


@pytest.fixture(scope="session", name="norbert")
def load_norbert() -> Any:
    with warnings.catch_warnings():  # it imports scipy.ndimage.filters, which is deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        import norbert

        return norbert


def problem(
    channels: int = 2, sources: int = 3, scale: float = 1.0, kind: str = "complex128"
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (30, 20, channels, sources)
    y = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    y *= scale * rng.random((30, 20, 1, sources)) ** 3 * rng.random((1, 1, channels, sources))
    y = y.astype(kind)
    return np.abs(y), y.sum(-1)


def level(error: np.ndarray, signal: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(np.abs(error) ** 2) / np.sum(np.abs(signal) ** 2)))


def test_wiener_leaves_a_loud_mixture_alone(norbert):
    v, x = problem(scale=100)
    theirs = x.copy()
    norbert.wiener(v, theirs)
    assert np.abs(theirs).max() < np.abs(x).max() / 2
    mine = x.copy()
    ours.wiener(v, mine)
    np.testing.assert_array_equal(mine, x)


def test_expectation_maximization_leaves_the_estimates_alone(norbert):
    v, x = problem()
    y = norbert.softmask(v, x)
    theirs, mine = y.copy(), y.copy()
    assert norbert.expectation_maximization(theirs, x)[0] is theirs
    assert not np.array_equal(theirs, y)
    ours.expectation_maximization(mine, x)
    np.testing.assert_array_equal(mine, y)


@pytest.mark.parametrize("name", [name for name in ours.__all__ if name != "contrib"])
def test_read_only_arguments_serve(norbert, name):
    v, x = problem()
    y = norbert.softmask(v, x)
    psd, covariance = ours.get_local_gaussian_model(y[..., 0])
    filters = np.zeros((30, 20, 2, 2), complex) + np.eye(2)
    arguments = {
        "apply_filter": (x, filters),
        "compress_filter": (filters,),
        "expectation_maximization": (y, x),
        "get_local_gaussian_model": (y[..., 0],),
        "get_mix_model": (psd[..., None], covariance[..., None]),
        "reduce_interferences": (v,),
        "residual_model": (v, x, 1, True),
        "smooth": (v,),
        "softmask": (v, x),
        "wiener": (v, 1000 * x),
        "wiener_gain": (psd, covariance, filters),
    }[name]
    kept = [a.copy() for a in arguments if isinstance(a, np.ndarray)]
    for array in arguments:
        if isinstance(array, np.ndarray):
            array.flags.writeable = False
    found = getattr(ours, name)(*arguments)
    assert isinstance(found[0] if isinstance(found, tuple) else found, np.ndarray)
    given = [a for a in arguments if isinstance(a, np.ndarray)]
    for array, copy in zip(given, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0, 1e6])
def test_nothing_is_lost_at_any_level(norbert, scale):
    v, x = problem(scale=scale, kind="complex64")
    assert level(x - ours.wiener(v, x).sum(-1), x) < -100
    if scale < 1e-2:
        assert level(x - norbert.wiener(v.copy(), x.copy()).sum(-1), x) > -10
    base_v, base_x = problem()
    expected = ours.wiener(base_v, base_x) * scale
    np.testing.assert_allclose(ours.wiener(v, x), expected, rtol=0, atol=1e-5 * np.abs(x).max())


def test_equal_channels_are_separated_in_single_precision(norbert):
    v, x = problem(channels=1, kind="complex64")
    v, x = v.repeat(2, 2), x.repeat(2, 2)
    exact = ours.wiener(v.astype(float), x.astype(complex), eps=EPS)
    found = ours.wiener(v, x, eps=EPS)
    assert np.abs(found - exact).max() < 1e-6 * np.abs(x).max()
    with np.errstate(all="ignore"):
        theirs = norbert.wiener(v.copy(), x.copy(), eps=np.float32(EPS))
    assert not np.abs(theirs - exact).max() < 1e-3 * np.abs(x).max()
    assert np.isfinite(ours.wiener(v, x)).all()


def test_results_have_the_precision_of_the_mixture(norbert):
    v, x = problem(kind="complex64")
    assert norbert.wiener(v.astype(float), x.copy()).dtype == np.complex128
    assert ours.wiener(v.astype(float), x).dtype == np.complex64
    y = ours.softmask(v, x)
    assert norbert.expectation_maximization(y.copy(), x)[1].dtype == np.float64
    assert ours.expectation_maximization(y, x)[1].dtype == np.float32


def test_softmasks_can_be_hardened(norbert):
    v, x = problem()
    with pytest.raises(TypeError):
        norbert.softmask(v, x, logit=0.6)
    mask = 1 / (1 + np.exp(-15 * (v / v.sum(-1, keepdims=True) - 0.6)))
    np.testing.assert_allclose(ours.softmask(v, x, logit=0.6), mask * x[..., None], atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2])
def test_compress_filter_works(norbert, channels):
    filters = np.zeros((3, 4, channels, channels)) + 0.5 * np.eye(channels) / channels
    with pytest.raises(ValueError, match="data type"):
        norbert.compress_filter(filters.copy())
    found = ours.compress_filter(filters, 0.5)
    np.testing.assert_allclose(np.trace(found, axis1=-2, axis2=-1), 0.5)


def test_residuals_are_those_of_the_scaled_models(norbert):
    magnitude = np.random.default_rng(0).random((30, 20, 2, 3)) + 0.1
    x = magnitude.sum(-1) + 0j
    theirs = norbert.residual_model(0.01 * magnitude, x)
    mine = ours.residual_model(0.01 * magnitude, x, autoscale=True)
    np.testing.assert_allclose(mine[..., :3], magnitude)
    np.testing.assert_allclose(theirs[..., :3], magnitude)
    assert mine[..., 3].max() < 1e-12
    assert theirs[..., 3].min() > 0.25


def test_residual_models_take_one_channel_and_whole_numbers(norbert):
    v, x = problem()
    mono = v.mean(2, keepdims=True)
    for autoscale in (False, True):
        found = ours.residual_model(mono, x, autoscale=autoscale)
        full = ours.residual_model(np.broadcast_to(mono, v.shape), x, autoscale=autoscale)
        np.testing.assert_allclose(found, full)
    whole = (4 * v).astype(int)
    with pytest.raises(ValueError, match="not inexact"):
        norbert.residual_model(whole, x)
    np.testing.assert_allclose(ours.residual_model(whole, x)[..., :3], whole)


def test_smoothing_does_not_leak(norbert):
    v = np.zeros((9, 9, 2, 2))
    v[4, 4, 0, 0] = 1
    theirs, mine = norbert.smooth(v), ours.smooth(v)
    assert theirs[:, :, 1].sum() > 0.2
    assert theirs[..., 1].sum() > 0.2
    assert mine[:, :, 1].sum() == mine[..., 1].sum() == 0
    np.testing.assert_allclose(mine.sum(), 1)


def test_thresholds_and_slopes_act(norbert):
    v, _ = problem()
    theirs = [norbert.reduce_interferences(v, *options) for options in ((), (0.9, 99))]
    np.testing.assert_array_equal(*theirs)
    mine = [ours.reduce_interferences(v, *options).sum() for options in ((0.2,), (), (0.9, 99))]
    assert mine[0] > 1.5 * mine[1] > 3 * mine[2]


def test_covariances_have_the_axes_that_are_documented(norbert):
    y = problem()[1]
    assert norbert.get_local_gaussian_model(y)[1].shape == (1, 20, 2, 2)
    assert ours.get_local_gaussian_model(y)[1].shape == (20, 2, 2)


def test_progress_goes_to_standard_error(norbert, capsys):
    v, x = problem()
    y = ours.softmask(v, x)
    norbert.expectation_maximization(y.copy(), x, 1, True)
    assert "iteration" in capsys.readouterr().out
    ours.expectation_maximization(y, x, 1, True)
    output = capsys.readouterr()
    assert output.out == ""
    assert "EM" in output.err


def test_no_frames_give_no_frames(norbert):
    v, x = problem()
    with pytest.raises(IndexError):
        norbert.wiener(v[:0], x[:0])
    assert ours.wiener(v[:0], x[:0]).shape == (0, 20, 2, 3)
    assert ours.softmask(v[:0], x[:0]).shape == (0, 20, 2, 3)
    assert ours.residual_model(v[:0], x[:0]).shape == (0, 20, 2, 4)
    assert ours.reduce_interferences(v[:0]).shape == (0, 20, 2, 3)
    assert ours.smooth(v[:0]).shape == (0, 20, 2, 3)


def test_errors_say_what_was_wrong(norbert):
    v, x = problem()
    for wrong, message in (
        ((v[..., 0], x), "nb_frames, nb_bins, nb_channels, nb_sources"),
        ((v, x[..., 0]), "nb_frames, nb_bins, nb_channels"),
        ((v, x.real), "complex"),
        ((v[:-1], x), "does not fit"),
        ((-v, x), "negative"),
    ):
        with pytest.raises(ParameterError, match=message):
            ours.wiener(*wrong)
    with pytest.raises(ParameterError, match="nb_sources"):
        ours.reduce_interferences(v[:, 0, 0])
    with pytest.raises(ParameterError, match="single number"):
        ours.smooth(np.array(1.0))


def test_tensors_stay_tensors_and_numbers_of_numpy_serve():
    import torch

    v, x = (torch.from_numpy(array) for array in problem())
    found = ours.wiener(v, x, np.int64(2), eps=np.float32(1e-6))
    assert isinstance(found, torch.Tensor)
    np.testing.assert_array_equal(
        found.numpy(), ours.wiener(v.numpy(), x.numpy(), 2, eps=np.float32(1e-6))
    )


def test_gradients_flow():
    import torch

    v, x = (torch.from_numpy(array[:4, :3]) for array in problem())
    assert torch.autograd.gradcheck(ours.wiener, (v.clone().requires_grad_(), x))
