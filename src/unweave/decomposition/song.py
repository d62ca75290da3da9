"""Factors to sound for songs of any length: components block by block.

All components of a song at once need components times the memory of its spectrogram. Frames reach
no farther than half their length, though, so that a stretch of the song with a margin of a whole
frame at either side gives the very samples that the whole song would.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from unweave.decomposition.hpss import complex_spectrogram
from unweave.decomposition.resynthesis import component_spectrograms
from unweave.transforms import STFT

_AT_ONCE = 2**22  # bins of all components and channels: some 100 MB are worked in
_LEAST = 64  # frames of a block


def mean_magnitudes(mixture: Tensor, *, transform: STFT) -> Tensor:
    """Give one magnitude spectrogram for all channels: the mean of theirs.

    The magnitude of the mean would lose what has opposite phases in the channels.

    Args:
        mixture: The audio.
        transform: Makes the spectrogram; its output must be complex.

    Returns:
        The mean magnitudes.

    Shape:
        mixture: (channels, time)
        returns: (freq, frames)

    Example:
        >>> wide = torch.randn(1, 1000) * torch.tensor([[1.0], [-1.0]])
        >>> V = mean_magnitudes(wide, transform=STFT(n_fft=256))
        >>> V.shape, bool(V.min() > 0)
        (torch.Size([129, 16]), True)
    """
    total: Tensor = transform(mixture[0]).abs()
    for channel in mixture[1:]:
        total += transform(channel).abs()
    return total / len(mixture)


def component_blocks(
    W: Tensor,
    H: Tensor,
    mixture: Tensor,
    *,
    transform: STFT,
    mode: str = "mask",
    power: float = 1.0,
    groups: Tensor | list[int] | None = None,
) -> Iterator[Tensor]:
    """Give the audio of every component of a mixture in blocks, in memory that does not grow.

    Together the blocks are what `resynthesise` gives.

    Args:
        W: Templates, not negative.
        H: Activations, not negative.
        mixture: The audio that was taken apart.
        transform: What made the spectrogram that W and H explain; its frames must be centred.
        mode: "mask" or "raw"; see `component_spectrograms`.
        power: Exponent of the magnitudes whose shares are compared, with masks.
        groups: For each component the number of its source, from 0.

    Yields:
        Blocks of all components, one after the other.

    Raises:
        ParameterError: What `resynthesise` does not take.

    Shape:
        W: (freq, components)
        H: (components, frames)
        mixture: (channels, time)
        yields: (components, channels, time of the block)

    Example:
        >>> mixture, transform = torch.randn(2, 40000), STFT(n_fft=256)
        >>> V = mean_magnitudes(mixture, transform=transform)
        >>> blocks = component_blocks(V[:, :3], V[:3], mixture, transform=transform)
        >>> torch.cat(list(blocks), -1).shape
        torch.Size([3, 2, 40000])
    """
    hop, length = transform.hop_length, mixture.shape[-1]
    margin = -(-transform.n_fft // hop)  # frames
    size = max(_LEAST, _AT_ONCE // (W.shape[0] * W.shape[1] * len(mixture)))
    for first in range(0, max(1, -(-length // hop)), size):
        before = max(0, first - margin)
        start, stop = before * hop, min(length, (first + size) * hop)
        end = min(length, (first + size + margin) * hop)
        X = complex_spectrogram(mixture[:, start:end], transform)
        frames = H[:, before : before + X.shape[-1]]
        y = component_spectrograms(W, frames, X, mode=mode, power=power, groups=groups)
        sound: Tensor = transform.inverse(y, length=end - start)
        yield sound[..., first * hop - start : stop - start]


def loudest_first(W: Tensor, H: Tensor) -> Tensor:
    """Give the order of components by the energy of their models, from the largest.

    Factorisations give components in no particular order.

    Args:
        W: Templates.
        H: Activations.

    Returns:
        Indices of the components.

    Shape:
        W: (freq, components)
        H: (components, frames)
        returns: (components)

    Example:
        >>> loudest_first(torch.eye(3), torch.tensor([[1.0], [3.0], [2.0]]))
        tensor([1, 2, 0])
    """
    energy = W.double().square().sum(0) * H.double().square().sum(1)
    order: Tensor = torch.argsort(energy, descending=True, stable=True)
    return order
