"""The constant-Q transform that can be undone: a non-stationary Gabor transform and its inverse."""

from __future__ import annotations

import math
import operator
from functools import lru_cache

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.forms import needs_plain_form
from unweave.errors import ParameterError
from unweave.transforms._analysis import check_audio, single
from unweave.transforms._nsgt_bands import Bands, Spacing, build_bands, frame_count
from unweave.transforms._nsgt_blocks import analyse_blocks, synthesise_blocks
from unweave.transforms._nsgt_tables import Grid, analyse, synthesise

C1 = 32.70319566


@array_function
def nsgt(
    x: Tensor,
    *,
    sample_rate: float,
    fmin: float = C1,
    fmax: float | None = None,
    bins_per_octave: int = 12,
    gamma: float = 0.0,
    hop_length: int | None = None,
) -> Tensor:
    """Give a constant-Q spectrogram from which `insgt` restores every sample.

    The bins lie at fmin * 2^(k / bins_per_octave), as those of `cqt`. What they leave, bands of
    constant width above them and one around 0 Hz below (more below a high `fmin`) take up, so that
    nothing of the audio is lost: rows `NSGT.bins` of the matrix are the bins, `NSGT.frequencies`
    tells where all rows lie. A tone in the centre of a bin reads its effective value there, 0.7071
    for amplitude 1, and with `gamma` 0 is in no other bin. With `gamma` 0 the energy is kept, too:
    hop_length * sum |spec|^2 = sum x^2.

    The signal is taken to repeat itself after frames * hop_length samples, so the long filters of
    low bins see its end from its beginning: put silence at one end where that matters.

    Long audio in float32 is worked on in blocks (unless a gradient is wanted); what else is needed
    at any one time is a few copies of the audio.

    Args:
        x: Real audio, float32 or float64.
        sample_rate: Samples a second, in Hz.
        fmin: Centre of the lowest bin in Hz; C1 by default.
        fmax: Limit of the centre of the highest bin in Hz. By default, the bins fill seven octaves,
            or with `hop_length` go as high as the hop allows.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all bins in Hz, which makes the low ones quicker to follow: variable Q
            instead of constant Q [Schoerkhuber2014]. Neighbours then share a tone.
        hop_length: Samples from one frame to the next. It must be short enough for the widest bin,
            of some 0.116 * fmax Hz with 12 bins to the octave: sample_rate / hop_length frames a
            second must be as many. By default, the longest that is.

    Returns:
        The complex spectrogram, complex64 for float32. Phases are those of the audio at the times
        frame * hop_length, so that a steady tone turns at its own frequency. With the defaults it
        holds some 4.5 real numbers for each sample at 22050 Hz, 2.8 at 44100 Hz.

    Raises:
        ParameterError: A parameter is out of range, or the hop is too long for the bins.

    Shape:
        x: (..., time)
        returns: (..., bands, frames); frames is time / hop_length, rounded up to a number that is
            quick to transform

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(44100))
        >>> spec = nsgt(tone, sample_rate=22050)
        >>> spec.shape
        torch.Size([104, 960])
        >>> row = int(spec[:, 300].abs().argmax())
        >>> round(float(NSGT(sample_rate=22050).frequencies[row]), 2)
        440.0

    References:
        [Velasco2011] Constructing an invertible constant-Q transform with nonstationary Gabor
        frames, DAFx-11.
        [Schoerkhuber2014] A Matlab toolbox for efficient perfect reconstruction time-frequency
        transforms with log-frequency resolution, AES 53rd International Conference.
    """
    check_audio(x)
    bands = _bands(Spacing(sample_rate, fmin, fmax, bins_per_octave, gamma, hop_length))
    return _forward(single(x), bands)


@array_function
def insgt(
    spec: Tensor,
    *,
    sample_rate: float,
    fmin: float = C1,
    fmax: float | None = None,
    bins_per_octave: int = 12,
    gamma: float = 0.0,
    hop_length: int | None = None,
    length: int | None = None,
) -> Tensor:
    """Restore audio from its invertible constant-Q spectrogram: the inverse of `nsgt`.

    Every sample comes back to within rounding (error below -120 dB in float32, -250 dB in float64).
    Of a spectrogram that was changed, it gives the audio whose own is the nearest in the
    least-squares sense.

    Args:
        spec: Complex spectrogram, complex64 or complex128.
        sample_rate: Samples a second, in Hz.
        fmin: Centre of the lowest bin in Hz.
        fmax: Limit of the centre of the highest bin in Hz, as given to `nsgt`.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all bins in Hz.
        hop_length: Samples from one frame to the next, as given to `nsgt`.
        length: Samples wanted: those of the analysed signal, which only the caller knows; by
            default frames * hop_length.

    Returns:
        The audio, float32 for complex64.

    Raises:
        ParameterError: A parameter is out of range, the rows of `spec` are not as many as the
            bands, or `length` goes beyond the frames.

    Shape:
        spec: (..., bands, frames)
        returns: (..., length)

    Example:
        >>> audio = torch.randn(2, 30001, generator=torch.Generator().manual_seed(0))
        >>> spec = nsgt(audio, sample_rate=44100, hop_length=128)
        >>> again = insgt(spec, sample_rate=44100, hop_length=128, length=30001)
        >>> bool((again - audio).abs().max() < 1e-5)
        True

    References:
        [Velasco2011] Constructing an invertible constant-Q transform with nonstationary Gabor
        frames, DAFx-11.
    """
    bands = _bands(Spacing(sample_rate, fmin, fmax, bins_per_octave, gamma, hop_length))
    return _inverse(spec, bands, length)


class NSGT(nn.Module):
    """Hold the bands of an invertible constant-Q transform, for use inside models.

    There is nothing to save or to move: tables follow the dtype and the device of the input.
    Compilers and exporters make one graph for each length of audio. The attribute `frequencies`
    gives the centres of all rows in Hz, `bins` the slice of the rows that are the bins of constant
    Q, `hop_length` the samples from one frame to the next.

    Args:
        sample_rate: Samples a second, in Hz.
        fmin: Centre of the lowest bin in Hz.
        fmax: Limit of the centre of the highest bin in Hz; by default seven octaves of bins, or as
            many as `hop_length` allows.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all bins in Hz.
        hop_length: Samples from one frame to the next; by default as many as the bins allow.

    Raises:
        ParameterError: A parameter is out of range, or the hop is too long for the bins.

    Example:
        >>> transform = NSGT(sample_rate=22050)
        >>> transform.bins, transform.hop_length
        (slice(1, 85, None), 48)
        >>> spec = transform(torch.zeros(2, 22050))
        >>> spec[..., transform.bins, :].shape, transform.inverse(spec, length=22050).shape
        (torch.Size([2, 84, 480]), torch.Size([2, 22050]))
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        fmin: float = C1,
        fmax: float | None = None,
        bins_per_octave: int = 12,
        gamma: float = 0.0,
        hop_length: int | None = None,
    ) -> None:
        super().__init__()
        self.spacing = Spacing(sample_rate, fmin, fmax, bins_per_octave, gamma, hop_length)
        self.bands = _bands(self.spacing)
        self.hop_length = self.bands.hop_length
        self.bins = self.bands.bins

    @property
    def frequencies(self) -> Tensor:
        """Centres of all rows in Hz, float64."""
        return torch.tensor(self.bands.centers, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Give the spectrogram of audio; see `nsgt`.

        Args:
            x: Real audio.

        Returns:
            The complex spectrogram.

        Shape:
            x: (..., time)
            returns: (..., bands, frames)

        Example:
            >>> NSGT(sample_rate=22050, hop_length=64)(torch.zeros(1000)).shape
            torch.Size([109, 16])
        """
        check_audio(x)
        return _forward(single(x), self.bands)

    def inverse(self, spec: Tensor, *, length: int | None = None) -> Tensor:
        """Restore audio from its spectrogram; see `insgt`.

        Args:
            spec: Complex spectrogram.
            length: Samples wanted; by default frames * hop_length.

        Returns:
            The audio.

        Shape:
            spec: (..., bands, frames)
            returns: (..., length)

        Example:
            >>> transform = NSGT(sample_rate=22050)
            >>> transform.inverse(transform(torch.ones(1000)), length=1000).mean()
            tensor(1.)
        """
        return _inverse(spec, self.bands, length)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> NSGT(sample_rate=22050)
            NSGT(sample_rate=22050, fmin=32.7032, bins=84, bands=104, gamma=0, hop_length=48)
        """
        bins = self.bins.stop - self.bins.start
        return (
            f"sample_rate={self.spacing.sample_rate:g}, fmin={self.spacing.fmin:g}, bins={bins},"
            f" bands={len(self.bands)}, gamma={self.spacing.gamma:g}, hop_length={self.hop_length}"
        )


def _bands(spacing: Spacing) -> Bands:
    # A compiler would look through the cache, and warn of it.
    return build_bands(spacing) if torch.compiler.is_compiling() else _kept(spacing)


_kept = lru_cache(maxsize=64)(build_bands)


def _forward(x: Tensor, bands: Bands) -> Tensor:
    # Tables depend on the length, so that a compiler must not take it for a variable.
    count = frame_count(operator.index(x.shape[-1]), bands.hop_length)
    if x.numel() == 0:
        return x.new_zeros(*x.shape[:-1], len(bands), count, dtype=x.dtype.to_complex())
    rows = x.reshape(-1, x.shape[-1])
    if needs_plain_form(x):
        spec = analyse(rows, Grid(bands, range(len(bands)), bands.hop_length, count))
    else:
        spec = analyse_blocks(rows, bands, count)
    return spec.reshape(*x.shape[:-1], *spec.shape[1:])


def _inverse(spec: Tensor, bands: Bands, length: int | None) -> Tensor:
    if spec.dtype not in (torch.complex64, torch.complex128) or spec.ndim < 2:
        raise ParameterError(
            f"spec of shape {tuple(spec.shape)} and dtype {spec.dtype} must be a complex"
            " spectrogram (..., bands, frames), as nsgt gives"
        )
    rows, count = (operator.index(size) for size in spec.shape[-2:])
    if rows != len(bands):
        raise ParameterError(
            f"spec has {rows} rows, but these parameters make {len(bands)} bands: give those of the"
            " analysis, and all of its rows"
        )
    longest = count * bands.hop_length
    length = longest if length is None else length
    if isinstance(length, bool) or not isinstance(length, int) or not 0 <= length <= longest:
        raise ParameterError(
            f"length={length!r} must be an integer from 0 to {longest}: that is what {count} frames"
            f" of hop_length={bands.hop_length} hold"
        )
    if spec.numel() == 0:
        return spec.real.new_zeros(*spec.shape[:-2], length)
    flat = spec.reshape(math.prod(spec.shape[:-2]), rows, count)
    if needs_plain_form(spec):
        audio = synthesise(flat, Grid(bands, range(rows), bands.hop_length, count))
    else:
        audio = synthesise_blocks(flat, bands)
    return audio[:, :length].reshape(*spec.shape[:-2], length)
