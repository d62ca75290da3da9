"""Validation: other tracks, the same ones for the same seed."""

import pytest

from unweave.datasets import MUSDB_VALIDATION_TRACKS, AudioFolder, Gain
from unweave.datasets.drawing import Signals
from unweave.datasets.splitting import split_tracks
from unweave.errors import DatasetError, ParameterError


def songs(names) -> list[Signals]:
    return [Signals(name, {"vocals": None}, None, 1) for name in names]


def test_tracks_are_divided(dataset, cache):
    root = dataset(5)
    names = []
    for seed in (0, 0, 1, 2, 3):
        train = AudioFolder(root, seed=seed, cache_dir=cache, remix=0.5, augment=Gain())
        validation = train.split(0.4)
        parts = [{track.name for track in folder.tracks} for folder in (train, validation)]
        assert len(parts[0]) == 3
        assert len(parts[1]) == 2
        assert not parts[0] & parts[1]
        names.append(tuple(sorted(parts[1])))
        assert validation.options.augment is None
        assert validation.options.remix == 0
        assert train.options.remix == 0.5
    assert names[0] == names[1]
    assert len(set(names)) > 1


def test_both_folders_draw_from_their_own_tracks(dataset, cache, noise):
    train = AudioFolder(dataset(2), sample_length=2.0, cache_dir=cache)
    validation = train.split(0.2, samples=5)
    assert len(validation) == 5
    for folder in (train, validation):
        (track,) = folder.tracks
        vocals = noise(10 * int(track.name[-1]) + 3)
        assert all((folder.excerpt(i)[1][0] == vocals).all() for i in range(5))


@pytest.mark.parametrize("fraction", [0.01, 0.99])
def test_at_least_one_track_on_either_side(fraction):
    kept, taken = split_tracks(songs("abcd"), fraction, seed=0)
    assert kept
    assert taken


def test_one_track_cannot_be_divided():
    with pytest.raises(DatasetError, match="only one track"):
        split_tracks(songs("a"), 0.2, seed=0)


@pytest.mark.parametrize("fraction", [0, 1, -0.2, 2, float("nan")])
def test_fractions_out_of_range(fraction):
    with pytest.raises(ParameterError, match="fraction"):
        split_tracks(songs("ab"), fraction, seed=0)


def test_the_standard_tracks_of_musdb():
    others = [f"Artist - Song {i}" for i in range(86)]
    kept, taken = split_tracks(songs([*others, *MUSDB_VALIDATION_TRACKS]), 0.5, seed=3)
    assert {track.name for track in taken} == set(MUSDB_VALIDATION_TRACKS)
    assert len(kept) == 86
    kept, taken = split_tracks(songs([*others, *MUSDB_VALIDATION_TRACKS[1:]]), 0.5, seed=3)
    assert len(kept) in (49, 50)
    kept, taken = split_tracks(songs(MUSDB_VALIDATION_TRACKS), 0.5, seed=3)
    assert len(kept) == len(taken) == 7


def test_lone_files_are_divided_source_by_source(tmp_path, write_track, noise, cache):
    write_track(tmp_path / "m" / "vocals", {f"take{i}": noise(i) for i in range(4)})
    write_track(tmp_path / "m" / "drums", {f"take{i}": noise(i) for i in range(2)})
    train = AudioFolder(tmp_path / "m", ["vocals", "drums"], cache_dir=cache)
    validation = train.split(0.25)
    for folder, counts in ((train, (3, 1)), (validation, (1, 1))):
        found = [sum(name in track.stems for track in folder.tracks) for name in folder.targets]
        assert tuple(found) == counts
    assert validation.excerpt(0)[0].shape == (2, 24000)


def test_a_source_that_no_validation_track_has_is_silent(dataset, cache):
    root = dataset(3)
    (root / "song0" / "vocals.wav").unlink()
    (root / "song1" / "vocals.wav").unlink()
    folder = AudioFolder(root, missing="silent", remix=1.0, cache_dir=cache)
    folder.split(0.3)
    folder._use([track for track in folder.tracks if "vocals" not in track.stems])
    assert folder.excerpt(0)[1].abs().max() == 0
