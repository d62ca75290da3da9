"""The variable-Q transform, by nnAudio's name."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from unweave.compat.nnaudio._audio import announced, as_rows, check_common
from unweave.compat.nnaudio._formats import EPSILON, gain, present
from unweave.compat.nnaudio._kernels import Bank, checked_bank, octaves, split
from unweave.compat.nnaudio._octaves import OctaveTransform
from unweave.compat.nnaudio._windows import WindowName
from unweave.transforms._analysis import like, single


class VQT(OctaveTransform):
    """Give the variable-Q transform, as `nnAudio.features.VQT` does.

    Each octave has kernels of its own, `cqt_kernels_real_0` the real part of the top ones.

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
        gamma: What makes low kernels shorter, in Hz; 0 is constant Q.
        window: Window of the kernels, by its name in scipy, or ("gaussian", dB at its ends).
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        earlydownsample: Only decides which lengths and filter are stored: the rate is not lowered
            early, as nnAudio's kernels are not made for that.
        trainable: Whether the kernels are parameters. Magnitudes are then the root of the power
            plus 1e-8.
        output_format: "Magnitude"; "Complex" (real and imaginary part along a last axis) or
            "Phase" (cosine and sine of the angle along a last axis).
        verbose: Whether to print how long the kernels took.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> VQT(gamma=5)(torch.zeros(2, 22050)).shape
        torch.Size([2, 84, 44])

    References:
        [Schoerkhuber2014] A Matlab toolbox for efficient perfect reconstruction time-frequency
        transforms with log-frequency resolution, AES 53.
    """

    lenghts: Tensor

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
        gamma: float = 0,
        window: WindowName = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
    ) -> None:
        super().__init__()
        check_common(pad_mode, output_format)
        bank = Bank(sr, fmin, 0, bins_per_octave, filter_scale, basis_norm, window, gamma)
        bank = checked_bank(bank, fmax, n_bins)
        self.norm, self.basis_norm, self.pad_mode = norm, basis_norm, pad_mode
        self.trainable, self.output_format = trainable, output_format
        self.sr, self.gamma, self.hop_length = sr, gamma, hop_length
        self.n_bins, self.bins_per_octave = bank.n_bins, bins_per_octave
        self.filter_scale, self.frequencies = filter_scale, bank.frequencies
        self._factor = octaves(bank, hop_length, earlydownsample).factor
        plan = octaves(bank, hop_length, False)
        self._prepare(plan, hop_length, 1, self._factor)
        self.n_filters, self.fmin_t = plan.bank.n_bins, plan.bank.fmin
        with announced("VQT kernels", verbose):
            self._build(bank, plan.bank)

    def _build(self, bank: Bank, top: Bank) -> None:
        lengths = replace(bank, sr=bank.sr / self._factor).lengths
        self.register_buffer("lenghts", torch.from_numpy(lengths).float())
        for octave in range(self.n_octaves):
            rate, lowest = top.sr / 2**octave, top.fmin * 2**-octave
            kernels = replace(top, sr=rate, fmin=lowest).kernels()
            for name, part in zip(_names(octave), split(kernels), strict=True):
                if self.trainable:
                    self.register_parameter(name, nn.Parameter(part[:, None]))
                else:
                    self.register_buffer(name, part[:, None])
        self.n_fft = kernels.shape[1]

    def forward(
        self,
        x: Tensor,
        output_format: str | None = None,
        normalization_type: str = "librosa",
    ) -> Tensor:
        """Give the variable-Q transform of audio.

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
            >>> VQT(hop_length=441)(torch.zeros(22050), output_format="Complex").shape
            torch.Size([1, 84, 51, 2])
        """
        rows = single(as_rows(x))
        real, imag = self._bins(rows)
        real, imag = real[:, -self.n_bins :], imag[:, -self.n_bins :]
        # The stored lengths are those at the lower rate that nnAudio would have gone down to.
        scale = gain(normalization_type, self.lenghts.to(rows) * self._factor)
        epsilon = EPSILON if self.trainable else 0.0
        wanted = output_format or self.output_format
        return like(present(real * scale, imag * scale, wanted, epsilon), x)

    def _kernels(self, octave: int, like: Tensor) -> tuple[Tensor, Tensor]:
        real, imag = (getattr(self, name) for name in _names(octave))
        return real.to(like), imag.to(like)

    def _width(self, octave: int) -> int:
        width: int = getattr(self, _names(octave)[0]).shape[-1]
        return width

    def _sliding_octave(self, padded: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        real, imag = self._kernels(octave, padded)
        hop, _ = self._hops[octave]
        signal = padded[:, None]
        return conv1d(signal, real, stride=hop), -conv1d(signal, imag, stride=hop)

    def _single_octave(self, frames: Tensor, octave: int) -> tuple[Tensor, Tensor]:
        real, imag = self._kernels(octave, frames)
        return (frames @ real[:, 0].T).mT, -(frames @ imag[:, 0].T).mT


def _names(octave: int) -> tuple[str, str]:
    return f"cqt_kernels_real_{octave}", f"cqt_kernels_imag_{octave}"
