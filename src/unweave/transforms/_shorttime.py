"""A short-time transform at any frequencies and its inverse, behind the functions and Modules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.fourier import Finish, rfft, synthesise
from unweave._core.frames import SEEN, Framing
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import Analysis, analysis, single
from unweave.transforms._leastsquares import Work, nearest
from unweave.transforms._nonuniform import frequencies
from unweave.transforms._scale import Scale
from unweave.transforms._trainedbasis import TrainedBasis

STEPS = 30  # of conjugate gradients: 50 dB and more inside the band; the rest follows ever slower


class Basis(Protocol):
    """What frames are multiplied with, other than the bins of an FFT.

    With A from frames to spectra and D the part of the spectrum that each bin stands for.
    """

    @property
    def reads(self) -> tuple[Tensor, ...]:
        """Tensors that may want a gradient."""

    def spectra(self, frames: Tensor, window: Tensor) -> Tensor:
        """Give the complex spectra A x, (..., bins), of frames (..., n_fft)."""

    def adjoint(self, spectra: Tensor, window: Tensor) -> Tensor:
        """Give the frames A' D X."""

    def normal(self, window: Tensor) -> Work:
        """Give what turns frames x into frames A' D A x."""


@dataclass(eq=False)
class ShortTime:
    """A checked short-time transform.

    Args:
        plan: The frames, their window, and what continues the audio.
        scale: The frequencies.
        basis: What stands for the FFT, if anything does.
    """

    plan: Analysis
    scale: Scale
    basis: Basis | None

    def spectra(self, x: Tensor, finish: Finish | None, window: Tensor | None = None) -> Tensor:
        """Give what `finish` makes of the spectra of audio; see `Analysis.spectra`."""
        if self.basis is None:
            return self.plan.spectra(x, self._cut(finish), window=window)
        framing = self.plan.framing
        if isinstance(self.basis, TrainedBasis) and self.basis.slides(x, framing):
            rows, count = self.plan.rows(single(x))
            out = self.basis.slid(rows, framing, count, finish)
            return out.reshape(*x.shape[:-1], *out.shape[1:]).mT
        weights = self.weights(x, window)
        work = self.work(weights, finish)
        return self.plan.frames(x, work, (weights, *self.basis.reads))

    def work(self, weights: Tensor, finish: Finish | None) -> Work:
        """Give what turns frames into what `finish` makes of their weighted spectra."""
        basis, cut = self.basis, self._cut(finish)

        def of_fft(frames: Tensor) -> Tensor:
            spectra = rfft(frames * weights)
            return spectra if cut is None else cut(spectra)

        def of_basis(frames: Tensor) -> Tensor:
            spectra = frames if basis is None else basis.spectra(frames, weights)
            return spectra if finish is None else finish(spectra)

        return of_fft if basis is None else of_basis

    def _cut(self, finish: Finish | None) -> Finish | None:
        """Leave out bins that are not wanted."""
        bins = self.scale.bins
        if bins == self.scale.n_fft // 2 + 1:
            return finish
        return lambda spectra: (finish or torch.clone)(spectra[..., :bins])

    def inverse(
        self, spec: Tensor, length: int | None, n_iter: int = STEPS, window: Tensor | None = None
    ) -> Tensor:
        """Restore audio; a window that is trained is given beside the plan of its first values."""
        check_bins(spec.shape[-2], self.scale)
        framing, count = self.plan.framing, spec.shape[-1]
        length = wanted_length(framing, count, length)
        if spec.numel() == 0:
            return spec.real.new_zeros(*spec.shape[:-2], length)
        rows = spec.mT.reshape(-1, count, spec.shape[-2])
        weights = self.weights(spec, window)
        start = framing.margin
        seen = min(length, max(0, framing.span(count) - start))
        basis = self.basis
        if basis is None:
            missing = self.scale.n_fft // 2 + 1 - self.scale.bins
            rows = pad(rows, (0, missing)) if missing else rows  # which would be copied for nothing
            envelope = divisor(framing, count, weights)[start : start + seen]
            samples = synthesise(rows, framing, weights, envelope, start)
        else:
            samples = nearest(
                rows,
                framing,
                lambda some: basis.adjoint(some, weights),
                basis.normal(weights),
                n_iter=n_iter,
                reads=(weights, *basis.reads),
            )[:, start : start + seen]
        samples = pad(samples, (0, length - seen)) if length > seen else samples
        return samples.reshape(*spec.shape[:-2], length)

    def weights(self, like: Tensor, window: Tensor | None) -> Tensor:
        """Give the window, trained or not, in the precision that `like` is worked on with."""
        if window is None:
            return self.plan.window(like)
        double = like.dtype in (torch.float64, torch.complex128)
        return window.to(like.device, torch.float64 if double else torch.float32)


def short_time(
    scale: Scale,
    hop_length: int | None,
    win_length: int | None,
    window: Window,
    center: bool,
    pad_mode: str,
) -> ShortTime:
    """Check the other parameters of a short-time transform.

    Raises:
        ParameterError: A parameter is out of range.
    """
    plan = analysis(scale.n_fft, hop_length, win_length, window, center, pad_mode)
    return ShortTime(plan, scale, None if scale.kind == "no" else frequencies(scale))


def divisor(framing: Framing, count: int, window: Tensor) -> Tensor:
    """Give what overlap-added frames are divided by, over their whole span."""
    envelope = framing.envelope(count, dtype=window.dtype, window=window)
    return envelope.clamp(min=SEEN * window.detach().square().max())


def check_spectrogram(spec: Tensor) -> None:
    """Raise unless `spec` is a complex spectrogram of shape (..., freq, frames)."""
    if spec.dtype not in (torch.complex64, torch.complex128) or spec.ndim < 2:
        raise ParameterError(
            f"spec of shape {tuple(spec.shape)} and dtype {spec.dtype} must be a complex"
            " spectrogram (..., freq, frames), as stft gives"
        )


def check_bins(given: int, scale: Scale) -> None:
    """Raise unless a spectrogram has the bins of the scale."""
    if given != scale.bins:
        all_of_them = scale.bins == scale.n_fft // 2 + 1
        made = f"n_fft={scale.n_fft} makes" if all_of_them else "freq_bins is"
        raise ParameterError(
            f"spec has {given} frequencies but {made} {scale.bins}: give the n_fft and freq_bins of"
            " the analysis"
        )


def wanted_length(framing: Framing, count: int, length: int | None) -> int:
    """Give the number of samples wanted, having made sure that the frames see them."""
    if not framing.invertible:
        raise ParameterError(
            f"hop_length={framing.hop_length} leaves samples that no window of"
            f" n_fft={framing.n_fft} sees, so the signal cannot be restored: use a shorter hop (a"
            " quarter of the window suits every window)"
        )
    if length is None:
        return max(0, framing.span(count) - 2 * framing.margin)
    if isinstance(length, bool) or not isinstance(length, int) or length < 0:
        raise ParameterError(f"length={length!r} must be an integer of at least 0")
    start = framing.margin
    if framing.center:
        before, after = framing.unseen(start, start + length, count)
        known = 0 if before else length - after
    else:
        known = framing.span(count) + framing.hop_length - 1 if count else 0
    if length > known:
        raise ParameterError(
            f"length={length} goes beyond the {known} samples that {count} frames of"
            f" hop_length={framing.hop_length} see: use length={known} or less, or compute the"
            " spectrogram with stft, whose frames see the whole signal"
        )
    return length
