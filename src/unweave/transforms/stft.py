"""The short-time Fourier transform and its inverse, which restores the signal exactly."""

from __future__ import annotations

from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import FINISHES, OUTPUTS, check_audio, check_choice, like
from unweave.transforms._scale import scale
from unweave.transforms._shorttime import STEPS, check_spectrogram, short_time


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
    freq_scale: str = "no",
    freq_bins: int | None = None,
    fmin: float | None = None,
    fmax: float | None = None,
    sample_rate: float | None = None,
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
        freq_scale: "no" takes the frequencies of the FFT; "linear" and "log" spread others from
            `fmin` up to, but without, `fmax`. They are those of `stft_frequencies`, exact to 1e-6
            of the largest value in float32. The frames, and so the resolution, stay the same.
        freq_bins: Number of frequencies, the lowest ones with "no"; `n_fft // 2 + 1` if not given.
        fmin: Lowest frequency in Hz; 0 if not given, but "log" needs it, and "no" has none.
        fmax: Where the frequencies end, in Hz; half of the sample rate if not given.
        sample_rate: Samples per second; "linear" and "log" need it.

    Returns:
        The spectrogram; the complex one is complex64 for float32. An empty signal has no frames.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., freq_bins, frames); frames is 1 + time // hop_length with `center` and
            an even n_fft

    Example:
        >>> import torch
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
    bins = scale(n_fft, freq_scale, freq_bins, fmin, fmax, sample_rate)
    made = short_time(bins, hop_length, win_length, window, center, pad_mode)
    return like(made.spectra(x, FINISHES[output]), x)


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
    freq_scale: str = "no",
    freq_bins: int | None = None,
    fmin: float | None = None,
    fmax: float | None = None,
    sample_rate: float | None = None,
    n_iter: int = STEPS,
) -> Tensor:
    """Restore audio from its short-time spectra: the inverse of `stft` with the same parameters.

    Of a spectrogram that was changed, it gives the audio whose own spectrogram is the nearest in
    the least-squares sense [Griffin1984].

    With `center` every sample comes back to within rounding (error below -120 dB in float32, -250
    dB in float64), whatever the frame size, hop, window and length. Without it nothing precedes the
    first frame or follows the last: where the window is almost zero at the ends of the signal (hann
    has a zero there, hamming has not), those samples fade in and out instead, and the samples that
    are in no frame are zero.

    At frequencies other than those of the FFT, the audio is sought whose spectrogram is nearest,
    every bin counting by the part of the spectrum that it stands for. Bins as close as those of the
    FFT over the whole band restore audio to some 100 dB, 1025 logarithmic ones from 50 to 6000 Hz
    what lies well inside that band to some 50 dB; what lies below `fmin` or above `fmax` is lost,
    and so is what falls between frequencies further apart than sample_rate / hop_length.

    Args:
        spec: Complex spectrogram, complex64 or complex128.
        n_fft: Samples of a frame; 2 * (freq - 1) if not given, so an odd n_fft must be given, and
            so must that of other frequencies than all those of the FFT.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: The window of the analysis; see `stft`.
        center: Whether frames are centred on multiples of the hop, or start there.
        length: Samples wanted: those of the analysed signal, which only the caller knows; by
            default, with `center` up to the centre of the last frame, otherwise to its end.
        freq_scale: "no", "linear" or "log", as in `stft`.
        freq_bins: Number of frequencies; with "no", those left out count as silent.
        fmin: Lowest frequency in Hz, as in `stft`.
        fmax: Where the frequencies end, in Hz, as in `stft`.
        sample_rate: Samples per second; "linear" and "log" need it.
        n_iter: Steps of conjugate gradients; unused with "no", which needs none.

    Returns:
        The audio, float32 for complex64.

    Raises:
        ParameterError: A parameter is out of range, frames so far apart leave samples that no frame
            sees, or `length` goes beyond what the frames see.

    Shape:
        spec: (..., freq_bins, frames)
        returns: (..., length)

    Example:
        >>> import torch
        >>> audio = torch.randn(2, 10001, generator=torch.Generator().manual_seed(0))
        >>> again = istft(stft(audio, n_fft=512), length=10001)
        >>> bool((again - audio).abs().max() < 1e-5)
        True

    References:
        [Griffin1984] Signal estimation from modified short-time Fourier transform, IEEE Trans.
        ASSP 32(2).
    """
    check_spectrogram(spec)
    if n_fft is None:
        if freq_scale != "no" or freq_bins is not None:
            raise ParameterError("n_fft must be given where freq_scale or freq_bins is")
        n_fft = max(1, 2 * (spec.shape[-2] - 1))
    bins = scale(n_fft, freq_scale, freq_bins, fmin, fmax, sample_rate)
    made = short_time(bins, hop_length, win_length, window, center, "reflect")
    return made.inverse(spec, length, positive_int("n_iter", n_iter))
