"""Streams against the whole, in constant memory and frame by frame."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.filtering import OnlineWiener, StreamingWiener, wiener

SETTINGS = settings(max_examples=15, deadline=None)


def problem(channels=2, frames=60, lead=(), seed=0, dtype=torch.complex64):
    made = torch.Generator().manual_seed(seed)
    x = 30 * torch.randn(*lead, channels, 9, frames, dtype=dtype, generator=made)
    v = torch.rand(*lead, 3, channels, 9, frames, dtype=x.real.dtype, generator=made)
    return v**2, x


def pieces(v, x, edges):
    edges = [0, *sorted(edges), x.shape[-1]]
    return [(v[..., a:b], x[..., a:b]) for a, b in itertools.pairwise(edges)]


@given(
    edges=st.lists(st.integers(0, 60), max_size=5),
    n_iter=st.integers(1, 3),
    channels=st.integers(1, 3),
    eps=st.sampled_from([None, 1e-4]),
    use_softmask=st.booleans(),
)
@SETTINGS
def test_pieces_give_what_the_whole_gives(edges, n_iter, channels, eps, use_softmask):
    v, x = problem(channels, dtype=torch.complex128)
    options = {"eps": eps, "use_softmask": use_softmask}
    stream = StreamingWiener(**options)
    cut = pieces(v, x, edges)
    for _ in range(n_iter):
        for piece in reversed(cut):
            stream.accumulate(*piece)
        stream.advance()
    y = torch.cat([stream.apply(*piece) for piece in cut], -1)
    torch.testing.assert_close(y, wiener(v, x, n_iter=n_iter, **options), rtol=0, atol=1e-7)


@pytest.mark.parametrize("backend", ["torch", "compiled"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_leading_axes_are_free(lead, backend):
    v, x = problem(lead=lead)
    stream = StreamingWiener(backend=backend)
    for piece in pieces(v, x, [20, 37]):
        stream.accumulate(*piece)
    y = stream.apply(v, x)
    torch.testing.assert_close(y, wiener(v, x), rtol=0, atol=1e-4)


def test_numpy_in_numpy_out_and_no_gradients():
    v, x = problem()
    stream = StreamingWiener()
    stream.accumulate(v.numpy(), x.numpy())
    y = stream.apply(v.numpy(), x.numpy())
    assert isinstance(y, np.ndarray)
    torch.testing.assert_close(torch.from_numpy(y), wiener(v, x), rtol=0, atol=1e-4)
    stream.accumulate(v.requires_grad_(), x)
    assert not stream.apply(v, x).requires_grad


def test_what_does_not_fit_is_refused():
    v, x = problem()
    stream = StreamingWiener()
    with pytest.raises(ParameterError, match="nothing was accumulated"):
        stream.apply(v, x)
    with pytest.raises(ParameterError, match="nothing was accumulated"):
        stream.advance()
    stream.accumulate(v, x)
    with pytest.raises(ParameterError, match="the pieces before"):
        stream.accumulate(v[:2], x)
    with pytest.raises(ParameterError, match="fit the accumulated"):
        stream.apply(v[..., :4, :], x[..., :4, :])
    with pytest.raises(ParameterError, match="negative"):
        StreamingWiener().accumulate(-v, x)
    with pytest.raises(ParameterError, match="eps=-1"):
        StreamingWiener(eps=-1)
    with pytest.raises(ParameterError, match="backend='fast'"):
        StreamingWiener(backend="fast")


@given(edges=st.lists(st.integers(0, 60), max_size=8), forgetting=st.sampled_from([0.0, 0.9, 1.0]))
@SETTINGS
def test_how_frames_are_grouped_makes_no_difference_online(edges, forgetting):
    v, x = problem(dtype=torch.complex128)
    whole = OnlineWiener(forgetting=forgetting).process(v, x)
    online = OnlineWiener(forgetting=forgetting)
    parts = [online.process(*piece) for piece in pieces(v, x, edges)]
    torch.testing.assert_close(torch.cat(parts, -1), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("use_softmask", [True, False])
def test_online_frames_are_filtered_by_the_model_of_their_past(channels, use_softmask):
    v, x = problem(channels, dtype=torch.complex128)
    y = OnlineWiener(forgetting=1.0, use_softmask=use_softmask).process(v, x)
    for t in (0, 1, 17, 59):
        past = slice(0, t + 1)
        expected = wiener(v[..., past], x[..., past], use_softmask=use_softmask)[..., -1]
        torch.testing.assert_close(y[..., t], expected, rtol=0, atol=1e-9)


def test_forgotten_frames_no_longer_count():
    v, x = problem(dtype=torch.complex128)
    loud = torch.cat([100 * x, x], -1), torch.cat([v, v], -1)
    fresh = OnlineWiener(forgetting=0.5).process(v, x)
    used = OnlineWiener(forgetting=0.5).process(loud[1], loud[0])[..., 60:]
    torch.testing.assert_close(used[..., 50:], fresh[..., 50:], rtol=0, atol=1e-6)
    assert (used[..., 0] - fresh[..., 0]).abs().max() > 1e-3


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_online_estimates_sum_to_the_mixture(lead):
    v, x = problem(lead=lead)
    x[..., 3:5, :] = 0
    online = OnlineWiener()
    y = online.process(v, x)
    assert y.shape == (*lead, 3, 2, 9, 60)
    torch.testing.assert_close(y.sum(-4), x, rtol=0, atol=1e-4)
    assert isinstance(online.process(v.numpy(), x.numpy()), np.ndarray)
    assert online.process(v[..., :0], x[..., :0]).shape == (*lead, 3, 2, 9, 0)


def test_another_signal_needs_a_reset():
    v, x = problem()
    online = OnlineWiener()
    first = online.process(v, x)
    with pytest.raises(ParameterError, match="call reset"):
        online.process(v[:2], x)
    online.reset()
    assert torch.equal(online.process(v, x), first)
    with pytest.raises(ParameterError, match=r"forgetting=1.5 must be a number between 0 and 1"):
        OnlineWiener(forgetting=1.5)
    with pytest.raises(ParameterError, match="negative"):
        online.process(-v, x)
