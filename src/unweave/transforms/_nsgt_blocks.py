"""The same transform of long signals in blocks, whose memory and tables do not grow with them.

Filters fade away: those with slopes of w Hz within DECAY / w seconds. A block with such a margin on
either side is transformed as if it were a whole signal, and its margins are thrown away; likewise
on the way back (overlap and save). What wraps around in a block is below -130 dB of the signal.
Slices that overlap serve the same end in [Holighaus2013]; here the frames do not depend on them.

Low bins have long filters. They are worked on at a low sample rate, of a few samples a frame, in
blocks of their own: the blocks of the high bands also give, or take, the low-passed signal. Its
low-pass is one wherever a low bin is not zero, so it leaves no trace.

References:
    [Holighaus2013] Holighaus, Doerfler, Velasco, Grill: A framework for invertible, real-time
    constant-Q transforms, IEEE Trans. ASLP 21(4).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.memory import fresh
from unweave._core.pool import share
from unweave.transforms._nsgt_bands import DECAY, Bands, frame_count, slope
from unweave.transforms._nsgt_tables import Grid, analyse, gather, spread, synthesise, table

_BLOCK_SAMPLES = 2**16  # shortest block of the high bands; its work stays in the cache of a core
_MARGIN = 1 / 8  # part of a block that each of its margins is
_AT_ONCE = 2**20  # coefficients of the blocks that are worked on together


@dataclass(frozen=True)
class Stage:
    """A part of the bands, and the blocks in which it is worked on.

    Args:
        grid: Bands and size of a block.
        margin: Frames at either end of a block that are thrown away.
    """

    grid: Grid
    margin: int

    @property
    def body(self) -> int:
        """Frames of a block that are kept."""
        return self.grid.frames - 2 * self.margin


@dataclass(frozen=True, eq=False)
class Plan:
    """How long signals are worked on.

    Args:
        high: The high bands, or all.
        low: The low bands, or None where they need no stage of their own.
        low_pass: Weights of the lowest bins of a block that give the low signal.
    """

    high: Stage
    low: Stage | None
    low_pass: Tensor


@lru_cache(maxsize=16)
def plan(bands: Bands) -> Plan:
    """Choose the blocks."""
    count = len(bands)
    target = max(1, math.ceil(_BLOCK_SAMPLES / bands.hop_length))
    # Bands whose slopes are steeper than this would need longer blocks.
    steep = DECAY * bands.frame_rate / (_MARGIN * target)
    first = next((row for row in range(bands.bins.stop) if bands.slope(row) >= steep), count)
    if first >= bands.bins.stop:
        first = bands.bins.stop
    top = max(bands.stop[:first], default=0.0)
    step = _low_step(bands, 1.1 * top + steep)
    if first == 0 or step > bands.hop_length / 3:
        return Plan(_stage(bands, range(count), bands.hop_length), None, torch.empty(0))
    high = _stage(bands, range(first, count), bands.hop_length)
    frames = high.grid.frames
    edge = step * bands.frame_rate / 2
    frequency = torch.arange(step * frames // 2 + 1, dtype=torch.float64) * high.grid.spacing
    low_pass = slope((edge - frequency) / (edge - top))
    return Plan(high, _stage(bands, range(first), step), low_pass.float())


def analyse_blocks(x: Tensor, bands: Bands, count: int) -> Tensor:
    """Transform signals (rows, time), at most `count` hops long, to (rows, bands, count)."""
    out = fresh(x, len(x), len(bands), count, dtype=x.dtype.to_complex())
    high, low, low_pass = _stages(bands, count, x.dtype)
    signal = None if low is None else fresh(x, len(x), low.grid.step * count)
    _analyse_stage(x, high, out, signal, low_pass)
    if low is not None and signal is not None:
        _analyse_stage(signal, low, out, None, low_pass)
    return out


def synthesise_blocks(spec: Tensor, bands: Bands) -> Tensor:
    """Restore signals (rows, time) from (rows, bands, frames)."""
    high, low, low_pass = _stages(bands, spec.shape[2], spec.real.dtype)
    signal = None if low is None else _synthesise_stage(spec, low, None, low_pass)
    return _synthesise_stage(spec, high, signal, low_pass)


def _stages(bands: Bands, count: int, dtype: torch.dtype) -> tuple[Stage, Stage | None, Tensor]:
    """Choose blocks for long signals in single precision, and the whole for others."""
    chosen = plan(bands)
    short = count * bands.hop_length <= 2 * _BLOCK_SAMPLES or count <= chosen.high.grid.frames
    if short or dtype != torch.float32:
        whole = Grid(bands, range(len(bands)), bands.hop_length, count)
        return Stage(whole, 0), None, chosen.low_pass
    return chosen.high, chosen.low, chosen.low_pass


def _analyse_stage(
    x: Tensor, stage: Stage, out: Tensor, low: Tensor | None, low_pass: Tensor
) -> None:
    """Fill in the bands of a stage, and the low signal where one is wanted."""
    grid, margin, count = stage.grid, stage.margin, out.shape[2]
    bands = slice(grid.rows[0], grid.rows[-1] + 1)
    if count <= grid.frames:
        whole = Grid(grid.bands, grid.rows, grid.step, count)

        def fill(row: slice) -> None:
            out[row, bands] = analyse(x[row], whole)

        share(fill, list(_groups(len(x), whole)), size=len(x) * whole.rows.stop * count)
        return
    weights = table(grid)

    def work(place: tuple[slice, list[int]]) -> None:
        row, starts = place
        spectra = torch.fft.rfft(_cut(x[row], starts, stage, grid.step, count))
        spec = torch.unflatten(spread(spectra, weights), 0, (-1, len(starts)))
        for index, at in enumerate(starts):
            stop = min(at + stage.body, count)
            out[row, bands, at:stop] = spec[:, index, :, margin : margin + stop - at]
        if low is not None:
            step = low.shape[1] // count
            passed = spectra[:, : len(low_pass)] * (low_pass * (step / grid.step))
            samples = torch.fft.irfft(passed, step * grid.frames)
            _keep(samples, low[row], starts, stage, step)

    share(work, list(_blocks(len(x), stage, count)), size=len(x) * len(grid.rows) * count)


def _synthesise_stage(spec: Tensor, stage: Stage, low: Tensor | None, low_pass: Tensor) -> Tensor:
    """Give the signal of the bands of a stage, the low signal included where one is given."""
    grid, count = stage.grid, spec.shape[2]
    spec = spec[:, grid.rows[0] : grid.rows[-1] + 1]
    out = fresh(spec.real, len(spec), count * grid.step)
    if count <= grid.frames:
        whole = Grid(grid.bands, grid.rows, grid.step, count)

        def fill(row: slice) -> None:
            out[row] = synthesise(spec[row], whole)

        share(fill, list(_groups(len(spec), whole)), size=spec.numel())
        return out
    weights = table(grid)

    def work(place: tuple[slice, list[int]]) -> None:
        row, starts = place
        spectra = gather(_cut(spec[row], starts, stage, 1, count), weights)
        if low is not None:
            step = low.shape[1] // count
            passed = torch.fft.rfft(_cut(low[row], starts, stage, step, count))
            spectra[:, : len(low_pass)] += passed * (low_pass * (grid.step / step))
        samples = torch.fft.irfft(spectra, grid.samples)
        _keep(samples, out[row], starts, stage, grid.step)

    share(work, list(_blocks(len(spec), stage, count)), size=spec.numel())
    return out


def _cut(x: Tensor, starts: list[int], stage: Stage, step: int, count: int) -> Tensor:
    """Cut blocks, margins included, out of signals of `step` values a frame that repeat themselves.

    Signals may be shorter than their period of `count` frames: silence follows.
    """
    period, size = count * step, stage.grid.frames * step
    blocks = []
    for start in starts:
        first = (start - stage.margin) * step % period
        parts = [x[..., first : first + size]]
        parts.append(pad(parts[0][..., :0], (0, min(size, period - first) - parts[0].shape[-1])))
        if first + size > period:
            again = x[..., : first + size - period]
            parts.append(pad(again, (0, first + size - period - again.shape[-1])))
        whole = parts[0].shape[-1] == size
        blocks.append(parts[0] if whole else torch.cat(parts, -1))
    return torch.stack(blocks, 1).flatten(0, 1)


def _keep(blocks: Tensor, out: Tensor, starts: list[int], stage: Stage, step: int) -> None:
    """Put blocks of signals in their places, without the margins."""
    blocks = torch.unflatten(blocks, 0, (-1, len(starts)))
    first = stage.margin * step
    for index, start in enumerate(starts):
        place = out[:, start * step : (start + stage.body) * step]
        place.copy_(blocks[:, index, first : first + place.shape[1]])


def _blocks(rows: int, stage: Stage, count: int) -> Iterator[tuple[slice, list[int]]]:
    """Give rows, and the first frames of blocks, that are worked on together."""
    starts = list(range(0, count, stage.body))
    size = (len(stage.grid.rows) + 1) * stage.grid.frames
    at_once = max(1, _AT_ONCE // size)
    group = max(1, at_once // len(starts))
    for row in range(0, rows, group):
        for first in range(0, len(starts), at_once):
            yield slice(row, min(row + group, rows)), starts[first : first + at_once]


def _groups(rows: int, grid: Grid) -> Iterator[slice]:
    """Give the rows that are worked on together where each is one block."""
    stage = Stage(grid, 0)
    return (row for row, _ in _blocks(rows, stage, grid.frames))


def _stage(bands: Bands, rows: range, step: int) -> Stage:
    steepest = min(bands.slope(row) for row in rows)
    margin = math.ceil(DECAY * bands.frame_rate / steepest)
    frames = max(math.ceil(margin / _MARGIN), math.ceil(_BLOCK_SAMPLES / bands.hop_length))
    return Stage(Grid(bands, rows, step, frame_count(frames, 1)), margin)


def _low_step(bands: Bands, top: float) -> int:
    """Give the samples a frame at which a signal up to a frequency is worked on."""
    return frame_count(math.ceil(2 * top / bands.frame_rate), 1)
