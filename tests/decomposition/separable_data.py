"""Matrices some of whose columns generate the others, as separable factorisation is tested on."""

from itertools import combinations, product

import numpy as np
import torch


def separable(seed, *, freq=30, components=8, others=100):
    """Columns of W, in random places, among mixtures of them; and where they are."""
    rng = np.random.default_rng(seed)
    W = rng.random((freq, components))
    H = np.hstack([np.eye(components), rng.dirichlet(np.full(components, 0.5), others).T])
    order = rng.permutation(components + others)
    return torch.from_numpy((W @ H)[:, order]), order.argsort()[:components]


def swimmer():
    """A body of 14 points with four limbs of 3, each in one of four positions: all 256 images.

    An image is a bin and a point is a frame; those of a limb's position are alike, and there are 16
    such positions, but for the linear dependence of 13: the limbs' positions sum to the body.
    """
    points = np.zeros((17, 256))
    points[16] = 1
    for image, limbs in enumerate(product(range(4), repeat=4)):
        for limb, position in enumerate(limbs):
            points[4 * limb + position, image] = 1
    return torch.from_numpy(points.repeat([3] * 16 + [14], axis=0).T.copy())


def experiment(kind, delta, seed):
    """One matrix of the experiments of [Gillis2014b]; and which source each column is, or -1.

    Kinds 1 and 2 have 20 sources of 10 bins, linearly dependent; 3 and 4 have 20 bins, and a
    condition number of 1000. 1 and 3 are random mixtures with noise of size delta everywhere, where
    each source sounds alone twice; 2 and 4 are all means of two sources, moved away from the centre
    by delta of their distance.
    """
    rng = np.random.default_rng(seed)
    W = rng.random((10 if kind < 3 else 20, 20))
    if kind >= 3:
        u, _, v = np.linalg.svd(W)
        W = np.maximum(u * 10 ** (-3 * np.arange(20) / 19) @ v, 0)
    if kind % 2:
        rest = rng.dirichlet(rng.random(20), 160).T
        H = np.hstack([np.eye(20), np.eye(20), rest])
        V = W @ H + delta * rng.standard_normal((len(W), 200))
        source = np.r_[np.arange(20), np.arange(20), np.full(160, -1)]
    else:
        middle = np.zeros((20, 190))
        for column, pair in enumerate(combinations(range(20), 2)):
            middle[list(pair), column] = 0.5
        V = W @ np.hstack([np.eye(20), middle])
        V[:, 20:] += delta * (V[:, 20:] - W.mean(1, keepdims=True))
        source = np.r_[np.arange(20), np.full(190, -1)]
    order = rng.permutation(V.shape[1])
    return torch.from_numpy(V[:, order]), source[order]


def recovered(kind, delta, choose, matrices=10):
    """The share of sources found by `choose`, which gives indices of columns."""
    found = 0
    for seed in range(matrices):
        V, source = experiment(kind, delta, seed)
        found += len(set(source[choose(V)].tolist()) - {-1})
    return found / (20 * matrices)
