"""AudioFolder: right excerpts of the right places, whoever asks."""

import pickle

import numpy as np
import pytest
import torch

from unweave.audio import write
from unweave.datasets import AudioFolder, Gain, Repitch
from unweave.datasets.drawing import Places, Signals, active_seconds
from unweave.datasets.pcm import Decoded
from unweave.errors import DatasetError, ParameterError

RATE = 8000
SOURCES = ["vocals", "bass", "drums", "other"]


def at(signal: torch.Tensor, excerpt: torch.Tensor) -> int:
    """Find where an excerpt of 16-bit noise was cut; -1 if nowhere."""
    windows = signal[0].unfold(0, 16, 1)
    hits = (windows == excerpt[0, :16]).all(1).nonzero()[:, 0]
    for start in hits.tolist():
        if torch.equal(signal[:, start : start + excerpt.shape[1]], excerpt):
            return start
    return -1


@pytest.fixture
def folder(dataset, cache):
    return AudioFolder(dataset(2), ["vocals", "drums"], sample_length=0.5, cache_dir=cache)


def test_an_excerpt_is_a_place_of_a_track_in_all_its_stems(folder, noise):
    assert folder.sources == ["vocals", "drums", "bass", "other"]
    places = set()
    for index in range(20):
        mixture, targets = folder.excerpt(index)
        assert mixture.dtype == targets.dtype == torch.float32
        assert mixture.shape == (2, 4000)
        assert targets.shape == (2, 2, 4000)
        found = [(t, at(noise(10 * t + 3), targets[0])) for t in range(2)]
        ((track, start),) = [each for each in found if each[1] >= 0]
        stems = [noise(10 * track + i)[:, start : start + 4000] for i in range(4)]
        assert torch.equal(targets[1], stems[1])
        torch.testing.assert_close(mixture, torch.stack(stems).sum(0))
        places.add((track, start))
    assert len(places) == 20


def test_no_excerpt_goes_beyond_the_end(dataset, cache, noise):
    root = dataset(1, seconds=1.0)
    folder = AudioFolder(root, sample_length=0.999, cache_dir=cache)
    whole = noise(3, 1.0)
    starts = {at(whole, folder.excerpt(index)[1][0]) for index in range(60)}
    assert starts <= set(range(9))
    assert {0, 8} <= starts


def test_a_track_as_long_as_an_excerpt_and_a_shorter_one(dataset, cache, noise):
    root = dataset(1, seconds=1.0)
    exact = AudioFolder(root, sample_length=1.0, cache_dir=cache)
    assert torch.equal(exact.excerpt(0)[1][0], noise(3, 1.0))
    _, targets = AudioFolder(root, sample_length=1.5, cache_dir=cache).excerpt(0)
    assert torch.equal(targets[0, :, :8000], noise(3, 1.0))
    assert targets[0, :, 8000:].abs().max() == 0


def test_the_mixture_is_the_file_unless_the_stems_are_changed(dataset, cache, noise):
    root = dataset(1)
    write(root / "song0" / "mixture.wav", noise(99), RATE, subtype="PCM_16")
    words = {"sample_length": 2.0, "cache_dir": cache}
    assert torch.equal(AudioFolder(root, **words).excerpt(0)[0], noise(99))
    assert torch.equal(AudioFolder(root, **words).whole(0)[0], noise(99))
    total = sum(noise(i) for i in range(4))
    for changed in ({"augment": Gain(1.0, 1.0)}, {"remix": 0.001}):
        mixture, _ = AudioFolder(root, **words, **changed).excerpt(0)
        torch.testing.assert_close(mixture, total)


def test_what_stems_leave_of_their_mixture_is_a_stem(dataset, cache, noise):
    root = dataset(2, stems=("vocals",))
    for song in range(2):
        mixture = root / f"song{song}" / "mixture.wav"
        write(mixture, noise(90 + song), RATE, subtype="PCM_16")
    words = {"sample_length": 2.0, "cache_dir": cache}
    assert AudioFolder(root, **words).sources == ["vocals"]
    for augment, remix in ((Gain(1.0, 1.0), 0.0), (None, 0.5)):
        folder = AudioFolder(root, **words, augment=augment, remix=remix)
        assert folder.sources == ["vocals", "residual"]
        pairs = set()
        for index in range(20):
            mixture, targets = folder.excerpt(index)
            voice = [torch.equal(targets[0], noise(10 * song)) for song in range(2)].index(True)
            rests = [noise(90 + song) - noise(10 * song) for song in range(2)]
            found = [torch.allclose(mixture - targets[0], rest, atol=1e-4) for rest in rests]
            pairs.add((voice, found.index(True)))
        assert pairs == ({(0, 0), (1, 1)} if augment else {(0, 0), (1, 1), (0, 1), (1, 0)})
    assert len(list(cache.glob("*.pcm"))) == 6
    torch.testing.assert_close(folder.whole(0)[0], noise(90), atol=1e-4, rtol=0)


@pytest.mark.parametrize("stems", [("vocals", "other"), ("vocals", "bass", "drums", "guitar")])
def test_stems_that_make_up_their_mixture_leave_nothing(dataset, cache, noise, stems):
    root = dataset(1, stems=stems)
    write(root / "song0" / "mixture.wav", noise(99), RATE)
    assert "residual" not in AudioFolder(root, remix=0.5, cache_dir=cache).sources


def test_a_whole_track(folder, noise):
    mixture, targets = folder.whole(1)
    assert torch.equal(targets, torch.stack([noise(13), noise(11)]))
    torch.testing.assert_close(mixture, sum(noise(10 + i) for i in range(4)))


def test_remix_takes_stems_of_other_places(dataset, cache, noise):
    root = dataset(3)
    folder = AudioFolder(root, SOURCES, sample_length=0.25, remix=1.0, cache_dir=cache)
    mixed = 0
    for index in range(10):
        mixture, targets = folder.excerpt(index)
        torch.testing.assert_close(mixture, targets.sum(0))
        songs = {
            t
            for i, name in ((3, "vocals"), (0, "bass"))
            for t in range(3)
            if at(noise(10 * t + i), targets[SOURCES.index(name)]) >= 0
        }
        mixed += len(songs) > 1
    assert mixed >= 3


def test_a_folder_of_sources_is_mixed_at_random(tmp_path, write_track, noise, cache):
    write_track(tmp_path / "m" / "vocals", {f"take{i}": noise(i) for i in range(3)})
    write_track(tmp_path / "m" / "noise", {"street": noise(50, 5.0)})
    folder = AudioFolder(tmp_path / "m", ["vocals"], 0.25, layout="sources", cache_dir=cache)
    assert folder.sources == ["vocals", "noise"]
    mixture, targets = folder.excerpt(1)
    assert max(at(noise(i), targets[0]) for i in range(3)) >= 0
    rest = ((mixture - targets[0]) * 32768).round() / 32768
    assert at(noise(50, 5.0), rest) >= 0


def test_the_first_tracks_and_not_one_more(dataset, cache):
    root = dataset(3)
    for limit in (1, 2, 3, 4):
        folder = AudioFolder(root, max_num_tracks=limit, cache_dir=cache)
        assert [track.name for track in folder.tracks] == [f"song{i}" for i in range(min(3, limit))]


def test_of_lone_files_the_first_of_every_source(tmp_path, write_track, noise, cache):
    for source in ("vocals", "drums"):
        write_track(tmp_path / "m" / source, {f"take{i}": noise(i) for i in range(3)})
    folder = AudioFolder(tmp_path / "m", max_num_tracks=2, cache_dir=cache)
    names = [track.name for track in folder.tracks]
    assert names == ["drums/take0", "drums/take1", "vocals/take0", "vocals/take1"]


def test_the_same_seed_gives_the_same_excerpts(dataset, cache):
    root = dataset(2)
    words = {"sample_length": 0.2, "cache_dir": cache}
    one, two = AudioFolder(root, **words), AudioFolder(root, **words)
    other = AudioFolder(root, **words, seed=1)
    for index in range(5):
        mine = one.excerpt(index, epoch=3)[0]
        assert torch.equal(mine, two.excerpt(index, epoch=3)[0])
        assert not torch.equal(mine, other.excerpt(index, epoch=3)[0])
        assert not torch.equal(mine, one.excerpt(index, epoch=4)[0])


def test_the_global_random_states_neither_matter_nor_move(folder):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the state that must not be touched
    before = torch.get_rng_state()
    first = folder.excerpt(0)[0]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert torch.equal(first, folder.excerpt(0)[0])


def test_augmentation_gets_a_seeded_generator_and_enough_samples(dataset, cache, noise):
    words = {"sample_length": 0.25, "cache_dir": cache}
    folder = AudioFolder(dataset(1), SOURCES, augment=Repitch(4.0, p=1.0), **words)
    mixture, targets = folder.excerpt(0)
    assert mixture.shape == (2, 2000)
    torch.testing.assert_close(mixture, targets.sum(0))
    assert torch.equal(targets, folder.excerpt(0)[1])
    assert not torch.equal(targets, folder.excerpt(1)[1])


def test_an_augmentation_that_eats_samples_must_say_so(dataset, cache):
    folder = AudioFolder(dataset(1), augment=lambda stems, _: stems[..., 1:], cache_dir=cache)
    with pytest.raises(ParameterError, match="must say so by its `context`"):
        folder.excerpt(0)


@pytest.mark.parametrize(("channels", "given"), [(1, 1), (2, 2), (2, None), (2, 1), (1, 2)])
def test_channels_as_they_are_their_mean_or_repeated(dataset, cache, noise, channels, given):
    root = dataset(1, channels=channels)
    folder = AudioFolder(root, sample_length=2.0, num_channels=given, cache_dir=cache)
    _, targets = folder.excerpt(0)
    signal = noise(3, channels=channels)
    expected = signal.mean(0, keepdim=True) if given == 1 else signal.expand(given or channels, -1)
    torch.testing.assert_close(targets[0], expected, atol=2e-5, rtol=0)


def test_wrong_rates_and_channels_are_named(tmp_path, dataset, cache, write_track, noise):
    root = dataset(2)
    with pytest.raises(DatasetError, match=r"has 8000 Hz, but sample_rate is 44100 Hz.*resample"):
        AudioFolder(root, sample_rate=44100, cache_dir=cache)
    with pytest.raises(DatasetError, match="or sample_rate=8000, which all files have"):
        AudioFolder(root, sample_rate=44100, cache_dir=cache)
    faster = AudioFolder(root, sample_rate=16000, resample=True, sample_length=1, cache_dir=cache)
    assert faster.excerpt(0)[0].shape == (2, 16000)
    assert faster.tracks[0].frames == 32000
    write_track(root / "song2", {n: noise(0, channels=1) for n in SOURCES})
    with pytest.raises(DatasetError, match=r"song2.* has 1 channels, but .* has 2: pass num_ch"):
        AudioFolder(root, cache_dir=cache)
    write_track(root / "song2", {n: noise(0, channels=3) for n in SOURCES})
    with pytest.raises(DatasetError, match=r"song2.* has 3 channels: 2 cannot be made"):
        AudioFolder(root, num_channels=2, cache_dir=cache)


def test_stems_of_different_lengths(dataset, cache, write_track, noise):
    root = dataset(1)
    write_track(root / "song0", {"vocals": noise(3)[:, :15000]})
    assert AudioFolder(root, cache_dir=cache).tracks[0].frames == 15000
    write_track(root / "song0", {"vocals": noise(3)[:, :8000]})
    with pytest.raises(DatasetError, match=r"track 'song0': .* is 2.00 s long, 'vocals.wav' 1.00"):
        AudioFolder(root, cache_dir=cache)


def test_a_stem_that_is_not_played_is_silent(dataset, cache):
    root = dataset(2)
    (root / "song1" / "vocals.wav").unlink()
    folder = AudioFolder(root, missing="silent", sample_length=2.0, active=0.0, cache_dir=cache)
    silent = {bool(folder.excerpt(index)[1].abs().max() == 0) for index in range(20)}
    assert silent == {True, False}


@pytest.mark.parametrize(
    "words",
    [
        {"active": 1.5},
        {"remix": -0.1},
        {"samples_per_epoch": 0},
        {"samples_per_epoch": 1.5},
        {"max_num_tracks": 0},
        {"seed": -1},
        {"sample_length": 0},
        {"sample_length": 1e4},
        {"sample_length": "3"},
        {"targets": []},
        {"targets": ["vocals", "vocals"]},
        {"targets": ["mixture"]},
        {"sample_rate": 0},
        {"num_channels": 0},
        {"workers": 2},
        {"missing": "none"},
        {"layout": "flat"},
    ],
)
def test_words_out_of_range(dataset, cache, words):
    with pytest.raises(ParameterError, match=next(iter(words))):
        AudioFolder(dataset(1), **words, cache_dir=cache)


def quiet_song(noise, level: float, seconds: int = 40, sounding: int = 6) -> dict:
    """Vocals in a few seconds only, drums throughout."""
    vocals = noise(0, seconds)
    vocals[:, sounding * RATE :] = 0
    return {"vocals": vocals * level, "drums": noise(1, seconds) * level}


@pytest.mark.parametrize("level", [1.0, 1 / 256])
def test_most_draws_have_the_target_and_some_have_not(tmp_path, write_track, noise, cache, level):
    write_track(tmp_path / "m" / "song", quiet_song(noise, level))
    folder = AudioFolder(tmp_path / "m", ["vocals"], sample_length=1.0, cache_dir=cache)
    sounds = [bool(folder.excerpt(i)[1].abs().max() > 0) for i in range(300)]
    assert 0.8 < np.mean(sounds) < 0.95
    folder = AudioFolder(tmp_path / "m", sample_length=1.0, active=0.0, cache_dir=cache)
    sounds = [bool(folder.excerpt(i)[1].abs().max() > 0) for i in range(300)]
    assert 0.1 < np.mean(sounds) < 0.27


def test_without_chosen_places_every_moment_is_as_likely():
    def track(frames: int) -> Signals:
        return Signals("t", {"a": Decoded(None, 100, 1, frames, 1.0, (1.0,))}, None, frames)

    places = Places([track(1000), track(3100)], ["a"], 1, 100)
    rng = np.random.default_rng(0)
    drawn = [places.together(rng, 100, 0.0) for _ in range(4000)]
    assert np.mean([place.track for place in drawn]) == pytest.approx(3001 / 3902, abs=0.03)
    starts = [place.start for place in drawn if place.track == 1]
    assert min(starts) >= 0
    assert max(starts) <= 3000
    quarters = np.histogram(starts, 4, (0, 3000))[0] / len(starts)
    assert np.abs(quarters - 0.25).max() < 0.05


def test_activity_is_relative_to_the_stem_and_its_track():
    levels = [0.1] * 5 + [0.0005] * 5
    assert list(active_seconds(levels, 0.1)) == [0, 1, 2, 3, 4]
    assert list(active_seconds([x / 100 for x in levels], 0.001)) == [0, 1, 2, 3, 4]
    assert len(active_seconds([2e-4] * 5, 0.5)) == 0  # hum under a loud track
    assert len(active_seconds([], 0.5)) == len(active_seconds([0.0, 0.0], 0.0)) == 0


def test_a_folder_can_be_sent_to_another_process(folder):
    folder.excerpt(0)
    sent = pickle.dumps(folder)
    assert len(sent) < 50_000
    assert torch.equal(pickle.loads(sent).excerpt(3)[0], folder.excerpt(3)[0])
