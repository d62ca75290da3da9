"""The short-time Fourier transform as a Module, whose basis and window may be trained."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave._core.windows import Window
from unweave.transforms._analysis import (
    FINISHES,
    OUTPUTS,
    Analysis,
    check_audio,
    check_choice,
    like,
)
from unweave.transforms._leastsquares import Work
from unweave.transforms._scale import scale
from unweave.transforms._shorttime import STEPS, ShortTime, check_spectrogram, short_time
from unweave.transforms._trainedbasis import TrainedBasis, analysis_basis


class STFT(nn.Module):
    """Hold the parameters of a short-time Fourier transform, for use inside models.

    What is not trained is nothing to save or move. A trained basis is two matrices, `wcos` and
    `wsin`, of shape (freq_bins, n_fft): the cosines and sines of the frequencies, weighted by the
    window unless that is trained by itself. Its products with the frames take the place of the FFT:
    about ten times the work. A trained window costs no more than a fixed one. Under autocast
    everything is done in the precision of the audio, at least float32: bfloat16 would leave 0.5 %.

    Args:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
            An `nn.Parameter` is trained.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        output: "complex", "magnitude", "phase" or "power".
        freq_scale: "no" for the frequencies of the FFT, or "linear" or "log" ones; see `stft`.
        freq_bins: Number of frequencies; `n_fft // 2 + 1` if not given.
        fmin: Lowest frequency in Hz; "log" needs it.
        fmax: Where the frequencies end, in Hz; half of the sample rate if not given.
        sample_rate: Samples per second; "linear" and "log" need it.
        trainable: Whether the basis is trained; it starts as the exact one.
        trainable_window: Whether the window is trained, in the parameter `window`.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> transform = STFT(n_fft=1024)
        >>> spec = transform(torch.zeros(2, 44100))
        >>> spec.shape, transform.inverse(spec, length=44100).shape
        (torch.Size([2, 513, 173]), torch.Size([2, 44100]))
        >>> list(STFT(n_fft=64, trainable=True).state_dict())
        ['wcos', 'wsin']
    """

    wcos: Tensor
    wsin: Tensor
    window: Window

    def __init__(
        self,
        *,
        n_fft: int = 2048,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        output: str = "complex",
        freq_scale: str = "no",
        freq_bins: int | None = None,
        fmin: float | None = None,
        fmax: float | None = None,
        sample_rate: float | None = None,
        trainable: bool = False,
        trainable_window: bool = False,
    ) -> None:
        super().__init__()
        check_choice("output", output, OUTPUTS)
        bins = scale(n_fft, freq_scale, freq_bins, fmin, fmax, sample_rate)
        fixed = window.detach().clone() if isinstance(window, Tensor) else window
        self._fixed = short_time(bins, hop_length, win_length, fixed, center, pad_mode)
        self.n_fft, self.freq_bins = n_fft, bins.bins
        self.hop_length = self._fixed.plan.framing.hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.center, self.pad_mode, self.output = center, pad_mode, output
        self.freq_scale, self.trainable = freq_scale, bool(trainable)
        self.window = trained_window(window, fixed, self._fixed, self.win_length, trainable_window)
        if trainable:
            self._widths = Constant(bins.widths())
            weights = self._fixed.plan.window.values.to(torch.float64)
            for name, rows in zip(("wcos", "wsin"), analysis_basis(bins), strict=True):
                rows = rows if isinstance(self.window, nn.Parameter) else rows * weights
                setattr(self, name, nn.Parameter(rows.to(torch.get_default_dtype())))

    def forward(self, x: Tensor) -> Tensor:
        """Give the spectrogram of audio; see `stft`.

        Args:
            x: Real audio.

        Returns:
            The spectrogram.

        Shape:
            x: (..., time)
            returns: (..., freq_bins, frames)

        Example:
            >>> STFT(n_fft=256)(torch.zeros(1000)).shape
            torch.Size([129, 16])
        """
        check_audio(x)
        window = padded_window(self.window, self.n_fft)
        return like(self._transform(x, window).spectra(x, FINISHES[self.output], window), x)

    def framewise(self, x: Tensor) -> tuple[Analysis, Work]:
        """Give what is done to every frame, for audio that arrives in blocks.

        Args:
            x: Audio of the dtype and on the device of all that follows.

        Returns:
            The analysis that makes frames, and what turns frames into columns of the spectrogram.

        Shape:
            x: (..., time)

        Example:
            >>> plan, work = STFT(n_fft=256).framewise(torch.zeros(1))
            >>> work(torch.zeros(1, 3, 256)).shape
            torch.Size([1, 3, 129])
        """
        window = padded_window(self.window, self.n_fft)
        transform = self._transform(x, window)
        weights = transform.weights(x, window)
        return transform.plan, transform.work(weights, FINISHES[self.output])

    def inverse(self, spec: Tensor, *, length: int | None = None, n_iter: int = STEPS) -> Tensor:
        """Restore audio from its complex spectrogram; see `istft`.

        With a trained basis, as with frequencies other than those of the FFT, the audio is sought
        whose spectrogram is nearest.

        Args:
            spec: Complex spectrogram.
            length: Samples wanted; by default, those up to the last frame.
            n_iter: Steps of conjugate gradients; unused where the FFT is inverted.

        Returns:
            The audio.

        Shape:
            spec: (..., freq_bins, frames)
            returns: (..., length)

        Example:
            >>> transform = STFT(n_fft=256)
            >>> transform.inverse(transform(torch.ones(1000)), length=1000).mean()
            tensor(1.)
        """
        check_spectrogram(spec)
        window = padded_window(self.window, self.n_fft)
        transform = self._transform(spec, window)
        return transform.inverse(spec, length, positive_int("n_iter", n_iter), window)

    def _transform(self, like: Tensor, window: Tensor | None) -> ShortTime:
        """Give the transform with what is trained, in the precision of a tensor."""
        if not self.trainable:
            return self._fixed
        widths = self._widths(like)
        wcos, wsin = self.wcos.to(widths), self.wsin.to(widths)
        if window is not None:
            wcos, wsin = wcos * window.to(widths), wsin * window.to(widths)
        return replace(self._fixed, basis=TrainedBasis(wcos, wsin, widths))

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> STFT(n_fft=256)
            STFT(n_fft=256, hop_length=64, win_length=256, window=hann, center=True)
        """
        return described(self)


def trained_window(
    window: Window, fixed: Window, transform: ShortTime, win_length: int, trainable: bool
) -> Window:
    """Give the window as a parameter if it is trained, otherwise as it was given."""
    if isinstance(window, nn.Parameter):
        return window
    if not trainable:
        return fixed
    before = (transform.scale.n_fft - win_length) // 2
    samples = transform.plan.window.values[before : before + win_length]
    return nn.Parameter(samples.to(torch.get_default_dtype(), copy=True))


def padded_window(window: Window, n_fft: int) -> Tensor | None:
    """Give a window, padded to the frame, if it is trained."""
    if not isinstance(window, nn.Parameter):
        return None
    missing = n_fft - window.shape[0]
    return pad(window, (missing // 2, missing - missing // 2))


def described(layer: nn.Module) -> str:
    """Give the parameters of a layer for `print`."""
    names = ["n_fft", "hop_length", "win_length", "window", "center"]
    names += ["freq_scale", "freq_bins"] if layer.freq_scale != "no" else []
    names += ["trainable"] if layer.trainable else []
    values = {name: getattr(layer, name) for name in names}
    if isinstance(values["window"], nn.Parameter):
        values["window"] = "trained"
    elif not isinstance(values["window"], str | tuple):
        values["window"] = "given"
    return ", ".join(f"{name}={value}" for name, value in values.items())
