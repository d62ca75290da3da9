"""`unweave config`: folders of models and their settings."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from unweave.training.config_groups import GROUPS
from unweave.training.config_models import MODEL_TYPES

HIDDEN = {"model_type", "model_name", "save_dir", "learn_filterbanks"}


def settings(folder="my_model"):
    """All settings of a model by name."""
    groups = json.loads(Path(folder, "config.json").read_text("utf-8"))
    return {k: v for g in groups.values() if isinstance(g, dict) for k, v in g.items()}


def only_line(outcome):
    [line] = outcome.complaints
    assert line.startswith("unweave: ")
    return line


def test_the_documented_commands(run):
    made = run("config", "my_model", "SpectrogramNetSimple", "--save", "path/to/save")
    assert made.out == "path/to/save/my_model/config.json: SpectrogramNetSimple, made\n"
    assert made.err == ""
    run("config", "my_model", "SpectrogramNetSimple")
    told = run("config", "my_model", "--mask_activation", "relu", "--dropout_p", "0.3", "--display")
    assert settings()["mask_activation"] == "relu"
    assert settings()["dropout_p"] == 0.3
    lines = [line.split() for line in told.out.splitlines()]
    assert ["mask_activation", "sigmoid", "relu"] in lines
    assert ["dropout_p", "0.4", "0.3"] in lines
    assert not [line for line in lines if line[:1] == ["lr"]]


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_kind_has_a_template(run, kind):
    run("config", "my_model", kind)
    made = settings()
    assert made["model_type"] == kind
    assert made["model_name"] == "my_model"
    assert made["save_dir"] == str(Path("my_model").resolve())


def test_every_setting_is_an_option_and_is_explained(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")
    told = run("config", "--help").out
    for kind in GROUPS.values():
        for name in kind.model_fields:
            assert (f"--{name.replace('_', '-')}" in told) == (name not in HIDDEN)
    for word in (*MODEL_TYPES, "Model", "Data", "Training", "Pictures, sound and logs"):
        assert word in told
    assert run("config", code=2).out.strip() == told.strip()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--mask-activation", "tanh"], {"mask_activation": "tanh"}),
        (["--mask_activation=tanh"], {"mask_activation": "tanh"}),
        (["--mask_act_fn", "tanh"], {"mask_activation": "tanh"}),
        (["--num-hidden-channels", "4"], {"hidden_channels": 4}),
        (["--normalize-input"], {"normalize_input": True}),
        (["--no-normalize-input"], {"normalize_input": False}),
        (["--no_normalize_input"], {"normalize_input": False}),
        (["--normalize_input", "false"], {"normalize_input": False}),
        (["--normalize_input=False"], {"normalize_input": False}),
        (["--normalize_input", "true"], {"normalize_input": True}),
        (["--use_amp", "no"], {"use_mixed_precision": False}),
        (["--targets", "vocals,drums"], {"targets": ["vocals", "drums"]}),
        (["--targets", "vocals", "--targets", "drums"], {"targets": ["vocals", "drums"]}),
        (["--targets", "bass", "--lr", "1e-2"], {"targets": ["bass"], "lr": 0.01}),
        (["--last-epoch", "-1"], {"last_epoch": -1}),
        (["--gain-range", "0.5,2"], {"gain_range": [0.5, 2.0]}),
        (["--max-num-tracks", "none"], {"max_num_tracks": None}),
        (["--num-fft", "2048"], {"num_fft": 2048, "window_size": 2048}),
        (["--devices", "2", "--layout", "stem.mp4"], {"devices": 2, "layout": "stem.mp4"}),
    ],
)
def test_settings_are_given_in_many_ways(run, words, expected):
    run("config", "my_model", "SpectrogramNetSimple", *words)
    assert {key: settings()[key] for key in expected} == expected
    run("config", "other", "SpectrogramNetSimple")
    run("config", "other", *words)
    assert {key: settings("other")[key] for key in expected} == expected
    run("config", *words, "third", "SpectrogramNetSimple")
    assert {key: settings("third")[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--mask-activation", "reluu"], "model_params.mask_activation='reluu' must be"),
        (["--mask-activatio", "relu"], "--mask-activation"),
        (["--lr", "0"], "training_params.lr='0' must be greater than 0"),
        (["--lr"], "--lr"),
        (["--targets", "a/b"], "dataset_params.targets='a/b'"),
        (["--targets", ","], "dataset_params.targets"),
        (["--input-axis", "1"], "SpectrogramNetSimple has no such setting"),
        (["--model-type", "HybridNet"], "--model-type"),
        (["SpectrogramNetSimple"], "exists: leave out 'SpectrogramNetSimple'"),
        (["one", "too many"], "unexpected"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_changes_nothing(run, words, said):
    run("config", "my_model", "SpectrogramNetSimple")
    before = Path("my_model/config.json").read_bytes()
    assert said in only_line(run("config", "my_model", *words, code=2))
    assert Path("my_model/config.json").read_bytes() == before


def test_a_wrong_setting_makes_no_folder(run, written):
    only_line(run("config", "my_model", "SpectrogramNetSimple", "--lr", "0", code=2))
    only_line(run("config", "my_model", "SpectrogramNet", code=2))
    assert "SpectrogramNetVAE" in only_line(run("config", "my_model", code=2))
    assert written(".") == []


def test_what_lies_in_the_folder_stays(run, written):
    Path("my_model/checkpoint").mkdir(parents=True)
    Path("my_model/checkpoint/best.safetensors").write_bytes(b"weights")
    Path("my_model/notes.txt").write_text("mine")
    run("config", "my_model", "AudioNetSimple")
    run("config", "my_model", "--lr", "0.1")
    assert Path("my_model/checkpoint/best.safetensors").read_bytes() == b"weights"
    assert written("my_model") == ["checkpoint/best.safetensors", "config.json", "notes.txt"]


def test_it_says_where_weights_no_longer_fit(run):
    from unweave.training import ModelFolder, build_network

    run("config", "my_model", "AudioNetSimple", "--hidden-channels", "2")
    place = ModelFolder.open("my_model")
    config = place.load_config()
    place.save_network(place.best_weights, build_network(config), config)
    assert run("config", "my_model", "--lr", "0.1", "--dropout-p", "0.1").err == ""
    told = run("config", "my_model", "--targets", "drums", "--sample-rate", "8000").err
    assert "(targets was ['vocals'] and is ['drums']; sample_rate was 44100 and is 8000)" in told
    assert run("config", "my_model", "--targets", "vocals", "--sample-rate", "44100").err == ""


def test_settings_are_shown_and_printed(run):
    run("config", "my_model", "SpectrogramNetSimple")
    shown = run("config", "my_model", "--display")
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["targets", "vocals"] in lines
    assert ["normalize_input", "true"] in lines
    assert "nothing changed" in shown.out
    [line] = run("config", "my_model", "--json", "--lr", "0.5").out.splitlines()
    told = json.loads(line)
    assert told["training_params"]["lr"] == 0.5
    assert told["file"] == "my_model/config.json"


def test_damaged_files_and_places_that_cannot_be(run):
    Path("my_model").mkdir()
    Path("my_model/config.json").write_text("{")
    assert "my_model/config.json: is no JSON" in only_line(run("config", "my_model", code=2))
    Path("file").touch()
    line = only_line(run("config", "file", "AudioNetSimple", code=2))
    assert "the folder cannot be made" in line


def test_it_is_quick_and_needs_no_torch():
    code = (
        "import sys\n"
        "from unweave.cli import main\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as done:\n"
        "    assert not done.code\n"
        "assert not {'torch', 'numpy', 'lightning'} & set(sys.modules)\n"
    )
    words = ["config", "my_model", "SpectrogramNetSimple", "--lr", "0.1"]
    subprocess.run([sys.executable, "-c", code, *words], check=True)
    code = code.replace("{'torch',", "{'pydantic', 'torch',")
    subprocess.run([sys.executable, "-c", code, "--help"], check=True, capture_output=True)
