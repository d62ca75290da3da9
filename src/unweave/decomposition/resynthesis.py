"""From factors to sound: what each component has of the mixture.

A component is W_k H_k, a model of a magnitude spectrogram. It becomes sound with the phase of the
mixture: either as it is, which is the textbook's way and leaves out what no component explains; or
as a mask, its share of the sum of all components,

    y_k = (W_k H_k + e)^p / sum_j (W_j H_j + e)^p * x

which gives every bin of the mixture to some component. The floor e, far below anything audible, is
the same for all, so that a bin that no component explains is shared equally and nothing is lost.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.forms import needs_plain_form
from unweave._core.memory import fresh
from unweave.decomposition.hpss import check_power, complex_spectrogram
from unweave.errors import ParameterError
from unweave.transforms import STFT

MODES = ("mask", "raw")
_BLOCK = 2**16  # bins of all components that are worked on at once: they stay in the cache
_FLOOR = 1e-9  # of the largest magnitude of a model: -180 dB


class Resynthesis(NamedTuple):
    """Audio of the components of a mixture.

    Attributes:
        components: The audio of each.
        residual: What they leave of the mixture.

    Example:
        >>> transform, mixture = STFT(n_fft=16), torch.ones(20)
        >>> W, H = torch.ones(9, 1), torch.ones(1, 6)
        >>> resynthesise(W, H, mixture, transform=transform).components.shape
        torch.Size([1, 20])
    """

    components: Tensor
    residual: Tensor


@array_function
def component_spectrograms(
    W: Tensor,
    H: Tensor,
    X: Tensor,
    *,
    mode: str = "mask",
    power: float = 1.0,
    groups: Tensor | list[int] | None = None,
) -> Tensor:
    """Give the complex spectrogram of every component of a mixture.

    Factors of one channel serve all channels of the mixture. The result takes as much memory as
    there are components, times that of X; little else is needed.

    Args:
        W: Templates, not negative.
        H: Activations, not negative.
        X: Complex spectrogram of the mixture.
        mode: "mask" gives each component its share of the mixture; the shares sum to one, so the
            components sum to the mixture. "raw" gives W_k H_k the phase of the mixture.
        power: Exponent of the magnitudes whose shares are compared: 2 is the Wiener filter of one
            channel. Only for masks.
        groups: For each component the number of the source that it belongs to, from 0; components
            of a source are summed before anything else. `cluster_components` gives such numbers.

    Returns:
        The components, or the sources.

    Raises:
        ParameterError: Shapes or dtypes do not fit, a factor is negative or not finite, or an
            option is out of range.

    Shape:
        W: (..., freq, components), the leading axes being those of X or fewer
        H: (..., components, frames)
        X: (freq, frames) or (..., channels, freq, frames)
        returns: (components, freq, frames) or (..., components, channels, freq, frames)

    Example:
        >>> W, H = torch.eye(3, 2), torch.ones(2, 4)
        >>> X = torch.full((3, 4), 2 + 2j)
        >>> masked = component_spectrograms(W, H, X)
        >>> masked[..., 0]
        tensor([[2.0000e+00+2.0000e+00j, 2.0000e-09+2.0000e-09j, 1.0000e+00+1.0000e+00j],
                [2.0000e-09+2.0000e-09j, 2.0000e+00+2.0000e+00j, 1.0000e+00+1.0000e+00j]])
        >>> bool((masked.sum(0) == X).all())
        True
    """
    _check(W, H, X)
    check_power(power)
    if mode not in MODES:
        raise ParameterError(f"mode={mode!r} must be one of {', '.join(MODES)}")
    W, H = W.to(X.real.dtype), H.to(X.real.dtype)
    if groups is not None:
        groups = check_groups(groups, W.shape[-1]).to(X.device)
    work = _Shares(W, H, None if mode == "raw" else float(power), groups)
    if needs_plain_form(W, H, X):
        y = work.of(X, slice(None))
    else:
        y = fresh(X, work.count, *X.shape)
        step = max(1, _BLOCK // max(1, W.shape[-1] * X[..., 0].numel()))
        for start in range(0, X.shape[-1], step):
            part = slice(start, start + step)
            y[..., part] = work.of(X[..., part], part)
    # Components come before the channels, if there are any.
    return y if X.ndim == 2 else y.movedim(0, -4)


@array_function
def resynthesise(
    W: Tensor,
    H: Tensor,
    mixture: Tensor,
    *,
    transform: STFT,
    mode: str = "mask",
    power: float = 1.0,
    groups: Tensor | list[int] | None = None,
) -> Resynthesis:
    """Give the audio of every component of a mixture, exactly as long as the mixture.

    Args:
        W: Templates, not negative.
        H: Activations, not negative.
        mixture: The audio that was taken apart.
        transform: What made the spectrogram that W and H explain, with output "complex".
        mode: "mask", so that the components sum to the mixture, or "raw"; see
            `component_spectrograms`.
        power: Exponent of the magnitudes whose shares are compared, with masks.
        groups: For each component the number of its source, from 0, to hear sources instead.

    Returns:
        The audio of the components, and what they leave of the mixture: with masks, nothing but
        rounding errors.

    Raises:
        ParameterError: Shapes or dtypes do not fit, a factor is negative or not finite, or an
            option is out of range.

    Shape:
        W: (..., freq, components), the leading axes being those of the mixture or fewer
        H: (..., components, frames)
        mixture: (time) or (..., channels, time)
        returns: (components, time) or (..., components, channels, time); that of the mixture

    Example:
        >>> transform = STFT(n_fft=256)
        >>> mixture = torch.sin(0.3 * torch.arange(1000.0))
        >>> magnitude = transform(mixture).abs()
        >>> W, H = magnitude[:, 4:8:2], torch.ones(2, magnitude.shape[-1])
        >>> parts = resynthesise(W, H, mixture, transform=transform)
        >>> parts.components.shape, bool(parts.residual.abs().max() < 1e-5)
        (torch.Size([2, 1000]), True)
    """
    X = complex_spectrogram(mixture, transform)
    y = component_spectrograms(W, H, X, mode=mode, power=power, groups=groups)
    components = transform.inverse(y, length=mixture.shape[-1])
    total = components.sum(0) if mixture.ndim == 1 else components.sum(-3)
    return Resynthesis(components, mixture - total)


class _Shares:
    """Components of some frames of a mixture.

    Attributes:
        count: Number of components, or of groups of them.
    """

    def __init__(self, W: Tensor, H: Tensor, power: float | None, groups: Tensor | None) -> None:
        self.W, self.H, self.power, self.groups = W, H, power, groups
        self.count = W.shape[-1] if groups is None else int(groups.max()) + 1
        largest = W.detach().amax(-2) * H.detach().amax(-1) if W.numel() and H.numel() else W.sum()
        self.floor = _FLOOR * float(largest.max()) if largest.numel() else 0.0
        self.floor = max(self.floor, torch.finfo(W.dtype).tiny)

    def of(self, X: Tensor, part: slice) -> Tensor:
        """Give the components, first, of the frames of X, which are those of a part of H."""
        H = self.H[..., part]
        models = self.W.movedim(-1, 0).unsqueeze(-1) * H.movedim(-2, 0).unsqueeze(-2)
        if self.groups is not None:
            summed = models.new_zeros(self.count, *models.shape[1:])
            models = summed.index_add(0, self.groups, models)
        missing = X.ndim - (models.ndim - 1)
        models = models.reshape(self.count, *[1] * missing, *models.shape[1:])
        if self.power is None:
            size = X.abs()
            silent = size == 0
            return models * torch.where(silent, 1, X / torch.where(silent, 1, size))
        models = models + self.floor
        if self.power != 1:  # powers of the shares of the largest do not leave the range
            models = (models / models.detach().amax(0)) ** self.power
        return models / models.sum(0) * X


def check_groups(groups: Tensor | list[int], components: int) -> Tensor:
    """Give the number of each component's source.

    Args:
        groups: What the caller gave.
        components: Number of components.

    Raises:
        ParameterError: There is not one number from 0 for each component.

    Returns:
        The numbers.

    Example:
        >>> check_groups([0, 1, 0], 3)
        tensor([0, 1, 0])
    """
    numbers = torch.as_tensor(groups)
    integers = not (numbers.is_floating_point() or numbers.is_complex())
    fits = numbers.shape == (components,) and integers and numbers.dtype != torch.bool
    if not fits or (components and int(numbers.min()) < 0):
        raise ParameterError(
            f"groups={groups!r} must give a source, from 0, for each of the {components} components"
        )
    return numbers.to(torch.long)


def _check(W: Tensor, H: Tensor, X: Tensor) -> None:
    if X.ndim < 2 or not X.is_complex():
        raise ParameterError(
            f"X of shape {tuple(X.shape)} and dtype {X.dtype} must be a complex spectrogram"
            " (freq, frames) or (..., channels, freq, frames): that of the mixture, not its .abs()"
        )
    lead = W.shape[:-2]
    fits = W.ndim >= 2 and W.ndim <= X.ndim and H.shape == (*lead, W.shape[-1], X.shape[-1])
    fits = fits and W.shape[-2] == X.shape[-2] and W.shape[-1] > 0
    if not fits or lead != X.shape[X.ndim - W.ndim : -2]:
        raise ParameterError(
            f"W {tuple(W.shape)} and H {tuple(H.shape)} do not fit X {tuple(X.shape)}: they must be"
            " (..., freq, components) and (..., components, frames), with at least one component"
        )
    for name, factor in (("W", W), ("H", H)):
        if not factor.is_floating_point():
            raise ParameterError(f"{name} has dtype {factor.dtype}, but must be real and floating")
        if factor.numel():
            low, high = factor.detach().aminmax()
            if not (low >= 0 and high.isfinite()):
                raise ParameterError(f"{name} must be finite and not negative")
