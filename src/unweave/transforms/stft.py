"""The short-time Fourier transform and its inverse, which restores the signal exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.arrays import array_function
from unweave._core.fourier import synthesise
from unweave._core.frames import SEEN, Framing
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import (
    FINISHES,
    OUTPUTS,
    Analysis,
    analysis,
    check_audio,
    check_choice,
    like,
)


@array_function
def stft(
    x: Tensor,
    *,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    output: str = "complex",
) -> Tensor:
    """Cut audio into overlapping windowed frames and give the spectrum of each.

    The frames are those of torch and librosa. With `center`, one more frame follows where otherwise
    none would see the last samples well enough to restore them: only where the hop is about half a
    window or longer, and the length falls just short of a multiple of the hop.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        n_fft: Samples of a frame; 2048 last 46 ms at 44.1 kHz, and bins are 21.5 Hz apart.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name (hann, hamming, blackman, blackmanharris, bartlett, kaiser, sqrt_hann,
            rectangular), ("kaiser", beta), or the `win_length` samples of the window.
        center: Whether frame t is centred on sample t * hop_length, the signal being padded by
            n_fft // 2 samples at either end. Otherwise frame t starts at that sample, nothing is
            padded, and up to hop_length - 1 samples at the end are in no frame.
        pad_mode: What continues the signal at its ends: "reflect" mirrors it, "constant" is
            silence, "replicate" repeats its last sample.
        output: "complex", "magnitude", "phase" (radians) or "power" (squared magnitude).

    Returns:
        The spectrogram; the complex one is complex64 for float32. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., n_fft // 2 + 1, frames); frames is 1 + time // hop_length with `center` and
            an even n_fft

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 44100 * torch.arange(44100))
        >>> spec = stft(tone, n_fft=4096, hop_length=1024)
        >>> spec.shape
        torch.Size([2049, 44])
        >>> int(spec[:, 20].abs().argmax()) * 44100 / 4096  # the bin nearest to 440 Hz
        441.4306640625

    References:
        [Allen1977] A unified approach to short-time Fourier analysis and synthesis, Proc. IEEE 65.
    """
    check_audio(x)
    check_choice("output", output, OUTPUTS)
    plan = analysis(n_fft, hop_length, win_length, window, center, pad_mode)
    return like(plan.spectra(x, FINISHES[output]), x)


@array_function
def istft(
    spec: Tensor,
    *,
    n_fft: int | None = None,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    length: int | None = None,
) -> Tensor:
    """Restore audio from its short-time spectra: the inverse of `stft` with the same parameters.

    Of a spectrogram that was changed, it gives the audio whose own spectrogram is the nearest in
    the least-squares sense [Griffin1984].

    With `center` every sample comes back to within rounding (error below -120 dB in float32, -250
    dB in float64), whatever the frame size, hop, window and length. Without it nothing precedes the
    first frame or follows the last: where the window is almost zero at the ends of the signal (hann
    has a zero there, hamming has not), those samples fade in and out instead, and the samples that
    are in no frame are zero.

    Args:
        spec: Complex spectrogram, complex64 or complex128.
        n_fft: Samples of a frame; 2 * (freq - 1) if not given, so an odd n_fft must be given.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: The window of the analysis; see `stft`.
        center: Whether frames are centred on multiples of the hop, or start there.
        length: Samples wanted: those of the analysed signal, which only the caller knows; by
            default, with `center` up to the centre of the last frame, otherwise to its end.

    Returns:
        The audio, float32 for complex64.

    Raises:
        ParameterError: A parameter is out of range, frames so far apart leave samples that no frame
            sees, or `length` goes beyond what the frames see.

    Shape:
        spec: (..., n_fft // 2 + 1, frames)
        returns: (..., length)

    Example:
        >>> audio = torch.randn(2, 10001, generator=torch.Generator().manual_seed(0))
        >>> again = istft(stft(audio, n_fft=512), length=10001)
        >>> bool((again - audio).abs().max() < 1e-5)
        True

    References:
        [Griffin1984] Signal estimation from modified short-time Fourier transform, IEEE Trans.
        ASSP 32(2).
    """
    _check_spectrogram(spec)
    n_fft = max(1, 2 * (spec.shape[-2] - 1)) if n_fft is None else n_fft
    plan = analysis(n_fft, hop_length, win_length, window, center, "reflect")
    return _inverse(spec, plan, length)


def _check_spectrogram(spec: Tensor) -> None:
    if spec.dtype not in (torch.complex64, torch.complex128) or spec.ndim < 2:
        raise ParameterError(
            f"spec of shape {tuple(spec.shape)} and dtype {spec.dtype} must be a complex"
            " spectrogram (..., freq, frames), as stft gives"
        )


def _inverse(
    spec: Tensor, plan: Analysis, length: int | None, window: Tensor | None = None
) -> Tensor:
    """Restore audio; a window that is trained is given beside the plan made of its first values."""
    framing = plan.framing
    bins, count = spec.shape[-2:]
    if bins != framing.n_fft // 2 + 1:
        raise ParameterError(
            f"spec has {bins} frequencies but n_fft={framing.n_fft} makes"
            f" {framing.n_fft // 2 + 1}: give the n_fft of the analysis"
        )
    length = _length(framing, count, length)
    if spec.numel() == 0:
        return spec.real.new_zeros(*spec.shape[:-2], length)
    rows = spec.mT.reshape(-1, count, bins)
    start = framing.margin
    seen = min(length, max(0, framing.span(count) - start))
    window = plan.window(rows) if window is None else window.to(rows.real)
    envelope = framing.envelope(count, dtype=window.dtype, window=window)
    envelope = envelope[start : start + seen]
    floor = SEEN * window.detach().square().max()
    samples = synthesise(rows, framing, window, envelope.clamp(min=floor), start)
    return pad(samples, (0, length - seen)).reshape(*spec.shape[:-2], length)


class STFT(nn.Module):
    """Hold the parameters of a short-time Fourier transform, for use inside models.

    A window given as a name is nothing to save or move; samples of a window become a buffer that is
    not saved, or are trained if given as an `nn.Parameter`.

    Args:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        output: "complex", "magnitude", "phase" or "power".

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> transform = STFT(n_fft=1024)
        >>> spec = transform(torch.zeros(2, 44100))
        >>> spec.shape, transform.inverse(spec, length=44100).shape
        (torch.Size([2, 513, 173]), torch.Size([2, 44100]))
    """

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
    ) -> None:
        super().__init__()
        check_choice("output", output, OUTPUTS)
        trained = isinstance(window, nn.Parameter)
        fixed = window.detach().clone() if isinstance(window, Tensor) else window
        self._plan = analysis(n_fft, hop_length, win_length, fixed, center, pad_mode)
        self.n_fft = n_fft
        self.hop_length = self._plan.framing.hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.center = center
        self.pad_mode = pad_mode
        self.output = output
        self.window = window if trained else fixed

    def forward(self, x: Tensor) -> Tensor:
        """Give the spectrogram of audio; see `stft`.

        Args:
            x: Real audio.

        Returns:
            The complex spectrogram.

        Shape:
            x: (..., time)
            returns: (..., n_fft // 2 + 1, frames)

        Example:
            >>> STFT(n_fft=256)(torch.zeros(1000)).shape
            torch.Size([129, 16])
        """
        check_audio(x)
        return like(self._plan.spectra(x, FINISHES[self.output], window=self._trained()), x)

    def inverse(self, spec: Tensor, *, length: int | None = None) -> Tensor:
        """Restore audio from its spectrogram; see `istft`.

        Args:
            spec: Complex spectrogram.
            length: Samples wanted; by default, those up to the last frame.

        Returns:
            The audio.

        Shape:
            spec: (..., n_fft // 2 + 1, frames)
            returns: (..., length)

        Example:
            >>> transform = STFT(n_fft=256)
            >>> transform.inverse(transform(torch.ones(1000)), length=1000).mean()
            tensor(1.)
        """
        _check_spectrogram(spec)
        return _inverse(spec, self._plan, length, self._trained())

    def _trained(self) -> Tensor | None:
        """Give the padded window if it is trained."""
        if not isinstance(self.window, nn.Parameter):
            return None
        before = (self.n_fft - self.win_length) // 2
        return pad(self.window, (before, self.n_fft - self.win_length - before))

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> STFT(n_fft=256)
            STFT(n_fft=256, hop_length=64, win_length=256, window=hann, center=True)
        """
        window = self.window if isinstance(self.window, str | tuple) else "given"
        return (
            f"n_fft={self.n_fft}, hop_length={self.hop_length}, win_length={self.win_length},"
            f" window={window}, center={self.center}"
        )


def _length(framing: Framing, count: int, length: int | None) -> int:
    """Give the number of samples wanted, having made sure that the frames see them."""
    if not framing.invertible:
        raise ParameterError(
            f"hop_length={framing.hop_length} leaves samples that no window of"
            f" n_fft={framing.n_fft} sees, so the signal cannot be restored: use a shorter hop (a"
            " quarter of the window suits every window)"
        )
    if length is None:
        return max(0, framing.span(count) - 2 * framing.margin)
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise ParameterError(f"length={length!r} must be an integer of at least 0")
    start = framing.margin
    if framing.center:
        before, after = framing.unseen(start, start + length, count)
        known = 0 if before else length - after
    else:
        known = framing.span(count) + framing.hop_length - 1 if count else 0
    if length > known:
        raise ParameterError(
            f"length={length} goes beyond the {known} samples that {count} frames of"
            f" hop_length={framing.hop_length} see: use length={known} or less, or compute the"
            " spectrogram with stft, whose frames see the whole signal"
        )
    return length
