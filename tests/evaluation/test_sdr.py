import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.evaluation import SDRMeter, sdr, si_sdr


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=30)
@given(level=st.floats(-60, 60), seed=st.integers(0, 100))
def test_orthogonal_noise_gives_its_level_in_both_measures(level, seed):
    reference = noise(2, 400, seed=seed)
    error = noise(2, 400, seed=seed + 1000)
    error = error - (error * reference).sum() / reference.square().sum() * reference
    error = error * (reference.norm() / error.norm()) * 10 ** (-level / 20)
    assert float(sdr(reference + error, reference)) == pytest.approx(level, abs=1e-6)
    assert float(si_sdr(reference + error, reference)) == pytest.approx(level, abs=1e-6)


@settings(deadline=None, max_examples=30)
@given(scale=st.floats(1e-3, 1e3))
def test_only_si_sdr_forgives_the_level(scale):
    reference, estimate = noise(2, 300), noise(2, 300, seed=1) + noise(2, 300)
    assert float(si_sdr(scale * estimate, reference)) == pytest.approx(
        float(si_sdr(estimate, reference)), abs=1e-6
    )
    expected = -20 * math.log10(abs(1 - scale)) if scale != 1 else math.inf
    assert float(sdr(scale * reference, reference)) == pytest.approx(expected, abs=1e-6)


def test_known_values():
    assert float(sdr(torch.zeros(1, 5), torch.ones(1, 5))) == 0
    assert float(sdr(torch.full((1, 4), 0.99), torch.ones(1, 4))) == pytest.approx(40, abs=1e-3)
    # e = (3, 1) and s = (1, 1): the part along s is (2, 2), the rest (1, -1); 10 log10(8 / 2).
    assert float(si_sdr(torch.tensor([[3.0, 1.0]]), torch.ones(1, 2))) == pytest.approx(
        6.0206, abs=1e-4
    )


def test_silence_has_documented_results():
    silence, tone = torch.zeros(1, 5), torch.ones(1, 5)
    assert float(sdr(tone, silence)) == -math.inf
    assert math.isnan(float(sdr(silence, silence)))
    assert math.isnan(float(si_sdr(tone, silence)))
    assert math.isnan(float(si_sdr(silence, tone)))
    assert float(sdr(tone, tone)) == math.inf
    meter = SDRMeter()
    assert math.isnan(meter.sdr)
    assert math.isnan(meter.si_sdr)
    meter.update(silence, tone)
    assert meter.sdr == 0
    assert math.isnan(meter.si_sdr)


def test_leading_axes_and_numpy():
    estimate, reference = noise(3, 4, 2, 50), noise(3, 4, 2, 50, seed=1)
    each = [
        [float(sdr(e, s)) for e, s in zip(*row, strict=True)]
        for row in zip(estimate, reference, strict=True)
    ]
    got = sdr(estimate.numpy(), reference.numpy())
    assert isinstance(got, np.ndarray)
    np.testing.assert_allclose(got, each, rtol=1e-12)


@pytest.mark.parametrize("measure", [sdr, si_sdr])
@pytest.mark.parametrize("level", [10.0, 70.0, 110.0])
def test_one_pass_in_blocks_is_the_formula(measure, level):
    reference = noise(2, 2, 90_001)
    estimate = reference + 10 ** (-level / 20) * noise(2, 2, 90_001, seed=1)
    plain = measure(estimate.clone().requires_grad_(), reference).detach()
    torch.testing.assert_close(measure(estimate, reference), plain, rtol=0, atol=1e-8)
    turned = [x.transpose(0, 1).contiguous().transpose(0, 1) for x in (estimate, reference)]
    torch.testing.assert_close(measure(*turned), plain, rtol=0, atol=1e-8)


@pytest.mark.parametrize("measure", [sdr, si_sdr])
def test_single_precision_signals_are_summed_in_double(measure):
    reference = noise(1, 2_000_000).float() + 3
    estimate = (reference.double() + 1e-3 * noise(1, 2_000_000, seed=1)).float()
    expected = float(measure(estimate.double(), reference.double()))
    got = measure(estimate, reference)
    assert got.dtype == torch.float32
    assert float(got) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("measure", [sdr, si_sdr])
def test_no_signals_and_no_samples(measure):
    assert measure(torch.ones(0, 2, 5), torch.ones(0, 2, 5)).shape == (0,)
    assert torch.isnan(measure(torch.ones(3, 1, 0), torch.ones(3, 1, 0))).tolist() == [True] * 3


def test_blocks_measure_the_same_as_the_whole():
    reference, estimate = noise(2, 1000), noise(2, 1000, seed=1) + 3 * noise(2, 1000)
    meter = SDRMeter()
    for start, end in ((0, 1), (1, 400), (400, 1000)):
        meter.update(estimate[:, start:end], reference[:, start:end].numpy())
    assert meter.sdr == pytest.approx(float(sdr(estimate, reference)), abs=1e-9)
    assert meter.si_sdr == pytest.approx(float(si_sdr(estimate, reference)), abs=1e-9)


@pytest.mark.parametrize("measure", [sdr, si_sdr])
def test_gradients(measure):
    estimate = noise(2, 2, 6).requires_grad_()
    assert torch.autograd.gradcheck(lambda e: measure(e, noise(2, 2, 6, seed=1)), estimate)


@pytest.mark.parametrize("measure", [sdr, si_sdr])
def test_shapes_must_agree(measure):
    with pytest.raises(ParameterError, match="same shape"):
        measure(torch.ones(2, 5), torch.ones(1, 5))
    with pytest.raises(ParameterError, match="channels, time"):
        measure(torch.ones(5), torch.ones(5))


def test_inputs_stay_as_they_are():
    estimate, reference = noise(2, 9), noise(2, 9, seed=1)
    before = estimate.clone(), reference.clone()
    sdr(estimate, reference)
    si_sdr(estimate, reference)
    assert torch.equal(estimate, before[0])
    assert torch.equal(reference, before[1])
