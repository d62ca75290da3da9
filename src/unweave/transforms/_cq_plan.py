"""How a constant-Q transform is computed: which filters meet which decimated signal at which hop.

Both algorithms are the same list of stages, one an octave from the top. The downsampling algorithm
[Schoerkhuber2010] halves the rate of the signal after each stage, as long as the hop stays whole,
so that every octave costs as little as the top one; the direct algorithm [Brown1992] does not.

References:
    [Brown1992] An efficient algorithm for the calculation of a constant Q transform, JASA 92(5).
    [Schoerkhuber2010] Constant-Q transform toolbox for music processing, SMC conference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unweave._core.arrays import NumpyArray
from unweave._core.checks import positive_int
from unweave._core.constants import Constant
from unweave._core.frames import Framing
from unweave.transforms._analysis import check_choice
from unweave.transforms._cq_kernels import Bins, check_bins, responses
from unweave.transforms._soxr_filters import FACTORS, Halving, halvings

ALGORITHMS = ("auto", "direct", "downsample")
NORMALIZATIONS = ("librosa", "convolutional", "wrap")


@dataclass(frozen=True, eq=False)
class Stage:
    """Some neighbouring bins, all computed from one signal at one hop.

    Args:
        kernels: Filters in time, of shape (n_fft, 2 * bins): real and imaginary parts in turn. The
            product of a frame with them gives the values of the bins in the same order.
        hop_length: Samples from one frame to the next, at the rate of the stage's signal.
        steps: How the next stage's signal is made of this one: at half its rate, or unchanged.
    """

    kernels: Constant
    hop_length: int
    steps: tuple[Halving, ...] = ()

    @property
    def n_fft(self) -> int:
        """Samples of a frame, whose middle is sample t * hop_length."""
        return int(self.kernels.values.shape[0])

    @cached_property
    def framing(self) -> Framing:
        """The frames of a signal padded by n_fft // 2 samples."""
        return Framing(torch.ones(self.n_fft), self.hop_length, center=False)


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole transform: everything but the audio.

    Args:
        stages: The octaves, from the top.
        steps: How the first stage's signal is made of the audio: at a lower rate, or unchanged.
    """

    stages: tuple[Stage, ...]
    steps: tuple[Halving, ...] = ()

    @property
    def n_bins(self) -> int:
        """Bins of all stages."""
        return sum(int(stage.kernels.values.shape[1]) for stage in self.stages) // 2

    def count(self, length: int) -> int:
        """Give the number of frames of a signal of `length` samples."""
        return 1 + -(-length // (1 << len(self.steps))) // self.stages[0].hop_length


def stage(kernels: NumpyArray, hop_length: int, steps: tuple[Halving, ...] = ()) -> Stage:
    """Make a stage of complex filters.

    Args:
        kernels: Complex filters of shape (bins, n_fft); a bin's value is the sum of a frame times
            its row.
        hop_length: Samples from one frame to the next.
        steps: How the next stage's signal is made of this one.
    """
    parts = np.stack([kernels.real, kernels.imag], axis=1).reshape(-1, kernels.shape[1])
    with torch.inference_mode(False):  # what inference makes, training could not use
        values = torch.from_numpy(np.ascontiguousarray(parts.T, dtype=np.float64))
    return Stage(Constant(values), hop_length, steps)


def checked_plan(
    bins: Bins, hop_length: int, algorithm: str, normalization: str, scale: bool
) -> Plan:
    """Give the plan of a transform whose parameters come from a user.

    Args:
        bins: The bins.
        hop_length: Samples from one frame to the next.
        algorithm: "direct", "downsample" or "auto", which is librosa's result.
        normalization: "librosa", "convolutional" or "wrap".
        scale: Whether librosa's values are divided by the root of the filters' lengths.

    Raises:
        ParameterError: A parameter is out of range.
    """
    if torch.compiler.is_compiling():  # which can build nothing in NumPy, but takes what is built
        steps, stages = _tables(*vars(bins).values(), hop_length, algorithm, normalization, scale)
        made = [Stage(Constant(values), hop, _steps(then)) for values, hop, then in stages]
        return Plan(tuple(made), _steps(steps))
    return _checked(bins, hop_length, algorithm, normalization, scale)


def _checked(bins: Bins, hop_length: int, algorithm: str, normalization: str, scale: bool) -> Plan:
    hop_length = positive_int("hop_length", hop_length)
    check_choice("algorithm", algorithm, ALGORITHMS)
    check_choice("normalization", normalization, NORMALIZATIONS)
    check_bins(bins)
    return plan(bins, hop_length, algorithm, normalization, bool(scale))


_StepTables = tuple[tuple[Tensor, int, bool], ...]


def _tables(*numbers: Any) -> tuple[_StepTables, tuple[tuple[Tensor, int, _StepTables], ...]]:
    """Give a plan as the compiler can hold it: tensors and numbers in tuples."""
    made = _checked(Bins(*numbers[:10]), *numbers[10:])

    def tables(steps: tuple[Halving, ...]) -> _StepTables:
        return tuple((step.matrix.values, step.reach, step.last) for step in steps)

    stages = ((s.kernels.values, s.hop_length, tables(s.steps)) for s in made.stages)
    return tables(made.steps), tuple(stages)


# torch.compiler.assume_constant_result does this and no more, but imports the compiler for it,
# which takes longer than all of unweave.
_tables._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _steps(tables: _StepTables) -> tuple[Halving, ...]:
    return tuple(Halving(Constant(matrix), reach, None, last) for matrix, reach, last in tables)


@lru_cache(maxsize=8)
def plan(
    bins: Bins, hop_length: int, algorithm: str, normalization: str = "librosa", scale: bool = True
) -> Plan:
    """Build the filters of a transform, once for each set of numbers.

    Args:
        bins: The bins.
        hop_length: Samples from one frame to the next.
        algorithm: "direct", "downsample" or "auto", which is librosa's result.
        normalization: "librosa", "convolutional" or "wrap".
        scale: Whether librosa's values are divided by the root of the filters' lengths.
    """
    downsample = algorithm != "direct"
    octaves = -(-bins.n_bins // bins.bins_per_octave)
    factor = _early_factor(bins, hop_length, octaves) if downsample else 1
    rate, hop = bins.sample_rate / factor, hop_length // factor
    gains = _gains(bins.lengths, normalization, scale)
    stages, stop = [], bins.n_bins
    while stop:
        choice = slice(max(0, stop - bins.bins_per_octave), stop)
        # `responses` are larger by the filter's length at the rate it runs at
        change = gains[choice] * (bins.sample_rate / rate)
        kernels = responses(bins, choice, rate) * change[:, None]
        stop = choice.start
        halve = downsample and hop % 2 == 0 and stop > 0
        stages.append(stage(kernels, hop, halvings(2 if halve else 1)))
        if halve:
            rate, hop = rate / 2, hop // 2
    return Plan(tuple(stages), halvings(factor))


def _gains(lengths: NumpyArray, normalization: str, scale: bool) -> NumpyArray:
    """Give the factors from "filter times its length" to the wanted normalisation."""
    if normalization == "librosa":
        return lengths**-0.5 if scale else np.ones(len(lengths))
    return (2.0 if normalization == "wrap" else 1.0) / lengths


def _early_factor(bins: Bins, hop_length: int, octaves: int) -> int:
    """Give the factor by which librosa lowers the rate before the top octave."""
    nyquist = bins.sample_rate / 2
    room = math.ceil(math.log2(nyquist / bins.cutoff)) - 2
    twos = (hop_length & -hop_length).bit_length() - 1
    count = min(max(0, room), max(0, twos - octaves + 1))
    return int(min(2**count, FACTORS[-1]))
