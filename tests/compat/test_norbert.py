"""unweave.compat.norbert against norbert 0.2.1 itself, on random and on real spectrograms."""

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import unweave
import unweave.compat.norbert as ours

SONG = Path(__file__).parents[2] / "examples" / "song"
EPS = float(np.finfo(np.float64).eps)
FUNCTIONS = [name for name in ours.__all__ if name != "contrib"]


@pytest.fixture(scope="session", name="norbert")
def load_norbert() -> Any:
    with warnings.catch_warnings():  # it imports scipy.ndimage.filters, which is deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        import norbert

        return norbert


def random(channels: int, sources: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(channels)
    shape = (40, 20, channels, sources)
    y = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    y *= rng.random((40, 20, 1, sources)) ** 3 * rng.random((1, 1, channels, sources))
    return np.abs(y), y.sum(-1)


def real() -> tuple[np.ndarray, np.ndarray]:
    """A second of the bundled song, and what its stems are like."""
    stems = []
    for name in ("vocals", "drums", "bass", "other"):
        audio, rate = unweave.read(SONG / f"{name}.ogg")
        audio = audio[:, 8 * rate : 9 * rate].double()
        stems.append(unweave.transforms.stft(audio, n_fft=1024, hop_length=512).numpy())
    y = np.stack(stems).transpose(3, 2, 1, 0)
    return np.abs(y), y.sum(-1)


CASES = {"mono": random(1), "stereo": random(2), "three": random(3), "five": random(5)}
CASES["song"] = real()


def local_gaussian_model(norbert: Any, *arguments: Any) -> tuple[np.ndarray, np.ndarray]:
    """Norbert's, whose covariances have a frame axis of one that its documents do not know of."""
    psd, covariance = norbert.get_local_gaussian_model(*arguments)
    assert covariance.ndim == 4
    return psd, covariance[0]


def same(found: Any, expected: Any, scale: Any = None, tolerance: float = 1e-6) -> None:
    scale = np.abs(expected if scale is None else scale).max()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture(name="case", params=CASES)
def make_case(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    v, x = CASES[request.param]
    return v.copy(), x.copy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_are_norberts(norbert, name):
    theirs = inspect.signature(getattr(norbert, name)).parameters
    mine = inspect.signature(getattr(ours, name)).parameters
    for position, (argument, other) in enumerate(zip(mine.values(), theirs.values(), strict=False)):
        assert argument.name == other.name, position
        assert argument.default == other.default
        assert argument.kind == other.kind
    extra = list(mine)[len(theirs) :]
    assert extra == (["autoscale"] if name == "residual_model" else [])


def test_the_modules_are_norberts(norbert):
    for module, mine in ((norbert, ours), (norbert.contrib, ours.contrib)):
        for name, thing in vars(module).items():
            if inspect.isfunction(thing) and "norbert" in thing.__module__ and name[0] != "_":
                assert callable(getattr(mine, name))


@pytest.mark.parametrize("eps", [EPS, 1e-10, 1e-4])
@pytest.mark.parametrize("iterations", [0, 1, 2])
@pytest.mark.parametrize("soft", [True, False])
def test_wiener_with_eps(norbert, case, iterations, soft, eps):
    v, x = case
    expected = norbert.wiener(v.copy(), x.copy(), iterations, soft, eps)
    same(ours.wiener(v, x, iterations, soft, eps), expected, x)


@pytest.mark.parametrize("scale", [1e-2, 50.0])
def test_wiener_scales_loud_mixtures_down_as_norbert_does(norbert, case, scale):
    v, x = case[0] * scale, case[1] * scale
    expected = norbert.wiener(v.copy(), x.copy(), eps=1e-6)
    same(ours.wiener(v, x, eps=1e-6), expected, x)


def test_wiener_without_eps_is_close_to_norberts(norbert, case):
    v, x = case
    same(ours.wiener(v, x), norbert.wiener(v.copy(), x.copy()), x, tolerance=1e-3)


def test_wiener_in_single_precision(norbert, case):
    v, x = case
    single = ours.wiener(v.astype("float32"), x.astype("complex64"), eps=1e-7)
    assert single.dtype == np.complex64
    same(single, norbert.wiener(v.copy(), x.copy(), eps=1e-7), x, tolerance=1e-5)


@pytest.mark.parametrize("iterations", [0, 1, 2, 3])
def test_expectation_maximization(norbert, case, iterations):
    v, x = case
    start = norbert.softmask(v, x)
    y, densities, covariances = norbert.expectation_maximization(
        start.copy(), x, iterations, 0, EPS
    )
    found = ours.expectation_maximization(start, x, iterations, 0, EPS)
    same(found[0], y, x)
    same(found[1], densities, np.abs(x) ** 2)
    same(found[2], covariances, np.ones(1))


def test_softmask(norbert, case):
    v, x = case
    same(ours.softmask(v, x), norbert.softmask(v, x), x)
    same(ours.softmask(v, x, eps=0.1), norbert.softmask(v, x, eps=0.1), x)
    mono = v.mean(2, keepdims=True)
    same(ours.softmask(mono, x), norbert.softmask(mono, x), x)


def test_mixtures_may_be_magnitudes(norbert, case):
    v, x = case[0], np.abs(case[1])
    for alpha in (1, 2):
        same(
            ours.residual_model(v, x, alpha)[..., -1],
            norbert.residual_model(v, x, alpha)[..., -1],
            x**alpha,
        )
    masked = ours.softmask(v, x)
    assert masked.dtype == float
    same(masked, norbert.softmask(v, x), x)
    psd, covariance = local_gaussian_model(norbert, x, 1e-3)
    for mine, theirs in zip(ours.get_local_gaussian_model(x, 1e-3), (psd, covariance), strict=True):
        assert mine.dtype == theirs.dtype
        same(mine, theirs)
    filters = np.zeros((*x.shape, x.shape[-1])) + 0.5
    same(ours.apply_filter(x, filters), norbert.apply_filter(x, filters), x)
    y = norbert.softmask(v, x) + 0j
    expected = norbert.expectation_maximization(y.copy(), x + 0j, eps=1e-6)[0]
    same(ours.expectation_maximization(y.real, x, eps=1e-6)[0], expected, x)


def test_masks_take_any_axes(norbert, case):
    v, x = case
    for a, b in ((v[:, :, 0], x[:, :, 0]), (v[:, 0, 0], x[:, 0, 0]), (v[None], x[None])):
        same(ours.softmask(a, b), norbert.softmask(a, b), b)


def test_the_pieces_of_the_filter(norbert, case):
    v, x = case
    y = norbert.softmask(v, x)
    models = [local_gaussian_model(norbert, y[..., j], 1e-3) for j in range(v.shape[-1])]
    for j, expected in enumerate(models):
        for mine, theirs in zip(
            ours.get_local_gaussian_model(y[..., j], 1e-3), expected, strict=True
        ):
            same(mine, theirs)
    same(ours.get_local_gaussian_model(y[..., 0])[1], local_gaussian_model(norbert, y[..., 0])[1])
    psd = np.stack([model[0] for model in models], -1)
    covariances = np.stack([model[1] for model in models], -1)
    mix = norbert.get_mix_model(psd, covariances)
    same(ours.get_mix_model(psd, covariances), mix)
    inverse = np.linalg.inv(mix + 1e-3 * np.eye(x.shape[-1]))
    gain = norbert.wiener_gain(psd[..., 0], covariances[..., 0], inverse)
    same(ours.wiener_gain(psd[..., 0], covariances[..., 0], inverse), gain)
    same(ours.apply_filter(x, gain), norbert.apply_filter(x, gain), x)


@pytest.mark.parametrize("alpha", [1, 2])
def test_residual_models(norbert, case, alpha):
    v, x = case[0] ** alpha, case[1]
    theirs = norbert.residual_model(v, x, alpha)
    found = ours.residual_model(v, x, alpha, autoscale=True)
    same(found[..., :-1], theirs[..., :-1])  # the scaled models
    unscaled = np.maximum(0, np.abs(x) ** alpha - v.sum(-1))
    same(theirs[..., -1], unscaled, theirs)  # norbert's residual is that of unscaled models
    same(ours.residual_model(v, x, alpha)[..., -1], unscaled, theirs)
    scaled = np.maximum(0, np.abs(x) ** alpha - theirs[..., :-1].sum(-1))
    same(found[..., -1], scaled, theirs)


@pytest.mark.parametrize("width", [0.5, 1, 3])
def test_smooth(norbert, case, width):
    v = case[0]
    same(ours.smooth(v, width, True), norbert.smooth(v, width, True))
    same(ours.smooth(v[..., 0, 0], width), norbert.smooth(v[..., 0, 0], width))
    same(ours.smooth(v[:, 0, 0, 0], width), norbert.smooth(v[:, 0, 0, 0], width))


def test_reduce_interferences(norbert, case):
    v = case[0]
    apart = gaussian_filter(v, sigma=(10, 10, 0, 0), truncate=10)
    share = apart / (np.finfo(np.float32).eps + apart.sum(-1, keepdims=True))
    expected = v / (1 + np.exp(-15 * (share - 0.4)))
    same(ours.reduce_interferences(v, thresh=0.4), expected)
    same(
        ours.reduce_interferences(v[:, :, 0], 0.4),
        ours.reduce_interferences(v[:, :, :1], 0.4)[:, :, 0],
    )
    # norbert's differs by nothing but what leaks between channels and sources
    leaking = gaussian_filter(v, sigma=10, truncate=10)
    share = leaking / (np.finfo(np.float32).eps + leaking.sum(-1, keepdims=True))
    same(norbert.reduce_interferences(v), v / (1 + np.exp(-15 * (share - 0.4))))


def test_compress_filter_does_what_norberts_was_meant_to(norbert, case):
    v, x = case
    y = norbert.softmask(v, x)
    models = [local_gaussian_model(norbert, y[..., j]) for j in range(v.shape[-1])]
    mix = norbert.get_mix_model(*(np.stack(parts, -1) for parts in zip(*models, strict=True)))
    inverse = np.linalg.inv(mix + 1e-6 * np.eye(x.shape[-1]))
    filters = norbert.wiener_gain(*models[0], inverse)
    gain = np.trace(filters, axis1=-2, axis2=-1).real
    mask = 1 / (1 + np.exp(-20 * (gain - 0.3)))
    expected = filters * (mask / gain)[..., None, None]
    if x.shape[-1] == 1:
        expected = mask[..., None, None]
    same(ours.compress_filter(filters, 0.3, 20), expected)
