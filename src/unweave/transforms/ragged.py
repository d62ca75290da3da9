"""Signals of different lengths in one batch, each transformed as if it came alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unweave.errors import ParameterError


def ragged(
    transform: Callable[[Tensor], Tensor], x: Tensor, *, lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Transform a batch of signals of different lengths, without the filling between them.

    What fills the shorter signals up to the longest never enters a frame: each signal is cut to
    its own length, so that its ends are padded where it ends. Signals of one length go together.

    Args:
        transform: Any function or Module from audio (..., time) to features (..., frames).
        x: Audio, each signal filled up at its end with anything.
        lengths: Samples of each signal that count, integers.

    Returns:
        The features, zero after the last frame of each signal, and the number of frames of each.

    Raises:
        ParameterError: The lengths are not one integer between 0 and the time of x for each signal.

    Shape:
        x: (batch, ..., time)
        lengths: (batch,)
        returns: (batch, ..., freq, frames) and (batch,)

    Example:
        >>> from unweave.transforms import STFT
        >>> layer = STFT(n_fft=256, output="magnitude")
        >>> batch = torch.randn(3, 1000)
        >>> spec, frames = ragged(layer, batch, lengths=torch.tensor([1000, 500, 640]))
        >>> spec.shape, frames
        (torch.Size([3, 129, 16]), tensor([16,  8, 11]))
    """
    wanted = _check(x, lengths)
    places = {size: [i for i, own in enumerate(wanted) if own == size] for size in set(wanted)}
    parts = {}
    for size, rows in sorted(places.items(), reverse=True):
        for row, features in zip(rows, transform(x[rows, ..., :size]), strict=True):
            parts[row] = features
    counts = [parts[row].shape[-1] for row in range(len(wanted))]
    filled = [
        torch.nn.functional.pad(parts[row], (0, max(counts) - count))
        for row, count in enumerate(counts)
    ]
    return torch.stack(filled), torch.tensor(counts, device=x.device)


def _check(x: Tensor, lengths: Tensor) -> list[int]:
    if x.ndim < 2 or len(x) == 0:
        raise ParameterError(
            f"x of shape {tuple(x.shape)} must be a batch (batch, ..., time) of at least one signal"
        )
    if lengths.shape != (len(x),) or lengths.is_floating_point() or lengths.is_complex():
        raise ParameterError(
            f"lengths of shape {tuple(lengths.shape)} and dtype {lengths.dtype} must hold one"
            f" integer for each of the {len(x)} signals"
        )
    wanted = [int(size) for size in lengths.tolist()]
    for row, size in enumerate(wanted):
        if not 0 <= size <= x.shape[-1]:
            raise ParameterError(
                f"lengths[{row}]={size} must lie between 0 and the {x.shape[-1]} samples of x"
            )
    return wanted
