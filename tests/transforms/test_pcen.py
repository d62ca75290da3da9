import copy
import warnings

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import PCEN, inverse_pcen, pcen, pcen_stream
from unweave.transforms._recursion import first_order

RATE = {"sample_rate": 22050, "hop_length": 512}


def energies(*shape, dtype=np.float32):
    values = np.random.default_rng(0).standard_exponential(shape) * 2.0**31
    return values.astype(dtype)


SETTINGS = [
    {},
    {"power": 0},
    {"bias": 0},
    {"gain": 0.5, "bias": 0.3, "power": 0.25, "time_constant": 0.06, "eps": 1e-3},
    {"gain": 0.0},
    {"smoothing": 1.0},
]


@pytest.mark.parametrize("frames", [1, 5, 64, 65, 300, 5000])
@pytest.mark.parametrize("decay", [0.0, 0.3, 0.97, 1.0])
def test_the_recursion_is_run(decay, frames):
    x = torch.randn(2, 3, frames, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    last = state = torch.tensor([[1.0, 2.0, 3.0], [0.0, 0.1, -1.0]], dtype=torch.float64)
    expected = []
    for now in x.unbind(-1):
        last = decay * last + now
        expected.append(last)
    expected = torch.stack(expected, -1)
    whole = torch.tensor(decay, dtype=torch.float64)
    torch.testing.assert_close(first_order(x, whole, state), expected)
    torch.testing.assert_close(first_order(x, whole.expand(3), state), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4, 200), (3, 4, 50), (2, 3, 4, 7)])
@pytest.mark.parametrize("keys", SETTINGS)
def test_equals_librosa(keys, shape, dtype):
    S = energies(*shape, dtype=dtype)
    theirs = {{"smoothing": "b"}.get(key, key): value for key, value in keys.items()}
    expected = librosa.pcen(S, sr=22050, **theirs)
    out = pcen(S, **RATE, **keys)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, rtol=1e-5 if dtype == np.float32 else 1e-12)


@pytest.mark.parametrize("keys", SETTINGS)
def test_the_inverse_restores(keys):
    S = torch.from_numpy(energies(2, 4, 100, dtype=np.float64))
    S[0, 0, 5:9] = 0
    S[1, :, 50:] *= 1e-9
    again = inverse_pcen(pcen(S, **RATE, **keys), **RATE, **keys)
    torch.testing.assert_close(again, S, rtol=1e-8, atol=1e-3)
    single = S.float()
    again = inverse_pcen(pcen(single, **RATE, **keys), **RATE, **keys)
    torch.testing.assert_close(again[0], single[0], rtol=1e-3, atol=1e3)


@settings(max_examples=40, deadline=None)
@given(
    gain=st.floats(0, 0.99),
    bias=st.floats(0.01, 10),
    power=st.floats(0.05, 1),
    smoothing=st.floats(0.001, 1),
    scale=st.floats(-6, 9),
)
def test_the_inverse_restores_whatever_the_parameters(gain, bias, power, smoothing, scale):
    keys = {"gain": gain, "bias": bias, "power": power, "smoothing": smoothing}
    S = torch.from_numpy(energies(3, 20, dtype=np.float64)) * 10**scale / 2**31
    again = inverse_pcen(pcen(S, **RATE, **keys), **RATE, **keys)
    torch.testing.assert_close(again, S, rtol=1e-5, atol=0)


def test_pieces_equal_the_whole():
    S = torch.from_numpy(energies(2, 4, 150))
    whole = pcen(S, **RATE)
    layer, state, other, parts = PCEN(**RATE), None, None, []
    for piece in S.split([1, 70, 9, 70], -1):
        out, state = pcen_stream(piece, **RATE, state=state)
        same, other = layer.stream(piece, other)
        assert torch.equal(out, same)
        parts.append(out)
    torch.testing.assert_close(torch.cat(parts, -1), whole)
    middle = pcen_stream(S[..., :50], **RATE)[1]
    again = inverse_pcen(whole[..., 50:], **RATE, state=middle)
    torch.testing.assert_close(again, S[..., 50:], rtol=1e-3, atol=1e3)


def test_a_steady_state_starts_without_a_transient():
    S = torch.full((3, 40), 7.0)
    out = pcen(S, **RATE, state=S[:, 0])
    torch.testing.assert_close(out, out[:, :1].expand(3, 40))


def test_loudness_hardly_matters():
    S = torch.from_numpy(energies(4, 500))
    late = slice(400, None)
    torch.testing.assert_close(
        pcen(100 * S, **RATE)[:, late], pcen(S, **RATE)[:, late], rtol=0.1, atol=0
    )


def test_gradients():
    S = torch.from_numpy(energies(2, 3, 9, dtype=np.float64) / 2**31).requires_grad_()
    state = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda S, state: pcen(S, **RATE, state=state), (S, state))
    out = pcen(S, **RATE).detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda out, state: inverse_pcen(out, **RATE, state=state), (out, state)
    )
    layer = PCEN(**RATE, trainable=True, n_channels=3).double()
    names = [name for name, _ in layer.named_parameters()]

    def run(S, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (S,))

    assert torch.autograd.gradcheck(run, (S, *layer.parameters()))


@pytest.mark.parametrize("keys", SETTINGS[:4])
def test_silence_has_finite_gradients(keys):
    S = torch.zeros(3, 100, requires_grad=True)
    out = pcen(S, **RATE, **keys)
    inverse_pcen(out, **RATE, **keys).sum().backward()
    assert (out == 0).all()
    assert S.grad.isfinite().all()


def test_kinds():
    S = torch.from_numpy(energies(3, 20)) / 2**31
    before = S.clone()
    half = pcen(S.bfloat16(), **RATE)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, pcen(S.bfloat16().float(), **RATE).bfloat16())
    out, state = pcen_stream(S.numpy(), **RATE)
    assert isinstance(out, np.ndarray)
    assert isinstance(state, np.ndarray)
    assert pcen(S[:, :0], **RATE).shape == inverse_pcen(S[:, :0], **RATE).shape == (3, 0)
    assert torch.equal(S, before)
    S[1, 10] = torch.nan
    assert pcen(S, **RATE)[1, 10:].isnan().all()
    assert pcen(S, **RATE)[[0, 2]].isfinite().all()


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"gain": -1}, "gain=-1"),
        ({"bias": -1}, "bias=-1"),
        ({"power": -1}, "power=-1"),
        ({"bias": 0, "power": 0}, "make everything 1"),
        ({"eps": 0}, "eps=0"),
        ({"time_constant": 0}, "time_constant=0"),
        ({"smoothing": 0}, "smoothing=0.* must lie above 0"),
        ({"smoothing": 1.1}, "smoothing=1.1"),
        ({"hop_length": 0}, "hop_length=0"),
        ({"sample_rate": -1}, "sample_rate=-1"),
    ],
)
def test_faults_say_what_to_do(keys, text):
    for function in (pcen, pcen_stream, inverse_pcen):
        with pytest.raises(ParameterError, match=text):
            function(torch.ones(3, 4), **(RATE | keys))
    with pytest.raises(ParameterError, match=text):
        PCEN(**(RATE | keys))


def test_more_faults():
    S = torch.ones(3, 4)
    with pytest.raises(ParameterError, match="gain must be below 1"):
        inverse_pcen(S, **RATE, gain=1.0)
    with pytest.raises(ParameterError, match=r"state of shape \(4,\) must have the shape \(3,\)"):
        pcen(S, **RATE, state=torch.ones(4))
    with pytest.raises(ParameterError, match="must be real"):
        pcen(S.int(), **RATE)
    with pytest.raises(ParameterError, match=r"must be \(\.\.\., channels, frames\)"):
        pcen(S[0], **RATE)
    with pytest.raises(ParameterError, match="n_channels"):
        PCEN(**RATE, trainable=True)


@pytest.mark.parametrize("trained", [{}, {"trainable": True, "n_channels": 4}])
def test_module(trained):
    layer, S = PCEN(**RATE, **trained), torch.from_numpy(energies(2, 4, 150))
    out = layer(S)
    torch.testing.assert_close(out, pcen(S, **RATE), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer.inverse(out), S, rtol=1e-3, atol=1e3)
    assert len(layer.state_dict()) == (4 if trained else 0)
    assert torch.equal(copy.deepcopy(layer)(S), out)
    torch.testing.assert_close(torch.func.vmap(layer)(S), out)
    torch.testing.assert_close(torch.func.vmap(layer.inverse)(out), layer.inverse(out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)(S)
        exported = torch.export.export(layer, (S,)).module()
    torch.testing.assert_close(compiled, out, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(exported(S), out, rtol=1e-5, atol=1e-5)


def test_trained_parameters_stay_in_their_ranges():
    layer, S = PCEN(**RATE, trainable=True, n_channels=4), torch.from_numpy(energies(2, 4, 60))
    adam = torch.optim.Adam(layer.parameters(), lr=0.3)
    for _ in range(50):
        adam.zero_grad()
        layer(S).mean().backward()
        adam.step()
    curve = layer.curve(S)
    for values in (curve.gain, curve.bias, curve.power, curve.smoothing):
        assert (values > 0).all()
    assert (curve.smoothing < 1).all()
    assert layer(S).isfinite().all()
