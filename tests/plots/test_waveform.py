from itertools import pairwise

import numpy as np
import pytest
import torch

from unweave import plots
from unweave.errors import ParameterError
from unweave.plots.waveform import envelope


def test_extremes_and_mean_squares_of_every_column():
    x = torch.randn(2, 1003, generator=torch.Generator().manual_seed(0))
    got = envelope(x, 10)
    edges = [round(c) for c in np.floor(np.linspace(0, 1003, 11))]
    for n, (a, b) in enumerate(pairwise(edges)):
        part = x[:, a:b]
        expected = torch.stack((part.min(), part.max(), part.square().mean().sqrt()))
        torch.testing.assert_close(torch.stack([y[n] for y in got]), expected)


def test_one_click_in_a_long_silence_is_seen():
    x = torch.zeros(1, 1_000_000)
    x[0, 777_777] = 0.5
    ax = plots.waveform(x, sample_rate=100_000)
    points = ax.collections[0].get_paths()[0].vertices
    at = points[points[:, 1] == 0.5]
    assert at[0, 0] == pytest.approx(7.77777, abs=0.005)
    assert ax.get_xlim() == (0, 10)
    assert ax.get_ylim()[1] == pytest.approx(0.525)


def test_few_samples_are_lines_and_long_times_have_minutes():
    ax = plots.waveform(np.sin(np.arange(100.0)), sample_rate=100, limit=2.0, color="red")
    assert len(ax.get_lines()) == 1
    assert ax.get_ylim() == (-2, 2)
    ax = plots.waveform(torch.ones(2, 3000), sample_rate=10)
    assert ax.get_xlabel() == "time (min:s)"
    assert ax.xaxis.get_major_formatter()(75) == "1:15"
    assert plots.waveform(torch.zeros(5), sample_rate=10).get_ylim() == (-1, 1)


def test_errors():
    with pytest.raises(ParameterError, match="sample_rate"):
        plots.waveform(torch.ones(5), sample_rate=0)
    with pytest.raises(ParameterError, match="floating audio"):
        plots.waveform(torch.ones(1, 2, 5), sample_rate=10)
