"""SI-SDR of every estimate with every true source: which estimate is which source?"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave.errors import ParameterError
from unweave.evaluation._sums import Mix, blockwise, gram, refined


@two_array_function
def pairwise_si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Return the SI-SDR in dB of every estimate with every true source.

    With |a s|^2 = <e, s>^2 / |s|^2 and |e - a s|^2 = |e|^2 - |a s|^2, inner products are all it
    takes, and one pass over the signals gives those of all pairs.

    Args:
        estimate: Estimated sources, in any order.
        reference: True sources; there may be more of them, or fewer.

    Returns:
        One value a pair, as `si_sdr` gives it.

    Raises:
        ParameterError: Axes are missing, or differ other than in the number of sources.

    Shape:
        estimate: (..., estimates, channels, time)
        reference: (..., sources, channels, time)
        returns: (..., estimates, sources)

    Example:
        >>> sources = torch.eye(3)[:, None]
        >>> scores = pairwise_si_sdr(sources.flip(0) + 0.1 * sources, sources)
        >>> scores.argmax(-1)  # the source that each estimate is nearest to
        tensor([2, 1, 0])
    """
    _check(estimate, reference)
    if not (blockwise(estimate, reference) and estimate.numel()):
        e, s = (x.flatten(-2).double() for x in (estimate, reference))
        energy, true = (x.square().sum(-1) for x in (e, s))
        target = (e @ s.mT).square() / true[..., None, :]
        return (10 * torch.log10(target / (energy[..., None] - target))).to(reference.dtype)
    leading = reference.shape[:-3]
    pairs = zip(
        estimate.reshape(-1, *estimate.shape[-3:]),
        reference.reshape(-1, *reference.shape[-3:]),
        strict=True,
    )
    ratios = torch.stack([_matrix(e, s) for e, s in pairs]).to(reference.dtype)
    return ratios.reshape(*leading, *ratios.shape[1:])


def _matrix(estimate: Tensor, reference: Tensor) -> Tensor:
    """Give the ratios of one track, (estimates, sources)."""
    count = len(estimate)
    inner = gram((*estimate.unbind(), *reference.unbind()))
    energy, true = inner.diagonal()[:count, None], inner.diagonal()[count:]
    crossed = inner[:count, count:]
    scale, target = crossed / true, crossed.square() / true
    mixes: list[Mix] = [
        ((e, s), torch.stack((-torch.ones_like(weight), weight)))
        for e, weights in zip(estimate, scale, strict=True)
        for s, weight in zip(reference, weights, strict=True)
    ]
    terms = energy.expand_as(target).flatten()
    error = refined((energy - target).flatten(), terms, mixes).view_as(target)
    return 10 * torch.log10(target / error)


def _check(estimate: Tensor, reference: Tensor) -> None:
    one, other = tuple(estimate.shape), tuple(reference.shape)
    if min(len(one), len(other)) < 3 or one[:-3] + one[-2:] != other[:-3] + other[-2:]:
        raise ParameterError(
            f"estimate {one} and reference {other} must have the shapes (..., estimates, channels,"
            " time) and (..., sources, channels, time), with nothing else different"
        )
