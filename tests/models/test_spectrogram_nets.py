"""Masks of spectrograms."""

import pytest
import torch

from unweave.errors import ParameterError
from unweave.models import SpectrogramNetLSTM, SpectrogramNetSimple, SpectrogramNetVAE
from unweave.models.blocks import MaskActivation

SMALL = {"hidden_channels": 2, "hidden_size": 8}


@pytest.mark.parametrize(
    ("kind", "published"),
    [(SpectrogramNetSimple, 7.9), (SpectrogramNetLSTM, 32.3), (SpectrogramNetVAE, 40.0)],
)
def test_parameter_counts_are_near_the_published_ones(kind, published):
    with torch.device("meta"):
        net = kind(num_fft_bins=1024, num_frames=173, num_channels=1)
    millions = sum(parameter.numel() for parameter in net.parameters()) / 1e6
    assert millions == pytest.approx(published, rel=0.03)
    assert f"{millions:.1f} million parameters" in kind.__doc__


def test_the_documents_example_runs():
    spec_net = SpectrogramNetSimple(
        num_fft_bins=1024,
        num_frames=173,
        num_channels=1,
        hidden_channels=2,
        mask_act_fn="sigmoid",
        leak_factor=0,
        dropout_p=0.5,
        normalize_input=True,
        normalize_output=True,
    )
    mix_spec = torch.rand((2, 1, 1024, 173))
    source_mask = spec_net(mix_spec)
    assert (source_mask * mix_spec).shape == mix_spec.shape


def reached(net, index):
    """Where the middle of a network hears of one place: (freq, frames)."""
    hidden = torch.randn(1, 64, 3, 10, requires_grad=True)
    net.eval()._middle(hidden)[0, :, index[0], index[1]].sum().backward()
    return hidden.grad[0].abs().sum(0) > 0


def test_with_frequency_as_features_every_frame_hears_of_all_others():
    net = SpectrogramNetLSTM(96, 20, input_axis=0, **SMALL)
    assert bool(reached(net, (1, 4)).all())


def test_with_time_as_features_frames_hear_of_their_group():
    net = SpectrogramNetLSTM(96, 128, input_axis=1, **SMALL)
    assert net.width == 4
    expected = torch.zeros(3, 10, dtype=torch.bool)
    expected[:, 4:8] = True
    assert torch.equal(reached(net, (1, 5)), expected)
    expected = torch.zeros(3, 10, dtype=torch.bool)
    expected[:, 8:] = True
    assert torch.equal(reached(net, (0, 9)), expected)


def test_without_a_recurrent_middle_nothing_is_heard():
    net = SpectrogramNetSimple(96, 20, hidden_channels=2)
    assert int(reached(net, (1, 4)).sum()) == 1


@pytest.mark.parametrize("kind", [SpectrogramNetLSTM, SpectrogramNetVAE])
def test_the_documents_recurrent_examples_run(kind):
    net = kind(
        num_fft_bins=1024,
        num_frames=173,
        num_channels=1,
        hidden_channels=2,
        recurrent_depth=2,
        hidden_size=64,
        input_axis=1,
    )
    mix_spec = torch.rand((2, 1, 1024, 173))
    source_mask = net(mix_spec)
    assert (source_mask * mix_spec).shape == mix_spec.shape


@pytest.mark.parametrize("shape", [(1, 1, 34, 20), (1, 2, 33, 20), (33, 20), (1, 1, 33)])
def test_wrong_shapes_are_refused(shape):
    net = SpectrogramNetSimple(33, 20, hidden_channels=2)
    with pytest.raises(ParameterError, match=r"floating \(batch, channels, freq, frames\)"):
        net(torch.rand(shape))


def test_integers_and_spectra_that_are_complex_are_refused():
    net = SpectrogramNetSimple(33, 20, hidden_channels=2)
    for dtype in (torch.int16, torch.complex64):
        with pytest.raises(ParameterError, match=str(dtype)):
            net(torch.zeros(1, 1, 33, 20, dtype=dtype))


def test_normalisations_are_trained_values_of_each_frequency():
    plain = SpectrogramNetSimple(33, 20, hidden_channels=2)
    full = SpectrogramNetSimple(
        33, 20, hidden_channels=2, normalize_input=True, normalize_output=True
    )
    added = set(full.state_dict()) - set(plain.state_dict())
    assert added == {"enter.offset", "enter.scale", "leave.offset", "leave.scale"}
    full.load_state_dict(plain.state_dict(), strict=False)
    mixture = torch.rand(1, 1, 33, 20)
    assert torch.equal(full.eval()(mixture), plain.eval()(mixture))


def test_dropout_and_leak_are_those_asked_for():
    net = SpectrogramNetSimple(33, 20, hidden_channels=2, dropout_p=0.25, leak_factor=0.1)
    rates = [layer.p for layer in net.modules() if isinstance(layer, torch.nn.Dropout2d)]
    assert rates == [0.0, 0.0, 0.25, 0.25, 0.25]
    slopes = {m.negative_slope for m in net.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {0.1}


def test_softmax_is_over_the_source_and_the_rest():
    logits = torch.linspace(-3, 3, 7)
    two = torch.stack((logits, torch.zeros(7))).softmax(0)[0]
    assert torch.allclose(MaskActivation("softmax")(logits), two)


@pytest.mark.parametrize("name", ["relu", "hardtanh", "tanh", "prelu", "selu", "elu"])
def test_other_activations_are_clamped(name):
    values = torch.tensor([-2.0, 0.0, 0.5, 4.0])
    bent = MaskActivation(name)(values)
    assert bent[:2].tolist() == [0, 0]
    assert 0.4 < float(bent[2].detach()) < 0.6
    assert float(bent[3].detach()) == pytest.approx(1, abs=1e-3)
