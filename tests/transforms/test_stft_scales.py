import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave._core.windows import get_window
from unweave.errors import ParameterError
from unweave.transforms import ISTFT, STFT, istft, stft, stft_frequencies
from unweave.transforms._nonuniform import Spectra
from unweave.transforms._scale import scale

RATE = 8000
LOG = {"freq_scale": "log", "fmin": 60.0, "fmax": 3500.0, "sample_rate": RATE}
LINEAR = {"freq_scale": "linear", "fmin": 100.0, "fmax": 2000.0, "sample_rate": RATE}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


def decibels(estimate, reference):
    return 20 * float(torch.log10((estimate - reference).norm() / reference.norm()))


def slow(x, hop, window, frequencies):
    """Sum the definition for a signal that is not padded."""
    n_fft = len(window)
    frames = x.unfold(0, n_fft, hop) * window
    angles = torch.outer(torch.arange(n_fft).double(), frequencies) * 2 * torch.pi
    return (frames.to(torch.complex128) @ torch.exp(-1j * angles)).mT


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
@pytest.mark.parametrize("window", ["hann", "hamming", "ones"])
@pytest.mark.parametrize("scaled", [LOG, LINEAR, {"freq_scale": "linear", "sample_rate": RATE}])
@pytest.mark.parametrize(
    ("n_fft", "bins"), [(512, 257), (512, 3), (512, 2000), (401, None), (50, 31), (1, 3)]
)
def test_equals_the_definition(n_fft, bins, scaled, window, dtype, limit):
    x = noise(n_fft + 1000, dtype=dtype)
    keys = {**scaled, "n_fft": n_fft, "freq_bins": bins}
    at = stft_frequencies(**keys) / RATE
    expected = slow(x.double(), 100, get_window(window, n_fft), at)
    out = stft(x, **keys, hop_length=100, window=window, center=False)
    assert out.shape == expected.shape == (bins or n_fft // 2 + 1, 11)
    assert out.dtype == (torch.complex64 if dtype == torch.float32 else torch.complex128)
    assert relative(out, expected) <= limit


@pytest.mark.parametrize("kind", ["no", "linear", "log"])
def test_equals_nnaudio(kind):
    peer = pytest.importorskip("nnAudio.features")
    x = noise(2, 20_000)
    keys = {"n_fft": 1024, "hop_length": 256, "freq_scale": kind}
    if kind == "no":
        frequencies = stft_frequencies(n_fft=1024, sample_rate=22050)
        out = stft(x, **keys)
    else:
        scaled = {"freq_scale": kind, "fmin": 50, "fmax": 6000, "sample_rate": 22050}
        frequencies = stft_frequencies(n_fft=1024, **scaled)
        out = stft(x, n_fft=1024, **scaled)
    layer = peer.STFT(**keys, fmin=50, fmax=6000, sr=22050, verbose=False, output_format="Complex")
    np.testing.assert_allclose(frequencies, layer.bins2freq, rtol=1e-12)
    assert relative(out, torch.view_as_complex(layer(x).contiguous())) <= 3e-6


def test_linear_frequencies_over_the_whole_band_are_those_of_the_fft():
    x = noise(3000, dtype=torch.float64)
    bins = stft(x, n_fft=64, freq_scale="linear", freq_bins=32, sample_rate=RATE)
    torch.testing.assert_close(bins, stft(x, n_fft=64)[:32], atol=1e-11, rtol=0)


@pytest.mark.parametrize("output", ["complex", "magnitude", "phase", "power"])
def test_fewer_bins_are_the_lowest(output):
    x = noise(2, 3000)
    some = stft(x, n_fft=64, freq_bins=9, output=output)
    torch.testing.assert_close(some, stft(x, n_fft=64, output=output)[:, :9])


@pytest.mark.parametrize("scaled", [LOG, LINEAR])
def test_outputs_belong_to_each_other(scaled):
    x = noise(2, 3000)
    spec = stft(x, n_fft=256, **scaled)
    of = {name: stft(x, n_fft=256, **scaled, output=name) for name in ("magnitude", "power")}
    torch.testing.assert_close(of["magnitude"], spec.abs())
    torch.testing.assert_close(of["power"], spec.abs().square())
    phase = stft(x, n_fft=256, **scaled, output="phase")
    torch.testing.assert_close(torch.polar(of["magnitude"], phase), spec, atol=1e-4, rtol=0)


def test_a_tone_peaks_at_its_frequency():
    keys = {**LOG, "freq_bins": 300, "n_fft": 2048}
    at = stft_frequencies(**keys)
    tone = torch.sin(2 * torch.pi * at[150] / RATE * torch.arange(RATE))
    column = stft(tone, **keys, output="magnitude")[:, 8]
    assert int(column.argmax()) == 150
    torch.testing.assert_close(column.max(), torch.tensor(512.0).double(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    spec = stft(x, n_fft=256, **LOG)
    single = torch.stack([stft(row, n_fft=256, **LOG) for row in x.reshape(-1, 3000)])
    torch.testing.assert_close(spec, single.reshape(spec.shape), atol=1e-5, rtol=1e-4)
    again = istft(spec, n_fft=256, length=3000, n_iter=3, **LOG)
    assert again.shape == shape


def test_numpy_and_empty_signals():
    x = noise(2, 3000).numpy()
    spec = stft(x, n_fft=256, **LOG)
    assert isinstance(spec, np.ndarray)
    assert isinstance(istft(spec, n_fft=256, **LOG), np.ndarray)
    empty = stft(torch.zeros(2, 0), n_fft=256, **LOG)
    assert empty.shape == (2, 129, 0)
    assert istft(empty, n_fft=256, **LOG).shape == (2, 0)


@settings(max_examples=40, deadline=None)
@given(
    n_fft=st.integers(1, 600),
    bins=st.integers(1, 300),
    low=st.floats(0.001, 0.3),
    kind=st.sampled_from(["linear", "log"]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_the_adjoint_is_the_transpose(n_fft, bins, low, kind, dtype):
    made = Spectra(scale(n_fft, kind, bins, low, 0.45, 1.0), dtype)
    frames, window = noise(2, 3, n_fft, dtype=dtype), noise(n_fft, dtype=dtype).abs()
    spectra = torch.complex(noise(2, 3, bins, dtype=dtype), noise(2, 3, bins, dtype=dtype))
    found = made(frames, window)
    one = (torch.view_as_real(found) * torch.view_as_real(spectra)).double().sum()
    other = (frames * made.adjoint(spectra, window)).double().sum()
    size = found.abs().norm() * spectra.abs().norm()
    assert abs(one - other) <= (1e-6 if dtype == torch.float32 else 1e-13) * size


def test_gradients():
    x = noise(20, dtype=torch.float64).requires_grad_()
    window = get_window("hamming", 8).requires_grad_()
    for bins in (3, 30):  # dense, and by a longer FFT
        keys = {"n_fft": 8, "hop_length": 5, "freq_bins": bins, **LOG}
        assert torch.autograd.gradcheck(lambda x, w, k=keys: stft(x, window=w, **k), (x, window))
        spec = stft(x, window=window, **keys).detach().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda s, k=keys: istft(s, n_iter=2, length=20, **k), (spec,)
        )


def test_followed_and_blockwise_forms_agree():
    x = noise(2, 60_000, dtype=torch.float64)
    keys = {"n_fft": 1024, **LOG}
    spec = stft(x, **keys)
    torch.testing.assert_close(stft(x.requires_grad_(), **keys), spec, atol=1e-11, rtol=0)
    again = istft(spec, n_iter=4, **keys)
    followed = istft(spec.requires_grad_(), n_iter=4, **keys)
    torch.testing.assert_close(followed, again, atol=1e-11, rtol=0)


def in_band(low, high, length=2 * RATE):
    x = noise(2, length, dtype=torch.float64)
    at = torch.fft.rfftfreq(length, 1 / RATE)
    return torch.fft.irfft(torch.fft.rfft(x) * ((at >= low) & (at <= high)), length).float()


@pytest.mark.parametrize(
    ("scaled", "bins", "limit"),
    [
        ({"freq_scale": "linear", "sample_rate": RATE}, 257, -90),
        ({"freq_scale": "linear", "sample_rate": RATE}, 1000, -80),
        ({**LOG, "fmax": 4000.0}, 513, -35),
        (LINEAR, 257, -35),
    ],
)
def test_audio_within_the_band_comes_back(scaled, bins, limit):
    x = in_band(1.3 * scaled.get("fmin", 0), 0.9 * scaled.get("fmax", RATE))
    keys = {"n_fft": 512, "hop_length": 128, **scaled}
    spec = stft(x, freq_bins=bins, **keys)
    again = istft(spec, freq_bins=bins, length=x.shape[-1], **keys)
    assert decibels(again, x) <= limit


def test_the_nearest_audio_is_stationary():
    x = noise(700, dtype=torch.float64)
    keys = {"n_fft": 32, "hop_length": 8, "freq_bins": 24, "window": "hamming"}
    keys |= {"freq_scale": "linear", "sample_rate": RATE}
    spec = stft(x, **keys, center=False)
    spec = spec * torch.rand(spec.shape, generator=torch.Generator().manual_seed(1))
    again = istft(spec, **keys, center=False, n_iter=200).requires_grad_()
    (stft(again, **keys, center=False) - spec).abs().square().sum().backward()
    assert again.grad.abs().max() <= 1e-6 * spec.abs().max()


def test_more_steps_come_nearer():
    x = in_band(100, 3000)
    keys = {"n_fft": 512, "hop_length": 128, "freq_bins": 513, **LOG}
    spec = stft(x, **keys)
    errors = []
    for n_iter in (2, 8, 32):
        again = stft(istft(spec, n_iter=n_iter, length=x.shape[-1], **keys), **keys)
        errors.append(decibels(again.abs(), spec.abs()))
    assert errors[0] > errors[1] > errors[2]


def test_bins_left_out_count_as_silent():
    x = in_band(0, 1500)
    spec = stft(x, n_fft=256, freq_bins=64)
    again = istft(spec, n_fft=256, freq_bins=64, length=x.shape[-1])
    assert decibels(again, x) <= -40


def test_modules_equal_functions():
    x = noise(2, 3000)
    keys = {"n_fft": 256, "hop_length": 100, "freq_bins": 70, "pad_mode": "constant", **LOG}
    layer = STFT(**keys)
    spec = layer(x)
    assert layer.state_dict() == {}
    assert "freq_scale=log, freq_bins=70" in repr(layer)
    assert torch.equal(spec, stft(x, **keys))
    keys.pop("pad_mode")
    expected = istft(spec, length=3000, **keys)
    assert torch.equal(layer.inverse(spec, length=3000), expected)
    assert torch.equal(ISTFT(**keys)(spec, length=3000), expected)


def test_silence_has_finite_gradients():
    for output in ("complex", "magnitude", "phase", "power"):
        x = torch.zeros(2, 2000, requires_grad=True)
        stft(x, n_fft=256, output=output, **LOG).abs().sum().backward()
        assert torch.isfinite(x.grad).all()


X = torch.zeros(3000)
SPEC = torch.zeros(70, 9, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: stft(X, freq_scale="mel"), "freq_scale='mel' must be one of"),
        (lambda: stft(X, freq_bins=0), "freq_bins=0 must be a positive integer"),
        (lambda: stft(X, n_fft=64, freq_bins=34), "n_fft=64 has no more than 33 bins"),
        (lambda: stft(X, fmin=50), "fmin=50 has no effect with freq_scale='no'"),
        (lambda: stft(X, freq_scale="log", fmin=50), "sample_rate=None must be a positive"),
        (lambda: stft(X, freq_scale="log", fmin=50, sample_rate=0), "sample_rate=0 must be"),
        (lambda: stft(X, freq_scale="log", sample_rate=RATE), "needs fmin"),
        (lambda: stft(X, **{**LOG, "fmin": 0}), "above 0 Hz"),
        (lambda: stft(X, **{**LOG, "fmax": 4001}), "at most half of sample_rate=8000"),
        (lambda: stft(X, **{**LINEAR, "fmax": 50}), "below fmax=50 Hz"),
        (lambda: stft(X, **{**LINEAR, "fmax": float("nan")}), "below fmax=nan Hz"),
        (lambda: istft(SPEC, **LOG), "n_fft must be given"),
        (lambda: istft(SPEC, n_fft=64, freq_bins=69, **LOG), "freq_bins is 69"),
        (lambda: istft(SPEC, n_fft=138, n_iter=0, **LOG), "n_iter=0 must be a positive"),
        (lambda: ISTFT(n_iter=1.5), "n_iter=1.5 must be a positive"),
        (lambda: stft_frequencies(sample_rate=-1), "sample_rate=-1 must be a positive"),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()
