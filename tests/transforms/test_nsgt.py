import copy
import math
import pickle
import time

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.errors import ParameterError
from unweave.transforms import NSGT, insgt, nsgt
from unweave.transforms._nsgt_bands import Spacing, build_bands, frame_count, slope
from unweave.transforms._nsgt_blocks import analyse_blocks, plan, synthesise_blocks
from unweave.transforms._nsgt_tables import Grid, analyse, synthesise

C1 = 32.70319566
SMALL = {"sample_rate": 100.0, "fmin": 5.0, "bins_per_octave": 2}


def error_db(estimate, reference):
    error = torch.linalg.vector_norm(estimate.to(reference.dtype) - reference)
    return 20 * math.log10(float(error / torch.linalg.vector_norm(reference)) + 1e-30)


def noise(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def slow_nsgt(x, bands, count):
    """Filter with each band's window, one frame and one frequency at a time."""
    hop = bands.hop_length
    size = hop * count
    x = np.pad(x, (0, size - len(x)))
    spectrum = np.fft.fft(x)
    out = np.zeros((len(bands), count), dtype=complex)
    for k in range(len(bands)):
        symmetric = k in (0, len(bands) - 1)
        for j in range(-size // 2, size):
            f = j * bands.sample_rate / size
            if not bands.start[k] < f < bands.stop[k]:
                continue
            u = (f - bands.start[k]) / (bands.top[k] - bands.start[k])
            v = (bands.stop[k] - f) / (bands.stop[k] - bands.bottom[k])
            window = np.prod([rise(min(max(s, 0.0), 1.0)) for s in (u, v)])
            weight = window / size * (1 if symmetric else math.sqrt(2))
            wave = np.exp(2j * np.pi * j * np.arange(count) / count)
            out[k] += weight * spectrum[j % size] * wave
    return out


def rise(u):
    """The sine of the integral of a cos^4 bump, summed numerically."""
    t = np.linspace(0, 1, 4001)
    bump = np.sin(np.pi * t) ** 4
    part = np.where(t <= u, bump, 0.0)
    return math.sin(math.pi / 2 * part.sum() / bump.sum())


@pytest.mark.parametrize("gamma", [0.0, 3.0])
def test_equals_the_definition(gamma):
    x = noise(90, dtype=torch.float64)
    bands = build_bands(Spacing(100.0, 5.0, 30.0, 2, gamma, None))
    out = nsgt(x, sample_rate=100.0, fmin=5.0, fmax=30.0, bins_per_octave=2, gamma=gamma)
    expected = slow_nsgt(x.numpy(), bands, out.shape[1])
    # The slope of the oracle is a sum of 4001 samples.
    np.testing.assert_allclose(out, expected, atol=2e-3 * np.abs(expected).max())


def test_squares_of_mirrored_slopes_add_up_to_one():
    u = torch.linspace(-0.5, 1.5, 101, dtype=torch.float64)
    torch.testing.assert_close(slope(u) ** 2 + slope(1 - u) ** 2, torch.ones_like(u))
    assert bool((slope(u).diff() >= 0).all())


@st.composite
def configurations(draw):
    sample_rate = draw(st.sampled_from([8000, 22050, 44100.0, 1.0]))
    keys = {
        "sample_rate": sample_rate,
        "fmin": sample_rate * draw(st.floats(1e-3, 0.15)),
        "bins_per_octave": draw(st.sampled_from([1, 2, 3, 7, 12, 24])),
        "gamma": draw(st.just(0.0) | st.floats(0, sample_rate / 500)),
    }
    if draw(st.booleans()):
        keys["fmax"] = keys["fmin"] + draw(st.floats(0, 1)) * (0.4 * sample_rate - keys["fmin"])
    else:
        bands = NSGT(**keys).bands
        keys["hop_length"] = draw(st.integers(1, bands.hop_length))
    return keys, draw(st.integers(1, 3000))


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, -120), (torch.float64, -250)])
@settings(max_examples=60, deadline=None)
@given(configuration=configurations(), seed=st.integers(0, 1000))
def test_every_sample_comes_back(configuration, seed, dtype, limit):
    keys, length = configuration
    x = noise(length, dtype=dtype, seed=seed)
    spec = nsgt(x, **keys)
    again = insgt(spec, length=length, **keys)
    assert again.dtype == dtype
    assert error_db(again, x) <= limit
    if keys["gamma"] == 0:
        energy = NSGT(**keys).hop_length * spec.abs().double().square().sum()
        assert float(energy) == pytest.approx(float(x.double().square().sum()), rel=1e-5)


LONG = [
    ({"sample_rate": 44100}, 12),
    ({"sample_rate": 22050, "hop_length": 441}, 20),
    ({"sample_rate": 44100, "bins_per_octave": 36}, 12),
    ({"sample_rate": 44100, "gamma": 20.0}, 12),
    ({"sample_rate": 44100, "fmin": 4000.0}, 8),
    ({"sample_rate": 8000, "fmin": 100.0, "bins_per_octave": 1}, 30),
]


@pytest.mark.parametrize("signal", ["noise", "lowest", "clicks"])
@pytest.mark.parametrize(("keys", "seconds"), LONG)
def test_blocks_equal_the_whole_and_restore_the_signal(keys, seconds, signal):
    transform = NSGT(**keys)
    bands = transform.bands
    length = int(seconds * keys["sample_rate"]) - 7
    time_axis = torch.arange(length, dtype=torch.float64) / keys["sample_rate"]
    x = {
        "noise": noise(2, length),
        "lowest": torch.sin(2 * torch.pi * transform.spacing.fmin * time_axis).expand(2, -1),
        "clicks": (torch.arange(length) % 20011 == 5).expand(2, -1),
    }[signal].float()
    count = frame_count(length, bands.hop_length)
    assert count > plan(bands).high.grid.frames
    grid = Grid(bands, range(len(bands)), bands.hop_length, count)
    whole = analyse(x.double(), grid)
    spec = analyse_blocks(x, bands, count)
    assert torch.equal(nsgt(x, **keys), spec)
    assert error_db(spec, whole) <= -120
    assert error_db(synthesise_blocks(spec, bands)[:, :length], x) <= -120
    changed = torch.complex(noise(*whole.shape), noise(*whole.shape, seed=1))
    expected = synthesise(changed.to(torch.complex128), grid)
    assert error_db(synthesise_blocks(changed, bands), expected) <= -120


def test_gives_the_nearest_signal_of_a_changed_spectrogram():
    for gamma in (0.0, 3.0):
        keys = SMALL | {"gamma": gamma}
        spec = nsgt(torch.zeros(40, dtype=torch.float64), **keys)
        changed = torch.complex(noise(*spec.shape), noise(*spec.shape, seed=1)).to(spec.dtype)
        audio = insgt(changed, **keys)
        columns = [nsgt(unit, **keys).flatten() for unit in torch.eye(len(audio)).double()]
        matrix = torch.view_as_real(torch.stack(columns, 1)).permute(0, 2, 1).flatten(0, 1)
        target = torch.view_as_real(changed.flatten()).flatten()
        expected = torch.linalg.lstsq(matrix, target[:, None]).solution[:, 0]
        torch.testing.assert_close(audio, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("gamma", [0.0, 10.0])
@pytest.mark.parametrize("row", [10, 30, 60])
def test_a_tone_is_read_in_its_bin(row, gamma):
    transform = NSGT(sample_rate=22050, gamma=gamma)
    turns = float(transform.frequencies[row]) / 22050 * torch.arange(8 * 22050, dtype=torch.float64)
    spec = transform(torch.sin(2 * torch.pi * turns))
    middle = slice(spec.shape[1] * 2 // 5, spec.shape[1] // 2)
    levels = spec[:, middle].abs().mean(1)
    assert int(levels.argmax()) == row
    assert float(levels[row]) == pytest.approx(math.sqrt(0.5), rel=1e-3)
    if gamma == 0:
        others = levels[torch.arange(len(levels)) != row]
        assert float(others.max()) < 0.01
    phases = (spec[row, middle].angle() / (2 * torch.pi)).double()
    expected = turns[:: transform.hop_length][: spec.shape[1]][middle] - 0.25
    difference = (phases - expected + 0.5).remainder(1) - 0.5
    assert float(difference.abs().max()) < 1e-3


def test_a_constant_is_read_in_the_first_row():
    spec = nsgt(torch.ones(48 * 640), sample_rate=22050)
    torch.testing.assert_close(spec[0], torch.ones_like(spec[0]))
    assert float(spec[1:].abs().max()) < 1e-5


@pytest.mark.slow
def test_resembles_the_constant_q_of_librosa():
    time_axis = np.arange(4 * 22050) / 22050
    tones = (110, 220, 440, 587.33, 880, 1760)
    x = sum(np.sin(2 * np.pi * f * time_axis) / f for f in tones)
    expected = np.abs(librosa.cqt(x, sr=22050, hop_length=384, scale=False))
    transform = NSGT(sample_rate=22050)
    ours = transform(torch.from_numpy(x))[transform.bins, ::8].abs().numpy()
    middle = slice(60, 160)
    a, b = expected[:, middle].mean(1), ours[:, middle].mean(1)
    centers = librosa.cqt_frequencies(84, fmin=C1)
    lengths, _ = librosa.filters.wavelet_lengths(freqs=centers, sr=22050)
    a = a / lengths * 2**0.5
    rows = [round(12 * math.log2(f / C1)) for f in tones]
    np.testing.assert_allclose(b[rows], a[rows], rtol=0.01)
    for level in (a, b):
        peaks = [k for k in range(1, 83) if level[k] > max(level[k - 1], level[k + 1], 1e-4)]
        assert peaks == rows


@pytest.mark.parametrize("shape", [(5000,), (2, 5000), (2, 3, 5000), (0, 5000), (2, 0)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    spec = nsgt(x, sample_rate=22050)
    assert spec.shape[:-2] == shape[:-1]
    again = insgt(spec, sample_rate=22050, length=shape[-1])
    assert again.shape == x.shape
    if x.numel():
        alone = nsgt(x.reshape(-1, shape[-1])[-1], sample_rate=22050)
        torch.testing.assert_close(spec.reshape(-1, *alone.shape)[-1], alone)
        torch.testing.assert_close(again, x, rtol=0, atol=1e-5)


def test_takes_numpy_and_leaves_it_alone():
    x = noise(2, 5000).numpy()
    before = x.copy()
    spec = nsgt(x, sample_rate=22050)
    kept = spec.copy()
    again = insgt(spec, sample_rate=22050, length=5000)
    assert isinstance(spec, np.ndarray)
    assert isinstance(again, np.ndarray)
    assert (x == before).all()
    assert (spec == kept).all()


def test_frames_may_be_cut_away():
    spec = nsgt(noise(48 * 101), sample_rate=22050)
    cut = spec[:, :101]
    assert insgt(cut, sample_rate=22050).shape == (48 * 101,)


def test_reduced_precision_is_worked_on_in_single():
    x = noise(5000).bfloat16()
    torch.testing.assert_close(nsgt(x, sample_rate=22050), nsgt(x.float(), sample_rate=22050))


def test_gradients():
    x = noise(40, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: nsgt(x, **SMALL), x)
    spec = nsgt(x.detach(), **SMALL).requires_grad_()
    assert torch.autograd.gradcheck(lambda spec: insgt(spec, **SMALL), spec)
    silent = torch.zeros(40, requires_grad=True)
    nsgt(silent, **SMALL).abs().sum().backward()
    assert bool(silent.grad.isfinite().all())


def test_with_and_without_a_gradient_the_values_are_the_same():
    x = noise(2, 200_000)
    spec = nsgt(x, sample_rate=44100)
    followed = nsgt(x.clone().requires_grad_(), sample_rate=44100)
    assert error_db(followed.detach(), spec) <= -120


def test_works_under_vmap_and_in_inference_mode():
    x = noise(3, 2, 500)
    mapped = torch.func.vmap(lambda x: nsgt(x, **SMALL))(x)
    torch.testing.assert_close(mapped, nsgt(x, **SMALL))
    back = torch.func.vmap(lambda spec: insgt(spec, length=500, **SMALL))(mapped)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)
    keys = SMALL | {"fmin": 6.0}
    with torch.inference_mode():
        nsgt(x, **keys)
    x.requires_grad_()
    nsgt(x, **keys).abs().sum().backward()
    assert x.grad is not None


@pytest.mark.slow
def test_compiles_without_a_break():
    transform = NSGT(sample_rate=8000, fmin=100.0, bins_per_octave=3)
    compiled = torch.compile(transform, fullgraph=True, backend="aot_eager")
    for length in (3000, 4001):
        x = noise(2, length)
        torch.testing.assert_close(compiled(x), transform(x))
    inverse = torch.compile(transform.inverse, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(inverse(transform(x)), transform.inverse(transform(x)))
    function = torch.compile(lambda x: nsgt(x, **SMALL), fullgraph=True, backend="eager")
    torch.testing.assert_close(function(x), nsgt(x, **SMALL))


def test_the_module_is_exported_copied_and_pickled():
    transform = NSGT(sample_rate=8000, fmin=100.0, bins_per_octave=3)
    x = noise(2, 3000)
    expected = transform(x)
    assert not transform.state_dict()
    exported = torch.export.export(transform, (x,)).module()
    for other in (exported, copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))):
        torch.testing.assert_close(other(x), expected)
    assert transform.double()(x.double()).dtype == torch.complex128


def test_bad_numbers_pass_through():
    x = noise(500)
    x[3] = torch.nan
    assert bool(nsgt(x, **SMALL).isnan().any())


BAD = [
    ({"hop_length": 0}, "hop_length=0 must be a positive integer"),
    ({"bins_per_octave": 0}, "bins_per_octave=0 must be"),
    ({"fmin": 0.0}, "fmin=0.0 must be above 0"),
    ({"fmin": -1.0}, "fmin=-1.0"),
    ({"gamma": -1.0}, "gamma=-1.0"),
    ({"sample_rate": math.nan}, "sample_rate=nan"),
    ({"fmax": 20.0}, "fmax=20 Hz must lie between"),
    ({"fmax": 12000.0}, "half of sample_rate=22050"),
    ({"fmax": 4000.0, "hop_length": 512}, "use hop_length=48 or less"),
    ({"hop_length": 10_000}, "frames a second"),
    ({"fmin": 12000.0}, "leaves no room"),
    ({"fmin": 10900.0}, "leaves no room"),
    ({"gamma": 1e6}, "gamma"),
]


@pytest.mark.parametrize(("keys", "text"), BAD)
def test_bad_parameters_are_named(keys, text):
    with pytest.raises(ParameterError, match=text):
        nsgt(torch.zeros(100), **({"sample_rate": 22050} | keys))
    with pytest.raises(ParameterError, match=text):
        NSGT(**({"sample_rate": 22050} | keys))


def test_bad_input_is_named():
    for x in (torch.zeros(10, dtype=torch.int16), torch.tensor(1.0)):
        with pytest.raises(ParameterError, match="must be audio"):
            nsgt(x, sample_rate=22050)
    spec = nsgt(torch.zeros(1000), sample_rate=22050)
    with pytest.raises(ParameterError, match="must be a complex"):
        insgt(spec.real, sample_rate=22050)
    with pytest.raises(ParameterError, match="104 rows"):
        insgt(spec, sample_rate=44100)
    with pytest.raises(ParameterError, match="length=100000 must be an integer from 0 to"):
        insgt(spec, sample_rate=22050, length=100_000)


def test_construction_is_quick():
    bands = build_bands(Spacing(44100, 27.5, None, 24, 0.0, None))
    start = time.process_time()
    bands = build_bands(Spacing(44100, 27.5, None, 24, 0.0, None))
    plan(bands)
    assert time.process_time() - start < 0.1
