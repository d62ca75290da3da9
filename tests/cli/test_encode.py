"""`unweave encode`: folders of audio mirrored into images."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.codec import SpectrogramCodec
from unweave.datasets import SpectrogramImageFolder

SMALL = ("--n-fft", "256", "--hop-length", "128", "--workers", "1")


@pytest.fixture
def encode(run):
    def command(*words, code=0):
        return run("encode", "-o", "out", *SMALL, *words, code=code)

    return command


@pytest.fixture
def album(song):
    """Write songs of stems."""
    for track in ("a", "b"):
        for stem in ("drums", "vocals"):
            song(f"album/{track}/{stem}.wav")
    return Path("album")


def test_a_folder_is_mirrored(encode, album, written):
    outcome = encode(album)
    assert written() == ["a/drums.jpg", "a/vocals.jpg", "b/drums.jpg", "b/vocals.jpg"]
    lines = outcome.out.splitlines()
    assert lines[0].startswith("out/a/drums.jpg: 0.3 s, ")
    assert "kB/s, SNR " in lines[0]
    assert lines[-2].startswith("4 files, 1 s, ")
    assert lines[-2].endswith("x real time")
    assert lines[-1] == "4 done, 0 skipped, 0 failed"


def test_images_are_those_of_the_codec(encode, song):
    path = song(rate=22050)
    encode(path, "--quality", "90", "--max-frequency", "0")
    codec = SpectrogramCodec(n_fft=256, hop_length=128, quality=90, max_frequency=None)
    wanted = codec.encode(audio.read(path)[0], sample_rate=22050)
    assert Path("out/song.jpg").read_bytes() == wanted


def test_json_holds_sizes_and_ratios(encode, album):
    outcome = encode(album, "--json", "--progress", "none")
    *files, last = map(json.loads, outcome.out.splitlines())
    for file in files:
        assert file["status"] == "ok"
        assert file["bytes"] == Path(file["output"]).stat().st_size
        assert file["seconds"] == pytest.approx(0.3)
        assert 5 < file["snr"] < 60
    summary = last["summary"]
    size = sum(file["bytes"] for file in files)
    assert summary["files"] == 4
    assert summary["kilobytes_per_second"] == pytest.approx(size / 1000 / 1.2, abs=1e-3)
    assert summary["lowest_snr"] == min(file["snr"] for file in files)
    assert outcome.err == ""


def test_ratios_can_be_left_out(encode, song):
    outcome = encode(song(), "--no-snr", "--json")
    first, last = map(json.loads, outcome.out.splitlines())
    assert first["snr"] is None
    assert last["summary"]["median_snr"] is None
    assert "SNR" not in encode(song("b.wav"), "--no-snr").out


def test_mixtures_make_a_data_set(encode, album, written, song):
    song("album/c/vocals.wav")
    song("album/c/Mixture.wav")
    song("album/d/vocals.wav")  # a sum of one is none
    encode(album, "--mixtures")
    assert [name for name in written() if "ixture" in name] == [
        "a/mixture.jpg",
        "b/mixture.jpg",
        "c/Mixture.jpg",
    ]
    both = sum(audio.read(f"album/a/{stem}.wav")[0] for stem in ("drums", "vocals"))
    wanted = SpectrogramCodec(n_fft=256, hop_length=128).encode(both, sample_rate=44100)
    assert Path("out/a/mixture.jpg").read_bytes() == wanted
    for image in Path("out/d").iterdir():
        image.unlink()
    Path("out/d").rmdir()
    folder = SpectrogramImageFolder("out", ["vocals"], sample_length=0.2, cache_dir="levels")
    assert folder.excerpt(0)[1].shape == (1, 2, 129, folder.frames)


def test_stem_files_become_folders(encode, written):
    stems = {name: 0.1 * torch.rand(2, 8820) for name in ("drums", "bass", "other", "vocals")}
    pytest.importorskip("av")
    Path("music").mkdir()
    audio.write_stems("music/song.stem.mp4", sum(stems.values()), stems, 44100)
    encode("music")
    names = ("bass", "drums", "mixture", "other", "vocals")
    assert written() == [f"song/{name}.jpg" for name in names]


def test_a_run_goes_on_where_it_was_stopped(encode, album, written):
    encode(album / "a", code=0)
    assert len(written()) == 2
    made = Path("out/drums.jpg").stat().st_mtime_ns
    assert "--skip-existing" in encode(album / "a", code=1).err
    outcome = encode(album / "a", "--skip-existing")
    assert "skipped" in outcome.out
    assert outcome.out.splitlines()[-1] == "0 done, 2 skipped, 0 failed"
    assert Path("out/drums.jpg").stat().st_mtime_ns == made
    assert "quality" not in encode(album / "a", "--overwrite", "--quality", "10").out
    assert (
        "n_fft=256, not 512" in encode(album / "a", "--skip-existing", "--n-fft", "512", code=1).err
    )


def test_a_damaged_file_leaves_the_others_alone(encode, album, written):
    Path("album/b/drums.wav").write_bytes(b"no audio")
    outcome = encode(album, "--json", code=1)
    rows = list(map(json.loads, outcome.out.splitlines()))
    failed = [row for row in rows if row.get("status") == "failed"]
    assert [row["input"] for row in failed] == ["album/b/drums.wav"]
    assert written() == ["a/drums.jpg", "a/vocals.jpg", "b/vocals.jpg"]
    assert rows[-1]["summary"]["failed"] == 1
    assert len(outcome.complaints) == 1


def test_files_of_one_name_collide(encode, song, written):
    song("music/song.wav")
    song("music/song.flac")
    outcome = encode("music", code=1)
    assert "rename one of them" in outcome.err
    assert written() == ["song.jpg"]


def test_two_workers_do_what_one_does(run, album, written):
    run("encode", album, "-o", "one", *SMALL)
    run("encode", album, "-o", "two", *SMALL[:-1], "2")
    assert written("one") == written("two") != []
    for name in written("one"):
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--preset", "smal"), "did you mean 'small'"),
        (("--format", "gif"), "jpeg"),
        (("--quality", "101"), "quality=101"),
        (("--bits", "12"), "png"),
        (("--workers", "0"), "workers=0"),
        (("--max-frequency", "-3"), "max_frequency=-3"),
        (("--skip-existing", "--overwrite"), "exclude"),
    ],
)
def test_usage_is_checked(run, song, words, text):
    assert text in run("encode", song(), "-o", "out", *words, code=2).err
    assert not Path("out").exists()


def test_an_output_that_is_a_file_is_refused(run, song):
    assert "is a file" in run("encode", song(), "-o", "song.wav", code=2).err


def test_what_is_not_there_fails(encode, song):
    Path("empty").mkdir()
    outcome = encode("nothing.wav", "empty", song(), code=1)
    assert "nothing.wav" in outcome.err
    assert "no audio" in outcome.err
    assert Path("out/song.jpg").exists()


def test_progress_is_told_as_json(encode, album):
    lines = encode(album, "--progress", "json").err.splitlines()
    last = json.loads(lines[-1])
    assert (last["event"], last["done"], last["total"]) == ("progress", 4, 4)


def test_the_help_needs_no_torch():
    code = "import sys; from unweave.cli import app; app(['encode', '--help'], standalone_mode=0)"
    code += "; print('torch' in sys.modules)"
    words = [sys.executable, "-c", code]
    shown = subprocess.run(words, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert "--mixtures" in shown.stdout
    assert shown.stdout.splitlines()[-1] == "False"
