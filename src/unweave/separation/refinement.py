"""Refines a network's stems, segment by segment, with the multichannel Wiener filter."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unweave.filtering import expectation_maximization
from unweave.transforms import istft, stft

_FRAME = 0.093  # seconds: long enough for rooms, and what norbert and open-unmix take


@dataclass(frozen=True, slots=True)
class WienerRefinement:
    """Let stems of one segment agree on where in the stereo picture each of them lies.

    Every stem gets one spatial covariance a frequency, estimated from the segment; see
    `unweave.filtering.expectation_maximization`. Afterwards they sum to the mixture, or, with
    `residual`, to the mixture without what they lacked of it before, which is refined like them.

    Args:
        n_iter: iterations of the EM algorithm; 0 leaves the stems as they are.
        sample_rate: of the segments, in hertz.
        channels: filtered together; more go through in groups of as many.
        residual: whether what the stems lack of the mixture is a source of its own.
    """

    n_iter: int
    sample_rate: int
    channels: int
    residual: bool = False

    @property
    def n_fft(self) -> int:
        """Samples of a frame: the power of two that is nearest to 93 ms."""
        return int(2 ** max(4, round(math.log2(_FRAME * self.sample_rate))))

    def after(self, network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Refine whatever a network answers.

        Args:
            network: maps mixtures (batch, channels, time) to (batch, sources, channels, time).

        Returns:
            The network itself, or one that refines its answers.
        """
        if not self.n_iter:
            return network
        return lambda mixture: self(network(mixture), mixture)

    def __call__(self, stems: Tensor, mixture: Tensor) -> Tensor:
        """Refine the stems of segments.

        Args:
            stems: float32 on the CPU; not modified.
            mixture: what they were taken from.

        Returns:
            Refined stems.

        Shape:
            stems: (batch, sources, channels, time)
            mixture: (batch, channels, time)
            returns: (batch, sources, channels, time)
        """
        with torch.inference_mode():
            parts = zip(
                torch.split(stems, self.channels, 2),
                torch.split(mixture, self.channels, 1),
                strict=True,
            )
            return torch.cat([self._filtered(*part) for part in parts], 2)

    def _filtered(self, stems: Tensor, mixture: Tensor) -> Tensor:
        count = stems.shape[1]
        if self.residual:
            stems = torch.cat([stems, (mixture - stems.sum(1))[:, None]], 1)
        y, x = (stft(part, n_fft=self.n_fft, pad_mode="constant") for part in (stems, mixture))
        refined = expectation_maximization(y, x, n_iter=self.n_iter)[0][:, :count]
        return istft(refined, n_fft=self.n_fft, length=mixture.shape[-1])
