"""Exported models: the same answers elsewhere, and a card that tells no secrets."""

import json
import warnings

import pytest
import torch

from unweave.errors import ConfigError, DependencyError, ParameterError, WeightsError
from unweave.models import load_weights
from unweave.separation import Separator
from unweave.training import ModelFolder, build_network, export_model, load_config, save_config

KINDS = {
    "SpectrogramNetSimple": {},
    "SpectrogramNetVAE": {"hidden_size": 8, "recurrent_depth": 1},
    "OpenUnmix": {"hidden_size": 8, "num_channels": 2, "bandwidth": 3000},
    "TFCTDFUNet": {"num_levels": 2},
}


@pytest.fixture
def trained(model):
    """Make a model's folder with random weights and scores, as a training leaves them."""

    def make(kind="SpectrogramNetSimple", **settings):
        words = {"targets": ["vocals", "drums"], "sample_length": 0.1, **settings}
        place = ModelFolder(model(kind, dataset_path="/secret/music", **words))
        config = place.load_config()
        network = build_network(config)
        with torch.no_grad():  # statistics that are not those of the start
            for name, value in network.named_buffers():
                if name.endswith("running_mean"):
                    value.uniform_(-0.1, 0.1)
        about = {"unweave.epoch": "3", "unweave.step": "12", "unweave.val_loss": "0.125"}
        place.save_network(place.best_weights, network, config, about)
        place.evaluation.write_text("track_name,target,sdr\nsong,vocals,5.000\n")
        return place.path

    return make


def core_answer(folder, frames=None):
    """An input of the core, and what the network makes of it."""
    from unweave.training.cores import core_of

    core = core_of(ModelFolder(folder).load_network(), load_config(folder), frames)
    example = torch.rand(core.example.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return core, example, core.module.eval()(example)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_onnxruntime_answers_as_torch_does(trained, tmp_path, kind):
    import onnxruntime

    folder = trained(kind, **KINDS[kind])
    export_model(folder, tmp_path / "core.onnx")
    core, example, expected = core_answer(folder)
    session = onnxruntime.InferenceSession(
        str(tmp_path / "core.onnx"), providers=["CPUExecutionProvider"]
    )
    [answer] = session.run([core.leaves], {core.enters: example.numpy()})
    torch.testing.assert_close(torch.from_numpy(answer), expected, rtol=1e-4, atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["unweave.sources"]) == ["vocals", "drums"]
    assert json.loads(about["unweave.sample_rate"]) == 8000


@pytest.mark.slow
def test_masks_of_the_core_make_the_separators_stems(trained):
    folder = trained("SpectrogramNetSimple")
    network = ModelFolder(folder).load_network()
    mixture = torch.randn(1, 1, 800, generator=torch.Generator().manual_seed(0))
    spectrum = network.spectrum(mixture)
    core, _, _ = core_answer(folder)
    with torch.no_grad():
        stems = network.audio(core.module(spectrum.abs()) * spectrum[:, None], mixture)
        torch.testing.assert_close(stems, network(mixture))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SpectrogramNetSimple", "OpenUnmix"])
def test_pt2_answers_as_torch_does(trained, tmp_path, kind):
    folder = trained(kind, **KINDS[kind])
    export_model(folder, tmp_path / "core.pt2", frames=16)
    _, example, expected = core_answer(folder, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own use of torch
        program = torch.export.load(
            tmp_path / "core.pt2", extra_files=(more := {"unweave.n_fft": ""})
        )
        answer = program.module()(example)
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)
    assert json.loads(more["unweave.n_fft"]) == 64


@pytest.mark.parametrize("half", [False, True])
def test_safetensors_separate(trained, tmp_path, half):
    folder = trained()
    made = export_model(folder, tmp_path / "mine.safetensors", half=half)
    assert made == [tmp_path / "mine.safetensors", tmp_path / "mine.md"]
    mixture = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    here, there = (
        Separator(path, device="cpu").separate(mixture, sample_rate=8000)
        for path in (folder / "checkpoint" / "best.safetensors", made[0])
    )
    for name in ("vocals", "drums"):
        tolerance = 1e-2 if half else 0
        torch.testing.assert_close(there[name], here[name], rtol=tolerance, atol=tolerance)
    assert load_weights(made[0]).sources == ("vocals", "drums")


def test_the_card_tells_data_settings_and_scores_but_no_paths(trained, tmp_path):
    _, card = export_model(trained(), tmp_path / "mine.safetensors")
    text = card.read_text("utf-8")
    for told in ("# my_model", "vocals, drums", "`music`", "| song | vocals | 5.000 |", "0.125"):
        assert told in text
    assert '"hidden_channels": 2' in text
    assert "unweave separate song.mp3 --model mine.safetensors" in text
    assert "secret" not in text
    assert str(tmp_path) not in text


def test_nothing_is_replaced_unasked(trained, tmp_path):
    folder = trained()
    (tmp_path / "mine.md").write_text("my notes")
    with pytest.raises(ParameterError, match=r"mine\.md: exists; --overwrite"):
        export_model(folder, tmp_path / "mine.safetensors")
    assert not (tmp_path / "mine.safetensors").exists()
    export_model(folder, tmp_path / "mine.safetensors", overwrite=True)
    assert "my notes" not in (tmp_path / "mine.md").read_text()


def test_what_cannot_be_exported_is_said(trained, model, tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="no such model folder"):
        export_model(tmp_path / "none", tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="has no weights yet"):
        export_model(model(name="untrained"), tmp_path / "a.safetensors")
    folder = trained()
    with pytest.raises(ParameterError, match=r"ends in '.bin'"):
        export_model(folder, tmp_path / "a.bin")
    with pytest.raises(ParameterError, match="half precision"):
        export_model(folder, tmp_path / "a.pt2", half=True)
    with pytest.raises(ParameterError, match="frames=0"):
        export_model(folder, tmp_path / "a.pt2", frames=0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'unweave\[onnx\]'"):
        export_model(folder, tmp_path / "a.onnx")
    assert not list(tmp_path.glob("a.*"))


def test_networks_with_transforms_inside_have_no_core(trained, tmp_path):
    hybrid = trained("HybridNet", hidden_size=8, recurrent_depth=1)
    with pytest.raises(ParameterError, match="HybridNet computes transforms between its layers"):
        export_model(hybrid, tmp_path / "a.pt2")


def test_weights_of_other_stems_are_not_given_out_under_new_names(trained, tmp_path):
    folder = trained()
    config = load_config(folder)
    save_config(config.changed(targets=["drums", "vocals"]), folder / "config.json")
    with pytest.raises(WeightsError, match=r"targets was \['vocals', 'drums'\]"):
        export_model(folder, tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()
