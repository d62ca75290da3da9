"""Where a model's files lie, and which weights are used."""

import pickle

import pytest
import torch

from unweave.errors import ConfigError, ParameterError, WeightsError
from unweave.models.weights import weights_metadata
from unweave.training import Config, ModelFolder, build_network
from unweave.training.places import is_model_folder


@pytest.fixture
def config():
    return Config.template("AudioNetSimple", "tiny", hidden_channels=2, sample_rate=8000)


@pytest.fixture
def folder(tmp_path, config):
    return ModelFolder.create(tmp_path / "deep" / "tiny", config)


def test_names_are_those_of_the_documents(folder):
    names = {
        p.name
        for p in (
            folder.config_file,
            folder.checkpoints,
            folder.audio,
            folder.images,
            folder.runs,
            folder.evaluation,
        )
    }
    assert names == {"config.json", "checkpoint", "audio", "images", "runs", "evaluation.csv"}
    assert [p.name for p in folder.path.iterdir()] == ["config.json"]


def test_what_is_there_is_not_made_again(folder, config, tmp_path):
    before = folder.config_file.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        ModelFolder.create(folder.path, config.changed(lr=0.5))
    assert folder.config_file.read_bytes() == before
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        ModelFolder.create(tmp_path / "file", config)


def test_folders_that_are_none(tmp_path, folder):
    assert ModelFolder.open(folder.path) == folder
    with pytest.raises(ConfigError, match="no such model folder"):
        ModelFolder.open(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"holds no config\.json"):
        ModelFolder.open(tmp_path)
    assert is_model_folder(folder.path)
    assert not is_model_folder(tmp_path)
    (tmp_path / "checkpoint").mkdir()
    assert is_model_folder(tmp_path)
    (folder.path / "config.json").write_text('{"editor": {}}')
    assert not is_model_folder(folder.path)
    (folder.path / "config.json").write_text('{"model_par')
    assert is_model_folder(folder.path)


def test_the_best_weights_are_used_then_the_last_then_the_newest(folder, config):
    network = build_network(config).eval()
    with pytest.raises(WeightsError, match=r"no weights yet: `unweave train"):
        folder.weights()
    steps = [folder.checkpoints / f"tiny_{step}.safetensors" for step in (2, 10)]
    for path in (*steps, folder.last_weights, folder.best_weights):
        folder.save_network(path, network, config, {"loss": "0.5"})
        assert folder.weights() == path
    assert weights_metadata(folder.best_weights)["loss"] == "0.5"
    mixture = torch.randn(1, 1, 3000)
    with torch.no_grad():
        assert torch.equal(folder.load_network()(mixture), network(mixture))


def test_weights_of_another_network_are_not_written(folder, config):
    with pytest.raises(ParameterError, match="does not describe this model"):
        folder.save_network(
            folder.best_weights, build_network(config), config.changed(targets="a,b")
        )
    assert not folder.best_weights.exists()


def test_pickles_are_refused(folder):
    folder.checkpoints.mkdir()
    (folder.checkpoints / "best.ckpt").write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsError, match=r"only best\.ckpt: checkpoints of other kinds"):
        folder.load_network()
    folder.best_weights.write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsError, match="pickle"):
        folder.load_network()


def test_a_place_that_cannot_be_written(folder, config):
    folder.checkpoints.touch()
    with pytest.raises(WeightsError, match="cannot be made"):
        folder.save_network(folder.best_weights, build_network(config), config)
