"""Reading: facts, parts, blocks, streams; what the file holds is what comes."""

import io
import os
import threading

import numpy as np
import pytest
import soundfile
import torch

from unweave import audio
from unweave.errors import AudioFileError, ParameterError

ALL = ["wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "m4a"]


@pytest.fixture(scope="module")
def library(tmp_path_factory, tones):
    """Hold one file of 2.5 s in each format."""
    folder = tmp_path_factory.mktemp("library")
    for name in ALL:
        audio.write(folder / f"x.{name}", tones(2, 120_000), 48000)
    return folder


def same(one, other):
    """Equal but for rounding: a decoder that jumped has added its windows in another order."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_parts_are_cut_out_of_the_whole(library, name):
    path = library / f"x.{name}"
    whole, rate = audio.read(path)
    for start, duration in ((0.0, 0.5), (1.23456, 0.3), (2.0, None), (2.4, 9.0), (2.5, 1.0)):
        part, _ = audio.read(path, start=start, duration=duration)
        first = round(start * rate)
        stop = None if duration is None else first + round(duration * rate)
        assert same(part, whole[:, first:stop])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("size", [1000, 44_100, 10**9])
def test_blocks_join_to_the_whole(library, name, size):
    path = library / f"x.{name}"
    parts = list(audio.blocks(path, size, start=0.25, duration=1.5))
    assert all(part.shape[1] == size for part in parts[:-1])
    assert all(part.is_contiguous() and part.dtype == torch.float32 for part in parts)
    assert same(torch.cat(parts, dim=1), audio.read(path, start=0.25, duration=1.5)[0])


@pytest.mark.parametrize("name", ALL)
def test_reader_jumps_forth_and_back(library, name):
    path = library / f"x.{name}"
    whole, _ = audio.read(path)
    with audio.AudioReader(path) as reader:
        for frame in (70_001, 3, 119_999, 50_000, 50_000, 0, 120_000):
            reader.seek(frame)
            assert reader.position == frame
            assert same(reader.read(2000), whole[:, frame : frame + 2000])
        assert reader.read(10).shape == (2, 0)
        with pytest.raises(ParameterError, match="frame=120001 must be between 0 and 120000"):
            reader.seek(120_001)
        with pytest.raises(ParameterError, match="frame=-1"):
            reader.seek(-1)


@pytest.mark.parametrize("name", ["ogg", "opus", "mp3", "m4a"])
def test_jumps_in_long_files_with_silence_are_exact(tmp_path, tones, name):
    path = tmp_path / f"x.{name}"
    signal = tones(1, 48000 * 40)
    signal[:, 48000 * 12 : 48000 * 24] = 0
    signal[:, 48000 * 32 :] = 0
    audio.write(path, signal, 48000)
    whole, _ = audio.read(path)
    with audio.AudioReader(path) as reader:
        for frame in torch.linspace(0, 48000 * 40, 21).round().long().tolist()[::-1]:
            reader.seek(frame)
            assert same(reader.read(3000), whole[:, frame : frame + 3000])


def test_info_names_the_facts(library):
    facts = audio.info(library / "x.flac")
    assert (facts.sample_rate, facts.channels, facts.frames) == (48000, 2, 120_000)
    assert (facts.format, facts.subtype, facts.streams) == ("FLAC", "PCM_24", 1)
    assert (facts.duration, facts.exact) == (2.5, True)
    assert facts.path == str(library / "x.flac")
    assert audio.info(library / "x.m4a").format == "M4A"
    assert audio.info(library / "x.m4a").subtype == "AAC"


@pytest.mark.parametrize("name", ALL)
def test_the_content_counts_not_the_suffix(library, tmp_path, name):
    path = tmp_path / "x.txt"
    path.write_bytes((library / f"x.{name}").read_bytes())
    assert audio.info(path).frames == 120_000


@pytest.mark.parametrize("name", ["m4a", "flac", "ogg"])
def test_what_is_only_called_an_mp3_is_read_without_a_word(library, tmp_path, name, capfd):
    path = tmp_path / "x.mp3"  # libsndfile's MPEG decoder would search it, and say so on stderr
    path.write_bytes((library / f"x.{name}").read_bytes())
    samples, _ = audio.read(path)
    assert torch.equal(samples, audio.read(library / f"x.{name}")[0])
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("name", ALL)
def test_streams_in_memory_are_read(library, name):
    content = (library / f"x.{name}").read_bytes()
    signal, rate = audio.read(io.BytesIO(content))
    assert rate == 48000
    assert torch.equal(signal, audio.read(library / f"x.{name}")[0])
    assert audio.info(io.BytesIO(content)).path == "<stream>"


def test_pipes_are_read(library, tmp_path):
    read_end, write_end = os.pipe()
    content = (library / "x.ogg").read_bytes()

    def feed():
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(content)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with os.fdopen(read_end, "rb") as pipe:
        assert audio.read(pipe)[0].shape == (2, 120_000)
    feeder.join()

    named = tmp_path / "pipe.wav"
    os.mkfifo(named)
    feeder = threading.Thread(target=lambda: named.write_bytes(content))
    feeder.start()
    assert audio.read(named)[0].shape == (2, 120_000)
    feeder.join()


def test_no_temporary_copy_is_left(library, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    audio.read(io.BytesIO((library / "x.flac").read_bytes()))
    with pytest.raises(AudioFileError):
        audio.read(io.BytesIO(b"no audio"))
    assert not list(tmp_path.iterdir())


def test_a_text_stream_is_refused():
    with pytest.raises(AudioFileError, match="gives text, not bytes"):
        audio.read(io.StringIO("hello"))
    with pytest.raises(ParameterError, match="must be a path or a binary file object"):
        audio.read(3)


def test_reading_equals_soundfile(library):
    for name in ("wav", "flac", "ogg", "mp3"):
        expected, _ = soundfile.read(library / f"x.{name}", dtype="float32")
        assert np.array_equal(audio.read(library / f"x.{name}")[0].numpy(), expected.T)


def test_nan_and_infinity_are_handed_on(tmp_path):
    soundfile.write(tmp_path / "x.wav", np.array([0.5, np.nan, -np.inf]), 8000, subtype="FLOAT")
    signal, _ = audio.read(tmp_path / "x.wav")
    assert signal[0, 0] == 0.5
    assert signal[0, 1].isnan()
    assert signal[0, 2] == -torch.inf


@pytest.mark.parametrize(("rate", "channels"), [(1, 1), (768_000, 2), (44_100, 24)])
def test_odd_rates_and_many_channels(tmp_path, tones, rate, channels):
    audio.write(tmp_path / "x.wav", tones(channels, 777), rate)
    signal, found = audio.read(tmp_path / "x.wav")
    assert found == rate
    assert torch.equal(signal, tones(channels, 777))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"start": 2.6}, r"start=2.6 s lies behind the end of .* \(2.50 s\)"),
        ({"start": -1}, "start=-1 must be finite and at least 0"),
        ({"start": float("nan")}, "start=nan must be finite"),
        ({"duration": -0.1}, "duration=-0.1 must be"),
        ({"stream": 1}, "has 1 audio streams, numbered from 0"),
    ],
)
def test_wrong_parts_are_explained(library, options, text):
    with pytest.raises(ParameterError, match=text):
        audio.read(library / "x.m4a", **options)


def test_wrong_sizes_are_explained(library):
    with pytest.raises(ParameterError, match="block_size=0 must be a positive integer"):
        next(audio.blocks(library / "x.wav", 0))
    with (
        audio.AudioReader(library / "x.wav") as reader,
        pytest.raises(ParameterError, match=r"frames=1\.5 must be"),
    ):
        reader.read(1.5)


def test_supported_formats_name_what_is_there():
    table = audio.supported_formats()
    assert table["wav"] == {"read": True, "write": True}
    assert table["m4a"] == {"read": True, "write": True}
    assert table["webm"] == {"read": True, "write": False}


@pytest.mark.parametrize("name", ["mp3", "opus", "ogg"])
@pytest.mark.parametrize("size", [959, 24_000])
def test_block_edges_are_not_heard(tmp_path, tones, name, size):
    audio.write(tmp_path / f"x.{name}", tones(1, 100_000), 48000)
    whole, _ = soundfile.read(tmp_path / f"x.{name}", dtype="float32")
    joined = torch.cat(list(audio.blocks(tmp_path / f"x.{name}", size)), dim=1)
    assert np.abs(joined[0].numpy() - whole).max() < 1e-6
