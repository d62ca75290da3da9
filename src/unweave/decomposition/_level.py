"""Data of any level, and divergences of any number, within the precision of floats."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from unweave.decomposition._problem import Outcome, Problem
from unweave.errors import ParameterError

_QUIETEST, _LOUDEST = 1e-9, 1e9  # peaks whose squares and quotients are ordinary numbers
_MOST = 1e38  # single precision holds no larger gain


def level(peak: float) -> float:
    """Give what data are to be multiplied by: 1 wherever they can stay as they are.

    Args:
        peak: Their largest value.
    """
    return 1.0 if _QUIETEST < peak < _LOUDEST else min(1 / peak, _MOST)


def louder(p: Problem, gain: float) -> Problem:
    """Give the same problem with other data, whose best H is that much larger.

    The divergence, and what it is compared with, grow by the gain to the power of beta.

    Args:
        p: The problem.
        gain: Factor of the data.

    Raises:
        ParameterError: No float holds that power.
    """
    if gain == 1:
        return p
    told, scale = p.progress, _power(p, 1 / gain)

    def quieter_told(iteration: int, value: float) -> object:
        return told(iteration, value * scale) if told else None

    return replace(
        p,
        V=p.V * gain,
        l1=p.l1 * gain**-1 / scale,
        temporal_continuity=p.temporal_continuity / scale,
        progress=quieter_told,
    )


def quieter(done: Outcome, p: Problem, gain: float) -> Outcome:
    """Give what was found for the data themselves.

    Args:
        done: What was found for louder ones.
        p: The problem; its data do not matter.
        gain: Factor of the data.

    Raises:
        ParameterError: What was found is no longer a number.
    """
    scale = _power(p, 1 / gain)
    H = done.H / gain
    done.record.values[:] = [value * scale for value in done.record.values]
    fine = all(map(math.isfinite, done.record.values))
    if not (fine and bool(done.W.isfinite().all()) and bool(H.isfinite().all())):
        raise _beyond(p)
    return done._replace(H=H)


def _power(p: Problem, gain: float) -> float:
    try:
        scale = float(gain**p.beta)
    except OverflowError as error:
        raise _beyond(p) from error
    if not scale:
        raise _beyond(p)
    return scale


def _beyond(p: Problem) -> ParameterError:
    more = ", or give V.double()" if p.V.dtype == torch.float32 else ""
    return ParameterError(
        f"beta={p.beta:g} leaves the range of {p.V.dtype} with these data: choose one nearer to 0,"
        f" 1 or 2{more}"
    )
