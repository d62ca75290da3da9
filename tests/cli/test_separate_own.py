"""`unweave separate my_model path/to/audio`: a model of one's own."""

import json
import pickle
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.models import load_weights
from unweave.separation import Separator
from unweave.training import Config, ModelFolder, build_network

WORDS = {"hidden_channels": 2, "num_fft": 256, "hop_length": 64}


@pytest.fixture
def make():
    """Make a model's folder with weights that are drawn, as if it had been trained."""

    def made(name="my_model", kind="SpectrogramNetSimple", weights=True, **settings):
        config = Config.template(kind, name, **{**WORDS, **settings})
        folder = ModelFolder.create(name, config)
        if weights:
            folder.save_network(folder.best_weights, build_network(config), config)
        return folder

    return made


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def heard(path):
    return audio.read(path)[0]


def test_the_documented_command(run, make, song, written):
    make()
    mixture = heard(song("path/to/audio/artist - track name.wav", seconds=1.5))
    told = run(
        *("separate", "my_model", "path/to/audio", "--residual", "--duration", "1"),
        *("--save", "path/to/output"),
    )
    place = "separated_audio/artist - track name"
    names = [f"{place}/{stem}.wav" for stem in ("original", "residual", "vocals")]
    assert written("path/to/output") == names
    assert told.err == ""
    stems = {p.stem: heard(p) for p in Path("path/to/output", place).iterdir()}
    torch.testing.assert_close(stems["original"], mixture[:, :44100], atol=1e-6, rtol=0)
    total = stems["vocals"] + stems["residual"]
    torch.testing.assert_close(total, stems["original"], atol=1e-6, rtol=0)
    assert float(stems["vocals"].abs().max()) > 1e-3
    assert float(stems["residual"].abs().max()) > 1e-3


def test_the_weights_are_those_of_the_folder(run, make, song):
    folder = make()
    mixture = heard(song())
    run("separate", "my_model", "song.wav")
    network = load_weights(folder.best_weights)
    [expected] = Separator(network, mixture_consistency=False).separate(mixture, 44100).values()
    torch.testing.assert_close(heard("separated_audio/song/vocals.wav"), expected)
    assert not Path("separated_audio/song/residual.wav").exists()
    other = build_network(folder.load_config().changed(seed=1))
    folder.save_network(folder.best_weights, other, folder.load_config())
    run("separate", "my_model", "song.wav", "--overwrite")
    assert not torch.equal(heard("separated_audio/song/vocals.wav"), expected)


@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("model_channels", [1, 2])
def test_songs_keep_their_rate_channels_and_length(run, make, song, rate, channels, model_channels):
    make(num_channels=model_channels)
    path = song(rate=rate, channels=channels, seconds=0.31)
    run("separate", "my_model", path, "--residual")
    for stem in ("original", "vocals", "residual"):
        facts = audio.info(f"separated_audio/song/{stem}.wav")
        assert facts.sample_rate == rate
        assert facts.channels == channels
        assert facts.frames == audio.info(path).frames
    torch.testing.assert_close(
        heard("separated_audio/song/original.wav"), heard(path), atol=1e-6, rtol=0
    )


def test_loud_float_songs_stay_what_they_are(run, make):
    make()
    mixture = 4 * torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    audio.write("loud.wav", mixture, 44100, subtype="float")
    run("separate", "my_model", "loud.wav", "--residual")
    found = heard("separated_audio/loud/original.wav")
    torch.testing.assert_close(found, mixture, atol=1e-5, rtol=0)
    assert (
        "lowered" in run("separate", "my_model", "loud.wav", "-o", "o", "--subtype", "pcm_16").out
    )


def test_several_targets_and_stems_that_sum(run, make, song, written):
    make(targets=("vocals", "accompaniment"))
    mixture = heard(song())
    run("separate", "my_model", "song.wav")
    names = [f"song/{stem}.wav" for stem in ("accompaniment", "original", "vocals")]
    assert written("separated_audio") == names
    total = heard("separated_audio/song/vocals.wav") + heard(
        "separated_audio/song/accompaniment.wav"
    )
    torch.testing.assert_close(total, mixture, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("words", "stems"),
    [
        (["--stems", "drums"], ["drums", "original"]),
        (["--stems", "drums", "--residual"], ["drums", "original", "residual"]),
        (["--two-stems", "vocals"], ["accompaniment", "original", "vocals"]),
        (["--two-stems", "drums", "--residual"], ["drums", "no_drums", "original"]),
    ],
)
def test_stems_are_chosen_as_with_the_shipped_model(run, make, song, written, words, stems):
    make(targets=("vocals", "drums"))
    mixture = heard(song())
    run("separate", "my_model", "song.wav", *words)
    assert written("separated_audio") == [f"song/{stem}.wav" for stem in stems]
    original = heard("separated_audio/song/original.wav")
    torch.testing.assert_close(original, mixture, atol=1e-6, rtol=0)
    if "--two-stems" in words:
        pair = [heard(f"separated_audio/song/{stem}.wav") for stem in stems if stem != "original"]
        torch.testing.assert_close(pair[0] + pair[1], mixture, atol=1e-6, rtol=0)


def test_other_options_work_too(run, make, song, written):
    make()
    song("one.wav")
    song("two.wav", channels=1)
    told = run("separate", "my_model", "one.wav", "two.wav", "--json", "--format", "flac")
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert [list(row["stems"]) for row in rows] == [["original", "vocals"]] * 2
    files = [f"{song}/{stem}.flac" for song in ("one", "two") for stem in ("original", "vocals")]
    assert written("separated_audio") == files
    assert "exists" in run("separate", "my_model", "one.wav", "--format", "flac", code=1).err
    told = run("separate", "my_model", "one.wav", "--format", "flac", "--skip-existing")
    assert "skipped" in told.out
    run(
        "separate",
        "my_model",
        "one.wav",
        "--name",
        "{stem} of {track}",
        "-o",
        "flat",
        "--wiener",
        "1",
    )
    assert written("flat/separated_audio") == ["original of one.wav", "vocals of one.wav"]


@pytest.mark.parametrize("kind", ["AudioNetSimple", "OpenUnmix", "HybridNet", "TFCTDFUNet"])
def test_other_kinds(run, make, song, kind):
    known = {"hidden_size": 8, "hidden_channels": 2, "num_levels": 2, "recurrent_depth": 1}
    from unweave.training.config_models import MODEL_TYPES

    words = {key: value for key, value in known.items() if key in MODEL_TYPES[kind].words}
    config = Config.template(kind, "my_model", num_fft=256, hop_length=64, **words)
    folder = ModelFolder.create("my_model", config)
    folder.save_network(folder.last_weights, build_network(config), config)
    song()
    run("separate", "my_model", "song.wav")
    assert audio.info("separated_audio/song/vocals.wav").frames == audio.info("song.wav").frames


def test_short_segments_of_a_model_are_made_long_enough(run, make, song):
    make(sample_rate=8000, num_fft=4096, hop_length=2048, sample_length=1.0)
    song()
    run("separate", "my_model", "song.wav")


def test_what_is_missing_is_said_in_one_line(run, make, song):
    song()
    make("untrained", weights=False)
    line = only_line(run("separate", "untrained", "song.wav", code=3))
    assert "untrained: has no weights yet: `unweave train untrained path/to/dataset`" in line
    make("good")
    assert "name what to separate" in only_line(run("separate", "good", code=2))
    line = only_line(run("separate", "good", "song.wav", "--model", "bandmask", code=2))
    assert "'good' is a model, and so is --model 'bandmask'" in line
    assert "no song.wav" in only_line(run("separate", "good", "no song.wav", code=1))
    line = only_line(run("separate", "good", "song.wav", "--stems", "bass", code=2))
    assert "unknown stem 'bass': the model gives vocals" in line


def test_damaged_models_are_refused(run, make, song):
    song()
    folder = make("broken")
    folder.config_file.write_text("{")
    assert "broken/config.json: is no JSON" in only_line(
        run("separate", "broken", "song.wav", code=2)
    )
    folder.config_file.unlink()
    assert "holds no config.json" in only_line(run("separate", "broken", "song.wav", code=2))
    for data in (pickle.dumps(print), b"", b"\x00" * 100):
        other = make(f"m{len(data)}")
        other.best_weights.write_bytes(data)
        line = only_line(run("separate", str(other.path), "song.wav", code=3))
        assert "best.safetensors" in line
    assert not Path("separated_audio").exists()


def test_foreign_checkpoints_are_never_loaded(run, make, song, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    song()
    folder = make(weights=False)
    folder.checkpoints.mkdir()
    torch.save({"model": Bomb()}, folder.checkpoints / "my_model_9.pth")
    line = only_line(run("separate", "my_model", "song.wav", code=3))
    assert "only my_model_9.pth" in line
    torch.save({"model": Bomb()}, folder.best_weights)
    assert "pickle" in only_line(run("separate", "my_model", "song.wav", code=3))
    assert not (tmp_path / "exploded").exists()


def test_a_folder_of_songs_with_a_foreign_config_is_one_of_songs(separate, song, written):
    song("songs/a.wav")
    Path("songs/config.json").write_text('{"theme": "dark"}')
    separate("songs")
    assert len(written()) == 4
