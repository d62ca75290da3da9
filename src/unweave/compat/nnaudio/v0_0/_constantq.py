"""The constant-Q transforms of the first nnAudio: from 220 Hz on, and magnitudes alone."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.compat.nnaudio._kernels import AsManyAsFit
from unweave.compat.nnaudio._windows import WindowName
from unweave.compat.nnaudio.features import cqt
from unweave.compat.nnaudio.v0_0._settle import settle

_BINS = AsManyAsFit(84)


class CQT1992(cqt.CQT1992):
    """Give the constant-Q transform by way of the Fourier one, as the first nnAudio did.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins; by default 84, or as many as fit below the Nyquist frequency.
        bins_per_octave: Bins of an octave.
        norm: Norm that is 1 for every kernel: 1 or 2. With 0 the kernels are left as they are, and
            the result is not divided by the length of the frame.
        window: Window of the kernels, by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        output_format: "Magnitude", "Complex" or "Phase", as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT1992()(torch.zeros(2, 22050)).shape
        torch.Size([2, 68, 44])
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int | None = _BINS,
        bins_per_octave: int = 12,
        norm: float | None = 1,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        output_format: str = "Magnitude",
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            fmax=fmax,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            norm=norm,
            window=window,
            center=center,
            pad_mode=pad_mode,
            output_format=output_format,
        )
        self.kernal_width = self.kernel_width
        if verbose:
            print("CQT kernels created")
        settle(self, device)

    # The first nnAudio had one normalisation.
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Give the constant-Q transform of audio.

        Args:
            x: Audio.

        Returns:
            The transform.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames)

        Example:
            >>> CQT1992(n_bins=60)(torch.zeros(22050)).shape
            torch.Size([1, 60, 44])
        """
        shown = super().forward(x)
        return shown if self.norm or self.output_format == "Phase" else shown * self.kernel_width


class CQT1992v2(cqt.CQT1992v2):
    """Give the constant-Q transform by convolution, as the first nnAudio did.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins; by default 84, or as many as fit below the Nyquist frequency.
        bins_per_octave: Bins of an octave.
        norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        trainable: Whether the kernels are parameters, as later versions had it.
        output_format: "Magnitude", "Complex" or "Phase", as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT1992v2()(torch.zeros(2, 22050)).shape
        torch.Size([2, 68, 44])
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int | None = _BINS,
        bins_per_octave: int = 12,
        norm: float | None = 1,
        window: WindowName = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            fmax=fmax,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            norm=norm,
            window=window,
            center=center,
            pad_mode=pad_mode,
            trainable=trainable,
            verbose=verbose,
            output_format=output_format,
        )
        self.kernal_width = self.kernel_width
        settle(self, device)


CQT = CQT1992v2


class CQT2010(cqt.CQT2010):
    """Give the constant-Q transform octave by octave, as the first nnAudio did.

    The kernels are multiplied with the Fourier transform of frames.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins; by default 84, or as many as fit below the Nyquist frequency.
        bins_per_octave: Bins of an octave.
        norm: Whether the result is divided by the length of the frame.
        basis_norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        earlydownsample: Whether to lower the rate at once as far as the top bin allows.
        output_format: "Magnitude", "Complex" or "Phase", as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT2010()(torch.zeros(2, 22050)).shape
        torch.Size([2, 68, 44])
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int | None = _BINS,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float | None = 1,
        window: WindowName = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        output_format: str = "Magnitude",
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            fmax=fmax,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            norm=norm,
            basis_norm=basis_norm,
            window=window,
            pad_mode=pad_mode,
            earlydownsample=earlydownsample,
            verbose=verbose,
            output_format=output_format,
        )
        settle(self, device)

    # The first nnAudio had one normalisation.
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Give the constant-Q transform of audio.

        Args:
            x: Audio.

        Returns:
            The transform.

        Raises:
            ParameterError: The audio is too short or of another shape.

        Shape:
            x: (time), (batch, time) or (batch, 1, time)
            returns: (batch, n_bins, frames)

        Example:
            >>> CQT2010(n_bins=60)(torch.zeros(22050)).shape
            torch.Size([1, 60, 44])
        """
        shown = super().forward(x)
        return shown if self.norm or self.output_format == "Phase" else shown * self.n_fft


class CQT2010v2(cqt.CQT2010v2):
    """Give the constant-Q transform octave by octave, as the first nnAudio did.

    The kernels are multiplied with frames of the signal.

    Args:
        sr: Sample rate in Hz.
        hop_length: Samples from one frame to the next.
        fmin: Lowest frequency in Hz.
        fmax: Where the frequencies end, in Hz; decides the number of bins if given.
        n_bins: Number of bins; by default 84, or as many as fit below the Nyquist frequency.
        bins_per_octave: Bins of an octave.
        norm: Unused, as in nnAudio.
        basis_norm: Norm that is 1 for every kernel: 1 or 2; 0 for none.
        window: Window of the kernels, by its name in scipy.
        pad_mode: What continues the signal at its ends: "reflect" or "constant".
        earlydownsample: Whether to lower the rate at once as far as the top bin allows.
        trainable: Whether the kernels are parameters, as later versions had it.
        output_format: "Magnitude", "Complex" or "Phase", as later versions had it.
        verbose: Whether to print how long the kernels took.
        device: Where the layer is put.

    Raises:
        ParameterError: A parameter is out of range, or a bin is above the Nyquist frequency.

    Example:
        >>> CQT2010v2()(torch.zeros(2, 22050)).shape
        torch.Size([2, 68, 44])
    """

    def __init__(
        self,
        sr: float = 22050,
        hop_length: int = 512,
        fmin: float = 220,
        fmax: float | None = None,
        n_bins: int | None = _BINS,
        bins_per_octave: int = 12,
        norm: bool = True,
        basis_norm: float | None = 1,
        window: WindowName = "hann",
        pad_mode: str = "reflect",
        earlydownsample: bool = True,
        trainable: bool = False,
        output_format: str = "Magnitude",
        verbose: bool = False,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__(
            sr=sr,
            hop_length=hop_length,
            fmin=fmin,
            fmax=fmax,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            norm=norm,
            basis_norm=basis_norm,
            window=window,
            pad_mode=pad_mode,
            earlydownsample=earlydownsample,
            trainable=trainable,
            verbose=verbose,
            output_format=output_format,
        )
        settle(self, device)
