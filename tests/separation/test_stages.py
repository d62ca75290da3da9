"""The steps around the network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave import audio
from unweave.errors import ParameterError, UnweaveError
from unweave.separation.stages import BLOCK, Delay, averaged, checked, completed, kept, resampled


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=20))
def test_delay_is_first_in_first_out(steps):
    signal = torch.arange(500.0)[None]
    delay, put, got = Delay(), 0, []
    for add, take in steps:
        delay.append(signal[:, put : put + add])
        put += add
        take = min(take, len(delay))
        if take:
            got.append(delay.take(take))
    taken = sum(part.shape[-1] for part in got)
    assert len(delay) == put - taken
    if got:
        assert torch.equal(torch.cat(got, -1), signal[:, :taken])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_checked_names_the_first_bad_sample(value):
    block = torch.zeros(2, 100)
    block[1, 40] = value
    block[0, 70] = value
    with pytest.raises(ParameterError, match=rf"sample 140 \(0\.014 s\) of channel 1 is {value}"):
        list(checked([torch.zeros(2, 100), block], channels=2, sample_rate=10000))


def test_checked_takes_finite_samples_whose_sum_overflows():
    block = torch.full((1, 1000), 3e38)
    assert torch.equal(next(checked([block], channels=1, sample_rate=8000)), block)


def test_checked_copies_and_converts():
    block = torch.ones(1, 10, dtype=torch.float64)
    copy = next(checked([block], channels=1, sample_rate=8000))
    assert copy.dtype == torch.float32
    same = torch.ones(1, 10)
    copy = next(checked([same.numpy()], channels=1, sample_rate=8000))
    copy.zero_()
    assert same.sum() == 10


@pytest.mark.parametrize(
    "block", [torch.zeros(3, 5), torch.zeros(5), torch.zeros(2, 5, dtype=torch.int16)]
)
def test_checked_refuses_other_shapes_and_types(block):
    with pytest.raises(ParameterError, match=r"block of shape|torch\.int16"):
        list(checked([block], channels=2, sample_rate=8000))


@pytest.mark.parametrize(("old", "new"), [(44100, 48000), (8000, 44100), (192000, 44100), (7, 7)])
def test_resampled_is_the_whole_signal_resampled(old, new, noise, level):
    signal = noise(2, 3, BLOCK + 1234)
    blocks = list(resampled(signal.split(1000, dim=-1), old, new))
    result = torch.cat(blocks, -1)
    expected = audio.resample(signal, old, new)
    assert result.shape == expected.shape
    assert level(result, expected) < -110
    assert max(block.shape[-1] for block in blocks) < 100_000


def test_resampling_keeps_blocks_small_when_the_rate_rises_a_lot():
    blocks = resampled([torch.zeros(1, 40000)], 1000, 44100)
    sizes = [block.shape[-1] for block in blocks]
    assert max(sizes) < 50_000  # soxr answers in bursts of its own
    assert sum(sizes) == 40000 * 44100 // 1000


def test_nothing_resampled_is_nothing():
    assert list(resampled([], 8000, 44100)) == []


@given(
    offsets=st.lists(st.integers(0, 900), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 700), max_size=6),
)
@settings(deadline=None)
def test_displaced_runs_of_the_identity_are_the_identity(offsets, sizes):
    blocks = [torch.randn(2, n, generator=torch.Generator().manual_seed(n)) for n in sizes]
    result = list(averaged(blocks, iter, channels=2, offsets=offsets))
    expected = torch.cat([torch.zeros(2, 0), *blocks], -1)
    torch.testing.assert_close(torch.cat([torch.zeros(2, 0), *result], -1), expected)


def run_completed(stems, mixture, **options):
    delay = Delay()
    for _ in kept([mixture], delay):
        pass
    return torch.cat(list(completed([stems], delay, **options)), -1)


def test_completed_shares_what_is_missing(noise):
    stems, mixture = noise(4, 2, 70000), noise(2, 70000, seed=1)
    before = stems.clone()
    result = run_completed(stems, mixture, consistent=True, residual=False)
    torch.testing.assert_close(result.sum(0), mixture, atol=1e-6, rtol=0)
    shares = result - stems
    torch.testing.assert_close(shares[0], shares[3], atol=1e-6, rtol=0)
    assert torch.equal(stems, before)


def test_completed_gives_the_residual_as_a_stem(noise):
    stems, mixture = noise(3, 2, 100), noise(2, 100, seed=1)
    result = run_completed(stems, mixture, consistent=True, residual=True)
    assert torch.equal(result[:3], stems)
    assert torch.equal(result[3], mixture - stems.sum(0))


def test_completed_cuts_what_resampling_added_and_never_lends_memory(noise):
    stems, mixture = noise(3, 2, 105), noise(2, 100, seed=1)
    result = run_completed(stems, mixture, consistent=False, residual=False)
    assert torch.equal(result, stems[..., :100])
    result.zero_()
    assert stems.abs().sum() > 0


def test_completed_refuses_stems_that_are_not_finite():
    stems = torch.zeros(3, 2, 100)
    stems[1, 0, 50] = float("nan")
    with pytest.raises(UnweaveError, match="not finite"):
        run_completed(stems, torch.zeros(2, 100), consistent=True, residual=False)
