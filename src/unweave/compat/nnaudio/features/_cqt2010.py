"""Constant-Q transforms that use one octave of kernels at lower and lower rates."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from unweave.compat.nnaudio._audio import announced, as_rows, check_common
from unweave.compat.nnaudio._formats import EPSILON, gain, present
from unweave.compat.nnaudio._frames import BareFrames
from unweave.compat.nnaudio._kernels import Bank, Octaves, checked_bank, octaves, split
from unweave.compat.nnaudio._octaves import OctaveTransform, downsampled
from unweave.compat.nnaudio._spectral import SpectralKernels
from unweave.compat.nnaudio._windows import WindowName
from unweave.transforms._analysis import like, single


class _CQT2010(OctaveTransform):
    """What both constant-Q transforms of 2010 have in common."""

    lenghts: Tensor
    _plan: Octaves

    def _settle(self, bank: Bank, hop_length: int, early: bool) -> None:
        """Plan the octaves of a bank, and register what does not depend on the engine."""
        plan = octaves(bank, hop_length, early)
        self._plan = plan
        self._prepare(plan, hop_length, plan.factor, plan.factor)
        self.n_bins, self.frequencies = bank.n_bins, bank.frequencies
        self.hop_length, self.downsample_factor = hop_length // plan.factor, plan.factor
        self.earlydownsample = plan.factor > 1
        self.fmin_t, self.n_fft = plan.bank.fmin, plan.bank.width
        lengths = Bank(plan.bank.sr, *_shape(bank)).lengths
        self.register_buffer("lenghts", torch.from_numpy(lengths).float())

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give both parts of the transform before normalisation."""
        rows = single(as_rows(x))
        if self.early_downsample_filter is not None:
            taps = self.early_downsample_filter.to(rows)
            rows = downsampled(rows, taps, self.downsample_factor)
        real, imag = self._bins(rows)
        return real[:, -self.n_bins :], imag[:, -self.n_bins :]

    def _gain(self, normalization_type: str, like: Tensor) -> Tensor | float:
        # The kernels of the lower rate stand for ones that are `downsample_factor` times as long.
        return gain(normalization_type, self.lenghts.to(like) * self.downsample_factor)

    def _width(self, octave: int) -> int:
        return self.n_fft


class CQT2010v2(_CQT2010):
    """Give the constant-Q transform octave by octave, as `nnAudio.features.CQT2010v2` does.

    The low-pass filters are nnAudio's: of an even length, they shift each lower octave by half a
    sample more, so that phases are not comparable with those of other transforms.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next; any number.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins.
        filter_scale: Length of the kernels: less than 1 for a finer resolution of time.
        bins_per_octave: Bins of an octave.
        norm: Unused, as in nnAudio.
        basis_norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        earlydownsample: Whether to lower the rate at once as far as the top bin allows.
        trainable: Whether the kernels are parameters. Magnitudes are then the root of the power
            plus 1e-8.
        output_format: "Magnitude"; "Complex" (real and imaginary part along a last axis) or
            "Phase" (cosine and sine of the angle along a last axis).
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT2010v2()(torch.zeros(2, 22050)).shape
        torch.Size([2, 84, 44])

    References:
        [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC.
    """

    cqt_kernels_real: Tensor
    cqt_kernels_imag: Tensor

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int | None = 84,
        filter_scale: float = 1,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float | None = 1,
        window: WindowName = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, basis_norm, window)
        self.norm, self.pad_mode = norm, pad_mode
        self.trainable, self.output_format = trainable, output_format
        with announced("CQT kernels", verbose):
            self._settle(checked_bank(bank, fmax, n_bins), hop_length, earlydownsample)
            parts = split(self._plan.bank.kernels())
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
            ParameterError: The audio is of another shape, or there is no such format or
                normalisation.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames), or (batch, n_bins, frames, 2)

        Example:
            >>> CQT2010v2(hop_length=441)(torch.zeros(22050), output_format="Complex").shape
            torch.Size([1, 84, 51, 2])
        """
        real, imag = self._parts(x)
        scale = self._gain(normalization_type, real)
        epsilon = EPSILON if self.trainable else 0.0
        wanted = output_format or self.output_format
        return like(present(real * scale, imag * scale, wanted, epsilon), x)

    def _sliding_octave(self, padded: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        hop, _ = self._hops[octave]
        signal = padded[:, None]
        real = conv1d(signal, self.cqt_kernels_real.to(padded), stride=hop)
        return real, -conv1d(signal, self.cqt_kernels_imag.to(padded), stride=hop)

    def _single_octave(self, frames: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        real = (frames @ self.cqt_kernels_real[:, 0].T.to(frames)).mT
        return real, -(frames @ self.cqt_kernels_imag[:, 0].T.to(frames)).mT


class CQT2010(SpectralKernels, _CQT2010):
    """Give the constant-Q transform octave by octave and by way of the Fourier one.

    As `nnAudio.features.CQT2010` does, whose complex numbers are the conjugates of those of the
    other transforms.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next; any number.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins.
        bins_per_octave: Bins of an octave.
        norm: Unused, as in nnAudio.
        basis_norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        trainable_STFT: Whether `wsin` and `wcos` are parameters.
        filter_scale: Length of the kernels: less than 1 for a finer resolution of time.
        trainable_CQT: Whether the kernels are parameters.
        output_format: "Magnitude"; "Complex" (real and imaginary part along a last axis) or
            "Phase" (cosine and sine of the angle along a last axis).
        earlydownsample: Whether to lower the rate at once as far as the top bin allows.
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT2010()(torch.zeros(2, 22050)).shape
        torch.Size([2, 84, 44])

    References:
        [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC.
    """

    _conjugated = True

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 32.70,
        fmax: float | None = None,
        n_bins: int | None = 84,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float | None = 1,
        window: WindowName = "hann",
        pad_mode: str = "reflect",
        trainable_STFT: bool = False,
        filter_scale: float = 1,
        trainable_CQT: bool = False,
        output_format: str = "Magnitude",
        earlydownsample: bool = True,
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, basis_norm, window)
        self.norm, self.pad_mode, self.output_format = norm, pad_mode, output_format
        with announced("CQT kernels", verbose):
            self._settle(checked_bank(bank, fmax, n_bins), hop_length, earlydownsample)
            self._hold(self._plan.bank.kernels(), trainable_STFT, trainable_CQT)
        self._framings = [BareFrames(self.n_fft, hop) for hop, per in self._hops if per == 1]

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
            ParameterError: The audio is of another shape, or there is no such format or
                normalisation.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames), or (batch, n_bins, frames, 2)

        Example:
            >>> CQT2010(hop_length=441)(torch.zeros(22050), output_format="Complex").shape
            torch.Size([1, 84, 51, 2])
        """
        real, imag = self._parts(x)
        scale = self._gain(normalization_type, real)
        if normalization_type != "convolutional":
            scale = scale / self.n_fft
        wanted = output_format or self.output_format
        return like(present(real * scale, imag * scale, wanted).contiguous(), x)

    def _sliding_octave(self, padded: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        framing = self._framings[octave]
        count = 1 + (padded.shape[-1] - self.n_fft) // framing.hop_length
        return self._sliding(padded, framing, count)

    def _single_octave(self, frames: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        return self._single(frames)


def _shape(bank: Bank) -> tuple[float, int, int, float]:
    return bank.fmin, bank.n_bins, bank.bins_per_octave, bank.filter_scale
