import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from unweave import plots
from unweave.errors import ParameterError
from unweave.plots import _levels
from unweave.plots._levels import Rows, from_mel, of_audio, to_mel
from unweave.transforms import mel_frequencies, stft

RATE = 8000


def tone(frequency, seconds=2.0, level=1.0):
    return level * torch.sin(2 * torch.pi * frequency / RATE * torch.arange(int(seconds * RATE)))


def shown(ax):
    """Give the picture and the frequencies of its rows."""
    image = ax.images[0]
    _, _, low, high = image.get_extent()
    values = image.get_array()
    edges = np.linspace(low, high, len(values) + 1)
    scale = ax.yaxis.get_transform().inverted()
    return np.asarray(values), scale.transform((edges[1:] + edges[:-1]) / 2)


@pytest.mark.parametrize("scale", ["mel", "log", "linear"])
@pytest.mark.parametrize("frequency", [125.0, 1000.0, 3000.0])
def test_a_tone_is_drawn_at_its_frequency_and_level(scale, frequency):
    ax = plots.spectrogram(tone(frequency, level=0.1), sample_rate=RATE, scale=scale)
    values, rows = shown(ax)
    column = values[:, values.shape[1] // 2]
    row = column.argmax()
    assert rows[row] == pytest.approx(frequency, abs=4 + np.gradient(rows)[row])
    assert column.max() == pytest.approx(-20, abs=1.5)  # the Hann window loses 1.4 dB between bins
    assert ax.get_xlim() == (0, 2)
    assert ax.get_ylim()[1] == pytest.approx(RATE / 2)


@pytest.mark.parametrize("scale", ["mel", "log", "linear"])
def test_pixels_are_where_the_axis_says(scale):
    """The image of one bright row, as rendered, lies at the height of its frequency."""
    ax = plots.spectrogram(tone(2000.0), sample_rate=RATE, scale=scale, levels=(-20.0, 0.0))
    figure = ax.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3].astype(int).sum(-1)
    x, y = ax.transData.transform((1.0, 2000.0))
    column = pixels[:, int(x)]
    top, bottom = (len(pixels) - ax.transAxes.transform((0, h))[1] for h in (0.98, 0.02))
    inside = column[int(top) : int(bottom)]
    assert int(top) + inside.argmax() == pytest.approx(len(pixels) - y, abs=4)


def test_the_mel_scale_is_that_of_the_transforms():
    frequencies = mel_frequencies(50, fmax=12_000)
    mels = to_mel(frequencies)
    torch.testing.assert_close(mels.diff(), torch.full_like(mels[1:], float(mels[1] - mels[0])))
    torch.testing.assert_close(from_mel(mels), frequencies)


def test_long_sounds_are_averaged_piece_by_piece(monkeypatch):
    x = torch.randn(2, 40_000, generator=torch.Generator().manual_seed(0))
    rows = Rows.of("linear", 129, RATE)
    monkeypatch.setattr(_levels, "COLUMNS", 50)
    whole = of_audio(x, rows, 256, 64)
    monkeypatch.setattr(_levels, "_AT_ONCE", 1)
    torch.testing.assert_close(of_audio(x, rows, 256, 64), whole)
    power = stft(torch.nn.functional.pad(x, (128, 128)), n_fft=256, hop_length=64, center=False)
    power = power.abs().square().mean(0)[:, : 626 // 13 * 13] / 64**2
    expected = power.unflatten(-1, (-1, 13)).mean(-1)
    torch.testing.assert_close(whole[:, : expected.shape[1]], rows.peaks(expected))
    assert whole.shape == (129, 49)


@pytest.mark.parametrize("scale", ["mel", "log", "linear"])
def test_rows_are_averages_or_peaks(scale):
    rows = Rows.of(scale, 2049, RATE)
    ones = torch.ones(2049, 3)
    torch.testing.assert_close(rows.averages(ones), torch.ones(384, 3))
    torch.testing.assert_close(rows.peaks(ones), torch.ones(384, 3))
    for bin_ in (40, 400, 2048):
        one = torch.zeros(2049, 1)
        one[bin_] = 1
        assert float(rows.peaks(one).max()) == 1
        assert 0 < float(rows.averages(one).max()) <= 1


def test_spectrograms_and_arrays_and_silence():
    x = torch.stack((tone(500.0), tone(1500.0)))
    S = stft(x, n_fft=512, hop_length=128)
    whole, _ = shown(plots.spectrogram(x, sample_rate=RATE, n_fft=512, hop_length=128))
    for given in (S, S.abs(), S.numpy()):
        ax = plots.spectrogram(given, sample_rate=RATE, hop_length=128)
        np.testing.assert_allclose(shown(ax)[0][:, 2:-2], whole[:, 2:-2], atol=1e-2)
    one = plots.spectrogram(S[0], sample_rate=RATE, hop_length=128)
    assert one.get_xlim()[1] == pytest.approx(2.0, abs=0.02)
    silent, _ = shown(plots.spectrogram(torch.zeros(100), sample_rate=RATE))
    assert (silent == -200).all()
    assert plots.spectrogram(x.half(), sample_rate=RATE).images


def test_axes_that_are_given_are_drawn_into_and_nothing_else():
    figure = plots.waveform(tone(1.0), sample_rate=RATE).figure
    ax = figure.add_subplot(2, 1, 2)
    before = len(figure.axes)
    assert plots.spectrogram(tone(440.0), sample_rate=RATE, ax=ax) is ax
    assert len(figure.axes) == before
    assert len(plots.spectrogram(tone(440.0), sample_rate=RATE).figure.axes) == 2


def test_masks():
    values = torch.zeros(2, 129, 30)
    values[:, 64] = 1
    values[:, 32] = 7
    ax = plots.mask(values, sample_rate=RATE, scale="linear", hop_length=64)
    drawn, rows = shown(ax)
    np.testing.assert_allclose(rows[drawn[:, 0] > 0.6], [1000, 1000, 2000], atol=32)
    assert ax.images[0].get_clim() == (0, 1)
    assert ax.get_xlim()[1] == pytest.approx(30 * 64 / RATE)
    assert plots.mask(values[0].numpy(), sample_rate=RATE).images


@pytest.mark.parametrize(
    ("x", "keys", "text"),
    [
        (torch.zeros(4), {"scale": "bark"}, "scale='bark' must be one of linear, log, mel"),
        (torch.zeros(4), {"sample_rate": 0}, "sample_rate=0"),
        (torch.zeros(4), {"n_fft": 0}, "n_fft=0"),
        (torch.zeros(4), {"hop_length": -1}, "hop_length=-1"),
        (torch.zeros(4), {"levels": (0.0, -80.0)}, "must be .lower, upper."),
        (torch.zeros(0), {}, "floating audio"),
        (torch.zeros(4, dtype=torch.int64), {}, "floating audio"),
        (torch.zeros(1, 2, 3, 4), {}, "floating audio"),
        (torch.zeros(2, 0, 4), {}, "spectrogram"),
    ],
)
def test_what_cannot_be_drawn(x, keys, text):
    with pytest.raises(ParameterError, match=text):
        plots.spectrogram(x, **{"sample_rate": RATE, **keys})
