"""What can go wrong: one clear line, the right exit code, and the other songs are done."""

import json
import os
import random
import resource
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from unweave import audio

STEMS = ("vocals", "drums", "bass", "other")
GOOD = sorted(f"good/{stem}.wav" for stem in STEMS)


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def cut(path, share=0.5):
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * share)])


def empty(song):
    Path("bad.wav").touch()
    return "bad.wav"


def text(song):
    Path("bad.wav").write_text("Dear diary, this is no music.\n" * 50)
    return "bad.wav"


def missing(song):
    return "bad.wav"


def truncated_wav(song):
    cut(song("bad.wav"))
    return "bad.wav"


def truncated_mp3(song):
    cut(song("bad.mp3", seconds=2))
    return "bad.mp3"


def random_mp3(song):
    Path("bad.mp3").write_bytes(random.Random(0).randbytes(20_000))
    return "bad.mp3"


def zeros_mp3(song):
    Path("bad.mp3").write_bytes(bytes(20_000))
    return "bad.mp3"


def truncated_flac(song):
    cut(song("bad.flac", seconds=2))
    return "bad.flac"


def truncated_m4a(song):
    cut(song("bad.m4a", seconds=2))
    return "bad.m4a"


def no_samples(song):
    return song("bad.wav", seconds=0)


def not_a_number(song):
    signal = torch.zeros(2, 8000)
    signal[1, 4000] = float("nan")
    audio.write("bad.wav", signal, 8000)
    return "bad.wav"


def infinite(song):
    signal = torch.zeros(1, 8000)
    signal[0, 7999] = float("-inf")
    audio.write("bad.wav", signal, 8000)
    return "bad.wav"


def one_hertz(song):
    Path("bad.wav").write_bytes(wav_header(rate=1) + bytes(400))
    return "bad.wav"


def folder_without_music(song):
    Path("bad").mkdir()
    Path("bad/cover.jpg").touch()
    return "bad"


def pipe_without_a_name(song):
    return "/dev/null"


def dangling_link(song):
    Path("bad.wav").symlink_to("nowhere.wav")
    return "bad.wav"


def name_too_long(song):
    return "x" * 300


def wav_header(*, rate, channels=1, size=400):
    block = 2 * channels
    return b"".join(
        (
            b"RIFF",
            (36 + size).to_bytes(4, "little"),
            b"WAVEfmt ",
            (16).to_bytes(4, "little"),
            (1).to_bytes(2, "little"),
            channels.to_bytes(2, "little"),
            rate.to_bytes(4, "little"),
            (rate * block).to_bytes(4, "little"),
            block.to_bytes(2, "little"),
            (16).to_bytes(2, "little"),
            b"data",
            size.to_bytes(4, "little"),
        )
    )


BAD = {
    missing: "does not exist",
    empty: "is empty",
    text: "text",
    truncated_wav: "truncated",
    truncated_mp3: "truncated",
    random_mp3: "no audio format",
    zeros_mp3: "no audio format",
    truncated_flac: "truncated",
    truncated_m4a: "damaged",
    no_samples: "no samples",
    not_a_number: "0.500 s",
    infinite: "finite",
    one_hertz: "1000",
    folder_without_music: "no audio",
    dangling_link: "does not exist",
    name_too_long: "name too long",
    pipe_without_a_name: "device",
}


@pytest.mark.parametrize(("make", "word"), BAD.items(), ids=lambda v: getattr(v, "__name__", ""))
def test_a_bad_song_is_named_in_one_line_and_the_others_are_done(
    separate, song, written, make, word
):
    bad = str(make(song))
    song("good.wav")
    line = only_line(separate(bad, "good.wav", code=1))
    assert bad in line
    assert word in line.lower()
    assert written() == GOOD
    assert not list(Path("out").rglob(".*"))


@pytest.mark.slow
def test_no_decoder_speaks_for_itself_on_stderr(shell, song, written):
    """The libraries below write to the file descriptor, which only a real process shows."""
    words = []
    for index, make in enumerate(BAD):
        folder = Path(str(index))
        folder.mkdir()
        os.chdir(folder)
        bad = Path(make(song))
        os.chdir("..")
        words.append(str(folder / bad))
    song("good.wav")
    process = shell(*words, "good.wav", "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    failed = [row for row in map(json.loads, out.splitlines()) if row["status"] == "failed"]
    lines = err.decode().splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["unweave"] * len(lines), err
    assert len(lines) == len(failed) == len(words)
    assert set(GOOD) <= set(written())


def test_one_sample_is_enough(separate, song):
    song("one.wav", seconds=1 / 44100)
    separate("one.wav")
    assert {audio.info(f"out/one/{stem}.wav").frames for stem in STEMS} == {1}


def test_a_rate_of_768_khz_is_kept(separate, song):
    song("fast.wav", rate=768_000, seconds=0.05)
    separate("fast.wav")
    facts = audio.info("out/fast/bass.wav")
    assert (facts.sample_rate, facts.frames) == (768_000, 38_400)


def test_24_channels_are_kept_where_the_format_can(separate, song):
    mixture, _ = audio.read(song("wide.wav", channels=24, seconds=0.1))
    separate("wide.wav")
    total = sum(audio.read(f"out/wide/{stem}.wav")[0] for stem in STEMS)
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)
    line = only_line(separate("wide.wav", "--format", "mp3", code=1))
    assert "wide.wav" in line
    assert "channels" in line


@pytest.fixture
def nobody(separate, song, tmp_path, tiny_model):
    """Take away the rights of the superuser, which no file system refuses anything."""
    separate(song("warm up.wav"))  # all modules are loaded while they can be
    if os.geteuid() != 0:
        yield tmp_path
        return
    places = [tmp_path, *tmp_path.parents[:3], tiny_model.parent]
    modes = {place: place.stat().st_mode for place in places if place.stat().st_uid == 0}
    for place, mode in modes.items():
        place.chmod(mode | 0o755)
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, 65534, 65534)
    os.seteuid(65534)
    try:
        yield tmp_path
    finally:
        os.seteuid(0)
        for place, mode in modes.items():
            place.chmod(mode)


def test_an_unreadable_file_or_folder_is_told_and_the_rest_is_done(nobody, separate, song, written):
    song("in/good.wav")
    song("in/locked/a.wav")
    song("in/secret.wav").chmod(0)
    Path("in/locked").chmod(0)
    try:
        first, second = separate("in", code=1).complaints
        assert "in/locked" in first
        assert "permission" in first.lower()
        assert "in/secret.wav" in second
        assert "permission" in second.lower()
        assert set(GOOD) <= set(written())
        line = only_line(separate("in/locked", code=1))
        assert "in/locked" in line
        line = only_line(separate("in/locked/a.wav", code=1))
        assert "in/locked/a.wav" in line
        assert "permission" in line.lower()
    finally:
        Path("in/locked").chmod(0o755)


@pytest.mark.parametrize("output", ["closed", "closed/deeper"])
def test_an_output_folder_without_permission_is_told(nobody, separate, song, output):
    song("good.wav")
    Path("closed").mkdir()
    Path("closed").chmod(0o555)
    line = only_line(separate("good.wav", "-o", output, code=1))
    assert "closed" in line
    assert "--output" in line
    assert "permission" in line.lower()


def test_an_output_that_is_a_file_is_told(separate, song):
    song("good.wav")
    line = only_line(separate("good.wav", "-o", "good.wav", code=2))
    assert "good.wav" in line
    assert "folder" in line
    line = only_line(separate("good.wav", "-o", "good.wav/deeper", code=1))
    assert "good.wav" in line


def test_a_stem_that_is_a_folder_is_told_and_none_is_written(separate, song, written):
    song("good.wav")
    Path("out/good/drums.wav").mkdir(parents=True)
    line = only_line(separate("good.wav", "--overwrite", code=1))
    assert "drums.wav" in line
    assert "folder" in line
    assert written() == []


@pytest.mark.parametrize("format", ["wav", "flac", "mp3"])
def test_a_full_disk_is_told_and_shorter_songs_are_done(separate, song, written, format):
    song("long.wav", seconds=4)
    song("good.wav", seconds=0.1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        told = separate("long.wav", "good.wav", "--format", format, code=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    line = only_line(told)
    assert "long.wav" in line
    assert "out" in line
    assert "too large" in line.lower()
    assert written() == sorted(f"good/{stem}.{format}" for stem in STEMS)
    assert not list(Path("out").rglob(".*"))


@pytest.mark.parametrize("format", ["wav", "flac", "m4a"])
def test_a_full_file_system_is_told_and_shorter_songs_are_done(
    separate, song, written, small_disk, format
):
    song("long.wav", seconds=4)
    song("good.wav", seconds=0.1)
    told = separate("long.wav", "good.wav", "-o", small_disk, "--format", format, code=1)
    line = only_line(told)
    assert "long.wav" in line
    assert str(small_disk) in line
    assert "space" in line
    assert "--output" in line
    assert written(small_disk) == sorted(f"good/{stem}.{format}" for stem in STEMS)
    assert not list(small_disk.rglob(".*"))


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a file system is not permitted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_song_is_never_overwritten_by_a_stem(separate, song):
    before = song("songs/vocals.wav").read_bytes()
    words = ["songs/vocals.wav", "-o", "songs", "--name", "{stem}", "--overwrite"]
    line = only_line(separate(*words, code=1))
    assert "songs/vocals.wav" in line
    assert "another output folder" in line
    assert Path("songs/vocals.wav").read_bytes() == before
    assert [path.name for path in Path("songs").iterdir()] == ["vocals.wav"]


def test_of_two_songs_of_one_name_the_second_is_refused_with_a_remedy(separate, song, written):
    song("a/song.wav")
    song("b/song.flac")
    line = only_line(separate("a/song.wav", "b/song.flac", code=1))
    assert "b/song.flac" in line
    assert "{parent}" in line
    assert written() == sorted(f"song/{stem}.wav" for stem in STEMS)
    separate("a/song.wav", "b/song.flac", "-o", "apart", "--name", "{parent}/{track}/{stem}")
    assert len(written("apart")) == 8
