"""Runs the plan of a constant-Q transform on signals, and its adjoint: a matrix product an octave.

Where nothing follows the operations, frames are cut from the signal a few at a time and what is
wanted of them is written into place. Autograd on the CPU does the same with the explicit adjoint as
its gradient. Compilers, vmap, accelerators and trained filters get plain tensor operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv1d, pad

from unweave._core.forms import is_traced, is_transformed, needs_plain_form
from unweave._core.fourier import Finish, in_blocks
from unweave._core.frames import blocks, evenly, overlap_add
from unweave._core.memory import fresh
from unweave._core.pool import share
from unweave.errors import ParameterError
from unweave.transforms._analysis import magnitude, power, safe_sqrt
from unweave.transforms._bank import product
from unweave.transforms._cq_plan import Plan, Stage
from unweave.transforms._decimate import cut, decimate, interpolate, leading

_LEAST_HOP = 64  # samples between frames whose overlap-add is quick
TOGETHER = 3 * 2**18  # samples of signals that go through all octaves together


@dataclass(frozen=True, eq=False)
class _Octave:
    """What one stage works on: its filters, and frames centred `margin` samples on."""

    rows: Tensor
    weights: Tensor
    stage: Stage
    margin: int
    count: Any  # an int, or a symbol where an exporter is at work
    bins: slice


def filterbank(
    rows: Tensor,
    plan: Plan,
    *,
    pad_mode: str = "constant",
    finish: Finish | None = None,
    kernels: tuple[Tensor, ...] = (),
) -> Tensor:
    """Give the values of all bins at all frames; linear in the signal as long as `finish` is.

    Args:
        rows: Real signals, float32 or float64.
        plan: The stages of the transform.
        pad_mode: What continues the signal of each stage at its ends.
        finish: Turns complex values (rows, some frames, bins) into what is wanted of each.
        kernels: Filters that stand for those of the stages, such as trained ones.

    Returns:
        Complex values, or what `finish` made of them.

    Raises:
        ParameterError: The signal is too short to be mirrored.

    Shape:
        rows: (rows, time)
        returns: (rows, frames, bins)

    Example:
        >>> from unweave.transforms._cq_kernels import Bins
        >>> from unweave.transforms._cq_plan import plan
        >>> made = plan(Bins(22050, None, 84, 12), 512, "auto")
        >>> filterbank(torch.zeros(2, 22050), made).shape
        torch.Size([2, 44, 84])
    """

    def finished(products: Tensor) -> Tensor:
        # Not -1 for the bins: there may be no rows.
        pairs = products.view(*products.shape[:-1], products.shape[-1] // 2, 2)
        if torch.compiler.is_compiling() and finish in (magnitude, power):
            energy = pairs.square().sum(-1)  # compilers and exporters prefer real numbers
            return energy if finish is power else safe_sqrt(energy)
        values = torch.view_as_complex(pairs)
        return values if finish is None else finish(values)

    if needs_plain_form(rows, *kernels):
        octaves = _octaves(rows, plan, pad_mode, kernels)
        return torch.cat([finished(_products(octave)) for octave in octaves][::-1], -1)
    first = finished(rows.new_zeros(1, 1, 2))
    out = fresh(first, len(rows), plan.count(rows.shape[-1]), plan.n_bins)

    def fill(row: slice) -> None:
        for octave in _octaves(rows[row], plan, pad_mode, kernels):
            _in_blocks(octave, finished, out[row, :, octave.bins])

    # A few short signals at a time go through all octaves; of long ones, each octave is shared.
    if rows.shape[1] > TOGETHER:
        fill(slice(0, len(rows)))
    else:
        groups = list(evenly(len(rows), TOGETHER // max(rows.shape[1], 1)))
        share(fill, groups, size=rows.numel() * len(plan.stages))
    return out


def adjoint(values: Tensor, plan: Plan, length: int) -> Tensor:
    """Apply the adjoint of `filterbank` with silence beyond the signal's ends.

    Args:
        values: Complex values of all bins at all frames.
        plan: The stages of the transform.
        length: Samples of the signals.

    Returns:
        The signals v for which sum(v * x) = Re sum(conj(values) * filterbank(x)) whatever x.

    Shape:
        values: (rows, frames, bins)
        returns: (rows, length)

    Example:
        >>> from unweave.transforms._cq_kernels import Bins
        >>> from unweave.transforms._cq_plan import plan
        >>> made = plan(Bins(22050, None, 84, 12), 512, "auto")
        >>> adjoint(torch.zeros(2, 44, 84, dtype=torch.complex64), made, 22050).shape
        torch.Size([2, 22050])
    """
    lengths = [-(-length // 2 ** len(plan.steps))]
    for stage in plan.stages[:-1]:
        lengths.append(-(-lengths[-1] // 2 ** len(stage.steps)))
    parts = torch.view_as_real(values).flatten(-2)
    low, total = 0, None
    for stage, longer in zip(reversed(plan.stages), reversed(lengths), strict=True):
        weights = stage.kernels(parts)
        high = low + weights.shape[1]
        margin = stage.n_fft // 2
        part = _project_back(parts[..., low:high], weights, stage.hop_length, margin, longer)
        total = part if total is None else part + interpolate(total, stage.steps, longer)
        low = high
    assert total is not None  # a plan has stages
    return interpolate(total, plan.steps, length)


def _octaves(
    rows: Tensor, plan: Plan, pad_mode: str, kernels: tuple[Tensor, ...]
) -> Iterator[_Octave]:
    """Give the work of each stage in turn, decimating the signal in between."""
    count, stop = plan.count(rows.shape[-1]), plan.n_bins
    rows = decimate(rows, plan.steps)
    for index, stage in enumerate(plan.stages):
        weights = kernels[index].to(rows) if kernels else stage.kernels(rows)
        start = stop - weights.shape[1] // 2
        margin, source = stage.n_fft // 2, rows
        if pad_mode != "constant":
            source, margin = _padded(rows, margin, pad_mode), 0
        yield _Octave(source, weights, stage, margin, count, slice(start, stop))
        rows, stop = decimate(rows, stage.steps), start


def _padded(rows: Tensor, margin: int, mode: str) -> Tensor:
    if mode == "reflect" and rows.shape[-1] <= margin:
        raise ParameterError(
            f"a signal of {rows.shape[-1]} samples, at the rate of its octave, is too short to be"
            f" mirrored by half a filter, {margin} samples: use pad_mode='constant', or more audio"
        )
    return pad(rows, (margin, margin), mode=mode)


def _products(octave: _Octave) -> Tensor:
    """Multiply all frames by the filters in a form that can be followed."""
    rows, weights, margin = octave.rows, octave.weights, octave.margin
    explicit = not (torch.compiler.is_compiling() or is_transformed() or is_traced(weights))
    if explicit and rows.device.type == "cpu":
        projected: Tensor = _Project.apply(rows, weights, octave)  # type: ignore[no-untyped-call]
        return projected
    padded, stage, count = pad(rows, (margin, margin)), octave.stage, octave.count
    if not isinstance(count, int):  # a symbol of an exporter, which knows convolutions best
        filtered = conv1d(padded[:, None], weights.T[:, None], stride=stage.hop_length)
        return leading(filtered.mT, count, 1)
    if torch.compiler.is_compiling() or is_transformed():
        return product(padded.unfold(1, stage.n_fft, stage.hop_length)[:, :count], weights)
    return in_blocks(
        padded, stage.framing, count, lambda frames: product(frames, weights), (weights,)
    )


def _in_blocks(octave: _Octave, finish: Finish, out: Tensor) -> None:
    """Multiply all frames by the filters, and put what `finish` makes of them in its place."""
    hop, n_fft = octave.stage.hop_length, octave.stage.n_fft

    def fill(place: tuple[slice, slice]) -> None:
        row, frame = place
        start = frame.start * hop - octave.margin
        stop = (frame.stop - 1) * hop - octave.margin + n_fft
        frames = cut(octave.rows[row], start, stop).unfold(1, n_fft, hop)
        out[place] = finish(product(frames, octave.weights))

    table = list(blocks(len(octave.rows), octave.count, n_fft))
    share(fill, table, size=len(octave.rows) * octave.count * n_fft)


class _Project(torch.autograd.Function):
    """Products of frames and filters, whose gradient is `_project_back`."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weights: Tensor, octave: _Octave) -> Tensor:
        ctx.save_for_backward(weights)
        ctx.numbers = octave.stage.hop_length, octave.margin, rows.shape[1]
        out = fresh(rows, len(rows), octave.count, weights.shape[1])
        _in_blocks(octave, lambda products: products, out)
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weights,) = ctx.saved_tensors
        return _project_back(gradient, weights, *ctx.numbers), None, None


def _project_back(parts: Tensor, weights: Tensor, hop: int, margin: int, length: int) -> Tensor:
    """Add up the filters weighted by values: the adjoint of the products of frames and filters."""
    # Filters of several frames are joined into one, so that fewer and longer pieces overlap.
    group = -(-_LEAST_HOP // hop)
    shifted = [pad(weights, (0, 0, i * hop, (group - 1 - i) * hop)) for i in range(group)]
    joined, step = torch.cat(shifted, 1).mT, group * hop
    parts = pad(parts, (0, 0, 0, -parts.shape[1] % group))
    parts = parts.reshape(len(parts), -1, len(joined))
    count, span = parts.shape[1], joined.shape[1]
    reach = -(-span // step) - 1
    out = parts.new_zeros(len(parts), max(margin + length, (count + reach) * step))
    for row, frame in blocks(len(parts), count, span):
        start, stop = frame.start * step, (frame.stop + reach) * step
        out[row, start:stop] += overlap_add(product(parts[row, frame], joined), step)
    return out[:, margin : margin + length]
