import copy
import pickle

import onnxruntime
import pytest
import torch

from unweave.errors import ParameterError
from unweave.transforms._cq_kernels import Bins
from unweave.transforms._cq_plan import plan
from unweave.transforms.constantq import cqt, vqt
from unweave.transforms.constantq_layer import CQT, VQT
from unweave.transforms.hybridcq import hybrid_cqt, pseudo_cqt

OUTPUTS = ("complex", "magnitude", "phase", "power")
SMALL = {"sample_rate": 8000, "n_bins": 48, "hop_length": 256, "fmin": 60.0}


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def close(a, b, limit=3e-6):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= limit * b.abs().max()


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("output", OUTPUTS)
def test_module_equals_function(output, trainable):
    x = noise(2, 9000)
    layer = CQT(**SMALL, output=output, trainable=trainable)
    assert torch.equal(layer(x), cqt(x, **SMALL, output=output))
    layer = VQT(**SMALL, gamma=3.0, output=output, trainable=trainable)
    assert torch.equal(layer(x), vqt(x, **SMALL, gamma=3.0, output=output))


def test_nothing_is_saved_but_trained_filters():
    assert not CQT(**SMALL).state_dict()
    assert not list(CQT(**SMALL).parameters())
    layer = CQT(**SMALL, trainable=True)
    assert [tuple(v.shape) for v in layer.state_dict().values()] == [(12, 2, 256)] * 4
    other = CQT(**SMALL, trainable=True)
    with torch.no_grad():
        layer.kernels[1].mul_(2)
    other.load_state_dict(layer.state_dict())
    x = noise(3000)
    assert torch.equal(other(x), layer(x))
    assert not torch.equal(other(x), cqt(x, **SMALL))


@pytest.mark.parametrize("trainable", [False, True])
def test_copies_and_dtypes(trainable):
    layer = CQT(**SMALL, output="power", trainable=trainable)
    x = noise(2, 5000)
    expected = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), expected)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), expected)
    close(layer.double()(x.double()), cqt(x.double(), **SMALL, output="power"), 1e-6)


@pytest.mark.parametrize("keys", [{}, {"hop_length": 200}, {"n_bins": 12}, {"algorithm": "direct"}])
@pytest.mark.parametrize("output", ["complex", "magnitude"])
def test_plain_and_block_forms_agree(keys, output):
    x = noise(2, 20011, dtype=torch.float64)
    keys = {**SMALL, **keys, "output": output}
    expected = cqt(x, **keys)
    mapped = torch.func.vmap(lambda row: cqt(row, **keys))(x)
    torch.testing.assert_close(mapped, expected, atol=1e-6, rtol=1e-6)
    followed = cqt(x.clone().requires_grad_(), **keys).detach()
    torch.testing.assert_close(followed, expected, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("pad_mode", ["constant", "replicate", "reflect"])
@pytest.mark.parametrize("hop", [64, 33])
def test_gradients_of_the_signal(pad_mode, hop):
    x = noise(1, 150, dtype=torch.float64).requires_grad_()
    keys = {"sample_rate": 8000, "fmin": 500.0, "n_bins": 6, "bins_per_octave": 3}
    keys |= {"hop_length": hop, "pad_mode": pad_mode}
    assert torch.autograd.gradcheck(lambda x: cqt(x, **keys), (x,))
    assert torch.autograd.gradgradcheck(
        lambda x: cqt(x, **keys).abs().square(), (x,), fast_mode=True
    )


def test_gradients_of_trained_filters():
    layer = CQT(sample_rate=8000, fmin=900.0, n_bins=4, bins_per_octave=2, trainable=True).double()
    x = noise(1, 700, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, *kernels: torch.func.functional_call(
            layer, {f"kernels.{i}": kernel for i, kernel in enumerate(kernels)}, (x,)
        ),
        (x, *layer.kernels),
    )


@pytest.mark.parametrize("function", [cqt, vqt])
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients_on_silence_are_finite(function, output):
    x = torch.zeros(2, 5000, requires_grad=True)
    out = function(x, **SMALL, output=output)
    (torch.view_as_real(out) if out.is_complex() else out).sum().backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("function", [hybrid_cqt, pseudo_cqt])
def test_gradients_of_hybrids_on_silence_are_finite(function):
    x = torch.zeros(5000, requires_grad=True)
    function(x, **SMALL).sum().backward()
    assert x.grad.isfinite().all()


def test_training_moves_the_filters_towards_a_target():
    layer = CQT(**SMALL, output="magnitude", trainable=True)
    x, optimiser = noise(2, 4000), torch.optim.Adam(layer.parameters(), 1e-3)
    losses = []
    for _ in range(8):
        loss = (layer(x) - 1).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in jvp
def test_function_transforms():
    x = noise(500)
    _, tangent = torch.func.jvp(lambda x: cqt(x, **SMALL), (x,), (x,))
    close(tangent, cqt(x, **SMALL))
    gradient = torch.func.grad(lambda x: cqt(x, **SMALL, output="power").sum())(x)
    y = x.clone().requires_grad_()
    cqt(y, **SMALL, output="power").sum().backward()
    close(gradient, y.grad)


def test_autocast_changes_nothing():
    x = noise(5000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = cqt(x, **SMALL)
        trained = CQT(**SMALL, trainable=True)(x)
    assert torch.equal(out, cqt(x, **SMALL))
    assert torch.equal(trained, out)


@pytest.mark.parametrize("trainable", [False, True])
def test_module_compiles_without_a_break(trainable):
    for output in ("complex", "magnitude"):
        layer = CQT(**(SMALL | {"n_bins": 24}), output=output, trainable=trainable)
        compiled = torch.compile(layer, backend="eager", fullgraph=True)
        close(compiled(noise(2, 5000)), layer(noise(2, 5000)))


def test_function_compiles_without_a_break():
    compiled = torch.compile(lambda x: vqt(x, **SMALL), backend="eager", fullgraph=True)
    close(compiled(noise(2, 5000)), vqt(noise(2, 5000), **SMALL))


@pytest.mark.parametrize("keys", [{}, {"n_bins": 12}, {"trainable": True}, {"hop_length": 201}])
def test_exports_with_any_batch_and_length(keys):
    layer = CQT(**{**SMALL, **keys}, output="magnitude").eval()
    batch, time = torch.export.Dim("batch"), torch.export.Dim("time", min=1000)
    program = torch.export.export(layer, (noise(2, 8000),), dynamic_shapes=({0: batch, 1: time},))
    for shape in [(2, 8000), (1, 5003), (3, 12345)]:
        close(program.module()(noise(*shape)), layer(noise(*shape)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_gives_the_same_magnitudes(tmp_path):
    layer, x = CQT(**SMALL, output="magnitude").eval(), noise(2, 8000)
    torch.onnx.export(layer, (x,), dynamo=True, verbose=False).save(tmp_path / "cqt.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "cqt.onnx")
    out = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    close(torch.from_numpy(out), layer(x))


def test_plans_are_built_once():
    bins = Bins(22050, None, 84, 12)
    assert plan(bins, 512, "auto") is plan(Bins(22050, None, 84, 12), 512, "auto")


@pytest.mark.parametrize("layer", [CQT, VQT])
def test_faults_are_found_when_the_layer_is_made(layer):
    for keys, text in [
        ({"n_bins": 100}, "use n_bins=72 or less"),
        ({"pad_mode": "edge"}, "pad_mode='edge'"),
        ({"output": "db"}, "output='db'"),
    ]:
        with pytest.raises(ParameterError, match=text):
            layer(**{**SMALL, **keys})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("trainable", [False, True])
def test_equal_on_a_gpu(trainable):
    layer = CQT(sample_rate=22050, trainable=trainable)
    x = noise(2, 44100)
    expected = cqt(x, sample_rate=22050)
    out = layer.cuda()(x.cuda())
    assert out.device.type == "cuda"
    close(out.cpu(), expected)
