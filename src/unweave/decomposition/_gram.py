"""Inner products with the frames of a spectrogram, in double precision and little memory."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 2**17  # values of a spectrogram that are made double at a time: they stay in the cache


def inner(V: Tensor, vectors: Tensor) -> Tensor:
    """Give the inner products of every frame with some vectors.

    In single precision the energy of what remains of a frame, a difference of such products, would
    be wrong by 1e-7 of the frame's energy: too much to tell whether anything remains.

    Args:
        V: A spectrogram.
        vectors: In double precision.

    Returns:
        The products in double precision.

    Shape:
        V: (freq, frames)
        vectors: (freq, count)
        returns: (frames, count)

    Example:
        >>> inner(torch.eye(3, 4), torch.eye(3, 1, dtype=torch.float64)).flatten()
        tensor([1., 0., 0., 0.], dtype=torch.float64)
    """
    if V.dtype == torch.float64 or V.device.type != "cpu":
        return V.mT.to(torch.float64) @ vectors
    freq, frames = V.shape
    out = vectors.new_zeros(frames, vectors.shape[1])
    if V.stride(0) < V.stride(1):  # the bins of a frame lie together
        step = max(1, _BLOCK // max(1, freq))
        for start in range(0, frames, step):
            part = slice(start, start + step)
            out[part] = V.mT[part].to(torch.float64) @ vectors
        return out
    step = max(1, _BLOCK // max(1, frames))
    for start in range(0, freq, step):
        part = slice(start, start + step)
        out.addmm_(V[part].to(torch.float64).mT, vectors[part])
    return out


def energies(V: Tensor) -> Tensor:
    """Give the energy of every frame in double precision.

    Args:
        V: A spectrogram.

    Returns:
        Sums of squares.

    Shape:
        V: (freq, frames)
        returns: (frames,)

    Example:
        >>> energies(torch.full((3, 2), 2.0))
        tensor([12., 12.], dtype=torch.float64)
    """
    return _sums(V, squared=True)


def sums(V: Tensor) -> Tensor:
    """Give the sum of every frame in double precision.

    Args:
        V: A spectrogram.

    Returns:
        The sums.

    Shape:
        V: (freq, frames)
        returns: (frames,)

    Example:
        >>> sums(torch.full((3, 2), 2.0))
        tensor([6., 6.], dtype=torch.float64)
    """
    return _sums(V, squared=False)


def _sums(V: Tensor, *, squared: bool) -> Tensor:
    freq, frames = V.shape
    out = V.new_zeros(frames, dtype=torch.float64)
    if V.stride(0) < V.stride(1):  # the bins of a frame lie together
        step = max(1, _BLOCK // max(1, freq))
        for start in range(0, frames, step):
            part = V[:, start : start + step].to(torch.float64)
            out[start : start + step] = (part.square() if squared else part).sum(0)
        return out
    step = max(1, _BLOCK // max(1, frames))
    for start in range(0, freq, step):
        part = V[start : start + step].to(torch.float64)
        out += (part.square() if squared else part).sum(0)
    return out


class Frames:
    """The frames of one spectrogram as a selection of some of them sees them.

    Args:
        V: The spectrogram (freq, frames).
        gains: Of each frame, in double precision; 0 for frames that are out of the question.
        power: Energy of each frame; computed if not given.

    Attributes:
        V: The spectrogram.
        gains: Of each frame.
        energy: Of each frame times its gain.

    Example:
        >>> frames = Frames(torch.eye(3, 4), torch.ones(4).double())
        >>> frames.energy, frames.products(0)
        (tensor([1., 1., 1., 0.], dtype=torch.float64), tensor([1., 0., 0., 0.],
                dtype=torch.float64))
    """

    def __init__(self, V: Tensor, gains: Tensor, power: Tensor | None = None) -> None:
        self.V, self.gains = V, gains
        power = energies(V) if power is None else power
        self.energy = power * gains.square()

    def atom(self, index: int) -> Tensor:
        """Give one frame, times its gain, as a column in double precision.

        Args:
            index: Of the frame.

        Returns:
            Shape (freq, 1).
        """
        return self.V[:, index, None].to(torch.float64) * self.gains[index]

    def products(self, index: int) -> Tensor:
        """Give the inner products of one frame with all.

        Args:
            index: Of the frame.

        Returns:
            One product a frame.
        """
        return inner(self.V, self.atom(index))[:, 0] * self.gains

    def all_products(self) -> Tensor:
        """Give the inner products of all frames with all, in the spectrogram's precision.

        Returns:
            Shape (frames, frames): memory that grows with the square of the length.
        """
        scaled = self.V * self.gains.to(self.V.dtype)
        return scaled.mT @ scaled


class Chosen:
    """The frames chosen so far, and what they have in common with all.

    Args:
        frames: What is chosen from.
        count: How many frames are wanted at most.

    Attributes:
        indices: Of the frames chosen, in their order.

    Example:
        >>> chosen = Chosen(Frames(torch.eye(3, 4), torch.ones(4).double()), 2)
        >>> chosen.add(1)
        >>> chosen.indices, chosen.A
        ([1], tensor([[1.]], dtype=torch.float64))
    """

    def __init__(self, frames: Frames, count: int) -> None:
        self.frames, self.indices = frames, list[int]()
        self._b = frames.energy.new_zeros(len(frames.energy), count)

    @property
    def b(self) -> Tensor:
        """The products of all frames with the chosen ones: (frames, chosen)."""
        return self._b[:, : len(self.indices)]

    @property
    def A(self) -> Tensor:
        """The products of the chosen frames: (chosen, chosen)."""
        A = self.b[self.indices]
        return (A + A.mT) / 2

    def add(self, index: int) -> None:
        """Choose one more.

        Args:
            index: Of the frame.
        """
        self._b[:, len(self.indices)] = self.frames.products(index)
        self.indices.append(index)

    def drop_first(self) -> None:
        """Forget the frame that was chosen first."""
        self._b = self._b.roll(-1, 1)
        del self.indices[0]
