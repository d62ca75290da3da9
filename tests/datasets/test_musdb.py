"""MUSDB18 as it is handed out: stem.mp4 files, or folders of wav."""

import pytest
import torch

from unweave.audio import AudioWriter, info, write_stems
from unweave.datasets import AudioFolder, scan_dataset
from unweave.errors import DatasetError

av = pytest.importorskip("av")
RATE = 44_100
STEMS = ("drums", "bass", "other", "vocals")


@pytest.fixture
def root(tmp_path):
    """Two songs of four tones each, an octave apart."""
    for song, base in (("A - One", 110.0), ("B - Two", 150.0)):
        (tmp_path / "train").mkdir(exist_ok=True)
        time = torch.arange(RATE) / RATE
        tones = {
            name: 0.1 * torch.sin(2 * torch.pi * base * 2**i * time).expand(2, -1)
            for i, name in enumerate(STEMS)
        }
        mixture = torch.stack(list(tones.values())).sum(0)
        write_stems(tmp_path / "train" / f"{song}.stem.mp4", mixture, tones, RATE)
    return tmp_path


def pitch(signal: torch.Tensor) -> float:
    spectrum = torch.fft.rfft(signal[0] * torch.hann_window(signal.shape[1])).abs()
    return float(spectrum.argmax()) * RATE / signal.shape[1]


def test_stem_files_are_tracks(root):
    tracks = scan_dataset(root, targets=["vocals"])
    assert [track.name for track in tracks] == ["A - One", "B - Two"]
    assert set(tracks[0].stems) == set(STEMS)
    mixture, targets, rate = tracks[1].read(["bass", "vocals"])
    assert rate == RATE
    assert [round(pitch(target), -1) for target in targets] == [300, 1200]
    inner = slice(5000, -5000)
    total = tracks[1].read(list(STEMS))[1].sum(0)
    torch.testing.assert_close(mixture[:, inner], total[:, inner], atol=0.05, rtol=0)


def test_excerpts_of_stem_files(root, cache):
    folder = AudioFolder(root, ["vocals", "drums"], sample_length=0.5, cache_dir=cache)
    seen = set()
    for index in range(12):
        mixture, targets = folder.excerpt(index)
        seen.add(tuple(round(pitch(target), -1) for target in targets))
        assert mixture.shape == (2, RATE // 2)
    assert seen == {(880, 110), (1200, 150)}
    own = folder.excerpt(0)[0]
    summed = AudioFolder(
        root, ["vocals", "drums"], sample_length=0.5, remix=1e-9, cache_dir=cache
    ).excerpt(0)[0]
    assert not torch.equal(own, summed)  # the mixture is a stream of its own
    torch.testing.assert_close(own, summed, atol=0.05, rtol=0)


def test_a_file_with_too_few_streams(tmp_path):
    with AudioWriter(tmp_path / "x.m4a", sample_rate=RATE, channels=2) as writer:
        writer.write(torch.zeros(2, RATE))
    (tmp_path / "x.m4a").rename(tmp_path / "song.stem.mp4")
    assert info(tmp_path / "song.stem.mp4").streams == 1
    with pytest.raises(DatasetError, match="has 1 audio streams, not the 5 of a stem file"):
        scan_dataset(tmp_path)


def test_a_damaged_stem_file(tmp_path):
    (tmp_path / "song.stem.mp4").write_bytes(b"\0" * 100)
    with pytest.raises(DatasetError, match="track 'song' has a damaged file"):
        scan_dataset(tmp_path)


def test_the_bundled_song(cache):
    from pathlib import Path

    examples = Path(__file__).parents[2] / "examples"
    folder = AudioFolder(examples / "song", ["vocals"], cache_dir=cache)
    (track,) = folder.tracks
    assert track.mixture is not None
    mixture, targets = folder.excerpt(0)
    assert mixture.shape == (2, 3 * RATE)
    assert targets.abs().max() > 0.01
