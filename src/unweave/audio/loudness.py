"""Integrated loudness by ITU-R BS.1770-4 and peak, of whole signals and of streams.

The K-weighting is two recursive filters. Their joint impulse response falls below -140 dB within
0.1 s, so that circular convolution with the sampled frequency response, of which the first 0.1 s
are thrown away, equals the recursion: a few FFTs instead of a loop over samples.

References:
    [BS1770] ITU-R BS.1770-4, Algorithms to measure audio programme loudness and true-peak audio
        level, 2015. The filters for rates other than 48 kHz are the bilinear transforms of the
        analogue prototypes that give the tabulated coefficients at 48 kHz.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unweave._core.checks import positive_int
from unweave.audio.writing import Audio, to_samples
from unweave.errors import ParameterError

_OFFSET = -0.691  # makes a 997 Hz sine of full scale in one channel read -3.01 LUFS
_ABSOLUTE_GATE = -70.0
_RELATIVE_GATE = -10.0
_STEPS_PER_SECOND = 10  # blocks of 400 ms overlap by 75 %
_STEPS_PER_BLOCK = 4
_MEMORY_SECONDS = 0.1
_BLOCK = 1 << 18
_SHELF = (1681.974450955533, 3.999843853973347, 0.7071752369554196)  # Hz, dB, Q
_HIGH_PASS = (38.13547087602444, 0.5003270373238773)  # Hz, Q

# Surround channels count 1.5 dB more, the low-frequency channel not at all
_WEIGHTS = {
    5: (1.0, 1.0, 1.0, 1.41, 1.41),
    6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41),
}


class LoudnessMeter:
    """Measure loudness and peak of a stream, in memory that grows by some 100 bytes a second.

    Args:
        sample_rate: Samples per second.
        channels: Channels of every block; 5, 6 and 8 are taken as 5.0, 5.1 and 7.1 in the usual
            order (L R C LFE, back, side), other counts weigh all channels alike.

    Attributes:
        peak: Largest magnitude of any sample so far; full scale is 1.

    Raises:
        ParameterError: An argument is not a positive integer.

    Example:
        >>> meter = LoudnessMeter(48000, 1)
        >>> time = torch.arange(96000) / 48000
        >>> meter.update(torch.sin(2 * torch.pi * 997 * time)[None])
        >>> round(meter.integrated, 1), round(meter.peak, 2)
        (-3.0, 1.0)
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_rate = positive_int("sample_rate", sample_rate)
        self.channels = positive_int("channels", channels)
        self.peak = 0.0
        self._n_fft, self._memory, self._response = _filter(self.sample_rate)
        self._hop = self._n_fft - self._memory
        self._pending = torch.zeros(self.channels, self._memory)
        self._weights = np.array(_WEIGHTS.get(self.channels, (1.0,) * self.channels))
        self._seen = 0  # samples that went through the filter
        self._steps: list[float] = []  # weighted energy of each whole tenth of a second
        self._open = 0.0  # energy of the tenth that is not yet whole

    def update(self, block: Audio) -> None:
        """Take the next samples into account.

        Args:
            block: Samples as floats with full scale at 1.

        Raises:
            ParameterError: The shape or dtype does not fit.

        Shape:
            (channels, time)
        """
        samples = torch.from_numpy(to_samples(block, self.channels)).T
        if not samples.shape[1]:
            return
        self.peak = max(self.peak, float(samples.abs().max()))
        self._pending = torch.cat([self._pending, samples], dim=1)
        while self._pending.shape[1] >= self._n_fft:
            energy = self._weigh(self._pending[:, : self._n_fft])
            whole, self._open = self._split(energy)
            self._steps.extend(whole)
            self._seen += len(energy)
            self._pending = self._pending[:, self._hop :]
        self._pending = self._pending.clone()  # let go of the longer tensor that it is a view of

    def _weigh(self, piece: Tensor) -> npt.NDArray[np.float64]:
        """Return each sample's energy, K-weighted and summed over channels."""
        spectrum = torch.fft.rfft(piece, n=self._n_fft) * self._response
        filtered = torch.fft.irfft(spectrum, n=self._n_fft)[:, self._memory : piece.shape[1]]
        energy: npt.NDArray[np.float64] = self._weights @ filtered.square().double().numpy()
        return energy

    def _split(self, energy: npt.NDArray[np.float64]) -> tuple[list[float], float]:
        """Sum energies over tenths of a second, whose ends need not be whole samples."""
        total = np.concatenate([[-self._open, 0.0], np.cumsum(energy)])
        count = (self._seen + len(energy)) * _STEPS_PER_SECOND // self.sample_rate
        ends = np.arange(len(self._steps) + 1, count + 1) * self.sample_rate // _STEPS_PER_SECOND
        cuts = np.concatenate([[0], ends - self._seen + 1, [len(total) - 1]])
        sums = np.diff(total[cuts])
        return sums[:-1].tolist(), float(sums[-1])

    @property
    def integrated(self) -> float:
        """Gated loudness in LUFS of all that came; -inf for silence or less than 400 ms."""
        whole, _ = self._split(self._weigh(self._pending))
        return _gated(np.array(self._steps + whole), self.sample_rate)


def integrated_loudness(audio: Audio, sample_rate: int) -> float:
    """Return the gated loudness of a signal by ITU-R BS.1770-4.

    Args:
        audio: Samples as floats with full scale at 1; 5, 6 and 8 channels are taken as 5.0, 5.1
            and 7.1 in the usual order, other counts weigh all channels alike.
        sample_rate: Samples per second.

    Returns:
        Loudness in LUFS; -inf for silence or less than 400 ms.

    Raises:
        ParameterError: `audio` is not a float array of two axes, or the rate is not positive.

    Shape:
        (channels, time)

    Example:
        >>> time = torch.arange(96000) / 48000
        >>> round(integrated_loudness(0.1 * torch.sin(2 * torch.pi * 997 * time)[None], 48000), 1)
        -23.0
    """
    if audio.ndim != 2:
        raise ParameterError(f"audio has shape {tuple(audio.shape)}: it must be (channels, time)")
    meter = LoudnessMeter(sample_rate, audio.shape[0])
    for start in range(0, audio.shape[1], _BLOCK):
        meter.update(audio[:, start : start + _BLOCK])
    return meter.integrated


def _gated(steps: npt.NDArray[np.float64], sample_rate: int) -> float:
    """Average the blocks of 400 ms that pass both gates."""
    if len(steps) < _STEPS_PER_BLOCK:
        return float("-inf")
    samples = _STEPS_PER_BLOCK * sample_rate / _STEPS_PER_SECOND
    power = np.convolve(steps, np.ones(_STEPS_PER_BLOCK), "valid") / samples
    gate = _power(_ABSOLUTE_GATE)
    for _ in range(2):
        power = power[~(power <= gate)]  # NaN passes, so that it is seen in the result
        if not len(power):
            return float("-inf")
        gate = _power(_loudness(float(power.mean())) + _RELATIVE_GATE)
    return _loudness(float(power.mean()))


def _loudness(power: float) -> float:
    return _OFFSET + 10.0 * float(np.log10(power))


def _power(loudness: float) -> float:
    return float(10.0 ** ((loudness - _OFFSET) / 10.0))


@lru_cache(maxsize=8)
def _filter(sample_rate: int) -> tuple[int, int, Tensor]:
    """Return FFT size, length of the filter's memory, and the K-weighting's response.

    A stage whose frequency lies beyond the band of a very low rate is left out.
    """
    memory = -(-sample_rate // round(1 / _MEMORY_SECONDS))
    n_fft = 1 << max(6, (6 * memory - 1).bit_length())
    z = np.exp(-2j * np.pi * np.arange(n_fft // 2 + 1) / n_fft)
    response = np.ones_like(z)
    usable = 0.45 * sample_rate
    if usable > _SHELF[0]:
        response *= _high_shelf(z, sample_rate)
    if usable > _HIGH_PASS[0]:
        response *= _high_pass(z, sample_rate)
    return n_fft, memory, torch.from_numpy(response.astype(np.complex64))


def _high_shelf(z: npt.NDArray[np.complex128], sample_rate: int) -> npt.NDArray[np.complex128]:
    frequency, gain, quality = _SHELF
    k = np.tan(np.pi * frequency / sample_rate)
    high = 10.0 ** (gain / 20.0)
    band = high**0.4996667741545416
    numerator = (
        (high + band * k / quality + k * k)
        + 2.0 * (k * k - high) * z
        + (high - band * k / quality + k * k) * z**2
    )
    response: npt.NDArray[np.complex128] = numerator / _denominator(z, k, quality)
    return response


def _high_pass(z: npt.NDArray[np.complex128], sample_rate: int) -> npt.NDArray[np.complex128]:
    frequency, quality = _HIGH_PASS
    k = np.tan(np.pi * frequency / sample_rate)
    # the standard's numerator is 1 - 2 z + z², not divided by the leading coefficient as the
    # denominator is
    leading = 1.0 + k / quality + k * k
    response: npt.NDArray[np.complex128] = leading * (1.0 - z) ** 2 / _denominator(z, k, quality)
    return response


def _denominator(
    z: npt.NDArray[np.complex128], k: float, quality: float
) -> npt.NDArray[np.complex128]:
    return (
        (1.0 + k / quality + k * k) + 2.0 * (k * k - 1.0) * z + (1.0 - k / quality + k * k) * z**2
    )
