"""Where the frames of a signal lie, how well they see it, and how they add up again.

A frame is `n_fft` samples weighted by a window w; frame t starts at sample t * hop_length of the
padded signal. Overlap-added frames weighted twice by w weigh sample p by the *envelope*

    e[p] = sum over t of w[p - t * hop_length]^2

and dividing by it restores the signal [Griffin1984]. Rounding errors of the frames come out divided
by sqrt(e), so a sample counts as *seen* only where e is at least `SEEN` of the largest w^2.

References:
    [Griffin1984] Signal estimation from modified short-time Fourier transform, IEEE Trans. ASSP.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

SEEN = 3e-3  # keeps the error below -120 dB in float32, whatever the window and the length
_BLOCK_SAMPLES = 3 * 2**17  # of frames worked on at once: 1.5 MiB of float32 stay in the cache
_LEAST_SAMPLES = 2**17  # in smaller blocks, calling operations takes longer than doing them
_FEW = 4  # blocks that shorter signals are cut into, for there to be work for several threads


class Framing:
    """The frames of one transform: their size, distance, window and place.

    What only depends on these is worked out once, in plain numbers, so that the compiler meets no
    tensors where it needs sizes.

    Args:
        window: Weights of the samples of a frame, of shape (n_fft,).
        hop_length: Samples from one frame to the next.
        center: Whether frame t is centred on sample t * hop_length, or starts there.

    Example:
        >>> framing = Framing(torch.hann_window(8), hop_length=2, center=True)
        >>> framing.count(20), framing.margin
        (11, 4)
    """

    def __init__(self, window: Tensor, hop_length: int, center: bool) -> None:
        self.window = window
        self.hop_length = hop_length
        self.center = center
        self.n_fft = window.shape[0]
        self.margin = self.n_fft // 2 if center else 0  # samples the first frame reaches before
        self._overlap = -(-self.n_fft // hop_length)  # frames over a sample, at most
        power = window.detach().to("cpu", torch.float64).square()
        self.floor = SEEN * float(power.max())  # the smallest envelope that counts as seen
        steady = _cut(power, hop_length).sum(0)
        # Frames on both sides see every sample: no gap, nor near-gap, between windows.
        self.invertible = bool(steady.min() >= self.floor)
        self._power = power
        self._edges: dict[int, tuple[int, int]] = {}
        # Between two hops, a frame ends this far before the last sample at most. Where even a lone
        # frame sees that far, none is ever added, and lengths may be symbols that have no value.
        reach = self._edge(1)[1]
        self.adds = center and self.invertible and self.n_fft - self.margin + hop_length - 1 > reach
        for count in range(2, 1 + self._overlap) if self.adds and self._overlap <= 32 else ():
            self._edge(count)
        self._edge(self._overlap)

    def count(self, length: int) -> int:
        """Give the number of frames of a signal of `length` samples.

        It is that of torch and librosa, 1 + (length + 2 * margin - n_fft) // hop_length, and with
        `center` one more where otherwise no frame would see the last samples: only with hops over
        half a window, or just below that, and lengths just short of a multiple of the hop.
        """
        if length == 0:
            return 0
        count = 1 + (length + 2 * self.margin - self.n_fft) // self.hop_length
        if not self.adds:
            return count
        tail = self.unseen(self.margin, self.margin + length, count)[1]
        more: int = torch.sym_min(1, tail)  # type: ignore[no-untyped-call]
        return count + more

    def span(self, count: int) -> int:
        """Give the number of samples, padding included, that `count` frames cover."""
        return (count - 1) * self.hop_length + self.n_fft if count else 0

    def unseen(self, start: int, stop: int, count: int) -> tuple[int, int]:
        """Count the samples at either end of [start, stop) that `count` frames do not see."""
        first, reach = self._edge(int(min(count, self._overlap))) if count > 0 else (0, 0)
        reach += (count - 1) * self.hop_length
        if count <= 0 or reach <= start or first >= stop:
            return stop - start, stop - start
        # Not `max`: it would ask a symbol for its value.
        tail: int = torch.sym_max(0, stop - reach)  # type: ignore[no-untyped-call]
        return max(0, first - start), tail

    def _edge(self, count: int) -> tuple[int, int]:
        """Give the first sample that frames see, and where the view of the last frame ends."""
        if count not in self._edges:
            reach = _last_seen(self._power, self.hop_length, count, self.floor) + 1
            first = self.n_fft - 1
            first -= _last_seen(self._power.flip(0), self.hop_length, count, self.floor)
            self._edges[count] = first, reach
        return self._edges[count]

    def envelope(self, count: int, *, dtype: torch.dtype, window: Tensor | None = None) -> Tensor:
        """Give the summed squared windows over the span of `count` frames.

        With the window cut into K = ceil(n_fft / hop_length) rows of one hop, row m of the envelope
        sums the rows max(0, m - count + 1) ... min(m, K - 1): growing sums first, then the sum of
        all again and again, then shrinking sums. A window that is trained is given anew each time.
        """
        window = self.window if window is None else window
        power = window.square()
        if not power.requires_grad:
            power = power.to(dtype=torch.float64) if power.device.type == "cpu" else power
        rows = _cut(power, self.hop_length)
        size = rows.shape[0]
        if count == 0:
            return rows.new_empty(0, dtype=dtype)
        if count < size:
            padded = pad(rows, (0, 0, count - 1, count - 1))
            total = padded.unfold(0, count, 1).sum(-1).to(dtype)
        else:
            rising = rows.cumsum(0).to(dtype)
            falling = rows.flip(0).cumsum(0).flip(0).to(dtype)
            steady = rising[-1:].expand(count - size + 1, -1)
            total = torch.cat([rising[:-1], steady, falling[1:]])
        return total.flatten()[: self.span(count)]


def _cut(power: Tensor, hop_length: int) -> Tensor:
    """Cut a squared window into rows of one hop, the last filled up with zeros."""
    size = -(-len(power) // hop_length)
    return pad(power, (0, size * hop_length - len(power))).view(size, hop_length)


def _last_seen(power: Tensor, hop_length: int, count: int, floor: float) -> int:
    """Give the last sample of the last of `count` frames whose envelope reaches the floor."""
    values = power.numpy()
    sums = values.copy()
    for shift in range(hop_length, min(count * hop_length, len(values)), hop_length):
        sums[:-shift] += values[shift:]
    return int(np.flatnonzero(sums >= floor)[-1])


def overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Add frames up, each `hop_length` samples after the one before.

    Differentiable, and quick on every device because whole hops are added at once.

    Args:
        frames: Weighted frames.
        hop_length: Samples from one frame to the next.

    Returns:
        The sums, of ceil(n_fft / hop_length) - 1 + n_frames hops; only the first
        (n_frames - 1) * hop_length + n_fft samples can differ from zero.

    Shape:
        frames: (rows, n_frames, n_fft)
        returns: (rows, samples)

    Example:
        >>> overlap_add(torch.ones(1, 3, 4), 2)
        tensor([[1., 1., 2., 2., 2., 2., 1., 1.]])
    """
    rows, count, n_fft = frames.shape
    size = -(-n_fft // hop_length)
    out = frames.new_zeros(rows, count + size - 1, hop_length)
    add_frames(out, frames)
    return out.flatten(1)


def add_frames(out: Tensor, frames: Tensor) -> None:
    """Add frames in place onto sums that are cut into hops.

    Args:
        out: Sums, changed in place, of at least n_frames + ceil(n_fft / hop_length) - 1 hops.
        frames: Weighted frames; the first starts at the first hop.

    Shape:
        out: (rows, hops, hop_length)
        frames: (rows, n_frames, n_fft)

    Example:
        >>> sums = torch.zeros(1, 4, 2)
        >>> add_frames(sums, torch.ones(1, 3, 4))
        >>> sums.flatten().tolist()
        [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]
    """
    count, n_fft = frames.shape[1:]
    hop_length = out.shape[2]
    size = -(-n_fft // hop_length)
    # Rounding errors grow with the number of terms of a sum, so long sums are made of partial ones.
    group = size if size <= 16 else math.isqrt(size)
    for first in range(0, size, group):
        end = count + min(group, size - first) - 1
        sums = out if group == size else out.new_zeros(len(out), end, hop_length)
        for shift in range(min(group, size - first)):
            start = (first + shift) * hop_length
            part = frames[:, :, start : start + hop_length]
            sums[:, shift : shift + count, : part.shape[2]] += part
        if sums is not out:
            out[:, first : first + end] += sums


def blocks(rows: int, frames: int, n_fft: int) -> Iterator[tuple[slice, slice]]:
    """Cut a table of frames into pieces of about one size that stay in the processor's cache.

    The pieces do not depend on the number of threads, so neither do results, to the last bit.

    Args:
        rows: Independent signals.
        frames: Frames of each.
        n_fft: Samples of a frame.

    Yields:
        Pairs of slices, of rows and of frames, in order of rows, then of time.

    Example:
        >>> list(blocks(2, 3, 4096))
        [(slice(0, 2, None), slice(0, 3, None))]
    """
    fair = min(max(rows * frames * n_fft // _FEW, _LEAST_SAMPLES), _BLOCK_SAMPLES)
    at_once = max(1, fair // n_fft)
    for row in evenly(rows, max(1, at_once // max(frames, 1))):
        for frame in evenly(frames, at_once):
            yield row, frame


def evenly(count: int, at_once: int) -> Iterator[slice]:
    """Cut a range into pieces of about one size.

    Args:
        count: Size of the range.
        at_once: Size of a piece at most.

    Yields:
        The pieces, in order.

    Example:
        >>> list(evenly(5, 4))
        [slice(0, 3, None), slice(3, 5, None)]
    """
    pieces = -(-count // at_once)
    step = -(-count // max(pieces, 1))
    for first in range(0, count, max(step, 1)):
        yield slice(first, min(first + step, count))
