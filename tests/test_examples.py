"""The examples must run and show what they claim."""

import importlib.util
from pathlib import Path

import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_classifier_learns_with_the_spectrogram_layer_inside(tmp_path):
    example = load("classifier")
    known, asked = example.excerpts()
    torch.manual_seed(0)
    network = example.Classifier()
    before = network.spectrogram.wcos.detach().clone()
    losses = example.train(network, *known, steps=60)
    assert losses[-1] < 0.5 * losses[0]
    assert example.accuracy(network, *asked) > 0.7  # four stems: chance is 0.25
    after = network.spectrogram.wcos.detach()
    assert 1e-3 < (after - before).norm() / before.norm() < 1
    example.draw(before, after, tmp_path / "basis.png")
    assert (tmp_path / "basis.png").stat().st_size > 10_000
