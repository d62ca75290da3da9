"""Changes the sample rate of signals and of streams (soxr, high quality)."""

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave.errors import ParameterError

Array = npt.NDArray[Any]

_LARGEST_RATIO = 256
_BLOCK = 1 << 16


class _Stream:
    """Resample (time, channels) arrays block by block to exactly ceil(n * new / orig) samples."""

    def __init__(self, orig: int, new: int, channels: int, dtype: Any) -> None:
        self._orig, self._new = orig, new
        self._stream = soxr.ResampleStream(orig, new, channels, dtype=dtype, quality="HQ")
        self._tail: Array = np.zeros((orig // new + 1, channels), dtype)
        self._consumed = 0
        self._produced = 0

    def process(self, block: Array, last: bool) -> Array:
        self._consumed += len(block)
        out: Array = self._stream.resample_chunk(block)
        if last:
            # soxr rounds the length down to half a sample: silence behind the end makes it whole
            rest = self._stream.resample_chunk(self._tail, last=True)
            out = np.concatenate([out, rest])
            out = out[: -(-self._consumed * self._new // self._orig) - self._produced]
        self._produced += len(out)
        return out


class Resampler:
    """Change the sample rate of a stream, block by block.

    The blocks that come out, joined, are what `resample` returns for the whole signal.

    Args:
        orig_rate: Sample rate of the input in Hz.
        new_rate: Sample rate of the output in Hz.
        channels: Channels of every block.

    Raises:
        ParameterError: A rate is not a positive integer, or they differ by more than 256 times.

    Example:
        >>> resampler = Resampler(44100, 48000, 2)
        >>> blocks = [resampler.process(torch.zeros(2, 22050), last=end) for end in (False, True)]
        >>> torch.cat(blocks, dim=1).shape
        torch.Size([2, 48000])
    """

    def __init__(self, orig_rate: int, new_rate: int, channels: int) -> None:
        self.orig_rate, self.new_rate = check_rates(orig_rate, new_rate)
        self.channels = positive_int("channels", channels)
        self._stream = _Stream(self.orig_rate, self.new_rate, self.channels, np.float32)
        self._ended = False

    def process(self, block: Tensor, last: bool = False) -> Tensor:
        """Resample the next block.

        Args:
            block: Samples of any number, also none.
            last: The signal ends with this block; what the filter holds back comes out.

        Returns:
            The samples that are ready, float32.

        Raises:
            ParameterError: The block has the wrong shape, or the stream has ended.

        Shape:
            (channels, time) -> (channels, new_time)
        """
        if self._ended:
            raise ParameterError("the resampler has seen its last block: make a new one")
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise ParameterError(
                f"block of shape {tuple(block.shape)} must be (channels={self.channels}, time)"
            )
        self._ended = last
        if self.orig_rate == self.new_rate:
            return block.to(torch.float32)
        samples = np.ascontiguousarray(block.detach().to("cpu", torch.float32).numpy().T)
        return torch.from_numpy(np.ascontiguousarray(self._stream.process(samples, last).T))


@array_function
def resample(audio: Tensor, orig_rate: int, new_rate: int) -> Tensor:
    """Change the sample rate of a signal.

    Band-limited interpolation by soxr at its quality HQ: the pass band is flat and aliases lie
    below -120 dB. It is not differentiable.

    Args:
        audio: Samples; float32 or float64.
        orig_rate: Sample rate of `audio` in Hz.
        new_rate: Sample rate of the result in Hz.

    Returns:
        A signal of the same kind and dtype, `ceil(time * new_rate / orig_rate)` samples long, on
        the same device. Equal rates give the input itself.

    Raises:
        ParameterError: A rate is not a positive integer, they differ by more than 256 times, or
            the dtype is not float32 or float64.

    Shape:
        (..., time) -> (..., new_time)

    Example:
        >>> resample(torch.zeros(2, 44100), 44100, 48000).shape
        torch.Size([2, 48000])
    """
    orig, new = check_rates(orig_rate, new_rate)
    if audio.dtype not in (torch.float32, torch.float64):
        raise ParameterError(f"audio of dtype {audio.dtype} must be float32 or float64")
    if audio.ndim == 0:
        raise ParameterError("audio is a single number: it must have a time axis")
    if orig == new:
        return audio
    *leading, time = audio.shape
    rows: Array = audio.detach().cpu().reshape(prod(leading), time).numpy()
    out = np.zeros((len(rows), -(-time * new // orig)), rows.dtype)
    if out.size:
        _fill(out, rows, _Stream(orig, new, len(rows), rows.dtype))
    return torch.from_numpy(out).reshape(*leading, out.shape[1]).to(audio.device)


def _fill(out: Array, rows: Array, stream: _Stream) -> None:
    done, time = 0, rows.shape[1]
    for start in range(0, time, _BLOCK):
        block = np.ascontiguousarray(rows[:, start : start + _BLOCK].T)
        part = stream.process(block, last=start + _BLOCK >= time)
        out[:, done : done + len(part)] = part.T
        done += len(part)


def check_rates(orig_rate: int, new_rate: int) -> tuple[int, int]:
    """Return both rates, or raise if they cannot be converted.

    Args:
        orig_rate: Sample rate of the input in Hz.
        new_rate: Sample rate of the output in Hz.

    Raises:
        ParameterError: A rate is not a positive integer, or they differ by more than 256 times.

    Example:
        >>> check_rates(44100, 48000)
        (44100, 48000)
    """
    orig, new = positive_int("orig_rate", orig_rate), positive_int("new_rate", new_rate)
    if max(orig, new) > _LARGEST_RATIO * min(orig, new):
        raise ParameterError(
            f"cannot resample from {orig} Hz to {new} Hz: the rates differ by more than "
            f"{_LARGEST_RATIO} times (is the file's sample rate right?)"
        )
    return orig, new
