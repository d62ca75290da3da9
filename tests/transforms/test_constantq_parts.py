"""The resampler against soxr, and both adjoints against the maps they belong to."""

import numpy as np
import pytest
import soxr
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.transforms._cq_filterbank import adjoint, filterbank
from unweave.transforms._cq_kernels import Bins
from unweave.transforms._cq_plan import plan
from unweave.transforms._decimate import cut, decimate, interpolate
from unweave.transforms._soxr_filters import FACTORS, half_band_taps, halvings, last_taps


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("blocks", [1, 3, 40, 333])
def test_equals_soxr(factor, blocks):
    x = noise(1, blocks * factor + factor // 3, dtype=torch.float64)
    expected = soxr.resample(x[0].numpy(), factor, 1, "soxr_hq")
    out = decimate(x, halvings(factor))[0].numpy()
    assert len(out) == -(-x.shape[1] // factor)
    assert np.abs(out[: len(expected)] - expected).max() <= 6e-7 * max(1e-3, np.abs(expected).max())
    assert (out[len(expected) :] == 0).all()


@pytest.mark.parametrize("length", [20_000, 60_001])
def test_long_signals_equal_soxr(length):
    x = noise(3, length).numpy()
    out = decimate(torch.from_numpy(x), halvings(2)).numpy()
    for row in range(3):
        expected = soxr.resample(x[row], 2, 1, "soxr_hq")
        assert np.abs(out[row] - expected).max() <= 1e-6 * np.abs(expected).max()


def test_filters_are_symmetric_and_keep_what_is_constant():
    for kernel in [*map(last_taps, FACTORS), half_band_taps(False), half_band_taps(True)]:
        np.testing.assert_array_equal(kernel, kernel[::-1])
        assert abs(kernel.sum() - 1) < 2e-7


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(1, 30_000), factor=st.sampled_from([1, 2, 4, 32]), seed=st.integers(0, 99)
)
def test_interpolation_is_the_adjoint_of_decimation(length, factor, seed):
    x = noise(2, length, dtype=torch.float64, seed=seed)
    low = decimate(x, halvings(factor))
    y = noise(*low.shape, dtype=torch.float64, seed=seed + 1)
    back = interpolate(y, halvings(factor), length)
    assert back.shape == x.shape
    gap = (low * y).sum() - (x * back).sum()
    assert abs(float(gap)) <= 1e-9 * float(x.norm() * y.norm())


@settings(max_examples=30, deadline=None)
@given(
    length=st.integers(1, 20_000),
    hop=st.sampled_from([512, 256, 100, 33, 8]),
    bins=st.sampled_from([1, 13, 24, 60]),
    algorithm=st.sampled_from(["auto", "direct"]),
)
def test_adjoint_of_the_filterbank(length, hop, bins, algorithm):
    made = plan(Bins(8000, 50.0, bins, 12, filter_scale=0.5), hop, algorithm)
    x = noise(2, length, dtype=torch.float64)
    values = filterbank(x, made)
    y = torch.complex(*noise(2, *values.shape, dtype=torch.float64, seed=1))
    back = adjoint(y, made, length)
    assert back.shape == x.shape
    gap = (values.conj() * y).real.sum() - (x * back).sum()
    assert abs(float(gap)) <= 1e-9 * float(x.norm() * y.norm())


@pytest.mark.parametrize("factor", [2, 8])
@pytest.mark.parametrize("length", [100, 30_001])
def test_every_form_gives_the_same(factor, length):
    x, steps = noise(2, length, dtype=torch.float64), halvings(factor)
    blocks = decimate(x, steps)
    y = noise(*blocks.shape, dtype=torch.float64)
    torch.testing.assert_close(
        torch.func.vmap(lambda row: decimate(row[None], steps)[0])(x), blocks, atol=1e-6, rtol=0
    )
    back = interpolate(y, steps, length)
    _, pull = torch.func.vjp(lambda x: decimate(x, steps), x)
    torch.testing.assert_close(pull(y)[0], back, atol=1e-6, rtol=0)
    followed = x.clone().requires_grad_()
    decimate(followed, steps).backward(y)
    torch.testing.assert_close(followed.grad, back, atol=1e-12, rtol=0)
    again = y.clone().requires_grad_()
    interpolate(again, steps, length).backward(x)
    torch.testing.assert_close(again.grad, blocks, atol=1e-12, rtol=0)


@given(start=st.integers(-9, 12), span=st.integers(0, 12))
def test_cuts_are_silent_outside(start, span):
    x = torch.arange(1.0, 6.0)[None]
    expected = [float(x[0, i]) if 0 <= i < 5 else 0.0 for i in range(start, start + span)]
    assert cut(x, start, start + span).tolist() == [expected]
