import math

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import icqt
from unweave.transforms._cq_filterbank import filterbank
from unweave.transforms._cq_kernels import Bins
from unweave.transforms._cq_plan import plan
from unweave.transforms.constantq import cqt, vqt
from unweave.transforms.constantq_layer import CQT, VQT
from unweave.transforms.icqt import _weights

RATE = 8000
SMALL = {"sample_rate": RATE, "fmin": 250.0, "hop_length": 32, "bins_per_octave": 4}


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def snr_db(estimate, reference):
    reference = torch.as_tensor(reference)
    error = torch.as_tensor(estimate) - reference
    return -20 * math.log10(float(error.norm() / reference.norm()))


def band(low, high, length, dtype=torch.float32):
    """Noise between two frequencies that fades in and out."""
    spectrum = torch.fft.rfft(noise(2, length, dtype=torch.float64))
    frequency = torch.fft.rfftfreq(length, 1 / RATE)
    spectrum = spectrum * ((frequency > low) & (frequency < high))
    return (torch.fft.irfft(spectrum, length) * torch.hann_window(length)).to(dtype)


def test_solves_the_damped_normal_equations():
    length, damping = 300, 1e-2
    spec = cqt(torch.zeros(length).double(), n_bins=8, **SMALL)
    spec = torch.complex(noise(*spec.shape).double(), noise(*spec.shape, seed=1).double())
    unit = torch.eye(length, dtype=torch.float64)
    columns = torch.view_as_real(cqt(unit, n_bins=8, **SMALL)).flatten(1)
    bins = Bins(RATE, 250.0, 8, 4)
    weights = _weights(plan(bins, 32, "auto"), bins, 32).values
    weights = weights[:, None, None].expand(*spec.shape, 2).flatten()
    matrix = (columns * weights) @ columns.T + damping * unit
    expected = torch.linalg.solve(matrix, (columns * weights) @ torch.view_as_real(spec).flatten())
    audio = icqt(spec, length=length, damping=damping, n_iter=200, **SMALL)
    torch.testing.assert_close(audio, expected, rtol=1e-8, atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(
    length=st.integers(1, 3000),
    hop=st.sampled_from([32, 50, 63]),
    scale=st.booleans(),
    seed=st.integers(0, 100),
)
def test_the_transpose_is_the_weighted_adjoint(length, hop, scale, seed):
    keys = SMALL | {"hop_length": hop, "scale": scale}
    x = noise(length, dtype=torch.float64, seed=seed)
    spec = cqt(x, n_bins=8, **keys)
    other = torch.complex(noise(*spec.shape).double(), noise(*spec.shape, seed=seed + 1).double())
    bins = Bins(RATE, 250.0, 8, 4)
    made = plan(bins, hop, "auto", "librosa", scale)
    weights = _weights(made, bins, hop).values[:, None]
    audio = icqt(other, length=length, method="transpose", **keys)
    expected = (other.conj() * spec * weights).real.sum()
    assert float(audio @ x) == pytest.approx(float(expected), rel=1e-5, abs=1e-4)


KINDS = [
    {},
    {"scale": False},
    {"algorithm": "direct"},
    {"normalization": "convolutional"},
    {"normalization": "wrap"},
    {"norm": 2.0},
    {"window": "blackman", "filter_scale": 1.5},
    {"tuning": 0.3, "sparsity": 0.0},
    {"hop_length": 30},
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("keys", KINDS)
def test_restores_what_lies_within_the_bins(keys, dtype):
    x = band(250, 1800, 8000, dtype)
    keys = SMALL | {"bins_per_octave": 12} | keys
    spec = cqt(x, n_bins=38, **keys)
    audio = icqt(spec, length=8000, **keys)
    assert audio.dtype == dtype
    assert snr_db(audio, x) > 55
    assert snr_db(icqt(spec, length=8000, method="transpose", **keys), x) > 20


@pytest.mark.parametrize("gamma", [0.0, None, 20.0])
def test_restores_variable_q(gamma):
    x = band(250, 1800, 8000)
    keys = SMALL | {"bins_per_octave": 12, "gamma": gamma}
    audio = icqt(vqt(x, n_bins=38, **keys), length=8000, **keys)
    assert snr_db(audio, x) > 50


@pytest.mark.slow
@pytest.mark.parametrize(("hop", "least"), [(512, 3), (128, 6), (64, 8)])
def test_is_better_than_librosa(hop, least):
    time = np.arange(2 * 22050) / 22050
    saw = sum(
        np.sin(2 * np.pi * f * n * time) / n for f in (65.4, 196.0, 311.1) for n in range(1, 9)
    )
    x = (saw * (1 + np.sin(2 * np.pi * 3 * time))).astype(np.float32)
    spec = librosa.cqt(x, sr=22050, hop_length=hop)
    theirs = librosa.icqt(spec, sr=22050, hop_length=hop, length=len(x))
    ours = icqt(spec, sample_rate=22050, hop_length=hop, length=len(x))
    assert snr_db(ours, x) > snr_db(theirs, x) + least


def test_layers_invert_their_own_transform():
    x = band(250, 1800, 4000)
    keys = SMALL | {"bins_per_octave": 12}
    for layer, gamma in ((CQT(n_bins=38, **keys), 0.0), (VQT(n_bins=38, **keys), None)):
        audio = layer.inverse(layer(x), length=4000)
        torch.testing.assert_close(audio, icqt(layer(x), length=4000, gamma=gamma, **keys))
    layer = CQT(n_bins=38, trainable=True, **keys)
    with torch.no_grad():
        for kernel in layer.kernels:
            kernel.mul_(-0.5)
    spec = layer(x).detach()
    assert snr_db(layer.inverse(spec, length=4000), x) > 50
    assert layer.inverse(spec, method="transpose").shape == (2, 125 * 32)
    with pytest.raises(ParameterError, match="8 bins, but the transform 38"):
        layer.inverse(spec[:, :8])
    with pytest.raises(ParameterError, match="must be a complex transform"):
        layer.inverse(spec.abs())


def test_more_steps_come_nearer_to_the_values():
    x = band(100, 3500, 4000)[0]
    spec = cqt(x, n_bins=12, **SMALL)
    weights = _weights(plan(Bins(RATE, 250.0, 12, 4), 32, "auto"), Bins(RATE, 250.0, 12, 4), 32)
    errors = []
    for n_iter in (1, 2, 4, 8, 16):
        audio = icqt(spec, length=4000, n_iter=n_iter, damping=0.0, **SMALL)
        rest = cqt(audio, n_bins=12, **SMALL) - spec
        errors.append(float((rest.abs().square() * weights(audio)[:, None]).sum()))
    assert errors == sorted(errors, reverse=True)


def test_damping_keeps_noise_down():
    spec = cqt(torch.zeros(4000), n_bins=8, **SMALL)
    spec = torch.complex(noise(*spec.shape), noise(*spec.shape, seed=1))
    sizes = [
        float(icqt(spec, damping=d, n_iter=100, **SMALL).norm()) for d in (1e-4, 1e-2, 1.0, 100.0)
    ]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("shape", [(2000,), (2, 2000), (2, 3, 2000)])
def test_leading_axes_are_free_and_independent(shape):
    x = noise(*shape)
    spec = cqt(x, n_bins=8, **SMALL)
    kept = spec.clone()
    audio = icqt(spec, length=2000, **SMALL)
    assert audio.shape == shape
    assert torch.equal(spec, kept)
    alone = icqt(spec.reshape(-1, *spec.shape[-2:])[-1], length=2000, **SMALL)
    torch.testing.assert_close(audio.reshape(-1, 2000)[-1], alone, rtol=0, atol=1e-4)


def test_silence_stays_silent_beside_sound():
    x = torch.stack([torch.zeros(2000), noise(2000)])
    spec = cqt(x, n_bins=8, **SMALL).requires_grad_()
    audio = icqt(spec, length=2000, n_iter=5, **SMALL)
    assert bool((audio[0] == 0).all())
    assert bool((audio[1] != 0).any())
    audio.square().sum().backward()
    assert bool(torch.view_as_real(spec.grad).isfinite().all())


def test_bad_numbers_pass_through():
    spec = cqt(noise(2, 2000), n_bins=8, **SMALL)
    spec[0, 3, 3] = torch.nan
    audio = icqt(spec, n_iter=3, **SMALL)
    assert bool(audio[0].isnan().any())
    assert bool(audio[1].isfinite().all())


def test_no_audio_needs_no_search():
    assert icqt(torch.zeros(8, 1, dtype=torch.complex64), **SMALL).shape == (0,)
    assert icqt(torch.zeros(0, 8, 3, dtype=torch.complex64), **SMALL).shape == (0, 64)


def test_lengths():
    spec = cqt(noise(2000), n_bins=8, **SMALL)
    frames = spec.shape[-1]
    assert icqt(spec, **SMALL).shape == ((frames - 1) * 32,)
    assert icqt(spec, length=700, **SMALL).shape == (700,)
    assert icqt(spec, length=frames * 32 - 1, **SMALL).shape == (frames * 32 - 1,)
    with pytest.raises(ParameterError, match="goes beyond the"):
        icqt(spec, length=frames * 32, **SMALL)


def test_numpy_in_numpy_out():
    spec = cqt(noise(2000), n_bins=8, **SMALL)
    audio = icqt(spec.numpy(), **SMALL)
    assert isinstance(audio, np.ndarray)
    np.testing.assert_array_equal(audio, icqt(spec, **SMALL).numpy())


@pytest.mark.parametrize("method", ["least_squares", "transpose"])
def test_gradients(method):
    keys = {"sample_rate": 100.0, "fmin": 10.0, "hop_length": 8, "bins_per_octave": 2}
    spec = cqt(noise(40, dtype=torch.float64), n_bins=4, **keys).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda spec: icqt(spec, method=method, n_iter=3, length=40, **keys), spec
    )


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"hop_length": 0}, "hop_length=0"),
        ({"method": "magic"}, "method='magic' must be one of"),
        ({"n_iter": 0}, "n_iter=0"),
        ({"damping": -1.0}, "damping=-1.0"),
        ({"length": 0}, "length=0"),
        ({"algorithm": "slow"}, "algorithm='slow'"),
        ({"normalization": "none"}, "normalization='none'"),
        ({"fmin": 3000.0}, "above half"),
    ],
)
def test_bad_parameters_are_named(keys, text):
    with pytest.raises(ParameterError, match=text):
        icqt(torch.zeros(8, 3, dtype=torch.complex64), **(SMALL | keys))


def test_bad_input_is_named():
    for spec in (torch.zeros(8, 3), torch.zeros(8, dtype=torch.complex64)):
        with pytest.raises(ParameterError, match="must be a complex transform"):
            icqt(spec, **SMALL)


def test_weights_make_there_and_back_the_identity():
    for gamma in (0.0, 30.0):
        bins = Bins(RATE, 100.0, 60, 12, gamma=gamma)
        time = torch.arange(RATE, dtype=torch.float64) / RATE
        for f in (150.0, 500.0, 1700.0):
            x = torch.sin(2 * torch.pi * f * time)[None]
            audio = icqt(
                filterbank(x, plan(bins, 16, "auto")).mT[0],
                sample_rate=RATE,
                fmin=100.0,
                hop_length=16,
                gamma=gamma,
                method="transpose",
                length=RATE,
            )
            middle = slice(RATE // 3, 2 * RATE // 3)
            gain = float(audio[middle] @ x[0, middle]) / float(x[0, middle].square().sum())
            assert gain == pytest.approx(1, abs=0.03)
