"""What all transforms made of short-time spectra share: the checks, the frames, the padding."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave._core.forms import is_traced, needs_plain_form
from unweave._core.fourier import Finish, analyse, in_blocks
from unweave._core.frames import Framing
from unweave._core.memory import copy
from unweave._core.windows import Window, get_window
from unweave.errors import ParameterError

PAD_MODES = ("reflect", "constant", "replicate")
OUTPUTS = ("complex", "magnitude", "phase", "power")
_REDUCED = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Analysis:
    """A checked short-time Fourier analysis: everything but the audio.

    Args:
        framing: The frames and their window.
        pad_mode: What continues the signal at its ends.
        window: The weights of a frame, of shape (n_fft,).
    """

    framing: Framing
    pad_mode: str
    window: Constant

    def spectra(
        self, x: Tensor, finish: Finish | None = None, *, window: Tensor | None = None
    ) -> Tensor:
        """Give what `finish` makes of the spectra of audio, of shape (..., freq, frames).

        Args:
            x: Audio, of shape (..., time). Half precision is worked on in float32.
            finish: Turns spectra (rows, some frames, n_fft // 2 + 1) into (rows, some frames, k).
            window: Weights of a frame that stand for those of the framing, of shape (n_fft,).
        """
        x = single(x)
        window = self.window(x) if window is None else window.to(x)
        rows, count = self.rows(x)
        out = analyse(rows, self.framing, window, count, finish=finish)
        return out.reshape(*x.shape[:-1], *out.shape[1:]).mT

    def frames(
        self, x: Tensor, work: Callable[[Tensor], Tensor], reads: tuple[Tensor, ...] = ()
    ) -> Tensor:
        """Give what `work` makes of the bare frames of audio, of shape (..., k, frames).

        Args:
            x: Audio, of shape (..., time). Half precision is worked on in float32.
            work: Turns frames (rows, some frames, n_fft) into (rows, some frames, k).
            reads: Other tensors that the work reads, which may want a gradient.
        """
        x = single(x)
        rows, count = self.rows(x)
        out = in_blocks(rows, self.framing, count, work, reads)
        return out.reshape(*x.shape[:-1], *out.shape[1:]).mT

    def rows(self, x: Tensor) -> tuple[Tensor, int]:
        """Give padded signals as rows of a table, and the number of frames of each."""
        framing, length = self.framing, x.shape[-1]
        flat = x.reshape(math.prod(x.shape[:-1]), length)
        padded = _padded(flat, framing, framing.count(length), self.pad_mode)
        # Counted anew in the words of `unfold`, which the compiler knows to be equal.
        return padded, 1 + (padded.shape[1] - framing.n_fft) // framing.hop_length if length else 0


def check_audio(x: Tensor) -> None:
    """Raise unless `x` is real audio of shape (..., time) in a floating dtype."""
    known = (torch.float32, torch.float64, *_REDUCED)
    if x.dtype not in known or x.ndim == 0:
        raise ParameterError(
            f"x of shape {tuple(x.shape)} and dtype {x.dtype} must be audio (..., time) in float32"
            " or float64: convert it, for example with .float()"
        )


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise unless `value` is one of the choices."""
    if value not in choices:
        raise ParameterError(f"{name}={value!r} must be one of {choices}")


def single(x: Tensor) -> Tensor:
    """Give half precision as float32, in which Fourier transforms run everywhere."""
    return x.float() if x.dtype in _REDUCED else x


def like(result: Tensor, x: Tensor) -> Tensor:
    """Give a real result in the half precision of the audio it came from."""
    return result.to(x.dtype) if x.dtype in _REDUCED and not result.is_complex() else result


def power(spectra: Tensor) -> Tensor:
    """Give |z|^2, with gradients that are finite everywhere."""
    squares = torch.view_as_real(spectra).square()
    if is_traced(spectra) or torch.compiler.is_compiling():
        return squares.sum(-1)
    return squares[..., 0] + squares[..., 1]  # seven times as fast as `sum` over two numbers


def magnitude(spectra: Tensor) -> Tensor:
    """Give |z|, with a gradient of zero where z is zero."""
    if is_traced(spectra) or torch.compiler.is_compiling():
        return safe_sqrt(power(spectra))
    return power(spectra).sqrt_()


def safe_sqrt(x: Tensor) -> Tensor:
    """Give the square root, with a gradient of zero instead of infinity at zero."""
    zero = x == 0
    return torch.where(zero, torch.zeros_like(x), torch.where(zero, 1.0, x).sqrt())


FINISHES: dict[str, Finish | None] = {
    "complex": None,
    "magnitude": magnitude,
    "phase": torch.angle,
    "power": power,
}


def analysis(
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    window: Window,
    center: bool,
    pad_mode: str,
) -> Analysis:
    """Check the parameters of a short-time analysis; those with a named window are kept.

    Raises:
        ParameterError: A parameter is out of range.
    """
    n_fft = positive_int("n_fft", n_fft)
    win_length = n_fft if win_length is None else positive_int("win_length", win_length)
    default = max(1, win_length // 4)
    hop_length = default if hop_length is None else positive_int("hop_length", hop_length)
    if win_length > n_fft:
        raise ParameterError(f"win_length={win_length} must not be longer than n_fft={n_fft}")
    check_choice("pad_mode", pad_mode, PAD_MODES)
    if isinstance(window, str | tuple):
        return _named(n_fft, hop_length, win_length, window, bool(center), pad_mode)
    return _build(n_fft, hop_length, win_length, window, bool(center), pad_mode)


def _build(
    n_fft: int, hop_length: int, win_length: int, window: Window, center: bool, pad_mode: str
) -> Analysis:
    with torch.inference_mode(False):  # what inference makes, training could not use
        weights = get_window(window, win_length)
        before = (n_fft - win_length) // 2
        weights = pad(weights, (before, n_fft - win_length - before))
    return Analysis(Framing(weights, hop_length, center), pad_mode, Constant(weights))


_named = lru_cache(maxsize=64)(_build)


def check_length(length: int, framing: Framing, mode: str) -> None:
    """Raise if a signal that is not empty is too short for its frames."""
    margin = framing.margin
    if not framing.center and 0 < length < framing.n_fft:
        raise ParameterError(
            f"a signal of {length} samples has no whole frame of n_fft={framing.n_fft}:"
            " use center=True, a smaller n_fft, or a longer signal"
        )
    if mode == "reflect" and 0 < length <= margin:
        raise ParameterError(
            f"a signal of {length} samples is too short to be mirrored by n_fft // 2 = {margin}"
            " samples: use pad_mode='constant', or a smaller n_fft"
        )


def _padded(rows: Tensor, framing: Framing, count: int, mode: str) -> Tensor:
    """Continue signals at both ends so that all frames are full."""
    length, margin = rows.shape[1], framing.margin
    check_length(length, framing, mode)
    if margin and length:
        rows = continued(rows, margin, mode if rows.shape[0] else "constant")
    if not framing.adds:
        return rows
    # Silence completes the frame that torch would not have.
    return pad(rows, (0, max(0, framing.span(count) - rows.shape[1])))


def continued(rows: Tensor, margin: int, mode: str) -> Tensor:
    """Continue signals at both ends by `margin` samples."""
    if mode != "reflect" or needs_plain_form(rows):
        return pad(rows, (margin, margin), mode=mode)
    # torch mirrors in several times the time that copying takes.
    length = rows.shape[1]
    out = rows.new_empty(len(rows), length + 2 * margin)
    copy(rows, out[:, margin:-margin])
    out[:, :margin] = rows[:, 1 : margin + 1].flip(1)
    out[:, -margin:] = rows[:, length - margin - 1 : length - 1].flip(1)
    return out
