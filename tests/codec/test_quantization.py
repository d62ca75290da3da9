"""Quantization: error bounds, bounds of levels, and the ways back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.codec import Quantization, dequantize, level_bounds, quantization_error, quantize
from unweave.errors import ParameterError


@settings(deadline=None)
@given(
    bits=st.integers(1, 16),
    lower=st.floats(-100, 100),
    width=st.floats(1e-2, 1e3),
    rounding=st.sampled_from(["nearest", "floor"]),
    seed=st.integers(0, 99),
)
def test_the_error_stays_within_its_bound(bits, lower, width, rounding, seed):
    generator = torch.Generator().manual_seed(seed)
    levels = lower + width * torch.rand(3, 17, dtype=torch.float64, generator=generator)
    layer = Quantization(bounds=(lower, lower + width), bits=bits, rounding=rounding)
    codes = layer(levels)
    assert codes.dtype == (torch.uint8 if bits <= 8 else torch.int32)
    assert 0 <= int(codes.min()) <= int(codes.max()) < 2**bits
    again = dequantize(codes, bounds=layer.bounds, bits=bits, dtype=torch.float64)
    error = (levels - again).abs().max()
    assert float(error) <= layer.error_bound * (1 + 1e-9) + 1e-12 * (abs(lower) + width)


@settings(deadline=None)
@given(bits=st.integers(1, 16))
def test_codes_come_back_as_themselves(bits):
    codes = torch.arange(2**bits)
    layer = Quantization(bounds=(-3.0, 5.0), bits=bits)
    assert torch.equal(layer(layer.inverse(codes)).long(), codes)


def test_levels_beyond_the_bounds_are_clipped():
    codes = quantize(np.array([-5.0, 0.0, 9.0]), bounds=(0.0, 1.0), bits=3)
    assert isinstance(codes, np.ndarray)
    assert codes.tolist() == [0, 0, 7]


def test_floor_is_norberts_cast():
    levels = torch.rand(1000, dtype=torch.float64)
    ours = quantize(levels, bounds=(0.0, 1.0), rounding="floor")
    assert np.array_equal(ours.numpy(), (levels.numpy() * 255).astype(np.uint8))


@settings(deadline=None)
@given(
    size=st.integers(1, 50),
    percentiles=st.tuples(st.floats(0, 100), st.floats(0, 100)).filter(lambda p: p[1] - p[0] > 1),
)
def test_bounds_are_the_percentiles_of_numpy(size, percentiles):
    levels = np.random.default_rng(size).normal(size=size)
    lower, upper = level_bounds(levels, percentiles=percentiles)
    wanted = np.percentile(levels, percentiles)
    assert lower == pytest.approx(wanted[0])
    assert upper == pytest.approx(wanted[1] if wanted[1] > wanted[0] else wanted[0] + 1)


def test_a_dynamic_range_is_counted_from_the_upper_bound():
    assert level_bounds(torch.tensor([-200.0, 3.0]), dynamic_range=80.0) == (-77.0, 3.0)


def test_equal_levels_have_bounds_too():
    assert level_bounds(torch.zeros(4)) == (0.0, 1.0)


@pytest.mark.parametrize("wrong", [torch.tensor([1.0, float("nan")]), torch.tensor([torch.inf])])
def test_levels_that_are_not_finite_have_no_bounds(wrong):
    with pytest.raises(ParameterError, match="finite"):
        level_bounds(wrong)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: quantize(torch.ones(2), bounds=(0.0, 1.0), bits=0), "bits=0"),
        (lambda: quantize(torch.ones(2), bounds=(0.0, 1.0), bits=17), "bits=17"),
        (lambda: quantize(torch.ones(2), bounds=(1.0, 1.0)), "that rise"),
        (lambda: quantize(torch.ones(2), bounds=(0.0, 1.0), rounding="up"), "rounding='up'"),
        (lambda: quantize(torch.ones(2).int(), bounds=(0.0, 1.0)), "floating"),
        (lambda: quantization_error(bounds=(0.0, float("inf"))), "finite"),
        (lambda: level_bounds(torch.ones(0)), "empty"),
        (lambda: level_bounds(torch.ones(2), percentiles=(50.0, 40.0)), "percentiles"),
        (lambda: level_bounds(torch.ones(2), dynamic_range=0.0), "dynamic_range=0.0"),
    ],
)
def test_wrong_parameters_are_refused(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


def test_the_layer_names_its_parameters():
    assert "bits=4" in repr(Quantization(bounds=(0.0, 1.0), bits=4))
