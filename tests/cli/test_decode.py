"""`unweave decode`: images back to audio."""

import json
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.codec import SpectrogramCodec

CODEC = SpectrogramCodec(n_fft=256, hop_length=128, max_frequency=None)


def image(path, sound, rate=44100):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    CODEC.encode(sound, sample_rate=rate, path=path)


@pytest.fixture
def images(song):
    """Encode songs of stems, and keep the mixtures beside."""
    for track in ("a", "b"):
        for stem in ("drums", "vocals"):
            image(f"images/{track}/{stem}.jpg", audio.read(song(f"music/{track}/{stem}.wav"))[0])
    return Path("images")


@pytest.mark.parametrize("rate", [8000, 44100])
def test_audio_comes_back_by_its_own_phases(run, song, rate):
    sound = audio.read(song(seconds=0.317, rate=rate))[0]
    image("song.jpg", sound, rate)
    outcome = run("decode", "song.jpg", "-o", "out", "--phase", "song.wav")
    back, own = audio.read("out/song.wav")
    assert (own, back.shape) == (rate, sound.shape)
    torch.testing.assert_close(
        back, CODEC.resynthesise("song.jpg", mixture=sound), atol=1e-5, rtol=0
    )
    assert float((back - sound).square().sum()) < 0.05 * float(sound.square().sum())
    assert outcome.out.startswith("out/song.wav: 0.3 s, ")


def test_a_folder_is_mirrored_and_finds_its_phases(run, images, written, song):
    run("decode", images, "-o", "out", "--phase", "music")
    assert written() == ["a/drums.wav", "a/vocals.wav", "b/drums.wav", "b/vocals.wav"]
    sound = audio.read("music/b/vocals.wav")[0]
    wanted = CODEC.resynthesise("images/b/vocals.jpg", mixture=sound)
    torch.testing.assert_close(audio.read("out/b/vocals.wav")[0], wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("place", ["mixes/a/mixture.flac", "mixes/a.wav"])
def test_phases_of_a_mixture_serve_all_its_stems(run, images, song, place):
    mixture = audio.read(song(place))[0]
    outcome = run("decode", images, "-o", "out", "--phase", "mixes", code=1)
    for stem in ("drums", "vocals"):
        wanted = CODEC.resynthesise(f"images/a/{stem}.jpg", mixture=mixture)
        torch.testing.assert_close(audio.read(f"out/a/{stem}.wav")[0], wanted, atol=1e-5, rtol=0)
    assert len(outcome.complaints) == 2  # b has none
    assert "no audio gives it phases" in outcome.err
    assert "mixes/b/mixture" in outcome.err


def test_places_looked_for_are_named_once(run, images):
    Path("images/a/drums.jpg").rename("images/a/mixture.jpg")
    Path("none").mkdir()
    complaints = run("decode", "images/a", "-o", "out", "--phase", "none", code=1).err
    assert complaints.count("none/mixture'") == 2  # once for each image


def test_phases_are_sought_without_any(run, images):
    run("decode", images / "a", "-o", "one", "--iterations", "2")
    run("decode", images / "a", "-o", "two", "--iterations", "2", "--workers", "2")
    run("decode", images / "a", "-o", "three", "--iterations", "2", "--seed", "3")
    one, two, three = (Path(f"{n}/drums.wav").read_bytes() for n in ("one", "two", "three"))
    assert one == two != three


def test_formats_and_codings(run, images):
    run("decode", images / "a", "-o", "out", "--format", "flac", "--subtype", "pcm_16")
    facts = audio.info("out/drums.flac")
    assert (facts.format.lower(), facts.frames) == ("flac", 13230)


def test_loud_peaks_are_told(run, song):
    image("loud.jpg", 30 * audio.read(song())[0])
    outcome = run("decode", "loud.jpg", "-o", "out", "--phase", "song.wav")
    assert "peaks at +" in outcome.out
    row = json.loads(
        run("decode", "loud.jpg", "-o", "o", "--phase", "song.wav", "--json").out.splitlines()[0]
    )
    assert row["peak"] > 1


def test_bins_that_were_left_out_can_be_extended(run, song):
    sound = audio.read(song())[0]
    SpectrogramCodec(max_frequency=4000).encode(sound, sample_rate=44100, path="song.jpg")
    energies = []
    for fill in ("zeros", "extend"):
        run("decode", "song.jpg", "-o", fill, "--phase", "song.wav", "--fill", fill)
        energies.append(float(audio.read(f"{fill}/song.wav")[0].square().sum()))
    assert energies[1] > 1.05 * energies[0]


def test_what_is_there_is_kept(run, images):
    words = ("decode", images / "a", "-o", "out", "--iterations", "1")
    run(*words)
    assert "--skip-existing" in run(*words, code=1).err
    assert "2 skipped" in run(*words, "--skip-existing").out
    assert "2 done" in run(*words, "--overwrite").out


def test_foreign_and_damaged_images_leave_the_others_alone(run, images, written):
    from PIL import Image

    Image.new("L", (8, 8)).save("images/a/cover.png")
    whole = Path("images/b/drums.jpg").read_bytes()
    Path("images/b/drums.jpg").write_bytes(whole[: len(whole) // 2])
    outcome = run("decode", images, "-o", "out", "--iterations", "1", "--json", code=1)
    rows = list(map(json.loads, outcome.out.splitlines()))
    failed = {row["input"] for row in rows if row.get("status") == "failed"}
    assert failed == {"images/a/cover.png", "images/b/drums.jpg"}
    assert written() == ["a/drums.wav", "a/vocals.wav", "b/vocals.wav"]
    assert rows[-1]["summary"]["failed"] == 2


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--phase", "nowhere.wav"), "griffinlim"),
        (("--format", "gif"), "gif"),
        (("--workers", "0"), "workers=0"),
        (("--skip-existing", "--overwrite"), "exclude"),
    ],
)
def test_usage_is_checked(run, images, words, text):
    assert text in run("decode", images, "-o", "out", *words, code=2).err
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--fill", "noise"), "fill='noise'"),
        (("--iterations", "0"), "n_iter=0"),
        (("--seed", "-1"), "seed=-1"),
        (("--subtype", "pcm_99"), "subtype='pcm_99'"),
    ],
)
def test_values_are_checked(run, images, words, text):
    assert text in run("decode", images, "-o", "out", *words, code=2).err


def test_folders_without_images_fail(run, song):
    song("music/a.wav")
    assert "no image files" in run("decode", "music", "-o", "out", code=1).err
