import numpy as np
import pytest
import torch

from unweave import plots
from unweave.errors import ParameterError

W = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.1, 0.0], [0.0, 0.5], [0.001, 0.0]])
H = torch.tensor([[0.0, 2.0, 1.0], [0.0, 0.2, 0.1]])


def heights(ax):
    """The upper edge of what is filled: values by their place."""
    points = ax.collections[0].get_paths()[0].vertices
    return {round(float(x), 6): float(points[points[:, 0] == x, 1].max()) for x in points[:, 0]}


def test_templates_are_decibels_below_their_peaks_and_activations_shares_of_theirs():
    kept = W.clone(), H.clone()
    axes = plots.components(W, H, sample_rate=8000)
    assert heights(axes[0]) == pytest.approx({1e3: 0, 2e3: -20, 3e3: -60, 4e3: -60})
    assert heights(axes[2])[3000] == pytest.approx(20 * np.log10(0.5), abs=1e-4)  # without 0 Hz
    step = 2 / 8000  # a quarter of eight samples
    assert heights(axes[1]) == pytest.approx({0: 0, step: 1, 2 * step: 0.5}, abs=1e-6)
    assert heights(axes[3]) == pytest.approx(heights(axes[1]))
    assert torch.equal(W, kept[0])
    assert torch.equal(H, kept[1])


def test_levels_are_those_of_the_models():
    ratio = float((W[:, 0].norm() * H[0].norm()) / (W[:, 1].norm() * H[1].norm()))
    axes = plots.components(W, H, sample_rate=8000, names=["flute", "harp"])
    titles = [ax.get_title(loc="left") for ax in axes[::2]]
    assert titles == ["flute (0 dB)", f"harp (−{20 * np.log10(ratio):.0f} dB)"]
    silent = plots.components(W, H * torch.tensor([[1.0], [0.0]]), sample_rate=8000)
    assert silent[2].get_title(loc="left") == "2 (silent)"
    nothing = plots.components(0 * W, 0 * H, sample_rate=8000)
    assert nothing[0].get_title(loc="left") == "1 (silent)"


def test_the_spectrogram_stands_above_on_the_same_times():
    axes = plots.components(
        torch.rand(129, 3), torch.rand(3, 40), sample_rate=8000, V=np.ones((129, 40))
    )
    assert len(axes) == 7
    assert axes[0].get_xlim() == axes[2].get_xlim() == (0, 40 * 64 / 8000)
    assert [ax.get_xlabel() for ax in axes] == [""] * 5 + ["frequency (Hz)", "time (s)"]


def test_components_of_a_source_share_a_colour():
    axes = plots.components(
        torch.rand(9, 3), torch.rand(3, 4), sample_rate=8000, names=["b", "a", "b"]
    )
    first, second, third = (tuple(ax.collections[0].get_facecolor()[0]) for ax in axes[::2])
    assert first == third != second


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"H": H[:1]}, "must be real"),
        ({"W": W + 0j}, "must be real"),
        ({"V": W}, "as W and H are"),
        ({"names": ["one"]}, "all 2 components"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"hop_length": -1}, "hop_length"),
    ],
)
def test_errors(change, text):
    with pytest.raises(ParameterError, match=text):
        plots.components(**({"W": W, "H": H, "sample_rate": 8000} | change))
