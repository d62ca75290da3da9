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
    """Give target, interference and artifacts, each (..., sources, channels * time)."""
    if estimate.shape != reference.shape or reference.ndim < 3:
        raise ParameterError(
            f"estimate {tuple(estimate.shape)} and reference {tuple(reference.shape)} must have"
            " the same shape (..., sources, channels, time)"
        )
    e, s = estimate.flatten(-2), reference.flatten(-2)
    energy = s.square().sum(-1, keepdim=True)
    target = (e * s).sum(-1, keepdim=True) / energy * s
    # The pseudo-inverse leaves out sources that are silent or combinations of others.
    gram = (s.double() @ s.double().mT).nan_to_num()
    weights = torch.linalg.pinv(gram, hermitian=True) @ (s.double() @ e.double().mT)
    projected = weights.mT.to(s) @ s
    return target, projected - target, e - projected


def _ratio(signal: Tensor, noise: Tensor) -> Tensor:
    return 10 * torch.log10(signal.square().sum(-1) / noise.square().sum(-1))
