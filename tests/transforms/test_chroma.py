import copy
import warnings

import librosa
import numpy as np
import pytest
import torch

from unweave.errors import ParameterError
from unweave.transforms import (
    ChromaCQT,
    ChromaSTFT,
    chroma_cqt,
    chroma_filter_bank,
    chroma_stft,
    cq_chroma_filter_bank,
    cq_to_chroma,
)

SMALL = {"sample_rate": 16000, "n_fft": 512}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"tuning": -0.3, "n_chroma": 24},
        {"n_chroma": 7, "base_c": False},
        {"octwidth": None, "n_fft": 1001},
        {"ctroct": 4, "octwidth": 1, "n_fft": 2},
    ],
)
def test_banks_equal_librosas(keys):
    keys = {"n_fft": 2048} | keys
    expected = librosa.filters.chroma(sr=22050, dtype=np.float64, **keys)
    np.testing.assert_allclose(chroma_filter_bank(sample_rate=22050, **keys), expected, atol=1e-13)


@pytest.mark.parametrize("base_c", [True, False])
@pytest.mark.parametrize("fmin", [None, 30, 55.0, 100])
@pytest.mark.parametrize(("bins", "classes"), [(12, 12), (36, 12), (24, 6), (24, 1), (24, 24)])
def test_folds_equal_librosas(bins, classes, fmin, base_c):
    keys = {"bins_per_octave": bins, "n_chroma": classes, "fmin": fmin, "base_c": base_c}
    for n_bins in (1, 84, 100):
        expected = librosa.filters.cq_to_chroma(n_bins, **keys)
        np.testing.assert_array_equal(cq_chroma_filter_bank(n_bins, **keys), expected)


@pytest.mark.parametrize("norm", [np.inf, 2, 1, None])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chroma_stft_equals_librosas(dtype, norm):
    x = noise(2, 9000).numpy().astype(dtype)
    x[0, :4000] = 0
    expected = librosa.feature.chroma_stft(
        y=x, sr=16000, n_fft=512, hop_length=128, tuning=0.2, norm=norm, octwidth=3
    )
    keys = {"tuning": 0.2, "norm": norm, "octwidth": 3, "pad_mode": "constant"}
    out = chroma_stft(x, **SMALL, **keys)
    assert out.dtype == dtype
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() <= 2e-6 * np.abs(expected).max()


@pytest.mark.filterwarnings("ignore:n_fft=:UserWarning")  # librosa's, of short signals
@pytest.mark.parametrize("keys", [{"norm": 2, "tuning": 0.1}, {"threshold": 0.5, "n_octaves": 5}])
def test_chroma_cqt_equals_librosas(keys):
    x = noise(20_000).numpy()
    expected = librosa.feature.chroma_cqt(y=x, sr=22050, **({"tuning": 0.0} | keys))
    out = chroma_cqt(x, sample_rate=22050, **keys)
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() <= 1e-5


def test_cq_to_chroma_folds_octaves():
    C = torch.zeros(2, 84, 3)
    C[0, [9, 21, 33]] = torch.tensor([1.0, 2.0, 4.0])[:, None]
    out = cq_to_chroma(C, bins_per_octave=12, norm=None)
    assert out.shape == (2, 12, 3)
    assert torch.equal(out[0].sum(1), 21.0 * torch.eye(12)[9])
    assert (out[1] == 0).all()


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    before = x.clone()
    out = chroma_stft(x, **SMALL)
    assert out.shape == (*shape[:-1], 12, 24)
    assert torch.equal(chroma_stft(x.reshape(-1, 3000), **SMALL).reshape(out.shape), out)
    torch.testing.assert_close(out.amax(-2), torch.ones(*shape[:-1], 24))
    half = chroma_stft(x.bfloat16(), **SMALL)
    assert torch.equal(half, chroma_stft(x.bfloat16().float(), **SMALL).bfloat16())
    assert torch.equal(x, before)


@pytest.mark.parametrize("norm", [np.inf, 2, 1, None])
def test_gradients(norm):
    x = noise(40, dtype=torch.float64).requires_grad_()
    keys = {"sample_rate": 2000, "n_fft": 16, "norm": norm}
    assert torch.autograd.gradcheck(lambda x: chroma_stft(x, **keys), (x,))
    silence = torch.zeros(2, 100, requires_grad=True)
    chroma_stft(silence, **keys).sum().backward()
    assert silence.grad.isfinite().all()
    C = torch.zeros(84, 5, requires_grad=True)
    cq_to_chroma(C, bins_per_octave=12, norm=norm).sum().backward()
    assert C.grad.isfinite().all()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"norm": 0}, "norm=0 must be a positive number"),
        ({"n_chroma": 0}, "n_chroma=0"),
        ({"octwidth": 0}, "octwidth=0"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"n_fft": 1}, "n_fft=1 has no bin with a pitch"),
        ({"hop_length": 0}, "hop_length=0"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    with pytest.raises(ParameterError, match=text):
        chroma_stft(torch.zeros(2000), **(SMALL | keys))
    with pytest.raises(ParameterError, match=text):
        ChromaSTFT(**(SMALL | keys))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: cq_to_chroma(torch.ones(84)), r"must be \(\.\.\., n_bins, frames\)"),
        (lambda: cq_to_chroma(torch.ones(84, 2, dtype=torch.complex64)), "take the magnitudes"),
        (lambda: cq_to_chroma(torch.ones(84, 2), bins_per_octave=13), "multiple of n_chroma=12"),
        (lambda: cq_to_chroma(torch.ones(84, 2), fmin=0), "fmin=0 must be a positive frequency"),
        (lambda: cq_to_chroma(torch.ones(84, 2), threshold=-1), "threshold=-1"),
        (lambda: chroma_cqt(torch.zeros(99).int(), sample_rate=8000), "must be audio"),
        (lambda: chroma_cqt(torch.zeros(99), sample_rate=8000, n_octaves=0), "n_octaves=0"),
    ],
)
def test_more_faults(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


@pytest.mark.parametrize("trained", [{}, {"trainable_bins": True}])
def test_module(trained):
    layer, x = ChromaSTFT(**SMALL, **trained, norm=2), noise(3, 4000)
    out = layer(x)
    torch.testing.assert_close(out, chroma_stft(x, **SMALL, norm=2))
    assert list(layer.state_dict()) == (["chroma_basis"] if trained else [])
    assert torch.equal(copy.deepcopy(layer)(x), out)
    torch.testing.assert_close(torch.func.vmap(layer)(x), out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
        sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}
        exported = torch.export.export(layer, (x,), dynamic_shapes=(sizes,)).module()
    torch.testing.assert_close(compiled, out)
    torch.testing.assert_close(exported(x[:2, :3000]), layer(x[:2, :3000]))


@pytest.mark.parametrize("trainable", [False, True])
def test_constant_q_module(trainable):
    keys = {"sample_rate": 16000, "n_octaves": 4, "threshold": 0.01, "norm": 2, "fmin": 60}
    layer, x = ChromaCQT(**keys, trainable=trainable), noise(2, 8000)
    out = layer(x)
    torch.testing.assert_close(out, chroma_cqt(x, **keys), rtol=1e-4, atol=1e-5)
    assert (layer.state_dict() == {}) == (not trainable)
    assert torch.equal(copy.deepcopy(layer)(x), out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(x)
    torch.testing.assert_close(compiled, out, rtol=1e-4, atol=1e-5)
    silence = torch.zeros(8000, requires_grad=True)
    layer(silence).sum().backward()
    assert silence.grad.isfinite().all()
    for keys, text in ({"norm": -1}, "norm=-1"), ({"n_octaves": 9}, "above half of sample_rate"):
        with pytest.raises(ParameterError, match=text):
            ChromaCQT(sample_rate=16000, **keys)
