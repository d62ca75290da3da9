"""Audio whose spectra, at frequencies or in a basis of any kind, are nearest to given ones.

With A from audio to spectra and D the part of the spectrum that each bin stands for, audio x is
nearest where A' D A x = A' D X. The left side takes frames, gives each back multiplied by one
matrix, and adds them up again; conjugate gradients need little more than ten such steps
[Hestenes1952], divided by the summed squared windows at every sample.

References:
    [Hestenes1952] Methods of conjugate gradients for solving linear systems, J. Res. NBS 49.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unweave._core.forms import needs_plain_form
from unweave._core.frames import Framing, add_frames, blocks, overlap_add

Work = Callable[[Tensor], Tensor]


def nearest(
    spectra: Tensor,
    framing: Framing,
    adjoint: Work,
    normal: Work,
    *,
    n_iter: int,
    reads: tuple[Tensor, ...],
) -> Tensor:
    """Give the audio, over the whole span of the frames, whose spectra are nearest.

    Args:
        spectra: Complex spectra, of shape (rows, n_frames, bins).
        framing: Place of the frames; its window must not be trained.
        adjoint: Turns spectra (rows, some frames, bins) into frames, A' D.
        normal: Turns frames (rows, some frames, n_fft) into frames, A' D A.
        n_iter: Steps of conjugate gradients.
        reads: Other tensors that both read, which may want a gradient.

    Returns:
        The audio, of shape (rows, time).
    """
    count = spectra.shape[1]
    span = framing.span(count)
    envelope = framing.envelope(count, dtype=spectra.real.dtype).to(spectra.device)
    envelope = envelope.clamp(min=framing.floor)
    rest = added(spectra, adjoint, framing, reads)[:, :span]

    def system(x: Tensor) -> Tensor:
        frames = x.unfold(1, framing.n_fft, framing.hop_length)
        return added(frames, normal, framing, reads)[:, :span]

    x = torch.zeros_like(rest)
    step = rest / envelope
    size = (rest * step).sum(1, keepdim=True)
    for _ in range(n_iter):
        moved = system(step)
        length = _ratio(size, (step * moved).sum(1, keepdim=True))
        x = x + length * step
        rest = rest - length * moved
        scaled = rest / envelope
        before, size = size, (rest * scaled).sum(1, keepdim=True)
        step = scaled + _ratio(size, before) * step
    return x


def added(items: Tensor, work: Work, framing: Framing, reads: tuple[Tensor, ...]) -> Tensor:
    """Overlap-add the frames that `work` makes of all items.

    Args:
        items: What the frames are made of, of shape (rows, n_frames, k).
        work: Turns items (rows, some frames, k) into real frames (rows, some frames, n_fft).
        framing: Place of the frames.
        reads: Other tensors that `work` reads, which may want a gradient.

    Returns:
        The sums, of shape (rows, time): at least the span of the frames.
    """
    hop, rows, count = framing.hop_length, *items.shape[:2]
    if needs_plain_form(items, *reads):
        return overlap_add(work(items), hop)
    reach = -(-framing.n_fft // hop) - 1
    out = items.real.new_zeros(rows, count + reach, hop)
    for row, frame in blocks(rows, count, framing.n_fft):
        add_frames(out[row, frame.start : frame.stop + reach], work(items[row, frame]))
    return out.flatten(1)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """Divide, giving zero where the residual is already zero."""
    none = b == 0
    return torch.where(none, torch.zeros_like(a), a / torch.where(none, torch.ones_like(b), b))
