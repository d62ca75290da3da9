"""Layouts on disk, and one clear line for each thing that can be wrong with them."""

from pathlib import Path

import pytest
import torch

from unweave.audio import write
from unweave.datasets import scan_dataset
from unweave.datasets.layouts import list_dataset
from unweave.errors import DatasetError, ParameterError

RATE = 8000
STEMS = ("bass", "drums", "other", "vocals")


def test_a_folder_of_tracks(dataset):
    tracks = scan_dataset(dataset(3), targets=["vocals"])
    assert [track.name for track in tracks] == ["song0", "song1", "song2"]
    assert sorted(tracks[0].stems) == sorted(STEMS)
    assert tracks[0].mixture is None
    assert tracks[0].duration == 2.0


def test_subsets_lie_in_folders_of_their_names(dataset):
    root = dataset(2, subset="train")
    dataset(1, subset="valid")
    assert len(scan_dataset(root)) == 2
    assert len(scan_dataset(root, subset="val")) == 1
    with pytest.raises(DatasetError, match=r"no folder 'test' \(it has train, valid\)"):
        scan_dataset(root, subset="test")


def test_without_subsets_the_whole_is_for_training(dataset):
    root = dataset(2)
    assert len(scan_dataset(root, subset="train")) == 2
    assert len(scan_dataset(root, subset=None)) == 2
    with pytest.raises(DatasetError, match=r"no folder 'val'; .*split\(0.2\)"):
        scan_dataset(root, subset="val")


def test_albums_and_single_tracks(tmp_path, noise, write_track):
    write_track(tmp_path / "music" / "album" / "song", {"vocals": noise(0), "mixture": noise(1)})
    (track,) = scan_dataset(tmp_path / "music")
    assert track.name == "album/song"
    assert track.mixture is not None
    (alone,) = scan_dataset(tmp_path / "music" / "album" / "song")
    assert alone.name == "song"


def test_a_folder_of_sources(tmp_path, noise, write_track):
    for source in ("speech", "noise"):
        write_track(tmp_path / source / "deeper", {"a": noise(0), "b": noise(1)})
    layout, found = list_dataset(tmp_path, targets=["speech", "noise"])
    assert layout == "sources"
    assert [one.name for one in found][:2] == ["noise/deeper/a", "noise/deeper/b"]
    assert list_dataset(tmp_path, layout="sources")[1] == found


def test_the_four_usual_names_are_sources_without_being_asked_for(tmp_path, noise, write_track):
    write_track(tmp_path / "vocals", {"a": noise(0)})
    write_track(tmp_path / "drums", {"a": noise(0)})
    assert list_dataset(tmp_path)[0] == "sources"


def test_other_kinds_of_files_can_be_looked_for(tmp_path):
    (tmp_path / "song").mkdir()
    (tmp_path / "song" / "vocals.png").touch()
    _, found = list_dataset(tmp_path, suffixes={".png"})
    assert found[0].parts["vocals"].path.name == "vocals.png"


def test_documents_and_hidden_files_are_no_stems(dataset):
    root = dataset(1)
    for name in ("README.md", ".DS_Store", "song0/notes.txt", "song0/.hidden.wav", "song0/LICENSE"):
        (root / name).touch()
    assert len(scan_dataset(root)[0].stems) == 4


def test_a_track_read_whole(dataset, noise):
    (track,) = scan_dataset(dataset(1))
    mixture, targets, rate = track.read(["vocals", "bass"])
    assert torch.equal(targets, torch.stack([noise(3), noise(0)]))
    torch.testing.assert_close(mixture, sum(noise(i) for i in range(4)))
    part = track.read(["vocals"], start=0.5, duration=0.25)
    assert torch.equal(part[1][0], noise(3)[:, 4000:6000])
    assert rate == RATE


def test_a_mixture_of_its_own_is_the_mixture(tmp_path, noise, write_track):
    write_track(tmp_path / "song", {"vocals": noise(0), "mixture": noise(7)})
    mixture, targets, _ = scan_dataset(tmp_path)[0].read(["vocals", "bass"])
    assert torch.equal(mixture, noise(7))
    assert targets[1].abs().max() == 0


def test_stems_of_other_rates_are_not_summed(tmp_path, noise, write_track):
    write_track(tmp_path / "song", {"vocals": noise(0)})
    write_track(tmp_path / "song", {"drums": noise(0)}, rate=16000)
    with pytest.raises(DatasetError, match=r"track 'song': .*vocals.wav' has 8000 Hz"):
        scan_dataset(tmp_path)[0].read(["vocals"])


def test_stems_of_other_channels_are_not_summed(tmp_path, noise, write_track):
    write_track(tmp_path / "song", {"drums": noise(0), "vocals": noise(0, channels=1)})
    with pytest.raises(DatasetError, match=r"vocals.wav' has 1 channels, 'drums.wav' has 2"):
        scan_dataset(tmp_path)[0].read(["vocals"])


def test_a_file_without_samples(tmp_path, noise, write_track):
    write_track(tmp_path / "song", {"vocals": noise(0)[:, :0]})
    with pytest.raises(DatasetError, match=r"vocals.wav' holds no samples"):
        scan_dataset(tmp_path)


@pytest.mark.parametrize("missing", ["error", "silent"])
def test_a_missing_stem_is_named(dataset, missing):
    root = dataset(3)
    (root / "song1" / "vocals.wav").unlink()
    if missing == "silent":
        assert len(scan_dataset(root, targets=["vocals"], missing=missing)[1].stems) == 3
        return
    with pytest.raises(DatasetError, match=r"track 'song1' lacks the stem 'vocals' \(it has bass"):
        scan_dataset(root, targets=["vocals"])


def test_a_stem_that_most_tracks_have_is_missed_although_it_is_no_target(dataset):
    root = dataset(3)
    (root / "song2" / "bass.wav").unlink()
    with pytest.raises(DatasetError, match="'song2' lacks the stem 'bass'"):
        scan_dataset(root, targets=["vocals"])


def test_one_guitar_more_is_no_mistake(dataset, noise, write_track):
    root = dataset(3)
    write_track(root / "song0", {"guitar": noise(0)})
    assert len(scan_dataset(root, targets=["vocals"])) == 3


def test_a_target_that_no_track_has(dataset):
    root = dataset(2)
    with pytest.raises(DatasetError, match=r"nothing in .* is named 'vocal': it has bass, drums"):
        scan_dataset(root, targets=["vocal"], missing="silent")


def damaged(path: Path) -> None:
    path.write_bytes(b"RIFF" + bytes(100))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda r: (r / "song0" / "vocals.als").touch(), "foreign file '.*vocals.als'"),
        (lambda r: (r / "song0" / "vocals.flac").touch(), "two files of the stem 'vocals'"),
        (lambda r: (r / "song0" / "bass.wav").write_bytes(b""), r"damaged file: '.*bass.wav' is e"),
        (lambda r: damaged(r / "song0" / "bass.wav"), "track 'song0' has a damaged file: .*bass"),
        (lambda r: (r / "empty").mkdir(), "track folder '.*empty' holds no audio"),
        (lambda r: (r / "x.wav").touch(), "holds both audio files and folders"),
    ],
)
def test_what_is_wrong_with_a_data_set_is_named_in_one_line(dataset, spoil, message):
    root = dataset(2)
    spoil(root)
    with pytest.raises(DatasetError, match=message) as caught:
        scan_dataset(root, targets=["vocals"])
    assert "\n" not in str(caught.value)


def test_a_file_in_another_format_than_the_one_allowed(dataset, noise):
    root = dataset(1)
    write(root / "song0" / "mixture.flac", noise(0), RATE)
    assert len(scan_dataset(root)) == 1
    with pytest.raises(DatasetError, match=r"foreign file '.*mixture.flac'.*no wav file"):
        scan_dataset(root, audio_format="wav")


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        scan_dataset(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(DatasetError, match="is a file"):
        scan_dataset(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"holds no audio .* expected <track>/<stem>.wav"):
        scan_dataset(tmp_path / "empty")
    (tmp_path / "sources" / "vocals").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"'.*vocals' holds no audio files of the source"):
        scan_dataset(tmp_path / "sources")


@pytest.mark.parametrize(
    "words",
    [{"subset": "dev"}, {"layout": "musdb"}, {"missing": "zero"}, {"audio_format": "exe"}],
)
def test_unknown_words_are_refused(dataset, words):
    with pytest.raises(ParameterError, match=next(iter(words))):
        scan_dataset(dataset(1), **words)
