"""A model of what the models of known sources leave of a mixture."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave._core.forms import needs_plain_form
from unweave._core.memory import fresh
from unweave.filtering._checks import check_mixture, check_models
from unweave.filtering._logit import check_values
from unweave.filtering.masks import check_alpha, powered


@two_array_function
def residual_model(v: Tensor, x: Tensor, *, alpha: float = 1.0, autoscale: bool = False) -> Tensor:
    """Append a model of the rest to models of some sources, by spectral subtraction.

    The rest is max(0, |x|^alpha - sum_j v_j), so that all models together are at least the
    mixture's.

    Args:
        v: Models of the known sources, not negative, of every channel or of all channels together,
            of any real dtype.
        x: Complex spectrogram of the mixture.
        alpha: What the models are: 1 for magnitudes, 2 for powers; they must be in the unit of
            |x|^alpha.
        autoscale: Whether to scale the models first, all by one factor in each frequency and
            channel, so that their sum fits the mixture best in the least-squares sense: for models
            that are right but for their level.

    Returns:
        The models, scaled if asked for, of every channel, and that of the residual as one more
        source. Where no source is known (there may be 0), the residual is the mixture.

    Raises:
        ParameterError: Shapes or dtypes do not fit, a model is negative or NaN, or alpha is not
            positive.

    Shape:
        v: (..., sources, 1 or channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources + 1, channels, freq, frames)

    Example:
        >>> x = torch.full((1, 1, 1), 3 + 4j)
        >>> residual_model(torch.full((1, 1, 1, 1), 2.0), x).flatten()
        tensor([2., 3.])

    References:
        [Boll1979] S. Boll, "Suppression of acoustic noise in speech using spectral subtraction",
        IEEE Transactions on ASSP 27(2), 1979.
    """
    check_mixture(x)
    check_models(v, x)
    check_values(v)
    check_alpha(alpha)
    if not v.is_floating_point():
        v = v.to(x.real.dtype)
    frames = -1
    if by_bin := x.stride(-2) < x.stride(-1):  # work on what lies together in memory
        v, x, frames = v.mT, x.mT, -2
    mixture = powered(x, alpha).to(torch.promote_types(v.dtype, x.real.dtype))
    total = v.sum(-4)
    gain = _gain(total, mixture, frames) if autoscale else None
    if gain is not None:
        total = gain * total
    out = (_joined if needs_plain_form(v, x) else _written)(v, gain, mixture, total)
    return out.mT if by_bin else out


def _gain(total: Tensor, mixture: Tensor, frames: int) -> Tensor:
    """Give the factor of each frequency and channel; 1 where all models are zero."""
    if not total.shape[frames]:
        return mixture.new_ones((1,) * mixture.ndim)
    peak = total.detach().amax(frames, keepdim=True)
    peak = torch.where(peak == 0, 1, peak)
    unit = total / peak  # whose square stays within the range, whatever the level
    power = unit.square().sum(frames, keepdim=True)
    silent = power == 0
    fit = (mixture * unit).sum(frames, keepdim=True) / torch.where(silent, 1, power)
    return torch.where(silent, 1, fit / peak)


def _joined(v: Tensor, gain: Tensor | None, mixture: Tensor, total: Tensor) -> Tensor:
    models = v if gain is None else gain.unsqueeze(-4) * v
    rest = (mixture - total).clamp(min=0).unsqueeze(-4)
    return torch.cat([models.expand(*v.shape[:-3], *mixture.shape[-3:]).to(rest.dtype), rest], -4)


def _written(v: Tensor, gain: Tensor | None, mixture: Tensor, total: Tensor) -> Tensor:
    """Write all models where they belong, without copies."""
    sources = v.shape[-4]
    out = fresh(mixture, *mixture.shape[:-3], sources + 1, *mixture.shape[-3:])
    models, rest = out[..., :sources, :, :, :], out[..., sources, :, :, :]
    if gain is None:
        models.copy_(v.expand(models.shape))
    else:
        torch.mul(v, gain.unsqueeze(-4), out=models)
    torch.sub(mixture, total, out=rest).clamp_(min=0)
    return out
