"""Real sound for the codec: some seconds of the bundled song."""

from pathlib import Path

import pytest
import torch

from unweave import audio

SONG = Path(__file__).parents[2] / "examples" / "song"


@pytest.fixture(scope="session")
def music() -> torch.Tensor:
    return audio.read(SONG / "mixture.ogg", start=14.0, duration=4.0)[0]
