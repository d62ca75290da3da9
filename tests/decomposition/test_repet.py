import sys

import librosa
import numpy as np
import pytest
import torch

from unweave.decomposition import beat_spectrum, repet, repet_sim
from unweave.decomposition._sorting import median
from unweave.errors import ParameterError


def song(*lead, freq=12, frames=95, lag=10, seed=0):
    """A pattern that comes back, and something now and then that does not."""
    rng = np.random.default_rng(seed)
    pattern = rng.random((*lead, freq, lag)) ** 4
    S = np.tile(pattern, -(-frames // lag))[..., :frames] * rng.uniform(0.9, 1.1, frames)
    voice = (rng.random(S.shape) < 0.05) * rng.random(S.shape) * 3
    phase = np.exp(2j * np.pi * rng.random(S.shape))
    return S * phase, voice * phase


def decibels(estimate, truth):
    return 10 * np.log10((np.abs(truth) ** 2).sum() / (np.abs(estimate - truth) ** 2).sum())


@pytest.mark.parametrize("shape", [(7, 1), (4, 5, 8), (300, 3)])
def test_medians_are_numpys(shape):
    x = np.random.default_rng(0).random(shape).astype("float32")
    expected = np.median(x, -1)
    np.testing.assert_array_equal(median(torch.from_numpy(x)), expected)
    plain = median(torch.from_numpy(x).requires_grad_())
    np.testing.assert_allclose(plain.detach(), expected, rtol=1e-6)


def test_the_beat_spectrum_is_the_mean_autocorrelation_of_powers():
    S = song(2)[0]
    power = np.abs(S) ** 2
    expected = np.array(
        [(power[..., lag:] * power[..., : 95 - lag]).sum() / (95 - lag) for lag in range(95)]
    )
    np.testing.assert_allclose(beat_spectrum(S), expected / expected[0], rtol=1e-9)
    assert beat_spectrum(S)[5:40].argmax() % 10 == 5
    batch = np.stack([S, 3 * song(2, seed=1)[0]])
    np.testing.assert_allclose(beat_spectrum(batch)[0], beat_spectrum(S))
    assert beat_spectrum(batch).shape == (2, 95)
    assert (beat_spectrum(torch.zeros(3, 8)) == 0).all()


def slow_repet(V, lag):
    model = np.empty_like(V)
    for place in range(lag):
        model[..., place::lag] = np.median(V[..., place::lag], -1, keepdims=True)
    return np.minimum(V, model)


@pytest.mark.parametrize("margin", [1.0, (2.0, 10.0)])
@pytest.mark.parametrize("lag", [10, 19, 47])
def test_repet_is_its_slow_and_plain_self(lag, margin):
    S = sum(song(2))
    kept = S.copy()
    V = np.abs(S)
    background = slow_repet(V, lag)
    pair = margin if isinstance(margin, tuple) else (margin, margin)
    options = {"power": 2, "split_zeros": margin == 1.0}
    masks = (
        librosa.util.softmask(background, pair[0] * (V - background), **options),
        librosa.util.softmask(V - background, pair[1] * background, **options),
    )
    found = repet(S, period=lag, margin=margin)
    for part, mask in zip(found, masks, strict=True):
        np.testing.assert_allclose(part, S * mask, atol=1e-12)
    np.testing.assert_array_equal(S, kept)


def test_the_period_is_found_and_the_voice_with_it():
    music, voice = song(frames=150)
    found = repet(music + voice, period=(6, 70))
    exact = repet(music + voice, period=10)
    assert decibels(found.background, music) > decibels(music + voice, music) + 6
    # Multiples of the period repeat, too.
    assert any(
        np.array_equal(found.background, repet(music + voice, period=10 * n).background)
        for n in range(1, 8)
    )
    np.testing.assert_allclose(sum(exact), music + voice, atol=1e-12)


def slow_sim(V, width, count):
    flat = V.reshape(-1, V.shape[-1])
    model = librosa.decompose.nn_filter(
        flat, aggregate=np.median, metric="cosine", width=width, k=count, mode="distance"
    )
    return np.minimum(flat, model).reshape(V.shape)


@pytest.mark.parametrize(("width", "count"), [(1, 4), (6, 7), (20, None), (46, 3)])
@pytest.mark.parametrize("margin", [1.0, (2.0, 10.0)])
def test_repet_sim_is_librosas_vocal_separation(width, count, margin):
    S = sum(song(2))
    # librosa drops neighbours at no distance at all
    S = S + 0.05 * np.random.default_rng(5).standard_normal(S.shape)
    V = np.abs(S)
    background = slow_sim(V, width, count)
    pair = margin if isinstance(margin, tuple) else (margin, margin)
    mask = librosa.util.softmask(
        background, pair[0] * (V - background), power=2, split_zeros=margin == 1.0
    )
    found = repet_sim(S, min_distance=width, n_neighbors=count, margin=margin)
    np.testing.assert_allclose(found.background, S * mask, atol=1e-12)
    if margin == 1.0:
        np.testing.assert_allclose(sum(found), S, atol=1e-12)


def test_similar_frames_need_no_period():
    music, voice = song(freq=60, frames=200)
    order = np.random.default_rng(1).permutation(200)
    music, voice = music[:, order], voice[:, order]
    found = repet_sim(music + voice, min_distance=2, n_neighbors=9)
    assert decibels(found.background, music) > decibels(music + voice, music) + 6


@pytest.mark.parametrize("work", [(repet, {"period": 7}), (repet_sim, {"min_distance": 5})])
@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
def test_axes_dtypes_and_blocks(monkeypatch, work, dtype):
    function, options = work
    S = sum(song(2, 3, 2))
    S = S + 0.05 * np.random.default_rng(5).standard_normal(S.shape)  # no ties
    S = torch.from_numpy((S if "c" in dtype else np.abs(S)).astype(dtype))
    whole = function(S, **options)
    monkeypatch.setattr(sys.modules["unweave.decomposition.repet"], "_BLOCK", 300)
    monkeypatch.setattr(sys.modules["unweave.decomposition.repet"], "_SIMILAR", 300)
    monkeypatch.setattr(sys.modules["unweave.decomposition.repet"], "_SPECTRA", 300)
    for at in np.ndindex(2, 3):
        single = function(S[at], **options)
        for part, all_of_it in zip(single, whole, strict=True):
            assert part.dtype == S.dtype
            torch.testing.assert_close(part, all_of_it[at], atol=1e-5, rtol=1e-4)
    one = function(S[0, 0, :1], **options).background[0]
    torch.testing.assert_close(function(S[0, 0, 0], **options).background, one)
    assert isinstance(function(S.numpy(), **options).background, np.ndarray)
    silent = function(torch.zeros(3, 40), **options)
    assert all((x == 0).all() for x in silent)


@pytest.mark.parametrize("work", [(repet, {"period": 7}), (repet_sim, {"min_distance": 5})])
def test_the_lowest_bins_are_background(work):
    function, options = work
    S = sum(song(2))
    found = function(S, background_bins=3, **options)
    every = function(S, **options)
    np.testing.assert_array_equal(found.background[:, :3], S[:, :3])
    assert (found.foreground[:, :3] == 0).all()
    for some, whole in zip(found, every, strict=True):
        np.testing.assert_array_equal(some[:, 3:], whole[:, 3:])
    with pytest.raises(ParameterError, match="background_bins=-1"):
        function(S, background_bins=-1, **options)


def test_errors_say_what_is_wrong():
    S = torch.rand(4, 20)
    for bad in (S[0], S.long(), S[:, :0]):
        with pytest.raises(ParameterError, match="freq, frames"):
            repet(bad, period=3)
    for bad in (-S, S * torch.nan, S / 0):
        with pytest.raises(ParameterError, match="finite and not negative"):
            repet_sim(bad, min_distance=3)
    with pytest.raises(ParameterError, match="half of the 20 frames"):
        repet(S, period=11)
    with pytest.raises(ParameterError, match="a pair in order"):
        repet(S, period=(5, 4))
    with pytest.raises(ParameterError, match="lowest, highest"):
        repet(S, period=(3, 4, 5))
    with pytest.raises(ParameterError, match="period=0"):
        repet(S, period=0)
    with pytest.raises(ParameterError, match="min_distance=10"):
        repet_sim(S, min_distance=10)
    with pytest.raises(ParameterError, match="n_neighbors=0"):
        repet_sim(S, min_distance=2, n_neighbors=0)
    with pytest.raises(ParameterError, match="margin"):
        repet(S, period=3, margin=0.1)
    with pytest.raises(ParameterError, match="power"):
        repet_sim(S, min_distance=3, power=-1)
