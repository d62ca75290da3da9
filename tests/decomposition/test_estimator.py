"""The estimator does what nmf does, and goes where scikit-learn's goes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from unweave.decomposition import NMF, nmf
from unweave.errors import ParameterError


def samples(count=40, features=21, seed=0, dtype="float64"):
    return (np.random.default_rng(seed).random((count, features)) ** 2).astype(dtype)


@pytest.mark.parametrize("beta", [2.0, 1.0])
def test_it_is_nmf_of_the_transpose(beta):
    X = samples()
    model = NMF(4, beta=beta, n_iter=30)
    activations = model.fit_transform(X)
    found = nmf(X.T, 4, beta=beta, n_iter=30)
    np.testing.assert_allclose(activations, found.H.T)
    np.testing.assert_allclose(model.components_, found.W.T)
    assert model.objective_ == found.objective[-1]
    assert model.n_iter_ == found.n_iter
    np.testing.assert_allclose(model.inverse_transform(activations), (found.W @ found.H).T)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transform_keeps_the_templates(dtype):
    X = samples(dtype=dtype)
    model = NMF(4, n_iter=500, tol=1e-9).fit(X)
    components = model.components_.copy()
    again = model.transform(X)
    assert again.dtype == dtype
    np.testing.assert_array_equal(model.components_, components)
    error = np.linalg.norm(model.inverse_transform(again) - X) ** 2 / 2
    assert error == pytest.approx(model.objective_, rel=1e-3)
    assert model.transform(samples(7, seed=1, dtype=dtype)).shape == (7, 4)


def test_it_takes_tensors():
    X = torch.from_numpy(samples())
    model = NMF(3, beta=1)
    activations = model.fit_transform(X)
    assert isinstance(activations, torch.Tensor)
    assert isinstance(model.inverse_transform(activations), torch.Tensor)
    assert isinstance(model.transform(X.numpy()), np.ndarray)


def test_the_seed_decides():
    X = samples()
    one, same, other = (
        NMF(4, init="random", seed=s, n_iter=5).fit(X).components_ for s in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)


def test_scikit_learn_clones_it():
    from sklearn.base import clone

    model = NMF(4, beta=1.5, l1=0.1, seed=3)
    copy = clone(model.fit(samples()))
    assert copy.get_params() == model.get_params()
    assert not hasattr(copy, "components_")


def test_librosa_decomposes_with_it():
    from librosa.decompose import decompose

    S = samples(30, 21).T
    components, activations = decompose(S, transformer=NMF(5, n_iter=300, tol=1e-7))
    assert components.shape == (21, 5)
    assert activations.shape == (5, 30)
    theirs = decompose(S, n_components=5, max_iter=2000)
    errors = [np.linalg.norm(S - W @ H) for W, H in ((components, activations), theirs)]
    assert errors[0] <= 1.02 * errors[1]
    model = NMF(5).fit(S.T)
    fixed = decompose(S, transformer=model, fit=False)
    np.testing.assert_allclose(fixed[0], model.components_.T)


def test_parameters_are_checked_when_they_are_used():
    model = NMF(4)
    assert model.set_params(beta=1, n_iter=7) is model
    assert (model.beta, model.n_iter) == (1, 7)
    with pytest.raises(ParameterError, match="n_topics"):
        model.set_params(n_topics=3)
    with pytest.raises(ParameterError, match="fit"):
        model.transform(samples())
    with pytest.raises(ParameterError, match="samples"):
        model.fit(np.ones(5))
    with pytest.raises(ParameterError, match="n_components"):
        NMF(0).fit(samples())
