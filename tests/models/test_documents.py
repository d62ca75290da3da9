"""The table of docs/models.md is what the networks are."""

import re
from pathlib import Path

import pytest
import torch

from unweave import models

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
ROWS = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", PAGE.read_text("utf-8"), re.MULTILINE)


def test_every_network_of_auralflow_is_there():
    names = {
        f"{kind}Net{form}"
        for kind in ("Spectrogram", "Audio")
        for form in ("Simple", "LSTM", "VAE")
    }
    assert {name for name, _, _ in ROWS} == names | {"HybridNet", "OpenUnmix"}


@pytest.mark.parametrize(("name", "here", "published"), ROWS)
def test_parameters_are_as_many_as_the_table_says(name, here, published):
    words = {"num_fft_bins": 1024, "num_frames": 173} if name.startswith("Spectrogram") else {}
    with torch.device("meta"):
        network = getattr(models, name)(**words)
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert f"{count:.2f}" == here
    assert abs(count - float(published)) < 0.03 * float(published)


def test_the_example_with_wide_lstms():
    with torch.device("meta"):
        network = models.SpectrogramNetLSTM(
            1024, 173, hidden_size=2048, recurrent_depth=2, input_axis=1
        )
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert f"{count:.0f} here." in PAGE.read_text("utf-8").replace("\n", " ")
