"""Open-Unmix: the published names, and its equations written out."""

import numpy as np
import pytest
import torch

from unweave.errors import ParameterError, WeightsError
from unweave.models import OpenUnmix

# What one target of umxhq's published weights holds beside the LSTM's and the counters.
UMXHQ = {
    "input_mean": (1487,),
    "input_scale": (1487,),
    "output_scale": (2049,),
    "output_mean": (2049,),
    "fc1.weight": (512, 2974),
    "bn1.running_var": (512,),
    "lstm.weight_ih_l0": (1024, 512),
    "lstm.weight_hh_l2_reverse": (1024, 256),
    "fc2.weight": (512, 1024),
    "bn2.weight": (512,),
    "fc3.weight": (4098, 512),
    "bn3.bias": (4098,),
}


def test_names_and_shapes_are_the_published_ones():
    with torch.device("meta"):
        state = OpenUnmix().state_dict()
    assert {name: tuple(state[name].shape) for name in UMXHQ} == UMXHQ
    assert len(state) == 4 + 3 + 3 * 5 + 3 * 8
    millions = sum(state[name].numel() for name in state if "running" not in name) / 1e6
    assert millions == pytest.approx(8.89, abs=0.01)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def written_out(state, x):
    """One item, one direction, one layer, frame by frame."""
    bins = len(state["input_mean"])

    def normal(values, name):
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scaled = (values - mean) / np.sqrt(variance + 1e-5)
        return scaled * state[f"{name}.weight"] + state[f"{name}.bias"]

    size = len(state["bn1.bias"])
    hidden, cell, answer = np.zeros(size), np.zeros(size), []
    for frame in np.moveaxis(x, -1, 0):
        seen = (frame[:, :bins] + state["input_mean"]) * state["input_scale"]
        narrow = np.tanh(normal(state["fc1.weight"] @ seen.ravel(), "bn1"))
        gates = state["lstm.weight_ih_l0"] @ narrow + state["lstm.bias_ih_l0"]
        gates = gates + state["lstm.weight_hh_l0"] @ hidden + state["lstm.bias_hh_l0"]
        enter, forget, value, leave = np.split(gates, 4)
        cell = sigmoid(forget) * cell + sigmoid(enter) * np.tanh(value)
        hidden = sigmoid(leave) * np.tanh(cell)
        both = np.concatenate((narrow, hidden))
        dense = np.maximum(normal(state["fc2.weight"] @ both, "bn2"), 0)
        wide = normal(state["fc3.weight"] @ dense, "bn3").reshape(frame.shape)
        share = np.maximum(wide * state["output_scale"] + state["output_mean"], 0)
        answer.append(share * frame)
    return np.stack(answer, -1)


def test_the_answer_is_that_of_the_equations():
    torch.manual_seed(0)
    net = OpenUnmix(17, 2, hidden_size=6, nb_layers=1, unidirectional=True, max_bin=11).double()
    for value in net.state_dict().values():
        if value.is_floating_point():
            value.uniform_(0.2, 1).mul_(torch.randn_like(value).sign())
    for name in ("bn1", "bn2", "bn3"):
        getattr(net, name).running_var.abs_()
    x = torch.rand(1, 2, 17, 9, dtype=torch.float64)
    with torch.no_grad():
        answer = net.eval()(x)[0].numpy()
    expected = written_out({k: v.numpy() for k, v in net.state_dict().items()}, x[0].numpy())
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(answer, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("words", [{}, {"unidirectional": True}, {"nb_layers": 1}, {"max_bin": 9}])
def test_networks_are_built_from_their_state(words):
    torch.manual_seed(0)
    net = OpenUnmix(**{"nb_bins": 17, "hidden_size": 8, "max_bin": None, **words})
    state = {
        **net.state_dict(),
        "sample_rate": torch.tensor(44100.0),
        "stft.window": torch.ones(4),
        "transform.0.window": torch.ones(4),
    }
    other = OpenUnmix.from_state(state)
    x = torch.rand(2, 2, 17, 5)
    with torch.no_grad():
        assert torch.equal(other(x), net.eval()(x))


@pytest.mark.parametrize("change", ["none", "missing", "shape", "unknown"])
def test_foreign_states_are_refused(change):
    state = dict(OpenUnmix(nb_bins=17, hidden_size=8).state_dict())
    if change == "none":
        state = {}
    elif change == "missing":
        del state["fc2.weight"]
    elif change == "shape":
        state["fc2.weight"] = torch.zeros(3, 3)
    else:
        state["more"] = torch.zeros(3)
    with pytest.raises(WeightsError, match="not those of an Open-Unmix"):
        OpenUnmix.from_state(state)


def test_forwards_only_no_frame_hears_of_later_ones():
    net = OpenUnmix(17, hidden_size=8, unidirectional=True).eval()
    x = torch.rand(1, 2, 17, 9)
    changed = x.clone()
    changed[..., 5:] = 0
    with torch.no_grad():
        assert torch.equal(net(x)[..., :5], net(changed)[..., :5])


def test_statistics_are_where_training_starts():
    net = OpenUnmix(17, 1, hidden_size=8, max_bin=11)
    mean, scale = torch.rand(17), torch.rand(17) + 0.5
    net.set_statistics(mean, scale)
    x = mean[:11] + 2 * scale[:11]
    assert torch.allclose((x + net.input_mean) * net.input_scale, torch.full((11,), 2.0))
    with pytest.raises(ParameterError, match="mean has shape"):
        net.set_statistics(mean[:5], scale)


def test_wrong_parameters_are_refused():
    with pytest.raises(ParameterError, match="hidden_size=7 must be even"):
        OpenUnmix(hidden_size=7)
    with pytest.raises(ParameterError, match="nb_layers=0"):
        OpenUnmix(17, hidden_size=8, nb_layers=0)
    with pytest.raises(ParameterError, match="sizes"):
        OpenUnmix(17, hidden_size=8)(torch.rand(1, 2, 18, 5))
