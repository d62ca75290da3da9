"""Powers of a sound on the rows and columns of a picture, whatever the length of the sound.

A picture has some hundred rows and columns and a song has a hundred thousand frames, so frames
that share a column are averaged, and of bins that share a row the largest is taken, block by block:
nothing of the size of the spectrogram is held.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.errors import ParameterError
from unweave.transforms import stft

ROWS, COLUMNS = 384, 1200  # of the picture; finer than screens and papers show
_AT_ONCE = 2**22  # samples that are transformed at once
_LOWEST = 30.0  # hertz, of the logarithmic axis

_KNEE, _SLOPE = 1000.0, 27 / math.log(6.4)  # of Slaney's mel scale, as in `mel_frequencies`


def to_mel(hertz: Tensor) -> Tensor:
    """Give mels: linear below 1000 Hz, logarithmic above.

    Args:
        hertz: Frequencies.
    """
    high = 15 + _SLOPE * torch.log(hertz.clamp(min=_KNEE) / _KNEE)
    return torch.where(hertz < _KNEE, hertz * 15 / _KNEE, high)


def from_mel(mel: Tensor) -> Tensor:
    """Give the frequencies of mels in hertz: the inverse of `to_mel`.

    Args:
        mel: Places on the mel scale.
    """
    high = _KNEE * torch.exp((mel - 15) / _SLOPE)
    return torch.where(mel < 15, mel * _KNEE / 15, high)


_SCALES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "linear": (lambda f: f, lambda y: y),
    "log": (lambda f: torch.log2(f.clamp(min=1e-6)), torch.exp2),
    "mel": (to_mel, from_mel),
}


@dataclass(frozen=True)
class Rows:
    """Where the rows of a picture lie on its frequency axis.

    Attributes:
        scale: Of the axis: mel, log or linear.
        low: Frequency of the lower edge in hertz.
        high: Frequency of the upper edge in hertz.
        weights: What each bin adds to the average of each row, of shape (rows, freq).
        places: The row of each bin that lies on the axis, the last ones.
    """

    scale: str
    low: float
    high: float
    weights: Tensor
    places: Tensor

    @classmethod
    def of(cls, scale: str, bins: int, sample_rate: float) -> Rows:
        """Place rows evenly on a scale.

        Args:
            scale: mel, log or linear.
            bins: Of the spectrum, from zero to half the sample rate.
            sample_rate: In hertz.

        Raises:
            ParameterError: There is no such scale, or the sample rate is no frequency.
        """
        if scale not in _SCALES:
            raise ParameterError(f"scale={scale!r} must be one of {', '.join(_SCALES)}")
        if not 0 < sample_rate < math.inf:
            raise ParameterError(f"sample_rate={sample_rate!r} must be a positive number of hertz")
        forth, back = _SCALES[scale]
        high = sample_rate / 2
        low = min(_LOWEST, high / 4) if scale == "log" else 0.0
        ends = forth(torch.tensor([low, high], dtype=torch.float64))
        rows = min(ROWS, bins) if scale == "linear" else ROWS
        edges = back(torch.linspace(float(ends[0]), float(ends[1]), rows + 1, dtype=torch.float64))
        centres, width = (edges[1:] + edges[:-1]) / 2, edges.diff()
        spacing = high / max(1, bins - 1)
        reach = width.clamp(min=spacing)[:, None]
        frequencies = torch.arange(bins, dtype=torch.float64) * spacing
        weights = (1 - (centres[:, None] - frequencies).abs() / reach).clamp(min=0)
        weights = (weights / weights.sum(1, keepdim=True)).float()
        places = torch.bucketize(frequencies[frequencies >= low], edges[1:-1])
        return cls(scale, low, high, weights, places)

    def averages(self, values: Tensor) -> Tensor:
        """Give the averages of rows, or what lies between two bins.

        Args:
            values: Shape (freq, columns).
        """
        return self.weights @ values

    def peaks(self, values: Tensor) -> Tensor:
        """Give the largest of each row, so that a tone is as bright where many bins share a row.

        Args:
            values: Shape (freq, columns).
        """
        inside = values[len(values) - len(self.places) :]
        index = self.places[:, None].expand(-1, values.shape[1])
        return self.averages(values).scatter_reduce(0, index, inside, "amax")


def of_audio(audio: Tensor, rows: Rows, n_fft: int, hop_length: int) -> Tensor:
    """Give the powers of audio on a picture, averaged over its channels and over columns.

    Args:
        audio: Shape (channels, time).
        rows: Of the picture.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.

    Returns:
        Powers of shape (rows, columns); 1 is that of a sine of full scale.
    """
    frames = 1 + audio.shape[-1] // hop_length
    together = -(-frames // COLUMNS)  # frames a column
    # A Hann window of n_fft samples shows a sine of full scale as a peak of n_fft / 4.
    found = [
        _pooled(stft(piece, n_fft=n_fft, hop_length=hop_length, center=False).abs(), rows, together)
        for piece in _pieces(audio, frames, n_fft, hop_length, together)
    ]
    return torch.cat(found, 1) / (n_fft / 4) ** 2


def _pieces(
    audio: Tensor, frames: int, n_fft: int, hop_length: int, together: int
) -> Iterator[Tensor]:
    """Cut audio, with silence around it, into pieces of whole columns."""
    length, margin = audio.shape[-1], n_fft // 2
    columns = max(1, _AT_ONCE // (len(audio) * together * max(hop_length, n_fft // 2)))
    for first in range(0, frames, columns * together):
        count = min(columns * together, frames - first)
        start = first * hop_length - margin
        end = start + (count - 1) * hop_length + n_fft
        inside = audio[:, max(0, start) : max(0, min(end, length))].float()
        before = max(0, -start)
        yield pad(inside, (before, end - start - before - inside.shape[-1]))


def of_spectrogram(magnitude: Tensor, rows: Rows) -> Tensor:
    """Give the powers of a spectrogram on a picture, averaged over its channels.

    Args:
        magnitude: Shape (channels, freq, frames).
        rows: Of the picture.

    Returns:
        Powers of shape (rows, columns).
    """
    return _pooled(magnitude, rows, -(-magnitude.shape[-1] // COLUMNS))


def _pooled(magnitude: Tensor, rows: Rows, together: int) -> Tensor:
    power = magnitude.float().square().mean(0)
    return rows.peaks(columns_of(power, together))


def columns_of(values: Tensor, together: int) -> Tensor:
    """Average over so many frames; the last column may have fewer.

    Args:
        values: Shape (freq, frames).
        together: Frames of a column.
    """
    whole = values.shape[-1] // together * together
    columns = torch.unflatten(values[:, :whole], -1, (-1, together)).mean(-1)
    if whole < values.shape[-1]:
        columns = torch.cat((columns, values[:, whole:].mean(-1, keepdim=True)), 1)
    return columns
