"""What must hold for every registered model."""

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
