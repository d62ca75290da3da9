"""Stem files: names, alignment, length, streams, and what other programs see."""

import io
import json

import pytest
import torch

from unweave import audio
from unweave.audio import _mp4
from unweave.errors import AudioFileError, ParameterError

av = pytest.importorskip("av")

NAMES = ["Drums", "Bass", "Other", "Vocals"]


def five(tones, frames):
    parts = tones(8, frames).reshape(4, 2, frames)
    return {"mixture": parts.sum(0) / 4, **{name: parts[i] for i, name in enumerate(NAMES)}}


def snr(reference, estimate):
    return 10 * torch.log10(reference.square().sum() / (reference - estimate).square().sum())


@pytest.mark.parametrize("frames", [1, 5000, 44_100, 99_999])
def test_stems_come_back_aligned_and_whole(tmp_path, tones, frames):
    signals = five(tones, frames)
    path = tmp_path / "Lied ü.stem.mp4"
    stems = {name: signals[name] for name in NAMES}
    audio.write_stems(path, signals["mixture"], stems, 44100, tags={"title": "Lied"})
    back, rate = audio.read_stems(path)
    assert (rate, list(back)) == (44100, ["mixture", "drums", "bass", "other", "vocals"])
    for name, signal in signals.items():
        assert back[name.lower()].shape == signal.shape
        if frames > 10_000:
            assert snr(signal, back[name.lower()]) > 20
    facts = audio.info(path)
    assert (facts.streams, facts.frames, facts.channels) == (5, frames, 2)
    assert facts.tags["title"] == "Lied"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_parts_and_single_streams(tmp_path, tones):
    signals = five(tones, 88_200)
    stems = {name: signals[name] for name in NAMES}
    audio.write_stems(tmp_path / "x.stem.mp4", signals["mixture"], stems, 44100)
    whole, _ = audio.read_stems(tmp_path / "x.stem.mp4")
    part, _ = audio.read_stems(tmp_path / "x.stem.mp4", start=1.2, duration=0.4)
    for name, signal in part.items():
        assert torch.equal(signal, whole[name][:, 52_920:70_560])
    bass, _ = audio.read(tmp_path / "x.stem.mp4", stream=2)
    assert torch.equal(bass, whole["bass"])
    in_memory, _ = audio.read_stems(io.BytesIO((tmp_path / "x.stem.mp4").read_bytes()))
    assert torch.equal(in_memory["vocals"], whole["vocals"])
    with pytest.raises(ParameterError, match=r"stream=5: .* has 5 audio streams"):
        audio.read(tmp_path / "x.stem.mp4", stream=5)


def test_any_blocking_writes_the_same(tmp_path, tones):
    block = tones(6, 30_000).reshape(3, 2, 30_000)
    for name, size in (("a", 30_000), ("b", 777)):
        with audio.StemWriter(
            tmp_path / f"{name}.stem.mp4", sample_rate=48000, stems=["one", "two"]
        ) as writer:
            for start in range(0, 30_000, size):
                writer.write(block[:, :, start : start + size])
        assert writer.frames == 30_000
    one, _ = audio.read_stems(tmp_path / "a.stem.mp4")
    two, _ = audio.read_stems(tmp_path / "b.stem.mp4")
    assert all(torch.equal(one[name], two[name]) for name in ("mixture", "one", "two"))


def test_other_programs_see_names_and_play_the_mixture(tmp_path, tones):
    signals = five(tones, 5000)
    path = tmp_path / "x.stem.mp4"
    audio.write_stems(path, signals["mixture"], {n: signals[n] for n in NAMES}, 44100)
    with av.open(str(path)) as file:
        streams = file.streams.audio
        assert [stream.metadata["name"] for stream in streams] == ["mixture", *NAMES]
        default = av.stream.Disposition.default
        assert [bool(stream.disposition & default) for stream in streams] == [True] + [False] * 4
    content = path.read_bytes()
    at = content.index(b"stem{") + 4
    listed = json.loads(content[at : at + int.from_bytes(content[at - 8 : at - 4], "big") - 8])
    assert [stem["name"] for stem in listed["stems"]] == NAMES
    assert listed["version"] == 1


def test_files_without_names_follow_musdb(tmp_path, tones, monkeypatch):
    monkeypatch.setattr(_mp4, "add_stem_names", lambda path, names: None)
    signals = five(tones, 3000)
    path = tmp_path / "x.stem.mp4"
    stems = {letter: signals[name] for letter, name in zip("abcd", NAMES, strict=True)}
    audio.write_stems(path, signals["mixture"], stems, 44100)
    assert list(audio.read_stems(path)[0]) == ["mixture", "drums", "bass", "other", "vocals"]
    audio.write_stems(path, signals["mixture"], {"a": signals["Drums"]}, 44100)
    assert list(audio.read_stems(path)[0]) == ["mixture", "stem 1"]


def test_a_plain_file_is_a_mixture_alone(tmp_path, tones):
    audio.write(tmp_path / "x.wav", tones(1, 100), 8000)
    stems, rate = audio.read_stems(tmp_path / "x.wav")
    assert (list(stems), rate) == (["mixture"], 8000)


@pytest.mark.parametrize("list_box", [b"not json", b"[]", b'{"stems": 3}', b"[" * 100_000])
def test_a_broken_list_of_names_is_passed_over(tmp_path, tones, monkeypatch, list_box):
    monkeypatch.setattr(_mp4.json, "dumps", lambda value: list_box.decode())
    signal = tones(2, 3000)
    audio.write_stems(tmp_path / "x.stem.mp4", signal, {"a": signal}, 44100)
    assert list(audio.read_stems(tmp_path / "x.stem.mp4")[0]) == ["mixture", "stem 1"]


def test_wrong_arguments_are_explained(tmp_path, tones):
    signal = tones(2, 100)
    path = tmp_path / "x.stem.mp4"
    with pytest.raises(ParameterError, match="must be unique names other than 'mixture'"):
        audio.write_stems(path, signal, {"mixture": signal}, 44100)
    with pytest.raises(ParameterError, match="must be unique names"):
        audio.write_stems(path, signal, {}, 44100)
    with pytest.raises(ParameterError, match=r"must be one \(channels, time\)"):
        audio.write_stems(path, signal, {"a": signal[:, 1:]}, 44100)
    with pytest.raises(ParameterError, match="not 12345: resample to 16000 Hz first"):
        audio.write_stems(path, signal, {"a": signal}, 12345)
    with pytest.raises(ParameterError, match="zero samples"):
        audio.write_stems(path, signal[:, :0], {"a": signal[:, :0]}, 44100)
    with pytest.raises(ParameterError, match="NaN or infinite"):
        audio.write_stems(path, signal, {"a": signal / 0}, 44100)
    with audio.StemWriter(path, sample_rate=44100, stems=["a"]) as writer:
        with pytest.raises(ParameterError, match=r"must be \(streams=2, channels=2, time\)"):
            writer.write(torch.zeros(3, 2, 5))
        writer.write(torch.zeros(2, 2, 5))
    with pytest.raises(ParameterError, match="closed"):
        writer.write(torch.zeros(2, 2, 5))
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.stem.mp4"]


def test_streams_of_unequal_length_are_refused(tmp_path, tones):
    path = tmp_path / "x.mp4"
    with av.open(str(path), "w", format="mp4") as file:
        streams = [file.add_stream("aac", rate=44100, layout="stereo") for _ in range(2)]
        for stream, frames in zip(streams, (9000, 20_000), strict=True):
            packed = tones(2, frames).T.reshape(1, -1).numpy().copy()
            frame = av.AudioFrame.from_ndarray(packed, format="flt", layout="stereo")
            frame.sample_rate = 44100
            for packet in (*stream.encode(frame), *stream.encode(None)):
                file.mux(packet)
    with pytest.raises(AudioFileError, match="differ in rate, length or channels"):
        audio.read_stems(path)
