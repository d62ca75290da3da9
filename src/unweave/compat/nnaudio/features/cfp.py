"""Combined frequency and periodicity, by nnAudio's names."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.arrays import NumpyArray
from unweave._core.checks import positive_int
from unweave._core.fourier import in_blocks
from unweave.compat.nnaudio._audio import as_rows, extend
from unweave.compat.nnaudio._formats import root, safe_power
from unweave.compat.nnaudio._frames import BareFrames
from unweave.compat.nnaudio._windows import symmetric_cosine_sum
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single

_FLOOR = 1e-8  # added before a logarithm
_LAYERS = (0.24, 0.6, 1)


class _Periodicity(nn.Module):
    """What both features have in common."""

    h: Tensor
    freq2logfreq_matrix: Tensor
    quef2logfreq_matrix: Tensor

    def __init__(
        self,
        fr: float = 2,
        fs: float = 16000,
        hop_length: int = 320,
        window_size: int = 2049,
        fc: float = 80,
        tc: float = 1 / 1000,
        g: Sequence[float] = _LAYERS,
        NumPerOct: int = 48,
    ) -> None:
        super().__init__()
        for name, value in {"fr": fr, "fs": fs, "fc": fc, "tc": tc}.items():
            if not value > 0:
                raise ParameterError(f"{name}={value!r} must be above 0")
        self.N = int(fs / fr)
        self.window_size = positive_int("window_size", window_size)
        self.hop_length = positive_int("hop_length", hop_length)
        if window_size > self.N or len(g) < 2 or fc * tc >= 1:
            raise ParameterError(
                f"window_size={window_size} must be at most fs / fr = {self.N}, g={list(g)} must"
                f" have two layers or more, and fc={fc} Hz must be below 1 / tc = {1 / tc} Hz"
            )
        self.g, self.NumofLayer = list(g), len(g)
        self.tc_idx, self.fc_idx = round(fs * tc), round(fc / fr)
        self.HighFreqIdx = int(round(1 / tc / fr) + 1)
        self.HighQuefIdx = int(round(fs / fc) + 1)
        self.f = fs * np.linspace(0, 0.5, self.N // 2)[: self.HighFreqIdx]
        self.q = np.arange(self.HighQuefIdx) / float(fs)
        window = torch.from_numpy(symmetric_cosine_sum("blackmanharris", window_size)).float()
        self.register_buffer("h", window)
        steps = math.ceil(math.log2(1 / tc / fc)) * positive_int("NumPerOct", NumPerOct)
        centres = fc * 2 ** (np.arange(steps) / NumPerOct)
        centres = centres[centres < 1 / tc]
        matrices = _logarithmic(centres, self.f, fr), _logarithmic(centres, 1 / self._times(), None)
        for name, matrix in zip(("freq2logfreq", "quef2logfreq"), matrices, strict=True):
            self.register_buffer(f"{name}_matrix", torch.from_numpy(matrix).float())
        self._framing = BareFrames(self.N, self.hop_length)

    def _times(self) -> NumpyArray:
        """Give the periods, the first of which, zero, stands for no frequency at all."""
        return np.where(self.q == 0, np.finfo(float).tiny, self.q)

    def _features(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give spectrum, generalised spectrum and cepstrum on the scale of pitch."""
        rows = single(as_rows(x))
        count = 1 + rows.shape[-1] // self.hop_length
        before = (self.N - self.window_size) // 2
        window = pad(self.h, (before, self.N - self.window_size - before)).to(rows)
        banks = self.freq2logfreq_matrix.T.to(rows), self.quef2logfreq_matrix.T.to(rows)

        def work(frames: Tensor) -> Tensor:
            parts = torch.view_as_real(torch.fft.rfft(frames * window))
            plain = root(parts.square().sum(-1)) / torch.linalg.vector_norm(window)
            spectrum, cepstrum = self._layers(plain)
            high, long = self.HighFreqIdx, self.HighQuefIdx
            scaled = plain[..., :high] @ banks[0], spectrum[..., :high] @ banks[0]
            return torch.cat((*scaled, cepstrum[..., :long] @ banks[1]), -1)

        padded = extend(rows, self.N // 2, "constant")
        out = in_blocks(padded, self._framing, count, work, (window, *banks))
        first, second, third = like(out.mT, x).chunk(3, 1)
        return first, second, third

    def _layers(self, plain: Tensor) -> tuple[Tensor, Tensor]:
        """Go back and forth between spectrum and cepstrum; both are even, so half is kept."""
        spectrum = safe_power(plain, self.g[0])
        cepstrum = spectrum
        halved = spectrum
        for layer, exponent in enumerate(self.g[1:]):
            cutoff = self.fc_idx if layer % 2 else self.tc_idx
            changed = torch.fft.hfft(torch.complex(halved, torch.zeros_like(halved)), self.N)
            changed = changed[..., : self.N // 2 + 1] / math.sqrt(self.N)
            changed = _activated(changed, exponent, cutoff)
            # nnAudio clears one value more above Nyquist than below: the mirror of `cutoff`. The
            # even part of that, which is what the next transform sees, has half the value there.
            place = torch.arange(changed.shape[-1], device=changed.device)
            halved = torch.where(place == cutoff, 0.5 * changed, changed)
            if layer % 2:
                spectrum = changed
            else:
                cepstrum = changed
        return spectrum, cepstrum


class Combined_Frequency_Periodicity(_Periodicity):
    """Give the product of a spectrum and a cepstrum on the scale of pitch, and its factors.

    As `nnAudio.features.Combined_Frequency_Periodicity` does. Harmonics stand out in the spectrum,
    subharmonics in the cepstrum; only the fundamentals are in both.

    Args:
        fr: Distance of the frequencies of the spectrum in Hz.
        fs: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        window_size: Samples of the window; `fs / fr` at most.
        fc: Lowest frequency in Hz.
        tc: Shortest period in seconds: the highest frequency is 1 / tc.
        g: Exponents of the layers, by turns of spectrum and cepstrum; 0 stands for a logarithm.
        NumPerOct: Bins of an octave.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> Z, spectrum, frequency, period = Combined_Frequency_Periodicity()(torch.zeros(1, 16000))
        >>> Z.shape, period.shape
        (torch.Size([1, 174, 49]), torch.Size([1, 174, 49]))

    References:
        [Su2015] Combining spectral and temporal representations for multipitch estimation of
        polyphonic music, IEEE/ACM TASLP 23(10).
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give the feature and its factors, without the first and the last frame.

        Args:
            x: Audio.

        Returns:
            The product, the spectrum, the generalised spectrum and the cepstrum.

        Raises:
            ParameterError: The audio is of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, bins, frames - 2) each

        Example:
            >>> len(Combined_Frequency_Periodicity()(torch.zeros(16000)))
            4
        """
        plain, spectrum, cepstrum = (part[..., 1:-1] for part in self._features(x))
        return spectrum * cepstrum, plain, spectrum, cepstrum


class CFP(_Periodicity):
    """Give the product of a spectrum and a cepstrum on the scale of pitch alone.

    As `nnAudio.features.CFP` does; see `Combined_Frequency_Periodicity`, of which it keeps all
    frames.

    Args:
        fr: Distance of the frequencies of the spectrum in Hz.
        fs: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        window_size: Samples of the window; `fs / fr` at most.
        fc: Lowest frequency in Hz.
        tc: Shortest period in seconds: the highest frequency is 1 / tc.
        g: Exponents of the layers, by turns of spectrum and cepstrum; 0 stands for a logarithm.
        NumPerOct: Bins of an octave.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> CFP()(torch.zeros(1, 16000)).shape
        torch.Size([1, 174, 51])

    References:
        [Su2015] Combining spectral and temporal representations for multipitch estimation of
        polyphonic music, IEEE/ACM TASLP 23(10).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Give the feature.

        Args:
            x: Audio.

        Returns:
            The product of the generalised spectrum and the cepstrum.

        Raises:
            ParameterError: The audio is of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, bins, frames)

        Example:
            >>> CFP()(torch.zeros(16000)).shape
            torch.Size([1, 174, 51])
        """
        _, spectrum, cepstrum = self._features(x)
        return spectrum * cepstrum


def _activated(values: Tensor, exponent: float, cutoff: int) -> Tensor:
    """Raise what is positive to a power, and clear the values before the cutoff."""
    positive = values.relu()
    raised = safe_power(positive, exponent) if exponent else (positive + _FLOOR).log()
    place = torch.arange(values.shape[-1], device=values.device)
    return torch.where(place < cutoff, 0.0, raised)


def _logarithmic(centres: NumpyArray, places: NumpyArray, spacing: float | None) -> NumpyArray:
    """Give triangles around logarithmically spaced centres, over places in Hz.

    Given their spacing, a triangle that is too narrow to hold two of the places gets the nearest
    one. The first row stays empty, and the last centre has none, as in nnAudio.
    """
    low, centre, high = centres[:-2, None], centres[1:-1, None], centres[2:, None]
    rising = np.where(places < centre, (places - low) / (centre - low), 0)
    falling = np.where(places > centre, (high - places) / (high - centre), 0)
    inside = (places > low) & (places < high)
    rows = np.where(inside, rising + falling, 0)
    if spacing is not None:
        first, last = np.round(low / spacing).astype(int), np.round(high / spacing).astype(int)
        nearest = (np.arange(len(places)) == first).astype(float)
        rows = np.where(first >= last, nearest, rows)
    return np.concatenate((np.zeros((1, len(places))), rows))
