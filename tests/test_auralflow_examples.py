"""Every example of auralflow's documents, under unweave's names.

What differs, and why:

- Classes for loops of one's own are in `unweave.training`, transforms in `unweave.datasets`.
- `component_loss` with alpha + beta = 1, as printed there, gives the target no weight: it warns.
- Losses are differentiated by something here; the printed examples call `backward` on constants.
- Channels come before time and frequencies; `AudioTransform(channels_last=True)` takes the printed
  layout of audio. The printed shape of a spectrogram is not given to it as audio.
- Batches of spectrograms are of 2, not 8, examples, to be quick.
- Devices are those of the inputs; the example that moves its input to a GPU stays on the CPU.
"""

import math

import pytest
import torch

from unweave import audio


def test_spectrogram_mask_model(tmp_path):
    from unweave.training import (
        Config,
        ModelFolder,
        SeparationModel,
        SpectrogramMaskModel,
        load_config,
    )

    ModelFolder.create(tmp_path / "my_model", Config.template("SpectrogramNetSimple", "my_model"))

    # unload configuration data
    config_data = load_config(tmp_path / "my_model" / "config.json")

    # generate pretend 2 sec audio sample
    mix_audio = torch.rand((1, 88200))

    # instantiate deep mask estimator from config (untrained)
    mask_model = SpectrogramMaskModel(config_data)

    # extract vocals
    vocals_estimate = mask_model.separate(mix_audio)

    assert isinstance(mask_model, SeparationModel)
    assert vocals_estimate.shape == mix_audio.shape
    assert bool(vocals_estimate.isfinite().all())


def test_spectrogram_net_simple():
    from unweave.models import SpectrogramNetSimple

    # initialize network
    spec_net = SpectrogramNetSimple(
        num_fft_bins=1024,
        num_frames=173,
        num_channels=1,
        hidden_channels=16,
        normalize_input=True,
        normalize_output=True,
    )

    # generate pretend batch of spectrogram data
    mix_spec = torch.rand((2, 1, 1024, 173))

    # estimate source mask
    with torch.no_grad():
        source_mask = spec_net(mix_spec)

    # isolate source from mixture
    source_estimate = source_mask * mix_spec

    assert source_estimate.shape == mix_spec.shape
    assert 0 <= float(source_mask.min()) <= float(source_mask.max()) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SpectrogramNetLSTM", "SpectrogramNetVAE"])
def test_recurrent_and_variational_nets(name):
    from unweave import models

    # initialize network
    spec_net = getattr(models, name)(
        num_fft_bins=1024,
        num_frames=173,
        num_channels=1,
        hidden_channels=16,
        recurrent_depth=2,
        hidden_size=2048,
        input_axis=1,
    )

    # pretend batch of spectrogram data
    mix_spec = torch.rand((2, 1, 1024, 173))

    # estimate source mask
    with torch.no_grad():
        source_mask = spec_net(mix_spec)

    # isolate source from mixture
    source_estimate = source_mask * mix_spec

    assert source_estimate.shape == mix_spec.shape
    assert 0 <= float(source_mask.min()) <= float(source_mask.max()) <= 1


def test_component_loss():
    from unweave.losses import component_loss

    # generate pretend mask, target and residual spectrogram data
    mask = torch.rand((16, 512, 173, 1)).float().requires_grad_()
    target = torch.rand((16, 512, 173, 1)).float()
    residual = torch.rand((16, 512, 173, 1)).float()

    # weighted loss criterion
    with pytest.warns(UserWarning, match="the best mask is silence"):
        component_loss(mask=mask, target=target, residual=residual, alpha=0.2, beta=0.8)
    loss = component_loss(mask=mask, target=target, residual=residual, alpha=0.2, beta=0.5)

    # scalar value of batch loss
    loss_val = loss.item()

    # backprop
    loss.backward()

    assert math.isfinite(loss_val)
    assert float(mask.grad.abs().max()) > 0


def test_kl_div_loss():
    from torch.nn.functional import l1_loss

    from unweave.losses import kl_div_loss

    # generate sample data
    mu = torch.rand((16, 256, 256)).float().requires_grad_()
    sigma = torch.rand((16, 256, 256)).float().requires_grad_()
    estimate_spec = torch.rand((16, 512, 173, 1)).requires_grad_()
    target_spec = torch.rand((16, 512, 173, 1))

    # kl div loss
    kl_term = kl_div_loss(mu, sigma)

    # reconstruction loss
    recon_term = l1_loss(estimate_spec, target_spec)

    # combine losses
    loss = kl_term + recon_term

    # backprop
    loss.backward()

    for each in (mu, sigma, estimate_spec):
        assert float(each.grad.abs().max()) > 0


@pytest.fixture
def dataset(tmp_path):
    """A folder of two tracks."""
    generator = torch.Generator().manual_seed(0)
    for track in ("one", "two"):
        folder = tmp_path / "dataset" / "train" / track
        folder.mkdir(parents=True)
        stems = 0.1 * torch.randn(2, 2, 5 * 44100, generator=generator)
        for name, stem in zip(("vocals", "other"), stems, strict=True):
            audio.write(folder / f"{name}.wav", stem, 44100)
        audio.write(folder / "mixture.wav", stems.sum(0), 44100)
    return tmp_path / "dataset"


def test_create_audio_dataset(dataset, tmp_path):
    from unweave.datasets import create_audio_dataset

    # expand full length dataset into a 100,000 3-sec chunks
    train_dataset = create_audio_dataset(
        dataset_path=dataset,
        split="train",
        targets=["vocals"],
        chunk_size=3,
        num_chunks=1e5,
        max_num_tracks=80,
        sample_rate=44100,
        mono=True,
        cache_dir=tmp_path / "cache",
    )

    # sample pair of mixture and target data
    mix_audio, target_audio = next(iter(train_dataset))

    assert len(train_dataset) == 100_000
    assert mix_audio.shape == (1, 3 * 44100)
    assert target_audio.shape == (1, 1, 3 * 44100)


def test_audio_folder(dataset, tmp_path):
    """Its signature is documented, without an example."""
    from unweave.datasets import AudioFolder

    folder = AudioFolder(
        dataset,
        targets=["vocals"],
        sample_length=3,
        subset="train",
        audio_format="wav",
        sample_rate=44100,
        num_channels=1,
        cache_dir=tmp_path / "cache",
    )
    mix_audio, target_audio = next(iter(folder))
    assert mix_audio.shape == (1, 3 * 44100)
    assert target_audio.shape == (1, 1, 3 * 44100)


def test_audio_transform():
    from unweave.datasets import AudioTransform

    transform = AudioTransform(num_fft=1024, hop_length=768, window_size=1024, sample_rate=44100)

    # generate sample data
    mix_audio = torch.rand((16, 1, 88200))

    # transform to complex spectrogram
    spectrogram = transform.to_spectrogram(mix_audio)

    # magnitude spectrogram
    mag_spec = torch.abs(spectrogram)

    # to log normalized mel scale from magnitude spectrogram
    mel_spec = transform.to_mel_scale(mag_spec, to_db=True)

    # can achieve the same thing using waveforms directly
    assert torch.allclose(transform.audio_to_mel(mix_audio, to_db=True), mel_spec, atol=1e-4)

    # audio as the documents have it: (batch, time, channels)
    last = AudioTransform(num_fft=1024, hop_length=768, window_size=1024, channels_last=True)
    audio_signal = mix_audio.transpose(1, 2)
    other = last.audio_to_mel(audio_signal, to_db=True)
    assert torch.allclose(other.permute(0, 3, 1, 2), mel_spec, atol=1e-4)
    restored = transform.to_audio(spectrogram, length=88200)
    assert torch.allclose(restored, mix_audio, atol=1e-4)


def test_the_life_cycle_of_a_separation_model(tmp_path):
    """Every documented method of `SeparationModel`, in the order of a training."""
    from unweave.training import AudioModel, Config

    config = Config.template(
        "AudioNetSimple",
        hidden_channels=2,
        save_dir=str(tmp_path),
        max_epochs=2,
        sample_rate=8000,
        lr_patience=0,
    )
    model = AudioModel(config.as_dict(), device="cpu")
    mixture = torch.randn(2, 1, 3000)
    for step in range(2):
        model.train()
        model.set_data(mixture, 0.5 * mixture)
        model.forward()
        model.compute_loss()
        model.backward()
        model.optimizer_step()
        model.eval()
        model.test()
        assert isinstance(model.compute_loss(), float)
        assert isinstance(model.scheduler_step(), bool)
        model.save(global_step=step, model=True, optim=True, scheduler=True, grad_scaler=True)
    model.save_model(2)
    model.save_optim(2)
    model.save_scheduler(2)
    model.save_grad_scaler(2)
    after = model.separate(mixture)
    model.load_model(0)
    assert not torch.equal(model.separate(mixture), after)
    model.load_model(2)
    model.load_optim(2)
    model.load_scheduler(2)
    model.load_grad_scaler(2)
    assert torch.equal(model.separate(mixture), after)
