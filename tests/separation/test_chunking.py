"""Segments joined are what the network gives over the whole signal."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.separation.chunking import plan_segments, raised_cosine, run_segments

layouts = st.builds(
    lambda grid, cells, overlap: plan_segments(cells * grid + 1, overlap=overlap, grid=grid),
    st.integers(1, 16),
    st.integers(4, 20),
    st.floats(0, 0.95),
)


def joined(blocks, network, layout, **options):
    return torch.cat([torch.zeros(3, 2, 0), *run_segments(blocks, network, layout, **options)], -1)


def cut(signal, sizes):
    blocks, position = [], 0
    for size in sizes:
        blocks.append(signal[:, position : position + size])
        position += size
    return [*blocks, signal[:, position:]]


def gains(x):
    return x[:, None] * torch.tensor([0.3, 0.7, -1.1])[:, None, None]


@given(
    layout=layouts,
    length=st.integers(0, 1500),
    sizes=st.lists(st.integers(0, 400), max_size=8),
    batch_size=st.integers(1, 4),
)
@settings(max_examples=300, deadline=None)
def test_a_time_invariant_gain_is_exact(layout, length, sizes, batch_size):
    signal = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
    result = joined(cut(signal, sizes), gains, layout, minimum=50, batch_size=batch_size)
    assert torch.equal(result, gains(signal[None])[0])


@given(layout=layouts, length=st.integers(1, 1500), batch_size=st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_segments_lie_on_the_grid_and_reach_the_ends(layout, length, batch_size):
    spans = []

    def watch(x):
        assert len(x) <= batch_size
        spans.extend((int(item[0, 0]), int(item[0, -1]) + 1) for item in x)
        return gains(x)

    signal = torch.arange(float(length)).expand(2, -1)
    joined([signal], watch, layout, batch_size=batch_size)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(start % layout.grid == 0 for start, _ in spans)
    assert all(end - start == layout.length for start, end in spans[:-1])
    assert spans[-1][1] - spans[-1][0] > min(length, layout.length) - layout.grid
    needed = 1 + max(0, -(-(length - layout.length) // layout.stride))
    assert len(spans) == needed


@pytest.mark.parametrize("overlap", [0.25, 0.4, 0.6, 0.9])
def test_a_convolution_within_the_context_is_exact(overlap):
    weight = torch.randn(3, 2, 41, generator=torch.Generator().manual_seed(0))

    def convolve(x):
        return torch.nn.functional.conv1d(x, weight, padding=20)[:, :, None].expand(-1, -1, 2, -1)

    signal = torch.randn(2, 5000, generator=torch.Generator().manual_seed(1))
    layout = plan_segments(600, overlap=overlap, grid=10)
    assert layout.context >= 20
    whole = convolve(signal[None])[0]
    torch.testing.assert_close(joined([signal], convolve, layout), whole, rtol=1e-4, atol=1e-4)


def test_disagreeing_segments_are_faded_without_a_step():
    calls = []

    def alternate(x):
        calls.append(None)
        return torch.full((1, 3, 2, x.shape[-1]), float(len(calls) % 2))

    layout = plan_segments(400, overlap=0.5)
    result = joined([torch.zeros(2, 2000)], alternate, layout)
    assert len(calls) > 5
    steps = result.diff(dim=-1).abs()
    assert steps.max() <= 1.6 / layout.fade  # the steepest slope of a raised cosine is pi / 2
    assert result.min() >= 0
    assert result.max() <= 1


def test_short_signals_are_extended_and_cut():
    seen = []

    def watch(x):
        seen.append(x.shape[-1])
        return gains(x)

    layout = plan_segments(100, overlap=0.1)
    signal = torch.ones(2, 1)
    assert torch.equal(joined([signal], watch, layout, minimum=80), gains(signal[None])[0])
    assert seen == [80]


def test_an_empty_signal_never_reaches_the_network():
    layout = plan_segments(100, overlap=0.1)
    assert list(run_segments([], gains, layout)) == []
    assert list(run_segments([torch.zeros(2, 0)], gains, layout)) == []


def test_the_producer_may_reuse_its_memory():
    signal = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))

    def reusing():
        buffer = torch.empty(2, 100)
        for part in signal.split(100, dim=-1):
            buffer.copy_(part)
            yield buffer

    layout = plan_segments(250, overlap=0.2)
    assert torch.equal(joined(reusing(), gains, layout), gains(signal[None])[0])


def test_a_network_that_writes_to_its_input_harms_nothing():
    def rude(x):
        result = gains(x)
        x.zero_()
        return result

    signal = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0))
    layout = plan_segments(250, overlap=0.5)
    assert torch.equal(joined([signal], rude, layout), gains(signal[None])[0])
    assert signal.abs().sum() > 0


def test_too_short_a_segment_is_refused():
    with pytest.raises(ParameterError, match="needs at least 400"):
        plan_segments(399, overlap=0.1, grid=100)


@pytest.mark.parametrize("length", [0, 1, 2, 100])
def test_raised_cosine_is_symmetric_and_rises(length):
    weights = raised_cosine(length)
    assert weights.shape == (length,)
    torch.testing.assert_close(weights + weights.flip(0), torch.ones(length))
    assert (weights.diff() > 0).all()
