"""Files that are missing, broken, foreign or lie; disks that are full: one clear line each."""

import os
import re
import resource
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from unweave import audio
from unweave.errors import AudioFileError

LOSSLESS = ["wav", "flac", "aiff", "caf"]


def one_line(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 300


def fails(path, match):
    with pytest.raises(AudioFileError, match=match) as error:
        audio.read(path)
    assert one_line(error)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("empty.wav", b"", r"is empty \(0 bytes\)"),
        ("text.wav", b"dear diary,\n" * 100, "holds text, not audio"),
        ("short.wav", b"RI", "holds text, not audio"),
        ("riff.wav", b"RIFF", "cannot be decoded|holds text"),
        ("noise.mp3", np.random.default_rng(0).bytes(5000), "is no audio format that unweave"),
        ("picture.flac", b"\x89PNG\r\n\x1a\n" + bytes(3000), "is no audio format"),
        ("zero.m4a", bytes(4096), "is no audio format"),
        ("box.m4a", struct.pack(">I4s4sI", 16, b"ftyp", b"M4A ", 0) + bytes(99), "looks like M4A"),
        ("head.flac", b"fLaC" + bytes(99), "looks like FLAC but cannot be decoded"),
        ("head.ogg", b"OggS" + bytes(99), "looks like OGG but cannot be decoded"),
        ("head.wav", b"RIFF\x24\0\0\0WAVE" + bytes(99), "looks like WAV but cannot be decoded"),
        ("song.mid", b"MThd\0\0\0\6\0\0\0\1\0\x60", "looks like MIDI but cannot be decoded"),
    ],
)
def test_what_is_no_audio(tmp_path, name, content, match):
    (tmp_path / name).write_bytes(content)
    fails(tmp_path / name, match)


def test_what_is_no_file(tmp_path):
    fails(tmp_path / "missing.wav", "does not exist")
    fails(tmp_path, "is a folder: name an audio file in it")
    fails(f"{tmp_path}/x.wav/y.wav", "does not exist|cannot be read")
    with pytest.raises(AudioFileError, match="is a device, not an audio file"):
        audio.read("/dev/zero")
    with pytest.raises(AudioFileError, match="null"):
        audio.read("a\0b.wav")


@pytest.fixture
def nobody():
    """Give up the super-user's rights, who may read and write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_permissions(tmp_path, tones, request):
    audio.write(tmp_path / "x.wav", tones(1, 5), 8000)
    (tmp_path / "x.wav").chmod(0)
    (tmp_path / "sub").mkdir(mode=0o555)
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    request.getfixturevalue("nobody")
    fails(tmp_path / "x.wav", "may not be read: permission denied")
    with pytest.raises(AudioFileError, match="no permission in"):
        audio.write(tmp_path / "sub" / "y.wav", tones(1, 5), 8000)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
@pytest.mark.parametrize("name", [*LOSSLESS, "mp3", "m4a"])
def test_truncated_files(tmp_path, tones, name, share):
    noise = torch.rand(2, 60_000, generator=torch.Generator().manual_seed(0)) - 0.5
    audio.write(tmp_path / f"whole.{name}", noise, 44100)
    content = (tmp_path / f"whole.{name}").read_bytes()
    path = tmp_path / f"cut.{name}"
    path.write_bytes(content[: int(share * len(content))])
    match = "cannot be decoded" if name in ("caf", "m4a") else "is truncated"
    fails(path, match)


@pytest.mark.parametrize("name", ["wav", "flac", "aiff"])
def test_truncated_files_give_what_comes_before(tmp_path, tones, name):
    audio.write(tmp_path / f"whole.{name}", tones(2, 60_000), 44100)
    content = (tmp_path / f"whole.{name}").read_bytes()
    path = tmp_path / f"cut.{name}"
    path.write_bytes(content[: len(content) // 2])
    assert audio.info(path).frames == pytest.approx(60_000, rel=0.01)
    assert audio.read(path, duration=0.3)[0].shape[1] == 13_230
    told = r"its header states 1\.36 s, only 0\.[3-7]\d s can.*a duration of (0\.\d\d) s takes"
    with pytest.raises(AudioFileError, match=told) as refusal:
        list(audio.blocks(path, 1000))
    whole = float(re.search(told, str(refusal.value))[1])
    assert audio.read(path, duration=whole)[0].shape[1] == round(whole * 44100)


def test_truncated_rf64(tmp_path, tones):
    soundfile.write(tmp_path / "x.wav", tones(2, 9000).T.numpy(), 8000, format="RF64")
    content = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(content[: len(content) // 2])
    fails(tmp_path / "x.wav", "is truncated")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000 + 36])
def test_wav_streamed_to_a_pipe_is_whole(tmp_path, tones, size):
    audio.write(tmp_path / "x.wav", tones(1, 700), 8000)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", size)
    (tmp_path / "x.wav").write_bytes(content)
    assert torch.equal(audio.read(tmp_path / "x.wav")[0], tones(1, 700))


def test_headers_that_lie_take_no_memory(tmp_path, tones):
    audio.write(tmp_path / "x.flac", tones(2, 9000), 44100)
    content = bytearray((tmp_path / "x.flac").read_bytes())
    content[21] |= 0x0F
    content[22:26] = b"\xff\xff\xff\xf0"  # 2^36 samples: 550 GB of floats
    (tmp_path / "x.flac").write_bytes(content)
    audio.write(tmp_path / "x.wav", tones(2, 9000), 44100)
    content = bytearray((tmp_path / "x.wav").read_bytes())
    at = content.index(b"fmt ") + 10
    content[at : at + 2] = b"\xff\xff"
    (tmp_path / "channels.wav").write_bytes(content)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), hard))
    try:
        fails(tmp_path / "x.flac", "is truncated or damaged: its header states")
        with pytest.raises(AudioFileError):
            audio.read(tmp_path / "channels.wav")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


FULL_DISK = """
import resource, sys, torch
from pathlib import Path
from unweave import audio
from unweave.errors import AudioFileError

folder = Path(sys.argv[1])
noise = torch.rand(2, 44100 * 8, generator=torch.Generator().manual_seed(0)) - 0.5
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
for name in audio.formats.FORMATS:
    try:
        audio.write(folder / f"x.{name}", noise, audio.nearest_rate(name, 44100))
    except AudioFileError as error:
        print(name, error)
    else:
        print(name, "WRITTEN")
try:
    audio.write_stems(folder / "x.stem.mp4", noise, {"a": noise}, 44100)
except AudioFileError as error:
    print("stem", error)
print(sorted(path.name for path in folder.iterdir()))
"""


def test_full_disk(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    *lines, left = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*audio.formats.FORMATS, "stem"]
    for line in lines:
        assert f"cannot write '{tmp_path}/x." in line
        assert "File too large" in line
    assert left == "[]"
    assert not done.stderr


@pytest.mark.parametrize("sample_rate", [44100, 22050])
def test_an_mp3_that_begins_late_is_still_one(tmp_path, sample_rate):
    tone = 0.1 * torch.sin(torch.arange(sample_rate) / 20).expand(2, -1)
    audio.write(tmp_path / "plain.mp3", tone, sample_rate)
    content = (tmp_path / "plain.mp3").read_bytes()
    at = content.index(b"\xff")
    (tmp_path / "late.mp3").write_bytes(bytes(500) + content[at:])
    found, rate = audio.read(tmp_path / "late.mp3")
    assert rate == sample_rate
    assert found.abs().max() > 0.05
