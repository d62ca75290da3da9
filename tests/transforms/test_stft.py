import copy
import math
import warnings

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave._core.windows import WINDOW_NAMES, get_window
from unweave.errors import ParameterError
from unweave.transforms import STFT, istft, stft


def error_db(estimate, reference):
    error = (estimate - reference).double().norm() / reference.double().norm()
    return 20 * math.log10(float(error) + 1e-30)


def relative(a, b):
    return float((a - b).abs().max() / b.abs().max())


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def slow_stft(x, n_fft, hop, window, center):
    """Sum the definition, one frequency and one frame at a time."""
    if center:
        x = np.pad(x, n_fft // 2, mode="reflect")
    out = np.zeros((n_fft // 2 + 1, 1 + (len(x) - n_fft) // hop), dtype=complex)
    for k in range(out.shape[0]):
        kernel = np.exp(-2j * np.pi * k * np.arange(n_fft) / n_fft)
        for t in range(out.shape[1]):
            out[k, t] = np.sum(x[t * hop : t * hop + n_fft] * window * kernel)
    return out


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (15, 4), (9, 5), (32, 5)])
def test_equals_the_definition(n_fft, hop, center):
    x = noise(2, 70, dtype=torch.float64)
    window = get_window("hamming", n_fft)
    out = stft(x, n_fft=n_fft, hop_length=hop, window="hamming", center=center)
    for channel in range(2):
        expected = slow_stft(x[channel].numpy(), n_fft, hop, window.numpy(), center)
        np.testing.assert_allclose(out[channel], expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant", "replicate"])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop", "win"), [(2048, 512, 2048), (512, 100, 400), (511, 128, 511), (256, 300, 256)]
)
def test_equals_torch(n_fft, hop, win, center, pad_mode, dtype):
    x = noise(2, 10_007, dtype=dtype)
    keys = {"n_fft": n_fft, "hop_length": hop, "win_length": win, "center": center}
    window = torch.hann_window(win, dtype=dtype)
    expected = torch.stft(x, **keys, window=window, pad_mode=pad_mode, return_complex=True)
    out = stft(x, **keys, pad_mode=pad_mode)
    assert out.dtype == expected.dtype
    assert out.shape == expected.shape
    assert relative(out, expected) <= 1e-6


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(
    ("n_fft", "hop", "win", "window"),
    [(2048, None, None, "hann"), (1000, 300, 700, "hamming"), (401, 100, 401, ("kaiser", 5.0))],
)
def test_equals_librosa(n_fft, hop, win, window, center, dtype):
    x = noise(3, 9001).numpy().astype(dtype)
    keys = {"n_fft": n_fft, "hop_length": hop, "win_length": win, "center": center}
    expected = librosa.stft(x, **keys, window=window, pad_mode="reflect")
    out = stft(x, **keys, window=window)
    assert out.dtype == expected.dtype
    assert out.shape == expected.shape
    assert np.abs(out - expected).max() <= 1e-6 * np.abs(expected).max()


def test_the_frame_added_for_an_unseen_tail_follows_those_of_torch():
    x = noise(1024 * 5 - 1)
    expected = torch.stft(x, 2048, 1024, window=torch.hann_window(2048), return_complex=True)
    out = stft(x, hop_length=1024)
    assert out.shape[1] == expected.shape[1] + 1
    assert relative(out[:, :-1], expected) <= 1e-6


@st.composite
def configurations(draw):
    n_fft = draw(st.integers(1, 80) | st.sampled_from([128, 255, 512, 2048]))
    win_length = draw(st.just(n_fft) | st.integers(1, n_fft))
    hop_length = draw(st.integers(1, win_length) | st.just(max(1, win_length // 2)))
    length = draw(st.integers(1, 5 * n_fft + 10))
    pad_mode = draw(st.sampled_from(["constant", "replicate", "reflect"]))
    if length <= n_fft // 2 and pad_mode == "reflect":
        pad_mode = "constant"
    window = draw(st.sampled_from(WINDOW_NAMES))
    return {
        "n_fft": n_fft,
        "hop_length": hop_length,
        "win_length": win_length,
        "window": window,
    }, (length, pad_mode)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, -120), (torch.float64, -250)])
@settings(max_examples=150, deadline=None)
@given(configuration=configurations(), seed=st.integers(0, 1000))
def test_every_sample_comes_back(configuration, seed, dtype, limit):
    keys, (length, pad_mode) = configuration
    x = torch.randn(length, dtype=dtype, generator=torch.Generator().manual_seed(seed))
    spec = stft(x, pad_mode=pad_mode, **keys)
    try:
        again = istft(spec, length=length, **keys)
    except ParameterError as error:
        # Only frames too far apart may be refused: never a length.
        assert keys["hop_length"] > 0.4 * keys["win_length"], keys
        assert "cannot be restored" in str(error)  # noqa: PT017
        return
    assert error_db(again, x) <= limit


@pytest.mark.parametrize(
    ("window", "hop"),
    # A kaiser window of beta 12 is too narrow to overlap by half.
    [(w, hop) for w in WINDOW_NAMES for hop in (512, 1024, 2048) if (w, hop) != ("kaiser", 2048)],
)
def test_usual_settings_restore_every_length_near_a_multiple_of_the_hop(window, hop):
    x = noise(5 * hop + 3)
    for length in range(5 * hop - 3, 5 * hop + 4):
        spec = stft(x[:length], n_fft=4096, hop_length=hop, window=window)
        again = istft(spec, hop_length=hop, window=window, length=length)
        assert error_db(again, x[:length]) <= -120


def test_a_hundred_frames_over_each_sample_add_no_rounding():
    x = torch.sin(torch.arange(4705) * 0.01)
    keys = {"n_fft": 2048, "hop_length": 8, "window": "ones"}
    assert error_db(istft(stft(x, **keys), length=4705, **keys), x) <= -130


@pytest.mark.parametrize("window", ["hamming", "ones", ("kaiser", 4.0)])
@pytest.mark.parametrize(("n_fft", "hop"), [(64, 16), (63, 20), (64, 32)])
def test_uncentred_frames_restore_all_that_they_hold(window, n_fft, hop):
    x = noise(2, 1000)
    keys = {"hop_length": hop, "window": window, "center": False, "n_fft": n_fft}
    spec = stft(x, **keys)
    held = n_fft + (spec.shape[-1] - 1) * hop
    assert 1000 - held < hop
    again = istft(spec, **keys)
    assert again.shape == (2, held)
    assert error_db(again, x[:, :held]) <= -120
    whole = istft(spec, length=1000, **keys)
    torch.testing.assert_close(whole[:, :held], again)
    assert (whole[:, held:] == 0).all()


def test_uncentred_hann_frames_fade_at_the_ends_and_are_exact_between():
    x = noise(64 * 100)
    spec = stft(x, n_fft=256, center=False)
    again = istft(spec, center=False)
    assert again.abs().max() <= 1.01 * x.abs().max()
    assert again[0] == 0
    assert error_db(again[20:-20], x[20:-20]) <= -120


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000)])
def test_leading_axes_are_free(shape, center):
    x = noise(*shape)
    spec = stft(x, n_fft=256, center=center)
    single = torch.stack([stft(row, n_fft=256, center=center) for row in x.reshape(-1, 3000)])
    torch.testing.assert_close(spec, single.reshape(spec.shape))
    again = istft(spec, center=center, length=3000)
    assert again.shape == shape
    torch.testing.assert_close(again[..., 30:2900], x[..., 30:2900], atol=1e-5, rtol=0)


def test_an_empty_leading_axis_stays_empty():
    spec = stft(torch.zeros(0, 2, 3000), n_fft=256)
    assert spec.shape == (0, 2, 129, 47)
    assert istft(spec, length=3000).shape == (0, 2, 3000)


def test_long_and_many_signals_cross_block_borders():
    for shape in [(1, 900_000), (700, 2000)]:
        x = noise(*shape)
        window = torch.hann_window(512)
        expected = torch.stft(x, 512, 128, window=window, return_complex=True)
        spec = stft(x, n_fft=512)
        assert relative(spec, expected) <= 1e-6
        assert error_db(istft(spec, length=shape[1]), x) <= -120


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("layout", [torch.clone, lambda spec: spec.contiguous()])
def test_plain_and_block_forms_agree(layout, center):
    x = noise(2, 60_000, dtype=torch.float64)
    spec = layout(stft(x, n_fft=1024, center=center))
    followed = stft(x.clone().requires_grad_(), n_fft=1024, center=center)
    torch.testing.assert_close(followed.detach(), spec, atol=1e-11, rtol=0)
    keys = {"center": center, "length": 60_000}
    again = istft(spec.clone().requires_grad_(), **keys)
    torch.testing.assert_close(again.detach(), istft(spec, **keys), atol=1e-12, rtol=0)


def test_numpy_in_numpy_out():
    x = noise(2, 3000).numpy()
    spec = stft(x, n_fft=256, window=np.hanning(256).astype("float32"))
    assert isinstance(spec, np.ndarray)
    assert spec.dtype == np.complex64
    again = istft(spec, window=np.hanning(256).astype("float32"), length=3000)
    assert isinstance(again, np.ndarray)
    assert again.dtype == np.float32
    np.testing.assert_allclose(again, x, atol=1e-5)


def test_no_argument_is_modified():
    x, window = noise(2, 3000), get_window("hann", 256).float()
    before = x.clone(), window.clone()
    spec = stft(x, n_fft=256, window=window)
    kept = spec.clone()
    istft(spec, window=window, length=2000)
    assert torch.equal(x, before[0])
    assert torch.equal(window, before[1])
    assert torch.equal(spec, kept)


@pytest.mark.parametrize("center", [True, False])
def test_gradients_of_signal_and_window(center):
    x = noise(2, 29, dtype=torch.float64).requires_grad_()
    window = get_window("hamming", 7).requires_grad_()
    keys = {"n_fft": 8, "hop_length": 3, "win_length": 7, "center": center}
    assert torch.autograd.gradcheck(lambda x, w: stft(x, window=w, **keys), (x, window))
    spec = stft(x, window=window, **keys).detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, w: istft(s, window=w, length=27, **keys), (spec, window)
    )


def test_second_gradients():
    x = noise(20, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: stft(x, n_fft=8).abs().square(), (x,))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch's own, in jvp
def test_function_transforms():
    x = noise(3, 500)
    spec = stft(x, n_fft=64)
    torch.testing.assert_close(torch.func.vmap(lambda row: stft(row, n_fft=64))(x), spec)
    again = torch.func.vmap(lambda row: istft(row, length=500))(spec)
    torch.testing.assert_close(again, x, atol=1e-5, rtol=0)
    _, tangent = torch.func.jvp(lambda x: stft(x, n_fft=64), (x,), (x,))
    torch.testing.assert_close(tangent, spec)


def test_inference_mode_leaves_training_possible():
    with torch.inference_mode():
        stft(noise(1000), n_fft=128)
    x = noise(1000).requires_grad_()
    istft(stft(x, n_fft=128), length=1000).square().sum().backward()
    torch.testing.assert_close(x.grad, 2 * x.detach(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("center", [True, False])
def test_an_empty_signal_has_no_frames_and_comes_back(center):
    spec = stft(torch.zeros(2, 0), n_fft=64, center=center)
    assert spec.shape == (2, 33, 0)
    assert istft(spec, center=center).shape == (2, 0)
    assert istft(spec, center=center, length=0).shape == (2, 0)


def test_one_sample():
    x = torch.tensor([0.5])
    spec = stft(x, n_fft=64, pad_mode="constant")
    torch.testing.assert_close(istft(spec, length=1), x)


def test_the_default_length_ends_at_the_last_centre():
    spec = stft(noise(1000), n_fft=64)
    assert istft(spec).shape == torch.istft(spec, 64, window=torch.hann_window(64)).shape


def test_a_changed_spectrogram_gives_the_audio_of_the_nearest_one():
    spec = stft(noise(800, dtype=torch.float64), n_fft=32, pad_mode="constant")
    spec = spec * torch.rand(spec.shape, generator=torch.Generator().manual_seed(1))
    x = istft(spec, length=800).requires_grad_()
    inner = slice(2, -2)  # frames without padding: elsewhere silence is required too
    weight = torch.full((17, 1), 2.0)
    weight[0] = weight[-1] = 1.0  # inner frequencies stand for their negative twins too
    distance = (stft(x, n_fft=32, pad_mode="constant") - spec)[:, inner].abs().square() * weight
    distance.sum().backward()
    assert x.grad[64:-64].abs().max() < 1e-10


SHORT = torch.zeros(100)
SPEC = torch.zeros(33, 10, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: stft(SHORT), r"100 samples is too short to be mirrored.*pad_mode='constant'"),
        (lambda: stft(SHORT, center=False), "has no whole frame of n_fft=2048"),
        (lambda: stft(SHORT, n_fft=0), "n_fft=0 must be a positive integer"),
        (lambda: stft(SHORT, n_fft=64, hop_length=0), "hop_length=0 must be a positive integer"),
        (lambda: stft(SHORT, n_fft=64, hop_length=1.5), "hop_length=1.5 must be a positive"),
        (lambda: stft(SHORT, n_fft=64, win_length=65), "win_length=65 must not be longer"),
        (lambda: stft(SHORT, n_fft=64, window="han"), "did you mean 'hann'"),
        (lambda: stft(SHORT, n_fft=64, pad_mode="mirror"), "pad_mode='mirror' must be one of"),
        (lambda: stft(SHORT.int(), n_fft=64), r"dtype torch.int32 must be audio .*\.float\(\)"),
        (lambda: stft(SHORT.int(), n_fft=64), "float32 or float64"),
        (lambda: stft(torch.tensor(1.0), n_fft=64), r"shape \(\)"),
        (lambda: istft(SHORT), "must be a complex spectrogram"),
        (lambda: istft(SPEC, n_fft=65 + 1), "33 frequencies but n_fft=66 makes 34"),
        (lambda: istft(SPEC, hop_length=64), "hop_length=64 leaves samples that no window"),
        (lambda: istft(SPEC, hop_length=65, window="ones"), "use a shorter hop"),
        (lambda: istft(SPEC, hop_length=16, win_length=12), "cannot be restored"),
        (lambda: istft(SPEC, length=-1), "length=-1 must be an integer"),
        (lambda: istft(SPEC, length=2.0), "length=2.0 must be an integer"),
        (lambda: istft(SPEC, length=1000), r"length=1000 goes beyond the \d+ samples"),
        (lambda: istft(SPEC, center=False, length=1000), "beyond the 223 samples that 10 frames"),
        (lambda: istft(SPEC[:, :0], length=1), "beyond the 0 samples"),
        (lambda: STFT(n_fft=0), "n_fft=0"),
        (lambda: STFT(pad_mode="mirror"), "pad_mode='mirror'"),
        (lambda: STFT(n_fft=64, window=torch.ones(63)), r"shape \(63,\)"),
    ],
)
def test_faults_say_what_to_do(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


def test_module_equals_function_and_has_nothing_to_save():
    transform = STFT(n_fft=256, hop_length=100, window="hamming", pad_mode="constant")
    x = noise(2, 3000)
    spec = transform(x)
    keys = {"n_fft": 256, "hop_length": 100, "window": "hamming"}
    assert torch.equal(spec, stft(x, pad_mode="constant", **keys))
    assert torch.equal(transform.inverse(spec, length=3000), istft(spec, length=3000, **keys))
    assert transform.state_dict() == {}
    assert transform(x.double()).dtype == torch.complex128


def test_module_windows_of_samples():
    fixed = STFT(n_fft=64, window=np.hanning(64))
    assert fixed.state_dict() == {}
    assert "window=given" in repr(fixed)
    assert torch.equal(copy.deepcopy(fixed)(noise(500)), fixed(noise(500)))
    trained = STFT(n_fft=64, window=torch.nn.Parameter(torch.hann_window(64)))
    assert list(trained.state_dict()) == ["window"]
    trained(noise(500)).abs().sum().backward()
    assert trained.window.grad.abs().sum() > 0


def test_module_compiles_without_a_break():
    transform = STFT(n_fft=64)
    compiled = torch.compile(transform, backend="eager", fullgraph=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = compiled(noise(500))
    torch.testing.assert_close(out, transform(noise(500)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("center", [True, False])
def test_cuda_equals_cpu(center):
    x = noise(3, 2, 50_000)
    spec = stft(x.cuda(), center=center)
    assert spec.is_cuda
    assert relative(spec.cpu(), stft(x, center=center)) <= 1e-6
    again = istft(spec, center=center, length=50_000)
    assert again.is_cuda
    if center:
        assert error_db(again.cpu(), x) <= -120
    x = x.cuda().requires_grad_()
    istft(stft(x), length=50_000).sum().backward()
    assert torch.isfinite(x.grad).all()
