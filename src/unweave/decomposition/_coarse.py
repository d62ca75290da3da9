"""A start for long spectrograms: templates found in every n-th frame.

A thousand frames of a song tell its templates nearly as well as ten thousand do, in a tenth of the
time; a few iterations over all frames then do what took dozens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from unweave.decomposition._problem import Outcome, Problem

_FRAMES = 960  # that are enough to begin with
_LEAST = 4  # frames of which one is taken: below it, little would be gained
_ENOUGH = 8  # frames for each component

Solver = Callable[[Problem, Tensor, Tensor], Outcome]


def coarse_start(
    p: Problem, W: Tensor, H: Tensor, solve: Solver, n_iter: int
) -> tuple[Tensor, Tensor]:
    """Improve a start by iterations over every n-th frame, where there are many.

    Args:
        p: The problem; where changes from frame to frame count, the start stays as it is.
        W: Initial templates.
        H: Initial activations.
        solve: What solves problems.
        n_iter: The most iterations.

    Shape:
        W: (freq, components)
        H: (components, frames)
        returns: those of W and H

    References:
        [Gillis2012b] A multilevel approach for nonnegative matrix factorization, Journal of
        Computational and Applied Mathematics 236(7).
    """
    stride = H.shape[1] // max(_FRAMES, _ENOUGH * H.shape[0])
    if stride < _LEAST or p.temporal_continuity:
        return W, H
    part = replace(
        p,
        V=p.V[:, ::stride].contiguous(),
        H_zeros=None if p.H_zeros is None else p.H_zeros[:, ::stride],
        n_iter=n_iter,
        check_every=20,
        progress=None,
    )
    W = solve(part, W, H[:, ::stride].contiguous()).W
    loudness = W.sum().clamp_min(torch.finfo(W.dtype).tiny)
    return W, (p.V.sum(0) / loudness).expand_as(H).contiguous()
