from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unweave.audio import read
from unweave.errors import ParameterError
from unweave.transforms._cq_kernels import Bins, wavelets
from unweave.transforms._cq_plan import checked_plan
from unweave.transforms.constantq import cqt, vqt
from unweave.transforms.hybridcq import hybrid_cqt, pseudo_cqt

pytestmark = pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")
LIMIT = 2e-6
C1 = 32.70319566


def noise(*shape, dtype=torch.float32):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


def music(rate, length):
    """Notes that fade in and out over a floor of noise."""
    random = np.random.default_rng(1)
    time = np.arange(length) / rate
    out = 1e-3 * random.standard_normal(length)
    for _ in range(30):
        pitch = 30 * 2 ** random.uniform(0, np.log2(rate / 70))
        centre, width = random.uniform(0, length / rate), random.uniform(0.02, 0.5)
        tone = np.sin(2 * np.pi * pitch * time + random.uniform(0, 6))
        out += 0.1 * tone * np.exp(-(((time - centre) / width) ** 2))
    return out.astype(np.float32)


def deviation(ours, reference):
    assert ours.shape == reference.shape
    return float(np.abs(ours - reference).max() / np.abs(reference).max())


# rate, hop, bins, bins per octave, lowest, gamma, filter scale; the rate is lowered before the top
# octave by factors from 1 to 64.
GRID = [
    (22050, 512, 84, 12, None, 0, 1),
    (44100, 512, 84, 12, C1, 0, 1),
    (44100, 441, 72, 12, 41.2, 0, 1),
    (22050, 441, 96, 12, None, None, 1),
    (22050, 256, 97, 12, C1, 0, 1),
    (22050, 64, 100, 12, C1, 5, 1),
    (44100, 64, 96, 24, 110.0, None, 0.5),
    (44100, 256, 144, 36, 220.0, 5, 0.5),
    (22050, 512, 66, 12, 220.0, 0, 1),
    (22050, 512, 48, 12, C1, 0, 1),
    (22050, 512, 36, 12, C1, 5, 1),
    (44100, 512, 24, 12, C1, 0, 1),
    (44100, 512, 5, 36, 41.2, 0, 1),
    (16000, 160, 1, 12, 440.0, 0, 1),
    (8000, 384, 30, 7, 50.0, 0, 2),
]


@pytest.mark.parametrize("source", ["music", "noise"])
@pytest.mark.parametrize(("rate", "hop", "bins", "octave", "fmin", "gamma", "scale"), GRID)
def test_equals_librosa(rate, hop, bins, octave, fmin, gamma, scale, source):
    length = 2 * rate + 17
    x = music(rate, length) if source == "music" else noise(length).numpy()
    keys = {"hop_length": hop, "n_bins": bins, "bins_per_octave": octave, "gamma": gamma}
    keys |= {"fmin": fmin, "filter_scale": scale}
    expected = librosa.vqt(x, sr=rate, **keys)
    out = vqt(x, sample_rate=rate, **keys)
    assert out.dtype == expected.dtype
    # Bins that see nothing but noise have a small maximum to compare with.
    assert deviation(out, expected) <= (LIMIT if bins > 5 or source == "noise" else 2e-5)
    if gamma == 0:
        del keys["gamma"]
        assert np.array_equal(cqt(x, sample_rate=rate, **keys), out)


@pytest.mark.parametrize(
    "keys",
    [
        {"norm": 2.0},
        {"norm": np.inf, "sparsity": 0.0},
        {"norm": None, "sparsity": 0.1},
        {"norm": 0, "window": "hamming"},
        {"window": ("kaiser", 6.0)},
        {"window": "blackmanharris", "filter_scale": 0.7},
        {"tuning": 0.37},
        {"tuning": -0.5, "bins_per_octave": 24},
        {"scale": False},
        {"scale": False, "n_bins": 30},
        {"pad_mode": "reflect"},
    ],
    ids=str,
)
def test_every_option_is_librosas(keys):
    x = music(22050, 40001)
    expected = librosa.cqt(x, sr=22050, **keys)
    assert deviation(cqt(x, sample_rate=22050, **keys), expected) <= LIMIT
    if "pad_mode" not in keys:
        for ours, theirs in [(pseudo_cqt, librosa.pseudo_cqt), (hybrid_cqt, librosa.hybrid_cqt)]:
            out = ours(x, sample_rate=22050, **keys)
            # The rounding of librosa's filters adds up in magnitudes of 8193 frequencies.
            limit = 4e-5 if ours is pseudo_cqt else LIMIT
            assert deviation(out, theirs(x, sr=22050, **keys)) <= limit


def test_repeated_edges_are_librosas():
    x = music(22050, 40001) + np.float32(0.1)
    expected = librosa.cqt(x, sr=22050, pad_mode="edge")
    assert deviation(cqt(x, sample_rate=22050, pad_mode="replicate"), expected) <= LIMIT


@pytest.mark.parametrize("length", [1, 2, 3, 100, 511, 512, 513, 1000, 1023, 1024, 4097])
@pytest.mark.parametrize("rate", [22050, 44100])
def test_short_signals_equal_librosa(rate, length):
    x = noise(length).numpy()
    if rate == 44100 and length == 1:
        assert cqt(x, sample_rate=rate).shape == (84, 1)  # librosa refuses
        return
    assert deviation(cqt(x, sample_rate=rate), librosa.cqt(x, sr=rate)) <= LIMIT


@settings(max_examples=25, deadline=None)
@given(
    length=st.integers(64, 9000),
    hop=st.integers(1, 9).map(lambda n: 2**n) | st.integers(32, 700),
    octaves=st.integers(1, 7),
    octave=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_any_length_and_hop_equals_librosa(length, hop, octaves, octave, seed):
    x = np.random.default_rng(seed).standard_normal(length).astype(np.float32)
    keys = {"hop_length": hop, "n_bins": octaves * octave, "bins_per_octave": octave}
    if 64.0 * 2**octaves * (1 + 1 / octave) > 10000:
        keys["fmin"] = 40.0
    else:
        keys["fmin"] = 64.0
    expected = librosa.cqt(x, sr=22050, **keys)
    assert deviation(cqt(x, sample_rate=22050, **keys), expected) <= 4e-6


@pytest.mark.parametrize("hop", [512, 441, 2048])
@pytest.mark.parametrize(("ours", "theirs"), [(pseudo_cqt, librosa.pseudo_cqt), (hybrid_cqt, None)])
def test_hybrids_equal_librosa(ours, theirs, hop):
    theirs = theirs or librosa.hybrid_cqt
    x = np.stack([music(22050, 44100), noise(44100).numpy()])
    out = ours(x, sample_rate=22050, hop_length=hop)
    assert out.dtype == np.float32
    for row in range(2):
        assert deviation(out[row], theirs(x[row], sr=22050, hop_length=hop)) <= LIMIT


@pytest.mark.slow
def test_real_music_equals_librosa():
    song = Path(__file__).parents[2] / "examples" / "song" / "mixture.ogg"
    audio, rate = read(song)
    audio = audio.numpy()[:, : 10 * rate]
    for keys in ({}, {"n_bins": 97}, {"hop_length": 441, "fmin": 110.0}, {"hop_length": 100}):
        expected = librosa.cqt(audio, sr=rate, **keys)
        assert deviation(cqt(audio, sample_rate=rate, **keys), expected) <= LIMIT


def slow_values(x, bins, hop):
    """Sum each windowed sinusoid over each frame, as the definition says."""
    out = np.zeros((bins.n_bins, 1 + len(x) // hop), dtype=complex)
    n_fft = 2 ** int(np.ceil(np.log2(bins.lengths.max())))
    padded = np.pad(x, n_fft // 2)
    # librosa multiplies spectra: it sees the frame through the sinusoid reversed in time.
    kernels = np.roll(wavelets(bins.frequencies, bins.lengths, bins, n_fft)[:, ::-1], 1, axis=1)
    for k in range(bins.n_bins):
        for t in range(out.shape[1]):
            out[k, t] = np.sum(padded[t * hop : t * hop + n_fft] * kernels[k])
    return out


@pytest.mark.parametrize("hop", [100, 256])
def test_direct_algorithm_is_the_definition(hop):
    x = noise(3000, dtype=torch.float64)
    keys = {"fmin": 200.0, "n_bins": 36, "hop_length": hop, "sparsity": 0.0}
    out = cqt(x, sample_rate=8000, algorithm="direct", normalization="convolutional", **keys)
    expected = slow_values(x.numpy(), Bins(8000, 200.0, 36, 12), hop)
    # All that differs is the little that the filters pass of negative frequencies.
    assert deviation(out.numpy(), expected) <= 1e-3


def test_algorithms_agree_where_nothing_is_decimated_and_nearly_elsewhere():
    x = music(22050, 44100)
    for keys in ({"hop_length": 441}, {"n_bins": 12, "fmin": 2000.0}):
        direct = cqt(x, sample_rate=22050, algorithm="direct", **keys)
        assert np.array_equal(direct, cqt(x, sample_rate=22050, algorithm="downsample", **keys))
    direct = cqt(x, sample_rate=22050, algorithm="direct")
    auto = cqt(x, sample_rate=22050)
    assert 1e-4 < deviation(direct, auto) < 0.05
    assert np.array_equal(auto, cqt(x, sample_rate=22050, algorithm="downsample"))


def test_normalizations():
    time = torch.arange(44100, dtype=torch.float64) / 22050
    tone = torch.sin(2 * np.pi * 440 * time)
    keys = {"sample_rate": 22050, "output": "magnitude"}
    wrapped = cqt(tone, normalization="wrap", **keys)[:, 30:60]
    assert (wrapped.argmax(0) == 45).all()
    torch.testing.assert_close(wrapped[45], torch.ones(30, dtype=torch.float64), atol=5e-3, rtol=0)
    raw = cqt(tone, normalization="convolutional", **keys)
    torch.testing.assert_close(2 * raw[:, 30:60], wrapped)
    lengths = torch.from_numpy(Bins(22050, None, 84, 12).lengths)[:, None]
    torch.testing.assert_close(cqt(tone, **keys), raw * lengths.sqrt())
    torch.testing.assert_close(cqt(tone, scale=False, **keys), raw * lengths)


def test_outputs_are_views_of_one_value():
    x = noise(2, 5000)
    value = cqt(x, sample_rate=22050)
    for output, expected in [
        ("magnitude", value.abs()),
        ("power", value.abs().square()),
        ("phase", value.angle()),
    ]:
        out = cqt(x, sample_rate=22050, output=output)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(3000,), (2, 3000), (3, 2, 3000), (0, 3000)])
def test_leading_axes_are_free(shape):
    x = noise(*shape)
    for function in (cqt, vqt, hybrid_cqt, pseudo_cqt):
        out = function(x, sample_rate=8000, n_bins=60)
        assert out.shape == (*shape[:-1], 60, 6)
        for row, single in zip(x.reshape(-1, 3000), out.reshape(-1, 60, 6), strict=True):
            one = function(row, sample_rate=8000, n_bins=60)
            torch.testing.assert_close(single, one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "complex_dtype", "limit"),
    [(torch.float64, torch.complex128, 1e-6), (torch.bfloat16, torch.complex64, 3e-2)],
)
def test_dtypes(dtype, complex_dtype, limit):
    x = noise(20000)
    expected = cqt(x, sample_rate=22050)
    out = cqt(x.to(dtype), sample_rate=22050)
    assert out.dtype == complex_dtype
    assert (out - expected).abs().max() <= limit * expected.abs().max()
    assert cqt(x.to(dtype), sample_rate=22050, output="magnitude").dtype == dtype


def test_silence_empty_and_nan():
    assert (cqt(torch.zeros(5000), sample_rate=22050) == 0).all()
    assert cqt(torch.zeros(2, 0), sample_rate=22050).shape == (2, 84, 0)
    assert cqt(torch.zeros(2, 0), sample_rate=22050, output="phase").dtype == torch.float32
    assert hybrid_cqt(torch.zeros(2, 0), sample_rate=22050).shape == (2, 84, 0)
    x = noise(5000)
    x[2500] = torch.nan
    assert cqt(x, sample_rate=22050).isnan().any()


def test_no_argument_is_modified():
    x = noise(2, 9000)
    before = x.clone()
    for function in (cqt, vqt, hybrid_cqt, pseudo_cqt):
        function(x, sample_rate=22050)
    assert torch.equal(x, before)


X = torch.zeros(9000)
PLAN = checked_plan(Bins(22050, None, 84, 12), 512, "auto", "librosa", True)


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"n_bins": 120}, "n_bins=120 from 32.703 Hz .* use n_bins=101 or less"),
        ({"fmin": 12000.0}, "use a lower fmin"),
        ({"fmin": 0.0}, "fmin=0.0 must be above 0"),
        ({"fmin": float("nan")}, "fmin=nan must be finite"),
        ({"sample_rate": 0}, "sample_rate=0 must be above 0"),
        ({"sample_rate": "44100"}, "sample_rate='44100' must be a number"),
        ({"hop_length": 0}, "hop_length=0 must be a positive integer"),
        ({"hop_length": 512.0}, "hop_length=512.0 must be a positive integer"),
        ({"n_bins": 0}, "n_bins=0 must be a positive integer"),
        ({"bins_per_octave": -1}, "bins_per_octave=-1 must be a positive integer"),
        ({"filter_scale": 0}, "filter_scale=0 must be above 0"),
        ({"tuning": None}, "tuning=None must be a number of bins"),
        ({"norm": -2.0}, "norm=-2.0 must be None"),
        ({"norm": "l1"}, "norm='l1' must be None"),
        ({"sparsity": 1.0}, "sparsity=1.0 must be below 1"),
        ({"window": "han"}, "did you mean 'hann'"),
        ({"window": np.ones(9)}, "window must be a name"),
        ({"pad_mode": "edge"}, "pad_mode='edge' must be one of"),
    ],
)
@pytest.mark.parametrize("function", [cqt, vqt, hybrid_cqt, pseudo_cqt])
def test_faults_say_what_to_do(function, keys, text):
    with pytest.raises(ParameterError, match=text):
        function(X, **({"sample_rate": 22050} | keys))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: cqt(X.int(), sample_rate=22050), r"int32 must be audio .*\.float\(\)"),
        (lambda: cqt(torch.tensor(1.0), sample_rate=22050), r"shape \(\)"),
        (lambda: cqt(X[:100], sample_rate=22050, pad_mode="reflect"), "too short to be mirrored"),
        (lambda: hybrid_cqt(X[:90], sample_rate=22050, pad_mode="reflect"), "to be mirrored"),
        (lambda: cqt(X, sample_rate=22050, algorithm="fft"), "algorithm='fft' must be one of"),
        (lambda: cqt(X, sample_rate=22050, output="db"), "output='db' must be one of"),
        (lambda: cqt(X, sample_rate=22050, normalization="l1"), "normalization='l1' must be"),
        (lambda: vqt(X, sample_rate=22050, gamma=-1), "gamma=-1 must be finite and at least 0"),
    ],
)
def test_other_faults(call, text):
    with pytest.raises(ParameterError, match=text):
        call()


def test_the_largest_number_of_bins_named_is_allowed():
    assert cqt(X, sample_rate=22050, n_bins=101).shape[0] == 101
    with pytest.raises(ParameterError):
        cqt(X, sample_rate=22050, n_bins=102)
    assert PLAN.n_bins == 84
