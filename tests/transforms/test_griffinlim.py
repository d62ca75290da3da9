import copy
import itertools
import pickle

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import GriffinLim, _phases, griffinlim, stft


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, dtype=torch.float32):
    return torch.rand(*shape, dtype=dtype, generator=torch.Generator().manual_seed(1))


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


class Turns(np.random.RandomState):
    """Hands librosa the phases that are wanted."""

    def __init__(self, turns):
        super().__init__(0)
        self.turns = turns

    def random(self, size):
        assert size == self.turns.shape
        return self.turns


CASES = [
    {"n_fft": 1024, "pad_mode": "constant"},
    {"n_fft": 512, "hop_length": 100, "win_length": 400, "pad_mode": "reflect"},
    {"n_fft": 256, "hop_length": 128, "window": "hamming", "momentum": 0.0},
    {"n_fft": 255, "hop_length": 60, "pad_mode": "constant", "momentum": 0.5},
    {"n_fft": 256, "hop_length": 64, "window": "ones", "center": False},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(
    ("dtype", "n_iter", "limit"), [(torch.float64, 32, 1e-9), (torch.float32, 4, 1e-4)]
)
def test_equals_librosa_given_the_same_phases(case, dtype, n_iter, limit):
    x = noise(9000, dtype=dtype)
    keys = {"pad_mode": "reflect", **case}
    analysis = {key: value for key, value in keys.items() if key != "momentum"}
    magnitude = stft(x, output="magnitude", **analysis)
    turns = uniform(*magnitude.shape, dtype=torch.float64)
    length = 9000 if keys.get("center", True) else None
    expected = librosa.griffinlim(
        magnitude.numpy(), n_iter=n_iter, random_state=Turns(turns.numpy()), length=length, **keys
    )
    out = griffinlim(magnitude, n_iter=n_iter, phase=2 * torch.pi * turns, length=length, **keys)
    assert out.dtype == dtype
    assert relative(out, torch.from_numpy(expected)) <= limit


def test_zero_phases_are_those_of_librosa_too():
    magnitude = stft(noise(5000, dtype=torch.float64), n_fft=512, output="magnitude")
    expected = librosa.griffinlim(magnitude.numpy(), init=None, pad_mode="reflect")
    out = griffinlim(magnitude, init="zero")
    assert relative(out, torch.from_numpy(expected)) <= 1e-9


def slow(magnitude, phase, n_iter, momentum, n_fft):
    """The two projections of the paper, in its own words."""
    window = torch.hann_window(n_fft, dtype=magnitude.dtype)
    c = torch.polar(magnitude, phase)
    t = None
    for _ in range(n_iter):
        x = torch.istft(c, n_fft, window=window)
        new = torch.stft(x, n_fft, window=window, return_complex=True)
        accelerated = new if t is None else new + momentum * (new - t)
        c = magnitude * accelerated / accelerated.abs()
        t = new
    return torch.istft(c, n_fft, window=window)


@pytest.mark.parametrize("momentum", [0.0, 0.99, 1.3])
def test_equals_the_definition(momentum):
    magnitude = stft(noise(2, 4000, dtype=torch.float64), n_fft=256, output="magnitude")
    phase = 6 * uniform(*magnitude.shape, dtype=torch.float64)
    expected = slow(magnitude, phase, 10, momentum, 256)
    out = griffinlim(magnitude, phase=phase, n_iter=10, momentum=momentum)
    assert relative(out, expected) <= 1e-10


def convergence(x, magnitude, **keys):
    error = stft(x, output="magnitude", **keys) - magnitude
    return float(error.norm() / magnitude.norm())


@settings(max_examples=20, deadline=None)
@given(n_fft=st.sampled_from([32, 63, 128]), length=st.integers(200, 900), seed=st.integers(0, 99))
def test_without_momentum_the_error_never_rises(n_fft, length, seed):
    # Padding is no projection: only frames without it are measured, and only audio of whole frames.
    keys = {"n_fft": n_fft, "center": False, "window": "hamming", "hop_length": n_fft // 4}
    x = noise(length, dtype=torch.float64, seed=seed)
    magnitude = stft(x, output="magnitude", **keys)
    phase = 6 * uniform(*magnitude.shape, dtype=torch.float64)
    weight = torch.full((n_fft // 2 + 1, 1), 2.0, dtype=torch.float64)
    weight[0] = 1  # inner frequencies stand for their negative twins too
    weight[-1] = 1 + n_fft % 2
    errors = []
    for n_iter in range(1, 8):
        out = griffinlim(magnitude, phase=phase, n_iter=n_iter, momentum=0, **keys)
        error = (stft(out, output="magnitude", **keys) - magnitude).square() * weight
        errors.append(float(error.sum()))
    assert all(later <= before * (1 + 1e-9) for before, later in itertools.pairwise(errors))


def test_momentum_and_iterations_help():
    x = noise(20_000)
    magnitude = stft(x, n_fft=512, output="magnitude")
    phase = 6 * uniform(*magnitude.shape)
    keys = {"phase": phase, "length": 20_000}
    plain, fast, longer = (
        convergence(griffinlim(magnitude, n_iter=n, momentum=m, **keys), magnitude, n_fft=512)
        for n, m in ((32, 0.0), (32, 0.99), (100, 0.99))
    )
    assert longer < fast < 0.8 * plain


def test_the_right_phases_stay():
    x = noise(2, 5000)
    spec = stft(x, n_fft=512)
    out = griffinlim(spec.abs(), phase=spec.angle(), length=5000)
    torch.testing.assert_close(out, x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("layout", [torch.clone, lambda x: x.contiguous()])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_plain_and_block_forms_agree(monkeypatch, layout, momentum):
    magnitude = layout(stft(noise(3, 5003, dtype=torch.float64), n_fft=256, output="magnitude"))
    phase = 6 * uniform(*magnitude.shape, dtype=torch.float64)
    keys = {"phase": phase, "length": 5003, "momentum": momentum, "n_iter": 10}
    followed = griffinlim(magnitude.clone().requires_grad_(), **keys).detach()
    for samples in (2**12, 2**15, 2**20):
        monkeypatch.setattr(_phases, "_BLOCK_SAMPLES", samples)
        assert relative(griffinlim(magnitude, **keys), followed) <= 1e-10


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000)])
def test_leading_axes_are_free(shape):
    magnitude = stft(noise(*shape), n_fft=256, output="magnitude")
    phase = 6 * uniform(*magnitude.shape)
    out = griffinlim(magnitude, phase=phase, n_iter=4)
    rows = zip(*(y.reshape(-1, *y.shape[-2:]) for y in (magnitude, phase)), strict=True)
    single = torch.stack([griffinlim(row, phase=turns, n_iter=4) for row, turns in rows])
    torch.testing.assert_close(out, single.reshape(out.shape), atol=1e-5, rtol=0)
    assert out.shape[:-1] == shape[:-1]


def test_random_phases_come_from_the_generator():
    magnitude = stft(noise(2, 3000), n_fft=256, output="magnitude")
    first, again, other = (
        griffinlim(magnitude, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert relative(first, other) > 0.1
    assert relative(first[0], first[1]) > 0.1


def test_tol_stops_each_signal_when_it_stands_still():
    magnitude = stft(noise(2, 3000), n_fft=256, output="magnitude")
    magnitude = torch.cat([magnitude, torch.zeros_like(magnitude[:1])])
    phase = 6 * uniform(*magnitude.shape)
    keys = {"phase": phase, "momentum": 0, "n_fft": 256}
    stopped = griffinlim(magnitude, n_iter=100, tol=0.02, **keys)
    early, late = (griffinlim(magnitude, n_iter=n, **keys) for n in (2, 100))
    assert torch.equal(griffinlim(magnitude, n_iter=100, tol=0, **keys)[:2], late[:2])
    assert relative(stopped, late) > 1e-2
    assert relative(stopped, early) > 1e-2
    for row in range(3):
        alone = griffinlim(magnitude[row], n_iter=100, tol=0.02, **{**keys, "phase": phase[row]})
        assert torch.equal(alone, stopped[row])
    followed = griffinlim(magnitude.clone().requires_grad_(), n_iter=100, tol=0.02, **keys)
    torch.testing.assert_close(followed.detach(), stopped, atol=1e-4, rtol=0)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e-15, 1e15, 1e30])
def test_silence_and_every_loudness_are_finite(scale, grad):
    magnitude = stft(noise(2, 3000), n_fft=256, output="magnitude")
    magnitude[0, :, :20] = 0  # silence beside sound
    phase = 6 * uniform(*magnitude.shape)
    x = (magnitude * scale).requires_grad_(grad)
    out = griffinlim(x, phase=phase, n_iter=4)
    wanted = scale * griffinlim(magnitude, phase=phase, n_iter=4)
    assert torch.isfinite(out).all()
    assert (out - wanted).abs().max() <= 1e-4 * wanted.abs().max()
    if grad:
        out.sum().backward()
        assert torch.isfinite(x.grad).all()


def test_nan_spoils_its_signal_only():
    magnitude = stft(noise(2, 3000), n_fft=256, output="magnitude")
    clean = griffinlim(magnitude, init="zero", n_iter=3)
    magnitude[0, 3, 3] = torch.nan
    out = griffinlim(magnitude, init="zero", n_iter=3)
    assert out[0].isnan().any()
    assert torch.equal(out[1], clean[1])


def test_numpy_in_numpy_out_and_no_argument_is_modified():
    magnitude = stft(noise(2, 3000), n_fft=256, output="magnitude").numpy()
    phase = 6 * uniform(*magnitude.shape).numpy()
    before = magnitude.copy(), phase.copy()
    out = griffinlim(magnitude, phase=phase, n_iter=3)
    assert isinstance(out, np.ndarray)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(magnitude, before[0])
    np.testing.assert_array_equal(phase, before[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_is_worked_on_in_single(dtype):
    magnitude = stft(noise(3000), n_fft=256, output="magnitude").to(dtype)
    out = griffinlim(magnitude, init="zero", n_iter=3)
    assert out.dtype == dtype
    assert torch.equal(out, griffinlim(magnitude.float(), init="zero", n_iter=3).to(dtype))


def test_gradients_of_magnitude_phase_and_window():
    x = noise(2, 20, dtype=torch.float64)
    keys = {"n_fft": 8, "hop_length": 2, "n_iter": 3}
    window = (torch.hann_window(8, dtype=torch.float64) + 0.1).requires_grad_()
    magnitude = stft(x, n_fft=8, hop_length=2, output="magnitude").requires_grad_()
    phase = (6 * uniform(*magnitude.shape, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda m, p, w: griffinlim(m, phase=p, window=w, **keys), (magnitude, phase, window)
    )


def test_nothing_in_nothing_out():
    assert griffinlim(torch.zeros(0, 129, 10)).shape == (0, 576)
    assert griffinlim(torch.zeros(2, 129, 0)).shape == (2, 0)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in jvp
def test_function_transforms():
    magnitude = stft(noise(3, 1000), n_fft=64, output="magnitude")
    phase = 6 * uniform(*magnitude.shape)
    wanted = griffinlim(magnitude, phase=phase, n_iter=3)
    mapped = torch.func.vmap(lambda m, p: griffinlim(m, phase=p, n_iter=3))(magnitude, phase)
    torch.testing.assert_close(mapped, wanted, atol=1e-4, rtol=0)
    _, tangent = torch.func.jvp(
        lambda m: griffinlim(m, phase=phase, n_iter=3), (magnitude,), (magnitude,)
    )
    torch.testing.assert_close(tangent, wanted, atol=1e-3, rtol=0)  # it is homogeneous


def test_module_equals_function_and_has_nothing_to_save():
    magnitude = stft(noise(2, 3000), n_fft=256, hop_length=100, output="magnitude")
    keys = {"hop_length": 100, "window": "hamming", "momentum": 0.5, "init": "zero", "n_iter": 3}
    layer = GriffinLim(n_fft=256, pad_mode="constant", **keys)
    wanted = griffinlim(magnitude, pad_mode="constant", length=3050, **keys)
    assert torch.equal(layer(magnitude, length=3050), wanted)
    assert layer.state_dict() == {}
    assert layer(magnitude.double()).dtype == torch.float64
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin(magnitude, length=3050), wanted)
    assert "n_fft=256, hop_length=100" in repr(layer)


def test_module_windows_of_samples():
    magnitude = stft(noise(1000), n_fft=64, output="magnitude")
    fixed = GriffinLim(n_fft=64, window=torch.hann_window(64), init="zero", n_iter=2)
    assert fixed.state_dict() == {}
    torch.testing.assert_close(fixed(magnitude), griffinlim(magnitude, init="zero", n_iter=2))
    trained = GriffinLim(
        n_fft=64, win_length=60, window=torch.nn.Parameter(torch.hann_window(60)), n_iter=2
    )
    assert list(trained.state_dict()) == ["window"]
    trained(magnitude).square().sum().backward()
    assert trained.window.grad.abs().sum() > 0


def test_compiles_and_exports_without_a_break():
    magnitude = stft(noise(2, 1000), n_fft=64, output="magnitude")
    layer = GriffinLim(n_fft=64, n_iter=3, init="zero")
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(magnitude), layer(magnitude), atol=1e-4, rtol=0)
    exported = torch.export.export(layer, (magnitude,)).module()
    torch.testing.assert_close(exported(magnitude), layer(magnitude), atol=1e-4, rtol=0)


SPEC = torch.zeros(33, 10)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: griffinlim(SPEC[0]), "must be a real spectrogram"),
        (lambda: griffinlim(SPEC.long()), r"\.float\(\) of integers"),
        (lambda: griffinlim(SPEC.cfloat()), r"\.angle\(\) as phase"),
        (lambda: griffinlim(SPEC, n_fft=66), "33 frequencies but n_fft=66 makes 34"),
        (lambda: griffinlim(SPEC, n_iter=0), "n_iter=0 must be a positive integer"),
        (lambda: griffinlim(SPEC, momentum=-1), "momentum=-1 must be finite and at least 0"),
        (lambda: griffinlim(SPEC, tol=-1.0), r"tol=-1\.0 must be finite"),
        (lambda: griffinlim(SPEC, init="ones"), r"init='ones' must be one of \('random', 'zero'"),
        (lambda: griffinlim(SPEC, phase=SPEC[1:]), r"phase of shape \(32, 10\).*radians"),
        (lambda: griffinlim(SPEC, phase=SPEC.cfloat()), r"dtype torch.complex64 must be radians"),
        (lambda: griffinlim(SPEC, hop_length=0), "hop_length=0 must be a positive integer"),
        (lambda: griffinlim(SPEC, hop_length=64), "hop_length=64 leaves samples that no window"),
        (lambda: griffinlim(SPEC, length=100), "100 has 7 frames.*use a length from 144 to 159"),
        (lambda: griffinlim(SPEC, length=1000), "length=1000 goes beyond"),
        (lambda: griffinlim(SPEC, pad_mode="mirror"), "pad_mode='mirror' must be one of"),
        (lambda: griffinlim(SPEC[:, :2]), r"16 samples is too short to be mirrored"),
        (lambda: GriffinLim(n_iter=0), "n_iter=0"),
        (lambda: GriffinLim(n_fft=64)(torch.zeros(20, 10)), "20 frequencies but n_fft=64"),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_equals_cpu():
    magnitude = stft(noise(3, 10_000, dtype=torch.float64), n_fft=512, output="magnitude")
    phase = 6 * uniform(*magnitude.shape, dtype=torch.float64)
    wanted = griffinlim(magnitude, phase=phase)
    layer = GriffinLim(n_fft=512).cuda()
    for out in (griffinlim(magnitude.cuda(), phase=phase.cuda()), layer(magnitude.cuda())):
        assert out.is_cuda
        assert out.shape == wanted.shape
    assert relative(griffinlim(magnitude.cuda(), phase=phase).cpu(), wanted) <= 1e-8
    drawn = griffinlim(magnitude.cuda(), generator=torch.Generator().manual_seed(0)).cpu()
    wanted = griffinlim(magnitude, generator=torch.Generator().manual_seed(0))
    assert relative(drawn, wanted) <= 1e-8
