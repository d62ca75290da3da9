"""What must hold for every registered model, and for every architecture."""

import copy

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


def fresh(build, **more):
    name, words = build
    torch.manual_seed(0)
    return registry.ARCHITECTURES[name].load()(**{**words, **more})


def excerpt(net, frames=8192):
    """A low tone for the first source and a high one for the rest; their sum."""
    time = torch.arange(frames) / net.sample_rate
    low, high = torch.sin(2 * torch.pi * 220 * time), torch.sin(2 * torch.pi * 3000 * time)
    sides = torch.linspace(1, 0.5, net.channels)[:, None]
    stems = torch.stack([low * sides, high * sides] + [0 * low * sides] * (len(net.sources) - 2))
    return stems.sum(0)[None], stems[None, : len(net.sources)]


@pytest.mark.parametrize(
    "build",
    [
        pytest.param(
            build,
            marks=[pytest.mark.slow] if build[1].get("network") == "HybridNet" else [],
            id=build[1].get("network", build[0]),
        )
        for build in BUILDS
    ],
)
def test_an_architecture_learns_one_excerpt(build):
    """The mean squared error falls to a tenth."""
    net = fresh(
        build, **{} if build[0] in ("bandmask", "openunmix", "tfc_tdf") else {"dropout_p": 0.0}
    )
    mixture, stems = excerpt(net.train())
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-2)
    losses = []
    for _ in range(100):
        loss = (net(mixture) - stems).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if losses[-1] < losses[0] / 10:
            return
    pytest.fail(f"the loss fell from {losses[0]:.3g} to {losses[-1]:.3g} only")


def test_an_architecture_in_half_precision_is_near(built):
    """Weights in bfloat16, and autocast over weights in float32."""
    _, _, net = built
    mixture, _ = excerpt(net)
    with torch.no_grad():
        single = net(mixture)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = net(mixture)
        half = copy.deepcopy(net).bfloat16()(mixture.bfloat16())
    assert half.dtype == torch.bfloat16
    assert single.dtype == torch.float32
    for other in (mixed, half):
        assert (other - single).norm() < 0.1 * single.norm()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "build",
    [build for build in BUILDS if build[0] != "bandmask"],  # which has one size
    ids=lambda build: build[1].get("network", build[0]),
)
def test_an_architecture_is_built_for_odd_sizes(build, channels):
    """Frames of 250 samples every 77, of any number of channels and sources."""
    name, _ = build
    hop = "stft_hop" if name == "wave" else "hop_length"
    net = fresh(build, n_fft=250, **{hop: 77}, channels=channels, sources=("a", "b", "c")).eval()
    for frames in (1, 131, 997):
        mixture = torch.randn(3, channels, frames)
        with torch.no_grad():
            stems = net(mixture)
        assert stems.shape == (3, 3, channels, frames)
        assert bool(torch.isfinite(stems).all())


# What these see has an end, and no level of the whole enters: with enough context in the overlaps
# the segments are exactly the whole. LSTMs see all of a segment; TFC-TDF and the shipped network
# measure its level.
CONVOLUTIONAL = {
    "mask": {"n_fft": 64, "hop_length": 16, "hidden_channels": 2},
    "wave": {"hidden_channels": 2},
}


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_segments_of_a_convolutional_network_are_exactly_the_whole(name):
    net = fresh((name, CONVOLUTIONAL[name]), sample_rate=8000)
    with torch.no_grad():
        net.train()(0.1 * torch.randn(2, net.channels, 20000))
    net.eval()
    segment = 2.5 if name == "mask" else 9.0
    mixture = 0.1 * torch.randn(net.channels, round(3.3 * segment * 8000))
    separator = Separator(
        net, device="cpu", segment=segment, overlap=0.7, mixture_consistency=False
    )
    [stem] = separator.separate(mixture, 8000).values()
    with torch.inference_mode():
        [[whole]] = net(mixture[None])
    torch.testing.assert_close(stem, whole, atol=1e-5 * float(whole.abs().max()), rtol=0)
    rough = Separator(net, device="cpu", segment=segment, overlap=0.0, mixture_consistency=False)
    [hard] = rough.separate(mixture, 8000).values()
    assert float((hard - whole).abs().max()) > 1e-3 * float(whole.abs().max())
