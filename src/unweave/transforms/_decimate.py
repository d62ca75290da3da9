"""Lowers the sample rate by a power of two, equal to soxr's quality HQ, and its adjoint.

A few dozen outputs at once are one matrix product: the form that compilers, vmap and accelerators
like. The CPU filters by the Fourier transform of overlapping blocks (overlap-save), of which only
the frequencies that survive are transformed back; their gradient is the same the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from unweave._core.forms import is_traced, is_transformed
from unweave._core.frames import blocks, overlap_add
from unweave._core.memory import fresh
from unweave._core.pool import share
from unweave.transforms._bank import product
from unweave.transforms._soxr_filters import BLOCK, OUTPUTS, Halving

_SHORT = BLOCK // 8  # outputs below which blocks would be mostly silence


def decimate(rows: Tensor, steps: tuple[Halving, ...]) -> Tensor:
    """Lower the sample rate.

    Args:
        rows: Real signals, float32 or float64.
        steps: The `halvings` of a factor.

    Returns:
        The signals at the lower rate, at which a last sample that stands for less than half of
        `factor` samples is zero.

    Shape:
        rows: (rows, time)
        returns: (rows, ceil(time / factor))

    Example:
        >>> from unweave.transforms._soxr_filters import halvings
        >>> decimate(torch.ones(1, 1001), halvings(2)).shape
        torch.Size([1, 501])
    """
    length, factor = rows.shape[-1], 2 ** len(steps)
    for step, wanted in zip(steps, _lengths(length, steps), strict=True):
        rows = _halve(rows, step, wanted)
    return pad(rows, (0, -(-length // factor) - rows.shape[-1])) if factor > 2 else rows


def interpolate(rows: Tensor, steps: tuple[Halving, ...], length: int) -> Tensor:
    """Apply the adjoint of `decimate`, which raises the sample rate.

    Args:
        rows: Real signals of the lower rate.
        steps: The `halvings` of a factor.
        length: Samples of the signals of the higher rate.

    Returns:
        The signals v for which sum(v * x) = sum(rows * decimate(x)) whatever x.

    Shape:
        rows: (rows, ceil(length / factor))
        returns: (rows, length)

    Example:
        >>> from unweave.transforms._soxr_filters import halvings
        >>> interpolate(torch.ones(1, 501), halvings(2), 1001).shape
        torch.Size([1, 1001])
    """
    if not steps:
        return rows
    lengths = [length, *_lengths(length, steps)]
    rows = rows[:, : lengths[-1]]
    for step, longer in zip(reversed(steps), reversed(lengths[:-1]), strict=True):
        rows = _double(rows, step, longer)
    return rows


def _lengths(length: int, steps: tuple[Halving, ...]) -> list[int]:
    """Give the lengths after each step; only that after the last is cut, to the nearest sample."""
    factor, out, now = 2 ** len(steps), [], length
    for step in steps:
        now = (length + factor // 2) // factor if step.last else (now + step.reach + 1) // 2
        out.append(now)
    return out


def _halve(rows: Tensor, step: Halving, wanted: int) -> Tensor:
    if torch.compiler.is_compiling() or is_transformed() or rows.device.type != "cpu":
        return _product(rows, step, wanted)
    if is_traced(rows):
        halved: Tensor = _Halve.apply(rows, step, wanted)  # type: ignore[no-untyped-call]
        return halved
    return _halve_in_blocks(rows, step, wanted)


def _double(rows: Tensor, step: Halving, length: int) -> Tensor:
    if torch.compiler.is_compiling() or is_transformed() or rows.device.type != "cpu":
        return _product_adjoint(rows, step, length)
    if is_traced(rows):
        doubled: Tensor = _Double.apply(rows, step, length)  # type: ignore[no-untyped-call]
        return doubled
    return _double_in_blocks(rows, step, length)


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, step: Halving, wanted: int) -> Tensor:
        ctx.step, ctx.length = step, rows.shape[-1]
        return _halve_in_blocks(rows, step, wanted)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _double(gradient, ctx.step, ctx.length), None, None


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, step: Halving, length: int) -> Tensor:
        ctx.step, ctx.wanted = step, rows.shape[-1]
        return _double_in_blocks(rows, step, length)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _halve(gradient, ctx.step, ctx.wanted), None, None


def _product(rows: Tensor, step: Halving, wanted: Any) -> Tensor:
    weights = step.matrix(rows)
    if not isinstance(wanted, int):  # a symbol of an exporter, which knows convolutions best
        taps = weights[: 2 * step.reach + 1, :1].T[:, None]
        filled = pad(rows, (step.reach, 2 * step.reach))[:, None]
        return leading(conv1d(filled, taps, stride=2)[:, 0], wanted, 1)
    if wanted == 0:
        return rows[:, :0]
    span, stride = weights.shape[0], 2 * OUTPUTS
    count = -(-wanted // OUTPUTS)
    after = (count - 1) * stride + span - step.reach - rows.shape[-1]
    frames = pad(rows, (step.reach, after)).unfold(-1, span, stride)
    return product(frames, weights).flatten(-2)[..., :wanted]


def _product_adjoint(rows: Tensor, step: Halving, length: int) -> Tensor:
    weights, wanted = step.matrix(rows), rows.shape[-1]
    filled = pad(rows, (0, -wanted % OUTPUTS))
    stretches = product(filled.view(len(rows), -1, OUTPUTS), weights.mT)
    sums = overlap_add(stretches, 2 * OUTPUTS)[:, step.reach :]
    return pad(sums, (0, length - sums.shape[1]))


def _halve_in_blocks(rows: Tensor, step: Halving, wanted: int) -> Tensor:
    if step.response is None or wanted < _SHORT:
        weights = step.matrix(rows)
        span, before, outputs = weights.shape[0], step.reach, OUTPUTS

        def work(frames: Tensor) -> Tensor:
            return product(frames, weights)
    else:
        response, half = step.response(rows), -(-step.reach // 2)
        span, before, outputs = BLOCK, 2 * half, BLOCK // 2 - 2 * half

        def work(frames: Tensor) -> Tensor:
            spectra = torch.fft.rfft(frames)[..., : len(response)] * response
            halved: Tensor = torch.fft.irfft(spectra, BLOCK // 2)
            return halved[..., half:-half]

    return _overlap_save(rows, work, span, before, 2 * outputs, wanted)


def _double_in_blocks(rows: Tensor, step: Halving, length: int) -> Tensor:
    if step.response is None or rows.shape[1] < _SHORT:
        return _product_adjoint(rows, step, length)
    response, half = step.response(rows), -(-step.reach // 2)
    response = 2 * response
    response[-1] /= 2  # this frequency is one of two to a transform, and was the only one

    def work(frames: Tensor) -> Tensor:
        spectra = torch.fft.rfft(frames) * response
        doubled: Tensor = torch.fft.irfft(spectra, BLOCK)
        return doubled[..., 2 * half : -2 * half]

    return _overlap_save(rows, work, BLOCK // 2, half, BLOCK // 2 - 2 * half, length)


def _overlap_save(
    rows: Tensor,
    work: Callable[[Tensor], Tensor],
    span: int,
    before: int,
    stride: int,
    wanted: int,
) -> Tensor:
    """Filter signals in overlapping blocks, each from `before` samples ahead of its stride on."""
    outputs = work(rows.new_zeros(1, 1, span)).shape[-1]
    count = -(-wanted // outputs)
    out = fresh(rows, len(rows), count, outputs)

    def fill(place: tuple[slice, slice]) -> None:
        row, block = place
        start, stop = stride * block.start - before, stride * (block.stop - 1) + span - before
        out[place] = work(cut(rows[row], start, stop).unfold(1, span, stride))

    share(fill, list(blocks(len(rows), count, span)), size=len(rows) * count * span)
    return out.flatten(1)[:, :wanted]


def leading(x: Tensor, wanted: Any, dim: int) -> Tensor:
    """Give the first places along an axis, also where an exporter knows their number as a symbol.

    Args:
        x: Any tensor.
        wanted: How many places; the axis has at least as many.
        dim: The axis.

    Example:
        >>> leading(torch.arange(5), 2, 0)
        tensor([0, 1])
    """
    if isinstance(wanted, int):
        return x.narrow(dim, 0, wanted)
    # A slice would have the exporter prove that it fits, for all lengths.
    return x.index_select(dim, torch.arange(wanted, device=x.device))


def cut(rows: Tensor, start: int, stop: int) -> Tensor:
    """Give samples [start, stop) of signals, silent beyond their ends; a view where it can be one.

    Args:
        rows: Signals.
        start: First sample, which may lie before the signals.
        stop: One behind the last sample, which may lie behind the signals.

    Shape:
        rows: (rows, time)
        returns: (rows, stop - start)

    Example:
        >>> cut(torch.tensor([[1.0, 2.0]]), -1, 1)
        tensor([[0., 1.]])
    """
    inside = rows[:, max(start, 0) : max(stop, 0)]
    before = min(max(-start, 0), stop - start)
    after = stop - start - before - inside.shape[1]
    return pad(inside, (before, after)) if before or after else inside
