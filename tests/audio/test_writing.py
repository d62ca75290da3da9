"""Round trips: what is written is what is read, in every format."""

import struct
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings

from unweave import audio
from unweave.audio import _riff
from unweave.errors import AudioFileError, ParameterError

STEPS = {
    "PCM_U8": 2**-7,
    "PCM_S8": 2**-7,
    "PCM_16": 2**-15,
    "PCM_24": 2**-23,
    "PCM_32": 2**-24,
    "FLOAT": 0.0,
    "DOUBLE": 0.0,
}
LOSSLESS = [
    (name, subtype)
    for name in ("wav", "flac", "aiff", "caf")
    for subtype in STEPS
    if subtype in audio.formats.FORMATS[name].subtypes
]


def snr(reference, estimate):
    return 10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum())


@pytest.mark.parametrize(("name", "subtype"), LOSSLESS)
def test_lossless_formats_return_every_sample(tmp_path, tones, name, subtype):
    signal = tones(2, 5003)
    path = tmp_path / f"x.{name}"
    audio.write(path, signal, 44100, subtype=subtype)
    back, rate = audio.read(path)
    assert (rate, back.dtype, back.shape) == (44100, torch.float32, signal.shape)
    # libsndfile scales by 2^(b-1) - 1 when writing and by 2^(b-1) when reading
    assert (back - signal).abs().max() <= 1.6 * STEPS[subtype]
    assert audio.info(path).subtype == subtype


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 88200, 96000, 192000])
@pytest.mark.parametrize("channels", [1, 2, 6, 8])
@pytest.mark.parametrize("name", ["wav", "flac", "aiff", "caf"])
def test_rates_and_channels_of_lossless_formats(tmp_path, tones, name, channels, rate):
    signal = tones(channels, 1001)
    path = tmp_path / f"x.{name}"
    audio.write(path, signal, rate)
    facts = audio.info(path)
    assert (facts.sample_rate, facts.channels, facts.frames) == (rate, channels, 1001)
    back, _ = audio.read(path)
    assert (back - signal).abs().max() <= 2 * STEPS["PCM_24"]


@pytest.mark.parametrize(
    ("name", "rate", "channels", "quality"),
    [
        ("ogg", 44100, 2, 25),
        ("ogg", 8000, 1, 15),
        ("ogg", 192000, 2, 15),
        ("ogg", 48000, 6, 15),
        ("opus", 48000, 2, 15),
        ("opus", 48000, 8, 10),
        ("opus", 8000, 1, 10),
        ("mp3", 44100, 2, 25),
        ("mp3", 8000, 1, 15),
        ("mp3", 48000, 1, 25),
        ("m4a", 44100, 2, 15),
        ("m4a", 8000, 1, 15),
        ("m4a", 96000, 2, 15),
        ("m4a", 48000, 8, -1),
    ],
)
def test_lossy_formats_keep_length_and_alignment(tmp_path, tones, name, rate, channels, quality):
    signal = tones(channels, 30011)
    path = tmp_path / f"x.{name}"
    audio.write(path, signal, rate)
    back, found = audio.read(path)
    assert (found, back.shape) == (rate, signal.shape)
    assert audio.info(path).frames == 30011
    whole = [channel for channel in range(channels) if channels < 6 or channel != 3]  # not the LFE
    assert snr(signal[whole], back[whole]) > quality


@pytest.mark.parametrize("name", list(audio.formats.FORMATS))
@pytest.mark.parametrize("frames", [1, 1023, 1025, 4097])
def test_short_lengths_are_exact(tmp_path, tones, name, frames):
    path = tmp_path / f"x.{name}"
    audio.write(path, tones(2, frames), 48000)
    assert audio.info(path).frames == frames
    assert audio.read(path)[0].shape == (2, frames)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["wav", "flac", "aiff", "caf"]),
    channels=st.integers(1, 8),
    frames=st.integers(1, 3000),
    rate=st.integers(1, 400_000),
    block=st.integers(1, 999),
)
def test_any_shape_and_blocking_survives(tmp_path_factory, name, channels, frames, rate, block):
    path = tmp_path_factory.mktemp("any") / f"x.{name}"
    rate = audio.nearest_rate(name, rate)
    signal = torch.randint(-(2**15), 2**15, (channels, frames)) / 2**15
    with audio.AudioWriter(path, sample_rate=rate, channels=channels) as writer:
        for start in range(0, frames, block):
            writer.write(signal[:, start : start + block])
    assert writer.frames == frames
    joined = torch.cat(list(audio.blocks(path, block)), dim=1)
    assert joined.shape == signal.shape
    assert (joined - signal).abs().max() <= 2 * STEPS["PCM_24"]


@pytest.mark.parametrize("name", ["wav", "ogg", "aiff", "caf"])
def test_zero_samples(tmp_path, name):
    path = tmp_path / f"x.{name}"
    audio.write(path, torch.zeros(2, 0), 44100)
    back, rate = audio.read(path)
    assert (tuple(back.shape), rate) == ((2, 0), 44100)


@pytest.mark.parametrize("name", ["flac", "opus", "mp3", "m4a"])
def test_formats_that_cannot_be_empty_say_so(tmp_path, name):
    with pytest.raises(ParameterError, match="zero samples: write wav"):
        audio.write(tmp_path / f"x.{name}", torch.zeros(2, 0), 48000)
    assert not list(tmp_path.iterdir())


def test_numpy_float64_and_gradients_are_taken_and_not_changed(tmp_path):
    array = np.linspace(-1, 1, 100)[None]
    tensor = torch.tensor(array, requires_grad=True)
    copy = array.copy()
    audio.write(tmp_path / "a.wav", array, 8000)
    audio.write(tmp_path / "b.wav", tensor, 8000)
    assert np.array_equal(array, copy)
    assert torch.equal(audio.read(tmp_path / "a.wav")[0], audio.read(tmp_path / "b.wav")[0])


def test_beyond_full_scale_clips_in_integers_and_stays_in_floats(tmp_path):
    loud = torch.tensor([[0.0, 1.5, -1.5, float("inf"), float("nan")]])
    audio.write(tmp_path / "x.wav", loud, 8000)
    back, _ = audio.read(tmp_path / "x.wav")
    assert torch.equal(back.nan_to_num(7.0), loud.nan_to_num(7.0))
    audio.write(tmp_path / "y.wav", loud[:, :3], 8000, subtype="PCM_16")
    back, _ = audio.read(tmp_path / "y.wav")
    assert (back - torch.tensor([[0.0, 1.0, -1.0]])).abs().max() <= 2**-15


@pytest.mark.parametrize("name", ["flac", "ogg", "mp3", "m4a"])
def test_nan_is_refused_where_it_cannot_be_kept(tmp_path, name):
    with pytest.raises(ParameterError, match="NaN or infinite"):
        audio.write(tmp_path / f"x.{name}", torch.full((1, 10), float("nan")), 44100)
    assert not list(tmp_path.iterdir())


def test_wav_header_is_plain_and_deterministic(tmp_path, tones):
    path = tmp_path / "x.wav"
    audio.write(path, tones(2, 999), 44100, subtype="PCM_16", tags={"title": "Lied"})
    first = path.read_bytes()
    assert first[:4] == b"RIFF"
    assert struct.unpack("<I", first[4:8])[0] == len(first) - 8
    at = first.index(b"fmt ")
    expected = (16, 1, 2, 44100, 4 * 44100, 4, 16)
    assert struct.unpack("<IHHIIHH", first[at + 4 : at + 24]) == expected
    at = first.index(b"data")
    assert struct.unpack("<I", first[at + 4 : at + 8])[0] == 999 * 4
    audio.write(path, tones(2, 999), 44100, subtype="PCM_16", tags={"title": "Lied"})
    assert path.read_bytes() == first


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_odd_wav_and_surround_keep_their_chunks(tmp_path, tones, subtype):
    for channels in (1, 3, 6):
        path = tmp_path / "x.wav"
        audio.write(path, tones(channels, 333), 44100, subtype=subtype)
        with soundfile.SoundFile(path) as file:
            assert (file.format in ("WAV", "WAVEX"), file.frames) == (True, 333)
            assert "(should be" not in file.extra_info


def test_large_wav_stays_rf64(tmp_path, tones, monkeypatch):
    monkeypatch.setattr(_riff, "_LARGEST_RIFF", 10_000)
    audio.write(tmp_path / "small.wav", tones(1, 1000), 8000)
    audio.write(tmp_path / "large.wav", tones(1, 4000), 8000)
    assert audio.info(tmp_path / "small.wav").format == "WAV"
    assert audio.info(tmp_path / "large.wav").format == "RF64"
    assert torch.equal(audio.read(tmp_path / "large.wav")[0], tones(1, 4000))


TAGS = {
    "title": "Über den Wolken",
    "artist": "日本語",
    "album": "a" * 200,
    "date": "2024",
    "comment": "✓",
    "genre": "Pop",
    "tracknumber": "7",
}


@pytest.mark.parametrize("name", ["wav", "flac", "ogg", "opus", "mp3", "m4a", "caf"])
def test_tags_are_kept(tmp_path, tones, name):
    audio.write(tmp_path / f"x.{name}", tones(1, 500), 48000, tags=TAGS)
    kept = dict(audio.info(tmp_path / f"x.{name}").tags)
    assert {key: kept.get(key) for key in TAGS} == TAGS
    audio.write(tmp_path / f"y.{name}", tones(1, 500), 48000, tags=kept)
    again = audio.info(tmp_path / f"y.{name}").tags
    assert {key: again.get(key) for key in TAGS} == TAGS


def test_aiff_keeps_title_artist_and_comment(tmp_path, tones):
    audio.write(tmp_path / "x.aiff", tones(1, 500), 48000, tags=TAGS)
    kept = audio.info(tmp_path / "x.aiff").tags
    assert all(kept[key] == TAGS[key] for key in ("title", "artist", "comment"))


def test_unknown_tags_are_named(tmp_path, tones):
    with pytest.raises(ParameterError, match=r"\['mood'\] must be among title"):
        audio.write(tmp_path / "x.wav", tones(1, 5), 8000, tags={"mood": "calm"})


@pytest.mark.parametrize("file", ["Ünïcödé ✓.wav", "日本語.flac", "a b'c\"d.ogg", "-dash.m4a"])
def test_names_beyond_ascii(tmp_path, tones, file):
    audio.write(tmp_path / file, tones(1, 500), 44100)
    assert audio.info(tmp_path / file).frames == 500
    assert [path.name for path in tmp_path.iterdir()] == [file]


def test_name_of_the_greatest_length(tmp_path, tones):
    path = tmp_path / ("ä" * 125 + ".wav")
    audio.write(path, tones(1, 5), 8000)
    assert audio.info(path).frames == 5


def test_format_beats_suffix_and_case_does_not_matter(tmp_path, tones):
    audio.write(tmp_path / "x.dat", tones(1, 50), 8000, format="FLAC", subtype="pcm_16")
    facts = audio.info(tmp_path / "x.dat")
    assert (facts.format, facts.subtype) == ("FLAC", "PCM_16")


def test_an_exception_leaves_nothing_and_keeps_the_old_file(tmp_path, tones):
    path = tmp_path / "x.wav"
    path.write_bytes(b"precious")

    def interrupted():
        with audio.AudioWriter(path, sample_rate=8000, channels=1) as writer:
            writer.write(tones(1, 5000))
            assert len(list(tmp_path.iterdir())) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dropped_writer_leaves_nothing(tmp_path, tones):
    writer = audio.AudioWriter(tmp_path / "x.wav", sample_rate=8000, channels=1)
    writer.write(tones(1, 5000))
    del writer
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_after_close(tmp_path, tones):
    with audio.AudioWriter(tmp_path / "x.wav", sample_rate=8000, channels=1) as writer:
        writer.write(tones(1, 5))
    writer.close()
    with pytest.raises(ParameterError, match="closed"):
        writer.write(tones(1, 5))


def test_a_link_stays_a_link(tmp_path, tones):
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    audio.write(tmp_path / "link.wav", tones(1, 50), 8000)
    assert (tmp_path / "link.wav").is_symlink()
    assert audio.info(tmp_path / "real.wav").frames == 50


def test_output_equal_to_input(tmp_path, tones):
    path = tmp_path / "x.wav"
    audio.write(path, tones(2, 9000), 8000)
    with audio.AudioWriter(path, sample_rate=8000, channels=2) as writer:
        for block in audio.blocks(path, 1000):
            writer.write(-block)
    assert torch.equal(audio.read(path)[0], -tones(2, 9000))


@pytest.mark.parametrize(
    ("file", "shape", "rate", "options", "text"),
    [
        ("x.opus", (2, 5), 44100, {}, "8000, 12000, .* not 44100: resample to 48000 Hz first"),
        ("x.mp3", (2, 5), 96000, {}, "not 96000: resample to 48000 Hz first"),
        ("x.mp3", (3, 5), 44100, {}, "mp3 holds at most 2 channels, not 3"),
        ("x.flac", (9, 5), 44100, {}, "flac holds at most 8 channels, not 9"),
        ("x.flac", (1, 5), 768000, {}, "1 to 655350 Hz, not 768000"),
        ("x.flac", (1, 5), 65537, {}, "not 65537: resample to 65540 Hz first"),
        ("x.ogg", (1, 5), 1, {}, "8000 to 192000 Hz, not 1: resample to 8000"),
        ("x.flac", (1, 5), 8000, {"subtype": "FLOAT"}, "must be one of PCM_24, PCM_16"),
        ("x.xyz", (1, 5), 8000, {}, "names no format that can be written: give format="),
        ("x", (1, 5), 8000, {}, "names no format"),
        ("x.wav", (1, 5), 8000, {"format": "aac"}, "format='aac' must be one of wav, flac"),
        ("x.wav", (1, 5), 0, {}, "sample_rate=0 must be a positive integer"),
        ("x.wav", (1, 5), 44100.5, {}, "sample_rate=44100.5 must be"),
        ("x.wav", (0, 5), 8000, {}, "channels=0 must be"),
        ("x.wav", (5,), 8000, {}, r"audio has shape \(5,\): it must be \(channels, time\)"),
    ],
)
def test_wrong_arguments_are_explained(tmp_path, file, shape, rate, options, text):
    with pytest.raises(ParameterError, match=text):
        audio.write(tmp_path / file, torch.zeros(shape), rate, **options)
    assert not list(tmp_path.iterdir())


def test_wrong_blocks_are_explained(tmp_path):
    with audio.AudioWriter(tmp_path / "x.wav", sample_rate=8000, channels=2) as writer:
        with pytest.raises(ParameterError, match=r"shape \(3, 5\) must be \(channels=2, time\)"):
            writer.write(torch.zeros(3, 5))
        with pytest.raises(ParameterError, match=r"int16 must be floating point"):
            writer.write(torch.zeros(2, 5, dtype=torch.int16))
        with pytest.raises(ParameterError, match=r"int64 must be floating point"):
            writer.write(np.zeros((2, 5), np.int64))


@pytest.mark.parametrize("place", ["missing/x.wav", "folder", "bad\0name.wav"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "folder").mkdir()
    path = f"{tmp_path}/{place}"
    with pytest.raises(AudioFileError, match=r"missing|is a folder|null"):
        audio.write(path, torch.zeros(1, 5), 8000, format="wav")


def test_a_device_is_not_replaced():
    with pytest.raises(AudioFileError, match="is a device or pipe"):
        audio.write("/dev/null", torch.zeros(1, 5), 8000, format="wav")
    assert Path("/dev/null").is_char_device()
