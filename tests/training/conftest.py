"""A folder of stems, and small models to be trained on it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.training import Config, ModelFolder

RATE = 8000
SMALL = {
    "hidden_channels": 2,
    "sample_rate": RATE,
    "num_fft": 64,
    "hop_length": 32,
    "sample_length": 0.25,
    "max_num_samples": 8,
    "max_validation_samples": 4,
    "batch_size": 4,
    "num_workers": 0,
    "max_epochs": 1,
    "accelerator": "cpu",
    "view_spectrogram": False,
    "view_waveform": False,
    "ema_decay": 0.9,
}


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four songs of a tone that is to be found in noise."""
    root = tmp_path_factory.mktemp("music")
    generator = torch.Generator().manual_seed(0)
    time = torch.arange(2 * RATE) / RATE
    for number in range(4):
        song = root / f"song {number}"
        song.mkdir()
        tone = 0.3 * torch.sin(2 * torch.pi * (300 + 40 * number) * time)
        audio.write(song / "vocals.wav", tone[None], RATE)
        noise = 0.1 * torch.randn(1, len(time), generator=generator)
        audio.write(song / "drums.wav", noise, RATE)
    return root


@pytest.fixture
def model(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Make the folder of a small model."""
    cache = tmp_path_factory.getbasetemp() / "cache"

    def make(
        kind: str = "SpectrogramNetSimple", name: str = "my_model", **settings: object
    ) -> Path:
        words = {**SMALL, "cache_dir": str(cache), **settings}
        if kind.startswith(("OpenUnmix", "BandMask")):
            del words["hidden_channels"]
        config = Config.template(kind, name, **words)
        return ModelFolder.create(tmp_path / name, config).path

    return make
