import copy
import math
import pickle
import warnings

import numpy as np
import pytest
import scipy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import CFP, Periodicity, cfp, periodicity

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the peer's own
    from nnAudio2.features.cfp import Combined_Frequency_Periodicity


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def tone(frequency, sample_rate=16000, seconds=1.0):
    t = torch.arange(int(seconds * sample_rate), dtype=torch.float64) / sample_rate
    return sum(torch.sin(2 * torch.pi * frequency * k * t) / k for k in range(1, 8)).float()


CASES = {
    "defaults": ({}, {"sample_rate": 16000}),
    "22 kHz": (
        {"fs": 22050, "fr": 2, "fc": 65.4, "NumPerOct": 36, "hop_length": 512},
        {"sample_rate": 22050, "fmin": 65.4, "bins_per_octave": 36, "hop_length": 512},
    ),
    "44 kHz, odd transform, even window": (
        {"fs": 44100, "fr": 4, "fc": 27.5, "tc": 1 / 2000, "window_size": 4096},
        {
            "sample_rate": 44100,
            "resolution": 4,
            "fmin": 27.5,
            "fmax": 2000,
            "win_length": 4096,
        },
    ),
    "four layers": (
        {"g": [0.5, 0.6, 0.9, 1], "fc": 81},
        {"sample_rate": 16000, "gamma": [0.5, 0.6, 0.9, 1], "fmin": 81},
    ),
    "two layers": (
        {"g": [0.24, 0.6], "fc": 81},
        {"sample_rate": 16000, "gamma": (0.24, 0.6), "fmin": 81},
    ),
    "logarithm": (
        {"g": [0.24, 0, 1], "fc": 81},
        {"sample_rate": 16000, "gamma": (0.24, 0, 1), "fmin": 81},
    ),
}


def nnaudio(dtype, **keys):
    """Give nnAudio's layer, whose constants are rounded to float32, in double precision too."""
    with np.errstate(divide="ignore"):
        layer = Combined_Frequency_Periodicity(**keys)
        if dtype == torch.float64:
            layer = layer.double()
            layer.h = torch.from_numpy(scipy.signal.windows.blackmanharris(layer.window_size))
            fixed = {"fr": 2, "fc": 80, "tc": 1 / 1000, "NumPerOct": 48, "fs": 16000}
            fixed |= {key: value for key, value in keys.items() if key in fixed}
            banks = layer.create_logfreq_matrix(layer.f, layer.q, **fixed)
            layer.freq2logfreq_matrix, layer.quef2logfreq_matrix = map(torch.from_numpy, banks)
    return layer


@pytest.mark.filterwarnings("ignore:stft with return_complex:UserWarning")  # of nnAudio's making
@pytest.mark.parametrize(
    ("sound", "limit"), [("noise", 1e-4), ("exact noise", 1e-10), ("exact tones", 1e-6)]
)
@pytest.mark.parametrize("case", CASES)
def test_equals_nnaudio(case, sound, limit):
    """Deliberate differences: all frames are kept (nnAudio's first class drops one at either end),
    and a period in the very middle of a bin counts fully: nnAudio leaves it out, so that at 160,
    320 and 640 Hz (of 80 Hz and up, at 16 kHz) its cepstrum is wrong or always zero.

    Roots and logarithms raise rounding errors: between tones, and in single precision.
    """
    theirs, ours = CASES[case]
    x = noise(2, 20_000) if "noise" in sound else torch.stack([tone(220), tone(97.3)])
    x = x.double() if "exact" in sound else x
    if case == "logarithm" and sound == "noise":
        limit = 5e-3
    wanted = nnaudio(x.dtype, **theirs)(x)
    out = cfp(x, **ours)
    middles = [48, 96, 144] if ours.get("fmin", 80) == 80 else []
    for name, part, other in zip(Periodicity._fields, out, wanted, strict=True):
        assert part.shape[-1] == other.shape[-1] + 2
        assert part.shape[-2] == other.shape[-2]
        difference = (part[..., 1:-1] - other).abs()
        if name in ("salience", "cepstrum"):
            if "noise" in sound:
                assert all(difference[:, k].max() > 0.01 * other.max() for k in middles)
            difference[:, middles] = 0
        assert difference.max() <= limit * other.abs().max(), name


def slow_cfp(x, sample_rate, resolution, fmin, fmax, gamma, bins_per_octave, win_length, hop):
    """Sum the definition with full-length transforms, bin by bin."""
    n_fft = int(sample_rate / resolution)
    window = np.zeros(win_length)
    turns = 2 * np.pi * np.arange(win_length) / (win_length - 1)
    for k, weight in enumerate((0.35875, -0.48829, 0.14128, -0.01168)):
        window += weight * np.cos(k * turns)
    window /= np.linalg.norm(window)
    before = (n_fft - win_length) // 2
    window = np.pad(window, (before, n_fft - win_length - before))
    x = np.pad(x, n_fft // 2)
    frames = np.stack([x[t : t + n_fft] for t in range(0, len(x) - n_fft + 1, hop)])
    plain = np.abs(np.fft.fft(frames * window))
    layers = [plain ** gamma[0]]
    for layer, exponent in enumerate(gamma[1:]):
        cutoff = (round(sample_rate / fmax), round(fmin / resolution))[layer % 2]
        change = np.maximum(np.fft.fft(layers[-1]).real / math.sqrt(n_fft), 0)
        change[:, :cutoff] = change[:, n_fft - cutoff :] = 0
        layers.append(change**exponent)
    spectrum = layers[-1] if len(gamma) % 2 else layers[-2]
    cepstrum = layers[-2] if len(gamma) % 2 else layers[-1]

    def binned(table, places):
        rows = []
        centres = [fmin * 2 ** (k / bins_per_octave) for k in range(-1, 1000)]
        for low, centre, high in zip(centres, centres[1:], centres[2:], strict=False):
            if high >= fmax:
                break
            row = np.zeros(len(table))
            for j, place in enumerate(places):
                if low < place <= centre:
                    row += table[:, j] * (place - low) / (centre - low)
                elif centre < place < high:
                    row += table[:, j] * (high - place) / (high - centre)
            rows.append(row if rows else 0 * row)
        return np.stack(rows)

    frequencies = sample_rate * np.linspace(0, 0.5, n_fft // 2)
    frequencies = frequencies[: round(fmax / resolution) + 1]
    periods = np.arange(1, round(sample_rate / fmin) + 1)
    outs = [binned(part, frequencies) for part in (plain, spectrum)]
    outs.append(binned(cepstrum[:, 1:], sample_rate / periods))
    return (outs[1] * outs[2], *outs)


@pytest.mark.parametrize("gamma", [(0.24, 0.6, 1.0), (0.5, 0.7), (0.3, 0.6, 0.8, 0.9)])
def test_equals_the_definition(gamma):
    x = noise(1500, dtype=torch.float64)
    keys = {"resolution": 10.0, "fmin": 100.0, "fmax": 1200.0, "gamma": gamma}
    keys |= {"sample_rate": 4000.0, "bins_per_octave": 6, "win_length": 301}
    out = cfp(x, hop_length=100, **keys)
    for part, wanted in zip(out, slow_cfp(x.numpy(), hop=100, **keys), strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-10 * wanted.max())


@settings(max_examples=15, deadline=None)
@given(semitones=st.floats(0, 30), rate=st.sampled_from([16000, 22050]))
def test_the_salience_of_a_tone_is_at_its_fundamental(semitones, rate):
    frequency = 110 * 2 ** (semitones / 12)
    salience = cfp(tone(frequency, rate, 0.5), sample_rate=rate, bins_per_octave=24).salience
    found = 80 * 2 ** (int(salience[:, salience.shape[1] // 2].argmax()) / 24)
    assert abs(12 * math.log2(found / frequency)) < 1


def test_an_exact_centre_counts():
    found = cfp(tone(320), sample_rate=16000).salience[:, 25].argmax()
    assert found == 96


def test_loudness_scales_each_part_by_its_exponents():
    x = noise(8000, dtype=torch.float64)
    one, two = cfp(x, sample_rate=16000), cfp(8 * x, sample_rate=16000)
    spectral, cepstral = 0.24 * 0.6 * 1.0, 0.24 * 0.6
    for exponent, before, after in zip(
        (spectral + cepstral, 1, spectral, cepstral), one, two, strict=True
    ):
        torch.testing.assert_close(after, 8**exponent * before)


@pytest.mark.parametrize("shape", [(4000,), (2, 4000), (3, 2, 4000)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    out = cfp(x, sample_rate=8000, win_length=1025)
    assert out.salience.shape == (*shape[:-1], 174, 13)
    rows = [cfp(row, sample_rate=8000, win_length=1025) for row in x.reshape(-1, 4000)]
    for part, parts in zip(out, zip(*rows, strict=True), strict=True):
        torch.testing.assert_close(part, torch.stack(parts).reshape(part.shape))


def test_plain_and_block_forms_agree():
    x = noise(2, 30_000, dtype=torch.float64)
    out = cfp(x, sample_rate=16000)
    followed = cfp(x.clone().requires_grad_(), sample_rate=16000)
    for part, other in zip(out, followed, strict=True):
        torch.testing.assert_close(part, other.detach(), atol=1e-10, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_worked_on_in_single(dtype):
    x = noise(4000).to(dtype)
    wanted = cfp(x.float(), sample_rate=16000)
    for part, other in zip(cfp(x, sample_rate=16000), wanted, strict=True):
        assert part.dtype == dtype
        torch.testing.assert_close(part.float(), other, rtol=0.02, atol=1e-3)


def test_numpy_in_numpy_out_and_no_argument_is_modified():
    x = noise(4000).numpy()
    before = x.copy()
    out = cfp(x, sample_rate=16000)
    assert isinstance(out, Periodicity)
    assert all(isinstance(part, np.ndarray) and part.dtype == np.float32 for part in out)
    np.testing.assert_array_equal(x, before)


def test_silence_and_faint_sound_have_finite_gradients():
    for scale in (0.0, 1e-30, 1e-10):
        x = (scale * noise(2, 6000)).requires_grad_()
        out = cfp(x, sample_rate=16000)
        sum(part.sum() for part in out).backward()
        assert all(torch.isfinite(part).all() for part in out)
        assert torch.isfinite(x.grad).all()
    half = noise(6000)
    half[2000:] = 0
    half.requires_grad_()
    cfp(half, sample_rate=16000).salience.sum().backward()
    assert torch.isfinite(half.grad).all()


def test_nan_spoils_the_frames_that_see_it_only():
    x = noise(16000)
    clean = cfp(x, sample_rate=16000).salience
    x[8000] = torch.nan
    out = cfp(x, sample_rate=16000).salience
    assert out[50, 25].isnan()
    # The padding around the window multiplies NaN by zero: whole transforms are spoilt.
    assert torch.equal(out[:, :12], clean[:, :12])
    assert torch.equal(out[:, 38:], clean[:, 38:])


def test_gradients():
    x = noise(300, dtype=torch.float64).requires_grad_()
    keys = {"sample_rate": 1000, "resolution": 10, "fmin": 50, "fmax": 250, "win_length": 61}
    assert torch.autograd.gradcheck(
        lambda x: tuple(cfp(x, hop_length=100, bins_per_octave=12, **keys)), (x,), atol=1e-4
    )


def test_an_empty_signal_has_no_frames():
    assert cfp(torch.zeros(2, 0), sample_rate=16000).salience.shape == (2, 174, 0)


def test_one_sample():
    assert torch.isfinite(cfp(torch.ones(1), sample_rate=16000).salience).all()


def test_module_equals_function_and_has_nothing_to_save():
    layer = CFP(sample_rate=16000, hop_length=200, gamma=[0.3, 0.5, 1])
    x = noise(2, 4000)
    wanted = cfp(x, sample_rate=16000, hop_length=200, gamma=[0.3, 0.5, 1])
    assert layer.state_dict() == {}
    for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        for part, other in zip(twin(x), wanted, strict=True):
            assert torch.equal(part, other)
    assert layer.double()(x.double()).salience.dtype == torch.float64
    assert "n_bins=174" in repr(layer)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in jvp
def test_function_transforms():
    x = noise(3, 4000)
    wanted = cfp(x, sample_rate=16000)
    mapped = torch.func.vmap(lambda row: cfp(row, sample_rate=16000))(x)
    for part, other in zip(mapped, wanted, strict=True):
        torch.testing.assert_close(part, other, atol=1e-4, rtol=1e-4)
    _, tangents = torch.func.jvp(lambda x: cfp(x, sample_rate=16000).magnitude, (x,), (x,))
    torch.testing.assert_close(tangents, wanted.magnitude, atol=1e-3, rtol=1e-3)


def test_compiles_and_exports_without_a_break():
    periodicity._setting.cache_clear()  # nothing may be left to be built within the compiler
    layer, x = CFP(sample_rate=16000), noise(2, 4000)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    exported = torch.export.export(layer, (x,)).module()
    for run in (compiled, exported):
        for part, other in zip(run(x), layer(x), strict=True):
            torch.testing.assert_close(part, other, atol=1e-4, rtol=1e-4)


def test_banks_are_built_once():
    first = periodicity._setting(16000, 2.0, 80.0, 1000.0, (0.24, 0.6, 1.0), 48)
    assert periodicity._setting(16000, 2.0, 80.0, 1000.0, (0.24, 0.6, 1.0), 48) is first


X = torch.zeros(4000)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: cfp(X, sample_rate=0), "sample_rate=0 must be a positive"),
        (lambda: cfp(X, sample_rate=16000, fmax=9000), "above the Nyquist frequency"),
        (lambda: cfp(X, sample_rate=16000, fmin=1000), "must be below fmax=1000 Hz"),
        (lambda: cfp(X, sample_rate=16000, fmin=3), "at least twice the resolution of 2 Hz"),
        (lambda: cfp(X, sample_rate=16000, resolution=0), "which must be above 0"),
        (lambda: cfp(X, sample_rate=16000, gamma=(0.5,)), "an exponent for spectrum and cepstrum"),
        (lambda: cfp(X, sample_rate=16000, gamma=(0, 1)), "must begin above 0"),
        (lambda: cfp(X, sample_rate=16000, gamma=(1, -1)), "gamma=-1 must be finite"),
        (lambda: cfp(X, sample_rate=16000, bins_per_octave=0), "bins_per_octave=0 must be"),
        (lambda: cfp(X, sample_rate=16000, fmin=900, bins_per_octave=2), "no bin with"),
        (lambda: cfp(X, sample_rate=4000), "win_length=2049 must not be longer .* = 2000"),
        (lambda: cfp(X, sample_rate=16000, hop_length=0), "hop_length=0 must be a positive"),
        (lambda: cfp(X.long(), sample_rate=16000), r"must be audio .*\.float\(\)"),
        (lambda: cfp(torch.tensor(1.0), sample_rate=16000), r"shape \(\)"),
        (lambda: CFP(sample_rate=16000, win_length=0), "win_length=0 must be a positive"),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    x = noise(3, 20_000)
    layer = CFP(sample_rate=16000)
    for part, other in zip(layer(x.cuda()), layer(x), strict=True):
        assert part.is_cuda
        assert (part.cpu() - other).abs().max() <= 1e-4 * other.abs().max()
