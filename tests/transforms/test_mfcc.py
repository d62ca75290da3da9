import copy
import pickle
import warnings

import librosa
import numpy as np
import onnxruntime
import pytest
import scipy.fft
import torch

from unweave.errors import ParameterError
from unweave.transforms import MFCC, inverse_mfcc, mel_spectrogram, mfcc
from unweave.transforms.mfcc import _cosine_transform

SMALL = {"sample_rate": 16000, "n_fft": 512, "n_mels": 40}
THEIRS = {"sr": 16000, "n_fft": 512, "hop_length": 128, "n_mels": 40}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def worst(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.abs(a - b).max() / np.abs(b).max()


@pytest.mark.parametrize("norm", [None, "ortho"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
@pytest.mark.parametrize("n", [2, 3, 8, 13])
def test_cosine_transforms_equal_scipys(n, kind, norm):
    expected = scipy.fft.dct(np.eye(n), type=kind, norm=norm, axis=0)
    np.testing.assert_allclose(_cosine_transform(n, kind, norm == "ortho"), expected, atol=1e-12)


SETTINGS = [
    {},
    {"n_mfcc": 13, "lifter": 22},
    {"dct_type": 3, "n_mfcc": 40},
    {"dct_type": 1, "norm": None},
    {"norm": None, "fmin": 50, "htk": True},
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keys", SETTINGS)
def test_equals_librosa(keys, dtype):
    x = noise(9000).numpy().astype(dtype)
    expected = librosa.feature.mfcc(y=x, **THEIRS, **keys)
    out = mfcc(x, **SMALL, **keys, pad_mode="constant")
    assert out.dtype == dtype
    assert out.shape == expected.shape
    assert worst(out, expected) <= 2e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("keys", SETTINGS)
def test_inverse_equals_librosas(keys, dtype):
    keys = {key: keys[key] for key in ("dct_type", "norm", "lifter") if key in keys}
    coefficients = (5 * noise(2, 20, 7)).numpy().astype(dtype)
    coefficients[:, 3] = 0
    expected = librosa.feature.inverse.mfcc_to_mel(coefficients, n_mels=40, **keys)
    out = inverse_mfcc(coefficients, n_mels=40, **keys)
    assert out.dtype == dtype
    limit = 2e-5 if dtype == np.float32 else 1e-11  # relative errors of powers of ten
    np.testing.assert_allclose(out, expected, rtol=limit)


@pytest.mark.parametrize("lifter", [0, 35])
def test_all_coefficients_restore_the_mel_spectrogram(lifter):
    x = noise(2, 5000, dtype=torch.float64)
    coefficients = mfcc(x, **SMALL, n_mfcc=40, lifter=lifter)
    again = inverse_mfcc(coefficients, n_mels=40, lifter=lifter)
    torch.testing.assert_close(again, mel_spectrogram(x, **SMALL))


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000), (2, 0)])
def test_items_of_a_batch_do_not_meet(shape):
    x = noise(*shape)
    if x.ndim == 3:
        x[0] *= 1e5  # its loudness is nothing to the others
    out = mfcc(x, **SMALL)
    rows = x.reshape(-1, shape[-1]) if shape[-1] else ()
    for row, single in zip(
        rows, out.reshape(-1, *out.shape[-2:]) if shape[-1] else (), strict=True
    ):
        torch.testing.assert_close(mfcc(row, **SMALL), single)
    assert inverse_mfcc(out, n_mels=40).shape == (*shape[:-1], 40, out.shape[-1])


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"n_mfcc": 41}, "n_mfcc=41 must not be more than n_mels=40"),
        ({"n_mfcc": 0}, "n_mfcc=0"),
        ({"dct_type": 5}, "dct_type=5 must be 1, 2, 3 or 4"),
        ({"norm": "slaney"}, "norm='slaney' must be 'ortho' or None"),
        ({"lifter": -1}, "lifter=-1"),
        ({"fmax": 9000}, "Nyquist"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        mfcc(torch.zeros(1000), **SMALL, **keys)
    with pytest.raises(ParameterError, match=text):
        MFCC(**SMALL, **keys)


def test_what_a_lifter_took_away_is_said_to_be_lost():
    with pytest.raises(ParameterError, match=r"coefficients \(2, 6"):
        inverse_mfcc(torch.zeros(8, 3), lifter=2)
    for wrong in (torch.zeros(8), torch.zeros(8, 3, dtype=torch.int32)):
        with pytest.raises(ParameterError):
            inverse_mfcc(wrong)


def test_module_equals_functions_and_has_nothing_to_save():
    layer, x = MFCC(**SMALL, n_mfcc=13, lifter=20), noise(2, 4000)
    before = x.clone()
    out = layer(x)
    assert torch.equal(out, mfcc(x, **SMALL, n_mfcc=13, lifter=20))
    assert torch.equal(layer.inverse(out), inverse_mfcc(out, n_mels=40, lifter=20))
    assert layer.state_dict() == {}
    assert torch.equal(copy.deepcopy(layer)(x), out)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), out)
    assert torch.equal(x, before)
    assert list(MFCC(**SMALL, trainable_mel=True).state_dict()) == ["mel.mel_basis"]
    half = layer(x.bfloat16())
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, layer(x.bfloat16().float()).bfloat16())


def test_gradients():
    layer = MFCC(sample_rate=100, n_fft=8, hop_length=4, n_mels=3, n_mfcc=2, htk=True)
    x = noise(20, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    silence = torch.zeros(2, 2000, requires_grad=True)
    trained = MFCC(**SMALL, trainable_mel=True, trainable_STFT=True)
    trained(silence).sum().backward()
    for tensor in (silence, *trained.parameters()):
        assert tensor.grad.isfinite().all()


def test_compiles_exports_maps_and_ignores_autocast():
    layer, x = MFCC(**SMALL), noise(3, 4000)
    expected = layer(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
        sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}
        exported = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    assert worst(compiled, expected) <= 2e-6
    assert worst(exported(x[:2, :3000]), layer(x[:2, :3000])) <= 2e-6
    assert worst(torch.func.vmap(layer)(x), expected) <= 2e-6
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert worst(layer(x), expected) <= 2e-6


@pytest.mark.filterwarnings("ignore")  # torch's own, of its exporter
def test_runs_in_onnxruntime(tmp_path):
    layer, x = MFCC(**SMALL), noise(2, 4000)
    sizes = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}}
    file = tmp_path / "mfcc.onnx"
    torch.onnx.export(layer, (x,), file, dynamo=True, dynamic_shapes=sizes, verbose=False)
    (out,) = onnxruntime.InferenceSession(file).run(None, {"x": noise(3, 5555).numpy()})
    assert worst(out, layer(noise(3, 5555))) <= 2e-6
