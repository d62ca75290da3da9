"""BSSEval against museval, whose module of metrics is loaded alone: the rest wants ffmpeg."""

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave.audio import read
from unweave.errors import ParameterError
from unweave.evaluation import BSSScores, bss_eval
from unweave.evaluation import _correlations as correlations_module
from unweave.evaluation import _decomposition as decomposition_module
from unweave.evaluation import bsseval as bsseval_module
from unweave.evaluation._correlations import Correlations
from unweave.evaluation._decomposition import Decomposition, Energies
from unweave.evaluation._distortion import distortion_filters
from unweave.evaluation._quadratic import QuadraticForms
from unweave.evaluation._signals import Signals

SONG = Path(__file__).parents[2] / "examples" / "song"
RATE = 44_100


def museval_metrics():
    found = importlib.util.find_spec("museval")
    path = Path(found.origin).with_name("metrics.py")
    spec = importlib.util.spec_from_file_location("museval_metrics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


METRICS = museval_metrics()


def museval(estimate, reference, window, hop, taps=512):
    """Give museval's four ratios; window and hop in samples."""
    e, s = (np.asarray(x, np.float64).swapaxes(1, 2) for x in (estimate, reference))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # divisions by zero, and names that NumPy has moved
        ratios = METRICS.bss_eval(s, e, window=window, hop=hop, filters_len=taps)
    return ratios[:4]


def compare(estimate, reference, window=1.0, hop=1.0, taps=512, within=1e-3):
    samples = (np.inf, np.inf) if window is None else (int(window * RATE), int(hop * RATE))
    expected = museval(estimate, reference, *samples, taps)
    keys = {"sample_rate": RATE, "window": window, "hop": hop, "filter_length": taps}
    got = bss_eval(estimate, reference, **keys)
    for name, one, other in zip(BSSScores._fields, got, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=within, rtol=0, err_msg=name)
    return got


def sixteen_bits(x):
    return np.round(x * 32768) / 32768


def song(*names, start=20.0, seconds=4.0):
    """Give stems of the example song as a 16-bit file holds them."""
    part = slice(int(start * RATE), int((start + seconds) * RATE))
    stems = [read(SONG / f"{name}.ogg")[0].numpy()[:, part] for name in names]
    return sixteen_bits(np.stack(stems).astype(np.float64))


def separated(reference, seed=0):
    """Give estimates with distortion, interference and artifacts."""
    generator = np.random.default_rng(seed)
    delayed = np.roll(reference, 3, axis=-1)
    noise = generator.standard_normal(reference.shape)
    estimate = 0.6 * reference + 0.2 * delayed + 0.15 * reference.sum(0) + 0.003 * noise
    return sixteen_bits(estimate)


@pytest.mark.slow
def test_four_stereo_stems_of_a_song_score_as_in_museval():
    reference = song("vocals", "drums", "bass", "other")
    got = compare(separated(reference), reference)
    assert all(np.isfinite(x).all() for x in got)


@pytest.mark.parametrize(("window", "hop"), [(1.5, 0.7), (None, None)])
def test_other_windows_and_whole_signals_score_as_in_museval(window, hop):
    reference = song("vocals", "drums", seconds=3.0)
    compare(separated(reference), reference, window, hop)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_song_scores_as_in_museval(dtype):
    reference = song("vocals", "other").astype(dtype)
    estimate = separated(reference).astype(dtype)
    kept = estimate.copy(), reference.copy()
    got = compare(estimate, reference)
    assert got.sdr.dtype == dtype
    assert got.sdr.shape == (2, 4)
    assert np.array_equal(estimate, kept[0])
    assert np.array_equal(reference, kept[1])


def test_mono_stems_in_two_channels_leave_the_filters_free_but_not_the_scores():
    reference = song("vocals", "other", seconds=2.0)
    reference[0, 1] = reference[0, 0]
    compare(separated(reference), reference, taps=128)


def test_separated_mono_signals():
    reference = song("vocals", "bass", "other", seconds=2.0)[:, :1]
    compare(separated(reference), reference, 0.5, 0.25, taps=100)
    compare(separated(reference), reference, 30.0, 15.0, taps=100)


def test_windows_with_a_silent_source_have_no_result():
    reference = song("vocals", "other", seconds=5.0)
    estimate = separated(reference)
    reference[0, :, RATE : 2 * RATE] = 0
    estimate[1, :, int(2.9 * RATE) : int(4.1 * RATE)] = 0
    reference[1, 1, 4 * RATE :] = -reference[1, 0, 4 * RATE :]  # museval adds the channels
    got = compare(estimate, reference, taps=64)
    silent = np.isnan(got.sdr).all(0)
    assert silent.tolist() == [False, True, False, True, True]
    assert np.isfinite(got.median().sdr).all()


def test_a_single_click_is_no_silence():
    reference = noise(2, 1, 300)
    reference[0] = 0
    reference[0, 0, [33, 133, 233]] = 1.0
    estimate = reference + 0.1 * noise(2, 1, 300, seed=1)
    got = bss_eval(estimate, reference, sample_rate=100, filter_length=4)
    assert torch.isfinite(got.sdr).all()


@pytest.mark.parametrize("name", ["estimate", "reference"])
def test_a_source_that_is_silent_throughout_is_refused_as_in_museval(name):
    signals = {"reference": song("vocals", "other", seconds=1.0)}
    signals["estimate"] = separated(signals["reference"])
    signals[name][1] = 0
    with pytest.raises(ValueError, match="non-silent"):
        museval(signals["estimate"], signals["reference"], RATE, RATE)
    with pytest.raises(ParameterError, match=f"source 1 of {name} is silent"):
        bss_eval(signals["estimate"], signals["reference"], sample_rate=RATE)


def test_perfect_estimates():
    reference = song("vocals", "other", seconds=2.0)
    got = bss_eval(reference, reference, sample_rate=RATE, filter_length=64)
    assert np.isinf(got.sdr).all()
    assert min(x.min() for x in got[1:]) > 100


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_filtered_sources_have_no_interference_and_no_artifacts():
    reference = noise(2, 1, 4000)
    filtered = torch.nn.functional.conv1d(
        torch.nn.functional.pad(reference.transpose(0, 1), (7, 0)),
        noise(2, 1, 8, seed=1),
        groups=2,
    ).transpose(0, 1)
    # The end of the convolution lies outside, so a few samples are not explained.
    got = bss_eval(filtered, reference, sample_rate=1000, window=None, filter_length=8)
    assert got.sdr.max() < 5
    assert got.sir.min() > 25
    assert got.sar.min() > 25


def test_the_scale_of_estimates_matters_to_sdr_and_isr_only():
    reference = noise(3, 2, 3000)
    estimate = reference + 0.3 * noise(3, 2, 3000, seed=1)
    keys = {"sample_rate": 1000, "filter_length": 16}
    one, other = bss_eval(estimate, reference, **keys), bss_eval(5 * estimate, reference, **keys)
    torch.testing.assert_close(one.sir, other.sir)
    torch.testing.assert_close(one.sar, other.sar)
    assert (one.sdr - other.sdr).min() > 10
    assert (one.isr - other.isr).min() > 10


@pytest.mark.parametrize("leading", [(), (1,), (2, 2)])
def test_leading_axes_and_kinds_of_arrays(leading):
    reference = noise(*leading, 2, 1, 500)
    estimate = reference + 0.3 * noise(*leading, 2, 1, 500, seed=1)
    keys = {"sample_rate": 100, "window": 2.0, "filter_length": 4}
    got = bss_eval(estimate, reference, **keys)
    assert got.sdr.shape == (*leading, 2, 2)
    flat = zip(estimate.reshape(-1, 2, 1, 500), reference.reshape(-1, 2, 1, 500), strict=True)
    single = torch.stack([bss_eval(e, s, **keys).sar for e, s in flat])
    torch.testing.assert_close(got.sar.reshape(single.shape), single)
    array = bss_eval(estimate.numpy(), reference.numpy(), **keys)
    assert isinstance(array, BSSScores)
    np.testing.assert_array_equal(array.sir, got.sir.numpy())
    assert bss_eval(estimate.half(), reference.half(), **keys).sdr.dtype == torch.float32


def test_bits_round_both_signals_as_files_do():
    reference = noise(2, 1, 2000) / 4
    estimate = reference + 0.1 * noise(2, 1, 2000, seed=1)
    keys = {"sample_rate": 1000, "filter_length": 8}
    rounded = [torch.from_numpy(sixteen_bits(x.numpy())) for x in (estimate, reference)]
    torch.testing.assert_close(
        tuple(bss_eval(estimate, reference, bits=16, **keys)), tuple(bss_eval(*rounded, **keys))
    )


def test_medians_leave_out_what_is_not_finite_as_in_museval():
    values = torch.tensor([[1.0, torch.nan, 4.0, torch.inf, 2.0, -3.0], [torch.nan] * 6])
    got = BSSScores(values, values, values, values).median()
    assert float(got.sir[0]) == 1.5
    assert torch.isnan(got.sar[1])


def test_not_a_number_passes_through():
    reference = noise(2, 1, 300)
    estimate = reference.clone()
    estimate[0, 0, 10] = torch.nan
    got = bss_eval(estimate, reference, sample_rate=100, filter_length=4)
    assert torch.isnan(got.sar).all()


def direct(s, e, lag):
    """Give the correlations at one lag from sums of products."""
    return s[:, : s.shape[-1] - lag] @ torch.cat((s, e))[:, lag:].T


@pytest.mark.parametrize("taps", [1, 2, 3, 40])
def test_correlations_are_sums_of_products(taps, monkeypatch):
    monkeypatch.setattr(correlations_module, "_SIZE", 256)
    monkeypatch.setattr(correlations_module, "_VALUES", 5000)
    s, e = noise(2, 5000), noise(2, 5000, seed=1)
    work = Correlations(Signals(s, e, 2), taps)
    whole, part, tiles = work.of(0, 5000), work.of(700, 1900), work.of_tiles(1300)
    for lag in range(taps):
        expected = direct(s, e, lag)
        torch.testing.assert_close(whole.lags[..., lag], expected)
        torch.testing.assert_close(tiles.total[..., lag], expected)
        torch.testing.assert_close(part.lags[..., lag], direct(s[:, 700:1900], e[:, 700:1900], lag))
        second = direct(s[:, 1300:2600], e[:, 1300:2600], lag)
        torch.testing.assert_close(tiles.lags[1, ..., lag], second)
    torch.testing.assert_close(tiles.energy.sum(0), e[:, :3900].square().sum(-1))


def windows(**keys):
    """Measure estimates of two stereo sources in windows of 2000 samples, 20 taps."""
    reference = noise(2, 2, 7000)
    estimate = 0.7 * reference + 0.1 * reference.flip(0) + 0.01 * noise(2, 2, 7000, seed=1)
    return bss_eval(estimate, reference, sample_rate=1000, filter_length=20, **keys)


@pytest.mark.parametrize("window", [2.0, None])
def test_energies_from_correlations_are_those_of_filtered_windows(window, monkeypatch):
    got = windows(window=window)
    assert got.sdr.shape == (2, 3 if window else 1)
    monkeypatch.setattr(QuadraticForms, "energies", _distrusted)
    torch.testing.assert_close(tuple(windows(window=window)), tuple(got), rtol=1e-10, atol=1e-10)


def _distrusted(forms, lags, energy):
    shape = 7, forms.sources, len(lags)
    return Energies(*torch.full(shape, torch.nan, dtype=lags.dtype)), energy[:, 0] > 0


def test_windows_whose_energies_cancel_are_measured_themselves(monkeypatch):
    measured = []
    whole = Decomposition.energies

    def energies(self, signals, starts):
        measured.extend(starts)
        return whole(self, signals, starts)

    monkeypatch.setattr(Decomposition, "energies", energies)
    reference = noise(2, 1, 6000)
    estimate = reference.clone()
    estimate[..., 4000:] += 0.1 * noise(2, 1, 2000, seed=1)
    keys = {"sample_rate": 1000, "window": 2.0, "filter_length": 20}
    got = bss_eval(estimate, reference, **keys)
    assert measured == [0, 2000]
    assert torch.isinf(got.sdr).tolist() == [[True, True, False]] * 2
    monkeypatch.setattr(bsseval_module, "_LONG", 1000)
    torch.testing.assert_close(tuple(bss_eval(estimate, reference, **keys)), tuple(got))
    assert measured == [0, 2000, 0, 2000, 4000]


def test_long_windows_have_the_energies_of_short_ones(monkeypatch):
    s, e = noise(4, 3500), noise(4, 3500, seed=1)
    s[:2, 2000:] = 0
    signals = Signals(s, e, 2)
    filters = distortion_filters(Correlations(signals, 20).of(0, 3500).lags, 2)
    starts = [0, 500, 2000]
    short = Decomposition(filters, 1500).energies(signals, starts)
    monkeypatch.setattr(decomposition_module, "_WHOLE", 100)
    monkeypatch.setattr(decomposition_module, "_SIZE", 256)
    long = Decomposition(filters, 1500).energies(signals, starts)
    torch.testing.assert_close(tuple(long), tuple(short), equal_nan=True)
    assert long.error.isnan().any(0).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"window": 0.0}, "window=0.0 must be a positive"),
        ({"hop": -1.0}, "hop=-1.0 must"),
        ({"sample_rate": 0}, "sample_rate=0 must"),
        ({"window": 1e-9}, "shorter than a sample"),
        ({"filter_length": 0}, "filter_length=0"),
        ({"bits": 0}, "bits=0"),
    ],
)
def test_parameters_out_of_range(keys, text):
    x = noise(2, 1, 300)
    with pytest.raises(ParameterError, match=text):
        bss_eval(x, x, **{"sample_rate": 100, **keys})


def test_shapes_and_dtypes_that_do_not_fit():
    x = noise(2, 1, 300)
    for estimate, reference in ((x, x[..., 1:]), (x[0], x[0]), (x[:0], x[:0]), (x[:1], x)):
        with pytest.raises(ParameterError, match="same shape"):
            bss_eval(estimate, reference, sample_rate=100)
    with pytest.raises(ParameterError, match="floating point"):
        bss_eval(x.long(), x.long(), sample_rate=100)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_other_devices_score_alike():
    reference = torch.from_numpy(song("vocals", "other", seconds=3.0))
    estimate = torch.from_numpy(separated(reference.numpy()))
    here = bss_eval(estimate, reference, sample_rate=RATE)
    there = bss_eval(estimate.cuda(), reference.cuda(), sample_rate=RATE)
    assert there.sdr.is_cuda
    torch.testing.assert_close(tuple(x.cpu() for x in there), tuple(here), rtol=1e-6, atol=1e-4)
