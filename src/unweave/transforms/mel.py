"""Mel spectrograms: the energies of audio in bands spaced as the ear hears pitch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import analysis, check_audio, check_choice, like
from unweave.transforms._bank import bank_spectrogram
from unweave.transforms._banklayer import BankLayer
from unweave.transforms.melbank import Norm, mel_bands, mel_bank

# What keeps trained filters apart: the least share of the mel scale, of an even share.
_LEAST_SHARE = 1e-3


@array_function
def mel_spectrogram(
    x: Tensor,
    *,
    sample_rate: float,
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
    norm: Norm = "slaney",
) -> Tensor:
    """Give the energies of audio in bands that are evenly spaced on the mel scale of pitch.

    With the same parameters it equals librosa's, which pads with silence by default.

    Args:
        x: Real audio, float32 or float64; half precision is worked on in float32.
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" (silence, as in
            librosa) or "replicate".
        power: Exponent of the magnitudes before they are summed: 2 for energies, 1 for magnitudes.
        n_mels: Number of bands.
        fmin: Where the lowest band begins, in hertz.
        fmax: Where the highest band ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's; see `mel_frequencies`.
        norm: How the bands are scaled: "slaney", None, or p for a p-norm; see `mel_filter_bank`.

    Returns:
        The mel spectrogram.

    Raises:
        ParameterError: A parameter is out of range, or the signal is too short for it.

    Shape:
        x: (..., time)
        returns: (..., n_mels, frames)

    Example:
        >>> tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))
        >>> mel_spectrogram(tone, sample_rate=22050).shape
        torch.Size([128, 44])

    References:
        [Stevens1937] A scale for the measurement of the psychological magnitude pitch, JASA 8.
    """
    check_audio(x)
    plan = analysis(n_fft, hop_length, win_length, window, center, pad_mode)
    bank = mel_bank(mel_bands(sample_rate, n_fft, n_mels, fmin, fmax, htk, norm))
    return like(bank_spectrogram(x, plan, bank, check_power(power)), x)


class MelSpectrogram(BankLayer):
    """Hold the parameters of a mel spectrogram, for use inside models; some may be trained.

    Trained weights may take any value but are used as if those below zero were zero, so that no
    energy is ever negative, whatever the optimiser does. All weights are trained, those outside
    the triangles too. Trained spacing instead moves the edges of the triangles along the mel scale:
    n_mels + 1 numbers that keep the filters triangular, in order, and between fmin and fmax.

    Args:
        sample_rate: Of the audio, in hertz.
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: A name, ("kaiser", beta), or the `win_length` samples of the window; see `stft`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect", "constant" or "replicate".
        power: Exponent of the magnitudes before they are summed.
        n_mels: Number of bands.
        fmin: Where the lowest band begins, in hertz.
        fmax: Where the highest band ends, in hertz; half the sample rate if not given.
        htk: Whether the mel scale is HTK's instead of Slaney's.
        norm: How the bands are scaled; see `mel_filter_bank`.
        trainable_mel: True trains the weights (`mel_basis`), "spacing" the edges of the triangles
            (`mel_spacing`: logarithms of the gaps between them, all zero at first).
        trainable_STFT: True trains the windowed cosines and sines of the analysis (`wcos`, `wsin`),
            "window" only the window (`window`), which costs far less.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = MelSpectrogram(sample_rate=16000, n_fft=512, n_mels=40, trainable_mel=True)
        >>> layer(torch.zeros(2, 16000)).shape, list(layer.state_dict())
        (torch.Size([2, 40, 126]), ['mel_basis'])

    References:
        [Zeghidour2021] LEAF: a learnable frontend for audio classification, ICLR.
    """

    def __init__(
        self,
        *,
        sample_rate: float,
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
        norm: Norm = "slaney",
        trainable_mel: bool | str = False,
        trainable_STFT: bool | str = False,
    ) -> None:
        if isinstance(trainable_mel, str):
            check_choice("trainable_mel", trainable_mel, ("spacing",))
        self._bands = mel_bands(sample_rate, n_fft, n_mels, fmin, fmax, htk, norm)
        super().__init__(
            analysis(n_fft, hop_length, win_length, window, center, pad_mode),
            mel_bank(self._bands),
            check_power(power),
            weights="mel_basis" if trainable_mel is True else None,
            trainable_STFT=trainable_STFT,
        )
        self.sample_rate, self.n_mels = sample_rate, n_mels
        self.mel_spacing: nn.Parameter | None = None
        if trainable_mel == "spacing":
            self.mel_spacing = nn.Parameter(torch.zeros(n_mels + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Give the mel spectrogram of audio; see `mel_spectrogram`.

        Args:
            x: Real audio.

        Returns:
            The mel spectrogram.

        Shape:
            x: (..., time)
            returns: (..., n_mels, frames)

        Example:
            >>> MelSpectrogram(sample_rate=8000, n_fft=256, n_mels=20)(torch.zeros(1000)).shape
            torch.Size([20, 16])
        """
        return super().forward(x)

    def _trained_weights(self) -> Tensor | None:
        if self.mel_spacing is None:
            return super()._trained_weights()
        single = self.mel_spacing.device.type == "mps"  # which has no float64
        spacing = self.mel_spacing.to(torch.float32 if single else torch.float64)
        even = 1 / len(spacing)
        shares = even + (1 - _LEAST_SHARE) * (spacing.softmax(0) - even)
        return self._bands.weights(shares)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> MelSpectrogram(sample_rate=8000, n_fft=256, n_mels=20)
            MelSpectrogram(sample_rate=8000, n_fft=256, hop_length=64, n_mels=20, power=2)
        """
        return (
            f"sample_rate={self.sample_rate}, n_fft={self.n_fft}, hop_length={self.hop_length},"
            f" n_mels={self.n_mels}, power={self.power:g}"
        )


def check_power(power: float) -> float:
    """Return the exponent of magnitudes, or raise unless it is positive.

    Args:
        power: What the caller gave.

    Raises:
        ParameterError: It is not a positive number.

    Example:
        >>> check_power(2)
        2.0
    """
    power = non_negative("power", power)
    if power == 0:
        raise ParameterError("power=0 must be positive: 1 for magnitudes, 2 for energies")
    return power
