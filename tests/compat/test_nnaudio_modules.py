"""The layers as modules: gradients, compilers, copies, precisions, changed kernels, imports."""

import copy
import io
import time

import pytest
import torch

import unweave.compat.nnaudio as nn_audio
from unweave.compat.nnaudio import features
from unweave.compat.nnaudio.features.cqt import CQT1992v2
from unweave.compat.nnaudio.features.mel import MFCC, MelSpectrogram
from unweave.compat.nnaudio.features.stft import STFT, iSTFT
from unweave.compat.nnaudio.Spectrogram import STFT as SAME
from unweave.compat.nnaudio.v0_0 import Spectrogram as First

X = torch.randn(2, 8192, generator=torch.Generator().manual_seed(0))
LAYERS = {
    "stft": lambda: STFT(n_fft=256),
    "stft magnitude": lambda: STFT(n_fft=256, output_format="Magnitude"),
    "stft phase": lambda: STFT(n_fft=256, output_format="Phase"),
    "stft log": lambda: STFT(n_fft=256, freq_scale="log"),
    "stft trained": lambda: STFT(n_fft=256, trainable=True, output_format="Magnitude"),
    "mel": lambda: MelSpectrogram(n_fft=256, n_mels=20),
    "mel of magnitudes": lambda: MelSpectrogram(n_fft=256, n_mels=20, power=1.0),
    "mfcc": lambda: MFCC(n_fft=256, n_mels=20),
    "gammatone": lambda: features.Gammatonegram(n_fft=256, n_bins=10),
    "cqt1992": lambda: features.CQT1992(n_bins=48),
    "cqt1992v2": lambda: CQT1992v2(fmin=220, n_bins=48),
    "cqt1992v2 phase": lambda: CQT1992v2(fmin=220, n_bins=48, output_format="Phase"),
    "cqt2010": lambda: features.CQT2010(fmin=220, n_bins=48),
    "cqt2010v2": lambda: features.CQT2010v2(fmin=220, n_bins=48, trainable=True),
    "cqt2010v2 early": lambda: features.CQT2010v2(fmin=110, n_bins=12),
    "cqt2010v2 any hop": lambda: features.CQT2010v2(fmin=220, n_bins=48, hop_length=441),
    "vqt": lambda: features.VQT(fmin=220, n_bins=48, gamma=3, trainable=True),
    "cfp": features.CFP,
    "first mel": lambda: First.MelSpectrogram(n_fft=256, n_mels=20),
}
EXPORTED = ["stft", "stft log", "mfcc", "cqt1992", "cqt1992v2", "cqt2010v2 early", "vqt"]
layers = pytest.mark.parametrize("name", LAYERS)


@layers
def test_gradients_are_finite_even_on_silence(name):
    layer = LAYERS[name]()
    for clip in (torch.zeros_like(X), X):
        x = clip.clone().requires_grad_()
        layer(x).sum().backward()
        assert x.grad.isfinite().all()
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


@layers
def test_the_form_with_a_gradient_equals_the_one_without(name):
    layer = LAYERS[name]()
    with torch.no_grad():
        plain = layer(X)
    torch.testing.assert_close(layer(X.clone().requires_grad_()), plain, rtol=1e-4, atol=1e-4)


@layers
def test_input_shapes_and_unchanged_input(name):
    layer = LAYERS[name]()
    before = X.clone()
    with torch.no_grad():
        batch = layer(X)
        torch.testing.assert_close(layer(X[:, None]), batch, rtol=0, atol=0)
        torch.testing.assert_close(layer(X[0]), batch[:1], rtol=1e-4, atol=1e-4)
    assert torch.equal(X, before)


@layers
@pytest.mark.slow
def test_the_compiler_finds_one_graph(name):
    layer = LAYERS[name]()
    torch._dynamo.reset()
    with torch.no_grad():
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(X), layer(X), rtol=1e-5, atol=1e-5)


@layers
def test_copies_and_precisions(name):
    layer = LAYERS[name]()
    with torch.no_grad():
        expected = layer(X)
        assert torch.equal(copy.deepcopy(layer)(X), expected)
        buffer = io.BytesIO()
        torch.save(layer, buffer)
        buffer.seek(0)
        # The file is our own, of a moment ago.
        assert torch.equal(torch.load(buffer, weights_only=False)(X), expected)
        double = copy.deepcopy(layer).double()(X.double())
        assert double.dtype == torch.float64
        if "phase" not in name:
            torch.testing.assert_close(double.float(), expected, rtol=1e-3, atol=1e-4)
        assert layer(X.bfloat16()).dtype == torch.bfloat16
        mapped = torch.func.vmap(layer)(X)
        torch.testing.assert_close(mapped[:, 0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTED)
@pytest.mark.filterwarnings("ignore")
def test_onnx(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    layer = LAYERS[name]().eval()
    with torch.no_grad():
        program = torch.onnx.export(layer, (X,), dynamo=True, verbose=False)
        program.save(str(tmp_path / "layer.onnx"))
        session = runtime.InferenceSession(str(tmp_path / "layer.onnx"))
        (result,) = session.run(None, {session.get_inputs()[0].name: X.numpy()})
        torch.testing.assert_close(torch.from_numpy(result), layer(X), rtol=1e-4, atol=1e-4)


def test_a_basis_that_changes_is_noticed():
    layer = STFT(n_fft=256, output_format="Magnitude")
    with torch.no_grad():
        expected = layer(X)
        layer.wsin *= 0.5  # in place
        layer.wcos *= 0.5
        torch.testing.assert_close(layer(X), 0.5 * expected, rtol=1e-4, atol=1e-4)
        layer.wsin, layer.wcos = layer.wsin * 2, layer.wcos * 2  # replaced, and as it was
        assert torch.equal(layer(X), expected)
        layer.wsin = torch.zeros_like(layer.wsin)
        assert float((layer(X) - expected).abs().max()) > 1
        layer.load_state_dict(STFT(n_fft=256).state_dict())
        assert torch.equal(layer(X), expected)
        layer.to(torch.float64).to(torch.float32)
        assert torch.equal(layer(X), expected)


def test_a_changed_basis_that_is_loaded_reaches_compiled_code():
    layer, other = (STFT(n_fft=64, output_format="Magnitude") for _ in range(2))
    with torch.no_grad():
        compiled = torch.compile(layer, fullgraph=True, backend="eager")
        before = compiled(X)
        other.wsin *= 0.5
        other.wcos *= 0.5
        layer.load_state_dict(other.state_dict())
        torch.testing.assert_close(compiled(X), 0.5 * before, rtol=1e-4, atol=1e-4)


def test_training_lowers_a_loss_and_survives_a_checkpoint():
    layer = STFT(n_fft=64, trainable=True, output_format="Magnitude")
    goal = layer(X).detach().roll(1, 1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = (layer(X) - goal).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    fixed = STFT(n_fft=64, output_format="Magnitude")
    fixed.load_state_dict(layer.state_dict(), strict=True)
    with torch.no_grad():
        torch.testing.assert_close(fixed(X), layer(X), rtol=1e-3, atol=1e-3)


def test_import_forms():
    assert nn_audio.features.STFT is STFT is SAME is nn_audio.Spectrogram.STFT
    assert nn_audio.features.stft.iSTFT is iSTFT
    for module, names in {
        "stft": ["STFT", "iSTFT"],
        "mel": ["MelSpectrogram", "MFCC"],
        "cqt": ["CQT", "CQT1992", "CQT1992v2", "CQT2010", "CQT2010v2", "iCQT"],
        "vqt": ["VQT"],
        "gammatone": ["Gammatonegram"],
        "griffin_lim": ["Griffin_Lim"],
        "cfp": ["CFP", "Combined_Frequency_Periodicity"],
    }.items():
        for name in names:
            assert getattr(getattr(nn_audio.features, module), name) is getattr(features, name)


@pytest.mark.slow
@torch.no_grad()
def test_spectrograms_are_several_times_faster_than_nnaudios(peer):
    """Ten times and more on a quiet machine; the margin is for busy ones."""
    x = torch.randn(8, 44100)
    layers = [peer.STFT(hop_length=512, verbose=False), STFT(hop_length=512)]
    times = []
    for layer in layers:
        runs = []
        for _ in range(5):
            start = time.process_time()
            layer(x, "Magnitude")
            runs.append(time.process_time() - start)
        times.append(min(runs))
    assert times[1] < times[0] / 3
