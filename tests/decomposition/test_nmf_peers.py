"""NMF beside scikit-learn's, on the bundled song."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import audio
from unweave.decomposition import nmf
from unweave.transforms import stft

SONG = Path(__file__).parents[2] / "examples" / "song" / "mixture.ogg"
COUNT = 6


@pytest.fixture(scope="module")
def spectrogram():
    """Magnitudes of ten seconds, with a floor, since Itakura-Saito weighs silent bins as others."""
    sound, _ = audio.read(SONG)
    V = stft(sound.mean(0)[:441_000], n_fft=2048, hop_length=1024).abs()
    V = V[:256].double().contiguous()
    return (V + 1e-2 * V.mean()).numpy()


def random_start(V, seed):
    draw = np.random.default_rng(seed)
    level = np.sqrt(V.mean() / COUNT)
    return tuple(
        level * np.abs(draw.standard_normal(s)) for s in ((len(V), COUNT), (COUNT, V.shape[1]))
    )


@pytest.fixture(scope="module")
def start(spectrogram):
    return random_start(spectrogram, 0)


def peer(V, start, n_iter, **options):
    from sklearn.decomposition import non_negative_factorization as factorize

    W, H = (x.copy() for x in start)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged
        return factorize(
            V, W=W, H=H, n_components=COUNT, init="custom", tol=0, max_iter=n_iter, **options
        )[:2]


def distance(V, W, H, beta):
    Y = W @ H
    if beta == 2:
        return 0.5 * ((V - Y) ** 2).sum()
    if beta == 1:
        return (V * np.log(V / Y) - V + Y).sum()
    return (V / Y - np.log(V / Y) - 1).sum()


@pytest.mark.parametrize(
    ("beta", "name"), [(2, "frobenius"), (1, "kullback-leibler"), (0, "itakura-saito")]
)
def test_it_ends_as_well_from_the_same_starts(spectrogram, beta, name):
    """Both end in one of several minima a percent apart: on average ours is no worse."""
    V, ratios = spectrogram, []
    for seed in range(4):
        start = random_start(V, seed)
        theirs = peer(V, start, 60, solver="cd" if beta == 2 else "mu", beta_loss=name)
        found = nmf(V, COUNT, beta=beta, W=start[0], H=start[1], n_iter=60, tol=0)
        ours = distance(V, found.W, found.H, beta)
        assert found.objective[-1] == pytest.approx(ours, rel=1e-4)
        ratios.append(ours / distance(V, *theirs, beta))
    assert np.exp(np.mean(np.log(ratios))) <= 1 + 1e-4
    assert min(ratios) < 1


@pytest.mark.parametrize(
    ("beta", "name"), [(2, "frobenius"), (1, "kullback-leibler"), (0, "itakura-saito")]
)
def test_plain_updates_end_where_the_peers_do(spectrogram, start, beta, name):
    """The peer updates W first: so do we, of the transpose."""
    V, (W, H) = spectrogram, start
    for n_iter in (20, 100):
        theirs = peer(V, start, n_iter, solver="mu", beta_loss=name)
        ours = nmf(V.T, COUNT, beta=beta, solver="mu", W=H.T, H=W.T, n_iter=n_iter, tol=0)
        expected = distance(V, *theirs, beta)
        assert distance(V, ours.H.T, ours.W.T, beta) == pytest.approx(expected, rel=1e-4)
        assert ours.objective[-1] == pytest.approx(expected, rel=1e-4)


def test_hals_is_the_peers_coordinate_descent(spectrogram, start):
    V, (W, H) = spectrogram, start
    theirs = peer(V, start, 5, solver="cd")
    ours = nmf(V.T, COUNT, solver="hals", W=H.T, H=W.T, n_iter=5, tol=0)
    np.testing.assert_allclose(ours.H.T @ ours.W.T, theirs[0] @ theirs[1], rtol=1e-4, atol=1e-4)


def test_single_precision_goes_where_double_does(spectrogram, start):
    for beta in (2, 1, 0):
        both = [
            nmf(
                spectrogram.astype(kind), COUNT, beta=beta, W=start[0], H=start[1], n_iter=30, tol=0
            )
            for kind in ("float32", "float64")
        ]
        assert both[0].objective[-1] == pytest.approx(both[1].objective[-1], rel=1e-3)


def test_singular_vectors_start_as_the_peers_do(spectrogram):
    from sklearn.decomposition._nmf import _initialize_nmf

    theirs = _initialize_nmf(spectrogram, COUNT, init="nndsvd", random_state=0)
    from unweave.decomposition._starts import initial

    W, H = initial(torch.from_numpy(spectrogram), COUNT, "nndsvd", None)
    np.testing.assert_allclose(W @ H, theirs[0] @ theirs[1], rtol=1e-3, atol=1e-3)
    assert bool((W == 0).any())
    filled = initial(torch.from_numpy(spectrogram), COUNT, "nndsvda", None)
    assert bool((filled[0] > 0).all())
    assert bool((filled[1] > 0).all())


@pytest.mark.parametrize("init", ["nndsvd", "separable"])
def test_better_starts_start_better_than_chance(spectrogram, init):
    def objective(name):
        draw = torch.Generator().manual_seed(0)
        return nmf(spectrogram, COUNT, init=name, n_iter=1, generator=draw).objective[0]

    assert objective(init) < objective("random")
