"""Mel-frequency cepstral coefficients: the shape of the mel spectrum in a few numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.constants import Constant
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import like, single
from unweave.transforms._bank import product
from unweave.transforms.compression import check_real
from unweave.transforms.mel import MelSpectrogram, mel_spectrogram
from unweave.transforms.melbank import Norm
from unweave.transforms.scaling import db_to_power, power_to_db


@array_function
def mfcc(
    x: Tensor,
    *,
    sample_rate: float,
    n_mfcc: int = 20,
    dct_type: int = 2,
    norm: str | None = "ortho",
    lifter: float = 0.0,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    power: float = 2.0,
    n_mels: int = 128,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    mel_norm: Norm = "slaney",
) -> Tensor:
    """Give the cosine transform of the mel spectrum in decibels, up to a few coefficients.

    With the same parameters it equals librosa's, which pads with silence by default. Levels more
    than 80 dB below the loudest of a signal count as that.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        n_mfcc: Number of coefficients, at most `n_mels`.
        dct_type: The cosine transform, 1 to 4; 2 is the usual one.
        norm: "ortho" for the orthonormal transform, None for the plain sums.
        lifter: If positive, coefficient n counts 1 + lifter / 2 * sin(pi (n + 1) / lifter) times,
            which evens out the sizes of the coefficients.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" (silence, as in
            librosa) or "replicate".
        power: Exponent of the magnitudes before they are summed.
        n_mels: Number of mel bands.
        fmin: Where the lowest band begins, in hertz.
        fmax: Where the highest band ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's.
        mel_norm: How the bands are scaled; see `mel_filter_bank`.

    Returns:
        The coefficients.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., n_mfcc, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> mfcc(tone, sample_rate=22050, n_mfcc=13).shape
        torch.Size([13, 44])

    References:
        [Davis1980] Comparison of parametric representations for monosyllabic word recognition,
        IEEE Trans. ASSP 28(4).
    """
    cepstrum = _cepstrum(n_mfcc, n_mels, dct_type, norm, lifter)
    mel = mel_spectrogram(
        single(x) if isinstance(x, Tensor) else x,
        sample_rate=sample_rate,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=center,
        pad_mode=pad_mode,
        power=power,
        n_mels=n_mels,
        fmin=fmin,
        fmax=fmax,
        htk=htk,
        norm=mel_norm,
    )
    return like(cepstrum.forward(power_to_db(mel)), x)


@array_function
def inverse_mfcc(
    coefficients: Tensor,
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: float = 1.0,
    lifter: float = 0.0,
) -> Tensor:
    """Give the mel spectrogram of cepstral coefficients, as smooth as they are few.

    With all `n_mels` coefficients it is the exact inverse of `mfcc`, but for levels more than 80 dB
    below the loudest. It equals librosa's. `inverse_mel` leads on to a spectrogram, and
    `griffinlim` to audio.

    Args:
        coefficients: Cepstral coefficients, as `mfcc` gives.
        n_mels: Number of mel bands, at least as many as the coefficients.
        dct_type: As it was for `mfcc`.
        norm: As it was for `mfcc`.
        ref: The power of 0 dB.
        lifter: As it was for `mfcc`.

    Returns:
        The mel spectrogram, of powers.

    Raises:
        ParameterError: A parameter is out of range, or the lifter had taken a coefficient away.

    Shape:
        coefficients: (..., n_mfcc, frames)
        returns: (..., n_mels, frames)

    Example:
        >>> audio = torch.randn(8000, generator=torch.Generator().manual_seed(0))
        >>> coefficients = mfcc(audio, sample_rate=16000, n_mels=40, n_mfcc=40, n_fft=512)
        >>> again = inverse_mfcc(coefficients, n_mels=40)
        >>> mel = mel_spectrogram(audio, sample_rate=16000, n_mels=40, n_fft=512)
        >>> bool(torch.allclose(again, mel, rtol=1e-3))
        True
    """
    if not isinstance(coefficients, Tensor) or coefficients.ndim < 2:
        raise ParameterError("coefficients must be of shape (..., n_mfcc, frames), as mfcc gives")
    check_real("coefficients", coefficients)
    cepstrum = _cepstrum(coefficients.shape[-2], n_mels, dct_type, norm, lifter)
    level = cepstrum.inverse(single(coefficients))
    return like(db_to_power(level, ref=ref), coefficients)


class MFCC(nn.Module):
    """Hold the parameters of `mfcc`, for use inside models; the mel spectrogram may be trained.

    Args:
        sample_rate: Of the audio, in hertz.
        n_mfcc: Number of coefficients, at most `n_mels`.
        dct_type: The cosine transform, 1 to 4.
        norm: "ortho" for the orthonormal transform, None for the plain sums.
        lifter: If positive, how coefficients are evened out; see `mfcc`.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        power: Exponent of the magnitudes before they are summed.
        n_mels: Number of mel bands.
        fmin: Where the lowest band begins, in hertz.
        fmax: Where the highest band ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's.
        mel_norm: How the bands are scaled; see `mel_filter_bank`.
        trainable_mel: Whether the bands are trained; see `MelSpectrogram`.
        trainable_STFT: True trains the windowed cosines and sines of the analysis (`wcos`, `wsin`),
            "window" only the window (`window`), which costs far less.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = MFCC(sample_rate=16000, n_mfcc=13, n_fft=512, n_mels=40)
        >>> layer(torch.zeros(2, 16000)).shape
        torch.Size([2, 13, 126])
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        n_mfcc: int = 20,
        dct_type: int = 2,
        norm: str | None = "ortho",
        lifter: float = 0.0,
        n_fft: int = 2048,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        power: float = 2.0,
        n_mels: int = 128,
        fmin: float = 0.0,
        fmax: float | None = None,
        htk: bool = False,
        mel_norm: Norm = "slaney",
        trainable_mel: bool | str = False,
        trainable_STFT: bool | str = False,
    ) -> None:
        super().__init__()
        self._cepstrum = _cepstrum(n_mfcc, n_mels, dct_type, norm, lifter)
        self.n_mfcc = n_mfcc
        self.mel = MelSpectrogram(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            win_length=win_length,
            window=window,
            center=center,
            pad_mode=pad_mode,
            power=power,
            n_mels=n_mels,
            fmin=fmin,
            fmax=fmax,
            htk=htk,
            norm=mel_norm,
            trainable_mel=trainable_mel,
            trainable_STFT=trainable_STFT,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the cepstral coefficients of audio; see `mfcc`.

        Args:
            x: Real audio.

        Returns:
            The coefficients.

        Shape:
            x: (..., time)
            returns: (..., n_mfcc, frames)

        Example:
            >>> MFCC(sample_rate=8000, n_fft=256, n_mels=20)(torch.zeros(1000)).shape
            torch.Size([20, 16])
        """
        return like(self._cepstrum.forward(power_to_db(self.mel(single(x)))), x)

    def inverse(self, coefficients: Tensor, *, ref: float = 1.0) -> Tensor:
        """Give the mel spectrogram of cepstral coefficients; see `inverse_mfcc`.

        Args:
            coefficients: Cepstral coefficients.
            ref: The power of 0 dB.

        Returns:
            The mel spectrogram, of powers.

        Shape:
            coefficients: (..., n_mfcc, frames)
            returns: (..., n_mels, frames)

        Example:
            >>> layer = MFCC(sample_rate=8000, n_fft=256, n_mels=20, n_mfcc=20)
            >>> layer.inverse(layer(torch.ones(1000))).shape
            torch.Size([20, 16])
        """
        level = self._cepstrum.inverse(single(coefficients))
        return like(db_to_power(level, ref=ref), coefficients)


@dataclass(frozen=True, eq=False)
class _Cepstrum:
    """The cosine transform from levels to a few coefficients, and back."""

    matrix: Constant  # (n_mels, n_mfcc)
    back: Constant  # (n_mfcc, n_mels)
    lost: tuple[int, ...]  # coefficients that the lifter takes away

    def forward(self, level: Tensor) -> Tensor:
        """Turn (..., n_mels, frames) into (..., n_mfcc, frames)."""
        return product(level.mT, self.matrix(level)).mT

    def inverse(self, coefficients: Tensor) -> Tensor:
        """Turn (..., n_mfcc, frames) into (..., n_mels, frames)."""
        if self.lost:
            raise ParameterError(
                f"this lifter multiplies the coefficients {self.lost} with zero, which cannot be"
                " undone: use another lifter, or lifter=0"
            )
        return product(coefficients.mT, self.back(coefficients)).mT


@lru_cache(maxsize=32)
def _cepstrum(
    n_mfcc: int, n_mels: int, dct_type: int, norm: str | None, lifter: float
) -> _Cepstrum:
    n_mfcc, n_mels = positive_int("n_mfcc", n_mfcc), positive_int("n_mels", n_mels)
    if n_mfcc > n_mels:
        raise ParameterError(f"n_mfcc={n_mfcc} must not be more than n_mels={n_mels}")
    if dct_type not in (1, 2, 3, 4) or (dct_type == 1 and n_mels == 1):
        raise ParameterError(f"dct_type={dct_type!r} must be 1, 2, 3 or 4 (1 needs n_mels > 1)")
    if norm not in ("ortho", None):
        raise ParameterError(f"norm={norm!r} must be 'ortho' or None")
    lifter = non_negative("lifter", lifter)
    with torch.inference_mode(False), torch.no_grad():
        matrix = _cosine_transform(n_mels, dct_type, norm == "ortho")
        weights = torch.ones(n_mfcc, dtype=torch.float64, device="cpu")
        if lifter > 0:
            place = torch.arange(1, 1 + n_mfcc, dtype=torch.float64, device="cpu")
            weights = 1 + lifter / 2 * torch.sin(torch.pi * place / lifter)
        lost = (weights.abs() < 1e-12).nonzero().flatten().tolist()
        back = (
            torch.linalg.inv(matrix).T[:n_mfcc] / torch.where(weights == 0, 1.0, weights)[:, None]
        )
        return _Cepstrum(
            Constant((matrix[:n_mfcc] * weights[:, None]).T.contiguous()),
            Constant(back.contiguous()),
            tuple(lost),
        )


def _cosine_transform(n: int, kind: int, orthonormal: bool) -> Tensor:
    """Give the matrix of a discrete cosine transform of n values, in float64.

    Kind 2 is y[k] = 2 sum over m of x[m] cos(pi k (2m + 1) / 2n); the others move the half steps,
    and where a cosine sits on an edge, the value there counts once instead of twice. The
    orthonormal ones divide by the length of the rows, the edges by sqrt(2) more.
    """
    steps = torch.arange(n, dtype=torch.float64, device="cpu")
    size = n - 1 if kind == 1 else n
    outer = steps[:, None] + (0.5 if kind in (3, 4) else 0.0)
    inner = steps + (0.5 if kind in (2, 4) else 0.0)
    matrix = 2 * torch.cos(torch.pi / size * outer * inner)
    edges = {1: [0, n - 1], 2: [], 3: [0], 4: []}[kind]
    matrix[:, edges] /= 2
    if orthonormal:
        matrix /= math.sqrt(2 * size)
        matrix[:, edges] *= math.sqrt(2)
        matrix[{1: [0, n - 1], 2: [0], 3: [], 4: []}[kind]] /= math.sqrt(2)
    return matrix
