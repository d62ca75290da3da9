"""The same numbers under compilers, exporters, vmap, autocast, in copies and with little memory."""

import copy
import io
import pickle
import warnings

import pytest
import torch

from unweave._core import fourier
from unweave.transforms import ISTFT, STFT, istft, stft

LOG = {"freq_scale": "log", "fmin": 60.0, "fmax": 3500.0, "sample_rate": 8000}
LAYERS = {
    "plain": {"n_fft": 512},
    "long hop": {"n_fft": 512, "hop_length": 300},
    "half hop": {"n_fft": 512, "hop_length": 256},
    "no power of two": {"n_fft": 400, "hop_length": 160},
    "uncentred": {"n_fft": 512, "center": False},
    "fewer bins": {"n_fft": 512, "freq_bins": 50},
    "log": {"n_fft": 512, **LOG},
    "few log": {"n_fft": 512, "freq_bins": 20, **LOG},
    "basis": {"n_fft": 512, "trainable": True},
    "window": {"n_fft": 512, "trainable_window": True},
    "log basis": {"n_fft": 512, "trainable": True, **LOG},
}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def relative(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max())


@pytest.fixture(autouse=True)
def _fresh_compiler():
    torch._dynamo.reset()


def quietly(call):
    """Run what warns of its own affairs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call()


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_compiled_equals_eager(keys, dynamic):
    layer = STFT(**keys, output="magnitude")
    compiled = torch.compile(layer, backend="eager", fullgraph=True, dynamic=dynamic)
    for shape in ((2, 3000), (3, 4001)):
        x = noise(*shape)
        assert relative(quietly(lambda x=x: compiled(x)), layer(x)) <= 2e-6


@pytest.mark.parametrize("keys", [LAYERS["plain"], LAYERS["few log"], LAYERS["basis"]])
def test_compiled_inverses_equal_eager(keys):
    spec = STFT(**keys)(noise(2, 3000)).detach()
    layer = ISTFT(**keys)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    again = quietly(lambda: compiled(spec, length=3000))
    assert relative(again, layer(spec, length=3000)) <= 1e-4


def test_compiled_gradients_equal_eager():
    layer = STFT(n_fft=256, trainable=True, output="magnitude")
    x = noise(2, 3000)
    layer(x).sum().backward()
    expected = layer.wcos.grad
    layer.wcos.grad = None
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    quietly(lambda: compiled(x).sum().backward())
    assert relative(layer.wcos.grad, expected) <= 1e-4


@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_exported_with_any_batch_and_length(keys):
    layer = STFT(**keys, output="magnitude")
    sizes = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}}
    program = quietly(
        lambda: torch.export.export(layer, (noise(2, 3000),), dynamic_shapes=sizes).module()
    )
    for shape in ((2, 3000), (3, 4001)):
        assert relative(program(noise(*shape)), layer(noise(*shape))) <= 2e-6


@pytest.mark.parametrize("output", ["magnitude", "complex"])
@pytest.mark.parametrize("name", ["plain", "half hop", "no power of two", "log", "basis"])
def test_onnx_gives_the_same_numbers(name, output, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    layer = STFT(**LAYERS[name], output=output)
    sizes = {"x": {0: torch.export.Dim("batch"), 1: torch.export.Dim("time", min=1024)}}
    program = quietly(
        lambda: torch.onnx.export(
            layer, (noise(2, 3000),), dynamo=True, dynamic_shapes=sizes, verbose=False
        )
    )
    program.save(tmp_path / "stft.onnx")
    session = runtime.InferenceSession(tmp_path / "stft.onnx")
    for shape in ((2, 3000), (3, 4001)):
        x = noise(*shape)
        (found,) = session.run(None, {"x": x.numpy()})
        expected = layer(x).detach()
        found = torch.from_numpy(found)
        found = torch.view_as_complex(found) if output == "complex" else found
        assert relative(found, expected) <= 3e-6


@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_vmap(keys):
    x, layer = noise(3, 2, 3000), STFT(**keys, output="power")
    assert relative(torch.func.vmap(layer)(x), layer(x)) <= 2e-6


@pytest.mark.parametrize("keys", [LAYERS["plain"], LAYERS["log"], LAYERS["basis"]])
def test_vmap_of_inverses(keys):
    spec = STFT(**keys)(noise(3, 2, 3000)).detach()
    layer = ISTFT(**keys)
    assert relative(torch.func.vmap(layer)(spec), layer(spec)) <= 1e-4


@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_copies_and_pickles(keys):
    x, layer = noise(2, 3000), STFT(**keys)
    expected = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), expected)
    stored = pickle.dumps(layer)
    assert torch.equal(pickle.loads(stored)(x), expected)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    trained = sum(p.numel() for p in layer.parameters())
    assert file.tell() <= 4 * trained + 10_000


@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_double_precision(keys):
    x, layer = noise(2, 3000, dtype=torch.float64), STFT(**keys)
    untrained = {k: v for k, v in keys.items() if not k.startswith("trainable")}
    expected = stft(x, **untrained)
    assert relative(layer(x), expected) <= (1e-6 if len(list(layer.parameters())) else 1e-12)
    assert layer.double()(x).dtype == torch.complex128
    assert layer(x.float()).dtype == torch.complex64


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_half_precision_only_rounds(keys, dtype):
    """Real results are rounded to the dtype of the audio; complex ones stay in float32."""
    x, layer = noise(2, 3000).to(dtype), STFT(**keys, output="magnitude")
    out = layer(x)
    assert out.dtype == dtype
    exact = layer(x.float())
    assert torch.equal(out, exact.to(dtype))
    assert STFT(**keys)(x).dtype == torch.complex64
    assert relative(copy.deepcopy(layer).to(dtype)(x.float()), exact) <= 1e-2  # weights are rounded


@pytest.mark.parametrize("keys", LAYERS.values(), ids=LAYERS)
def test_autocast_changes_nothing(keys):
    x, layer = noise(2, 3000), STFT(**keys, output="magnitude")
    expected = layer(x)
    expected.sum().backward() if expected.requires_grad else None
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(x)
        spec = stft(x, n_fft=512)
        again = ISTFT(n_fft=512, trainable=True)(spec, length=3000)
    assert out.dtype == torch.float32
    assert relative(out, expected) <= 1e-6
    assert relative(again, x) <= 1e-5


def test_meta_device_gives_shapes():
    with torch.device("meta"):
        x = torch.zeros(2, 3000)
    assert STFT(n_fft=512)(x).shape == (2, 257, 24)


@pytest.mark.parametrize("keys", [{}, {"hop_length": 700}, {"window": "hamming"}, LOG])
@pytest.mark.parametrize("block", [2**9, 2**14])
def test_light_gradients_equal_plain_ones(keys, block, monkeypatch):
    window = torch.hann_window(512, dtype=torch.float64)
    keys = {"n_fft": 512, "window": window, **keys}
    grads = []
    for limit in (2**60, 0):
        monkeypatch.setattr(fourier, "LIGHT_SAMPLES", limit)
        monkeypatch.setitem(fourier._LIGHT_BLOCK, "cpu", block)
        x = noise(3, 9000, dtype=torch.float64).requires_grad_()
        out = stft(x, **keys, output="magnitude")
        (out * noise(*out.shape)).sum().backward()
        grads.append((out.detach(), x.grad))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_light_gradients_of_what_is_trained(monkeypatch):
    for trained in ({"trainable": True}, {"trainable_window": True}):
        grads = []
        for limit in (2**60, 0):
            monkeypatch.setattr(fourier, "LIGHT_SAMPLES", limit)
            monkeypatch.setattr("unweave.transforms._trainedbasis.LIGHT_SAMPLES", limit)
            layer = STFT(n_fft=512, output="power", **trained).double()
            layer(noise(3, 9000, dtype=torch.float64)).sum().backward()
            grads.append([p.grad for p in layer.parameters()])
        for one, other in zip(*grads, strict=True):
            torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-9)


def saved_bytes(x, **keys):
    """Count the memory that autograd keeps for the backward pass, each storage once."""
    storages = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = stft(x, **keys)
    return sum(storages.values()), out


def test_long_audio_trains_with_little_memory(monkeypatch):
    x = noise(1, 500_000).requires_grad_()
    keys = {"output": "magnitude"}
    plain, expected = saved_bytes(x, **keys)
    monkeypatch.setattr(fourier, "LIGHT_SAMPLES", 0)
    light, out = saved_bytes(x, **keys)
    torch.testing.assert_close(out, expected)
    assert light <= 3 * x.numel() * 4  # some copies of the audio
    assert plain >= 4 * light


def test_inverse_of_long_audio_in_another_layout():
    x = noise(2, 300_000)
    spec = stft(x).contiguous()
    assert relative(istft(spec, length=300_000), x) <= 1e-5
