"""A small architecture, registered for the length of a test."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from unweave.models import registry


class TinyNet(nn.Module):
    """Enough of a network to be stored: a matrix, a statistic and a counter."""

    sample_rate = 8000
    channels = 2
    segment = 1.0

    def __init__(
        self,
        *,
        sources: Sequence[str] = ("vocals", "rest"),
        width: int = 3,
        sizes: Sequence[int] = (2, 2),
        scale: float = 1.0,
        biased: bool = True,
    ) -> None:
        super().__init__()
        self.sources = tuple(sources)
        self.scale = scale
        self.inner = nn.Linear(2, width, bias=biased)
        self.norm = nn.BatchNorm1d(width)
        self.outer = nn.Linear(width, 2 * len(self.sources), bias=biased)
        self.spare = nn.Linear(*sizes)

    def forward(self, mixture: Tensor) -> Tensor:
        hidden = self.norm(self.inner(mixture.mT).mT).mT
        return self.scale * self.outer(hidden).mT.unflatten(1, (len(self.sources), 2))


LIMITS = {"width": (1, 1000), "sizes": (1, 1000), "scale": (0, 10)}


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> type[TinyNet]:
    entry = registry.Architecture(load=lambda: TinyNet, limits=LIMITS)
    monkeypatch.setitem(registry.ARCHITECTURES, "tiny", entry)
    return TinyNet


@pytest.fixture
def trained(tiny: type[TinyNet]) -> TinyNet:
    torch.manual_seed(0)
    net = tiny()
    net(torch.randn(4, 2, 100))  # moves the statistics
    return net.eval()
