"""`unweave evaluate`: how near stems come to the true ones."""

import csv
import importlib.util
import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch

from unweave import audio
from unweave.evaluation import sdr, si_sdr
from unweave.training import Config, ModelFolder, build_network

RATE = 8000
STEMS = ("vocals", "drums")


def sound(seed, seconds=2.0, channels=1):
    generator = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(channels, int(seconds * RATE), generator=generator)


@pytest.fixture
def music():
    """Two tracks of two stems, and estimates that are 20 dB near."""
    for number, track in enumerate(("one", "two")):
        stems = [sound(2 * number), sound(2 * number + 1)]
        for name, true, other in zip(STEMS, stems, stems[::-1], strict=True):
            for folder, x in (("true", true), ("got", true + 0.1 * other)):
                Path(folder, track).mkdir(parents=True, exist_ok=True)
                audio.write(f"{folder}/{track}/{name}.wav", x, RATE)


def scores(path="evaluation.csv"):
    with Path(path).open() as file:
        return {(r["method"], r["track"], r["stem"]): r for r in csv.DictReader(file)}


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def test_a_folder_of_estimates(run, music):
    told = run("evaluate", "got", "true")
    found = scores()
    assert set(found) == {("got", t, s) for t in ("one", "two") for s in STEMS}
    pair = [audio.read(f"{f}/one/vocals.wav")[0] for f in ("got", "true")]
    row = found["got", "one", "vocals"]
    assert float(row["sdr"]) == pytest.approx(float(sdr(*pair)), abs=1e-4)
    assert float(row["si_sdr"]) == pytest.approx(float(si_sdr(*pair)), abs=1e-4)
    assert float(row["bss_sir"]) == pytest.approx(20, abs=1.5)
    line = next(line for line in told.out.splitlines() if "vocals" in line).split()
    middle = np.median([float(found["got", t, "vocals"]["sdr"]) for t in ("one", "two")])
    assert float(line[1]) == pytest.approx(middle, abs=0.006)
    assert "median of 2 tracks" in told.out


def test_json_holds_what_the_table_holds(run, music):
    told = run("evaluate", "got", "true", "--json", "--no-bss", "--baselines", "mixture,irm")
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [x.get("track") or x["average"] for x in lines] == ["one", "two", "median", "mean"]
    assert set(lines[0]["scores"]) == {"got", "mixture", "irm"}
    assert lines[0]["scores"]["got"]["vocals"]["bss_sdr"] is None
    mean = {(x["method"], x["stem"]): x["sdr"] for x in lines[3]["scores"]}
    assert mean["mixture", "vocals"] < 1 < mean["irm", "vocals"] < mean["got", "vocals"]


def test_weights_and_folders_of_models(run, tiny_model, music):
    config = Config.template(
        "SpectrogramNetSimple", "mine", hidden_channels=2, num_fft=256, hop_length=64
    )
    folder = ModelFolder.create("mine", config)
    folder.save_network(folder.best_weights, build_network(config), config)
    run("evaluate", "mine", "true", "--no-bss", "--device", "cpu")
    assert set(scores("mine/evaluation-true.csv")) == {
        ("mine", t, "vocals") for t in ("one", "two")
    }
    run("evaluate", tiny_model, "true", "--no-bss", "--device", "cpu", "--max-tracks", "1")
    assert {key[1:] for key in scores()} == {("one", "vocals"), ("one", "drums")}


def test_museval_reads_its_files(run, music):
    run("evaluate", "got", "true", "--museval", "mv")
    assert sorted(p.name for p in Path("mv/test").iterdir()) == ["one.json", "two.json"]
    found = json.loads(Path("mv/test/one.json").read_text())
    schema = Path(importlib.util.find_spec("museval").origin).with_name("musdb.schema.json")
    jsonschema.validate(found, json.loads(schema.read_text()))
    frames = next(t for t in found["targets"] if t["name"] == "drums")["frames"]
    assert [(f["time"], f["duration"]) for f in frames] == [(0.0, 1.0), (1.0, 1.0)]
    middle = np.nanmedian([f["metrics"]["SAR"] for f in frames])
    assert middle == pytest.approx(float(scores()["got", "one", "drums"]["bss_sar"]), abs=1e-4)


def test_existing_scores_are_kept_unless_told_otherwise(run, music):
    Path("true/two/vocals.wav").rename("vocals.wav")
    audio.write("true/two/vocals.wav", sound(2), 16000)
    run("evaluate", "got", "true", "--no-bss", code=1)
    assert {key[1] for key in scores()} == {"one"}
    assert "exists: --skip-existing" in only_line(run("evaluate", "got", "true", code=1))
    Path("vocals.wav").replace("true/two/vocals.wav")
    told = run("evaluate", "got", "true", "--no-bss", "--skip-existing")
    assert {key[1] for key in scores()} == {"one", "two"}
    assert "1 done, 1 skipped" in told.out
    Path("evaluation.csv").write_text("a,b\n")
    assert "no table of scores" in only_line(
        run("evaluate", "got", "true", "--skip-existing", code=1)
    )
    run("evaluate", "got", "true", "--no-bss", "--overwrite", "--stems", "drums")
    assert {key[2] for key in scores()} == {"drums"}


def test_a_picture(run, music):
    run("evaluate", "got", "true", "--no-bss", "--picture", "scores.png")
    assert Path("scores.png").read_bytes()[1:4] == b"PNG"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda p: audio.write(p, sound(0), 16000), "has 16000 Hz and the true stems 8000 Hz"),
        (lambda p: audio.write(p, sound(0, 1.5), RATE), "0.50 s shorter than the true stems"),
        (lambda p: audio.write(p, sound(0, channels=2), RATE), "2 channels and the true stems 1"),
        (lambda p: p.unlink(), "the estimate of 'vocals' is missing (there is drums)"),
        (lambda p: p.write_bytes(b"RIFF"), "vocals.wav"),
    ],
)
def test_a_track_that_does_not_fit_is_named_and_the_rest_done(run, music, change, text):
    change(Path("got/one/vocals.wav"))
    told = run("evaluate", "got", "true", "--no-bss", code=1)
    assert text in only_line(told)
    assert "one" in only_line(told)
    assert {key[1] for key in scores()} == {"two"}


def test_codecs_may_change_the_length_a_little(run, music):
    path = Path("got/one/vocals.wav")
    x, _ = audio.read(path)
    for length in (x.shape[-1] - 500, x.shape[-1] + 500):
        audio.write(path, torch.nn.functional.pad(x, (0, length - x.shape[-1])), RATE)
        run("evaluate", "got", "true", "--no-bss", "--overwrite")
        assert float(scores()["got", "one", "vocals"]["sdr"]) > 10


def test_a_silent_stem_has_no_scores_and_harms_no_other(run, music):
    audio.write("true/one/vocals.wav", torch.zeros(1, 2 * RATE), RATE)
    run("evaluate", "got", "true")
    found = scores()
    assert not any(found["got", "one", "vocals"][m] for m in ("sdr", "si_sdr", "bss_sdr"))
    assert math.isfinite(float(found["got", "one", "drums"]["bss_sdr"]))


def test_the_table_counts_tracks_and_shows_no_rounding(run, music):
    audio.write("true/one/vocals.wav", torch.zeros(1, 2 * RATE), RATE)
    audio.write("got/two/vocals.wav", audio.read("true/two/vocals.wav")[0], RATE)
    told = run("evaluate", "got", "true", "--no-bss")
    lines = {line.split()[0]: line.split() for line in told.out.splitlines() if line.split()}
    assert lines["stem"][1] == "tracks"
    assert lines["vocals"][1:4] == ["1", ">100", ">100"]
    assert lines["drums"][1] == "2"


@pytest.mark.parametrize(
    ("words", "text", "code"),
    [
        (["got", "true", "--baselines", "idea"], "--baselines 'idea': known are mixture", 2),
        (["got", "true", "--museval", "m", "--no-bss"], "--museval needs BSSEval", 2),
        (["got", "true", "--stems", "bass"], "no 'bass' among the true stems", 1),
        (["got", "true", "--max-tracks", "0"], "--max-tracks 0 must be positive", 2),
        (["got", "nowhere"], "nowhere", 1),
        (["bandmsk", "true"], "did you mean 'bandmask'", 2),
        (["got", "true", "--overwrite", "--skip-existing"], "exclude each other", 2),
    ],
)
def test_what_cannot_be_done_is_said_at_once(run, music, words, text, code):
    assert text in only_line(run("evaluate", *words, code=code))
    assert not Path("evaluation.csv").exists()


def test_estimates_of_other_names_are_named(run, music):
    for track in ("one", "two"):
        Path("got", track, "vocals.wav").rename(Path("got", track, "voice.wav"))
        Path("got", track, "drums.wav").unlink()
    line = only_line(run("evaluate", "got", "true", code=1))
    assert line.endswith("nothing to compare: 'true' holds drums, vocals; 'got' holds voice")
    Path("got/one").rename("got/1")
    Path("got/two").rename("got/2")
    line = only_line(run("evaluate", "got", "true", code=1))
    assert line.endswith("'got' has no folder 'one' with audio in it")
