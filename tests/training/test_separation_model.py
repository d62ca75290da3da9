"""Models for training loops of one's own: a batch, an epoch, their states."""

import copy
import math
import pickle

import pytest
import torch

from unweave.errors import ConfigError, ParameterError, UnweaveError, WeightsError
from unweave.models import load_weights
from unweave.training import (
    AudioModel,
    Config,
    ModelFolder,
    SeparationModel,
    SpectrogramMaskModel,
    load_config,
)
from unweave.training.config_models import MODEL_TYPES

SMALL = {
    "hidden_channels": 4,
    "hidden_size": 8,
    "recurrent_depth": 1,
    "num_levels": 2,
    "widths": (4, 4, 4),
    "recurrent": 8,
    "dropout_p": 0.1,
}
KINDS = {
    kind: SpectrogramMaskModel if kind in SpectrogramMaskModel.architectures else AudioModel
    for kind in ("mask", "wave", "openunmix", "tfc_tdf", "bandmask")
}


def settings(kind="SpectrogramNetSimple", **more):
    words = {key: value for key, value in SMALL.items() if key in MODEL_TYPES[kind].words}
    if not MODEL_TYPES[kind].fixed:
        words |= {"num_fft": 256, "hop_length": 64, "sample_rate": 8000}
    return Config.template(kind, **{**words, **more})


def built(kind="SpectrogramNetSimple", **more):
    return KINDS[MODEL_TYPES[kind].architecture](settings(kind, **more), device="cpu")


def batch(model, time=2000, seed=0):
    """A mixture of the targets and noise, and the targets."""
    generator = torch.Generator().manual_seed(seed)
    data = model.config.dataset_params
    rate = torch.linspace(0.02, 0.5, len(data.targets))[:, None, None]
    targets = torch.sin(torch.arange(time) * rate).expand(2, -1, data.num_channels, -1)
    noise = 0.1 * torch.randn(2, data.num_channels, time, generator=generator)
    return targets.sum(1) + noise, targets.clone()


def step(model, time=2000, seed=0):
    model.set_data(*batch(model, time, seed))
    model.forward()
    loss = model.compute_loss()
    model.backward()
    model.optimizer_step()
    return loss


@pytest.fixture
def folder(tmp_path):
    return ModelFolder.create(tmp_path / "my_model", settings())


@pytest.mark.parametrize("kind", MODEL_TYPES)
@pytest.mark.parametrize("targets", [("vocals",), ("vocals", "drums")])
def test_every_kind_learns_in_a_loop_of_ones_own(kind, targets):
    if kind == "BandMask" and len(targets) == 1:
        targets = ("vocals", "other")
    torch.manual_seed(0)  # of dropout and of latent values
    model = built(kind, targets=targets, lr=0.003)
    before = copy.deepcopy(model.model.state_dict())
    losses = [step(model) for _ in range(8)]
    assert min(losses[4:]) < losses[0]
    changed = [
        key for key, value in model.model.state_dict().items() if (value != before[key]).any()
    ]
    assert changed
    model.eval()
    model.set_data(batch(model)[0])
    model.test()
    assert not model.estimate.requires_grad
    assert model.estimate.shape == (2, len(targets), *model.mixture.shape[1:])


def test_it_is_abstract_and_refuses_other_kinds():
    with pytest.raises(TypeError, match="abstract"):
        SeparationModel(settings())
    with pytest.raises(ConfigError, match="give it to SpectrogramMaskModel"):
        AudioModel(settings())
    with pytest.raises(ConfigError, match="give it to AudioModel"):
        SpectrogramMaskModel(settings("HybridNet"))


def test_it_takes_the_contents_of_a_file_too(folder):
    import json

    contents = json.loads(folder.config_file.read_text())
    model = SpectrogramMaskModel(contents, device="cpu")
    assert model.config.model_params.hidden_channels == 4
    with pytest.raises(ConfigError, match="unknown group"):
        SpectrogramMaskModel({"model": {}})


def test_the_documented_example(folder):
    config_data = load_config(folder.config_file)
    mix_audio = torch.rand((1, 88200))
    mask_model = SpectrogramMaskModel(config_data)
    vocals_estimate = mask_model.separate(mix_audio)
    assert vocals_estimate.shape == mix_audio.shape
    assert float((vocals_estimate - mix_audio).abs().max()) > 0.01
    assert mask_model.model.training


@pytest.mark.parametrize("shape", [(2, 9000), (1, 9000), (9000,), (3, 2, 9000)])
@pytest.mark.parametrize("targets", [("vocals",), ("vocals", "drums")])
def test_signals_of_any_shape_are_separated(shape, targets):
    model = built("AudioNetSimple", targets=targets)
    audio = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    stems = model.separate(audio)
    if len(targets) == 1:
        assert stems.shape == audio.shape
    else:
        leading = shape[:-2] if len(shape) > 1 else ()
        assert stems.shape == (*leading, 2, *shape[len(leading) :])
    assert float(stems.abs().max()) > 0


def test_stems_sum_to_the_song_where_they_are_said_to():
    audio = torch.randn(1, 9000)
    whole = built(targets=("vocals", "other")).separate(audio)
    assert torch.allclose(whole.sum(0, keepdim=True)[0], audio, atol=1e-5)
    part = built(targets=("vocals", "drums")).separate(audio)
    assert float((part.sum(0) - audio).abs().max()) > 0.01


def test_data_are_checked_and_not_modified():
    model = built(targets=("vocals",))
    mixture, target = batch(model)
    kept = mixture.clone(), target.clone()
    model.set_data(mixture, target[:, 0])
    assert model.target.shape == target.shape
    step(model)
    assert torch.equal(mixture, kept[0])
    assert torch.equal(target, kept[1])
    for wrong in (mixture[0], mixture.expand(2, 3, -1), mixture.long()):
        with pytest.raises(ParameterError, match=r"floating samples \(batch, 1, time\)"):
            model.set_data(wrong)
    with pytest.raises(ParameterError, match="is expected"):
        model.set_data(mixture, target[..., 1:])
    with pytest.raises(ParameterError, match="3 tensors"):
        model.set_data(mixture, target, target)


def test_calls_out_of_order_say_what_is_missing():
    model = built()
    with pytest.raises(ParameterError, match="call set_data first"):
        model.forward()
    with pytest.raises(ParameterError, match="call forward or test"):
        _ = model.estimate
    with pytest.raises(ParameterError, match="no loss has been computed"):
        model.scheduler_step()
    mixture, target = batch(model)
    model.set_data(mixture, target)
    with pytest.raises(ParameterError, match="no estimate"):
        model.compute_loss()
    model.set_data(mixture)
    model.forward()
    with pytest.raises(ParameterError, match="no target"):
        model.compute_loss()


def test_a_new_batch_has_no_estimate_of_the_old_one():
    model = built()
    model.set_data(*batch(model))
    model.forward()
    model.set_data(*batch(model, seed=1))
    with pytest.raises(ParameterError, match="no estimate"):
        model.compute_loss()


def test_masks_are_kept():
    model = built()
    model.set_data(*batch(model))
    model.forward()
    assert model.mask.shape[:3] == (2, 1, 1)
    assert bool(((model.mask >= 0) & (model.mask <= 1)).all())


def test_accumulated_batches_are_one_large_one():
    large = built("SpectrogramNetSimple", dropout_p=0, optimizer="sgd", lr=0.1)
    small = built("SpectrogramNetSimple", dropout_p=0, optimizer="sgd", lr=0.1).config
    small = SpectrogramMaskModel(small.changed(accumulate_grad_batches=2), device="cpu")
    for model in (large, small):
        model.eval()  # the statistics of batches differ
    mixture, target = batch(large)
    large.set_data(mixture, target)
    large.forward()
    large.compute_loss()
    large.backward()
    large.optimizer_step()
    for index in range(2):
        small.set_data(mixture[index : index + 1], target[index : index + 1])
        small.forward()
        small.compute_loss()
        small.backward()
        small.optimizer_step()
        assert small.scheduler.step_count == index
    pairs = zip(large.model.parameters(), small.model.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def test_gradients_are_clipped():
    model = built(max_grad_norm=1e-3, optimizer="sgd", lr=1.0, momentum=0.0, weight_decay=0)
    before = [p.detach().clone() for p in model.model.parameters()]
    step(model)
    moved = [
        (p.detach() - b).square().sum()
        for p, b in zip(model.model.parameters(), before, strict=True)
    ]
    assert math.sqrt(float(sum(moved))) == pytest.approx(1e-3, rel=1e-2)


def test_an_epoch_without_improvement_lowers_the_rate_and_at_last_stops():
    model = built(lr_patience=1, stop_patience=4, lr_factor=0.5)
    rate = model.optimizer.param_groups[0]["lr"]
    model.eval()
    model.set_data(*batch(model))
    told, rates = [], []
    for _ in range(5):
        model.test()
        model.compute_loss()
        told.append(model.scheduler_step())
        rates.append(model.optimizer.param_groups[0]["lr"] / rate)
    assert told == [False, False, False, False, True]
    assert rates == [1, 1, 0.5, 0.5, 0.25]


def test_validation_counts_before_training():
    model = built()
    step(model)
    model.eval()
    model.set_data(*batch(model, seed=3))
    model.test()
    loss = model.compute_loss()
    model.scheduler_step()
    assert model.scheduler.best == loss
    model.train()
    loss = step(model)
    model.scheduler.best = math.inf
    model.scheduler_step()
    assert model.scheduler.best == loss


def test_training_goes_on_where_it_was_saved(folder):
    config = load_config(folder.path).changed(dropout_p=0, warmup_steps=10)
    model = SpectrogramMaskModel(config, device="cpu")
    for seed in range(3):
        step(model, seed=seed)
    model.scheduler_step()
    model.save(global_step=3)
    names = sorted(path.name for path in folder.checkpoints.iterdir())
    assert names == [
        "model_3.safetensors",
        "model_optimizer_3.pt",
        "model_scheduler_3.pt",
    ]
    other = SpectrogramMaskModel(config.changed(last_epoch=3, seed=9), device="cpu")
    assert other.scheduler.step_count == 3
    assert other.scheduler.best == model.scheduler.best
    assert [step(other, seed=s) for s in (4, 5)] == [step(model, seed=s) for s in (4, 5)]
    pairs = zip(model.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_trained_weights_are_used_for_evaluation(folder):
    config = load_config(folder.path)
    model = SpectrogramMaskModel(config, device="cpu")
    fresh = SpectrogramMaskModel(config.changed(training_mode=False, seed=1), device="cpu")
    assert not fresh.model.training
    for number in (1, 2):
        step(model)
        model.save(number, optim=False, scheduler=False)
    assert len(list(folder.checkpoints.iterdir())) == 2
    model.eval()
    audio = torch.randn(1, 9000)
    newest = SpectrogramMaskModel(config.changed(training_mode=False), device="cpu")
    assert torch.equal(newest.separate(audio), model.separate(audio))
    first = SpectrogramMaskModel(config.changed(training_mode=False, best_epoch=1), device="cpu")
    assert not torch.equal(first.separate(audio), model.separate(audio))
    loaded = load_weights(folder.weights())
    assert loaded.sources == ("vocals",)


def test_states_of_others_are_refused(folder):
    config = load_config(folder.path)
    model = SpectrogramMaskModel(config, device="cpu")
    with pytest.raises(WeightsError, match="no such file"):
        model.load_model(1)
    with pytest.raises(WeightsError, match="no such file"):
        model.load_optim(1)
    step(model)
    model.save(1)
    wider = SpectrogramMaskModel(config.changed(hidden_channels=8), device="cpu")
    with pytest.raises(WeightsError, match="other settings"):
        wider.load_model(1)
    others = SpectrogramMaskModel(config.changed(targets="drums"), device="cpu")
    with pytest.raises(WeightsError, match=r"for vocals, the configuration asks .* for drums"):
        others.load_model(1)
    sgd = SpectrogramMaskModel(config.changed(optimizer="sgd"), device="cpu")
    with pytest.raises(WeightsError, match=r"state of a AdamW, .* a SGD"):
        sgd.load_optim(1)
    (folder.checkpoints / "model_optimizer_1.pt").write_bytes(pickle.dumps(print))
    with pytest.raises(WeightsError, match="model_optimizer_1"):
        model.load_optim(1)
    torch.save(
        {"format": "unweave.training 1", "f": print}, folder.checkpoints / "model_scheduler_1.pt"
    )
    with pytest.raises(WeightsError, match="model_scheduler_1"):
        model.load_scheduler(1)
    torch.save(model.model.state_dict(), folder.checkpoints / "model_1.safetensors")
    with pytest.raises(WeightsError, match="pickle"):
        model.load_model(1)


def test_a_full_disk_leaves_the_old_states(folder, monkeypatch):
    model = SpectrogramMaskModel(load_config(folder.path), device="cpu")
    step(model)
    model.save(1)
    before = {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    step(model)
    with pytest.raises(UnweaveError, match=r"(?i)no space left"):
        model.save(1)
    assert {path.name: path.read_bytes() for path in folder.checkpoints.iterdir()} == before


def test_without_a_folder_nothing_can_be_saved():
    with pytest.raises(ConfigError, match="save_dir is not set"):
        built().save_model(0)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_mixed_precision_is_near_and_its_scaler_is_kept(folder, precision):
    config = load_config(folder.path).changed(
        precision=precision, mixed_precision_scale=8.0, dropout_p=0
    )
    exact = SpectrogramMaskModel(config.changed(precision="32"), device="cpu")
    mixed = SpectrogramMaskModel(config, device="cpu")
    for _ in range(3):
        assert step(mixed) == pytest.approx(step(exact), rel=0.05)
    assert mixed.mask.dtype == torch.float32
    mixed.save(1)
    there = (folder.checkpoints / "model_autocast_1.pt").exists()
    assert there == mixed.grad_scaler.is_enabled() == (precision == "fp16")
    other = SpectrogramMaskModel(config.changed(last_epoch=1), device="cpu")
    assert other.grad_scaler.state_dict() == mixed.grad_scaler.state_dict()


def test_variational_models_are_pulled_to_the_normal_distribution():
    losses = [built("AudioNetVAE", dropout_p=0, kl_weight=weight) for weight in (0.0, 10.0)]
    torch.manual_seed(0)
    plain = step(losses[0])
    torch.manual_seed(0)
    assert step(losses[1]) > plain
    assert losses[1].optimizer.param_groups
