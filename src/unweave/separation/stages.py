"""The steps of a separation, each a generator that turns blocks of samples into blocks.

    checked ─► resampled ─► averaged runs of run_segments ─► resampled ─► completed
       │                                                                      ▲
       └──────────────────────────── Delay (the mixture) ─────────────────────┘

Every step holds no more than a few segments, whatever the length of the signal. Sums over small
blocks are left to NumPy: waking torch's threads for them costs more than they save, and many times
more on a busy machine.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, tee

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray, to_tensor
from unweave.audio import Resampler
from unweave.errors import ParameterError, UnweaveError

BLOCK = 16384
"""Frames in a piece that the cheap steps work on: few enough to stay in the processor's cache, and
for torch to work on a stereo piece in one thread."""


class Delay:
    """Holds the mixture until its stems arrive."""

    def __init__(self) -> None:
        self._blocks: deque[Tensor] = deque()
        self._frames = 0

    def __len__(self) -> int:
        return self._frames

    def append(self, block: Tensor) -> None:
        """Add a block of shape (channels, n) at the end; it is kept, not copied."""
        self._blocks.append(block)
        self._frames += block.shape[-1]

    def take(self, count: int) -> Tensor:
        """Remove the first `count` frames and return them, shape (channels, count)."""
        self._frames -= count
        parts = []
        while count > 0:
            block = self._blocks.popleft()
            parts.append(block[:, :count])
            if block.shape[-1] > count:
                self._blocks.appendleft(block[:, count:])
            count -= parts[-1].shape[-1]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


def checked(
    blocks: Iterable[Tensor | NumpyArray], *, channels: int, sample_rate: int
) -> Iterator[Tensor]:
    """Copy blocks of samples as float32, and refuse those that cannot be separated.

    Args:
        blocks: each of shape (channels, n).
        channels: what the caller said there are.
        sample_rate: in hertz, to say where in time an error lies.

    Returns:
        The blocks; none is empty.

    Raises:
        ParameterError: a block has another shape or dtype, or holds samples that are not finite.

    Example:
        >>> [block.shape for block in checked([torch.zeros(2, 3)], channels=2, sample_rate=8000)]
        [torch.Size([2, 3])]
    """
    position = 0
    for given in blocks:
        block = to_tensor(given) if isinstance(given, np.ndarray) else given
        if block.ndim != 2 or block.shape[0] != channels:
            raise ParameterError(
                f"a block of shape {tuple(block.shape)} was given: (channels, time) with"
                f" channels={channels} is expected"
            )
        if not block.is_floating_point():
            raise ParameterError(
                f"samples of {block.dtype} were given: convert them to floats between -1 and 1"
            )
        for piece in torch.split(block, BLOCK, dim=-1):
            copy = piece.detach().to("cpu", torch.float32, copy=True)
            # One sum finds a NaN or infinity anywhere; only then is it worth looking where.
            if not math.isfinite(float(copy.sum())):
                _refuse_non_finite(copy, position, sample_rate)
            position += copy.shape[-1]
            if copy.shape[-1]:
                yield copy


def _refuse_non_finite(block: Tensor, position: int, sample_rate: int) -> None:
    bad = (~torch.isfinite(block)).nonzero()
    if len(bad) == 0:  # finite samples whose sum is too large for float32
        return
    channel, frame = bad[bad[:, 1].argmin()].tolist()
    value = float(block[channel, frame])
    position += frame
    raise ParameterError(
        f"sample {position} ({position / sample_rate:.3f} s) of channel {channel} is {value}:"
        " samples must be finite numbers; repair the recording or cut that place out"
    )


def kept(blocks: Iterable[Tensor], delay: Delay) -> Iterator[Tensor]:
    """Pass blocks on and leave each in a delay line.

    Args:
        blocks: each of shape (channels, n).
        delay: where they are kept.

    Returns:
        The same blocks.
    """
    for block in blocks:
        delay.append(block)
        yield block


def resampled(blocks: Iterable[Tensor], old: int, new: int) -> Iterator[Tensor]:
    """Change the sample rate of a stream without delaying it.

    Args:
        blocks: each of shape (..., n).
        old: sample rate of the blocks in hertz.
        new: wanted sample rate in hertz.

    Returns:
        Blocks of the resampled signal; ceil(frames * new / old) frames in all.

    Example:
        >>> blocks = torch.zeros(2, 1000).split(300, dim=-1)
        >>> sum(block.shape[-1] for block in resampled(blocks, 8000, 44100))
        5513
    """
    if old == new:
        yield from blocks
        return
    step = max(1, BLOCK * old // max(old, new))
    resampler, axes = None, torch.Size()
    for block in blocks:
        if resampler is None:
            axes = block.shape[:-1]
            resampler = Resampler(old, new, axes.numel())
        for piece in torch.split(block, step, dim=-1):
            out = resampler.process(piece.reshape(axes.numel(), -1))
            if out.shape[-1]:
                yield out.reshape(*axes, -1)
    if resampler is not None:
        empty = torch.zeros(axes.numel(), 0)
        yield resampler.process(empty, last=True).reshape(*axes, -1)


def averaged(
    blocks: Iterable[Tensor],
    run: Callable[[Iterable[Tensor]], Iterator[Tensor]],
    *,
    channels: int,
    offsets: list[int],
) -> Iterator[Tensor]:
    """Average several runs over a signal, each with the signal displaced in time.

    Args:
        blocks: each of shape (channels, n).
        run: turns blocks into blocks of the result, in constant memory.
        channels: of the signal.
        offsets: samples of silence that go before the signal, one number a run.

    Returns:
        Blocks of the mean result.

    Example:
        >>> signal = torch.arange(6.0).reshape(1, 6)
        >>> torch.cat(list(averaged([signal], iter, channels=1, offsets=[0, 3])), dim=-1)
        tensor([[0., 1., 2., 3., 4., 5.]])
    """
    runs = []
    for offset, copy in zip(offsets, tee(blocks, len(offsets)), strict=True):
        silence = torch.zeros(channels, offset)
        runs.append(_recut(run(chain([silence], copy)), skip=offset))
    for parts in zip(*runs, strict=True):
        yield torch.stack(parts).mean(0)


def _recut(blocks: Iterable[Tensor], *, skip: int) -> Iterator[Tensor]:
    """Leave out the first frames and yield blocks of one length, the last one shorter."""
    parts: list[Tensor] = []
    count = 0
    for given in blocks:
        block = given[..., skip:]
        skip = max(0, skip - given.shape[-1])
        while block.shape[-1]:
            parts.append(block[..., : BLOCK - count])
            count += parts[-1].shape[-1]
            block = block[..., parts[-1].shape[-1] :]
            if count == BLOCK:
                yield torch.cat(parts, dim=-1)
                parts, count = [], 0
    if parts:
        yield torch.cat(parts, dim=-1)


def completed(
    stems: Iterable[Tensor], mixture: Delay, *, consistent: bool, residual: bool
) -> Iterator[Tensor]:
    """Cut the stems to the mixture's length and account for what they lack of it.

    Args:
        stems: blocks of shape (sources, channels, n).
        mixture: the signal they were taken from; emptied.
        consistent: share what the stems lack equally among them.
        residual: give what they lack as one more stem instead.

    Returns:
        Blocks of shape (sources, channels, n), or one source more with `residual`; fresh memory.

    Raises:
        UnweaveError: the stems are not finite.

    Example:
        >>> mixture = Delay()
        >>> mixture.append(torch.ones(1, 3))
        >>> next(completed([torch.zeros(2, 1, 4)], mixture, consistent=True, residual=False))
        tensor([[[0.5000, 0.5000, 0.5000]],
                [[0.5000, 0.5000, 0.5000]]])
    """
    for given in stems:
        for block in torch.split(given, BLOCK, dim=-1):
            count = min(block.shape[-1], len(mixture))
            if count == 0:
                continue
            parts = block[..., :count].numpy()
            with np.errstate(over="ignore", invalid="ignore"):
                rest = mixture.take(count).numpy() - parts.sum(0)
                total = rest.sum()
            if not np.isfinite(total) and not np.isfinite(rest).all():
                raise UnweaveError(
                    "the network's stems are not finite numbers: the signal is too loud for it"
                    " (scale it to peaks of 1) or its weights are damaged"
                )
            if residual:
                result = np.concatenate([parts, rest[None]])
            else:
                result = parts + rest / len(parts) if consistent else parts.copy()
            yield torch.from_numpy(result)
    assert len(mixture) == 0, "a stage lost samples"
