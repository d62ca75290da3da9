"""nnAudio and its successor, which print and warn while they are imported and used."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch

os.environ.setdefault("NNAUDIO_DISABLE_CITATION_REMINDER", "1")


def silently(work: Callable[[], Any]) -> Any:
    """Do some work of nnAudio's without its prints and warnings."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()


@pytest.fixture(scope="session")
def peer() -> Any:
    def load() -> Any:
        import nnAudio.features

        return nnAudio.features

    return silently(load)


@pytest.fixture(scope="session")
def successor() -> Any:
    def load() -> Any:
        import nnAudio2.features

        return nnAudio2.features

    return silently(load)


@pytest.fixture(scope="session", name="silently")
def silently_fixture() -> Callable[[Callable[[], Any]], Any]:
    return silently


@pytest.fixture
def sound() -> torch.Tensor:
    """Two clips of a tone in noise, and with a silent beginning."""
    time = torch.arange(12000) / 22050
    noise = torch.randn(2, 1, 12000, generator=torch.Generator().manual_seed(0))
    clips = 0.1 * noise + torch.sin(2 * torch.pi * 440 * time)
    clips[..., :500] = 0
    return clips
