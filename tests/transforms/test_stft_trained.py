import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.transforms import ISTFT, STFT, istft, stft
from unweave.transforms._slidingproduct import pays, sliding_products

LOG = {"freq_scale": "log", "fmin": 60.0, "fmax": 3500.0, "sample_rate": 8000}
TRAINED = [
    {"trainable": True},
    {"trainable_window": True},
    {"trainable": True, "trainable_window": True},
]


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float((a - b).detach().abs().max() / b.abs().max())


@pytest.mark.parametrize("output", ["complex", "magnitude", "power"])
@pytest.mark.parametrize("scaled", [{}, LOG, {"freq_bins": 20}])
@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize(
    "frames",
    [
        {"n_fft": 256},
        {"n_fft": 256, "win_length": 200, "hop_length": 100, "window": "hamming"},
        {"n_fft": 255, "hop_length": 64, "center": False},
    ],
)
def test_starts_as_the_fixed_transform(frames, trained, scaled, output):
    x = noise(2, 20_000)
    layer = STFT(**frames, **scaled, **trained, output=output)
    expected = stft(x, **frames, **scaled, output=output)
    assert relative(layer(x).detach(), expected) <= 2e-6
    with torch.no_grad():
        assert relative(layer(x), expected) <= 2e-6
        assert (
            relative(layer(x[0, :1000]), stft(x[0, :1000], **frames, **scaled, output=output))
            <= 2e-6
        )


@pytest.mark.parametrize("scaled", [{}, LOG])
@pytest.mark.parametrize("trained", TRAINED)
def test_saves_what_is_trained_and_nothing_else(trained, scaled):
    names = ["wcos", "wsin"] * ("trainable" in trained) + ["window"] * (
        "trainable_window" in trained
    )
    layer = STFT(n_fft=64, win_length=60, **scaled, **trained)
    assert sorted(layer.state_dict()) == sorted(names)
    assert all(p.requires_grad and p.dtype == torch.float32 for p in layer.parameters())
    other = STFT(n_fft=64, win_length=60, window="ones", **scaled, **trained)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other(noise(500)), layer(noise(500)))
    assert "trained" in repr(layer) or "trainable" in repr(layer)


@pytest.mark.parametrize("scaled", [{}, LOG])
@pytest.mark.parametrize("trained", TRAINED)
def test_gradients_of_all_that_is_trained(trained, scaled):
    layer = STFT(n_fft=8, hop_length=2, window="hamming", **scaled, **trained).double()
    names, values = zip(*layer.named_parameters(), strict=True)
    for length in (20, 75):  # few frames, and enough of them to slide

        def run(x, *tensors):
            parameters = dict(zip(names, tensors, strict=True))
            return torch.func.functional_call(layer, parameters, (x,))

        x = noise(length, dtype=torch.float64).requires_grad_()
        assert torch.autograd.gradcheck(run, (x, *values), fast_mode=length > 20)
        assert torch.autograd.gradgradcheck(run, (x, *values), fast_mode=True)


@pytest.mark.parametrize("trained", TRAINED)
def test_sliding_and_plain_gradients_agree(trained):
    x = noise(2, 4000, dtype=torch.float64)
    grads = []
    for pieces in ([x], x.split(1)):
        layer = STFT(n_fft=64, output="magnitude", **trained).double()
        for piece in pieces:
            made = layer(piece) if len(pieces) == 1 else torch.func.vmap(layer)(piece)
            made.square().sum().backward()
        grads.append([p.grad for p in layer.parameters()])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-9, rtol=0)


@settings(max_examples=60, deadline=None)
@given(
    n_fft=st.integers(1, 70),
    hop=st.integers(1, 30),
    count=st.integers(1, 30),
    rows=st.integers(1, 3),
)
def test_sliding_products_equal_plain_ones(n_fft, hop, count, rows):
    x = noise(rows, (count - 1) * hop + n_fft, dtype=torch.float64)
    bases = noise(5, n_fft, dtype=torch.float64), noise(3, n_fft, dtype=torch.float64)
    frames = x.unfold(1, n_fft, hop)
    for basis, parts in zip(bases, sliding_products(x, bases, hop, count), strict=True):
        whole = torch.stack([part.mT for part in parts], 1).reshape(rows, -1, len(basis))
        torch.testing.assert_close(whole[:, :count], frames @ basis.mT, atol=1e-11, rtol=0)


def test_sliding_is_used_where_it_saves_work():
    assert pays(2048, 512)
    assert pays(2048, 256)
    assert not pays(2048, 1024)
    assert not pays(400, 160)


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("center", [True, False])
def test_a_trained_analysis_is_inverted_by_its_own_inverse(center, trained):
    x = noise(2, 3000)
    layer = STFT(n_fft=64, window="hamming", center=center, **trained)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in layer.parameters():
            change = torch.randn(parameter.shape, generator=generator)
            parameter += 0.1 * parameter.std() * change
        again = layer.inverse(layer(x), length=3000, n_iter=100)
    held = slice(None) if center else slice(64, -64)
    assert float((again - x)[:, held].norm() / x.norm()) <= 1e-3


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("frames", [{"n_fft": 64}, {"n_fft": 63, "win_length": 50}])
def test_a_trained_synthesis_starts_as_the_exact_inverse(frames, trained):
    x = noise(2, 3000)
    layer = ISTFT(**frames, **trained)
    spec = stft(x, **frames)
    for again in (layer(spec, length=3000), layer(spec, length=2000)):
        assert relative(again, x[:, : again.shape[1]]) <= 1e-5
    with torch.no_grad():
        assert relative(layer(spec), istft(spec, **frames)) <= 1e-5
    empty = layer(spec[..., :0], length=0)
    assert empty.shape == (2, 0)


def test_a_trained_synthesis_at_other_frequencies_starts_close():
    x = torch.sin(2 * torch.pi * 440 / 8000 * torch.arange(8000.0)) + 0.1 * noise(8000)
    keys = {"n_fft": 256, "freq_scale": "linear", "sample_rate": 8000, "freq_bins": 150}
    again = ISTFT(**keys, trainable=True)(stft(x, **keys), length=8000)
    assert float((again - x).detach().norm() / x.norm()) <= 1e-2


@pytest.mark.parametrize("trained", TRAINED)
def test_gradients_of_the_synthesis(trained):
    layer = ISTFT(n_fft=8, hop_length=2, window="hamming", **trained).double()
    names, values = zip(*layer.named_parameters(), strict=True)
    spec = stft(noise(30, dtype=torch.float64), n_fft=8).requires_grad_()

    def run(spec, *tensors):
        return torch.func.functional_call(layer, dict(zip(names, tensors, strict=True)), (spec,))

    assert torch.autograd.gradcheck(run, (spec, *values))


def test_training_lowers_an_error():
    torch.manual_seed(0)
    x = noise(4, 2000)
    target = stft(x, n_fft=64, window="hamming", output="magnitude")
    for trained in TRAINED:
        layer = STFT(n_fft=64, output="magnitude", **trained)
        optimiser = torch.optim.Adam(layer.parameters(), 1e-3)
        errors = []
        for _ in range(30):
            loss = (layer(x) - target).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            errors.append(loss.item())
        assert errors[-1] < 0.5 * errors[0]


@pytest.mark.parametrize("trained", TRAINED)
@pytest.mark.parametrize("output", ["complex", "magnitude", "phase", "power"])
def test_silence_has_finite_gradients(output, trained):
    x = torch.zeros(2, 3000, requires_grad=True)
    layer = STFT(n_fft=64, output=output, **trained)
    layer(x).abs().sum().backward()
    for tensor in (x, *layer.parameters()):
        assert torch.isfinite(tensor.grad).all()


def test_a_copy_learns_by_itself():
    layer = STFT(n_fft=64, trainable=True, trainable_window=True)
    other = copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert all((p != 0).any() for p in layer.parameters())
    given = torch.nn.Parameter(torch.hann_window(64))
    assert STFT(n_fft=64, window=given).window is given


def test_a_window_that_is_given_is_trained_from_there():
    window = torch.hamming_window(50)
    layer = STFT(n_fft=64, win_length=50, window=window, trainable_window=True)
    assert torch.equal(layer.window, window)
    assert layer.window.data_ptr() != window.data_ptr()
    x = noise(500)
    torch.testing.assert_close(layer(x), stft(x, n_fft=64, win_length=50, window=window))
