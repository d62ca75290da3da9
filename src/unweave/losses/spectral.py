"""Losses of spectrograms at several resolutions [Yamamoto2020].

One resolution hides errors that lie within its windows, or between its frequencies; several
together leave none of them out. Only magnitudes are compared.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.losses._shared import check_waveforms, reduce, single
from unweave.transforms import stft

_N_FFT = (1024, 2048, 512)
_HOP_LENGTH = (120, 240, 50)
_WIN_LENGTH = (600, 1200, 240)
_FLOOR = 1e-7  # smallest power of a bin, so that logarithms of silence are finite


def multi_resolution_stft_loss(
    estimate: Tensor,
    reference: Tensor,
    *,
    n_fft: Sequence[int] = _N_FFT,
    hop_length: Sequence[int] = _HOP_LENGTH,
    win_length: Sequence[int] = _WIN_LENGTH,
    reduction: str = "mean",
) -> Tensor:
    """Compare magnitudes of spectrograms at several resolutions.

        L = 1/M sum_m ( | |S| - |E| | / | |S| |  +  1/N sum | ln |S| - ln |E| | )

    with the spectrograms S of the reference and E of the estimate at resolution m of M, norms over
    all N bins of a signal. The first term is the spectral convergence, in which loud parts rule,
    the second weighs all levels alike. Magnitudes below 3e-4 count as that, so the level matters:
    signals between -1 and 1 are expected. Where the reference is silent, the first term is large.

    Args:
        estimate: Estimated signals.
        reference: True signals.
        n_fft: Samples of a frame, for each resolution.
        hop_length: Samples from one frame to the next, for each resolution.
        win_length: Samples of the window, for each resolution.
        reduction: "mean" or "sum" over signals, or "none".

    Returns:
        The loss, without unit.

    Raises:
        ParameterError: The shapes differ, the resolutions are not as many each, or the signals are
            too short for half a frame.

    Shape:
        estimate: (..., channels, time)
        reference: (..., channels, time)
        returns: (), or (...) without reduction

    Example:
        >>> noise = torch.randn(1, 2, 4000, generator=torch.Generator().manual_seed(0))
        >>> multi_resolution_stft_loss(noise, noise)
        tensor(0.)
        >>> round(float(multi_resolution_stft_loss(0.5 * noise, noise)), 2)  # 1/2 + ln 2
        1.19

    References:
        [Yamamoto2020] R. Yamamoto, E. Song, J.-M. Kim, "Parallel WaveGAN: a fast waveform
        generation model based on generative adversarial networks with multi-resolution
        spectrogram", ICASSP 2020.
    """
    check_waveforms(estimate, reference)
    resolutions = _resolutions(n_fft, hop_length, win_length)
    e, s = single(estimate), single(reference)
    losses = [_at(e, s, *resolution) for resolution in resolutions]
    return reduce(torch.stack(losses).mean(0), reduction, estimate.dtype)


class MultiResolutionSTFTLoss(nn.Module):
    """Hold the resolutions of `multi_resolution_stft_loss`.

    Args:
        n_fft: Samples of a frame, for each resolution.
        hop_length: Samples from one frame to the next, for each resolution.
        win_length: Samples of the window, for each resolution.
        reduction: "mean", "sum" or "none".

    Raises:
        ParameterError: The resolutions are not as many each.

    Example:
        >>> loss = MultiResolutionSTFTLoss(n_fft=[512], hop_length=[128], win_length=[512])
        >>> loss(torch.ones(1, 1, 1000), torch.ones(1, 1, 1000))
        tensor(0.)
    """

    def __init__(
        self,
        *,
        n_fft: Sequence[int] = _N_FFT,
        hop_length: Sequence[int] = _HOP_LENGTH,
        win_length: Sequence[int] = _WIN_LENGTH,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        _resolutions(n_fft, hop_length, win_length)
        self.n_fft, self.hop_length = tuple(n_fft), tuple(hop_length)
        self.win_length, self.reduction = tuple(win_length), reduction

    def forward(self, estimate: Tensor, reference: Tensor) -> Tensor:
        """Give the loss; see `multi_resolution_stft_loss`.

        Args:
            estimate: Estimated signals.
            reference: True signals.

        Returns:
            The loss.

        Shape:
            estimate: (..., channels, time)
            reference: (..., channels, time)

        Example:
            >>> MultiResolutionSTFTLoss()(torch.ones(1, 1, 2000), torch.ones(1, 1, 2000))
            tensor(0.)
        """
        return multi_resolution_stft_loss(
            estimate,
            reference,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            reduction=self.reduction,
        )


def _resolutions(
    n_fft: Sequence[int], hop_length: Sequence[int], win_length: Sequence[int]
) -> list[tuple[int, int, int]]:
    counts = {len(n_fft), len(hop_length), len(win_length)}
    if len(counts) != 1 or not len(n_fft):
        raise ParameterError(
            f"n_fft={n_fft!r}, hop_length={hop_length!r} and win_length={win_length!r} must have"
            " one entry for each resolution"
        )
    found = []
    for size, hop, win in zip(n_fft, hop_length, win_length, strict=True):
        if positive_int("win_length", win) > positive_int("n_fft", size):
            raise ParameterError(f"win_length={win} must not be longer than n_fft={size}")
        found.append((size, positive_int("hop_length", hop), win))
    return found


def _at(estimate: Tensor, reference: Tensor, n_fft: int, hop: int, win: int) -> Tensor:
    e, s = (
        stft(x, n_fft=n_fft, hop_length=hop, win_length=win, output="power").clamp(min=_FLOOR)
        for x in (estimate, reference)
    )
    e_magnitude, s_magnitude = e.sqrt(), s.sqrt()
    axes = (-3, -2, -1)
    error = (s_magnitude - e_magnitude).square().sum(axes)
    equal = error == 0  # where the square root has no gradient
    distance = torch.where(equal, 0.0, torch.where(equal, 1.0, error).sqrt())
    convergence = distance / s.sum(axes).sqrt()
    return convergence + (s.log() - e.log()).abs().mean(axes) / 2  # ln |S| is half of ln |S|^2
