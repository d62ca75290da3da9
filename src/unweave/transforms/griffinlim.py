"""Audio from magnitudes alone: the phases are sought by going to audio and back [Griffin1984].

References:
    [Griffin1984] Signal estimation from modified short-time Fourier transform, IEEE Trans. ASSP.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave._core.frames import SEEN
from unweave._core.windows import Window
from unweave.errors import ParameterError
from unweave.transforms._analysis import Analysis, analysis, check_choice, like, single
from unweave.transforms._phases import Maps, Search, find_audio
from unweave.transforms._shorttime import wanted_length

_INITS = ("random", "zero")


@array_function
def griffinlim(
    magnitude: Tensor,
    *,
    n_iter: int = 32,
    n_fft: int | None = None,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "reflect",
    momentum: float = 0.99,
    init: str = "random",
    phase: Tensor | None = None,
    generator: torch.Generator | None = None,
    length: int | None = None,
    tol: float | None = None,
) -> Tensor:
    """Find audio whose spectrogram has nearly the given magnitudes.

    The absolute phase of a sound is not in its magnitudes, so the audio differs from the original
    sample by sample while it sounds alike. With momentum 0 it is the algorithm of Griffin and Lim,
    whose spectral error never rises; momentum reaches lower errors in fewer iterations.

    Each iteration needs a whole signal: without a gradient, which works signal by signal, some
    eleven times the memory of its magnitudes. With one, every iteration keeps some spectrograms.

    Args:
        magnitude: Magnitudes of a spectrogram as `stft` gives them, not negative.
        n_iter: Iterations: 32 are usual, hundreds still improve a little.
        n_fft: Samples of a frame; 2 * (freq - 1) if not given, so an odd n_fft must be given.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: The window of the analysis; see `stft`.
        center: Whether frames are centred on multiples of the hop, or start there.
        pad_mode: What continued the signal at its ends; see `stft`. Where librosa made the
            magnitudes with its defaults, it is "constant".
        momentum: How far each iteration goes beyond its result, in units of the last change: 0 is
            [Griffin1984], 0.99 [Perraudin2013]; above 1 it may not converge.
        init: The initial phases: "random", or "zero" everywhere.
        phase: Initial phases in radians instead, such as those of a mixture.
        generator: Source of the random phases; torch's own if not given.
        length: Samples of the audio that the magnitudes came from; by default up to the centre of
            the last frame with `center`, otherwise to its end.
        tol: Stop a signal when an iteration changes its spectral convergence, the relative error
            of the magnitudes, by less than this; never by default. It cannot be compiled.

    Returns:
        The audio, in the dtype of the magnitudes.

    Raises:
        ParameterError: A parameter is out of range or does not fit the magnitudes.

    Shape:
        magnitude: (..., n_fft // 2 + 1, frames)
        phase: (..., n_fft // 2 + 1, frames)
        returns: (..., length)

    Example:
        >>> from unweave.transforms import stft
        >>> tone = torch.sin(2 * torch.pi * 440 / 8000 * torch.arange(8000))
        >>> magnitude = stft(tone, n_fft=512, output="magnitude")
        >>> again = griffinlim(magnitude, length=8000, generator=torch.Generator().manual_seed(0))
        >>> error = stft(again, n_fft=512, output="magnitude") - magnitude
        >>> bool(error.norm() < 0.1 * magnitude.norm())
        True

    References:
        [Griffin1984] Signal estimation from modified short-time Fourier transform, IEEE Trans.
        ASSP 32(2).
        [Perraudin2013] A fast Griffin-Lim algorithm, WASPAA.
    """
    _check_magnitude(magnitude)
    n_fft = max(1, 2 * (magnitude.shape[-2] - 1)) if n_fft is None else n_fft
    plan = analysis(n_fft, hop_length, win_length, window, center, pad_mode)
    search = _search(n_iter, momentum, init, tol)
    start = _Start(init, phase, generator, length)
    return _restore(magnitude, plan, plan.window(single(magnitude)), search, start)


class GriffinLim(nn.Module):
    """Hold the parameters of `griffinlim`, for use behind models that predict magnitudes.

    A window given as an `nn.Parameter` is trained; there is nothing else to save or move.

    Args:
        n_fft: Samples of a frame.
        n_iter: Iterations.
        hop_length: Samples from one frame to the next; a quarter of `win_length` if not given.
        win_length: Samples of the window, which is centred in the frame; `n_fft` if not given.
        window: The window of the analysis; see `stft`.
        center: Whether frames are centred on multiples of the hop, or start there.
        pad_mode: What continued the signal at its ends: "reflect", "constant" or "replicate".
        momentum: How far each iteration goes beyond its result, in units of the last change.
        init: The initial phases: "random", or "zero" everywhere.
        tol: Stop a signal when its spectral convergence changes by less than this.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> layer = GriffinLim(n_fft=256, n_iter=8)
        >>> layer(torch.rand(2, 129, 20)).shape
        torch.Size([2, 1216])
    """

    def __init__(
        self,
        *,
        n_fft: int = 2048,
        n_iter: int = 32,
        hop_length: int | None = None,
        win_length: int | None = None,
        window: Window = "hann",
        center: bool = True,
        pad_mode: str = "reflect",
        momentum: float = 0.99,
        init: str = "random",
        tol: float | None = None,
    ) -> None:
        super().__init__()
        fixed = window.detach().clone() if isinstance(window, Tensor) else window
        self._plan = analysis(n_fft, hop_length, win_length, fixed, center, pad_mode)
        self._search = _search(n_iter, momentum, init, tol)
        self.n_fft = n_fft
        self.init = init
        self.hop_length = self._plan.framing.hop_length
        self.win_length = n_fft if win_length is None else win_length
        self.window = window if isinstance(window, nn.Parameter) else fixed

    def forward(
        self,
        magnitude: Tensor,
        *,
        phase: Tensor | None = None,
        generator: torch.Generator | None = None,
        length: int | None = None,
    ) -> Tensor:
        """Find audio whose spectrogram has nearly the given magnitudes; see `griffinlim`.

        Args:
            magnitude: Magnitudes of a spectrogram, not negative.
            phase: Initial phases in radians, instead of those that `init` names.
            generator: Source of the random phases; torch's own if not given.
            length: Samples of the audio that the magnitudes came from.

        Returns:
            The audio.

        Shape:
            magnitude: (..., n_fft // 2 + 1, frames)
            phase: (..., n_fft // 2 + 1, frames)
            returns: (..., length)

        Example:
            >>> magnitude = torch.ones(33, 10)
            >>> GriffinLim(n_fft=64, init="zero")(magnitude, length=150).shape
            torch.Size([150])
        """
        _check_magnitude(magnitude)
        window = self._plan.window(single(magnitude))
        if isinstance(self.window, nn.Parameter):
            before = (self.n_fft - self.win_length) // 2
            window = pad(self.window, (before, self.n_fft - self.win_length - before))
            window = window.to(single(magnitude))
        start = _Start(self.init, phase, generator, length)
        return _restore(magnitude, self._plan, window, self._search, start)

    def extra_repr(self) -> str:
        """Show the parameters in `print(model)`.

        Returns:
            Names and values, separated by commas.

        Example:
            >>> GriffinLim(n_fft=256)
            GriffinLim(n_fft=256, hop_length=64, win_length=256, n_iter=32, momentum=0.99)
        """
        return (
            f"n_fft={self.n_fft}, hop_length={self.hop_length}, win_length={self.win_length},"
            f" n_iter={self._search.n_iter}, momentum={self._search.momentum}"
        )


@dataclass(frozen=True, eq=False)
class _Start:
    """Where the search begins, and how long its result is."""

    init: str
    phase: Tensor | None
    generator: torch.Generator | None
    length: int | None


def _search(n_iter: int, momentum: float, init: str, tol: float | None) -> Search:
    check_choice("init", init, _INITS)
    tol = None if tol is None else non_negative("tol", tol)
    return Search(positive_int("n_iter", n_iter), non_negative("momentum", momentum), tol)


def _check(magnitude: Tensor, phase: Tensor | None, n_fft: int) -> None:
    bins = magnitude.shape[-2]
    if bins != n_fft // 2 + 1:
        raise ParameterError(
            f"magnitude has {bins} frequencies but n_fft={n_fft} makes {n_fft // 2 + 1}: give the"
            " n_fft of the analysis"
        )
    if phase is not None and (phase.shape != magnitude.shape or not phase.is_floating_point()):
        raise ParameterError(
            f"phase of shape {tuple(phase.shape)} and dtype {phase.dtype} must be radians in the"
            f" shape of the magnitude, {tuple(magnitude.shape)}"
        )


def _check_magnitude(magnitude: Tensor) -> None:
    if not magnitude.is_floating_point() or magnitude.ndim < 2:
        raise ParameterError(
            f"magnitude of shape {tuple(magnitude.shape)} and dtype {magnitude.dtype} must be a"
            " real spectrogram (..., freq, frames): take .abs() of a complex one (and give its"
            " .angle() as phase), .float() of integers"
        )


def _restore(
    magnitude: Tensor, plan: Analysis, window: Tensor, search: Search, start: _Start
) -> Tensor:
    _check(magnitude, start.phase, plan.framing.n_fft)
    maps = _maps(plan, window, magnitude.shape[-1], start.length)
    leading = magnitude.shape[:-2]
    if magnitude.numel() == 0:
        return magnitude.new_zeros(*leading, maps.length)
    goal = single(magnitude).mT
    goal = goal.reshape(math.prod(leading), *goal.shape[-2:])
    # Powers of very loud and very faint magnitudes would not fit the range of the dtype.
    scale = goal.detach().abs().amax((1, 2), keepdim=True)
    scale = torch.where(scale > 0, scale, 1.0)
    goal = (goal / scale).contiguous()
    audio = find_audio(goal, _angles(goal, start), maps, search) * scale[:, 0]
    return like(audio.reshape(*leading, maps.length), magnitude)


def _maps(plan: Analysis, window: Tensor, count: int, length: int | None) -> Maps:
    framing = plan.framing
    default = wanted_length(framing, count, None)
    length = wanted_length(framing, count, length)
    if count and framing.count(length) != count:
        raise ParameterError(
            f"length={length} has {framing.count(length)} frames of"
            f" hop_length={framing.hop_length}, but the magnitude has {count}: use a length from"
            f" {default} to {default + framing.hop_length - 1}"
        )
    start = framing.margin
    envelope = framing.envelope(count, dtype=window.dtype, window=window)[start : start + length]
    floor = SEEN * window.detach().square().max()
    return Maps(plan, window, envelope.clamp(min=floor), count, length)


def _angles(goal: Tensor, start: _Start) -> Tensor | None:
    """Give the initial phases in radians, or None where they are zero."""
    if start.phase is not None:
        return start.phase.to(goal).mT.reshape(goal.shape)
    if start.init == "zero":
        return None
    device = goal.device if start.generator is None else start.generator.device
    turns = torch.rand(goal.shape, generator=start.generator, dtype=goal.dtype, device=device)
    return turns.to(goal.device) * (2 * torch.pi)
