import copy
import pickle
import warnings

import librosa
import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import MelSpectrogram, mel_filter_bank, mel_frequencies, mel_spectrogram

SMALL = {"sample_rate": 16000, "n_fft": 512, "n_mels": 40}
TRAINED = [
    {"trainable_mel": True},
    {"trainable_mel": "spacing"},
    {"trainable_STFT": True},
    {"trainable_STFT": "window"},
    {"trainable_mel": True, "trainable_STFT": True},
]


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float(((a - b).abs().max() / b.abs().max()).detach())


BANKS = [
    {"sample_rate": 22050, "n_fft": 2048},
    {"sample_rate": 44100, "n_fft": 4096, "n_mels": 80, "htk": True, "norm": None, "fmin": 20},
    {"sample_rate": 16000, "n_fft": 400, "n_mels": 23, "norm": 1, "fmin": 100, "fmax": 7000},
    {"sample_rate": 16000, "n_fft": 512, "n_mels": 40, "norm": np.inf},
    {"sample_rate": 8000, "n_fft": 255, "n_mels": 10, "norm": 2, "htk": True},
]


@pytest.mark.parametrize("keys", BANKS)
def test_banks_equal_librosas(keys):
    theirs = {key: value for key, value in keys.items() if key != "sample_rate"}
    expected = librosa.filters.mel(sr=keys["sample_rate"], dtype=np.float64, **theirs)
    bank = mel_filter_bank(**keys)
    assert bank.dtype == torch.float64
    np.testing.assert_allclose(bank, expected, rtol=0, atol=1e-13 * expected.max())


@pytest.mark.parametrize("htk", [False, True])
def test_frequencies_equal_librosas(htk):
    expected = librosa.mel_frequencies(50, fmin=30, fmax=9000, htk=htk)
    np.testing.assert_allclose(mel_frequencies(50, fmin=30, fmax=9000, htk=htk), expected)


def test_a_bank_is_the_callers_to_change():
    mel_filter_bank(**SMALL).zero_()
    assert mel_filter_bank(**SMALL).max() > 0


@pytest.mark.filterwarnings("default")
def test_filters_between_bins_are_told():
    with pytest.warns(UserWarning, match="mel filters lie between two bins.*n_mels=99"):
        mel_filter_bank(sample_rate=16000, n_fft=256, n_mels=99)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keys", BANKS)
@pytest.mark.parametrize(
    "frames", [{}, {"hop_length": 100, "win_length": 200, "window": "hamming"}, {"center": False}]
)
def test_equals_librosa(keys, frames, dtype):
    x = noise(2, 9001).numpy().astype(dtype)
    theirs = {key: value for key, value in keys.items() if key != "sample_rate"} | frames
    theirs.setdefault("hop_length", keys["n_fft"] // 4)
    expected = librosa.feature.melspectrogram(y=x, sr=keys["sample_rate"], **theirs)
    out = mel_spectrogram(x, **keys, **frames, pad_mode="constant")
    assert out.dtype == dtype
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() <= 2e-6 * expected.max()


@pytest.mark.parametrize("power", [1.0, 0.7, 3.0])
def test_other_powers_equal_librosas(power):
    x = noise(5000).numpy()
    expected = librosa.feature.melspectrogram(
        y=x, sr=16000, n_fft=512, hop_length=128, n_mels=40, power=power, pad_mode="reflect"
    )
    out = mel_spectrogram(x, power=power, **SMALL)
    assert np.abs(out - expected).max() <= 2e-6 * expected.max()


@pytest.mark.parametrize("keys", BANKS)
def test_plain_and_block_forms_agree(keys):
    x = noise(2, 30_000, dtype=torch.float64)
    fast = mel_spectrogram(x, **keys)
    followed = mel_spectrogram(x.clone().requires_grad_(), **keys)
    torch.testing.assert_close(followed.detach(), fast, atol=1e-12 * float(fast.max()), rtol=0)


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000), (0, 3000), (2, 0)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    out = mel_spectrogram(x, **SMALL)
    assert out.shape == (*shape[:-1], 40, 1 + shape[-1] // 128 if shape[-1] else 0)
    for row, single in zip(x.flatten(0, -2), out.flatten(0, -3), strict=True) if x.ndim > 1 else ():
        torch.testing.assert_close(mel_spectrogram(row, **SMALL), single)


@settings(max_examples=20, deadline=None)
@given(gain=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_energy_grows_with_the_square(gain, seed):
    x = torch.randn(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    out = mel_spectrogram(x, **SMALL)
    assert (out >= 0).all()
    torch.testing.assert_close(mel_spectrogram(gain * x, **SMALL), gain**2 * out)


def test_no_argument_is_modified():
    x = noise(3000)
    before = x.clone()
    mel_spectrogram(x, **SMALL)
    MelSpectrogram(**SMALL)(x)
    assert torch.equal(x, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_worked_on_in_single(dtype):
    x = noise(3000).to(dtype)
    out = mel_spectrogram(x, **SMALL)
    assert out.dtype == dtype
    assert torch.equal(out, mel_spectrogram(x.float(), **SMALL).to(dtype))


def test_not_a_number_passes_through():
    x = noise(3000)
    x[1500] = torch.nan
    out = mel_spectrogram(x, **SMALL)
    assert out.isnan().any()
    assert out[:, :5].isfinite().all()


AUDIO = torch.zeros(3000)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"fmax": 8001}, "fmax=8001 Hz is above the Nyquist .* at most 8000"),
        ({"fmin": 9000}, "fmin=9000 Hz must be below fmax=8000"),
        ({"fmin": -1}, "fmin=-1"),
        ({"n_mels": 0}, "n_mels=0 must be a positive integer"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"norm": "area"}, "norm='area' must be 'slaney'"),
        ({"norm": -1}, "norm=-1"),
        ({"power": 0}, "power=0 must be positive"),
        ({"hop_length": 0}, "hop_length=0"),
        ({"n_fft": 8192}, "too short to be mirrored"),
        ({"trainable_mel": "centres"}, r"trainable_mel='centres' must be one of \('spacing',\)"),
        ({"trainable_STFT": "sines"}, "trainable_STFT='sines'"),
        ({"window": torch.nn.Parameter(torch.ones(512))}, "window is a parameter"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        MelSpectrogram(**(SMALL | keys))(AUDIO)


def test_wrong_audio_is_refused():
    for x in (AUDIO.int(), torch.tensor(1.0), torch.zeros(3, dtype=torch.complex64)):
        with pytest.raises(ParameterError, match="must be audio"):
            mel_spectrogram(x, **SMALL)


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("trained", [{}, *TRAINED])
def test_silence_has_finite_gradients(trained, power):
    layer = MelSpectrogram(**SMALL, **trained, power=power)
    x = torch.zeros(2, 2000, requires_grad=True)
    (layer(x) + 1e-10).log().sum().backward()
    for tensor in (x, *layer.parameters()):
        assert tensor.grad.isfinite().all()


@pytest.mark.parametrize("trained", TRAINED)
def test_gradients_are_right(trained):
    layer = MelSpectrogram(sample_rate=100, n_fft=8, hop_length=3, n_mels=3, norm=None, **trained)
    layer.double()
    x = noise(20, dtype=torch.float64).requires_grad_()
    if "mel_basis" in layer.state_dict():
        layer.mel_basis.data.add_(0.01)  # away from zero, where the gradient passes on purpose
    if "mel_spacing" in layer.state_dict():
        layer.mel_spacing.data.add_(0.2 * noise(4))  # away from where an edge meets a bin
    names = list(dict(layer.named_parameters()))

    def run(x, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *layer.parameters()))


@pytest.mark.parametrize("trained", TRAINED)
def test_trained_layers_start_exact(trained):
    x = noise(2, 5000)
    for keys in (SMALL, {**SMALL, "htk": True, "norm": 1, "fmin": 50}):
        out = MelSpectrogram(**keys, **trained)(x)
        assert relative(out, mel_spectrogram(x, **keys)) <= 1e-6


@pytest.mark.parametrize("trained", TRAINED)
def test_trained_banks_stay_non_negative(trained):
    layer = MelSpectrogram(**SMALL, **trained)
    before = layer.filter_bank.detach().clone()
    adam = torch.optim.Adam(layer.parameters(), lr=0.02)
    x = noise(4, 3000)
    for _ in range(50):
        adam.zero_grad()
        (layer(x) + 1e-6).log().mean().backward()  # asks for less energy, whatever the weights
        adam.step()
    mel = layer(x)
    assert (layer.filter_bank >= 0).all()
    assert (mel >= 0).all()
    assert (mel + 1e-6).log().isfinite().all()
    assert all(p.isfinite().all() for p in layer.parameters())
    if trained.get("trainable_mel"):
        assert not torch.equal(layer.filter_bank, before)


def test_weights_that_fell_below_zero_come_back():
    layer = MelSpectrogram(**SMALL, trainable_mel=True)
    layer.mel_basis.data.fill_(-1e-3)
    x = noise(3000)
    target = mel_spectrogram(x, **SMALL)
    adam = torch.optim.Adam(layer.parameters(), lr=1e-4)
    losses = []
    for _ in range(60):
        loss = (layer(x) - target).square().mean()
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert losses[-1] < 0.7 * losses[0]


def test_trained_spacing_finds_another_scale():
    x = noise(4, 4000)
    target = mel_spectrogram(x, **SMALL, htk=True).log()
    layer = MelSpectrogram(**SMALL, trainable_mel="spacing")
    adam = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = (layer(x).clamp(min=1e-9).log() - target).square().mean()
        losses.append(float(loss.detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert losses[-1] < 0.1 * losses[0]


@pytest.mark.parametrize("trained", [{}, *TRAINED])
def test_module_is_light_and_can_be_copied(trained):
    layer = MelSpectrogram(**SMALL, **trained)
    assert (layer.state_dict() == {}) == (not trained)
    x = noise(2000)
    out = layer(x)
    torch.testing.assert_close(out, mel_spectrogram(x, **SMALL), rtol=1e-4, atol=1e-4)
    assert torch.equal(copy.deepcopy(layer)(x), out)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), out)
    assert layer.double()(x.double()).dtype == torch.float64
    assert layer.bfloat16()(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("trained", [{}, *TRAINED])
def test_compiles_and_exports(trained):
    layer, x = MelSpectrogram(**SMALL, **trained), noise(3, 4000)
    expected = layer(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
        sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}
        exported = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    assert relative(compiled, expected) <= 1e-6
    other = noise(2, 7777)
    assert relative(exported(other), layer(other)) <= 1e-6


@pytest.mark.filterwarnings("ignore")  # torch's own, of its exporter
@pytest.mark.parametrize("keys", [SMALL, {**SMALL, "n_fft": 400, "n_mels": 20, "power": 1.0}])
def test_runs_in_onnxruntime(keys, tmp_path):
    layer, x = MelSpectrogram(**keys), noise(2, 4000)
    sizes = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}}
    file = tmp_path / "mel.onnx"
    torch.onnx.export(layer, (x,), file, dynamo=True, dynamic_shapes=sizes, verbose=False)
    session = onnxruntime.InferenceSession(file)
    for audio in (x, noise(3, 5555)):
        (out,) = session.run(None, {"x": audio.numpy()})
        expected = layer(audio).numpy()
        assert np.abs(out - expected).max() <= 2e-6 * expected.max()


@pytest.mark.parametrize("trained", [{}, *TRAINED])
def test_vmap_and_autocast(trained):
    layer, x = MelSpectrogram(**SMALL, **trained), noise(3, 4000)
    expected = layer(x)
    assert relative(torch.func.vmap(layer)(x), expected) <= 1e-6
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
    assert out.dtype == torch.float32
    assert relative(out, expected) <= 1e-6


def test_inference_mode_leaves_training_possible():
    keys = {**SMALL, "n_mels": 37}
    with torch.inference_mode():
        mel_spectrogram(noise(2000), **keys)
    x = noise(2000).requires_grad_()
    MelSpectrogram(**keys)(x).sum().backward()
    assert x.grad.abs().max() > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("trained", [{}, *TRAINED])
def test_cuda_equals_cpu(trained):
    layer, x = MelSpectrogram(**SMALL, **trained), noise(3, 30_000)
    expected = layer(x)
    out = layer.cuda()(x.cuda())
    assert relative(out.cpu(), expected) <= 2e-6
