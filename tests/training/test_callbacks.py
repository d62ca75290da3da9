"""What happens beside a training: the average of the weights, logs, snapshots, events."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from unweave import audio
from unweave.training import train
from unweave.training.averaging import WeightAverage


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


def change(net, generator):
    with torch.no_grad():
        for value in net.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator))
            else:
                value.add_(1)


@given(st.floats(0.01, 0.9999), st.integers(1, 30))
@settings(max_examples=20, deadline=None)
def test_the_average_follows_its_formula(decay, updates):
    net, generator = network(), torch.Generator().manual_seed(1)
    average = WeightAverage(net, decay)
    kept = None
    for n in range(updates):
        change(net, generator)
        average.update()
        weight = net[0].weight.detach().double()
        share = min(decay, (1 + n) / (10 + n))
        kept = weight.clone() if kept is None else share * kept + (1 - share) * weight
    own = {name: value.clone() for name, value in net.state_dict().items()}
    with average.applied() as averaged:
        assert averaged is net
        torch.testing.assert_close(net[0].weight.double(), kept, rtol=1e-5, atol=1e-6)
        assert int(net[1].num_batches_tracked) == updates  # counts are not averaged
    for name, value in net.state_dict().items():
        assert torch.equal(value, own[name])


def test_the_average_goes_on_where_it_stopped():
    net, generator = network(), torch.Generator().manual_seed(1)
    first, second = WeightAverage(net, 0.99), WeightAverage(net, 0.99)
    for n in range(6):
        change(net, generator)
        first.update()
        if n == 3:
            second.load_state_dict(first.state_dict())
        if n > 3:
            second.update()
    assert second.updates == 6
    for a, b in zip(first.state_dict()["kept"], second.state_dict()["kept"], strict=True):
        assert torch.equal(a, b)


def test_without_decay_there_is_no_average():
    net = network()
    average = WeightAverage(net, 0.0)
    before = net[0].weight.clone()
    average.update()
    with average.applied():
        assert torch.equal(net[0].weight, before)
    assert average.state_dict()["kept"] == []


@pytest.fixture(scope="module")
def trained(tmp_path_factory, music):
    """A model after three epochs with everything shown."""
    from unweave.training import Config, ModelFolder

    folder = tmp_path_factory.mktemp("shown")
    config = Config.template(
        "SpectrogramNetSimple",
        hidden_channels=2,
        sample_rate=8000,
        num_fft=64,
        hop_length=32,
        sample_length=0.25,
        max_num_samples=8,
        max_validation_samples=4,
        batch_size=4,
        num_workers=0,
        max_epochs=3,
        save_frequency=2,
        num_images=2,
        accelerator="cpu",
        view_gradient=True,
        view_norm=True,
        view_weights=True,
        play_residual=True,
        silent_checkpoint=False,
        cache_dir=str(folder / "cache"),
    )
    path = ModelFolder.create(folder / "my_model", config).path
    events = []
    result = train(path, music, listener=events.append)
    return path, events, result


def test_snapshots_are_sounds_and_pictures_of_validation(trained):
    path, _, _ = trained
    sounds = {
        *(f"mixture_{n}.wav" for n in (1, 2)),
        *(f"vocals_{n}_{when}.wav" for n in (1, 2) for when in ("true", "epoch2", "epoch3")),
        *(f"vocals_{n}_residual_epoch{epoch}.wav" for n in (1, 2) for epoch in (2, 3)),
    }
    pictures = {
        f"vocals_{n}_{when}_{kind}.png"
        for n in (1, 2)
        for when in ("epoch2", "epoch3")
        for kind in ("spectrogram", "waveform")
    }
    assert {each.name for each in (path / "audio").iterdir()} == sounds
    assert {each.name for each in (path / "images").iterdir()} == pictures
    mixture, rate = audio.read(path / "audio" / "mixture_1.wav")
    true, _ = audio.read(path / "audio" / "vocals_1_true.wav")
    made, _ = audio.read(path / "audio" / "vocals_1_epoch3.wav")
    assert rate == 8000
    assert mixture.shape == true.shape == made.shape == (1, 2000)
    rest, _ = audio.read(path / "audio" / "vocals_1_residual_epoch3.wav")
    assert torch.allclose(made + rest, mixture, atol=1e-6)
    assert 0 < made.abs().max() <= 2 * mixture.abs().max()
    assert not torch.equal(mixture, true)


def test_logs_hold_every_epoch(trained):
    path, _, result = trained
    logs = EventAccumulator(str(path / "runs"), size_guidance={"images": 0, "histograms": 0})
    logs.Reload()
    tags = logs.Tags()
    assert {"loss", "val_loss", "val_si_sdr", "lr"} <= set(tags["scalars"])
    found = [(event.step, event.value) for event in logs.Scalars("val_loss")]
    expected = [(row["epoch"], pytest.approx(row["val_loss"], rel=1e-5)) for row in result.history]
    assert found == expected
    assert len(found) == 3
    norms = logs.Scalars("gradient_norm")
    assert [event.step for event in norms] == [1, 2, 3]
    assert all(event.value > 0 for event in norms)
    assert any(tag.startswith("gradients/") for tag in tags["histograms"])
    assert any(tag.startswith("weights/") for tag in tags["histograms"])
    assert "vocals_1_spectrogram" in tags["images"]
    assert {"vocals_1", "vocals_1_residual"} <= set(tags["audio"])


def test_events_tell_of_steps_and_epochs(trained):
    _, events, result = trained
    assert events[0].event == "decode"
    epochs = [event for event in events if event.event == "epoch"]
    assert [event.epoch for event in epochs] == [1, 2, 3]
    assert all(event.epochs == 3 for event in epochs)
    for event, row in zip(epochs, result.history, strict=True):
        assert event.loss == row["loss"]
        assert event.val_loss == row["val_loss"]
    kept = [event for event in events if event.event == "checkpoint"]
    assert [event.epoch for event in kept] == [1, 2, 3]
    assert all(Path(event.path).name == "last.ckpt" for event in kept)
    best = [event.epoch for event in epochs if event.best]
    assert best[-1] == result.best_epoch
    steps = [event for event in events if event.event == "step"]
    assert all(1 <= event.step <= event.steps == 2 for event in steps)
    assert all(math.isfinite(event.loss) for event in steps if event.epoch > 1)
