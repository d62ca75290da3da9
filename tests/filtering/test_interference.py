"""Smoothing against scipy, the reduction of interferences and harder filters against formulas."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from unweave.errors import ParameterError
from unweave.filtering import (
    compress_filter,
    get_local_gaussian_model,
    get_mix_model,
    reduce_interferences,
    smooth,
    softmask,
    wiener_gain,
)

SETTINGS = settings(deadline=None, max_examples=25)


def models(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orders(v: torch.Tensor) -> list[torch.Tensor]:
    """The same values, lying in memory as spectrograms of different origin do."""
    axes = list(range(v.ndim))
    by_frame = v.mT.contiguous().mT
    last_first = v.permute(axes[::-1]).contiguous().permute(axes[::-1])
    return [v, by_frame, last_first]


@given(
    freq=st.integers(1, 150),
    frames=st.integers(1, 150),
    width=st.sampled_from([0.3, 1, 2.5, 10]),
    truncate=st.sampled_from([1.0, 4.0, 10.0]),
)
@SETTINGS
def test_smoothing_equals_scipys_along_time_and_frequency(freq, frames, width, truncate):
    v = models(2, 3, freq, frames)
    # scipy's own reach along channels and sources is nought with a width of nought.
    expected = gaussian_filter(v.numpy(), sigma=(0, 0, width, width), truncate=truncate)
    along_time = gaussian_filter1d(v.numpy(), sigma=width, truncate=truncate, axis=-1)
    for lain in orders(v):
        found = smooth(lain, width=width, truncate=truncate)
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)
        found = smooth(lain, width=width, truncate=truncate, temporal=True)
        np.testing.assert_allclose(found.numpy(), along_time, atol=1e-13)


@pytest.mark.parametrize(("freq", "frames"), [(700, 60), (60, 700), (2049, 20)])
@pytest.mark.parametrize("width", [1, 10])
def test_smoothing_in_single_precision_is_as_good_as_it_can_be(freq, frames, width):
    v = models(2, 2, freq, frames)
    expected = smooth(v, width=width)
    for lain in orders(v.float()):
        found = smooth(lain, width=width)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("width", [1, 3, 10])
def test_the_forms_with_and_without_gradients_agree(width):
    for lain in orders(models(2, 40, 200)):
        followed = smooth(lain.clone().requires_grad_(), width=width).detach()
        torch.testing.assert_close(followed, smooth(lain, width=width))


@given(width=st.sampled_from([0.5, 1.0, 10.0, 50.0]), temporal=st.booleans())
@SETTINGS
def test_smoothing_keeps_sums_constants_and_the_rest_apart(width, temporal):
    v = torch.zeros(2, 2, 30, 40, dtype=torch.float64)
    v[0, 1] = models(30, 40)
    found = smooth(v, width=width, temporal=temporal)
    assert (found[1] == 0).all()
    assert (found[0, 0] == 0).all()
    torch.testing.assert_close(found.sum((-1, -2)), v.sum((-1, -2)))
    flat = torch.ones(30, 40, dtype=torch.float64)
    torch.testing.assert_close(smooth(flat, width=width, temporal=temporal), flat)


def test_no_width_smooths_nothing_and_gives_a_copy():
    v = models(2, 4, 5)
    found = smooth(v, width=0)
    torch.testing.assert_close(found, v)
    assert found.data_ptr() != v.data_ptr()
    assert smooth(v[..., :0]).shape == (2, 4, 0)


def test_whole_numbers_and_half_precision():
    whole = torch.arange(20).reshape(4, 5)
    torch.testing.assert_close(smooth(whole), smooth(whole.float()))
    half = models(4, 5).to(torch.bfloat16)
    torch.testing.assert_close(smooth(half), smooth(half.float()).to(torch.bfloat16))


def test_reduction_is_a_gain_by_the_hardened_share_of_the_surroundings():
    v = models(3, 2, 30, 40)
    around = gaussian_filter(v.numpy(), sigma=(0, 0, 10, 10), truncate=10.0)
    share = around / around.sum(0)
    for thresh, slope in ((0.6, 15), (0.3, 15), (0.3, 100)):
        expected = v.numpy() / (1 + np.exp(-slope * (share - thresh)))
        for lain in orders(v):
            found = reduce_interferences(lain, thresh=thresh, slope=slope)
            np.testing.assert_allclose(found.numpy(), expected, atol=1e-13)


def test_reduction_takes_away_what_leaked():
    v = torch.full((2, 1, 40, 80), 0.1, dtype=torch.float64)
    v[0, ..., :40] = v[1, ..., 40:] = 1
    found = reduce_interferences(v, width=3)
    torch.testing.assert_close(found[0, ..., :20], v[0, ..., :20], rtol=0.02, atol=0)
    assert found[1, ..., :20].max() < 1e-3 * v[1, ..., :20].max() * 2


@given(scale=st.sampled_from([1e-30, 1e-6, 1e6, 1e30]), lead=st.sampled_from([(), (2,), (2, 3)]))
@SETTINGS
def test_reduction_scales_and_knows_nothing_of_other_items(scale, lead):
    v = models(*lead, 3, 2, 12, 15)
    found = reduce_interferences(v)
    torch.testing.assert_close(reduce_interferences(v * scale) / scale, found)
    for at in np.ndindex(*lead):
        torch.testing.assert_close(reduce_interferences(v[at]), found[at])
    swapped = reduce_interferences(v[..., [2, 0, 1], :, :, :])
    torch.testing.assert_close(swapped, found[..., [2, 0, 1], :, :, :])


def test_reduction_of_silence_and_of_whole_numbers():
    assert (reduce_interferences(torch.zeros(2, 1, 5, 6)) == 0).all()
    whole = torch.arange(60).reshape(2, 1, 5, 6)
    torch.testing.assert_close(reduce_interferences(whole), reduce_interferences(whole.float()))
    assert reduce_interferences(torch.zeros(2, 1, 5, 0)).shape == (2, 1, 5, 0)


def gains(channels: int, sources: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    y = torch.randn(sources, channels, 5, 9, dtype=torch.complex128, generator=generator)
    v, covariances = get_local_gaussian_model(y)
    eye = torch.eye(channels, dtype=torch.complex128)
    return wiener_gain(v, covariances, torch.linalg.inv(get_mix_model(v, covariances) + 1e-9 * eye))


def curve(gain: np.ndarray, thresh: float = 0.6, slope: float = 15) -> np.ndarray:
    return 1 / (1 + np.exp(-slope * (gain - thresh)))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_harder_filters_are_the_same_beamformers_with_harder_masks(channels):
    filters = gains(channels)
    eigen = torch.linalg.eigvals(filters).real.numpy()
    for thresh, slope in ((0.6, 15), (0.2, 40)):
        for gain, mask in (
            ("weighted", (eigen**2).sum(-1) / eigen.sum(-1)),
            ("trace", eigen.sum(-1)),
        ):
            found = compress_filter(filters, thresh=thresh, slope=slope, gain=gain)
            factor = curve(mask, thresh, slope) / mask
            np.testing.assert_allclose(
                found.numpy(), factor[..., None, None] * filters.numpy(), atol=1e-12
            )


@pytest.mark.parametrize("gain", ["weighted", "trace"])
def test_a_filter_that_picks_one_direction_has_the_mask_for_its_gain(gain):
    direction = torch.tensor([1.0, 2j, 0.5 - 1j], dtype=torch.complex128)
    picks = torch.outer(direction, direction.conj()) / 3
    beamformer = picks / picks.trace()
    for mask in (0.1, 0.6, 0.95):
        found = compress_filter(mask * beamformer, gain=gain)
        torch.testing.assert_close(found, float(curve(np.array(mask))) * beamformer)


def test_a_filter_that_lets_all_directions_pass_keeps_letting_them_pass():
    eye = torch.eye(2, dtype=torch.float64)
    torch.testing.assert_close(compress_filter(eye), float(curve(np.array(1.0))) * eye)
    torch.testing.assert_close(compress_filter(0.6 * eye), 0.5 * eye)


def test_filters_of_one_channel_are_masks():
    masks = models(5, 9, 1, 1)
    expected = torch.from_numpy(curve(masks.numpy(), 0.4, 20))
    torch.testing.assert_close(compress_filter(masks, thresh=0.4, slope=20), expected)
    assert compress_filter(masks + 0j).dtype == torch.complex128


def test_softmasks_are_hardened_by_the_same_curve():
    v, x = models(3, 2, 5, 7), torch.ones(2, 5, 7, dtype=torch.complex128)
    expected = curve((v / v.sum(0)).numpy(), 0.3)
    np.testing.assert_allclose(softmask(v, x, logit=0.3).numpy(), expected, atol=1e-12)
    masks = (v / v.sum(0))[..., None, None]
    np.testing.assert_allclose(compress_filter(masks, thresh=0.3)[..., 0, 0].numpy(), expected)


def test_hardened_softmasks_lie_as_they_may_and_follow_gradients():
    v, x = models(2, 3, 1, 5, 7), torch.randn(2, 2, 5, 7, dtype=torch.complex128)
    expected = softmask(v, x, logit=0.3)
    torch.testing.assert_close(softmask(v.clone().requires_grad_(), x, logit=0.3), expected)
    turned = softmask(v.mT.contiguous().mT, x.mT.contiguous().mT, logit=0.3)
    torch.testing.assert_close(turned, expected)
    assert turned.stride(-2) == 1


def test_zero_filters_stay_zero():
    assert (compress_filter(torch.zeros(3, 2, 2, dtype=torch.complex64)) == 0).all()


def test_numpy_in_numpy_out_and_nothing_is_modified():
    v, filters = models(3, 2, 5, 7).numpy(), gains(2).numpy()
    kept_v, kept_filters = v.copy(), filters.copy()
    v.flags.writeable = filters.flags.writeable = False
    for found in (smooth(v), smooth(v, temporal=True), reduce_interferences(v)):
        assert isinstance(found, np.ndarray)
        assert found.flags.writeable
    assert compress_filter(filters).dtype == np.complex128
    np.testing.assert_array_equal(v, kept_v)
    np.testing.assert_array_equal(filters, kept_filters)


def test_gradients():
    v = models(2, 1, 3, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: smooth(v, width=2), v)
    assert torch.autograd.gradcheck(lambda v: smooth(v, width=0.5, temporal=True), v)
    assert torch.autograd.gradcheck(lambda v: reduce_interferences(v, width=1), v)
    filters = gains(2)[:, :2, :2].clone().requires_grad_()
    for gain in ("weighted", "trace"):
        assert torch.autograd.gradcheck(lambda w, gain=gain: compress_filter(w, gain=gain), filters)
    silent = torch.zeros(2, 1, 3, 5, requires_grad=True)
    (reduce_interferences(silent).sum() + compress_filter(silent[..., :3]).sum()).backward()
    assert torch.isfinite(silent.grad).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: smooth(models(3, 4) + 0j), "real spectrogram"),
        (lambda: smooth(models(4)), "real spectrogram"),
        (lambda: smooth(models(3, 4), width=-1), "width=-1"),
        (lambda: smooth(models(3, 4), width=float("nan")), "width=nan"),
        (lambda: smooth(models(3, 4), truncate="far"), "truncate='far'"),
        (lambda: reduce_interferences(models(1, 3, 4)), "at least one source"),
        (lambda: reduce_interferences(models(0, 1, 3, 4)), "at least one source"),
        (lambda: reduce_interferences(-models(2, 1, 3, 4)), "negative"),
        (lambda: reduce_interferences(models(2, 1, 3, 4) * torch.nan), "NaN"),
        (lambda: reduce_interferences(models(2, 1, 3, 4), thresh=1.5), "thresh=1.5"),
        (lambda: reduce_interferences(models(2, 1, 3, 4), slope=0), "slope=0"),
        (lambda: compress_filter(models(2, 3)), "channels, channels"),
        (lambda: compress_filter(torch.ones(2, 2).int()), "int32"),
        (lambda: compress_filter(models(2, 2), thresh=-0.1), "thresh=-0.1"),
        (lambda: compress_filter(models(2, 2), gain="loud"), "gain='loud'"),
    ],
)
def test_errors_say_what_was_wrong(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
