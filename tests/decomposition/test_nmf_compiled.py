"""Compiled products, sums and sweeps: against dense formulas, and inside `nmf`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from unweave.decomposition import _hals, _multiplicative, _products, nmf
from unweave.decomposition._products import logarithm_sum, product, quotient_product, totals

DTYPES = (torch.float32, torch.float64)


def problem(freq, frames, count, dtype=torch.float64, seed=0):
    draw = torch.Generator().manual_seed(seed)
    V, W, H = (
        torch.rand(shape, generator=draw, dtype=torch.float64).to(dtype) ** 3 + 0.01
        for shape in ((freq, frames), (freq, count), (count, frames))
    )
    V[freq // 2], V[:, frames // 3] = 0, 0
    return V, W, H


def columns_first(x):
    return x.mT.contiguous().mT


@settings(max_examples=40, deadline=None)
@given(
    freq=st.integers(2, 70),
    frames=st.integers(2, 300),
    count=st.integers(1, 23),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from([lambda x: x, columns_first, lambda x: x[:, 1:], lambda x: x[1:]]),
    floor=st.sampled_from([1e-12, 0.5]),
)
def test_sums_are_those_of_the_formula(freq, frames, count, dtype, order, floor):
    """Whatever is left of the last tiles, and in both orders of memory."""
    V = order(problem(freq + 1, frames + 1, count, dtype)[0])
    _, W, H = problem(*V.shape, count, dtype)
    before = [x.clone() for x in (V, W, H)]
    v, w, h = V.double(), W.double(), H.double()
    y = w @ h + floor
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    options = {"rtol": tolerance, "atol": tolerance, "check_dtype": False}
    torch.testing.assert_close(quotient_product(V, W, H, floor), w.mT @ (v / y), **options)
    templates = quotient_product(V.mT, H.mT, W.mT, floor)
    torch.testing.assert_close(templates, h @ (v / y).mT, **options)
    assert templates.dtype == dtype
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_products, "_WORTHWHILE", 1)
        torch.testing.assert_close(product(V, W), w.mT @ v, **options)
        torch.testing.assert_close(product(V.mT, H.mT), h @ v.mT, **options)
    assert totals(V) == pytest.approx((float(v.sum()), float(v.square().sum())), rel=1e-12)
    assert all(torch.equal(*both) for both in zip((V, W, H), before, strict=True))
    if dtype == torch.float32:
        expected = torch.xlogy(v, v / y)
        error = logarithm_sum(V, W, H, floor) - float(expected.sum())
        assert abs(error) < 1e-6 * float(expected.abs().sum() + v.sum())


def test_logarithms_hold_for_all_ratios():
    """One value at a time, from the smallest ratio to the largest."""
    one = torch.ones(1, 1)
    for power in np.linspace(-80, 80, 1001):
        V = torch.tensor([[float(np.exp(power))]])
        found = logarithm_sum(V, one, one, 1e-30) / float(V)
        assert found == pytest.approx(float(V.double().log()), rel=1.5e-7, abs=1.5e-7)


@pytest.mark.parametrize("threads", [2, 3, 50])
def test_threads_share_the_tiles(monkeypatch, threads):
    V, W, H = problem(61, 400, 5, torch.float32)
    alone = [quotient_product(V, W, H, 1e-9), quotient_product(V.mT, H.mT, W.mT, 1e-9)]
    logarithms, sums = logarithm_sum(V, W, H, 1e-9), totals(V)
    monkeypatch.setattr(_products, "_WORTHWHILE", 1)
    alone += [product(V, W), product(V.mT, H.mT), solved(W.mT @ W, alone[0], H)]
    monkeypatch.setattr(_products, "_SHARE", 1)
    monkeypatch.setattr(_products, "_VALUES", 1)
    monkeypatch.setattr(_hals, "_SHARE", 1)
    torch.set_num_threads(threads)
    shared = [quotient_product(V, W, H, 1e-9), quotient_product(V.mT, H.mT, W.mT, 1e-9)]
    shared += [product(V, W), product(V.mT, H.mT), solved(W.mT @ W, alone[0], H)]
    assert all(torch.equal(*both) for both in zip(alone, shared, strict=True))
    assert logarithm_sum(V, W, H, 1e-9) == pytest.approx(logarithms, rel=1e-10)
    assert totals(V) == pytest.approx(sums, rel=1e-12)


def solved(A, B, X):
    X = X.clone()
    _hals.compiled_sweep(A, B, X, 3)
    return X


def test_what_compiled_code_cannot_take_goes_to_blas(monkeypatch):
    monkeypatch.setattr(_products, "_WORTHWHILE", 1)
    V, W, _ = problem(40, 60, 3)
    for v, w in ((V[::2, ::2], W[::2]), (V, W.repeat(1, 30))):
        torch.testing.assert_close(product(v, w), w.mT @ v)


@pytest.mark.parametrize("solver", ["mu", "emu"])
@pytest.mark.parametrize("order", [lambda x: x, columns_first])
@pytest.mark.parametrize(
    "options",
    [{}, {"l1": 0.3}, {"n_fixed": 2}, {"fixed_W": True}, {"temporal_continuity": 0.01}],
    ids=str,
)
def test_compiled_updates_are_the_plain_ones(monkeypatch, solver, order, options):
    V, W, H = problem(600, 450, 4)
    W[3:9, 3], H[1, 20:50] = 0, 0
    given = {"beta": 1, "solver": solver, "W": W, "H": H, "n_iter": 12, "tol": 0, **options}
    before = [x.clone() for x in (V, W, H)]
    compiled = nmf(order(V), 4, check_every=4, **given)
    assert all(torch.equal(*both) for both in zip((V, W, H), before, strict=True))
    assert not compiled.H[1, 20:50].any()
    assert not compiled.W[3:9, 3].any()
    monkeypatch.setattr(_multiplicative, "worthwhile", lambda _: False)
    plain = nmf(V, 4, check_every=4, **given)
    torch.testing.assert_close(compiled.W, plain.W, rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(compiled.H, plain.H, rtol=1e-7, atol=1e-10)
    torch.testing.assert_close(compiled.objective, plain.objective, rtol=1e-9, atol=0)


@pytest.mark.parametrize("solver", ["mu", "emu"])
def test_single_precision_goes_where_double_does(solver):
    V, W, H = problem(600, 450, 4)
    single, double = (
        nmf(V.to(kind), 4, beta=1, solver=solver, W=W.to(kind), H=H.to(kind), n_iter=40, tol=0)
        for kind in DTYPES
    )
    torch.testing.assert_close(single.objective, double.objective, rtol=1e-5, atol=0)
    assert bool((single.objective.diff() <= 0).all())


@pytest.mark.parametrize("gain", [1e-15, 1e-6, 1e6, 1e15])
def test_loudness_does_not_matter(gain):
    V = problem(600, 450, 4, torch.float32)[0]
    loud, plain = (nmf(v, 4, beta=1, n_iter=10, tol=0) for v in (V * gain, V))
    assert float(loud.objective[-1] / plain.objective[-1]) / gain == pytest.approx(1, rel=1e-3)
