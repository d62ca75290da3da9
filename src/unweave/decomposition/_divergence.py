"""The beta-divergence of a spectrogram from its model, block by block in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unweave.decomposition._products import totals, worthwhile

# Values of a block: with 2049 bins 128 frames, whose model stays in the processor's second cache
_BLOCK, _BLOCK_ELSEWHERE = 263_000, 2**24
_NEARLY_ZERO = 0.01  # a beta below which silent bins would cost more than all others
_MODEL_FLOOR = 1e-12  # of the mean, added to the model: quotients stay finite where it is zero


def blocks(V: Tensor) -> Iterator[slice]:
    """Cut frames into blocks.

    Args:
        V: A spectrogram (freq, frames).
    """
    size = _BLOCK if V.device.type == "cpu" else _BLOCK_ELSEWHERE
    step = max(32, size // V.shape[0] // 32 * 32)
    for start in range(0, V.shape[1], step):
        yield slice(start, min(V.shape[1], start + step))


def mean(V: Tensor) -> float:
    """Average a spectrogram in double precision.

    Args:
        V: A spectrogram (freq, frames).
    """
    if worthwhile(V):
        return totals(V)[0] / V.numel()
    return sum(float(V[:, part].sum(dtype=torch.float64)) for part in blocks(V)) / V.numel()


def floors(V: Tensor, beta: float) -> tuple[float, float]:
    """Give the least value of data and what is added to every model.

    A divergence of beta <= 0 from zero is infinite, and nearly so of one little above: data are
    then at least 1e-7 of their mean (Itakura-Saito), and the model has the same floor, so that
    silent bins cost nothing.

    Args:
        V: A spectrogram (freq, frames).
        beta: Which divergence.

    Returns:
        The floor of the data, and that of the model.
    """
    if beta >= _NEARLY_ZERO:
        return 0.0, _MODEL_FLOOR * mean(V)
    floor = float(1.2e-7 ** (2 / (2 - beta))) * mean(V)
    return floor, floor


def energy(V: Tensor) -> float:
    """Sum the squares of a spectrogram in double precision.

    Args:
        V: A spectrogram (freq, frames).
    """
    if worthwhile(V):
        return totals(V)[1]
    return sum(float(V[:, part].to(torch.float64).square().sum()) for part in blocks(V))


def divergence(
    V: Tensor, model: Callable[[slice], Tensor], beta: float, floor: tuple[float, float]
) -> float:
    """Sum the beta-divergence d(V | model) over all bins, in double precision.

    With y the model: beta = 2 gives (v - y)^2 / 2, beta = 1 (Kullback-Leibler) v log(v/y) - v + y,
    beta = 0 (Itakura-Saito) v/y - log(v/y) - 1, all others
    (v^beta + (beta - 1) y^beta - beta v y^(beta - 1)) / (beta (beta - 1)).

    Args:
        V: Spectrogram (freq, frames).
        model: Gives the model of some frames in fresh memory, without its floor.
        beta: Which divergence.
        floor: What `floors` gives.
    """
    total = 0.0
    for part in blocks(V):
        v, y = V[:, part], model(part)
        if beta != 2:
            y.add_(floor[1])
            v = v.clamp_min(floor[0]) if floor[0] else v
        total += _block(v, y, beta)
    return total


def _block(v: Tensor, y: Tensor, beta: float) -> float:
    """Sum over one block; y is overwritten."""
    exact = torch.float64
    if beta == 2:
        return 0.5 * float(torch.sub(v, y, out=y).square_().sum(dtype=exact))
    tiny = torch.finfo(y.dtype).tiny
    if beta == 1:
        rest = float(y.sum(dtype=exact)) - float(v.sum(dtype=exact))
        logs = torch.div(v, y, out=y).clamp_min_(tiny).log_()
        return float(logs.mul_(v).sum(dtype=exact)) + rest
    if beta == 0:
        ratio = torch.div(v, y, out=y)
        linear = float(ratio.sum(dtype=exact))
        return linear - float(ratio.log_().sum(dtype=exact)) - ratio.numel()
    # In the form v (v^(beta-1) - y^(beta-1)) / (beta-1) - (v^beta - y^beta) / beta, nothing cancels
    # where beta is nearly 0 or 1.
    log = v.log() - y.log()
    mixed = v * y ** (beta - 1) * torch.expm1((beta - 1) * log) / (beta - 1)
    terms = torch.where(v > 0, mixed, 0) - y**beta * torch.expm1(beta * log) / beta
    return float(terms.sum(dtype=exact))


def gram_divergence(square: float, cross: Tensor, gram: Tensor, factor: Tensor) -> float:
    """Give half the squared error from products that a solver has anyway.

    ||V - W H||^2 = ||V||^2 - 2 <H V', W'> + <H H', W' W>, a small difference of large numbers, is
    summed in double precision: in single precision it misses by 1e-4 and stops solvers early.

    Args:
        square: ||V||^2.
        cross: H V', or W' V.
        gram: H H', or W' W.
        factor: The other factor, components first: W', or H.

    Shape:
        cross: (components, count)
        gram: (components, components)
        factor: (components, count)
    """
    exact = factor.to(torch.float64)
    inner = float((cross.to(torch.float64) * exact).sum())
    return max(0.0, 0.5 * square - inner + 0.5 * float((exact @ exact.mT * gram).sum()))
