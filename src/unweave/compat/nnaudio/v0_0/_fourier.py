"""The short-time Fourier transform and the mel spectrogram of the first nnAudio."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unweave.compat.nnaudio._formats import bands
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features import stft
from unweave.compat.nnaudio.features.mel import mel_basis
from unweave.compat.nnaudio.v0_0._settle import settle


class STFT(stft.STFT):
    """Give magnitudes of the short-time Fourier transform, as the first nnAudio did.

    Args:
        n_fft: Samples of a frame.
        freq_bins: Number of frequencies; `n_fft // 2 + 1` if not given.
        hop_length: Samples from one frame to the next.
        window: A window by its name in scipy.
        freq_scale: "no" for those of the FFT; "linear" or "log" from `fmin` to `fmax`.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        fmin: Lowest frequency in Hz; unused with freq_scale "no".
        fmax: Where the frequencies end, in Hz; unused with freq_scale "no".
        sr: Sample rate in Hz.
        trainable: Whether `wsin` and `wcos` are parameters. Magnitudes are then the root of the
            power plus 1e-8.
        output_format: "Magnitude", "Complex" or "Phase", as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> STFT(n_fft=512)(torch.zeros(2, 22050)).shape
        torch.Size([2, 257, 44])
    """

    def __init__(
        self,
        n_fft: int = 2048,
        freq_bins: int | None = None,
        hop_length: int = 512,
        window: WindowName = "hann",
        freq_scale: str = "no",
        center: bool = True,
        pad_mode: str = "reflect",
        fmin: float = 50,
        fmax: float = 6000,
        sr: float = 22050,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            n_fft=n_fft,
            freq_bins=freq_bins,
            hop_length=hop_length,
            window=window,
            freq_scale=freq_scale,
            center=center,
            pad_mode=pad_mode,
            fmin=fmin,
            fmax=fmax,
            sr=sr,
            trainable=trainable,
            output_format=output_format,
            verbose=verbose,
        )
        settle(self, device)


class MelSpectrogram(stft.STFT):
    """Give mel spectrograms, as the first nnAudio did: the Fourier basis is the layer's own.

    Args:
        sr: Sample rate in Hz.
        n_fft: Samples of a frame.
        n_mels: Number of mel bands.
        hop_length: Samples from one frame to the next.
        window: A window by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        htk: Whether the mel scale is that of HTK instead of Slaney's.
        fmin: Where the lowest band starts, in Hz.
        fmax: Where the highest band ends, in Hz; half the sample rate if not given.
        norm: 1 for bands of equal area; None for bands of height 1.
        trainable_mel: Whether `mel_basis` is a parameter.
        trainable_STFT: Whether `wsin` and `wcos` are parameters.
        power: Exponent of the magnitudes that are summed, as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> MelSpectrogram()(torch.zeros(2, 22050)).shape
        torch.Size([2, 128, 44])
    """

    mel_basis: Tensor

    def __init__(
        self,
        sr: float = 22050,
        n_fft: int = 2048,
        n_mels: int = 128,
        hop_length: int = 512,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        htk: bool = False,
        fmin: float = 0.0,
        fmax: float | None = None,
        norm: float | None = 1,
        trainable_mel: bool = False,
        trainable_STFT: bool = False,
        power: float = 2.0,
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            n_fft=n_fft,
            hop_length=hop_length,
            window=window,
            center=center,
            pad_mode=pad_mode,
            sr=sr,
            trainable=trainable_STFT,
            verbose=verbose,
        )
        self.power = power
        basis = mel_basis(sr, n_fft, n_mels, fmin, fmax, htk, norm)
        if trainable_mel:
            self.register_parameter("mel_basis", nn.Parameter(basis))
        else:
            self.register_buffer("mel_basis", basis)
        settle(self, device)

    # The first nnAudio knew no output formats.
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Give the mel spectrogram of audio.

        Args:
            x: Audio.

        Returns:
            The mel spectrogram.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_mels, frames)

        Example:
            >>> MelSpectrogram(n_fft=512, n_mels=40)(torch.zeros(1000)).shape
            torch.Size([1, 40, 2])
        """
        return bands(self, x, self.mel_basis, self.power)
