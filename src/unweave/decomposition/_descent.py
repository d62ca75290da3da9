"""The loop around multiplicative updates: extrapolation, and steps taken back where it failed."""

from __future__ import annotations

import math
from typing import Protocol

from torch import Tensor

from unweave.decomposition._problem import Outcome, Problem, Record


class Updates(Protocol):
    """What the loop needs of a model."""

    def objective(self, W: Tensor, H: Tensor) -> float: ...
    def step(self, W: Tensor, H: Tensor, far_W: Tensor, far_H: Tensor) -> tuple[Tensor, Tensor]: ...


class _Momentum:
    """Nesterov's sequence of extrapolations, started anew after each that went too far."""

    def __init__(self, on: bool) -> None:
        self.on, self.length, self.pause = on, 1.0, False

    def next(self) -> float:
        if not self.on or self.pause:
            return 0.0
        before, self.length = self.length, (1 + math.sqrt(1 + 4 * self.length**2)) / 2
        return (before - 1) / self.length

    def restart(self) -> None:
        self.length, self.pause = 1.0, True


def descend(p: Problem, updates: Updates, W: Tensor, H: Tensor, *, extrapolate: bool) -> Outcome:
    """Lower an objective by updates that, made at the last step's end, never raise it.

    Wherever the objective is evaluated and has risen, the steps since the last value are taken
    back, and the next ones are made without extrapolation.

    Args:
        p: How long, and when to stop.
        updates: What makes a step and evaluates the objective.
        W: Initial templates.
        H: Initial activations.
        extrapolate: Whether to make steps at points beyond the last step's end.
    """
    record, momentum = Record(p.tol, progress=p.progress), _Momentum(extrapolate)
    record.add(0, updates.objective(W, H))
    best = old = (W, H)
    for iteration in range(1, p.n_iter + 1):
        factor = momentum.next()
        far_W, far_H = _beyond(W, old[0], factor), _beyond(H, old[1], factor)
        old, (W, H) = (W, H), updates.step(W, H, far_W, far_H)
        if iteration % p.check_every and iteration < p.n_iter:
            continue
        value = updates.objective(W, H)
        if value > record.values[-1]:
            record.reject(iteration)
            if not extrapolate or momentum.pause:
                record.converged = True  # but for rounding, plain steps never raise it
                break
            (W, H), old = best, best
            momentum.restart()
            continue
        momentum.pause = False
        best = (W, H)
        if record.add(iteration, value):
            break
    return Outcome(*best, record)


def _beyond(new: Tensor, old: Tensor, factor: float) -> Tensor:
    """Go on where values rose; zeros stay zeros."""
    return (new - old).clamp_min_(0).mul_(factor).add_(new) if factor else new
