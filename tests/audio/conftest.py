"""Signals and files shared by the tests of unweave.audio."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def tones() -> Callable[..., Tensor]:
    """Make a smooth signal with another pitch in each channel, below 0.1 of the sample rate."""

    def make(channels: int, frames: int) -> Tensor:
        time = torch.arange(frames, dtype=torch.float64)
        pitch = 2 * torch.pi * (0.01 + 0.004 * torch.arange(channels, dtype=torch.float64))
        swell = 0.4 + 0.2 * torch.sin(time * 2e-4)
        return (swell * torch.sin(pitch[:, None] * time)).float()

    return make
