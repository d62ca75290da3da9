"""Scale-invariant ratios of sources to interference and to artifacts.

With true sources s_j, the error of the estimate e of source j is split by an orthogonal projection
on all true sources,

    e = a s_j + (P e - a s_j) + (e - P e),   a = <e, s_j> / |s_j|^2
        target  interference    artifacts

where P e is the combination of the s_k nearest to e. The three parts are orthogonal, so the ratios
of noise to signal of interference and artifacts sum to that of SI-SDR [LeRoux2019].

References:
    [LeRoux2019] J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well
        done?", ICASSP 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave.errors import ParameterError
from unweave.evaluation._sums import blockwise, gram, refined


@two_array_function
def si_sir(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the scale-invariant ratio of each source to the other sources in its estimate, in dB.

    One factor scales all channels of a source.

    Args:
        estimate: Estimated sources.
        reference: True sources of the same shape and in the same order.

    Returns:
        One value a source; inf without interference, nan where the source or its estimate is
        silent.

    Raises:
        ParameterError: The shapes differ, or axes are missing.

    Shape:
        estimate: (..., sources, channels, time)
        reference: (..., sources, channels, time)
        returns: (..., sources)

    Example:
        >>> sources = torch.eye(2)[:, None]
        >>> si_sir(sources + 0.1 * sources.flip(0), sources).round()
        tensor([20., 20.])
    """
    target, interference, _ = _split(estimate, reference)
    return _ratio(target, interference)


@two_array_function
def si_sar(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the scale-invariant ratio of each source to the artifacts in its estimate, in dB.

    Artifacts are what no combination of the true sources makes. One factor scales all channels of
    a source.

    Args:
        estimate: Estimated sources.
        reference: True sources of the same shape and in the same order.

    Returns:
        One value a source; inf without artifacts, nan where the source or its estimate is silent.

    Raises:
        ParameterError: The shapes differ, or axes are missing.

    Shape:
        estimate: (..., sources, channels, time)
        reference: (..., sources, channels, time)
        returns: (..., sources)

    Example:
        >>> sources = torch.eye(2, 3)[:, None]
        >>> si_sar(sources + 0.1 * torch.eye(3)[2], sources).round()
        tensor([20., 20.])
    """
    target, _, artifacts = _split(estimate, reference)
    return _ratio(target, artifacts)


def _split(estimate: Tensor, reference: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Give the energies of target, interference and artifacts, each (..., sources)."""
    if estimate.shape != reference.shape or reference.ndim < 3:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {tuple(reference.shape)} must have"
            " the same shape (..., sources, channels, time)"
        )
    if blockwise(estimate, reference):
        shape = (-1, *reference.shape[-3:])
        pairs = zip(estimate.reshape(shape), reference.reshape(shape), strict=True)
        parts = torch.stack([_energies(e, s) for e, s in pairs]).to(reference.dtype)
        target, interference, artifacts = parts.reshape(*reference.shape[:-2], 3).unbind(-1)
        return target, interference, artifacts
    e, s = estimate.flatten(-2), reference.flatten(-2)
    energy = s.square().sum(-1, keepdim=True)
    direct = (e * s).sum(-1, keepdim=True) / energy * s
    weights = _nearest(s.double() @ s.double().mT, s.double() @ e.double().mT)
    projected = weights.mT.to(s) @ s
    parts = torch.stack((direct, projected - direct, e - projected), -2).square().sum(-1)
    return parts[..., 0], parts[..., 1], parts[..., 2]


def _energies(estimate: Tensor, reference: Tensor) -> Tensor:
    """Give (sources, 3) energies of one track from inner products, in one pass over blocks."""
    count = len(reference)
    signals = (*reference.unbind(), *estimate.unbind())
    inner = gram(signals)
    true, crossed = inner[:count, :count], inner[:count, count:]
    weights = _nearest(true, crossed).mT  # (estimate, source)
    direct = torch.diag(crossed.diagonal() / true.diagonal())
    rest = weights - direct
    target = crossed.diagonal().square() / true.diagonal()
    interference = torch.linalg.vecdot(rest, rest @ true)
    energy = inner.diagonal()[count:]
    projected = torch.linalg.vecdot(weights, weights @ true)
    makes = torch.cat((weights, -torch.eye(count, dtype=torch.float64)), -1)
    artifacts = refined(energy - projected, energy, [(signals, w) for w in makes])
    return torch.stack((target, interference, artifacts), -1)


def _nearest(true: Tensor, crossed: Tensor) -> Tensor:
    """Give the weights of the true sources in the combinations nearest to the estimates.

    The pseudo-inverse leaves out sources that are silent or combinations of others.
    """
    inverse: Tensor = torch.linalg.pinv(true.nan_to_num(), hermitian=True)
    return inverse @ crossed


def _ratio(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10(signal / noise)
