"""Settings: their groups, ranges, old and new names, and what is said of wrong ones."""

import inspect
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unweave.errors import ConfigError
from unweave.models.registry import ARCHITECTURES
from unweave.models.settings import MASK_ACTIVATIONS
from unweave.training import Config, build_network, load_config, save_config
from unweave.training.config_groups import GROUPS, ModelParams
from unweave.training.config_models import MODEL_TYPES, model_type
from unweave.training.network import architecture_of

# auralflow's template of June 2022, word by word
JUNE = {
    "model_params": {
        "model_type": "SpectrogramNetSimple",
        "model_name": "template",
        "normalize_input": True,
        "normalize_output": True,
        "mask_activation": "relu",
        "hidden_channels": 16,
        "dropout_p": 0.4,
        "leak_factor": 0,
        "save_dir": "/somewhere/template",
    },
    "dataset_params": {
        "dataset_path": "/somewhere/data",
        "targets": ["vocals"],
        "max_num_tracks": 10,
        "max_num_samples": 1e3,
        "num_channels": 1,
        "sample_length": 3,
        "sample_rate": 44100,
        "num_fft": 1024,
        "window_size": 1024,
        "hop_length": 512,
        "learn_filterbanks": False,
    },
    "training_params": {
        "training_mode": True,
        "max_epochs": 10,
        "last_epoch": -1,
        "global_step": -1,
        "best_epoch": -1,
        "batch_size": 32,
        "lr": 0.008,
        "criterion": "l2",
        "use_mixed_precision": True,
        "mixed_precision_scale": 2.0,
        "alpha_constant": 0.5,
        "beta_constant": 0,
        "num_workers": 8,
        "pin_memory": True,
        "persistent_workers": True,
        "pre_fetch": 4,
        "stop_patience": 10,
        "max_lr_steps": 5,
        "silent_checkpoint": True,
    },
    "visualizer_params": {
        "view_spectrogram": False,
        "view_waveform": False,
        "view_gradient": True,
        "play_audio": True,
        "save_image": False,
        "save_audio": False,
        "save_frequency": 5,
        "num_images": 1,
    },
}
# What its last release calls some of them
NEWER = {
    "num_hidden_channels": 8,
    "mask_act_fn": "relu",
    "recurrent_depth": 2,
    "hidden_size": 64,
    "input_axis": 1,
    "max_samples": 50,
    "max_tracks": 3,
    "use_amp": False,
    "init_scale": 128.0,
    "max_grad_norm": 100.0,
    "max_plateaus": 4,
    "alpha": 0.2,
    "beta": 0.1,
    "criterion": "si_sdr",
    "construction_loss": "l2",
    "min_delta": 0.01,
    "lr_lstm": 1e-5,
    "view_spec": True,
    "image_freq": 2,
}
SMALL = {
    "hidden_channels": 2,
    "hidden_size": 8,
    "recurrent_depth": 1,
    "num_levels": 2,
    "widths": (4, 4, 4),
    "recurrent": 8,
}


def small(kind, **settings):
    """A configuration of a tiny network."""
    known = {key: value for key, value in SMALL.items() if key in MODEL_TYPES[kind].words}
    if not MODEL_TYPES[kind].fixed:
        known |= {"num_fft": 256, "hop_length": 64, "sample_rate": 8000}
    return Config.template(kind, **known, **settings)


def refused(contents, **settings):
    with pytest.raises(ConfigError) as error:
        Config.of(contents, **settings)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_the_template_of_auralflow_is_read_as_it_is():
    made = Config.of(JUNE).as_dict()
    for group, values in JUNE.items():
        for key, value in values.items():
            assert made[group][key] == value


def test_its_newer_names_are_known():
    config = Config.template("SpectrogramNetLSTM", **NEWER)
    assert config.model_params.mask_activation == "relu"
    assert config.model_params.hidden_channels == 8
    assert config.training_params.max_lr_steps == 4
    assert config.training_params.mixed_precision_scale == 128
    assert config.training_params.use_mixed_precision is False
    assert config.visualizer_params.save_frequency == 2
    assert Config.of({"training_params": {"learning-rate": 0.1}}).training_params.lr == 0.1


def test_names_lead_to_one_setting_each():
    names = [name for kind in GROUPS.values() for name in (*kind.model_fields, *kind.aliases)]
    assert len(names) == len(set(names))
    for kind in GROUPS.values():
        assert set(kind.aliases.values()) <= set(kind.model_fields)
        for field in kind.model_fields.values():
            assert field.description


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_kind_is_built_as_the_registry_and_weights_files_have_it(kind):
    config = small(kind, targets=("vocals", "drums"))
    network = build_network(config)
    assert tuple(network.sources) == ("vocals", "drums")
    assert network.sample_rate == config.dataset_params.sample_rate
    assert network.channels == config.dataset_params.num_channels
    name, arguments = architecture_of(config)
    assert set(arguments) <= set(inspect.signature(ARCHITECTURES[name].load()).parameters)
    assert json.loads(json.dumps(arguments)) == arguments
    assert Config.of(config.as_dict()) == config


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_settings_of_networks_reach_them(kind):
    given = {
        "hidden_channels": 3,
        "hidden_size": 10,
        "recurrent_depth": 2,
        "leak_factor": 0.125,
        "dropout_p": 0.25,
        "mask_activation": "tanh",
        "normalize_input": False,
        "normalize_output": False,
        "bandwidth": 3000.0,
        "num_levels": 1,
        "input_axis": 1,
        "widths": [5, 6, 7],
        "recurrent": 9,
        "members": 2,
    }
    words = MODEL_TYPES[kind].words
    assert set(words) <= set(given)
    known = {key: value for key, value in given.items() if key in words}
    _, arguments = architecture_of(Config.template(kind, **known))
    for value in known.values():
        assert value in arguments.values()
    for key in set(given) - set(words):
        text = refused({"model_params": {"model_type": kind, key: given[key]}})
        assert f"model_params.{key}: {kind} has no such setting" in text


def test_ranges_are_within_what_weights_files_may_ask_for():
    limits = {key: pair for each in ARCHITECTURES.values() for key, pair in each.limits.items()}
    for name, field in ModelParams.model_fields.items():
        for rule in field.metadata:
            low, high = limits.get(name, (None, None))
            if low is not None:
                assert getattr(rule, "ge", low) >= low
                assert getattr(rule, "le", high) <= high
    choices = ModelParams.model_fields["mask_activation"].annotation.__args__
    assert choices == MASK_ACTIVATIONS


def test_the_shipped_network_starts_with_features_of_unit_size():
    import torch

    from unweave import audio

    root = Path(__file__).parents[2]
    song, _ = audio.read(root / "examples" / "song" / "mixture.ogg", duration=5)
    [member] = build_network(small("BandMask")).members
    seen = []
    member.body.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    network = build_network(small("BandMask"))
    network.members[0] = member
    with torch.no_grad():
        network(song[None])
    assert abs(float(seen[0].mean())) < 0.6
    assert 0.6 < float(seen[0].std()) < 1.6


def test_the_seed_draws_the_weights_and_nothing_else():
    import torch

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    one, same = (build_network(small("AudioNetSimple")) for _ in range(2))
    other = build_network(small("AudioNetSimple", seed=1))
    assert torch.equal(torch.random.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    assert any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"model_parms": {}}, ["unknown group 'model_parms'", "'model_params'"]),
        ({"model_params": {"drop_p": 1}}, ["'model_params.drop_p'", "did you mean 'dropout_p'"]),
        ({"model_params": {"lr": 1}}, ["'model_params.lr'", "belongs into training_params"]),
        ({"model_params": {"xyz": 1}}, ["'model_params.xyz'", "known are model_type"]),
        ({"model_params": 3}, ["model_params must be a group", "3"]),
        ({"model_params": None}, ["model_params must be a group"]),
        ({"model_params": {"model_type": 3}}, ["model_params.model_type=3", "text"]),
        ({"model_params": {"model_type": "UNet"}}, ["unknown model 'UNet'"]),
        ({"model_params": {"hidden_size": 8}}, ["has no such setting", "hidden_channels"]),
        ({"model_params": {"mask_activation": "rel"}}, ["'rel' must be 'sigmoid'", "'relu'"]),
        ({"model_params": {"hidden_channels": 0}}, ["hidden_channels=0", "or equal to 1"]),
        (
            {"model_params": {"hidden_channels": 1, "num_hidden_channels": 2}},
            ["model_params.hidden_channels is given twice", "'num_hidden_channels'"],
        ),
        ({"training_params": {"lr": "fast"}}, ["training_params.lr='fast' must be a number"]),
        ({"training_params": {"lr": float("nan")}}, ["training_params.lr=nan", "finite"]),
        ({"training_params": {"batch_size": 2.5}}, ["batch_size=2.5 must be a whole number"]),
        ({"training_params": {"batch_size": True}}, ["batch_size=True must be a number"]),
        ({"training_params": {"use_mixed_precision": 7}}, ["=7 must be true or false"]),
        ({"training_params": {"criterion": "l3"}}, ["criterion='l3' must be 'l1'"]),
        ({"training_params": {"criterion": "kl_div_loss"}}, ["VAEs", "SpectrogramNetSimple"]),
        (
            {
                "training_params": {
                    "criterion": "component_loss",
                    "alpha_constant": 0.2,
                    "beta_constant": 0.8,
                }
            },
            ["alpha_constant + beta_constant must be below 1", "silence"],
        ),
        ({"dataset_params": {"targets": []}}, ["targets=[]"]),
        ({"dataset_params": {"targets": "vocals"}}, ["targets='vocals' must be a list"]),
        ({"dataset_params": {"targets": ["../up"]}}, ["'../up'", "name of a source"]),
        ({"dataset_params": {"targets": ["a", "a"]}}, ["names a source twice"]),
        ({"dataset_params": {"targets": ["residual"]}}, ["'residual'", "another file"]),
        ({"dataset_params": {"gain_range": [2, 1]}}, ["gain_range=[2.0, 1.0] must rise"]),
        ({"dataset_params": {"gain_range": [2]}}, ["gain_range"]),
        ({"dataset_params": {"hop_length": 600}}, ["hop_length=600", "at most half"]),
        ({"dataset_params": {"window_size": 512}}, ["window_size=512 must be num_fft=1024"]),
        ({"dataset_params": {"sample_length": 0.1, "num_fft": 8192}}, ["sample_length"]),
        (
            {"model_params": {"model_type": "BandMask"}, "dataset_params": {"targets": ["a"]}},
            ["targets=['a']", "two or more"],
        ),
        ({"dataset_params": {"learn_filterbanks": True}}, ["learn_filterbanks=True", "False"]),
        ({"version": 2}, ["version=2", "update unweave"]),
        ({"version": "x"}, ["version='x'"]),
    ],
)
def test_what_is_wrong_is_named_in_one_line(contents, words):
    text = refused(contents)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("key", "value"),
    [("num_channels", 1), ("sample_rate", 48000), ("num_fft", 2048), ("hop_length", 512)],
)
def test_the_shipped_network_is_what_it_is(key, value):
    text = refused({"model_params": {"model_type": "BandMask"}}, **{key: value})
    assert f"dataset_params.{key} must be" in text or "window_size" in text


def test_kinds_are_found_in_any_case_and_under_the_documents_names():
    assert model_type("spectrogramnetlstm").name == "SpectrogramNetLSTM"
    assert model_type("AudioNetSimpleLSTM").name == "AudioNetLSTM"
    with pytest.raises(ConfigError, match="did you mean SpectrogramNetVAE"):
        model_type("SpectrogramVAE")


def test_changes_leave_the_original_alone_and_may_be_text():
    config = Config.template("SpectrogramNetSimple", targets=("vocals",))
    changed = config.changed(
        targets="drums, bass",
        lr="1e-2",
        normalize_input="no",
        max_num_tracks="12",
        gain_range="0.5,2",
        devices="2",
    )
    assert config.dataset_params.targets == ("vocals",)
    assert changed.dataset_params.targets == ("drums", "bass")
    assert changed.training_params.lr == 0.01
    assert changed.model_params.normalize_input is False
    assert changed.dataset_params.gain_range == (0.5, 2)
    assert changed.training_params.devices == 2
    assert changed.changed(max_num_tracks="none").dataset_params.max_num_tracks is None
    assert changed.changed(devices="auto").training_params.devices == "auto"
    with pytest.raises(ConfigError, match="unknown setting 'dropout_q': did you mean 'dropout_p'"):
        config.changed(dropout_q=0)
    with pytest.raises(ValueError, match="frozen"):
        config.training_params.lr = 3


def test_windows_are_as_long_as_frames():
    assert Config.template("SpectrogramNetSimple", num_fft=4096).dataset_params.window_size == 4096
    assert Config.of({"dataset_params": {"num_fft": 2048}}).dataset_params.window_size == 2048


def test_a_stem_for_the_rest_makes_stems_sum_to_the_song():
    assert not Config().sums_to_mixture
    assert Config().changed(targets="vocals,accompaniment").sums_to_mixture
    assert Config.template("BandMask", targets="a,b").sums_to_mixture
    assert Config().changed(targets_sum_to_mixture=True).sums_to_mixture
    assert (
        not Config().changed(targets="vocals,other", targets_sum_to_mixture=False).sums_to_mixture
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)
NAMES = [(group, name) for group, kind in GROUPS.items() for name in kind.model_fields]


def outcome(contents):
    """The configuration, or what is wrong."""
    try:
        return Config.of(contents), "fine"
    except ConfigError as error:
        return None, str(error)


@given(place=st.sampled_from(NAMES), value=JSON)
def test_any_value_is_taken_or_refused_in_one_line(place, value):
    group, name = place
    made, told = outcome({group: {name: value}})
    assert len(told.splitlines()) == 1
    assert made is None or Config.of(json.loads(json.dumps(made.as_dict()))) == made


@given(contents=JSON)
def test_any_contents_are_taken_or_refused_in_one_line(contents):
    assert len(outcome(contents)[1].splitlines()) == 1


# Files


def test_files_come_back(tmp_path):
    config = Config.template("OpenUnmix", "umx", targets=("ding", "döng"), hidden_size=8)
    save_config(config, tmp_path / "config.json")
    read = load_config(tmp_path / "config.json")
    assert read == config.changed(save_dir=str(tmp_path.resolve()))
    assert load_config(tmp_path) == read
    assert "döng" in (tmp_path / "config.json").read_text("utf-8")


def test_settings_of_other_kinds_are_not_written(tmp_path):
    save_config(Config.template("AudioNetSimple"), tmp_path / "c.json")
    written = json.loads((tmp_path / "c.json").read_text())
    assert written["version"] == 1
    assert "mask_activation" not in written["model_params"]
    assert set(written["training_params"]) == set(GROUPS["training_params"].model_fields)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"\x80\x04\x95pickle", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is no configuration"),
        (b"{}", "is no configuration"),
        (b'"text"', "is no configuration"),
        (b'{"version": 1, "version": 1}', "'version' is given twice"),
        (b" " * (1 << 21), "larger than"),
        (b'{"training_params": {"lr": NaN}}', "training_params.lr=nan"),
        (b'{"training_params": {"learn_rate": 1}}', "'training_params.learn_rate'"),
    ],
)
def test_foreign_files_are_refused_by_name(tmp_path, data, word):
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}: ")
    assert word in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "nothing.json")
    with pytest.raises(ConfigError, match=r"config\.json: no such file"):
        load_config(tmp_path)


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    save_config(Config(), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left"):
        save_config(Config().changed(lr=0.5), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["config.json"]
    with pytest.raises(ConfigError, match="cannot be written"):
        save_config(Config(), tmp_path / "no" / "folder.json")


def test_without_pydantic_the_extra_is_named():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from unweave.errors import DependencyError\n"
        "import unweave.training\n"
        "try:\n"
        "    unweave.training.Config\n"
        "except DependencyError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "pip install 'unweave[train]'" in done.stdout
