"""What must hold for every registered model, and for every architecture."""

import pytest
import torch

from unweave import audio
from unweave.models import (
    SeparationNetwork,
    create_model,
    list_models,
    load_weights,
    model_info,
    registry,
    save_weights,
)
from unweave.separation import Separator

SONG = "examples/song/mixture.ogg"


@pytest.fixture(scope="module", params=list_models())
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name):
    return create_model(name)


@pytest.fixture(scope="module")
def song(model, pytestconfig):
    samples, rate = audio.read(pytestconfig.rootpath / SONG, duration=16)
    return audio.resample(samples, rate, model.sample_rate)


def test_it_follows_the_protocol(model):
    assert isinstance(model, SeparationNetwork)
    assert not model.training
    assert len(set(model.sources)) == len(model.sources) > 1


def test_forward_and_backward(name):
    model = create_model(name, pretrained=False).train()
    mixture = torch.randn(2, model.channels, model.sample_rate // 2, requires_grad=True)
    stems = model(mixture)
    assert stems.shape == (2, len(model.sources), *mixture.shape[1:])
    stems.square().mean().backward()
    assert bool(torch.isfinite(mixture.grad).all())
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_saved_and_loaded_it_gives_the_same(name, model, song, tmp_path, dtype):
    info = model_info(name)
    path = tmp_path / "copy.safetensors"
    save_weights(path, model, architecture=info.architecture, config=dict(info.config), dtype=dtype)
    mixture = song[None, :, : 2 * model.sample_rate]
    with torch.no_grad():
        original, copy = model(mixture), load_weights(path)(mixture)
    if dtype is None:
        assert torch.equal(original, copy)
    else:
        assert (original - copy).norm() < 0.02 * original.norm()


def test_the_skeleton_needs_no_memory(name):
    info = model_info(name)
    with torch.device("meta"):
        skeleton = registry.ARCHITECTURES[info.architecture].load()(**info.config)
    assert {tensor.device.type for tensor in skeleton.state_dict().values()} == {"meta"}


def test_segments_joined_are_close_to_the_whole(model, song):
    """Networks that look far or measure the level of what they see may differ a little."""
    stems = Separator(model, device="cpu", segment=6.0, mixture_consistency=False).separate(
        song, model.sample_rate
    )
    with torch.inference_mode():
        whole = model(song[None])[0]
    error = torch.stack(list(stems.values())) - whole
    assert error.norm() < 0.2 * whole.norm()


@pytest.mark.parametrize(
    ("kind", "bound"),
    [
        ("silence", 0.0),
        ("whisper", 1e-15),
        ("thunder", 1e6),
        ("constant", 3.0),
        ("click", 3.0),
        ("one side", 3.0),
    ],
)
def test_any_signal_gives_finite_stems(model, kind, bound):
    frames = model.sample_rate
    noise = torch.randn(1, model.channels, frames, generator=torch.Generator().manual_seed(0))
    signal = {
        "silence": torch.zeros_like(noise),
        "whisper": 1e-20 * noise,
        "thunder": 1e4 * noise,
        "constant": torch.ones_like(noise),
        "click": torch.zeros_like(noise).index_fill_(-1, torch.tensor([frames // 2]), 1.0),
        "one side": noise.clone().index_fill_(1, torch.tensor([0]), 0.0).clamp_(-1, 1),
    }[kind]
    with torch.inference_mode():
        stems = model(signal)
    assert bool(torch.isfinite(stems).all())
    assert float(stems.abs().max()) <= bound


@pytest.mark.parametrize("frames", [1, 2, 100, 4097, 20000])
def test_any_length_comes_back(model, frames):
    mixture = torch.randn(1, model.channels, frames)
    before = mixture.clone()
    with torch.inference_mode():
        assert model(mixture).shape == (1, len(model.sources), model.channels, frames)
    assert torch.equal(mixture, before)


def test_the_level_does_not_matter(model, song):
    mixture = song[None, :, : 2 * model.sample_rate]
    with torch.inference_mode():
        loud, soft = model(mixture), model(0.01 * mixture)
    assert (loud - 100 * soft).norm() < 0.01 * loud.norm()


SMALL = {
    "bandmask": {"widths": [4, 4, 4], "recurrent": 8},
    "mask": {"n_fft": 512, "hop_length": 128, "hidden_channels": 2},
    "wave": {"hidden_channels": 2, "sources": ["vocals", "rest"]},
    "openunmix": {"n_fft": 512, "hop_length": 128, "hidden_size": 8},
    "tfc_tdf": {"n_fft": 512, "hop_length": 128, "hidden_channels": 2, "num_levels": 2},
}
NETWORKS = {"mask": ["SpectrogramNetLSTM", "SpectrogramNetVAE"]}
NETWORKS["wave"] = ["AudioNetLSTM", "AudioNetVAE", "HybridNet"]
BUILDS = list(SMALL.items()) + [
    (name, {**SMALL[name], "network": network, "hidden_size": 8, "recurrent_depth": 1})
    for name, networks in NETWORKS.items()
    for network in networks
]


@pytest.fixture(params=BUILDS, ids=lambda build: build[1].get("network", build[0]))
def built(request):
    """Name, arguments and network of an architecture, with statistics that have moved."""
    name, words = request.param
    torch.manual_seed(0)
    net = registry.ARCHITECTURES[name].load()(**words).train()
    with torch.no_grad():
        net(0.1 * torch.randn(2, net.channels, 20000))
    return name, words, net.eval()


def test_every_architecture_is_tried():
    assert set(SMALL) == set(registry.ARCHITECTURES)


def test_an_architecture_follows_the_protocol(built):
    _, _, net = built
    assert isinstance(net, SeparationNetwork)
    assert len(set(net.sources)) == len(net.sources) > 0


@pytest.mark.parametrize("frames", [1, 2, 100, 4097])
def test_an_architecture_gives_any_length_back(built, frames):
    _, _, net = built
    mixture = torch.randn(1, net.channels, frames)
    before = mixture.clone()
    with torch.inference_mode():
        stems = net(mixture)
    assert stems.shape == (1, len(net.sources), net.channels, frames)
    assert bool(torch.isfinite(stems).all())
    assert torch.equal(mixture, before)


def test_every_parameter_of_an_architecture_is_trained(built):
    _, _, net = built
    mixture = torch.randn(2, net.channels, 9000, requires_grad=True)
    net.train()(mixture).square().mean().backward()
    assert bool(torch.isfinite(mixture.grad).all())
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert bool(torch.isfinite(parameter.grad).all()), key


def test_an_architecture_is_saved_and_loaded(built, tmp_path):
    name, words, net = built
    path = tmp_path / "copy.safetensors"
    save_weights(path, net, architecture=name, config=words)
    mixture = torch.randn(1, net.channels, 9000)
    with torch.no_grad():
        assert torch.equal(load_weights(path)(mixture), net(mixture))


def test_separated_in_segments_it_is_close_to_the_whole(built):
    _, _, net = built
    generator = torch.Generator().manual_seed(0)
    mixture = 0.1 * torch.randn(net.channels, 3 * net.sample_rate, generator=generator)
    separator = Separator(net, device="cpu", segment=2.0, overlap=0.5, mixture_consistency=False)
    stems = torch.stack(list(separator.separate(mixture, net.sample_rate).values()))
    with torch.inference_mode():
        whole = net(mixture[None])[0]
    assert (stems - whole).norm() < 0.1 * whole.norm()
