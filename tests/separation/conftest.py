"""Small networks whose right answers are known."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


class GainNet(nn.Module):
    """Scales every sample: what it gives does not depend on where segments lie."""

    def __init__(
        self,
        gains: tuple[float, ...] = (0.5, 0.25, 0.2, 0.125),
        *,
        channels: int = 2,
        sample_rate: int = 8000,
        segment: float = 0.25,
        hop_length: int = 64,
    ) -> None:
        super().__init__()
        self.sources = ("vocals", "drums", "bass", "other")[: len(gains)]
        self.channels = channels
        self.sample_rate = sample_rate
        self.segment = segment
        self.hop_length = hop_length
        self.gains = nn.Parameter(torch.tensor(gains)[:, None, None])
        self.calls: list[torch.Size] = []

    def forward(self, mixture: Tensor) -> Tensor:
        self.calls.append(mixture.shape)
        return mixture[:, None] * self.gains


class ConvNet(nn.Module):
    """Mixes neighbours in time and both channels, as far as `reach` samples."""

    sources = ("vocals", "drums", "bass")
    channels = 2
    sample_rate = 8000
    segment = 0.5

    def __init__(self, reach: int = 60) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.first = nn.Conv1d(2, 8, reach + 1, padding=reach // 2)
        self.second = nn.Conv1d(8, 6, reach + 1, padding=reach // 2)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))

    def forward(self, mixture: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(mixture))).unflatten(1, (3, 2))


@pytest.fixture(scope="session")
def gain_net() -> Callable[..., GainNet]:
    return GainNet


@pytest.fixture(scope="session")
def conv_net() -> ConvNet:
    return ConvNet()


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    def make(*shape: int, seed: int = 0) -> Tensor:
        return 0.3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    return make


@pytest.fixture(scope="session")
def level() -> Callable[[Tensor, Tensor], float]:
    """Level of the difference below the reference, in dB."""

    def measure(estimate: Tensor, reference: Tensor) -> float:
        error = (estimate.double() - reference.double()).square().sum()
        return float(10 * torch.log10(error / reference.double().square().sum() + 1e-30))

    return measure
