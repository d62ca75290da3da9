"""The two linear maps behind every short-time Fourier transform: to frames' spectra and back.

Each has two forms that tests hold together: plain tensor operations, which autograd can follow, and
on the CPU, where no gradient is wanted, the same in blocks that stay in the cache. The blocks are
about twice as fast forward and four times inverse, and need no memory for the frames.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.frames import Framing, add_frames, blocks, overlap_add


def analyse(padded: Tensor, framing: Framing, window: Tensor, count: int) -> Tensor:
    """Transform every frame of a signal.

    Args:
        padded: Signals that are at least as long as the frames reach.
        framing: Place of the frames.
        window: Weights of a frame, in the dtype and on the device of the signals.
        count: Number of frames.

    Returns:
        Complex spectra of the weighted frames.

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
    frames = padded.unfold(1, framing.n_fft, framing.hop_length)[:, :count]
    if _needs_plain_form(padded, window):
        spectra: Tensor = torch.fft.rfft(frames * window)
        return spectra
    bins = framing.n_fft // 2 + 1
    out = padded.new_empty(len(padded), count, bins, dtype=padded.dtype.to_complex())
    for row, frame in blocks(len(padded), count, framing.n_fft):
        out[row, frame] = torch.fft.rfft(frames[row, frame] * window)
    return out


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
    if _needs_plain_form(spectra, window, envelope):
        frames = torch.fft.irfft(spectra, framing.n_fft) * window
        return overlap_add(frames, framing.hop_length)[:, start:stop] / envelope
    hop, reach = framing.hop_length, -(-framing.n_fft // framing.hop_length) - 1
    rows, count = spectra.shape[:2]
    out = spectra.new_empty(rows, len(envelope), dtype=window.dtype)
    carry = window
    for row, frame in blocks(rows, count, framing.n_fft):
        frames = torch.fft.irfft(spectra[row, frame], framing.n_fft).mul_(window)
        sums = frames.new_zeros(len(frames), frames.shape[1] + reach, hop)
        if frame.start:
            sums[:, :reach] = carry
        add_frames(sums, frames)
        # Hops that later frames still reach wait in `carry`.
        carry = sums[:, sums.shape[1] - reach :]
        ready = sums if frame.stop == count else sums[:, : sums.shape[1] - reach]
        first = frame.start * hop
        low, high = max(start, first), min(stop, first + ready.shape[1] * hop)
        if low < high:
            samples = ready.flatten(1)[:, low - first : high - first]
            wanted = slice(low - start, high - start)
            out[row, wanted] = samples / envelope[wanted]
    return out


def _needs_plain_form(*tensors: Tensor) -> bool:
    if torch.compiler.is_compiling() or any(tensor.device.type != "cpu" for tensor in tensors):
        return True
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
