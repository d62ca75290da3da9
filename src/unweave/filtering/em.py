"""Refines estimates of sources until their local Gaussian models agree with the mixture."""

from __future__ import annotations

from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave.errors import ParameterError
from unweave.filtering._checks import (
    as_items,
    check_eps,
    check_estimates,
    check_mixture,
    check_n_iter,
)
from unweave.filtering._exact import exact_steps
from unweave.filtering._forms import choose
from unweave.filtering._progress import steps
from unweave.filtering._regular import Regularisation


@two_array_function
def expectation_maximization(
    y: Tensor,
    x: Tensor,
    *,
    n_iter: int = 2,
    eps: float | None = None,
    exact: bool = False,
    verbose: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """Refine estimates of sources by the EM algorithm for the local Gaussian model.

    In turns, the model is estimated from the estimates, and the mixture is filtered anew with the
    model; see `wiener`, which does this from spectrograms of the sources.

    Args:
        y: Initial complex estimates of the sources; they need not sum to the mixture.
        x: Complex spectrogram of the mixture.
        n_iter: How often the model is estimated and the mixture filtered; 0 returns the estimates
            as they are, and a model of zeros.
        eps: None for a regularisation relative to the signal, or norbert's absolute one: added to
            the sums over frames, and its square root to the diagonals of mixture covariances.
        exact: False takes the estimates for the sources, as norbert does [Nugraha2016]; this
            sharpens the separation, but may lower the likelihood. True also accounts for what is
            uncertain about them [Duong2010], so that the likelihood never falls; it takes more
            iterations, memory and time, and no compiled form.
        verbose: Whether to show a progress bar on standard error.
        backend: "auto", "compiled" or "torch"; see `wiener`.

    Returns:
        Refined estimates, and the model that they were filtered with: power spectral densities, and
        spatial covariances, whose traces are the number of channels (zero where a source is
        silent).

    Raises:
        ParameterError: Shapes or dtypes do not fit, or an option is out of range.
        DependencyError: backend="compiled" without numba.

    Shape:
        y: (..., sources, channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames), (..., sources, 1, freq, frames) and
            (..., sources, freq, channels, channels)

    Example:
        >>> import torch
        >>> sources = torch.randn(3, 2, 65, 20, dtype=torch.complex64)
        >>> y, psd, covariances = expectation_maximization(0.5 * sources, sources.sum(0))
        >>> y.shape, psd.shape, covariances.shape
        (torch.Size([3, 2, 65, 20]), torch.Size([3, 1, 65, 20]), torch.Size([3, 65, 2, 2]))

    References:
        [Duong2010] Under-determined reverberant audio source separation using a full-rank spatial
        covariance model, IEEE TASLP 18(7).
        [Nugraha2016] Multichannel audio source separation with deep neural networks, IEEE/ACM TASLP
        24(9).
    """
    check_mixture(x)
    check_estimates(y, x)
    n_iter, regular = check_n_iter(n_iter), Regularisation(check_eps(eps))
    ys, xs = as_items(y, 4), as_items(x, 3)
    form = choose(backend, ys, xs)
    if exact and backend == "compiled":
        raise ParameterError("backend='compiled' has no exact=True: use 'auto' or 'torch'")
    lead, (sources, channels, freq, frames) = y.shape[:-4], y.shape[-4:]
    model_shape = (*lead, sources, freq, channels, channels)
    psd_shape = (*lead, sources, 1, freq, frames)
    if not n_iter or not y.numel():
        return y.to(x.dtype, copy=True), x.real.new_zeros(psd_shape), x.new_zeros(model_shape)
    rounds = steps(n_iter, "EM", verbose)
    if exact:
        found, psd, model = exact_steps(ys, xs, regular, rounds)
    else:
        found = form.owned(ys, xs)
        for _ in rounds:
            model = regular.covariances(form.estimate_sums(found))
            found, psd = form.estimate_filter(
                found, xs, regular.loaded(model), regular.ridge(model)
            )
    return (
        found.to(x.dtype).reshape(y.shape),
        psd.to(x.real.dtype).reshape(psd_shape),
        model.to(x.dtype).reshape(model_shape),
    )
