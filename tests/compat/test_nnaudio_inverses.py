"""The layers that give audio back, and the features made of cepstra."""

import pytest
import torch

from unweave.compat.nnaudio import features
from unweave.errors import ParameterError

STFT_CASES = [
    {"n_fft": 512},
    {"n_fft": 512, "hop_length": 100, "window": "hamming"},
    {"n_fft": 512, "center": False, "window": "ones"},
    {"n_fft": 512, "freq_scale": "log"},
]


def distance(ours, theirs):
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
@pytest.mark.parametrize("length", [None, 2000, 10**6])
@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("arguments", [*STFT_CASES, {"n_fft": 256, "trainable_kernels": True}])
def test_inverse_stft_equals_nnaudios(peer, arguments, onesided, length):
    theirs, ours = peer.iSTFT(**arguments, verbose=False), features.iSTFT(**arguments)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict(), strict=True)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    n_fft = arguments["n_fft"]
    spec = noise(2, n_fft // 2 + 1 if onesided else n_fft, 20, 2)
    expected = theirs(spec, onesided=onesided, length=length).float()
    assert distance(ours(spec, onesided=onesided, length=length), expected) < 4e-6


@torch.no_grad()
@pytest.mark.parametrize("arguments", STFT_CASES)
def test_the_inverse_of_stft_equals_nnaudios(peer, arguments):
    theirs = peer.STFT(**arguments, iSTFT=True, verbose=False)
    ours = features.STFT(**arguments, iSTFT=True)
    spec = ours(noise(2, 9000))
    expected = theirs.inverse(spec, length=9000)
    assert distance(ours.inverse(spec, length=9000), expected) < 4e-6


@torch.no_grad()
def test_changed_kernels_and_windows_of_the_inverse_are_honoured(peer):
    theirs, ours = peer.iSTFT(n_fft=256, verbose=False), features.iSTFT(n_fft=256)
    changed = {key: tensor * 0.9 + 0.01 for key, tensor in theirs.state_dict().items()}
    theirs.load_state_dict(changed)
    ours.load_state_dict(changed)
    spec = noise(2, 256, 20, 2)
    assert distance(ours(spec), theirs(spec).float()) < 4e-6


def test_window_and_kernels_of_the_inverse_train():
    layer = features.iSTFT(n_fft=128, trainable_kernels=True, trainable_window=True)
    layer(noise(1, 65, 20, 2), onesided=True).square().sum().backward()
    for parameter in layer.parameters():
        assert parameter.grad.isfinite().all()
        assert parameter.grad.abs().max() > 0
    assert len(list(layer.parameters())) == 3


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments",
    [{"n_iter": 4}, {"n_iter": 3, "win_length": 400, "hop_length": 100, "momentum": 0.0}],
)
def test_griffin_lim_equals_nnaudios_made_to_run(peer, monkeypatch, arguments):
    """nnAudio's layer hands and takes pairs of real numbers, which torch no longer does."""
    magnitude = noise(2, 257, 40).abs()
    istft, stft = torch.istft, torch.stft

    def inverse(pairs, *args, **kwargs):
        return istft(torch.view_as_complex(pairs.contiguous()), *args, **kwargs)

    def forward(x, *args, **kwargs):
        return torch.view_as_real(stft(x, *args, return_complex=True, **kwargs))

    theirs, ours = peer.Griffin_Lim(512, **arguments), features.Griffin_Lim(512, **arguments)
    assert not ours.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(torch, "istft", inverse)
        patch.setattr(torch, "stft", forward)
        torch.manual_seed(3)
        expected = theirs(magnitude)
    torch.manual_seed(3)
    assert distance(ours(magnitude), expected) < 1e-5
    with pytest.raises(RuntimeError, match="complex"):
        theirs(magnitude)


@torch.no_grad()
def test_griffin_lim_finds_the_magnitudes_of_a_tone():
    tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))[None]
    goal = features.STFT(n_fft=512, output_format="Magnitude")(tone)
    again = features.Griffin_Lim(512)(goal)
    error = features.STFT(n_fft=512, output_format="Magnitude")(again) - goal
    assert float(error.norm() / goal.norm()) < 0.1


@torch.no_grad()
def test_griffin_lim_works_without_centred_frames():
    tone = torch.sin(2 * torch.pi * 440 / 22050 * torch.arange(22050))[None]
    goal = features.STFT(n_fft=512, center=False, output_format="Magnitude")(tone)
    again = features.Griffin_Lim(512, center=False, n_iter=64)(goal)
    error = features.STFT(n_fft=512, center=False, output_format="Magnitude")(again) - goal
    assert float(error.norm() / goal.norm()) < 0.2


@torch.no_grad()
@pytest.mark.parametrize("name", ["CFP", "Combined_Frequency_Periodicity"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"g": [0.2, 0.5, 0.9, 0.7]},
        {"g": [0.3, 0, 1]},
        {"fr": 4, "fs": 22050, "window_size": 1025, "hop_length": 256, "tc": 1 / 2000},
        {"fs": 16001, "window_size": 1000, "NumPerOct": 24, "fc": 60},
    ],
)
def test_cfp_equals_the_successors(successor, silently, name, arguments):
    """nnAudio itself fails with any scipy of today."""
    time = torch.arange(16000) / 16000
    x = 0.1 * noise(2, 16000) + torch.sin(2 * torch.pi * 220 * time)
    theirs = silently(lambda: getattr(successor, name)(**arguments))
    ours = getattr(features, name)(**arguments)
    for key, tensor in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], tensor, rtol=0, atol=2e-7)
    assert set(ours.state_dict()) == set(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    expected, results = silently(lambda: theirs(x)), ours(x)
    if name == "CFP":
        expected, results = (expected,), (results,)
    # The logarithm of a layer is steep near zero.
    allowed = 2e-3 if 0 in arguments.get("g", []) else 3e-5
    for result, one in zip(results, expected, strict=True):
        assert distance(result, one) < allowed


def test_nnaudios_cfp_fails(peer, silently):
    with pytest.raises(AttributeError, match="blackmanharris"):
        silently(peer.CFP)


@torch.no_grad()
@pytest.mark.parametrize(
    "arguments",
    [
        {"fmin": 220, "n_bins": 60, "hop_length": 128},
        {"fmin": 220, "n_bins": 60, "hop_length": 256, "pad_mode": "constant"},
        {"fmin": 220, "n_bins": 48, "hop_length": 128, "center": False, "norm": 2},
    ],
)
def test_inverse_constant_q_comes_nearer_than_the_successors(successor, silently, arguments):
    time = torch.arange(12000) / 22050
    x = sum(torch.sin(2 * torch.pi * f * time) for f in (262, 447, 880.0))
    x = (x + 0.01 * noise(12000))[None]
    theirs = silently(lambda: successor.iCQT(**arguments, verbose=False))
    ours = features.iCQT(**arguments)
    expected = theirs.state_dict()
    assert set(expected) == set(ours.state_dict())
    torch.testing.assert_close(ours.alpha, expected.pop("alpha"), rtol=0.15, atol=0)
    for key, tensor in expected.items():
        assert torch.equal(ours.state_dict()[key], tensor)
    layer = features.CQT1992v2(**arguments)
    spec = layer(x, "Complex")
    found, reference = ours(spec, length=12000), theirs(spec, length=12000)
    misfit = [float((layer(y, "Complex") - spec).norm()) for y in (found, reference)]
    assert misfit[0] < misfit[1]
    assert float((found - x).norm()) < 1.01 * float((reference - x).norm())


@torch.no_grad()
def test_the_adjoint_of_the_constant_q_is_its_adjoint():
    for pad_mode, center in (("reflect", True), ("constant", True), ("reflect", False)):
        layer = features.iCQT(fmin=220, n_bins=60, hop_length=100, pad_mode=pad_mode, center=center)
        layer = layer.double()
        x = noise(2, 5000).double()
        groups = layer._groups(x)
        image = layer._analysed(x, groups)
        other = noise(*image.shape).double()
        inner = (image * other).sum(), (x * layer._adjoint(other, 5000, groups)).sum()
        torch.testing.assert_close(*inner, rtol=1e-9, atol=0)


def test_inverse_constant_q_of_silence_and_of_wrong_shapes():
    layer = features.iCQT(fmin=220, n_bins=48, n_iter=4)
    assert (layer(torch.zeros(2, 48, 9, 2)) == 0).all()
    with pytest.raises(ParameterError, match="frames"):
        layer(torch.zeros(2, 48, 9, 2), length=100)
    with pytest.raises(ParameterError, match="must be"):
        layer(torch.zeros(2, 47, 9, 2))
