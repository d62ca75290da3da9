"""Constant-Q transforms whose kernels all work at the rate of the signal."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from unweave._core.checks import positive_int
from unweave.compat.nnaudio._audio import announced, as_rows, check_common, extend
from unweave.compat.nnaudio._formats import EPSILON, gain, present
from unweave.compat.nnaudio._frames import BareFrames
from unweave.compat.nnaudio._kernels import AsManyAsFit, Bank, checked_bank, split
from unweave.compat.nnaudio._spectral import SpectralKernels
from unweave.compat.nnaudio._windows import WindowName
from unweave.transforms._analysis import like, single

_BINS = AsManyAsFit(84)


class CQT1992v2(nn.Module):
    """Give the constant-Q transform by convolution, as `nnAudio.features.CQT1992v2` does.

    On the CPU in float32 the numbers are nnAudio's to the last bit, down to the rounding noise of
    silent bins. `unweave.transforms.cqt` is many times faster and equals librosa.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins.
        bins_per_octave: Bins of an octave.
        filter_scale: Length of the kernels: less than 1 for a finer resolution of time.
        norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        trainable: Whether the kernels are parameters. Magnitudes are then the root of the power
            plus 1e-8.
        output_format: "Magnitude"; "Complex" (real and imaginary part along a last axis) or
            "Phase" (cosine and sine of the angle along a last axis).
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> layer = CQT1992v2(fmin=220, n_bins=60)
        >>> layer(torch.zeros(2, 22050)).shape
        torch.Size([2, 60, 44])

    References:
        [Brown1991] Calculation of a constant Q spectral transform, JASA 89.
    """

    lenghts: Tensor
    cqt_kernels_real: Tensor
    cqt_kernels_imag: Tensor

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int | None = 84,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        norm: float | None = 1,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, norm, window)
        bank = checked_bank(bank, fmax, n_bins)
        self.hop_length = positive_int("hop_length", hop_length)
        self.center, self.pad_mode = center, pad_mode
        self.trainable, self.output_format = trainable, output_format
        self.kernel_width = bank.width
        self.frequencies = bank.frequencies
        self.register_buffer("lenghts", torch.from_numpy(bank.lengths).float())
        with announced("CQT kernels", verbose):
            parts = split(bank.kernels())
        for name, part in zip(("cqt_kernels_real", "cqt_kernels_imag"), parts, strict=True):
            if trainable:
                self.register_parameter(name, nn.Parameter(part[:, None]))
            else:
                self.register_buffer(name, part[:, None])

    def forward(
        self,
        x: Tensor,
        output_format: str | None = None,
        normalization_type: str = "librosa",
    ) -> Tensor:
        """Give the constant-Q transform of audio.

        Args:
            x: Audio.
            output_format: "Magnitude", "Complex" or "Phase", instead of the layer's own.
            normalization_type: "librosa" (times the root of the length of the kernel),
                "convolutional" (nothing) or "wrap" (a sine of amplitude 1 gives 1).

        Returns:
            The transform.

        Raises:
            ParameterError: The audio is too short or of another shape, or there is no such format
                or normalisation.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames), or (batch, n_bins, frames, 2)

        Example:
            >>> layer = CQT1992v2(fmin=220, n_bins=60)
            >>> layer(torch.zeros(22050), output_format="Complex").shape
            torch.Size([1, 60, 44, 2])
        """
        rows = single(as_rows(x))
        if self.center:
            rows = extend(rows, self.kernel_width // 2, self.pad_mode)
        signal = rows[:, None]
        scale = gain(normalization_type, self.lenghts.to(rows))
        real = conv1d(signal, self.cqt_kernels_real.to(rows), stride=self.hop_length) * scale
        imag = -conv1d(signal, self.cqt_kernels_imag.to(rows), stride=self.hop_length) * scale
        epsilon = EPSILON if self.trainable else 0.0
        return like(present(real, imag, output_format or self.output_format, epsilon), x)


CQT = CQT1992v2


class CQT1992(SpectralKernels):
    """Give the constant-Q transform by way of the Fourier one, as `nnAudio.features.CQT1992` does.

    The Fourier basis `wsin`, `wcos` has the square of the length of the longest kernel: 1 GB with
    fmin=32.7 at 22 kHz. As long as it is not trained nor replaced, an FFT does its work.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins; by default 84, or as many as fit below the Nyquist frequency.
        trainable_STFT: Whether `wsin` and `wcos` are parameters.
        trainable_CQT: Whether the kernels are parameters.
        bins_per_octave: Bins of an octave.
        filter_scale: Length of the kernels: less than 1 for a finer resolution of time.
        output_format: "Magnitude"; "Complex" (real and imaginary part along a last axis) or
            "Phase" (cosine and sine of the angle along a last axis).
        norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT1992()(torch.zeros(2, 22050)).shape
        torch.Size([2, 68, 44])

    References:
        [Brown1992] An efficient algorithm for the calculation of a constant Q transform, JASA 92.
    """

    lenghts: Tensor

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int | None = _BINS,
        trainable_STFT: bool = False,
        trainable_CQT: bool = False,
        bins_per_octave: int = 12,
        filter_scale: float = 1,
        output_format: str = "Magnitude",
        norm: float | None = 1,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, norm, window)
        bank = checked_bank(bank, fmax, n_bins)
        self.hop_length = positive_int("hop_length", hop_length)
        self.center, self.pad_mode, self.norm = center, pad_mode, norm
        self.output_format = output_format
        self.kernel_width = bank.width
        self.frequencies = bank.frequencies
        self.bins2freq = [row * 44100 / bank.width for row in range(bank.width // 2 + 1)]
        self.register_buffer("lenghts", torch.from_numpy(bank.lengths).float())
        self._hold(bank.kernels(), trainable_STFT, trainable_CQT)
        self._framing = BareFrames(bank.width, self.hop_length)

    def forward(
        self,
        x: Tensor,
        output_format: str | None = None,
        normalization_type: str = "librosa",
    ) -> Tensor:
        """Give the constant-Q transform of audio.

        Args:
            x: Audio.
            output_format: "Magnitude", "Complex" or "Phase", instead of the layer's own.
            normalization_type: "librosa" (times the root of the length of the kernel),
                "convolutional" (times the length of the frame) or "wrap" (a sine of amplitude 1
                gives 1).

        Returns:
            The transform.

        Raises:
            ParameterError: The audio is too short or of another shape, or there is no such format
                or normalisation.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames), or (batch, n_bins, frames, 2)

        Example:
            >>> CQT1992(n_bins=60)(torch.zeros(22050), output_format="Complex").shape
            torch.Size([1, 60, 44, 2])
        """
        rows = single(as_rows(x))
        if self.center:
            rows = extend(rows, self.kernel_width // 2, self.pad_mode)
        count = 1 + (rows.shape[-1] - self.kernel_width) // self.hop_length
        real, imag = self._sliding(rows, self._framing, count)
        scale = gain(normalization_type, self.lenghts.to(rows))
        if normalization_type != "convolutional":
            scale = scale / self.kernel_width
        shown = present(real * scale, -imag * scale, output_format or self.output_format)
        return like(shown.contiguous(), x)
