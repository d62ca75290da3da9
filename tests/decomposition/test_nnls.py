import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls as scipy_nnls

from unweave.decomposition import nnls, simplex_projection
from unweave.decomposition._weights import compiled_available, solve
from unweave.errors import DependencyError, ParameterError

FORMS = ["compiled", "torch"]


def problem(freq, atoms, frames, seed):
    rng = np.random.default_rng(seed)
    return rng.random((freq, atoms)), rng.random((freq, frames)) * rng.choice([0.01, 1, 100])


def oracle(W, V):
    return np.stack([scipy_nnls(W, v)[0] for v in V.T], 1)


@settings(deadline=None, max_examples=40)
@given(atoms=st.integers(1, 15), seed=st.integers(0, 10_000))
def test_the_compiled_form_is_scipys(atoms, seed):
    W, V = problem(15, atoms, 12, seed)
    kept = W.copy(), V.copy()
    expected = oracle(W, V)
    found = nnls(W, V, backend="compiled")
    np.testing.assert_allclose(found, expected, atol=1e-9 * max(1.0, expected.max()))
    np.testing.assert_array_equal(W, kept[0])
    np.testing.assert_array_equal(V, kept[1])


@pytest.mark.parametrize("backend", FORMS)
def test_dependent_and_silent_templates_leave_no_more_than_scipys(backend):
    for seed in range(10):
        W, V = problem(8, 14, 20, seed)  # more templates than bins
        W[:, 3] = W[:, 5]
        W[:, 7] = 0
        W[:, 9] = 2 * W[:, 1] + W[:, 2]
        found = nnls(W, V, backend=backend)
        left = np.linalg.norm(V - W @ found, axis=0)
        expected = np.linalg.norm(V - W @ oracle(W, V), axis=0)
        np.testing.assert_allclose(left, expected, atol=2e-4 * np.abs(V).max())
        assert (found >= 0).all()
        assert np.isfinite(found).all()


@pytest.mark.parametrize("backend", FORMS)
def test_the_conditions_of_optimality_hold(backend):
    W, V = problem(60, 10, 3000, 0)
    H = nnls(W, V, backend=backend)
    gradient = W.T @ (W @ H - V)
    scale = np.abs(W.T @ V).max()
    assert (gradient > -1e-5 * scale).all()
    assert np.abs(gradient * H).max() < 1e-5 * scale * H.max()


@pytest.mark.parametrize("backend", FORMS)
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_leading_axes_and_single_precision(backend, lead):
    generator = torch.Generator().manual_seed(0)
    H = torch.rand(*lead, 4, 7, generator=generator).sub(0.3).clamp_min(0)
    W = torch.rand(*lead, 9, 4, generator=generator)
    found = nnls(W, W @ H, backend=backend)
    torch.testing.assert_close(found, H, atol=2e-3, rtol=0)
    assert found.dtype == torch.float32


def test_nothing_gives_nothing():
    assert nnls(torch.ones(3, 0), torch.ones(3, 2)).shape == (0, 2)
    assert nnls(torch.ones(3, 2), torch.ones(3, 0)).shape == (2, 0)
    assert nnls(torch.ones(0, 2), torch.ones(0, 3)).tolist() == [[0.0] * 3] * 2


def test_errors_say_what_is_wrong():
    W, V = torch.ones(3, 2), torch.ones(3, 4)
    with pytest.raises(ParameterError, match="freq, components"):
        nnls(W, torch.ones(4, 4))
    with pytest.raises(ParameterError, match="floating"):
        nnls(W.long(), V)
    with pytest.raises(ParameterError, match="NaN"):
        nnls(W, V * torch.nan)
    with pytest.raises(ParameterError, match="backend='numba' must be one of"):
        nnls(W, V, backend="numba")


def test_the_compiled_form_says_what_it_needs(monkeypatch):
    assert compiled_available()
    monkeypatch.setattr("unweave.decomposition._weights.compiled_available", lambda: False)
    with pytest.raises(DependencyError, match="fast"):
        nnls(torch.ones(3, 2), torch.ones(3, 4), backend="compiled")
    assert nnls(torch.ones(3, 1), torch.ones(3, 1)).tolist() == [[1.0]]


def hull_problem(seed):
    rng = np.random.default_rng(seed)
    W, V = rng.random((9, 12)), 1.5 * rng.random((9, 30))
    W[:, 4] = W[:, 6]
    A, b = torch.from_numpy(W.T @ W), torch.from_numpy(V.T @ W)
    return A, b, torch.from_numpy((V**2).sum(0))


@pytest.mark.parametrize("backend", FORMS)
def test_weights_in_a_hull_are_optimal(backend):
    for seed in range(10):
        A, b, energy = hull_problem(seed)
        h, left = solve(A, b, energy, torch.zeros_like(b), hull=True, backend=backend)
        assert (h >= 0).all()
        assert (h.sum(-1) <= 1 + 1e-12).all()
        torch.testing.assert_close(left, energy + (h * (h @ A - 2 * b)).sum(-1))
        # No corner of the hull, the origin among them, lies in a direction of descent.
        gradient = h @ A - b
        corners = torch.cat([gradient, gradient.new_zeros(len(b), 1)], 1)
        slope = corners - (gradient * h).sum(-1, keepdim=True)
        assert (slope > -1e-4 * energy[:, None]).all()


def test_both_forms_find_the_same_hull_from_any_start():
    A, b, energy = hull_problem(3)
    start = torch.zeros_like(b)
    start[:, :3], first = solve(
        A[:3, :3], b[:, :3], energy, start[:, :3], hull=True, backend="compiled"
    )
    solved = [solve(A, b, energy, start, hull=True, backend=backend)[1] for backend in FORMS]
    torch.testing.assert_close(solved[0], solved[1], atol=1e-7, rtol=1e-6)
    assert (solved[0] <= first + 1e-12).all()


def test_threads_share_the_frames(monkeypatch):
    A, b, energy = hull_problem(1)
    one = solve(A, b, energy, torch.zeros_like(b), hull=True)
    monkeypatch.setattr("unweave.decomposition._weights._SHARE", 4)
    torch.set_num_threads(3)
    many = solve(A, b, energy, torch.zeros_like(b), hull=True)
    assert all(torch.equal(x, y) for x, y in zip(one, many, strict=True))


def test_the_plain_hull_of_silent_atoms_is_the_origin():
    zero = torch.zeros(2, 2).double()
    h, left = solve(zero, zero, torch.ones(2).double(), zero, hull=True, backend="torch")
    assert (h == 0).all()
    assert (left == 1).all()


def test_projections_agree_with_the_weights_in_a_hull():
    x = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    eye = torch.eye(6).double()
    h, _ = solve(eye, x, x.square().sum(-1), torch.zeros_like(x), hull=True, backend="compiled")
    torch.testing.assert_close(simplex_projection(x), h)
