"""Runs a network over a signal of any length, segment by segment, in constant memory.

Segments overlap. The outer parts of an overlap are context only: there one of the two segments
is near its edge, where a network knows only one side. In the middle the segments are cross-faded:

    segment k      ───────────────────┬─────────┬─────────┐
                                      │╲        │ context │
                                      │ ╲ fade  │         │
                            ┌─────────┼──╲──────┼─────────┘
                            │ context │   ╲     │
    segment k + 1           └─────────┴─────────┴───────────────────

The fade is a + w (b - a) with a raised-cosine w rather than (1 - w) a + w b: where both segments
agree, the result is exactly theirs, so a network that only scales samples gives bit for bit what
it gives over the whole signal. At the ends of the signal segments see its real edges; the last one
is moved back so that it is as long as the others.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from unweave.errors import ParameterError

Network = Callable[[Tensor], Tensor]
SHORTEST = 4  # steps of the grid that a segment has at least


@dataclass(frozen=True, slots=True)
class SegmentLayout:
    """Where segments lie, in samples.

    Attributes:
        length: of a segment.
        stride: from the start of one segment to the start of the next.
        context: of each segment at an inner edge, used for nothing else.
        fade: length of the cross-fade between two contexts.
        grid: starts of segments are multiples of this.
    """

    length: int
    stride: int
    context: int
    fade: int
    grid: int = 1

    @property
    def overlap(self) -> int:
        """Samples that two neighbours share."""
        return self.length - self.stride


def plan_segments(length: int, *, overlap: float, grid: int = 1) -> SegmentLayout:
    """Lay out overlapping segments.

    Args:
        length: of a segment in samples.
        overlap: share of a segment that the next one repeats, 0 to 0.95.
        grid: starts of segments are multiples of this, in samples.

    Returns:
        The layout; its overlap is rounded up to what the grid allows.

    Raises:
        ParameterError: the segment is shorter than four steps of the grid.

    Example:
        >>> plan_segments(1000, overlap=0.25, grid=100)
        SegmentLayout(length=1000, stride=700, context=100, fade=100, grid=100)
    """
    if length < SHORTEST * grid:
        needed = SHORTEST * grid
        raise ParameterError(
            f"a segment of {length} samples is too short: this model needs at least {needed}"
        )
    stride = max(1, math.floor(length * (1 - overlap) / grid)) * grid
    shared = length - stride if overlap > 0 else 0
    fade = min(math.ceil(shared / 3), stride)
    return SegmentLayout(stride + shared, stride, (shared - fade) // 2, fade, grid)


def run_segments(
    blocks: Iterable[Tensor],
    network: Network,
    layout: SegmentLayout,
    *,
    minimum: int = 1,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """Run a network over a stream of samples.

    Args:
        blocks: consecutive pieces of the signal, each of shape (channels, n) with any n; they are
            copied, so their memory may be used again.
        network: maps (batch, channels, time) to (batch, ..., time).
        layout: where the segments lie.
        minimum: a shorter signal is extended with silence to this many samples, and what the
            network makes of the silence is cut off.
        batch_size: segments that are run at once.

    Returns:
        Consecutive pieces of the result, each of shape (..., n), as long together as the signal.
        They may be views of what the network returned.

    Example:
        >>> blocks = torch.arange(10.0).reshape(1, 10).split(4, dim=-1)
        >>> pieces = run_segments(blocks, lambda x: 2 * x, SegmentLayout(4, 2, 0, 1))
        >>> torch.cat(list(pieces), dim=-1)
        tensor([[ 0.,  2.,  4.,  6.,  8., 10., 12., 14., 16., 18.]])
    """
    history = _History(layout.stride)
    joiner = _Joiner(layout)
    ahead = layout.length + (batch_size - 1) * layout.stride
    start = 0
    for block in blocks:
        for piece in torch.split(block, layout.length, dim=-1):
            history.append(piece, keep_from=start - layout.stride)
            # Only a segment that does not reach the end of what is known is not the last one.
            while history.end > start + ahead:
                starts = [start + k * layout.stride for k in range(batch_size)]
                yield from joiner.join(network(history.stack(starts, layout.length)))
                start += batch_size * layout.stride
    while history.end > start + layout.length:
        yield from joiner.join(network(history.stack([start], layout.length)))
        start += layout.stride
    if history.end:
        begin = max(0, -(-(history.end - layout.length) // layout.grid) * layout.grid)
        last = history.stack([begin], history.end - begin)
        if (missing := minimum - last.shape[-1]) > 0:
            last = torch.nn.functional.pad(last, (0, missing))
        yield from joiner.close(network(last)[0], skip=start - begin, end=history.end - begin)


class _History:
    """The latest samples of a stream, addressed by their position in it."""

    def __init__(self, spare: int) -> None:
        self.begin = 0
        self.end = 0
        self._spare = spare
        self._samples = torch.empty(0, 0)

    def append(self, piece: Tensor, *, keep_from: int) -> None:
        """Add samples at the end; those before `keep_from` may be forgotten."""
        if piece.shape[-1] == 0:
            return
        count = self.end - self.begin
        if count + piece.shape[-1] > self._samples.shape[-1]:
            drop = min(max(0, keep_from - self.begin), count)
            kept = self._samples[:, drop:count]
            self.begin += drop
            count -= drop
            needed = count + piece.shape[-1]
            if needed > self._samples.shape[-1]:
                # Room to spare, so that samples are moved to the front only once in a while.
                self._samples = piece.new_empty(piece.shape[0], needed + self._spare)
            else:
                kept = kept.clone()
            if count:
                self._samples[:, :count] = kept
        self._samples[:, count : count + piece.shape[-1]] = piece
        self.end += piece.shape[-1]

    def stack(self, starts: list[int], length: int) -> Tensor:
        """Return a copy of segments, shape (len(starts), channels, length)."""
        offsets = (start - self.begin for start in starts)
        return torch.stack([self._samples[:, i : i + length] for i in offsets])


class _Joiner:
    """Cross-fades one result after the other."""

    def __init__(self, layout: SegmentLayout) -> None:
        self._layout = layout
        self._fade = raised_cosine(layout.fade)
        self._tail: Tensor | None = None

    def join(self, results: Tensor) -> Iterator[Tensor]:
        """Take results that all have a successor."""
        until = self._layout.stride + self._layout.context
        for result in results:
            body = self._enter(result, skip=0)
            yield from body
            begin = self._begin
            if until > begin:
                yield result[..., begin:until]
            self._tail = result[..., until : until + self._layout.fade].clone()

    def close(self, result: Tensor, *, skip: int, end: int) -> Iterator[Tensor]:
        """Take the last result, whose nominal start lies at `skip`, up to `end`."""
        yield from self._enter(result, skip=skip)
        yield result[..., skip + self._begin : end]

    @property
    def _begin(self) -> int:
        """Where the part of a result begins that is its own."""
        return 0 if self._tail is None else self._layout.context + self._layout.fade

    def _enter(self, result: Tensor, *, skip: int) -> Iterator[Tensor]:
        """Fade from the tail of the previous result."""
        if self._tail is not None and self._layout.fade:
            begin = skip + self._layout.context
            head = result[..., begin : begin + self._layout.fade]
            yield torch.lerp(self._tail, head, self._fade.to(head))


def raised_cosine(length: int) -> Tensor:
    """Return weights that rise from 0 to 1 along half a period of a cosine.

    Args:
        length: number of weights.

    Returns:
        float32, shape (length,); point-symmetric about 1/2, both ends left out.

    Example:
        >>> raised_cosine(3)
        tensor([0.1464, 0.5000, 0.8536])
    """
    phase = torch.arange(1, length + 1, dtype=torch.float64) / (length + 1)
    return (0.5 - 0.5 * torch.cos(math.pi * phase)).float()
