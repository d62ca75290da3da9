"""What the solvers of a factorisation share: the problem, when to stop, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

Told = Callable[[int, float], object]

_SPAN = 10  # iterations over which the objective must fall


@dataclass(frozen=True)
class Problem:
    """One spectrogram to be factorised, and what is asked of its factors.

    Attributes:
        V: The spectrogram (freq, frames).
        beta: Which divergence is minimised.
        n_fixed: How many leading columns of W stay as they are.
        l1: Weight of the sum of H.
        temporal_continuity: Weight of the relative changes of H from frame to frame.
        W_zeros: Where W must stay zero, or None.
        H_zeros: Where H must stay zero, or None.
        n_iter: The most iterations.
        tol: Fall of the objective, relative to its first value, that is worth ten iterations.
        check_every: Iterations between two values of the objective, where these cost time.
        progress: Called with the iterations made and the objective.
    """

    V: Tensor
    beta: float = 2.0
    n_fixed: int = 0
    l1: float = 0.0
    temporal_continuity: float = 0.0
    W_zeros: Tensor | None = None
    H_zeros: Tensor | None = None
    n_iter: int = 200
    tol: float = 0.0
    check_every: int = 1
    progress: Told | None = None

    def penalty(self, H: Tensor) -> float:
        """Give what the penalties add to the objective.

        Args:
            H: Activations.
        """
        total = self.l1 * float(H.sum(dtype=torch.float64)) if self.l1 else 0.0
        if self.temporal_continuity:
            exact = H.to(torch.float64)
            energy = exact.square().sum(-1).clamp_min(torch.finfo(torch.float64).tiny)
            change = exact.diff(dim=-1).square().sum(-1)
            total += self.temporal_continuity * H.shape[-1] * float((change / energy).sum())
        return total


class Outcome(NamedTuple):
    """The factors of one spectrogram, and how the objective fell."""

    W: Tensor
    H: Tensor
    record: Record


@dataclass
class Record:
    """The objective so far.

    Attributes:
        tol: Fall of the objective, relative to its first value, that is worth ten iterations.
        values: The objective at some iterations.
        iterations: At which ones; the first is 0, the start.
        converged: Whether the objective has settled.
        progress: Called with every iteration and value that is noted.
    """

    tol: float
    values: list[float] = field(default_factory=list)
    iterations: list[int] = field(default_factory=list)
    converged: bool = False
    progress: Told | None = None

    def add(self, iteration: int, value: float) -> bool:
        """Note a value and tell whether the objective has settled.

        Args:
            iteration: How many iterations led to it.
            value: The objective.
        """
        self._note(iteration, value)
        before = [
            earlier
            for earlier, at in zip(self.values, self.iterations, strict=True)
            if at <= iteration - _SPAN
        ]
        if value == 0.0:
            self.converged = True
        elif self.tol > 0 and before:
            self.converged = before[-1] - value <= self.tol * self.values[0]
        return self.converged

    def reject(self, iteration: int) -> None:
        """Note that what the last iterations did was taken back.

        Args:
            iteration: The last of them.
        """
        self._note(iteration, self.values[-1])

    def _note(self, iteration: int, value: float) -> None:
        self.values.append(value)
        self.iterations.append(iteration)
        if self.progress is not None:
            self.progress(iteration, value)


def unit_templates(W: Tensor, H: Tensor, n_fixed: int) -> tuple[Tensor, Tensor]:
    """Give the free templates unit energy, and what they had to the activations.

    The penalty of activations could be evaded by louder templates otherwise.

    Args:
        W: Templates.
        H: Activations.
        n_fixed: How many leading templates stay as they are.

    Shape:
        W: (freq, components)
        H: (components, frames)
        returns: those of W and H
    """
    norm = W.norm(dim=0)
    norm[:n_fixed] = 1.0
    norm = torch.where(norm > 0, norm, torch.ones_like(norm))
    return W / norm, H * norm[:, None]
