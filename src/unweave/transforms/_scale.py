"""Which frequencies the spectra of frames are taken at."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unweave._core.checks import positive_int
from unweave.errors import ParameterError
from unweave.transforms._analysis import check_choice

SCALES = ("no", "linear", "log")


@dataclass(frozen=True)
class Scale:
    """Checked frequencies of a short-time transform.

    Args:
        kind: "no" for the bins of the discrete Fourier transform, "linear" or "log".
        bins: Number of frequencies.
        n_fft: Samples of a frame.
        turns: The lowest frequency and the one after the last, in cycles per sample.
    """

    kind: str
    bins: int
    n_fft: int
    turns: tuple[float, float]

    @property
    def is_whole(self) -> bool:
        """Whether these are all bins of the discrete Fourier transform."""
        return self.kind == "no" and self.bins == self.n_fft // 2 + 1

    def frequencies(self) -> Tensor:
        """Give the frequencies in cycles per sample, float64."""
        steps = torch.arange(self.bins, dtype=torch.float64)
        low, high = self.turns
        if self.kind == "no":
            return steps / self.n_fft
        if self.kind == "linear":
            return low + steps * ((high - low) / self.bins)
        return low * (high / low) ** (steps / self.bins)

    def widths(self) -> Tensor:
        """Give the part of the spectrum that each frequency stands for: half the way to each side.

        In float64, such that the widths of frequencies over the whole spectrum add up to 1.
        """
        if self.bins == 1:
            return torch.ones(1, dtype=torch.float64)
        out: Tensor = torch.gradient(self.frequencies())[0] * 2
        return out


def scale(
    n_fft: int,
    freq_scale: str,
    freq_bins: int | None,
    fmin: float | None,
    fmax: float | None,
    sample_rate: float | None,
) -> Scale:
    """Check the frequencies of a short-time transform.

    Raises:
        ParameterError: A parameter is out of range, missing, or has no effect.
    """
    check_choice("freq_scale", freq_scale, SCALES)
    most = positive_int("n_fft", n_fft) // 2 + 1
    bins = most if freq_bins is None else positive_int("freq_bins", freq_bins)
    if freq_scale == "no":
        for name, value in (("fmin", fmin), ("fmax", fmax)):
            if value is not None:
                raise ParameterError(
                    f"{name}={value!r} has no effect with freq_scale='no', whose frequencies are"
                    " those of the FFT: use freq_scale='linear' or 'log'"
                )
        if bins > most:
            raise ParameterError(f"freq_bins={bins}: n_fft={n_fft} has no more than {most} bins")
        return Scale("no", bins, n_fft, (0.0, 0.5))
    if sample_rate is None or not sample_rate > 0:
        raise ParameterError(
            f"sample_rate={sample_rate!r} must be a positive number of hertz: freq_scale="
            f"{freq_scale!r} needs it"
        )
    if freq_scale == "log" and fmin is None:
        raise ParameterError("freq_scale='log' needs fmin, its lowest frequency, above 0 Hz")
    low = 0.0 if fmin is None else fmin
    high = sample_rate / 2 if fmax is None else fmax
    if not 0 <= low < high <= sample_rate / 2 or (freq_scale == "log" and low == 0):
        least = "above 0 Hz" if freq_scale == "log" else "0 Hz or more"
        raise ParameterError(
            f"fmin={low} Hz must be {least} and below fmax={high} Hz, which must be at most half"
            f" of sample_rate={sample_rate} Hz"
        )
    return Scale(freq_scale, bins, n_fft, (low / sample_rate, high / sample_rate))


def stft_frequencies(
    *,
    sample_rate: float,
    n_fft: int = 2048,
    freq_scale: str = "no",
    freq_bins: int | None = None,
    fmin: float | None = None,
    fmax: float | None = None,
) -> Tensor:
    """Give the frequencies of the bins of `stft`.

    Args:
        sample_rate: Samples per second.
        n_fft: Samples of a frame.
        freq_scale: "no": bin k lies at k * sample_rate / n_fft; "linear": at fmin + k * (fmax -
            fmin) / freq_bins; "log": at fmin * (fmax / fmin) ** (k / freq_bins).
        freq_bins: Number of bins; `n_fft // 2 + 1` if not given.
        fmin: Frequency of the first bin in Hz; 0 if not given, but "log" needs it.
        fmax: Frequency in Hz that the bin after the last would have; half of the sample rate if
            not given.

    Returns:
        The frequencies in Hz, float64.

    Raises:
        ParameterError: A parameter is out of range, missing, or has no effect.

    Shape:
        returns: (freq_bins,)

    Example:
        >>> stft_frequencies(sample_rate=8000, n_fft=8)
        tensor([   0., 1000., 2000., 3000., 4000.], dtype=torch.float64)
        >>> log = {"freq_scale": "log", "freq_bins": 3, "fmin": 100, "fmax": 800}
        >>> stft_frequencies(sample_rate=8000, **log).round()
        tensor([100., 200., 400.], dtype=torch.float64)
    """
    if not sample_rate > 0:
        raise ParameterError(f"sample_rate={sample_rate!r} must be a positive number of hertz")
    checked = scale(n_fft, freq_scale, freq_bins, fmin, fmax, sample_rate)
    return checked.frequencies() * sample_rate
