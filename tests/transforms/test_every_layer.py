"""What holds for every layer from audio to features, whatever it computes."""

import copy
import io
import math

import numpy as np
import pytest
import torch

import unweave.transforms as T
from unweave.errors import ParameterError

RATE = 8000
SHORT = {"n_fft": 256, "hop_length": 100}
KEYS = {"sample_rate": RATE, "hop_length": 60, "n_bins": 36, "fmin": 110.0}
LAYERS = {
    "STFT": lambda: T.STFT(**SHORT),
    "STFT magnitude": lambda: T.STFT(**SHORT, output="magnitude"),
    "STFT log": lambda: T.STFT(
        **SHORT, freq_scale="log", freq_bins=40, fmin=60, fmax=3000, sample_rate=RATE
    ),
    "STFT trained": lambda: T.STFT(**SHORT, trainable=True, output="magnitude"),
    "STFT trained window": lambda: T.STFT(**SHORT, trainable_window=True, output="magnitude"),
    "mel": lambda: T.MelSpectrogram(sample_rate=RATE, n_mels=20, **SHORT),
    "mel trained": lambda: T.MelSpectrogram(
        sample_rate=RATE, n_mels=20, trainable_mel=True, trainable_STFT=True, **SHORT
    ),
    "MFCC": lambda: T.MFCC(sample_rate=RATE, n_mels=20, n_mfcc=13, **SHORT),
    "gammatone": lambda: T.Gammatonegram(sample_rate=RATE, n_bins=20, **SHORT),
    "chroma": lambda: T.ChromaSTFT(sample_rate=RATE, **SHORT),
    "CQT": lambda: T.CQT(**KEYS),
    "CQT magnitude": lambda: T.CQT(**KEYS, output="magnitude"),
    "CQT direct": lambda: T.CQT(**KEYS, algorithm="direct", output="magnitude"),
    "CQT downsampled": lambda: T.CQT(**KEYS, algorithm="downsample", output="magnitude"),
    "CQT trained": lambda: T.CQT(**KEYS, trainable=True, output="magnitude"),
    "VQT": lambda: T.VQT(**KEYS, gamma=10.0, output="magnitude"),
    "NSGT": lambda: T.NSGT(sample_rate=RATE, fmin=110.0),
}
EXPORTED = ("STFT magnitude", "mel", "MFCC", "gammatone", "CQT magnitude", "VQT", "CQT direct")


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def total(out):
    return (out.abs() if out.is_complex() else out).sum()


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]()


@pytest.mark.parametrize("lead", [(), (2,), (2, 3), (0,)])
def test_leading_axes_are_free(layer, lead):
    x = noise(*lead, 4000)
    out = layer(x)
    assert out.shape[: len(lead)] == lead
    if out.numel():
        single = layer(x.reshape(-1, 4000)[-1])
        torch.testing.assert_close(out.reshape(-1, *out.shape[-2:])[-1], single)


def test_precision_follows_the_input(layer):
    x = noise(2, 4000, dtype=torch.float64)
    double, single = layer(x), layer(x.float())
    assert double.dtype in (torch.float64, torch.complex128)
    assert single.dtype in (torch.float32, torch.complex64)
    scale = float(double.detach().abs().max())
    assert float((double - single).detach().abs().max()) <= 1e-4 * scale
    half = layer(x.bfloat16())
    assert half.dtype in (torch.bfloat16, torch.complex64)
    assert torch.isfinite(torch.view_as_real(half) if half.is_complex() else half).all()


def test_gradients_are_right_and_finite_on_silence(layer):
    x = torch.zeros(2, 2000, requires_grad=True)
    total(layer(x)).backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())
    # One direction of the gradient against a difference quotient.
    layer = copy.deepcopy(layer).double()
    x = noise(1500, dtype=torch.float64).requires_grad_()
    weights = noise(*layer(x).shape, dtype=torch.float64)

    def objective(x):
        out = layer(x)
        return ((out.real + out.imag if out.is_complex() else out) * weights).sum()

    objective(x).backward()
    direction, step = noise(1500, dtype=torch.float64).flip(0), 1e-6
    with torch.no_grad():
        slope = (objective(x + step * direction) - objective(x - step * direction)) / (2 * step)
    assert math.isclose(float(slope), float(x.grad @ direction), rel_tol=1e-3, abs_tol=1e-3)


def test_layers_without_training_have_nothing_to_save(layer):
    trained = [name for name, _ in layer.named_parameters()]
    assert list(layer.state_dict()) == trained


def test_copies_and_pickles_compute_the_same(layer):
    x = noise(2, 3000)
    expected = layer(x)
    stored = io.BytesIO()
    torch.save(layer, stored)
    stored.seek(0)
    for other in (copy.deepcopy(layer), torch.load(stored, weights_only=False)):
        torch.testing.assert_close(other(x), expected)


def test_batches_made_by_vmap_are_batches(layer):
    x = noise(3, 3000)
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x), atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_compiled_is_eager(layer):
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = noise(2, 4000)
    torch.testing.assert_close(compiled(x), layer(x), atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LAYERS)
def test_exported_is_eager(name):
    layer, x = LAYERS[name](), noise(2, 4000)
    program = torch.export.export(layer, (x,))
    torch.testing.assert_close(program.module()(x), layer(x), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXPORTED)
def test_onnxruntime_computes_the_same(name, tmp_path):
    import onnxruntime

    layer, x = LAYERS[name]().eval(), noise(2, 4000)
    path = tmp_path / "layer.onnx"
    torch.onnx.export(layer, (x,), path, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(path)
    (out,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    expected = layer(x).detach().numpy()
    assert np.abs(out - expected).max() <= 2e-5 * np.abs(expected).max()


def test_autocast_changes_little(layer):
    x = noise(2, 3000)
    expected = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    out = out if out.is_complex() else out.float()
    error = (out - expected).norm() / expected.norm()
    assert error < 0.02


def test_ragged_batches_are_single_signals(layer):
    x = noise(3, 3000)
    out, frames = T.ragged(layer, x, lengths=torch.tensor([3000, 1500, 2222]))
    alone = layer(x[1, :1500])
    torch.testing.assert_close(out[1, :, : frames[1]], alone, atol=1e-4, rtol=1e-4)


def test_no_argument_is_modified(layer):
    x = noise(2, 3000)
    kept = x.clone()
    layer(x)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (torch.zeros(()), "audio"),
        (torch.zeros(2, 3000, dtype=torch.int16), "float"),
        (torch.zeros(2, 3000, dtype=torch.complex64), "float"),
    ],
)
def test_what_is_not_audio_is_refused(layer, x, text):
    with pytest.raises(ParameterError, match=text):
        layer(x)


def test_nothing_hangs_on_nan_and_short_signals(layer):
    x = noise(3000)
    x[1000] = torch.nan
    assert torch.isnan(total(layer(x)))
    with np.errstate(all="ignore"):
        assert layer(torch.ones(200)).shape[-1] >= 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_is_cpu(layer):
    x = noise(2, 4000)
    expected = layer(x)
    out = layer.cuda()(x.cuda())
    assert out.is_cuda
    torch.testing.assert_close(out.cpu(), expected, atol=1e-3, rtol=1e-3)
