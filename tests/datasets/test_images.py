"""Excerpts of spectrogram images against those of the audio they were made of."""

import math
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from unweave import audio
from unweave.codec import SpectrogramCodec
from unweave.codec.folders import EncodeJob, encode_files
from unweave.datasets import AudioFolder, SpectrogramImageFolder
from unweave.datasets.imagefiles import measured_levels
from unweave.errors import CodecError, DatasetError, ParameterError
from unweave.transforms import stft

RATE, N_FFT, HOP = 8000, 256, 128
SETTINGS = {"n_fft": N_FFT, "hop_length": HOP, "max_frequency": None}
EXACT = {"format": "png", "bits": 16, "stereo": "left_right"}
WORDS = {"sample_length": 0.5, "samples_per_epoch": 8}


@pytest.fixture
def music(dataset: Callable[..., Path], write_track: Callable[..., None]) -> Path:
    """Tracks with mixtures of their own."""
    root = dataset(3, stems=("drums", "vocals"), seconds=2.3)
    for track in root.iterdir():
        drums, vocals = (audio.read(track / f"{name}.wav")[0] for name in ("drums", "vocals"))
        # somewhere silent, so that places are not all alike
        vocals[:, : 2 * RATE if track.name == "song1" else RATE] = 0
        write_track(track, {"vocals": vocals, "mixture": drums + vocals})
    return root


@pytest.fixture
def imaged(music: Path, tmp_path: Path) -> Callable[..., Path]:
    """Encode the tracks."""

    def make(**settings: object) -> Path:
        root = tmp_path / "images"
        codec = SpectrogramCodec(**(SETTINGS | EXACT | settings))
        suffix = codec.settings.format.replace("jpeg", "jpg")
        jobs = [
            EncodeJob((root / path.relative_to(music)).with_suffix(f".{suffix}"), ((path, 0),))
            for path in sorted(music.rglob("*.wav"))
        ]
        assert {file.status for file in encode_files(jobs, codec=codec, measure=False)} == {"ok"}
        return root

    return make


def spectrum(sound: Tensor) -> Tensor:
    return stft(sound, n_fft=N_FFT, hop_length=HOP, output="magnitude")


@pytest.mark.parametrize("active", [0.0, 0.85, 1.0])
def test_excerpts_lie_where_those_of_audio_lie(music, imaged, cache, active):
    sound = AudioFolder(music, ["vocals", "drums"], active=active, cache_dir=cache, **WORDS)
    words = {"active": active, "cache_dir": cache, **WORDS}
    images = SpectrogramImageFolder(imaged(), ["vocals", "drums"], **words)
    assert (images.length, images.sources) == (sound.length, sound.sources)
    wholes = [[spectrum(part) for part in sound.whole(index)] for index in range(3)]
    for index in range(12):
        mixture, targets = images.excerpt(index, epoch=3)
        assert mixture.shape == (2, N_FFT // 2 + 1, images.frames) == targets.shape[1:]
        heard, _ = sound.excerpt(index, epoch=3)
        track, start = located(sound, heard)
        first = min(round(start / HOP), wholes[track][0].shape[-1] - images.frames)
        for got, whole in zip((mixture, targets), wholes[track], strict=True):
            wanted = whole[..., first : first + images.frames]
            torch.testing.assert_close(got, wanted, rtol=1e-2, atol=2e-3)


def located(folder: AudioFolder, heard: Tensor) -> tuple[int, int]:
    """Find an excerpt in its tracks by comparison."""
    for index in range(len(folder.tracks)):
        whole = folder.whole(index)[0]
        windows = whole[0].unfold(0, 64, 1)  # of noise, enough to tell
        hits = (windows == heard[0, :64]).all(-1).nonzero()
        if len(hits):
            return index, int(hits[0])
    raise AssertionError("the excerpt is nowhere")


def test_frames_are_those_of_the_excerpt_of_audio(imaged, cache):
    folder = SpectrogramImageFolder(imaged(), cache_dir=cache, **WORDS)
    assert folder.frames == spectrum(torch.zeros(1, folder.length)).shape[-1]
    assert (folder.info.n_fft, folder.info.hop_length) == (N_FFT, HOP)


@pytest.mark.parametrize("settings", [{}, {"format": "jpeg", "bits": 8, "quality": 90}])
def test_a_memory_changes_nothing_but_time(imaged, cache, settings):
    words = {"targets": ["vocals", "drums"], "cache_dir": cache, **WORDS}
    root = imaged(**settings)
    plain = SpectrogramImageFolder(root, **words)
    pixels = 2 * (N_FFT // 2 + 8) * plain.info.frames * (1 if settings else 2)
    memory = 2.5 * pixels / 1e6  # two images and a half
    kept = SpectrogramImageFolder(root, memory=memory, **words)
    for index in range(12):
        for one, other in zip(plain.excerpt(index), kept.excerpt(index), strict=True):
            assert torch.equal(one, other)
        assert 0 < kept._reader.used <= memory * 1e6
    assert len(kept._reader._kept) == 2
    again = pickle.loads(pickle.dumps(kept))
    assert (again._reader.used, len(again._reader._kept)) == (0, 0)
    assert torch.equal(again.excerpt(3)[0], plain.excerpt(3)[0])


def test_what_is_kept_is_not_read_again(imaged, cache):
    root = imaged()
    folder = SpectrogramImageFolder(root, cache_dir=cache, memory=100, **WORDS)
    wanted = [folder.whole(index)[0] for index in range(3)]
    for path in root.rglob("*.png"):
        path.unlink()
    assert all(torch.equal(folder.whole(index)[0], wanted[index]) for index in range(3))


def test_a_memory_that_is_too_small_for_an_image_holds_none(imaged, cache):
    folder = SpectrogramImageFolder(imaged(), cache_dir=cache, memory=0.001, **WORDS)
    assert folder.excerpt(0)[0].any()
    assert folder._reader.used == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_share_what_one_process_reads(imaged, cache, workers):
    folder = SpectrogramImageFolder(imaged(), cache_dir=cache, **WORDS)
    alone = [mixture for mixture, _ in folder]
    folder.set_epoch(0)
    loader = DataLoader(folder, batch_size=None, num_workers=workers)
    shared = [mixture for mixture, _ in loader]
    assert len(alone) == len(shared) == len(folder) == 8
    for one in alone:
        assert any(torch.equal(one, other) for other in shared)


def test_ranks_share_what_one_process_reads(imaged, cache, monkeypatch):
    folder = SpectrogramImageFolder(imaged(), cache_dir=cache, **WORDS)
    alone = [mixture for mixture, _ in folder]
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setenv("RANK", str(rank))
        folder.set_epoch(0)
        for one, other in zip(folder, alone[rank::2], strict=True):
            assert torch.equal(one[0], other)


def test_seeds_and_epochs_differ(imaged, cache):
    root = imaged()
    first, second = (
        SpectrogramImageFolder(root, cache_dir=cache, seed=seed, **WORDS) for seed in (0, 1)
    )
    assert not torch.equal(first.excerpt(0)[0], second.excerpt(0)[0])
    assert not torch.equal(first.excerpt(0)[0], first.excerpt(0, epoch=1)[0])


def test_a_short_track_is_followed_by_silence(imaged, cache):
    folder = SpectrogramImageFolder(imaged(), sample_length=4.0, cache_dir=cache)
    frames = folder.whole(0)[0].shape[-1]
    for memory in (0, 10):
        folder._reader.memory = memory * 10**6
        mixture, _ = folder.excerpt(0)
        assert mixture.shape[-1] == folder.frames > frames
        assert mixture[..., :frames].any()
        assert not mixture[..., frames:].any()


def test_levels_are_those_of_the_audio(music, imaged, cache):
    sound = AudioFolder(music, cache_dir=cache)
    images = SpectrogramImageFolder(imaged(), cache_dir=cache)
    for heard, seen in zip(sound.tracks, images.tracks, strict=True):
        assert (heard.name, heard.frames) == (seen.name, seen.frames)
        pairs = zip(heard.stems["vocals"].levels, seen.stems["vocals"].levels, strict=True)
        for one, other in pairs:
            # a frame at the border belongs to both seconds
            assert other == pytest.approx(one, rel=0.1, abs=0.01)


def test_the_level_of_a_tone_is_its_root_mean_square():
    tone = 0.5 * torch.sin(torch.arange(2 * RATE) * 2 * math.pi * 440 / RATE)[None]
    codec = SpectrogramCodec(**SETTINGS, **EXACT)
    file = codec.encode(tone, sample_rate=RATE)
    levels = measured_levels([codec.decode(file)], codec.info(file))
    assert levels == pytest.approx([0.5 / math.sqrt(2)] * 2, rel=0.02)


def test_levels_are_measured_once(imaged, cache, monkeypatch):
    root = imaged()
    told: list[tuple[int, int]] = []
    words = {"cache_dir": cache, **WORDS}
    first = SpectrogramImageFolder(root, progress=lambda *n: told.append(n), **words)
    assert told == [(n, 6) for n in range(1, 7)]

    def refuse(*_args, **_kwargs):
        raise CodecError("not again")

    monkeypatch.setattr(SpectrogramCodec, "decode", refuse)
    again = SpectrogramImageFolder(root, **words)
    assert [t.stems for t in again.tracks] == [t.stems for t in first.tracks]
    for kept in cache.glob("*.json"):
        kept.write_text("{")
    with pytest.raises(DatasetError, match="not again"):
        SpectrogramImageFolder(root, **words)
    assert SpectrogramImageFolder(root, active=0, **words).tracks  # needs no levels


def test_split_takes_the_tracks_that_audio_loses(music, imaged, cache):
    sound = AudioFolder(music, cache_dir=cache).split(0.4)
    images = SpectrogramImageFolder(imaged(), cache_dir=cache)
    taken = images.split(0.4)
    assert [t.name for t in taken.tracks] == [t.name for t in sound.tracks]
    assert len(taken) == len(sound)
    assert isinstance(taken, SpectrogramImageFolder)
    first, second = ([mixture for mixture, _ in taken] for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_a_stem_that_is_not_played_is_silent_if_that_is_said(imaged, cache):
    root = imaged()
    (root / "song1" / "vocals.png").unlink()
    with pytest.raises(DatasetError, match=r"track 'song1' lacks the stem 'vocals'.*silent"):
        SpectrogramImageFolder(root, cache_dir=cache)
    folder = SpectrogramImageFolder(root, ["vocals"], missing="silent", cache_dir=cache)
    mixture, targets = folder.whole(1)
    assert mixture.any()
    assert not targets.any()
    with pytest.raises(DatasetError, match="named 'bass'"):
        SpectrogramImageFolder(root, ["bass"], missing="silent", cache_dir=cache)


def test_a_mixture_is_needed(imaged, cache):
    root = imaged()
    (root / "song2" / "mixture.png").unlink()
    with pytest.raises(DatasetError, match=r"'song2' has no image of its mixture.*--mixtures"):
        SpectrogramImageFolder(root, cache_dir=cache)


@pytest.mark.parametrize(
    ("change", "named"),
    [({"hop_length": 64}, "hop_length=64"), ({"n_fft": 512}, "n_fft=512")],
)
def test_other_settings_are_named_with_their_file(music, imaged, cache, change, named):
    root = imaged()
    sound, rate = audio.read(music / "song1" / "vocals.wav")
    odd = root / "song1" / "vocals.png"
    SpectrogramCodec(**(SETTINGS | EXACT | change)).encode(sound, sample_rate=rate, path=odd)
    with pytest.raises(DatasetError, match=named) as caught:
        SpectrogramImageFolder(root, cache_dir=cache)
    assert str(odd) in str(caught.value)


@pytest.mark.parametrize(
    ("sound", "rate", "named"),
    [
        (torch.zeros(1, 18400), RATE, "channels=1"),
        (torch.zeros(2, 18400), 16000, "sample_rate=16000"),
        (torch.zeros(2, 9000), RATE, "equally long"),
    ],
)
def test_other_audio_is_named_with_its_file(imaged, cache, sound, rate, named):
    root = imaged()
    odd = root / "song1" / "vocals.png"
    SpectrogramCodec(**SETTINGS, **EXACT).encode(sound, sample_rate=rate, path=odd)
    with pytest.raises(DatasetError, match=named) as caught:
        SpectrogramImageFolder(root, cache_dir=cache)
    assert str(odd) in str(caught.value)


@pytest.mark.parametrize("settings", [{}, {"format": "jpeg", "bits": 8}])
def test_damaged_files_are_named(imaged, cache, settings):
    root = imaged(**settings)
    image = next(root.glob("song1/vocals.*"))
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DatasetError, match="vocals"):
        SpectrogramImageFolder(root, cache_dir=cache)
    image.write_bytes(b"\xff\xd8 no image")
    with pytest.raises(DatasetError, match="vocals"):
        SpectrogramImageFolder(root, cache_dir=cache)
    image.write_bytes(whole)
    folder = SpectrogramImageFolder(root, cache_dir=cache)
    image.unlink()
    with pytest.raises(DatasetError, match="vocals"):
        folder.whole(1)


def test_folders_of_audio_are_refused(music, cache, tmp_path):
    with pytest.raises(DatasetError, match="unweave encode"):
        SpectrogramImageFolder(music, cache_dir=cache)
    with pytest.raises(DatasetError, match="does not exist"):
        SpectrogramImageFolder(tmp_path / "nowhere", cache_dir=cache)


@pytest.mark.parametrize(
    "words",
    [
        {"fill": "noise"},
        {"memory": -1},
        {"remix": 0.5},
        {"augment": None},
        {"active": 2},
        {"sample_length": 0.0},
        {"samples_per_epoch": 1.5},
    ],
)
def test_arguments_are_checked(imaged, cache, words):
    with pytest.raises(ParameterError, match=next(iter(words))):
        SpectrogramImageFolder(imaged(), cache_dir=cache, **words)


def test_bins_that_were_left_out_are_filled_as_asked(imaged, cache):
    root = imaged(max_frequency=2000)
    zeros, extended = (
        SpectrogramImageFolder(root, cache_dir=cache, fill=fill, **WORDS).excerpt(1)[0]
        for fill in ("zeros", "extend")
    )
    bins = 2000 * N_FFT // RATE + 1
    assert not zeros[:, bins:].any()
    assert (extended[:, bins:] > 0).all()
    assert torch.equal(zeros[:, :bins], extended[:, :bins])
