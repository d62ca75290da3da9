"""NMF: against dense formulas step by step, and what must hold for every divergence and solver."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unweave.decomposition import nmf
from unweave.errors import ParameterError

BETAS = (-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
SOLVERS = ("hals", "ahals", "ehals", "mu", "emu")


def problem(freq=17, frames=23, count=3, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    V, W, H = (
        torch.rand(shape, generator=draw, dtype=dtype) + 0.05
        for shape in ((freq, frames), (freq, count), (count, frames))
    )
    return V, W, H


def distance(v, y, beta):
    if beta == 2:
        return 0.5 * ((v - y) ** 2).sum()
    if beta == 1:
        return (v * np.log(v / y) - v + y).sum()
    if beta == 0:
        return (v / y - np.log(v / y) - 1).sum()
    if min(abs(beta), abs(beta - 1)) < 1e-4:
        return exact_distance(v, y, beta)
    return ((v**beta + (beta - 1) * y**beta - beta * v * y ** (beta - 1)) / beta / (beta - 1)).sum()


def exact_distance(v, y, beta):
    """Sum in so many digits that those which cancel are not missed."""
    with mpmath.workdps(60):
        b = mpmath.mpf(beta if abs(beta) > 1e-9 else 1e-30)
        pairs = [
            (mpmath.mpf(float(v)), mpmath.mpf(float(y)))
            for v, y in zip(v.flat, y.flat, strict=True)
        ]
        terms = [(v**b + (b - 1) * y**b - b * v * y ** (b - 1)) / b / (b - 1) for v, y in pairs]
        return float(mpmath.fsum(terms))


def dense_mu(V, W, H, beta, steps):
    """Multiplicative updates as they are written."""
    power = 1 / (2 - beta) if beta < 1 else 1 / (beta - 1) if beta > 2 else 1
    for _ in range(steps):
        Y = W @ H
        H = H * ((W.T @ (V * Y ** (beta - 2))) / (W.T @ Y ** (beta - 1))) ** power
        Y = W @ H
        W = W * (((V * Y ** (beta - 2)) @ H.T) / (Y ** (beta - 1) @ H.T)) ** power
    return W, H


def dense_hals(V, W, H, steps):
    """Each row's exact minimum in turns."""
    W, H = W.copy(), H.copy()
    for _ in range(steps):
        for k in range(len(H)):
            rest = V - W @ H + np.outer(W[:, k], H[k])
            H[k] = np.maximum(0, W[:, k] @ rest / (W[:, k] @ W[:, k]))
        for k in range(len(H)):
            rest = V - W @ H + np.outer(W[:, k], H[k])
            W[:, k] = np.maximum(0, rest @ H[k] / (H[k] @ H[k]))
    return W, H


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("steps", [1, 2, 5])
def test_mu_is_the_formula_step_by_step(beta, steps):
    V, W, H = (x.numpy() for x in problem())
    found = nmf(V, 3, beta=beta, solver="mu", W=W, H=H, n_iter=steps, tol=0, check_every=1)
    W, H = dense_mu(V, W, H, beta, steps)
    rtol = 1e-3 if beta < 0 else 1e-5 if beta == 0 else 1e-9  # beta <= 0: there is a floor
    np.testing.assert_allclose(found.W, W, rtol=rtol)
    np.testing.assert_allclose(found.H, H, rtol=rtol)
    np.testing.assert_allclose(found.objective[-1], distance(V, W @ H, beta), rtol=rtol)
    assert found.iterations.tolist() == list(range(steps + 1))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_hals_is_the_formula_step_by_step(steps):
    V, W, H = (x.numpy() for x in problem())
    found = nmf(V, 3, solver="hals", W=W, H=H, n_iter=steps, tol=0)
    W, H = dense_hals(V, W, H, steps)
    np.testing.assert_allclose(found.W, W, atol=1e-12)
    np.testing.assert_allclose(found.H, H, atol=1e-12)
    np.testing.assert_allclose(found.objective[-1], distance(V, W @ H, 2))


def test_compiled_sweeps_are_the_plain_ones():
    pytest.importorskip("numba")
    from unweave.decomposition._hals import compiled_sweep, sweep

    V, W, H = problem(freq=40, frames=700, count=5)
    gram, cross = W.mT @ W, W.mT @ V
    cross[1, 3:50] = -torch.inf  # zeros that must stay
    gram[2], gram[:, 2] = 0, 0  # a template that died
    plain, compiled = H.clone(), H.clone()
    sweep(gram, cross, plain, 4, 1)
    compiled_sweep(gram, cross, compiled, 4, 1)
    torch.testing.assert_close(compiled, plain, rtol=1e-10, atol=1e-12)
    assert not plain[1, 3:50].any()
    assert torch.equal(plain[0], H[0])
    assert torch.equal(plain[2], H[2])


def test_a_spectrogram_large_enough_for_compiled_sweeps_gives_the_same():
    pytest.importorskip("numba")
    V, W, H = problem(freq=600, frames=500, count=4)
    both = [
        nmf(v, 4, W=w, H=h, n_iter=6, tol=0)
        for v, w, h in ((V, W, H), (V.mT.contiguous().mT, W, H))
    ]
    W, H = dense_hals(*(x.numpy() for x in (V, W, H)), 1)
    one = nmf(V, 4, W=problem(600, 500, 4)[1], H=problem(600, 500, 4)[2], solver="hals", n_iter=1)
    np.testing.assert_allclose(one.H, H, atol=1e-10)
    torch.testing.assert_close(both[0].W, both[1].W)


@settings(max_examples=40, deadline=None)
@given(
    beta=st.one_of(st.sampled_from(BETAS), st.floats(-2, 4)),
    solver=st.sampled_from(SOLVERS),
    l1=st.sampled_from([0.0, 0.3]),
    smooth=st.sampled_from([0.0, 0.0, 0.05]),
    seed=st.integers(0, 99),
)
@example(beta=5e-324, solver="mu", l1=0.0, smooth=0.0, seed=0)
@example(beta=1e-7, solver="mu", l1=0.0, smooth=0.0, seed=0)
@example(beta=1 - 1e-9, solver="mu", l1=0.0, smooth=0.0, seed=0)
def test_no_objective_rises(beta, solver, l1, smooth, seed):
    """Of runs of 1, 2, 3... iterations, each ends at least as well as the one before."""
    if solver.endswith("hals"):
        beta, smooth = 2.0, 0.0
    V, W, H = problem(9, 12, 2, seed)
    options = {"beta": beta, "solver": solver, "l1": l1, "temporal_continuity": smooth}
    found = [
        nmf(V, 2, W=W, H=H, n_iter=steps, tol=0, check_every=1, **options) for steps in (1, 3, 8, 9)
    ]
    values = found[-1].objective
    assert bool((values.diff() <= 1e-10 * values[0]).all())
    assert all(
        a.objective[-1] >= b.objective[-1] - 1e-10 * values[0] for a, b in itertools.pairwise(found)
    )
    W, H = found[-1].W, found[-1].H
    change = (H.diff(dim=1) ** 2).sum(1) / (H**2).sum(1)
    expected = distance(V.numpy(), (W @ H).numpy(), beta) + l1 * float(H.sum())
    expected += smooth * H.shape[1] * float(change.sum())
    rel = 1e-3 if beta < 0 else 1e-4  # beta <= 0: there is a floor
    assert float(values[-1]) == pytest.approx(float(expected), rel=rel)
    if l1:
        torch.testing.assert_close(W.norm(dim=0), torch.ones(2, dtype=W.dtype))


@pytest.mark.parametrize("beta", BETAS)
def test_plain_steps_lower_the_objective_without_a_safeguard(beta):
    """Of the formulas with penalties, too, each single step from anywhere goes down."""
    for seed in range(20):
        V, W, H = problem(9, 12, 2, seed)
        for l1 in (0.0, 1.0):
            found = nmf(V, 2, beta=beta, solver="mu", W=W, H=H, n_iter=1, tol=0, l1=l1)
            assert not found.converged  # which is what a rise would be taken for
            assert found.objective[1] < found.objective[0]


def test_kl_keeps_the_sums_of_columns_and_then_of_rows():
    V, W, H = problem()
    columns = nmf(V, 3, beta=1, solver="mu", W=W, H=H, fixed_W=True, n_iter=1)
    torch.testing.assert_close((W @ columns.H).sum(0), V.sum(0), rtol=1e-10, atol=0)
    rows = nmf(V, 3, beta=1, solver="mu", W=W, H=H, n_iter=1)
    torch.testing.assert_close((rows.W @ rows.H).sum(1), V.sum(1), rtol=1e-10, atol=0)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("gain", [1e-6, 1e6])
def test_louder_data_give_louder_factors_and_nothing_else(beta, gain):
    V = problem()[0]
    plain = nmf(V, 3, beta=beta, n_iter=20, tol=0)
    loud = nmf(V * gain, 3, beta=beta, n_iter=20, tol=0)
    torch.testing.assert_close(loud.W @ loud.H / gain, plain.W @ plain.H, rtol=1e-6, atol=1e-6)
    expected = plain.objective[-1] * gain**beta
    torch.testing.assert_close(loud.objective[-1], expected, rtol=1e-6, atol=0)
    single = nmf(V.float() * gain, 3, beta=beta, n_iter=20, tol=0)
    torch.testing.assert_close(single.objective[-1], expected, rtol=2e-2, atol=0)


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_exact_products_are_found(beta):
    draw = torch.Generator().manual_seed(1)
    V = torch.rand(30, 3, generator=draw).double() @ torch.rand(3, 50, generator=draw).double()
    W, H, *_ = nmf(V, 3, beta=beta, n_iter=3000, tol=0, check_every=100)
    assert float((V - W @ H).norm() / V.norm()) < 2e-2


@pytest.mark.parametrize("solver", SOLVERS)
def test_zeros_given_stay_exactly_zero(solver):
    V, W, H = problem()
    W[2:9, 1], H[0, 5:15], H[2, :3] = 0, 0, 0
    for l1 in (0.0, 0.1):
        found = nmf(V, 3, W=W, H=H, solver=solver, n_iter=30, tol=0, l1=l1)
        assert not found.W[2:9, 1].any()
        assert not found.H[0, 5:15].any()
        assert not found.H[2, :3].any()
        assert found.H[1].any()
        assert found.objective[-1] < found.objective[0]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("l1", [0.0, 0.1])
def test_fixed_templates_stay(solver, l1):
    V, W, _ = problem()
    draw = torch.Generator().manual_seed(0)
    options = {"solver": solver, "n_iter": 25, "tol": 0, "l1": l1, "generator": draw}
    all_fixed = nmf(V, 3, W=W, fixed_W=True, **options)
    assert torch.equal(all_fixed.W, W)
    some = nmf(V, 5, W=W[:, :2], n_fixed=2, **options)
    assert torch.equal(some.W[:, :2], W[:, :2])
    assert some.W.shape == (17, 5)
    assert some.objective[-1] < all_fixed.objective[-1]


def test_fixed_templates_give_non_negative_least_squares():
    from scipy.optimize import nnls

    V, W, _ = problem()
    found = nmf(V, 3, W=W, fixed_W=True, n_iter=500, tol=0)
    for frame in range(V.shape[1]):
        expected = nnls(W.numpy(), V[:, frame].numpy())[0]
        np.testing.assert_allclose(found.H[:, frame], expected, atol=1e-6)


@pytest.mark.parametrize(("beta", "solver"), [(2, "ehals"), (2, "mu"), (1, "emu"), (0, "mu")])
def test_l1_makes_activations_sparse(beta, solver):
    V = torch.rand(30, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 2
    V += 1e-3

    def loudness(l1):
        H = nmf(V, 6, beta=beta, solver=solver, l1=l1, n_iter=200, tol=0).H
        return float(H.sum()), float((1e-3 * H.max() > H).double().mean())

    plain, sparse = loudness(1e-9), loudness(1.0)
    assert sparse[0] < plain[0]
    assert sparse[1] > plain[1]


@pytest.mark.parametrize("beta", [2, 1, 0])
def test_temporal_continuity_makes_activations_smooth(beta):
    V = problem(30, 60)[0]

    def roughness(weight):
        found = nmf(V, 4, beta=beta, temporal_continuity=weight, n_iter=100, tol=0)
        return float(((found.H.diff(dim=1) ** 2).sum(1) / (found.H**2).sum(1)).mean())

    assert roughness(1.0) < 0.5 * roughness(0.0)


def test_the_penalty_of_changes_has_the_gradient_that_the_updates_use():
    from unweave.decomposition._multiplicative import Updates
    from unweave.decomposition._problem import Problem

    V, _, H = problem()
    p = Problem(V, temporal_continuity=0.7)
    less, more = Updates(p)._extra(H)
    step = torch.zeros_like(H)
    for place in ((0, 0), (1, 5), (2, 22)):
        step.zero_()[place] = 1e-6
        slope = (p.penalty(H + step) - p.penalty(H - step)) / 2e-6
        assert float((more - less)[place]) == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("solver", ["mu", "emu"])
def test_the_objective_may_be_evaluated_seldom(solver):
    V, W, H = problem()
    options = {"beta": 1, "solver": solver, "W": W, "H": H, "n_iter": 25, "tol": 0}
    seldom, often = (nmf(V, 3, check_every=n, **options) for n in (10, 1))
    assert seldom.iterations.tolist() == [0, 10, 20, 25]
    if solver == "mu":
        torch.testing.assert_close(seldom.objective, often.objective[[0, 10, 20, 25]])


def test_it_stops_when_the_objective_has_settled():
    V = problem()[0]
    found = nmf(V, 3, n_iter=5000, tol=1e-3)
    assert found.converged
    assert found.n_iter < 1000
    assert found.objective[-11] - found.objective[-1] <= 1e-3 * found.objective[0]
    assert not nmf(V, 3, n_iter=4, tol=1e-3).converged


def test_the_best_start_is_kept():
    V = problem()[0]

    def best(starts):
        draw = torch.Generator().manual_seed(0)
        found = nmf(V, 4, init="random", n_starts=starts, generator=draw, n_iter=30)
        return float(found.objective[-1])

    values = [best(starts) for starts in (1, 2, 5)]
    assert values == sorted(values, reverse=True)
    assert values[2] < values[0]


@pytest.mark.parametrize(("beta", "solver"), [(2.0, "ehals"), (1.0, "emu"), (0.5, "mu")])
@pytest.mark.parametrize("lead", [(2,), (2, 3)])
def test_leading_axes_are_spectrograms_each_for_itself(beta, solver, lead):
    V = torch.rand(*lead, 9, 12, generator=torch.Generator().manual_seed(0))
    W = torch.rand(9, 2, generator=torch.Generator().manual_seed(1))
    found = nmf(V, 2, beta=beta, solver=solver, W=W, n_iter=12, tol=0)
    assert found.W.shape == (*lead, 9, 2)
    assert found.H.shape == (*lead, 2, 12)
    assert found.objective.shape[:-1] == lead
    index = (1,) * len(lead)
    one = nmf(V[index], 2, beta=beta, solver=solver, W=W, n_iter=12, tol=0)
    torch.testing.assert_close(found.W[index], one.W)
    assert found.objective[index][-1] == one.objective[-1]


@pytest.mark.parametrize("beta", [2, 1, 0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_kinds_of_arrays_are_kept_and_nothing_is_modified(beta, dtype):
    V, W, H = (x.numpy().astype(dtype) for x in problem())
    before = [x.copy() for x in (V, W, H)]
    for x in (V, W, H):
        x.flags.writeable = False
    found = nmf(V, 3, beta=beta, W=W, H=H, n_iter=5)
    assert found.W.dtype == found.H.dtype == dtype
    assert found.objective.dtype == "float64"
    for x, old in zip((V, W, H), before, strict=True):
        assert np.array_equal(x, old)
    turned = nmf(
        torch.from_numpy(before[0].T.copy()).T,
        3,
        beta=beta,
        W=torch.from_numpy(before[1]),
        H=torch.from_numpy(before[2]),
        n_iter=5,
    )
    np.testing.assert_allclose(turned.W, found.W, rtol=1e-3, atol=1e-5)


def test_integers_become_single_precision():
    V = torch.randint(1, 9, (6, 7), generator=torch.Generator().manual_seed(0))
    assert nmf(V, 2).W.dtype == torch.float32


@pytest.mark.parametrize("beta", [2, 1, 0, 0.5])
@pytest.mark.parametrize("init", ["random", "nndsvda", "separable"])
def test_silence_and_silent_parts_give_no_nan(beta, init):
    silent = nmf(torch.zeros(5, 6), 2, beta=beta, init=init)
    assert not silent.W.any()
    assert not silent.H.any()
    assert silent.converged
    assert silent.objective.tolist() == [0.0]
    V = problem()[0].float()
    V[3], V[:, 4:7] = 0, 0
    for count in (3, 30):  # more components than bins, too
        found = nmf(V, count, beta=beta, init=init, n_iter=20)
        assert bool(found.W.isfinite().all())
        assert bool(found.H.isfinite().all())
        assert bool((found.objective.diff() <= 0).all())


@pytest.mark.parametrize(
    ("V", "options", "message"),
    [
        (torch.zeros(0, 5), {}, "at least one"),
        (torch.zeros(5), {}, "must be"),
        (torch.tensor([[1.0, float("nan")]]), {}, "NaN"),
        (torch.tensor([[1.0, float("inf")]]), {}, "infinite"),
        (torch.tensor([[1.0, -1.0]]), {}, "negative"),
        (torch.ones(3, 4, dtype=torch.complex64), {}, "abs"),
        (torch.ones(3, 4, dtype=torch.float16), {}, "float32"),
        (torch.ones(3, 4), {"n_components": 0}, "n_components"),
        (torch.ones(3, 4), {"beta": "kl"}, "beta"),
        (torch.ones(3, 4), {"beta": float("nan")}, "beta"),
        (torch.ones(3, 4), {"solver": "cd"}, "solver"),
        (torch.ones(3, 4), {"init": "zero"}, "init"),
        (torch.ones(3, 4), {"solver": "ehals", "beta": 1}, "emu"),
        (torch.ones(3, 4), {"solver": "hals", "temporal_continuity": 1}, "emu"),
        (torch.ones(3, 4), {"solver": "mu", "init": "nndsvd"}, "nndsvda"),
        (torch.ones(3, 4), {"W": torch.ones(4, 2)}, "must be"),
        (torch.ones(3, 4), {"W": torch.ones(3, 3)}, "must be"),
        (torch.ones(3, 4), {"H": torch.ones(3, 4)}, "must be"),
        (torch.ones(3, 4), {"W": -torch.ones(3, 2)}, "negative"),
        (torch.ones(3, 4), {"fixed_W": True}, "fixed"),
        (torch.ones(3, 4), {"W": torch.ones(3, 1), "n_fixed": 2}, "fixed"),
        (torch.ones(3, 4), {"n_fixed": 3}, "n_fixed"),
        (torch.ones(3, 4), {"l1": -1}, "l1"),
        (torch.ones(3, 4), {"tol": -1}, "tol"),
        (torch.ones(3, 4), {"n_starts": 0}, "n_starts"),
    ],
)
def test_what_cannot_be_factorised_is_refused(V, options, message):
    with pytest.raises(ParameterError, match=message):
        nmf(V, **{"n_components": 2, **options})


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_long_spectrograms_start_with_some_of_their_frames(beta):
    """After a few steps it is where others are late."""
    draw = torch.Generator().manual_seed(0)
    V = torch.rand(40, 4, generator=draw) ** 4 @ torch.rand(4, 4000, generator=draw) ** 4 + 0.01
    coarse = nmf(V, 4, beta=beta, n_iter=3, tol=0, check_every=1)
    plain = nmf(V, 4, beta=beta, solver="hals" if beta == 2 else "mu", n_iter=3, tol=0)
    assert coarse.objective[-1] < 0.5 * plain.objective[-1]
    assert bool((coarse.objective.diff() <= 0).all())
    known = torch.rand(40, 1, generator=draw)
    found = nmf(V, 4, beta=beta, W=known, n_fixed=1, n_iter=3, tol=0)
    assert torch.equal(found.W[:, :1], known)
    # who gives a start, starts there
    W, H = torch.rand(40, 4, generator=draw), torch.rand(4, 4000, generator=draw)
    given = nmf(V, 4, beta=beta, W=W, H=H, n_iter=1, tol=0)
    expected = distance(V.double().numpy(), (W.double() @ H.double()).numpy(), beta)
    assert float(given.objective[0]) == pytest.approx(float(expected), rel=1e-5)
