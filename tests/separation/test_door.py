"""`unweave.separate`."""

import numpy as np
import pytest
import torch

import unweave
from unweave import audio
from unweave.errors import ParameterError


def test_a_file_and_its_samples_give_the_same(gain_net, noise, tmp_path):
    path = tmp_path / "song.wav"
    signal = noise(2, 3000)
    audio.write(path, signal, 12000)
    stems = unweave.separate(path, model=gain_net(), residual=True)
    assert list(stems) == ["vocals", "drums", "bass", "other", "residual"]
    for name, stem in unweave.separate(signal, 12000, model=gain_net(), residual=True).items():
        torch.testing.assert_close(stem, stems[name])
    assert torch.equal(
        unweave.separate(str(path), model=gain_net(), residual=True)["bass"], stems["bass"]
    )


def test_numpy_in_numpy_out(gain_net):
    stems = unweave.separate(np.ones((1, 500)), 8000, model=gain_net())
    assert all(isinstance(stem, np.ndarray) for stem in stems.values())


def test_the_rate_belongs_to_samples_only(gain_net, tmp_path):
    with pytest.raises(ParameterError, match="samples were given without sample_rate"):
        unweave.separate(torch.zeros(2, 10), model=gain_net())
    with pytest.raises(ParameterError, match="sample_rate=8000 was given with a file"):
        unweave.separate(tmp_path / "x.wav", 8000, model=gain_net())


def test_the_shipped_model_is_the_default():
    stems = unweave.separate(torch.zeros(2, 44100), 44100)
    assert list(stems) == ["vocals", "drums", "bass", "other"]
    assert not any(bool(stem.any()) for stem in stems.values())
