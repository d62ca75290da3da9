"""Losses of configurations: each is the loss of that name, and reaches the weights."""

import pytest
import torch

from unweave import losses
from unweave.errors import ParameterError
from unweave.training import Config, build_network
from unweave.training.config_groups import TrainingParams
from unweave.training.config_models import MODEL_TYPES
from unweave.training.objective import WAVE_LOSSES, Objective, predict
from unweave.transforms import stft

N_FFT, HOP = 256, 64


def config(kind="SpectrogramNetSimple", **more):
    words = {"hidden_channels": 2, "hidden_size": 8, "num_levels": 2, "recurrent_depth": 1}
    words = {key: value for key, value in words.items() if key in MODEL_TYPES[kind].words}
    return Config.template(
        kind, **words, num_fft=N_FFT, hop_length=HOP, sample_rate=8000, targets="a,b", **more
    )


@pytest.fixture
def data():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(2, 2, 1, 1500, generator=generator)
    return targets.sum(1) + 0.1 * torch.randn(2, 1, 1500, generator=generator), targets


@pytest.mark.parametrize("name", WAVE_LOSSES)
@pytest.mark.parametrize("kind", ["SpectrogramNetSimple", "AudioNetSimple"])
def test_waveform_losses_are_those_of_that_name(name, kind, data):
    mixture, targets = data
    made = config(kind, criterion=name)
    network = build_network(made).eval()
    objective = Objective(made)
    loss = objective(objective.predict(network, mixture), targets)
    function = getattr(losses, f"{name}_loss")
    torch.testing.assert_close(loss, function(network(mixture), targets))


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("kind", ["SpectrogramNetSimple", "AudioNetSimple"])
def test_spectral_losses_compare_magnitudes_at_the_level_of_samples(power, kind, data):
    mixture, targets = data
    made = config(kind, criterion=f"spectral_l{power}")
    network = build_network(made).eval()
    window = torch.hann_window(N_FFT)
    level = float(window.square().sum()) ** -0.5

    def magnitudes(x):
        flat = x.reshape(-1, x.shape[-1])
        spec = torch.stft(flat, N_FFT, HOP, window=window, pad_mode="constant", return_complex=True)
        return spec.abs().reshape(*x.shape[:-1], *spec.shape[-2:]) * level

    if kind == "AudioNetSimple":
        estimate = magnitudes(network(mixture))
    else:
        spec = magnitudes(mixture)
        masks = [net(spec / level) for net in network.networks]
        estimate = torch.stack(masks, 1) * spec[:, None]
    expected = (estimate - magnitudes(targets)).abs().pow(power).mean()
    objective = Objective(made)
    loss = objective(objective.predict(network, mixture), targets)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-6)
    noise = 3 * torch.randn(4, 60_000)
    assert magnitudes(noise).square().mean() == pytest.approx(9, rel=0.05)


def test_component_loss_gets_masks_targets_and_all_else(data):
    mixture, targets = data
    made = config(criterion="component_loss", alpha_constant=0.3, beta_constant=0.2)
    network = build_network(made).eval()
    objective = Objective(made)
    prediction = objective.predict(network, mixture)
    level = (3 / 8 * N_FFT) ** -0.5

    def magnitudes(x):
        return stft(x, n_fft=N_FFT, hop_length=HOP, pad_mode="constant").abs() * level

    parts = (prediction.masks, magnitudes(targets), magnitudes(mixture[:, None] - targets))
    singly = [
        losses.component_loss(*(part[i, j][None] for part in parts), alpha=0.3, beta=0.2)
        for i in range(2)
        for j in range(2)
    ]
    torch.testing.assert_close(objective(prediction, targets), torch.stack(singly).mean())


@pytest.mark.parametrize("kind", ["SpectrogramNetVAE", "AudioNetVAE"])
def test_the_divergence_is_added_with_its_weight(kind, data):
    mixture, targets = data
    made = config(kind, construction_loss="l2", kl_weight=0.5)
    network = build_network(made).eval()
    objective = Objective(made)
    prediction = objective.predict(network, mixture)
    assert len(prediction.latents) == 2
    divergence = [losses.kl_div_loss(*pair, reduction="mean") for pair in prediction.latents]
    expected = losses.l2_loss(network(mixture), targets) + 0.5 * sum(divergence) / 2
    torch.testing.assert_close(objective(prediction, targets), expected)


def test_a_multi_resolution_loss_may_go_beside(data):
    mixture, targets = data
    made = config(criterion="l1", stft_weight=0.25)
    network = build_network(made).eval()
    estimate = network(mixture)
    expected = losses.l1_loss(estimate, targets)
    expected = expected + 0.25 * losses.multi_resolution_stft_loss(estimate, targets)
    objective = Objective(made)
    torch.testing.assert_close(objective(objective.predict(network, mixture), targets), expected)


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_predictions_are_what_the_network_gives(kind):
    more = {} if kind != "BandMask" else {"widths": (4, 4, 4), "recurrent": 8}
    made = config(kind) if kind != "BandMask" else Config.template(kind, **more)
    network = build_network(made).eval()
    mixture = torch.randn(2, made.dataset_params.num_channels, 5000)
    torch.testing.assert_close(predict(network, mixture).stems, network(mixture))


@pytest.mark.parametrize("kind", ["SpectrogramNetVAE", "OpenUnmix", "TFCTDFUNet", "HybridNet"])
def test_gradients_reach_every_weight(kind):
    made = config(kind)
    network, objective = build_network(made), Objective(made)
    mixture = torch.randn(2, made.dataset_params.num_channels, 1500)
    loss = objective(objective.predict(network, mixture), mixture[:, None].repeat(1, 2, 1, 1))
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.isfinite().all()), name


def test_targets_of_another_shape_are_refused(data):
    mixture, targets = data
    made = config()
    prediction = predict(build_network(made), mixture)
    for wrong in (targets[:, :1], targets[:, 0], targets[..., 1:], targets[:1]):
        with pytest.raises(ParameterError, match=r"must be \(batch, sources, channels, time\)"):
            Objective(made)(prediction, wrong)


def test_every_name_of_a_loss_is_known():
    names = TrainingParams.model_fields["construction_loss"].annotation.__args__
    assert {*WAVE_LOSSES, "spectral_l1", "spectral_l2"} == set(names)
