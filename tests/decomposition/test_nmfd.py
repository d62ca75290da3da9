"""Convolutive NMF: against its formulas, on made strokes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unweave.decomposition import nmf, nmfd
from unweave.errors import ParameterError

LENGTH = 4


def problem(freq=11, frames=30, count=2, seed=0):
    draw = np.random.default_rng(seed)
    return (
        draw.random((freq, frames)) + 0.05,
        draw.random((freq, count, LENGTH)) + 0.05,
        draw.random((count, frames)) + 0.05,
    )


def shifted(H, tau):
    out = np.zeros_like(H)
    out[:, tau:] = H[:, : H.shape[1] - tau]
    return out


def back(X, tau):
    out = np.zeros_like(X)
    out[:, : X.shape[1] - tau] = X[:, tau:]
    return out


def model(W, H):
    return sum(W[:, :, tau] @ shifted(H, tau) for tau in range(W.shape[2]))


def dense(V, W, H, beta, steps):
    taps = range(W.shape[2])
    for _ in range(steps):
        Y = model(W, H)
        R, Q = V * Y ** (beta - 2), Y ** (beta - 1)
        H = (
            H
            * sum(W[:, :, t].T @ back(R, t) for t in taps)
            / sum(W[:, :, t].T @ back(Q, t) for t in taps)
        )
        Y = model(W, H)
        R, Q = V * Y ** (beta - 2), Y ** (beta - 1)
        parts = [(R @ shifted(H, t).T) / (Q @ shifted(H, t).T) for t in taps]
        W = W * np.stack(parts, -1)
    return W, H


def plain(V, W, H, **options):
    """Steps without extrapolation: the second one is the first to be extrapolated."""
    for _ in range(options.pop("steps")):
        found = nmfd(V, W.shape[1], template_frames=LENGTH, W=W, H=H, n_iter=1, tol=0, **options)
        W, H = found.W, found.H
    return found


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("steps", [1, 3])
def test_updates_are_the_formulas_step_by_step(beta, steps):
    V, W, H = problem()
    found = plain(V, W, H, beta=beta, steps=steps)
    W, H = dense(V, W, H, beta, steps)
    np.testing.assert_allclose(found.W, W, rtol=1e-8)
    np.testing.assert_allclose(found.H, H, rtol=1e-8)
    Y = model(W, H)
    expected = {
        1.0: (V * np.log(V / Y) - V + Y).sum(),
        1.5: ((V**1.5 + 0.5 * Y**1.5 - 1.5 * V * Y**0.5) / 0.75).sum(),
        2.0: 0.5 * ((V - Y) ** 2).sum(),
    }
    np.testing.assert_allclose(found.objective[-1], expected[beta])


def test_blocks_join(monkeypatch):
    from unweave.decomposition import _divergence

    V, W, H = problem(frames=150)
    whole = plain(V, W, H, steps=2)
    monkeypatch.setattr(_divergence, "_BLOCK", 1)  # the least: 32 frames
    blocks = plain(V, W, H, steps=2)
    np.testing.assert_allclose(blocks.W, whole.W, rtol=1e-10)
    np.testing.assert_allclose(blocks.H, whole.H, rtol=1e-10)


@pytest.mark.parametrize("beta", [-0.5, 0.0, 0.5, 1.0, 1.7, 2.0, 3.0])
def test_the_objective_falls(beta):
    V, W, H = problem(seed=3)
    values = nmfd(
        V, 2, template_frames=LENGTH, beta=beta, W=W, H=H, n_iter=40, tol=0, check_every=1
    ).objective
    assert (np.diff(values) <= 0).all()
    assert values[-1] < 0.9 * values[0]
    for seed in range(10):  # without the safeguard, from anywhere
        V, W, H = problem(seed=seed)
        one = plain(V, W, H, beta=beta, steps=1)
        assert one.objective[1] < one.objective[0]


def test_one_frame_makes_it_plain_nmf():
    V, W, H = problem()
    convolutive = nmfd(V, 2, template_frames=1, W=W[:, :, :1], H=H, n_iter=20, tol=0)
    ordinary = nmf(V, 2, beta=1, solver="emu", W=W[:, :, 0], H=H, n_iter=20, tol=0)
    np.testing.assert_allclose(convolutive.W[:, :, 0], ordinary.W, rtol=1e-6)
    np.testing.assert_allclose(convolutive.H, ordinary.H, rtol=1e-6)


@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_strokes_are_found_where_they_are(beta):
    draw = np.random.default_rng(0)
    decay = 0.7 ** np.arange(8)
    strokes = draw.random((40, 2, 8)) ** 4 * decay
    onsets = np.zeros((2, 100))
    onsets[0, [3, 30, 61, 80]], onsets[1, [12, 45, 70]] = 1, 0.8
    V = model(strokes, onsets) + 1e-4
    seed = torch.Generator().manual_seed(2)
    found = nmfd(V, 2, template_frames=8, beta=beta, n_iter=500, tol=0, generator=seed)
    H = found.H[:, :93]  # what starts later is cut off, and may be of any loudness
    H = H / H.max(1, keepdims=True)
    events = {tuple(np.flatnonzero(row > 0.3)) for row in H}
    assert events == {(3, 30, 61, 80), (12, 45, 70)}


def test_zeros_stay_and_templates_may_be_fixed():
    V, W, H = problem()
    W[2:5, 0, 1], H[1, 7:20] = 0, 0
    found = nmfd(V, 2, template_frames=LENGTH, W=W, H=H, n_iter=20)
    assert not found.W[2:5, 0, 1].any()
    assert not found.H[1, 7:20].any()
    fixed = nmfd(V, 2, template_frames=LENGTH, W=W, fixed_W=True, n_iter=20)
    np.testing.assert_array_equal(fixed.W, W)


@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_leading_axes_and_precision(lead, dtype):
    V = torch.rand(*lead, 9, 12, generator=torch.Generator().manual_seed(0), dtype=dtype)
    before = V.clone()
    found = nmfd(V, 2, template_frames=3, n_iter=5, generator=torch.Generator().manual_seed(0))
    assert found.W.shape == (*lead, 9, 2, 3)
    assert found.H.shape == (*lead, 2, 12)
    assert found.W.dtype == found.H.dtype == dtype
    assert torch.equal(V, before)


def test_silence_gives_silence():
    found = nmfd(np.zeros((5, 9)), 2, template_frames=3)
    assert not found.H.any()
    assert found.converged


def test_templates_longer_than_the_data_are_allowed():
    found = nmfd(problem(frames=3)[0], 1, template_frames=7, n_iter=10)
    assert np.isfinite(found.W).all()


@pytest.mark.parametrize(
    ("V", "options", "message"),
    [
        (-np.ones((3, 4)), {}, "negative"),
        (np.ones((3, 0)), {}, "at least one"),
        (np.ones((3, 4)), {"template_frames": 0}, "template_frames"),
        (np.ones((3, 4)), {"fixed_W": True}, "templates"),
        (np.ones((3, 4)), {"W": np.ones((3, 2))}, "must be"),
        (np.ones((3, 4)), {"H": np.ones((3, 4))}, "must be"),
    ],
)
def test_what_cannot_be_factorised_is_refused(V, options, message):
    with pytest.raises(ParameterError, match=message):
        nmfd(V, 2, **{"template_frames": 2, **options})
