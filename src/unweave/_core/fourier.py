"""The two linear maps behind every short-time Fourier transform: to frames' spectra and back.

Each has two forms that tests hold together: plain tensor operations, which autograd can follow, and
on the CPU, where no gradient is wanted, the same in blocks that stay in the cache. The blocks are
about twice as fast forward and four times inverse, and need no memory for the frames. What becomes
of the spectra (magnitudes, mel bands) is done block by block too, while they are in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from unweave._core.forms import is_traced, is_transformed, needs_plain_form
from unweave._core.frames import Framing, add_frames, blocks, evenly, overlap_add
from unweave._core.memory import fresh
from unweave._core.pool import share

Finish = Callable[[Tensor], Tensor]
# Frames that training would keep before the work on them is done anew for the gradient instead. If
# that is no more than an FFT, it is faster anew from an eighth of them on than out of the memory.
LIGHT_SAMPLES = 2**24
_ONNX_MATRIX = 1024  # frames up to this size may become matrix products in ONNX
_LIGHT_BLOCK = {"cpu": 2**19}  # samples of the frames made anew at once; more elsewhere


def analyse(
    padded: Tensor, framing: Framing, window: Tensor, count: int, *, finish: Finish | None = None
) -> Tensor:
    """Transform every frame of a signal, and finish the spectra.

    Args:
        padded: Signals that are at least as long as the frames reach.
        framing: Place of the frames.
        window: Weights of a frame, in the dtype and on the device of the signals.
        count: Number of frames.
        finish: Turns complex spectra of shape (rows, some frames, n_fft // 2 + 1) into what is
            wanted of them, frame by frame; it may be called for a few frames at a time, and again
            for the gradient.

    Returns:
        Complex spectra of the weighted frames, or what `finish` made of them.

    Shape:
        padded: (rows, time)
        window: (n_fft,)
        returns: (rows, n_frames, n_fft // 2 + 1)

    Example:
        >>> window = torch.ones(4)
        >>> framing = Framing(window, hop_length=2, center=False)
        >>> analyse(torch.ones(1, 6), framing, window, 2).abs()
        tensor([[[4., 0., 0.],
                 [4., 0., 0.]]])
    """

    def spectra_of(frames: Tensor) -> Tensor:
        spectra = rfft(frames * window)
        return spectra if finish is None else finish(spectra)

    return in_blocks(padded, framing, count, spectra_of, (window,), light=LIGHT_SAMPLES // 8)


def rfft(frames: Tensor, size: int | None = None) -> Tensor:
    """Transform real frames as `torch.fft.rfft` does, and exactly so in ONNX.

    onnxruntime transforms sizes that are no power of two with an error of 3e-5 and slowly; short
    frames of such sizes, common for speech, are written to ONNX as a matrix product.

    Args:
        frames: Real frames, weighted already.
        size: Samples that the frames are lengthened to by zeros; `n_fft` if not given.

    Returns:
        The complex spectra.

    Shape:
        frames: (..., n_fft)
        returns: (..., size // 2 + 1)

    Example:
        >>> rfft(torch.ones(1, 4)).abs()
        tensor([[4., 0., 0.]])
    """
    n_fft = frames.shape[-1]
    size = n_fft if size is None else size
    if size & (size - 1) == 0 or size > _ONNX_MATRIX or not torch.onnx.is_in_onnx_export():
        spectra: Tensor = torch.fft.rfft(frames, size)
        return spectra
    turns = torch.arange(n_fft)[:, None] * torch.arange(size // 2 + 1) % size
    angles = turns.to(torch.float64) * (-2 * torch.pi / size)
    return torch.complex(frames @ angles.cos().to(frames), frames @ angles.sin().to(frames))


def in_blocks(
    padded: Tensor,
    framing: Framing,
    count: int,
    work: Callable[[Tensor], Tensor],
    reads: tuple[Tensor, ...] = (),
    *,
    light: int | None = None,
) -> Tensor:
    """Do some work on all frames of a signal, a few at a time where that is faster or lighter.

    Args:
        padded: Signals that are at least as long as the frames reach.
        framing: Place of the frames.
        count: Number of frames.
        work: Turns frames of shape (rows, some frames, n_fft) into (rows, some frames, ...).
        reads: Other tensors that the work reads, which may want a gradient.
        light: Samples of frames from which on the work is done anew for the gradient, so that
            little is kept; `LIGHT_SAMPLES` if not given.

    Returns:
        What `work` makes of all frames.

    Shape:
        padded: (rows, time)
        returns: (rows, n_frames, ...)

    Example:
        >>> framing = Framing(torch.ones(4), hop_length=2, center=False)
        >>> in_blocks(torch.arange(8.0)[None], framing, 3, lambda frames: frames.sum(-1))
        tensor([[ 6., 14., 22.]])
    """
    if count == 0 or padded.shape[0] == 0:
        none = work(padded.new_zeros(1, 1, framing.n_fft))
        return none.new_empty(padded.shape[0], count, *none.shape[2:])
    if torch.compiler.is_compiling() or is_transformed():
        return work(padded.unfold(1, framing.n_fft, framing.hop_length)[:, :count])
    followed = is_traced(padded, *reads)
    light = LIGHT_SAMPLES if light is None else light
    if followed and len(padded) * count * framing.n_fft > light:
        return _remade(padded, framing, count, work)
    frames = padded.unfold(1, framing.n_fft, framing.hop_length)[:, :count]
    if followed or needs_plain_form(padded, *reads):
        return work(frames)
    first = work(frames[:1, :1])
    out = fresh(first, len(padded), count, *first.shape[2:])

    def fill(place: tuple[slice, slice]) -> None:
        out[place] = work(frames[place])

    table = list(blocks(len(padded), count, framing.n_fft))
    share(fill, table, size=len(padded) * count * framing.n_fft)
    return out


def _remade(
    padded: Tensor, framing: Framing, count: int, work: Callable[[Tensor], Tensor]
) -> Tensor:
    """Do the work in blocks that keep nothing but the signal, and do it again for the gradient.

    The signal is cut into pieces that do not overlap, so that their gradients join without a sum
    over the whole length.
    """
    block = _LIGHT_BLOCK.get(padded.device.type, 2**24)
    at_once = max(1, block // framing.n_fft)
    group = max(1, at_once // count)
    step = min(at_once, count) * framing.hop_length
    ahead = max(0, framing.n_fft - framing.hop_length)

    def segment(samples: Tensor) -> Tensor:
        return work(samples.unfold(1, framing.n_fft, framing.hop_length))

    rows = []
    for row in torch.split(padded[:, : framing.span(count)], group):
        pieces = torch.split(row, step, dim=1)
        parts = []
        for index, first in enumerate(range(0, count, at_once)):
            frames = min(at_once, count - first)
            following = pieces[index + 1 : index + 2 + ahead // step]
            samples = torch.cat(pieces[index : index + 1] + following, 1)
            samples = samples[:, : framing.span(frames)]
            parts.append(
                checkpoint(segment, samples, use_reentrant=False, preserve_rng_state=False)
            )
        rows.append(torch.cat(parts, 1))
    return torch.cat(rows)


def synthesise(
    spectra: Tensor, framing: Framing, window: Tensor, envelope: Tensor, start: int
) -> Tensor:
    """Transform spectra back to frames, weigh them, add them up and divide by the envelope.

    Args:
        spectra: Complex spectra of the frames.
        framing: Place of the frames.
        window: Weights of a frame, in the real dtype and on the device of the spectra.
        envelope: Divisor of each sample that is wanted.
        start: Place of the first sample wanted; the frames must reach the last one.

    Returns:
        The samples from `start` on, as many as the envelope has.

    Shape:
        spectra: (rows, n_frames, n_fft // 2 + 1)
        window: (n_fft,)
        envelope: (time,)
        returns: (rows, time)

    Example:
        >>> window = torch.ones(4)
        >>> framing = Framing(window, hop_length=2, center=False)
        >>> spectra = torch.tensor([[[4, 0, 0], [4, 0, 0]]], dtype=torch.complex64)
        >>> synthesise(spectra, framing, window, torch.tensor([1.0, 2.0, 2.0]), 1)
        tensor([[1., 1., 1.]])
    """
    stop = start + len(envelope)
    if needs_plain_form(spectra, window, envelope):
        frames = torch.fft.irfft(spectra, framing.n_fft) * window
        return overlap_add(frames, framing.hop_length)[:, start:stop] / envelope
    rows, count = spectra.shape[:2]
    out = fresh(window, rows, len(envelope))
    group, size = next(blocks(rows, count, framing.n_fft), (slice(1), slice(1)))

    def restore(run: tuple[slice, slice]) -> None:
        row, frame = run
        for first, ready in _samples(spectra[row], framing, window, frame, size.stop):
            low, high = max(start, first), min(stop, first + ready.shape[1])
            if low < high:
                wanted = slice(low - start, high - start)
                samples = ready[:, low - first : high - first]
                torch.div(samples, envelope[wanted], out=out[row, wanted])

    # Frames that reach into a run from before are transformed twice: at most a 16th of all.
    least = 16 * (-(-framing.n_fft // framing.hop_length) - 1)
    long = size.stop * max(1, -(-least // size.stop))
    runs = list(product(evenly(rows, group.stop), evenly(count, long)))
    share(restore, runs, size=rows * count * framing.n_fft)
    return out


def _samples(
    spectra: Tensor, framing: Framing, window: Tensor, run: slice, at_once: int
) -> Iterator[tuple[int, Tensor]]:
    """Add up the frames of a run, and give the samples that are ready after the place of the first.

    They are gone when the next ones are asked for.
    """
    rows, count = spectra.shape[:2]
    hop, reach = framing.hop_length, -(-framing.n_fft // framing.hop_length) - 1
    first = max(0, run.start - reach)
    size = next(evenly(run.stop - first, at_once + at_once // 16)).stop
    # Memory that is given back and taken anew in every block could cost more than the transforms.
    all_frames = window.new_empty(rows, size, framing.n_fft)
    all_sums = window.new_empty(rows, size + reach, hop)
    carry = window.new_zeros(rows, reach, hop)
    for begin in range(first, run.stop, size):
        some = min(size, run.stop - begin)
        frames, sums = all_frames[:, :some], all_sums[:, : some + reach]
        torch.fft.irfft(spectra[:, begin : begin + some], framing.n_fft, out=frames)
        frames.mul_(window)
        sums[:, reach:] = 0.0
        sums[:, :reach] = carry
        add_frames(sums, frames)
        # Hops that later frames still reach wait in `carry`.
        carry.copy_(sums[:, some:])
        ready = sums if begin + some == count else sums[:, :some]
        early = max(0, run.start - begin)  # hops that the run before gives
        if early < ready.shape[1]:
            yield max(begin, run.start) * hop, ready[:, early:].flatten(1)
