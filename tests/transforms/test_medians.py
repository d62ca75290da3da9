import copy

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from unweave.errors import ParameterError
from unweave.transforms import median_magnitudes, medians


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def expected(x, harmonic, percussive):
    """The two medians of scipy, as librosa.decompose.hpss calls it."""
    shape = [1] * (x.ndim - 2)
    return (
        median_filter(x, size=(*shape, 1, harmonic), mode="reflect"),
        median_filter(x, size=(*shape, percussive, 1), mode="reflect"),
    )


def sorted_windows(x, size):
    """Sort each window of the last axis; scipy errs where a window has many mirror images."""
    before = [(0, 0)] * (x.ndim - 1)
    padded = np.pad(x, (*before, (size // 2, size)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=-1)
    return np.sort(windows[..., : x.shape[-1], :])[..., size // 2]


def equals_scipy(x, sizes):
    for out, wanted in zip(
        median_magnitudes(x, kernel_size=sizes), expected(x.numpy(), *sizes), strict=True
    ):
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(
    "sizes", [(31, 31), (1, 2), (3, 4), (5, 6), (7, 8), (9, 15), (16, 17), (30, 33), (63, 64)]
)
def test_equals_scipy_for_odd_and_even_sizes(sizes):
    equals_scipy(noise(2, 41, 53), sizes)


@settings(max_examples=60, deadline=None)
@given(
    freq=st.integers(1, 40),
    frames=st.integers(1, 40),
    sizes=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    levels=st.integers(1, 6),
    seed=st.integers(0, 100),
)
def test_equals_the_definition_with_ties_and_windows_longer_than_the_signal(
    freq, frames, sizes, levels, seed
):
    x = (noise(freq, frames, seed=seed) * levels).floor().numpy()
    harmonic, percussive = median_magnitudes(x, kernel_size=sizes)
    np.testing.assert_array_equal(harmonic, sorted_windows(x, sizes[0]))
    np.testing.assert_array_equal(percussive, sorted_windows(x.T, sizes[1]).T)


def test_is_what_librosa_compares():
    x = noise(65, 80).numpy() ** 4
    harmonic, percussive = median_magnitudes(x, kernel_size=(17, 31))
    wanted = librosa.decompose.hpss(x, kernel_size=(17, 31), mask=True)[0]
    np.testing.assert_array_equal(
        librosa.util.softmask(harmonic, percussive, power=2.0, split_zeros=True), wanted
    )


@pytest.mark.parametrize("layout", [torch.clone, lambda x: x.mT.contiguous().mT])
@pytest.mark.parametrize("shape", [(3, 40, 70), (1, 70, 900), (1, 900, 70)])
def test_results_do_not_depend_on_the_blocks(monkeypatch, shape, layout):
    x = layout(noise(*shape))
    whole = median_magnitudes(x)
    monkeypatch.setattr(medians, "_BLOCK", {"cpu": 3000})
    for out, wanted in zip(median_magnitudes(x), whole, strict=True):
        assert torch.equal(out, wanted)
    followed = median_magnitudes(x.requires_grad_())
    for out, wanted in zip(followed, whole, strict=True):
        assert torch.equal(out, wanted)


@pytest.mark.parametrize("shape", [(20, 30), (2, 20, 30), (3, 2, 20, 30)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    outs = median_magnitudes(x, kernel_size=(5, 7))
    for row, first, second in zip(*(y.reshape(-1, 20, 30) for y in (x, *outs)), strict=True):
        for out, wanted in zip((first, second), expected(row.numpy(), 5, 7), strict=True):
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str
)
def test_every_dtype_is_exact_and_kept(dtype):
    x = noise(20, 30).to(dtype)
    outs = median_magnitudes(x, kernel_size=9)
    for out, wanted in zip(outs, median_magnitudes(x.double(), kernel_size=9), strict=True):
        assert out.dtype == dtype
        assert torch.equal(out.double(), wanted)


def test_numpy_in_numpy_out_and_no_argument_is_modified():
    x = noise(20, 30).numpy()
    before = x.copy()
    harmonic, percussive = median_magnitudes(x, kernel_size=(3, 5))
    np.testing.assert_array_equal(x, before)
    for out, wanted in zip((harmonic, percussive), expected(x, 3, 5), strict=True):
        assert isinstance(out, np.ndarray)
        np.testing.assert_array_equal(out, wanted)


def test_nothing_in_nothing_out():
    for shape in ((0, 20, 30), (20, 0), (2, 0, 30)):
        harmonic, percussive = median_magnitudes(torch.zeros(shape))
        assert harmonic.shape == percussive.shape == shape


@pytest.mark.parametrize("size", [3, 6, 31])
def test_a_nan_spoils_its_windows_only(size):
    x = noise(1, 90)
    x[0, 45] = torch.nan
    clean = x.clone()
    clean[0, 45] = 0
    for grad in (False, True):
        out = median_magnitudes(x.clone().requires_grad_(grad), kernel_size=(size, 1))[0]
        spoilt = torch.zeros(90, dtype=bool)
        spoilt[45 - (size - 1 - size // 2) : 45 + size // 2 + 1] = True
        assert torch.equal(out[0].isnan(), spoilt)
        kept = median_magnitudes(clean, kernel_size=(size, 1))[0]
        assert torch.equal(out[0, ~spoilt], kept[0, ~spoilt])


def test_infinities_are_numbers():
    x = noise(7, 40)
    x[:, 20:] = torch.inf
    equals_scipy(x, (5, 4))


@pytest.mark.parametrize("sizes", [(3, 5), (4, 2), (9, 30)])
def test_gradients(sizes):
    x = noise(2, 4, 5, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: median_magnitudes(x, kernel_size=sizes), (x,))
    assert torch.autograd.gradgradcheck(
        lambda x: median_magnitudes(x.square(), kernel_size=sizes), (x,)
    )


def test_each_window_hands_its_gradient_to_one_element_that_is_its_median():
    x = torch.tensor([[1.0, 1.0, 3.0, 0.0, 2.0]]).requires_grad_()
    harmonic, _ = median_magnitudes(x, kernel_size=(3, 1))
    assert harmonic.tolist() == [[1, 1, 1, 2, 2]]
    (harmonic * torch.tensor([1.0, 10.0, 100.0, 1000.0, 10000.0])).sum().backward()
    assert x.grad[0, :2].sum() == 111
    assert x.grad[0, 2:].tolist() == [0, 0, 11000]
    silence = torch.zeros(9, 9, requires_grad=True)
    sum(part.sum() for part in median_magnitudes(silence)).backward()
    assert silence.grad.sum() == 2 * 81


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in jvp
def test_function_transforms():
    x = noise(3, 20, 30)
    wanted = median_magnitudes(x, kernel_size=5)
    mapped = torch.func.vmap(lambda row: median_magnitudes(row, kernel_size=5))(x)
    _, tangents = torch.func.jvp(lambda x: median_magnitudes(x, kernel_size=5), (x,), (2 * x,))
    for out, row, tangent in zip(wanted, mapped, tangents, strict=True):
        assert torch.equal(out, row)
        assert torch.equal(2 * out, tangent)


def test_compiles_without_a_break():
    x = noise(2, 20, 30)
    compiled = torch.compile(
        lambda x: median_magnitudes(x, kernel_size=5), backend="eager", fullgraph=True
    )
    for x in (noise(2, 20, 30), noise(2, 20, 30).requires_grad_()):
        for out, wanted in zip(compiled(x), median_magnitudes(x, kernel_size=5), strict=True):
            assert torch.equal(out, wanted)


class Medians(torch.nn.Module):
    def forward(self, x):
        return median_magnitudes(x, kernel_size=5)


def test_exports():
    x = noise(2, 20, 30)
    exported = torch.export.export(copy.deepcopy(Medians()), (x,))
    for out, wanted in zip(exported.module()(x), Medians()(x), strict=True):
        assert torch.equal(out, wanted)


SPEC = torch.zeros(20, 30)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: median_magnitudes(SPEC, kernel_size=0), "kernel_size=0 must be a positive int"),
        (lambda: median_magnitudes(SPEC, kernel_size=(3, 2.5)), "kernel_size=2.5 must be"),
        (lambda: median_magnitudes(SPEC, kernel_size=(3, 3, 3)), r"the pair \(harmonic, perc"),
        (lambda: median_magnitudes(SPEC[0]), r"shape \(30,\).*must be a real spectrogram"),
        (lambda: median_magnitudes(SPEC.long()), r"\.float\(\) of integers"),
        (lambda: median_magnitudes(SPEC.cfloat()), r"take \.abs\(\) of a complex one"),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    x = noise(2, 100, 200)
    for grad in (False, True):
        outs = median_magnitudes(x.cuda().requires_grad_(grad))
        for out, wanted in zip(outs, median_magnitudes(x), strict=True):
            assert out.is_cuda
            assert torch.equal(out.cpu(), wanted)
