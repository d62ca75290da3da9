import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import bisect

from unweave.decomposition import simplex_projection
from unweave.errors import ParameterError


def threshold(v, total):
    """Lower all elements until their positive parts have the sum, found by halving intervals."""
    return bisect(
        lambda t: np.maximum(v - t, 0).sum() - total, v.min() - total - 1, v.max(), xtol=1e-14
    )


@settings(deadline=None, max_examples=60)
@given(size=st.integers(1, 12), seed=st.integers(0, 10_000), total=st.sampled_from([0.1, 1.0, 3.0]))
def test_all_elements_are_lowered_by_one_threshold(size, seed, total):
    x = np.random.default_rng(seed).normal(0, 2, (5, size)).round(1)  # ties too
    kept = x.copy()
    exact = np.stack([np.maximum(v - threshold(v, total), 0) for v in x])
    found = simplex_projection(x, total=total, with_origin=False)
    np.testing.assert_allclose(found, exact, atol=1e-10)
    positive = np.maximum(x, 0)
    inside = positive.sum(1, keepdims=True) <= total
    found = simplex_projection(x, total=total)
    np.testing.assert_allclose(found, np.where(inside, positive, exact), atol=1e-10)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -2, -3])
def test_any_axis_holds_the_vectors(dim):
    x = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    along_last = simplex_projection(x.movedim(dim, -1)).movedim(-1, dim)
    assert torch.equal(simplex_projection(x, dim=dim), along_last)


def test_gradients_are_right():
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for with_origin in (True, False):
        assert torch.autograd.gradcheck(
            lambda v, kind=with_origin: simplex_projection(v, with_origin=kind),
            x.requires_grad_(),
        )


def test_errors_say_what_is_wrong():
    with pytest.raises(ParameterError, match="total=0"):
        simplex_projection(torch.ones(3), total=0)
    for bad, dim in (
        (torch.ones(3).long(), -1),
        (torch.ones(()), -1),
        (torch.ones(2), 1),
        (torch.ones(2, 0), 1),
    ):
        with pytest.raises(ParameterError, match="along dim"):
            simplex_projection(bad, dim=dim)
