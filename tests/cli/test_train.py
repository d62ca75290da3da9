"""`unweave train` and `unweave export`: from a folder of stems to a separator."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.training.checkpoints import load_state

RATE = 8000
WORDS = [
    *("--hidden-channels", "2", "--sample-rate", str(RATE), "--num-fft", "64"),
    *("--hop-length", "32", "--sample-length", "0.25", "--max-num-samples", "8"),
    *("--max-validation-samples", "4", "--batch-size", "4", "--num-workers", "0"),
    *("--max-epochs", "1", "--accelerator", "cpu", "--no-save-image", "--no-save-audio"),
    *("--no-tensorboard", "--cache-dir", "cache"),
]


@pytest.fixture
def model(run, song):
    """Make a model and a data set of three songs."""
    for number in range(3):
        for stem in ("vocals", "drums"):
            song(f"music/song {number}/{stem}.wav", seconds=1, rate=RATE, channels=1)
    run("config", "my_model", "SpectrogramNetSimple", *WORDS)
    return Path("my_model")


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def epoch(model):
    return load_state(model / "checkpoint" / "last.ckpt")["epoch"]


def test_three_commands_make_a_separator(model, run, song):
    told = run("train", model, "music")
    lines = told.err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 1/1"]
    assert "my_model: 1 epochs, 2 updates in all" in told.out
    rows = list(csv.reader((model / "evaluation.csv").read_text().splitlines()))
    assert rows[-1][0] == "average"
    song("new.wav", rate=RATE, channels=1)
    run("separate", "my_model", "new.wav", "--save", "out", "--device", "cpu")
    vocals, rate = audio.read("out/separated_audio/new/vocals.wav")
    assert vocals.shape == (1, 0.3 * RATE)
    assert rate == RATE


def test_the_same_command_goes_on(model, run):
    run("train", model, "music", "--no-evaluate")
    told = run("train", model, "music", "--no-evaluate")
    assert "epoch 2/2" in told.err
    assert "epoch 4/4" in run("train", model, "--max_epochs", "2", "--no-evaluate").err
    assert epoch(model) == 4
    assert not (model / "evaluation.csv").exists()


def test_results_as_json(model, run):
    told = run("train", model, "music", "--json", "--progress", "json")
    result = json.loads(told.out)
    assert (result["folder"], result["epochs"], result["best_epoch"]) == ("my_model", 1, 1)
    assert result["scores"][-1]["track_name"] == "average"
    events = [json.loads(line) for line in told.err.splitlines()]
    assert {event["event"] for event in events} == {"decode", "step", "epoch"}
    assert events[-1]["val_loss"] == result["best_loss"]


@pytest.mark.parametrize("words", [("--quiet",), ("--progress", "none")])
def test_little_is_said_where_little_is_wanted(model, run, words):
    told = run("train", model, "music", "--no-evaluate", *words)
    assert told.err == ""
    assert bool(told.out) == (words != ("--quiet",))


def test_bars_are_drawn(model, run):
    words = ("--progress", "bar", "--no-silent-checkpoint")
    told = run("train", model, "music", "--no-evaluate", *words)
    assert "epoch 1/1" in told.err
    assert f"kept {model}" in told.err.replace("\n", "")


def test_what_is_wrong_is_said_in_one_line(model, run):
    assert "no such model folder" in only_line(run("train", "nothing", "music", code=2))
    assert "did you mean" not in only_line(run("train", model, code=2))
    assert "'nowhere' does not exist" in only_line(run("train", model, "nowhere", code=1)).replace(
        str(Path.cwd()) + "/", ""
    )
    told = run("train", model, "music", "--targets", "piano", code=2)
    assert "cannot change the network" in only_line(told)
    assert "max-epochs" in only_line(run("train", model, "music", "--max-epoch", "3", code=2))
    assert "training_params.lr='-1' must be greater than 0" in only_line(
        run("train", model, "music", "--lr", "-1", code=2)
    )
    (model / "checkpoint").mkdir(exist_ok=True)
    (model / "checkpoint" / "last.ckpt").write_bytes(b"no state")
    assert "is damaged" in only_line(run("train", model, "music", code=3))
    assert (model / "checkpoint" / "last.ckpt").read_bytes() == b"no state"


def test_a_missing_target_is_named(model, run):
    run("config", "other", "SpectrogramNetSimple", *WORDS, "--targets", "piano")
    assert "lacks the stem 'piano'" in only_line(run("train", "other", "music", code=1))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_can_be_gone_on_with(model, number):
    command = [sys.executable, "-c", "from unweave.cli import main; main()", "train", str(model)]
    process = subprocess.Popen(
        [*command, "music", "--max-epochs", "1000", "--stop-patience", "1000", "--quiet"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        end = time.monotonic() + 100
        while not (model / "checkpoint" / "last.ckpt").exists() or not epoch(model):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()  # which does nothing to one that has ended
    assert process.returncode == 130, err
    assert out == ""
    assert err.splitlines() == ["unweave: interrupted; finished files are kept"]
    done = epoch(model)
    assert done >= 1
    after = subprocess.run(
        [*command, "--no-evaluate", "--json", "--progress", "none"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(after.stdout)["epochs"] == done + 1


def test_export(model, run):
    run("train", model, "music")
    told = run("export", model, "-o", "vocals.safetensors", "--half")
    assert [line.split(":")[0] for line in told.out.splitlines()] == [
        "vocals.safetensors",
        "vocals.md",
    ]
    again = run("export", model, "-o", "vocals.safetensors", code=2)
    assert "exists; --overwrite" in only_line(again)
    told = run("export", model, "-o", "vocals.safetensors", "--overwrite", "--json")
    assert json.loads(told.out)["card"] == "vocals.md"
    run("separate", "--model", "vocals.safetensors", "music/song 0/drums.wav", "-o", "out")
    assert torch.isfinite(audio.read("out/drums/vocals.wav")[0]).all()


def test_help_lists_settings(run):
    told = run("train", "--help").out
    for word in ("--max-epochs", "--random-mixing", "--save-frequency", "DATASET"):
        assert word in told
    assert "--hidden-channels" not in told  # the network's, which a run cannot change
