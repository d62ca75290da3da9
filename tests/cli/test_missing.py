"""Weights that are none and extras that are not installed: exit code 3."""

import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

STEMS = ("vocals", "drums", "bass", "other")
GOOD = sorted(f"good/{stem}.wav" for stem in STEMS)


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def corrupt(path, tiny_model):
    data = bytearray(tiny_model.read_bytes())
    data[8:40] = bytes(32)
    path.write_bytes(data)


def short(path, tiny_model):
    path.write_bytes(tiny_model.read_bytes()[:-100])


def foreign(path, tiny_model):
    save_file({"weight": torch.zeros(3)}, path)


def pickled(path, tiny_model):
    path.write_bytes(pickle.dumps({"weight": [1.0]}))


def from_torch(path, tiny_model):
    torch.save({"weight": torch.zeros(3)}, path)


def from_old_torch(path, tiny_model):
    torch.save({"weight": torch.zeros(3)}, path, _use_new_zipfile_serialization=False)


def from_numpy(path, tiny_model):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def nothing(path, tiny_model):
    path.touch()


def folder(path, tiny_model):
    path.mkdir()


def absent(path, tiny_model):
    pass


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (corrupt, "damaged"),
        (short, "damaged"),
        (foreign, "another program"),
        (pickled, "pickle"),
        (from_torch, "pickle"),
        (from_old_torch, "pickle"),
        (from_numpy, "no safetensors"),
        (nothing, "no safetensors"),
        (folder, "directory"),
        (absent, "no such file"),
    ],
)
@pytest.mark.parametrize("name", ["net.safetensors", "net.ckpt"])
def test_weights_that_are_none_are_refused_with_code_3(run, song, tiny_model, make, word, name):
    song("good.wav")
    make(Path(name), tiny_model)
    line = only_line(run("separate", "good.wav", "--model", name, "-o", "out", code=3))
    assert name in line
    assert word in line
    assert not Path("out").exists()


def test_an_unknown_model_is_answered_with_the_nearest_one(run, song):
    line = only_line(run("separate", song("good.wav"), "--model", "bandmsk", code=2))
    assert "did you mean 'bandmask'?" in line
    assert "unweave models" in line


def test_a_missing_extra_is_told_with_code_3(run, separate, song, written, monkeypatch):
    song("good.wav")
    song("bad.m4a")
    monkeypatch.setitem(sys.modules, "av", None)
    line = only_line(separate("bad.m4a", "good.wav", code=3))
    assert "bad.m4a" in line
    assert "unweave[av]" in line
    assert written() == GOOD
    line = only_line(separate("good.wav", "--format", "m4a", code=3))
    assert "unweave[av]" in line
