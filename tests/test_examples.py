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


def test_seven_instruments_are_taken_apart(tmp_path):
    example = load("decompose_notebook")
    sounds = example.stems()
    references = torch.stack(list(sounds.values()))
    assert references.shape == (7, 1, example.SECONDS * example.RATE)
    assert references.mean(-1).abs().max() < 1e-3 * 0.05  # no direct current
    found = example.factorisations(references.sum(0), 7)
    rows = example.table(references, found)
    nothing, best = rows["the mixture itself"]["SI-SDR"], rows["ideal masks"]["SI-SDR"]
    for name in ("NMF, Frobenius", "NMF, KL", "SNPA", "greedy XRAY"):
        raw, mask = rows[f"{name}, raw"], rows[f"{name}, mask"]
        assert nothing < raw["SI-SDR"] < mask["SI-SDR"] - 1 < best
        assert mask["sum"] > 100 > raw["sum"]
        assert mask["SNR"] > raw["SNR"]
    assert rows["NMF, Frobenius, mask"]["SI-SDR"] > rows["SNPA, mask"]["SI-SDR"] + 3
    example.draw(sounds, found, tmp_path)
    assert len(list(tmp_path.glob("notebook-*.png"))) == 2


def test_the_traps_of_demonstrations_are_real():
    example = load("decompose_notebook")
    found = example.traps(torch.stack(list(example.stems().values())))
    assert found["samples lost without length"] == 544
    assert found["sum of masks without a floor, dB"] < 60
    assert found["share of direct current after min-max scaling"] > 0.05
    assert found["components that stand for several stems or none"] >= 1
    assert found["the same in dB"] > found["one to one, in dB"]
