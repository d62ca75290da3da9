"""Changes of stems that make many songs out of few: each is drawn from a generator.

An augmentation takes stems of shape (..., sources, channels, time) and a `torch.Generator`, and
gives new stems; the new mixture is their sum. Leading axes are songs that are drawn independently.
The same generator state gives the same result on every device, if the generator is one of the CPU.

References:
    [Uhlich2017] Improving music source separation based on deep neural networks through data
    augmentation and network blending, ICASSP.
    [Jeon2024] Why does music source separation benefit from cacophony? arXiv:2402.18407.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from unweave._core.checks import non_negative
from unweave.datasets.options import Augment
from unweave.errors import ParameterError


class Augmentation(ABC):
    """What the augmentations of this package have in common.

    Args:
        p: Probability that a stem, or a song, is changed.

    Attributes:
        p: As given.
        context: How many times longer the stems must be than what is wanted of them.

    Raises:
        ParameterError: `p` is no probability.
    """

    context: float = 1.0

    def __init__(self, p: float) -> None:
        if non_negative("p", p) > 1:
            raise ParameterError(f"p={p} is a probability: from 0 to 1")
        self.p = p

    def __call__(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Give changed stems; those given stay as they are.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.

        Raises:
            ParameterError: The shape is not that of stems.

        Shape:
            stems: (..., sources, channels, time)
            returns: (..., sources, channels, time / context)
        """
        if stems.ndim < 3 or not stems.is_floating_point():
            raise ParameterError(
                f"stems of shape {tuple(stems.shape)} and dtype {stems.dtype} must be floats"
                " (..., sources, channels, time)"
            )
        return self.change(stems, generator)

    @abstractmethod
    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Do what a kind of augmentation does, with stems that were checked.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """

    def chosen(self, shape: tuple[int, ...], stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw which are changed.

        Args:
            shape: Of the draw.
            stems: The result lies on their device.
            generator: Draws.

        Returns:
            Booleans, true with probability `p`.
        """
        return uniform(shape, 0.0, 1.0, stems, generator) < self.p

    def __repr__(self) -> str:
        """Show the parameters."""
        words = ", ".join(f"{k}={v!r}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({words})"


def uniform(
    shape: tuple[int, ...], low: float, high: float, stems: Tensor, generator: torch.Generator
) -> Tensor:
    """Draw numbers evenly from an interval, on the generator's device.

    Args:
        shape: Of the draw.
        low: Where the interval begins.
        high: Where it ends.
        stems: The result has their device and dtype.
        generator: Draws.

    Returns:
        The numbers.
    """
    drawn = torch.rand(shape, generator=generator, device=generator.device)
    return (low + (high - low) * drawn).to(stems)


class Compose(Augmentation):
    """Apply augmentations one after the other.

    Args:
        *augmentations: Functions of stems and a generator; put a `Limiter` last.

    Example:
        >>> augment = Compose(Polarity(), Gain(0.25, 1.25), ChannelSwap())
        >>> stems = torch.rand(8, 4, 2, 1000)  # songs, sources, channels, time
        >>> augment(stems, torch.Generator().manual_seed(0)).shape
        torch.Size([8, 4, 2, 1000])
    """

    def __init__(self, *augmentations: Augment) -> None:
        super().__init__(1.0)
        self.augmentations = augmentations
        self.context = math.prod(float(getattr(each, "context", 1.0)) for each in augmentations)

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Apply all augmentations.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        for each in self.augmentations:
            stems = each(stems, generator)
        return stems

    def __repr__(self) -> str:
        """Show the augmentations."""
        return f"Compose({', '.join(map(repr, self.augmentations))})"


class Gain(Augmentation):
    """Change the level of each stem by a factor whose logarithm is evenly distributed.

    Args:
        low: Smallest factor.
        high: Largest factor.
        p: Probability that a stem is changed.

    Raises:
        ParameterError: The factors are not positive and in order, or `p` is no probability.

    Example:
        >>> stems = torch.ones(2, 1, 3)
        >>> louder = Gain(2.0, 4.0)(stems, torch.Generator().manual_seed(0))
        >>> bool(((louder >= 2) & (louder <= 4)).all())
        True
    """

    def __init__(self, low: float = 0.25, high: float = 1.25, p: float = 1.0) -> None:
        super().__init__(p)
        if not 0 < low <= high:
            raise ParameterError(f"low={low} and high={high} must be positive, low at most high")
        self.low, self.high = low, high

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a factor for each stem.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        shape = stems.shape[:-2]
        chosen = self.chosen(shape, stems, generator)
        low, high = math.log(self.low), math.log(self.high)
        factor = uniform(shape, low, high, stems, generator).exp()
        factor = torch.where(chosen, factor, torch.ones_like(factor))
        return stems * factor[..., None, None]


class Polarity(Augmentation):
    """Turn the sign of stems, which nobody hears but networks see.

    Args:
        p: Probability that a stem is turned.

    Raises:
        ParameterError: `p` is no probability.

    Example:
        >>> Polarity(p=1.0)(torch.ones(1, 1, 3), torch.Generator())
        tensor([[[-1., -1., -1.]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a sign for each stem.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        sign = 1 - 2 * self.chosen(stems.shape[:-2], stems, generator).to(stems.dtype)
        return stems * sign[..., None, None]


class ChannelSwap(Augmentation):
    """Reverse the order of the channels of stems: left becomes right.

    Args:
        p: Probability that a stem is reversed.

    Raises:
        ParameterError: `p` is no probability.

    Example:
        >>> ChannelSwap(p=1.0)(torch.tensor([[[0.1], [0.2]]]), torch.Generator())
        tensor([[[0.2000],
                 [0.1000]]])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw which stems are reversed.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        chosen = self.chosen(stems.shape[:-2], stems, generator)
        swapped = stems.clone()
        swapped[chosen] = stems[chosen].flip(-2)
        return swapped


class Remix(Augmentation):
    """Exchange stems among the songs of a batch: one's voice meets another's drums.

    Needs a batch; `AudioFolder(remix=...)` does the same where excerpts are drawn.

    Args:
        p: Probability that a song takes part.

    Raises:
        ParameterError: `p` is no probability.

    Example:
        >>> stems = torch.arange(6.0).reshape(3, 2, 1, 1)  # three songs of two stems
        >>> Remix()(stems, torch.Generator().manual_seed(1)).squeeze()
        tensor([[4., 3.],
                [0., 5.],
                [2., 1.]])
    """

    def __init__(self, p: float = 1.0) -> None:
        super().__init__(p)

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a permutation of the songs for each source.

        Args:
            stems: Stems of a batch of songs, maybe of many batches.
            generator: Draws.

        Returns:
            The new stems.

        Raises:
            ParameterError: There is only one song.

        Shape:
            stems: (..., songs, sources, channels, time)
            returns: (..., songs, sources, channels, time)
        """
        if stems.ndim < 4:
            raise ParameterError(
                f"stems of shape {tuple(stems.shape)} are one song: Remix needs (..., songs,"
                " sources, channels, time); AudioFolder(remix=...) mixes where it draws"
            )
        flat = stems.reshape(-1, *stems.shape[-4:])
        out = torch.empty_like(flat)
        for new, batch in zip(out, flat, strict=True):
            chosen = self.chosen((len(batch),), stems, generator).nonzero()[:, 0]
            for source in range(batch.shape[1]):
                order = torch.arange(len(batch), device=stems.device)
                shuffled = torch.randperm(len(chosen), generator=generator, device=generator.device)
                order[chosen] = chosen[shuffled.to(stems.device)]
                new[:, source] = batch[order, source]
        return out.reshape(stems.shape)
