"""Containers that only PyAV reads: sample types, channel orders, lengths, jumps."""

import numpy as np
import pytest
import torch

from unweave import audio
from unweave.errors import DependencyError

av = pytest.importorskip("av")


def encode(path, signal, rate, *, container, codec, layout, options=None):
    """Write a signal by PyAV alone."""
    with av.open(str(path), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        packed = np.ascontiguousarray(signal.numpy().T).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate = rate
        frame.pts = 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)


@pytest.mark.parametrize(
    ("container", "codec", "layout", "snr"),
    [
        ("matroska", "flac", "7.1", 80),
        ("matroska", "flac", "stereo", 80),
        ("matroska", "pcm_s16le", "12 channels", 80),
        ("matroska", "libmp3lame", "stereo", 20),
        ("mov", "alac", "5.1", 100),
        ("mov", "pcm_f32le", "hexadecagonal", 1000),
        ("mov", "pcm_s24le", "7.1", 100),
        ("mov", "pcm_f64le", "mono", 100),
        ("avi", "pcm_u8", "stereo", 35),
        ("webm", "libopus", "7.1", 20),
        ("webm", "libopus", "mono", 20),
    ],
)
def test_every_sample_type_and_channel_comes_right(tmp_path, tones, container, codec, layout, snr):
    channels = av.AudioLayout(layout).nb_channels
    signal = tones(channels, 60_000)
    path = tmp_path / "x.bin"
    encode(path, signal, 48000, container=container, codec=codec, layout=layout)
    back, rate = audio.read(path)
    assert (rate, back.shape) == (48000, signal.shape)
    main = [channel for channel in range(channels) if (layout, channel) != ("7.1", 3)]
    error = (back - signal)[main].square().sum()
    assert 10 * torch.log10(signal[main].square().sum() / error.clamp(min=1e-12)) > min(snr, 120)
    part, _ = audio.read(path, start=0.8, duration=0.1)
    assert torch.equal(part, back[:, 38_400:43_200])


def test_inexact_lengths_are_called_so(tmp_path, tones):
    encode(
        tmp_path / "x", tones(1, 60_000), 48000, container="webm", codec="libopus", layout="mono"
    )
    facts = audio.info(tmp_path / "x")
    assert (facts.format, facts.exact) == ("WEBM", False)
    assert abs(facts.frames - 60_000) < 1000
    encode(tmp_path / "y", tones(1, 60_000), 48000, container="mov", codec="alac", layout="mono")
    assert (audio.info(tmp_path / "y").exact, audio.info(tmp_path / "y").frames) == (True, 60_000)


def test_a_flac_of_unknown_length_is_counted(tmp_path, tones):
    audio.write(tmp_path / "x.flac", tones(2, 30_000), 44100)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21] &= 0xF0  # the 36 bits of the sample count, as a program that streams leaves them
    content[22:26] = bytes(4)
    (tmp_path / "y.flac").write_bytes(content)
    assert audio.info(tmp_path / "y.flac").frames == 30_000
    back, _ = audio.read(tmp_path / "y.flac")
    assert torch.equal(back, audio.read(tmp_path / "x.flac")[0])


@pytest.mark.parametrize(
    ("container", "codec", "share"),
    [("mov", "alac", 0.5), ("mov", "alac", 0.95), ("matroska", "flac", 0.5)],
)
def test_truncated_containers(tmp_path, container, codec, share):
    signal = torch.rand(2, 60_000, generator=torch.Generator().manual_seed(0)) - 0.5
    options = {"movflags": "faststart"} if container == "mov" else {}
    path = tmp_path / "x"
    encode(
        path,
        signal,
        48000,
        container=container,
        codec=codec,
        layout="stereo",
        options=options,
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(OSError, match="is truncated or damaged"):
        audio.read(path)


def test_without_pyav_the_remedy_is_named(tmp_path, tones, monkeypatch):
    audio.write(tmp_path / "x.m4a", tones(1, 500), 44100)
    monkeypatch.setattr("unweave.audio.reading.has_av", lambda: False)
    monkeypatch.setattr("unweave.audio.writing.has_av", lambda: False)
    with pytest.raises(DependencyError, match=r"is M4A: .* pip install 'unweave\[av\]'"):
        audio.info(tmp_path / "x.m4a")
    with pytest.raises(DependencyError, match=r"needs PyAV: pip install 'unweave\[av\]'"):
        audio.write(tmp_path / "y.m4a", tones(1, 500), 44100)


def test_play_lists_do_not_open_other_files(tmp_path, tones):
    audio.write(tmp_path / "secret.m4a", tones(1, 500), 44100)
    for text in ("ffconcat version 1.0\nfile secret.m4a\n", "#EXTM3U\n#EXTINF:1,\nsecret.m4a\n"):
        (tmp_path / "list.m4a").write_text(text)
        with pytest.raises(OSError, match="holds text, not audio"):
            audio.read(tmp_path / "list.m4a")
