"""Constant-Q and variable-Q transforms as layers of models, whose filters may be trained."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from unweave._core.constants import Constant
from unweave.transforms._analysis import OUTPUTS, PAD_MODES, check_choice
from unweave.transforms._cq_kernels import Bins, WindowName
from unweave.transforms._cq_plan import Plan, checked_plan
from unweave.transforms.constantq import transform
from unweave.transforms.icqt import Search, invert


class _Layer(nn.Module):
    """What both layers share: a plan, and perhaps trained filters."""

    hop_length: int

    def __init__(self, plan: Plan, bins: Bins, pad_mode: str, output: str, trainable: bool) -> None:
        super().__init__()
        check_choice("pad_mode", pad_mode, PAD_MODES)
        check_choice("output", output, OUTPUTS)
        self.pad_mode, self.output, self.trainable = pad_mode, output, trainable
        self._plan, self._bins = plan, bins
        self.kernels = nn.ParameterList()
        if trainable:
            dtype = torch.get_default_dtype()
            values = (stage.kernels.values for stage in plan.stages)
            self.kernels.extend(nn.Parameter(v.T.reshape(-1, 2, len(v)).to(dtype)) for v in values)

    def forward(self, x: Tensor) -> Tensor:
        """Give the transform of audio; see `cqt` and `vqt`.

        Args:
            x: Real audio.

        Returns:
            The transform, in the form that `output` names.

        Shape:
            x: (..., time)
            returns: (..., n_bins, frames)

        Example:
            >>> CQT(sample_rate=22050)(torch.zeros(2, 1000)).shape
            torch.Size([2, 84, 2])
        """
        kernels = tuple(kernel.flatten(0, 1).T for kernel in self.kernels)
        return transform(x, self._plan, self.pad_mode, self.output, kernels)

    def inverse(
        self,
        spec: Tensor,
        *,
        length: int | None = None,
        method: str = "least_squares",
        n_iter: int = 20,
        damping: float = 1e-3,
    ) -> Tensor:
        """Restore audio from its complex transform; see `icqt`.

        Trained filters are inverted as they are now; no gradient reaches them.

        Args:
            spec: Complex transform.
            length: Samples wanted; by default those up to the last frame.
            method: "least_squares" or "transpose".
            n_iter: Steps of the search.
            damping: Counts energy that the bins hardly see against audio.

        Returns:
            The audio.

        Raises:
            ParameterError: A parameter is out of range, or `spec` is not a complex transform.

        Shape:
            spec: (..., n_bins, frames)
            returns: (..., length)

        Example:
            >>> layer = CQT(sample_rate=22050, n_bins=24)
            >>> layer.inverse(layer(torch.zeros(2, 1000)), length=1000).shape
            torch.Size([2, 1000])
        """
        plan = self._plan
        if self.trainable:
            values = (kernel.detach().flatten(0, 1).T for kernel in self.kernels)
            pairs = zip(plan.stages, values, strict=True)
            plan = replace(
                plan, stages=tuple(replace(stage, kernels=Constant(v)) for stage, v in pairs)
            )
        search = Search(method, n_iter, damping, length)
        return invert(spec, plan, self._bins, self.hop_length, search)


class CQT(_Layer):
    """Hold the filters of a constant-Q transform, for use inside models; they may be trained.

    Trained filters start as those of `cqt`, scaled for the normalization: one parameter an octave,
    from the top, of shape (bins, 2, samples): real and imaginary parts in time. The rate at which
    an octave is filtered, and so the resampling, stays as it is.

    Args:
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of the filters.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut.
        window: Name of the filters' window, or ("kaiser", beta).
        scale: Whether values are divided by the root of the filters' lengths.
        pad_mode: What continues the signal at its ends: "constant", "reflect" or "replicate".
        algorithm: "downsample", "direct" or "auto"; see `cqt`.
        output: "complex", "magnitude", "phase" (radians) or "power".
        normalization: "librosa", "convolutional" or "wrap"; see `cqt`.
        trainable: Whether the filters are parameters.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = CQT(sample_rate=22050, output="magnitude", trainable=True)
        >>> layer(torch.zeros(2, 22050)).shape
        torch.Size([2, 84, 44])
        >>> len(layer.kernels), layer.kernels[0].shape
        (7, torch.Size([12, 2, 256]))

    References:
        [Cheuk2020] nnAudio: an on-the-fly GPU audio to spectrogram conversion toolbox using 1D
        convolutional neural networks, IEEE Access 8.
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int = 512,
        fmin: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        tuning: float = 0.0,
        filter_scale: float = 1.0,
        norm: float | None = 1.0,
        sparsity: float = 0.01,
        window: WindowName = "hann",
        scale: bool = True,
        pad_mode: str = "constant",
        algorithm: str = "auto",
        output: str = "complex",
        normalization: str = "librosa",
        trainable: bool = False,
    ) -> None:
        bins = Bins(
            sample_rate=sample_rate,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            filter_scale=filter_scale,
            gamma=0.0,
            norm=norm,
            sparsity=sparsity,
            window=window,
        )
        plan = checked_plan(bins, hop_length, algorithm, normalization, scale)
        super().__init__(plan, bins, pad_mode, output, trainable)
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, n_bins
        self.bins_per_octave, self.fmin = bins_per_octave, bins.lowest

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> CQT(sample_rate=22050).extra_repr()
            'sample_rate=22050, hop_length=512, fmin=32.7032, n_bins=84, bins_per_octave=12'
        """
        return (
            f"sample_rate={self.sample_rate}, hop_length={self.hop_length}, fmin={self.fmin:g},"
            f" n_bins={self.n_bins}, bins_per_octave={self.bins_per_octave}"
        )


class VQT(_Layer):
    """Hold the filters of a variable-Q transform, for use inside models; they may be trained.

    Args:
        sample_rate: Of the audio, in hertz.
        hop_length: Samples from one frame to the next.
        fmin: Centre of the lowest bin in hertz; the note C1, 32.703 Hz, if not given.
        n_bins: Number of bins.
        bins_per_octave: Bins in an octave.
        gamma: Widening of all filters in hertz; None for bandwidths like the ear's.
        tuning: Shift of all bins, in bins.
        filter_scale: Factor on the lengths of the filters.
        norm: Order of the vector norm that is 1 for each filter; None leaves the windows' size.
        sparsity: Part of the sum of magnitudes of each filter's spectrum that is cut.
        window: Name of the filters' window, or ("kaiser", beta).
        scale: Whether values are divided by the root of the filters' lengths.
        pad_mode: What continues the signal at its ends: "constant", "reflect" or "replicate".
        algorithm: "downsample", "direct" or "auto"; see `cqt`.
        output: "complex", "magnitude", "phase" (radians) or "power".
        normalization: "librosa", "convolutional" or "wrap"; see `cqt`.
        trainable: Whether the filters are parameters; see `CQT`.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> VQT(sample_rate=22050, gamma=5.0)(torch.zeros(2, 22050)).shape
        torch.Size([2, 84, 44])
    """

    def __init__(
        self,
        *,
        sample_rate: float,
        hop_length: int = 512,
        fmin: float | None = None,
        n_bins: int = 84,
        bins_per_octave: int = 12,
        gamma: float | None = None,
        tuning: float = 0.0,
        filter_scale: float = 1.0,
        norm: float | None = 1.0,
        sparsity: float = 0.01,
        window: WindowName = "hann",
        scale: bool = True,
        pad_mode: str = "constant",
        algorithm: str = "auto",
        output: str = "complex",
        normalization: str = "librosa",
        trainable: bool = False,
    ) -> None:
        bins = Bins(
            sample_rate=sample_rate,
            fmin=fmin,
            n_bins=n_bins,
            bins_per_octave=bins_per_octave,
            tuning=tuning,
            filter_scale=filter_scale,
            gamma=gamma,
            norm=norm,
            sparsity=sparsity,
            window=window,
        )
        plan = checked_plan(bins, hop_length, algorithm, normalization, scale)
        super().__init__(plan, bins, pad_mode, output, trainable)
        self.sample_rate, self.hop_length, self.n_bins = sample_rate, hop_length, n_bins
        self.bins_per_octave, self.fmin, self.gamma = bins_per_octave, bins.lowest, bins.widening

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> VQT(sample_rate=22050, gamma=5.0, n_bins=12).extra_repr()
            'sample_rate=22050, hop_length=512, fmin=32.7032, n_bins=12, gamma=5'
        """
        return (
            f"sample_rate={self.sample_rate}, hop_length={self.hop_length}, fmin={self.fmin:g},"
            f" n_bins={self.n_bins}, gamma={self.gamma:g}"
        )
