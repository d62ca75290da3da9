"""Non-negative matrix factorisation in the manner of scikit-learn's estimators."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray
from unweave.decomposition.nmf import nmf
from unweave.errors import ParameterError

Matrix = Any  # a NumPy array or a tensor, (samples, features)


class NMF:
    """Factorise matrices of samples by features, as `sklearn.decomposition.NMF` does.

    Samples are frames and features are bins: X = fit_transform(X) @ components_, the transpose of
    what `nmf` takes. It fits `librosa.decompose.decompose(S, transformer=...)`, and scikit-learn
    can clone it, though it does not need that; arrays and tensors are welcome.

    Args:
        n_components: Number of templates.
        beta: Which divergence is minimised; see `nmf`.
        init: Where to start.
        solver: How to minimise.
        n_iter: The most iterations, of fits and of transforms.
        tol: Fall of the objective, relative to its first value, that is worth ten iterations.
        l1: Weight of the sum of all activations.
        temporal_continuity: Weight of relative changes of activations from sample to sample.
        n_starts: How many starts are tried.
        seed: Of random starts.

    Attributes:
        components_: Templates (components, features).
        objective_: The objective at the end of the fit.
        n_iter_: Iterations of the fit.
        n_features_in_: Number of features.

    Example:
        >>> X = np.random.default_rng(0).random((40, 3)) @ np.eye(3, 65)
        >>> model = NMF(3)
        >>> activations = model.fit_transform(X)
        >>> activations.shape, model.components_.shape
        ((40, 3), (3, 65))
        >>> bool(np.abs(model.inverse_transform(activations) - X).max() < 1e-2)
        True
    """

    def __init__(
        self,
        n_components: int,
        *,
        beta: float = 2.0,
        init: str = "nndsvda",
        solver: str = "auto",
        n_iter: int = 200,
        tol: float = 1e-4,
        l1: float = 0.0,
        temporal_continuity: float = 0.0,
        n_starts: int = 1,
        seed: int = 0,
    ) -> None:
        self.n_components = n_components
        self.beta = beta
        self.init = init
        self.solver = solver
        self.n_iter = n_iter
        self.tol = tol
        self.l1 = l1
        self.temporal_continuity = temporal_continuity
        self.n_starts = n_starts
        self.seed = seed

    def fit(self, X: Matrix, y: None = None) -> NMF:
        """Find templates.

        Args:
            X: Non-negative samples (samples, features).
            y: Ignored; estimators have it.

        Returns:
            The estimator itself.
        """
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Matrix, y: None = None) -> Any:
        """Find templates and give the activations.

        Args:
            X: Non-negative samples (samples, features).
            y: Ignored; estimators have it.

        Returns:
            Activations (samples, components).
        """
        V = _matrix(X).T
        generator = torch.Generator().manual_seed(self.seed)
        found = nmf(V, generator=generator, **self._options())
        self.components_ = found.W.T
        self.objective_ = float(found.objective[-1])
        self.n_iter_, self.n_features_in_ = found.n_iter, V.shape[0]
        return found.H.T

    def transform(self, X: Matrix) -> Any:
        """Give the activations of other samples, templates fixed.

        Args:
            X: Non-negative samples (samples, features).

        Returns:
            Activations (samples, components).
        """
        V = _matrix(X).T
        options = {**self._options(), "n_starts": 1}
        return nmf(V, W=_like(self._templates(), V).T, fixed_W=True, **options).H.T

    def inverse_transform(self, X: Matrix) -> Any:
        """Give samples from activations.

        Args:
            X: Activations (samples, components).

        Returns:
            Samples (samples, features).
        """
        return X @ _like(self._templates(), X)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Give the arguments that the estimator was made with.

        Args:
            deep: Ignored; there are no estimators inside.
        """
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params: object) -> NMF:
        """Change some of the arguments.

        Args:
            **params: Their names and new values.

        Returns:
            The estimator itself.

        Raises:
            ParameterError: There is no such argument.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ParameterError(f"{name!r} is unknown: it must be one of {', '.join(known)}")
            setattr(self, name, value)
        return self

    def _options(self) -> dict[str, Any]:
        return {name: value for name, value in self.get_params().items() if name != "seed"}

    def _templates(self) -> Any:
        if not hasattr(self, "components_"):
            raise ParameterError("the estimator has no templates yet: call fit first")
        return self.components_


def _matrix(X: Matrix) -> Any:
    if not isinstance(X, np.ndarray | Tensor):
        X = np.asarray(X)
    if X.ndim != 2:
        raise ParameterError(f"X of shape {tuple(X.shape)} must be (samples, features)")
    return X


def _like(components: Tensor | NumpyArray, X: Matrix) -> Any:
    """Give templates in the kind of array that samples have."""
    if isinstance(X, Tensor):
        return torch.as_tensor(components, dtype=X.dtype, device=X.device)
    return np.asarray(components, dtype=X.dtype if X.dtype.kind == "f" else None)
