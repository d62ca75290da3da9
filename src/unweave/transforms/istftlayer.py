"""The inverse short-time Fourier transform as a Module, whose synthesis may be trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave._core.frames import Framing
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._bank import product
from unweave.transforms._leastsquares import Work, added
from unweave.transforms._scale import scale
from unweave.transforms._shorttime import (
    STEPS,
    check_bins,
    check_spectrogram,
    divisor,
    short_time,
    wanted_length,
)
from unweave.transforms._trainedbasis import synthesis_basis
from unweave.transforms.stftlayer import described, padded_window, trained_window


class ISTFT(nn.Module):
    """Restore audio from complex short-time spectra, by a synthesis that may be trained.

    A trained synthesis is two matrices, `kernel_real` and `kernel_imag`, of shape (freq_bins,
    n_fft), that turn the real and imaginary parts of spectra into frames. It starts as the exact
    inverse of the FFT, or with other frequencies as the least-squares inverse of single frames,
    which is close where `istft` has all frames to decide from.

    Args:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: The window of the analysis; see `stft`. An `nn.Parameter` is trained.
        center: Whether frames are centred on multiples of the hop, or start there.
        freq_scale: "no" for the frequencies of the FFT, or "linear" or "log" ones; see `stft`.
        freq_bins: Number of frequencies; `n_fft // 2 + 1` if not given.
        fmin: Lowest frequency in Hz; "log" needs it.
        fmax: Where the frequencies end, in Hz; half of the sample rate if not given.
        sample_rate: Samples per second; "linear" and "log" need it.
        n_iter: Steps of conjugate gradients, where the synthesis is not trained and the
            frequencies are not those of the FFT.
        trainable: Whether the synthesis is trained.
        trainable_window: Whether the window is trained, in the parameter `window`.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> from unweave.transforms import stft
        >>> audio = torch.randn(1000, generator=torch.Generator().manual_seed(0))
        >>> layer = ISTFT(n_fft=64, trainable=True)
        >>> bool((layer(stft(audio, n_fft=64), length=1000) - audio).abs().max() < 1e-5)
        True
        >>> list(layer.state_dict())
        ['kernel_real', 'kernel_imag']
    """

    kernel_real: Tensor
    kernel_imag: Tensor
    window: Window

    def __init__(
        self,
        *,
        n_fft: int = 2048,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        freq_scale: str = "no",
        freq_bins: int | None = None,
        fmin: float | None = None,
        fmax: float | None = None,
        sample_rate: float | None = None,
        n_iter: int = STEPS,
        trainable: bool = False,
        trainable_window: bool = False,
    ) -> None:
        super().__init__()
        bins = scale(n_fft, freq_scale, freq_bins, fmin, fmax, sample_rate)
        fixed = window.detach().clone() if isinstance(window, Tensor) else window
        self._fixed = short_time(bins, hop_length, win_length, fixed, center, "reflect")
        self.n_fft, self.freq_bins = n_fft, bins.bins
        self.hop_length = self._fixed.plan.framing.hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.center, self.freq_scale = center, freq_scale
        self.n_iter, self.trainable = positive_int("n_iter", n_iter), bool(trainable)
        self.window = trained_window(window, fixed, self._fixed, self.win_length, trainable_window)
        if trainable:
            names = ("kernel_real", "kernel_imag")
            for name, rows in zip(names, synthesis_basis(bins), strict=True):
                setattr(self, name, nn.Parameter(rows.to(torch.get_default_dtype())))

    def forward(self, spec: Tensor, *, length: int | None = None) -> Tensor:
        """Restore audio; see `istft`.

        Args:
            spec: Complex spectrogram.
            length: Samples wanted; by default, those up to the last frame.

        Returns:
            The audio.

        Shape:
            spec: (..., freq_bins, frames)
            returns: (..., length)

        Example:
            >>> ISTFT(n_fft=256)(torch.zeros(129, 16, dtype=torch.complex64)).shape
            torch.Size([960])
        """
        check_spectrogram(spec)
        window = padded_window(self.window, self.n_fft)
        if not self.trainable:
            return self._fixed.inverse(spec, length, self.n_iter, window)
        return self._synthesised(spec, length, window)

    def _synthesised(self, spec: Tensor, length: int | None, window: Tensor | None) -> Tensor:
        """Restore audio by the trained kernels."""
        framing, count = self._fixed.plan.framing, spec.shape[-1]
        check_bins(spec.shape[-2], self._fixed.scale)
        length = wanted_length(framing, count, length)
        if spec.numel() == 0:
            return spec.real.new_zeros(*spec.shape[:-2], length)
        rows = spec.mT.reshape(-1, count, spec.shape[-2])
        weights = self._fixed.weights(spec, window)
        reads = (weights, self.kernel_real, self.kernel_imag)
        span = added(rows, self._frames(weights), framing, reads)[:, : framing.span(count)]
        start = framing.margin
        samples = (span / divisor(framing, count, weights))[:, start : start + length]
        missing = length - samples.shape[1]
        samples = pad(samples, (0, missing)) if missing else samples
        return samples.reshape(*spec.shape[:-2], length)

    def _frames(self, weights: Tensor) -> Work:
        """Give what turns spectra into weighted frames."""
        if not self.trainable:
            missing = self.n_fft // 2 + 1 - self.freq_bins
            return lambda some: torch.fft.irfft(pad(some, (0, missing)), self.n_fft) * weights
        real, imag = self.kernel_real.to(weights), self.kernel_imag.to(weights)
        return lambda some: (product(some.real, real) + product(some.imag, imag)) * weights

    def framewise(self, spec: Tensor) -> tuple[Framing, Tensor, Work]:
        """Give what is done to every frame, for spectrograms that arrive in blocks.

        Args:
            spec: Spectrogram of the dtype and on the device of all that follows.

        Returns:
            The place of the frames, the window whose squares they are divided by, and what turns
            columns of the spectrogram into weighted frames.

        Raises:
            ParameterError: The inverse needs all frames at once.

        Shape:
            spec: (..., freq_bins, frames)

        Example:
            >>> framing, window, work = ISTFT(n_fft=256).framewise(torch.zeros(129, 0) + 0j)
            >>> work(torch.zeros(1, 3, 129) + 0j).shape
            torch.Size([1, 3, 256])
        """
        if self._fixed.basis is not None and not self.trainable:
            raise ParameterError(
                f"freq_scale={self.freq_scale!r} is inverted from all frames at once: use"
                " trainable=True, which works frame by frame"
            )
        weights = self._fixed.weights(spec, padded_window(self.window, self.n_fft))
        return self._fixed.plan.framing, weights, self._frames(weights)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> ISTFT(n_fft=256)
            ISTFT(n_fft=256, hop_length=64, win_length=256, window=hann, center=True)
        """
        return described(self)
