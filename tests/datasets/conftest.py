"""Small data sets on disk."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from unweave.audio import write

RATE = 8000
STEMS = ("bass", "drums", "other", "vocals")


def make_noise(seed: int, seconds: float = 2.0, channels: int = 2, level: float = 0.1) -> Tensor:
    """Make noise of 16 bits, which files and cache hold exactly."""
    made = torch.randn(
        channels, round(seconds * RATE), generator=torch.Generator().manual_seed(seed)
    )
    return (made * level * 32768).round().clamp(-32768, 32767) / 32768 + 0.0  # no -0.0


def write_one(
    folder: Path, signals: Mapping[str, Tensor], extension: str = "wav", rate: int = RATE
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, signal in signals.items():
        write(folder / f"{name}.{extension}", signal, rate, subtype="PCM_16")


@pytest.fixture(scope="session")
def noise() -> Callable[..., Tensor]:
    return make_noise


@pytest.fixture(scope="session")
def write_track() -> Callable[..., None]:
    return write_one


@pytest.fixture
def dataset(tmp_path: Path) -> Callable[..., Path]:
    """Write tracks of noise: <root>/<subset>/<track>/<stem>.wav."""

    def make(
        tracks: int = 3,
        *,
        subset: str = "",
        stems: tuple[str, ...] = STEMS,
        seconds: float = 2.0,
        channels: int = 2,
        name: str = "music",
    ) -> Path:
        root = tmp_path / name
        for track in range(tracks):
            signals = {
                stem: make_noise(10 * track + index, seconds, channels)
                for index, stem in enumerate(stems)
            }
            write_one(root / subset / f"song{track}", signals)
        return root

    return make


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"
