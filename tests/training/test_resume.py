"""Two halves make a whole, and a killed run goes on."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from unweave.errors import ConfigError, WeightsError
from unweave.models import load_weights
from unweave.training import ModelFolder, load_config, save_config, train
from unweave.training.checkpoints import load_state


def close(a, b):
    """Compare tensors within lists and dictionaries."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            close(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            close(x, y)
    elif isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)
    else:
        number = isinstance(b, int | float)
        assert a == (pytest.approx(b, rel=1e-5, nan_ok=True) if number else b)


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout_p": 0.4, "warmup_steps": 5, "random_mixing": 0.5},
        {"optimizer": "sgd", "lr": 0.05, "lr_patience": 0, "min_delta": 1.0},
        {"schedule": "constant", "validation_split": 0, "max_grad_norm": 0.01},
    ],
    ids=["adamw", "sgd", "constant"],
)
def test_two_and_two_epochs_are_four(model, music, settings):
    whole = train(model(name="whole", **settings), music, max_epochs=4, evaluate=False)
    halves = model(name="halves", **settings)
    first = train(halves, music, max_epochs=2, evaluate=False)
    second = train(halves, max_epochs=2, evaluate=False)
    close(first.history + second.history, whole.history)
    assert (second.epochs, second.steps) == (whole.epochs, whole.steps) == (4, 8)
    assert second.best_epoch == whole.best_epoch
    states = [load_state(ModelFolder(each.folder).last_checkpoint) for each in (whole, second)]
    for state in states:
        del state["schedule"]["bad_epochs"]  # the patience begins anew
    close(*states)


def changed(folder, **settings):
    """Change config.json, as `unweave config` does."""
    save_config(load_config(folder).changed(**settings), folder / "config.json")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"targets": "drums"}, r"targets was \['vocals'\] and is \['drums'\]"),
        ({"sample_rate": 16000}, "sample_rate was 8000 and is 16000"),
        ({"hop_length": 16}, "hop_length was 32 and is 16"),
        ({"mask_activation": "relu"}, "mask_activation was sigmoid and is relu"),
    ],
)
def test_what_makes_weights_useless_is_named(model, music, settings, said):
    """Also where all shapes are the same, and the weights would load."""
    folder = model()
    train(folder, music, evaluate=False)
    before = {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()}
    changed(folder, **settings)
    with pytest.raises(WeightsError, match=said):
        train(folder)
    assert {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()} == before


def test_what_weights_do_not_depend_on_may_change(model, music):
    folder = model()
    train(folder, music, evaluate=False)
    changed(folder, dropout_p=0.1, sample_length=0.2)
    assert train(folder, evaluate=False).epochs == 2
    with pytest.raises(ConfigError, match="targets was"):
        train(folder, targets="drums")


def test_the_best_of_another_loss_is_not_compared_with(model, music):
    """Mean squares of these excerpts are a tenth of their mean magnitudes."""
    folder = model()
    first = train(folder, music, criterion="l2", evaluate=False)
    second = train(folder, criterion="l1", evaluate=False)
    assert first.best_loss < second.best_loss == second.history[0]["val_loss"]
    assert second.best_epoch == 2
    again = train(folder, criterion="l1", lr=1e-12, ema_decay=0.99, evaluate=False)
    assert again.best_loss <= second.best_loss


RUN = """
import sys
from unweave.cli import main
sys.argv = ["unweave", "train", *sys.argv[1:]]
main()
"""


def started(folder, music, *words):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(folder), str(music), "--no-evaluate", *words],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def whole_files(place):
    """Whatever is there under a final name can be read."""
    epoch = load_state(place.last_checkpoint)["epoch"] if place.last_checkpoint.exists() else 0
    for path in (place.best_weights, place.last_weights):
        if path.exists():
            load_weights(path)
    return epoch


@pytest.mark.slow
def test_a_run_survives_kill_at_any_moment(model, music):
    # Larger than its steps, so that kills fall into the writing of files
    place = ModelFolder(model("OpenUnmix", num_channels=1, hidden_size=256, max_num_samples=4))
    rng, epochs, kills = random.Random(0), [0], 0
    process = started(place.path, music, "--max-epochs", "500", "--quiet")
    end = time.monotonic() + 240
    while kills < 3:
        while whole_files(place) <= epochs[-1]:  # it is at work
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < end
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        epochs.append(whole_files(place))
        assert epochs[-1] > epochs[-2]
        if kills < 3:
            process = started(place.path, music, "--max-epochs", "500", "--quiet")
    result = train(place.path, evaluate=False)
    assert result.epochs == epochs[-1] + 1
    left = {path.name for path in place.checkpoints.iterdir()}
    assert left == {".lock", "best.safetensors", "last.ckpt", "last.safetensors"}
