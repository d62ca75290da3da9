"""The one contract between networks and everything that runs them."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class SeparationNetwork(Protocol):
    """What `unweave.separation.Separator` asks of an `nn.Module`.

    A network may also declare `hop_length`, the distance in samples of its spectral frames:
    segments then start on multiples of it, so that every frame sees the same samples as in one run
    over the whole signal. Another is `sums_to_mixture`: whether its stems are all there is in a
    mixture, as those of more than one source are taken to be where it is not declared.

    Attributes:
        sample_rate: the rate in hertz at which the network works.
        sources: names of the stems, in the order of its output.
        channels: audio channels in and out.
        segment: seconds that are best given at once.

    Shape:
        `__call__`: (batch, channels, time) -> (batch, sources, channels, time), for any time.
    """

    @property
    def sample_rate(self) -> int:
        """In hertz."""
        ...

    @property
    def sources(self) -> Sequence[str]:
        """Names of the stems."""
        ...

    @property
    def channels(self) -> int:
        """Audio channels in and out."""
        ...

    @property
    def segment(self) -> float:
        """In seconds."""
        ...

    def __call__(self, mixture: Tensor, /) -> Tensor:
        """Separate a batch."""
        ...
