"""Frames of audio that arrives in blocks of any size."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.fourier import in_blocks
from unweave.errors import ParameterError
from unweave.transforms._analysis import (
    Analysis,
    check_audio,
    check_length,
    continued,
    like,
    single,
)

Work = Callable[[Tensor], Tensor]


class FrameStream:
    """Do some work on every frame of audio as soon as the whole frame has arrived.

    The frames are those of an analysis of all audio at once. What is kept is the beginning of the
    next frame, and with `center` as much as the end of the audio is continued with.

    Args:
        plan: The frames, and what continues the audio at its ends.
        work: Turns frames (rows, some frames, n_fft) into (rows, some frames, k).
    """

    def __init__(self, plan: Analysis, work: Work) -> None:
        self.plan, self.work = plan, work
        self.reset()

    def reset(self) -> None:
        """Forget all audio."""
        self._kept = torch.empty(0, 0)  # the end of the audio, as rows
        self._shape: tuple[int, ...] | None = None  # of the leading axes, once there is audio
        self._dtype = torch.float32
        self._length = 0  # of all audio so far
        self._done = 0  # frames given so far

    def push(self, x: Tensor) -> Tensor:
        """Take more audio (..., time) and give the frames (..., k, frames) that it completes."""
        self._take(x)
        framing, margin = self.plan.framing, self.plan.framing.margin
        begun = self._length > margin if self.plan.pad_mode == "reflect" else self._length > 0
        if margin and not begun:
            return self._given(0)
        count = 1 + (self._length + margin - framing.n_fft) // framing.hop_length
        return self._given(max(0, count - self._done))

    def flush(self) -> Tensor:
        """Give the frames that reach beyond the end of the audio, and start anew."""
        if self._shape is None:
            raise ParameterError("flush() needs audio: push some first")
        check_length(self._length, self.plan.framing, self.plan.pad_mode)
        count = self.plan.framing.count(self._length)
        out = self._given(count - self._done, last=True)
        self.reset()
        return out

    def _take(self, x: Tensor) -> None:
        """Add audio to what is kept."""
        check_audio(x)
        rows = single(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
        if self._shape is None:
            self._kept, self._shape, self._dtype = rows, tuple(x.shape[:-1]), x.dtype
        elif self._shape != tuple(x.shape[:-1]) or self._dtype != x.dtype:
            raise ParameterError(
                f"x of shape {tuple(x.shape)} and dtype {x.dtype} does not continue audio of shape"
                f" {(*self._shape, '...')} and dtype {self._dtype}: call flush() or reset() first"
            )
        else:
            self._kept = torch.cat([self._kept, rows], 1)
        self._length += x.shape[-1]

    def _given(self, count: int, *, last: bool = False) -> Tensor:
        """Give the next frames, which are complete but for what continues the audio."""
        plan, framing = self.plan, self.plan.framing
        hop, margin = framing.hop_length, framing.margin
        start = self._done * hop  # in the padded audio, whose sample `margin` is the first
        stop = start + framing.span(count)
        before = max(0, margin - start)
        origin = self._length - self._kept.shape[1]  # of what is kept, in the audio
        rows = self._kept
        if count and (before or (last and margin)):
            rows = continued(rows, margin, plan.pad_mode)
            origin -= margin
        rows = rows[:, start - margin - origin : stop - margin - origin]
        if rows.shape[1] < stop - start:  # the frame that is added for an unseen tail
            rows = pad(rows, (0, stop - start - rows.shape[1]))
        out = in_blocks(rows, framing, count, self.work)
        self._done += count
        self._drop()
        out = out.reshape(*(self._shape or ()), *out.shape[1:]).mT
        return like(out, torch.empty(0, dtype=self._dtype))

    def _drop(self) -> None:
        """Forget the audio that neither the next frame nor the end will need."""
        framing = self.plan.framing
        tail = self._length - (framing.margin + 1 if framing.margin else 0)
        needed = max(0, min(self._done * framing.hop_length - framing.margin, tail, self._length))
        unneeded = needed - (self._length - self._kept.shape[1])
        if unneeded > 0:
            self._kept = self._kept[:, unneeded:].clone()
