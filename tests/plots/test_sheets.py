import subprocess
import sys

import pytest
import torch

from unweave import plots
from unweave.errors import AudioFileError, DependencyError, ParameterError

RATE = 8000


def noise(seed=0, level=0.1):
    return level * torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed))


def test_all_stems_share_their_scales():
    x = {"loud": noise(), "quiet": noise(1, 0.001)}
    kept = {name: y.clone() for name, y in x.items()}
    axes = plots.stems(x, sample_rate=RATE)
    assert len({ax.get_ylim() for ax in axes[::2]}) == 1
    assert len({ax.images[0].get_clim() for ax in axes[1::2]}) == 1
    assert [ax.get_xlabel() for ax in axes] == ["", "", "time (s)", "time (s)"]
    assert all(torch.equal(x[name], kept[name]) for name in x)
    low, high = axes[1].images[0].get_clim()
    assert high - low == 80
    with pytest.raises(ParameterError, match="empty"):
        plots.stems({}, sample_rate=RATE)
    with pytest.raises(ParameterError, match="quiet of shape"):
        plots.stems({"quiet": noise()[None]}, sample_rate=RATE)


def test_parts_of_figures_are_drawn_into():
    whole = plots.waveform(noise(), sample_rate=RATE).figure
    part = whole.subfigures(1, 2)[0]
    axes = plots.stems({"a": noise()}, sample_rate=RATE, figure=part)
    assert axes[0].figure is part
    assert plots.compare(noise(), noise(), sample_rate=RATE, figure=whole)[0].figure is whole


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (0.9 * noise(), "error: 20.0 dB below the true sound"),
        (11 * noise(), "error: 20.0 dB above the true sound"),
        (noise(), "error: none"),
    ],
)
def test_comparisons_name_the_error(estimate, text):
    axes = plots.compare(estimate, noise(), sample_rate=RATE, levels=(-90.0, -10.0))
    assert axes[2].get_title(loc="left") == text
    assert {ax.images[0].get_clim() for ax in axes} == {(-90, -10)}


def test_comparisons_need_the_same_shape_and_know_silence():
    with pytest.raises(ParameterError, match="same shape"):
        plots.compare(noise(), noise()[:, 1:], sample_rate=RATE)
    axes = plots.compare(noise(), 0 * noise(), sample_rate=RATE)
    assert axes[2].get_title(loc="left") == "error: the true sound is silent"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_saved_pictures_are_complete_or_absent(suffix, tmp_path):
    axes = plots.stems({"a": noise()}, sample_rate=RATE)
    path = plots.save(axes, tmp_path / f"a.{suffix}")
    assert path.stat().st_size > 1000
    assert plots.save(axes[0].figure, path, dpi=30) == path
    with pytest.raises(ParameterError, match="suffix must be one of"):
        plots.save(axes[0], tmp_path / "a.wav")
    with pytest.raises(AudioFileError, match="is missing"):
        plots.save(axes[0], tmp_path / "none" / f"a.{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_matplotlib_comes_late_and_pyplot_never():
    code = (
        "import sys, torch; from unweave import plots; assert 'matplotlib' not in sys.modules;"
        "plots.spectrogram(torch.zeros(99), sample_rate=9.0);"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(DependencyError, match=r"unweave\[plot\]"):
        plots.waveform(noise(), sample_rate=RATE)
