"""Ratio masks: every source gets the share of the mixture that its model has of all models."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave._core.forms import needs_plain_form
from unweave._core.memory import fresh
from unweave.filtering._checks import check_eps, check_mixture, check_models
from unweave.filtering._forms import check_backend, choose
from unweave.filtering._logit import check_curve, harden
from unweave.filtering._plain import check_model
from unweave.filtering._regular import Start


@two_array_function
def softmask(
    v: Tensor,
    x: Tensor,
    *,
    logit: float | None = None,
    eps: float | None = None,
    backend: str = "auto",
) -> Tensor:
    """Separate a mixture by ratio masks: every source gets its model's share of the models' sum.

    Of powers this is the single-channel Wiener filter, of magnitudes the ratio mask [Liutkus2015].
    What the channels have in common is not used; see `wiener`.

    Args:
        v: Models of the sources, non-negative, of any real dtype.
        x: Complex spectrogram of the mixture, complex64 or complex128.
        logit: Threshold between 0 and 1 that masks are pushed away from, towards 0 and 1, by a
            logistic curve; None leaves them. Pushed masks no longer sum to one; see
            `mixture_consistency`.
        eps: Added to the models' sum that masks are divided by; nothing by default.
        backend: "auto", "compiled" or "torch"; see `wiener`. With `logit` there is no compiled
            form.

    Returns:
        Complex spectrograms of the sources in the mixture's dtype. They sum to the mixture, but are
        zero where all models are (a logistic curve gives 0 a small share, too).

    Raises:
        ParameterError: Shapes or dtypes do not fit, a model is negative, or an option is out of
            range.
        DependencyError: backend="compiled" without numba.

    Shape:
        v: (..., sources, 1 or channels, freq, frames)
        x: (..., channels, freq, frames)
        returns: (..., sources, channels, freq, frames)

    Example:
        >>> x = torch.ones(1, 1, 1, dtype=torch.complex64)
        >>> softmask(torch.tensor([3.0, 1.0]).reshape(2, 1, 1, 1), x).real.flatten()
        tensor([0.7500, 0.2500])

    References:
        [Liutkus2015] Generalized Wiener filtering with fractional power spectrograms, ICASSP.
    """
    check_mixture(x)
    check_models(v, x)
    eps = check_eps(eps) or 0.0
    if not v.numel():
        return x.new_zeros((*v.shape[:-3], *x.shape[-3:]))
    if logit is None:
        vs, xs = v.reshape(-1, *v.shape[-4:]), x.reshape(-1, *x.shape[-3:])
        estimates = choose(backend, vs, xs).initial(vs, xs, Start(True, eps))
        return estimates.reshape(*v.shape[:-3], *x.shape[-3:])
    check_backend(backend)
    threshold, slope = check_curve(logit, name="logit")
    check_model(v)
    if x.stride(-2) < x.stride(-1):  # work on what lies together in memory
        return _hardened(v.mT, x.mT, eps, (threshold, slope)).mT
    return _hardened(v, x, eps, (threshold, slope))


def _hardened(v: Tensor, x: Tensor, eps: float, curve: tuple[float, float]) -> Tensor:
    size = v.to(x.real.dtype)
    total = size.sum(-4, keepdim=True) + eps
    total = torch.where(total == 0, 1, total)
    threshold, slope = curve
    if needs_plain_form(v, x):
        return harden(size / total, threshold, slope) * x.unsqueeze(-4)
    out = fresh(x, *v.shape[:-3], *x.shape[-3:])
    for j in range(v.shape[-4]):  # one source at a time: less memory, and that is quicker
        mask = size[..., j, :, :, :] / total[..., 0, :, :, :]
        mask = mask.sub_(threshold).mul_(slope).sigmoid_()
        torch.mul(mask, x, out=out[..., j, :, :, :])
    return out
