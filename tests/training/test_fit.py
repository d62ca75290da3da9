"""Training a folder: what it leaves, what it minds, what it refuses."""

import csv
import importlib.util
import json
import os
import resource
import signal
from pathlib import Path

import pytest
import torch

from unweave import audio
from unweave.errors import ConfigError, DatasetError, DependencyError, UnweaveError, WeightsError
from unweave.models import load_weights
from unweave.models.weights import weights_metadata
from unweave.separation import Separator
from unweave.training import ModelFolder, load_config, train
from unweave.training.checkpoints import load_state
from unweave.training.lightning import TrainingModule


def files(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_a_training_leaves_what_is_documented_and_nothing_elsewhere(model, music, capfd):
    folder = model(max_epochs=2, targets=["vocals", "drums"], view_waveform=True)
    before = torch.random.get_rng_state()
    result = train(folder, music)
    told = capfd.readouterr()
    assert told.out == told.err == ""
    assert {path.name for path in folder.iterdir()} == {
        *("audio", "checkpoint", "config.json", "evaluation.csv", "images", "runs")
    }
    assert {path.name for path in (folder / "checkpoint").iterdir()} == {
        *(".lock", "best.safetensors", "last.ckpt", "last.safetensors")
    }
    assert files(Path()) == []
    assert load_config(folder).dataset_params.dataset_path == str(music)
    assert (result.epochs, result.steps, len(result.history)) == (2, 4, 2)
    assert not result.stopped
    assert torch.equal(torch.random.get_rng_state(), before)


def test_evaluation_is_a_table_of_validation_tracks(model, music):
    result = train(model(targets=["vocals", "drums"]), music)
    rows = list(csv.DictReader((result.folder / "evaluation.csv").read_text().splitlines()))
    assert [row["target"] for row in rows] == ["vocals", "drums", "vocals", "drums"]
    assert [row["track_name"] for row in rows][2:] == ["average", "average"]
    [track] = {row["track_name"] for row in rows[:2]}
    # the tone is about 6.5 dB above the noise, in the mixture
    assert float(rows[0]["mixture_si_sdr"]) == pytest.approx(6.5, abs=1)
    assert float(rows[0]["sdr"]) == pytest.approx(result.scores[0]["sdr"], abs=1e-3)
    assert track.startswith("song ")


def test_the_best_weights_separate(model, music):
    result = train(model(), music)
    weights = result.folder / "checkpoint" / "best.safetensors"
    about = weights_metadata(weights)
    assert about["unweave.epoch"] == str(result.best_epoch)
    assert float(about["unweave.val_loss"]) == pytest.approx(result.best_loss, rel=1e-4)
    mixture = torch.rand(1, 4000, generator=torch.Generator().manual_seed(0))
    stems = Separator(weights, device="cpu").separate(mixture, sample_rate=8000)
    assert stems["vocals"].shape == (1, 4000)
    assert not torch.allclose(stems["vocals"], mixture, atol=0.01)  # a lone stem is no mixture
    state = load_state(ModelFolder(result.folder).last_checkpoint)
    average = dict(load_weights(result.folder / "checkpoint" / "last.safetensors").state_dict())
    floats = [value for value in average.values() if value.is_floating_point()]
    assert all(torch.equal(a, b) for a, b in zip(floats, state["average"]["kept"], strict=True))


def test_it_learns(model, music):
    folder = model(max_epochs=8, max_num_samples=32, hidden_channels=4, lr=0.004, ema_decay=0.8)
    result = train(folder, music)
    assert result.best_loss < 0.6 * result.history[0]["val_loss"]
    assert result.scores[-1]["si_sdr"] > result.scores[-1]["mixture_si_sdr"] + 3


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "radam", "rmsprop", "sgd"])
def test_other_optimisers(model, music, optimizer):
    folder = model(optimizer=optimizer)
    assert len(train(folder, music, evaluate=False).history) == 1
    with pytest.raises(WeightsError, match="cannot be changed between runs"):
        train(folder, optimizer="adamw")


@pytest.mark.parametrize(
    "settings",
    [
        {"precision": "bf16", "use_mixed_precision": True},
        {"accumulate_grad_batches": 2},
        {"schedule": "cosine", "warmup_steps": 2},
        {"max_grad_norm": 0, "ema_decay": 0},
        {"criterion": "spectral_l1", "stft_weight": 0.1},
        {"criterion": "component_loss"},
        {"repitch": 1.0, "equalizer": 1.0, "limiter": 1.0, "num_channels": 2},
        {"augment": False},
        {"validation_split": 0},
        {"tensorboard": False, "save_audio": False},
        {"num_workers": 2, "max_epochs": 2},
    ],
    ids=lambda each: next(iter(each)),
)
def test_settings_work_and_can_be_resumed(model, music, settings):
    folder = model(**settings)
    first = train(folder, music, evaluate=False)
    second = train(folder, evaluate=False)
    assert second.epochs == 2 * first.epochs
    updates = 1 if "accumulate_grad_batches" in settings else 2
    assert second.steps == updates * second.epochs


def test_data_are_the_same_whatever_the_workers(model, music):
    plain = train(model(name="plain"), music, evaluate=False)
    parallel = train(model(name="parallel"), music, evaluate=False, num_workers=2)
    assert parallel.history == plain.history


def test_settings_of_a_run_are_not_kept(model, music):
    folder = model()
    train(folder, music, max_epochs=2, evaluate=False)
    assert load_config(folder).training_params.max_epochs == 1
    with pytest.raises(ConfigError, match="a run cannot change the network"):
        train(folder, hidden_channels=4)
    with pytest.raises(ConfigError, match="did you mean 'max_epochs'"):
        train(folder, max_epoch=4)


def test_it_stops_when_nothing_improves(model, music):
    folder = model(max_epochs=9, stop_patience=2, lr=1e-12, min_delta=1.0)
    result = train(folder, music, evaluate=False)
    assert result.stopped
    assert result.epochs == 3
    assert train(folder, evaluate=False).epochs == 5  # its patience begins anew


def spoilt(self, batch, batch_idx):
    self.check_loss()
    loss = self.network(batch[0]).sum()
    if self.epochs_done == 1 and batch_idx == 0:
        loss = loss * float("nan")
    self._pending = loss.detach()
    return loss


def test_a_loss_that_is_no_number_stops_the_run_and_the_last_state_is_kept(
    model, music, monkeypatch
):
    monkeypatch.setattr(TrainingModule, "training_step", spoilt)
    folder = model(max_epochs=3)
    with pytest.raises(UnweaveError, match=r"the loss became nan in epoch 2, after \d updates"):
        train(folder, music)
    state = load_state(ModelFolder(folder).last_checkpoint)
    assert state["epoch"] == 1
    assert all(bool(torch.isfinite(v).all()) for v in state["network"].values())
    assert load_weights(folder / "checkpoint" / "best.safetensors").sources == ("vocals",)


def test_a_training_goes_on_after_a_run_that_failed(model, music):
    folder = model()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingModule, "training_step", spoilt)
        with pytest.raises(UnweaveError):
            train(folder, music, max_epochs=3)
    assert train(folder, evaluate=False).epochs == 2


def test_errors_of_the_data_set_name_what_is_wrong(model, music, tmp_path):
    with pytest.raises(DatasetError, match="lacks the stem 'piano'"):
        train(model(name="a", targets=["piano"]), music)
    with pytest.raises(DatasetError, match="does not exist"):
        train(model(name="b"), tmp_path / "nowhere")
    (tmp_path / "one" / "song").mkdir(parents=True)
    audio.write(tmp_path / "one" / "song" / "vocals.wav", torch.zeros(1, 8000), 8000)
    with pytest.raises(DatasetError, match=r"only one track.*--validation-split 0"):
        train(model(name="c"), tmp_path / "one")
    broken = tmp_path / "broken" / "song"
    broken.mkdir(parents=True)
    (broken / "vocals.wav").write_text("no sound")
    with pytest.raises(DatasetError, match=r"vocals\.wav"):
        train(model(name="d"), tmp_path / "broken")
    for song in ("a", "b", "c"):
        (tmp_path / "silent" / song).mkdir(parents=True)
        audio.write(tmp_path / "silent" / song / "vocals.wav", torch.zeros(1, 8000), 8000)
    with pytest.raises(DatasetError, match=r"'vocals' is silent in all 2 tracks to train on"):
        train(model(name="f"), tmp_path / "silent")
    with pytest.raises(ConfigError, match="no data set is known"):
        train(model(name="e"))
    assert not (tmp_path / "a" / "checkpoint" / "last.ckpt").exists()
    assert json.loads((tmp_path / "a" / "config.json").read_text())["dataset_params"][
        "dataset_path"
    ] in (None, str(music))


def test_what_is_there_is_never_replaced(model, music, tmp_path):
    folder = model()
    train(folder, music, evaluate=False)
    state = folder / "checkpoint" / "last.ckpt"
    kept = state.rename(tmp_path / "kept.ckpt")
    weights = (folder / "checkpoint" / "best.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"best\.safetensors: has no last\.ckpt"):
        train(folder)
    assert (folder / "checkpoint" / "best.safetensors").read_bytes() == weights
    torch.save({"epoch": 3}, state)
    foreign = state.read_bytes()
    with pytest.raises(WeightsError, match="another program"):
        train(folder)
    assert state.read_bytes() == foreign
    kept.replace(state)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(
        text.replace('"hidden_channels": 2', '"hidden_channels": 3')
    )
    with pytest.raises(WeightsError, match="of another network"):
        train(folder)


def test_a_folder_that_cannot_be_written_is_named(model, music):
    folder = model()
    (folder / "checkpoint").touch()  # in the way of the folder
    with pytest.raises(UnweaveError, match=r"cannot write .*checkpoint"):
        train(folder, music)


def test_a_full_disk_is_named_and_the_last_state_is_kept(model, music):
    folder = model(tensorboard=False, save_audio=False)
    train(folder, music, evaluate=False)
    before = {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
        with pytest.raises(UnweaveError, match=r"cannot write '.*checkpoint/.*'.* is kept") as told:
            train(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(told.value)
    assert {path: path.read_bytes() for path in (folder / "checkpoint").iterdir()} == before
    assert train(folder, evaluate=False).epochs == 2


def test_slurms_queue_is_left_alone(model, monkeypatch):
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    from unweave.training.running import build_trainer

    monkeypatch.setattr(SLURMEnvironment, "detect", staticmethod(lambda: True))
    place = ModelFolder(model())
    trainer = build_trainer(place, place.load_config())
    environment = trainer._accelerator_connector.cluster_environment
    assert isinstance(environment, SLURMEnvironment)
    assert not environment.auto_requeue


def test_no_such_precision_on_a_cpu(model, music):
    with pytest.raises(ConfigError, match="fp16' needs a GPU"):
        train(model(precision="fp16", use_mixed_precision=True), music)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_devices_that_are_not_there(model, music):
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        train(model(accelerator="cuda"), music)


def test_without_lightning_the_extra_is_named(model, music, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DependencyError, match=r"pip install 'unweave\[train\]'"):
        train("anything", music)


@pytest.mark.parametrize(
    ("name", "way_out"), [("tensorboard", "--no-tensorboard"), ("matplotlib", "--no-view-")]
)
def test_what_shows_a_training_is_asked_for_before_it(model, music, monkeypatch, name, way_out):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda each: None if each == name else find(each)
    )
    folder = model(view_spectrogram=True)
    with pytest.raises(DependencyError, match=f"needs {name}: pip install .*{way_out}"):
        train(folder, music)
    assert not (folder / "checkpoint").exists()
    assert train(folder, music, tensorboard=False, save_image=False, evaluate=False).epochs == 1


def test_the_first_process_writes(monkeypatch):
    from unweave.training.fit import first_process

    assert first_process()
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(os.environ, name, "1")
            assert not first_process()
            patch.setitem(os.environ, name, "0")
            assert first_process()


def test_augmentations_are_those_asked_for(model):
    from unweave.training.data import augmentation_of

    kinds = [type(each).__name__ for each in augmentation_of(load_config(model())).augmentations]
    assert kinds == ["Gain", "Polarity"]  # in mono there are no sides to swap
    wanted = {"num_channels": 2, "repitch": 0.1, "limiter": 0.1, "polarity": 0}
    config = load_config(model(name="more", **wanted))
    made = augmentation_of(config)
    kinds = [type(each).__name__ for each in made.augmentations]
    assert kinds == ["Repitch", "Gain", "ChannelSwap", "Limiter"]
    none = {"gain_range": (1, 1), "channel_swap": 0, "polarity": 0}
    assert augmentation_of(load_config(model(name="none", **none))) is None
