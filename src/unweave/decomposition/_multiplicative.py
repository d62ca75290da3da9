"""Multiplicative updates for every beta-divergence, plain and extrapolated, block by block.

With y = W H the activations become

    H <- H (W' (V y^(beta-2)) / W' y^(beta-1))^g,

and W likewise. The exponent g of majorisation-minimisation [Fevotte2011] lets no objective rise.
A block of frames gives new activations and, while it lies in the processor's cache, its share of
the sums for the templates: no model of the whole spectrogram is ever built, and V is read once.
For the Kullback-Leibler divergence of large spectrograms compiled code does this in registers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unweave.decomposition._descent import descend
from unweave.decomposition._divergence import (
    blocks,
    divergence,
    energy,
    floors,
    gram_divergence,
    mean,
)
from unweave.decomposition._problem import Outcome, Problem, unit_templates
from unweave.decomposition._products import logarithm_sum, product, quotient_product, worthwhile

_HALVINGS = 20  # of a step that would raise the objective


def exponent(beta: float) -> float:
    """Give the exponent of majorisation-minimisation.

    Args:
        beta: Which divergence.
    """
    if beta < 1:
        return 1 / (2 - beta)
    return 1 / (beta - 1) if beta > 2 else 1.0


def terms(v: Tensor, y: Tensor, beta: float) -> tuple[Tensor, Tensor | None]:
    """Give v y^(beta-2) and y^(beta-1); the latter is None where it is one everywhere.

    Args:
        v: Data.
        y: Model, positive; overwritten.
        beta: Which divergence.
    """
    if beta == 1:
        return torch.div(v, y, out=y), None
    if beta == 0:
        inverse = y.reciprocal_()
        return inverse.square().mul_(v), inverse
    if beta == 2:
        return v, y
    power = y ** (beta - 2)
    return power * v, y.mul_(power)


@dataclass
class Sums:
    """Numerators and denominators of templates, (components, freq), as blocks add up.

    Attributes:
        above: Numerators.
        below: Denominators, or one for all bins.
    """

    above: Tensor
    below: Tensor

    @classmethod
    def empty(cls, count: int, W: Tensor, beta: float) -> Sums:
        """Start sums.

        Args:
            count: Number of templates.
            W: Tells the number of bins, the dtype and the device.
            beta: Which divergence.
        """
        above = W.new_zeros(count, len(W))
        return cls(above, torch.zeros_like(above[:, :1] if beta == 1 else above))

    def add(self, v: Tensor, y: Tensor, h: Tensor, beta: float) -> None:
        """Add a block.

        Args:
            v: Data.
            y: Model, positive; overwritten.
            h: Activations.
            beta: Which divergence.
        """
        above, below = terms(v, y, beta)
        self.above.addmm_(h, above.mT)  # in this order MKL takes a quarter less than in the other
        if below is None:
            self.below += h.sum(1, keepdim=True)
        else:
            self.below.addmm_(h, below.mT)


class Updates:
    """The updates of one problem.

    Args:
        p: The problem.
    """

    def __init__(self, p: Problem) -> None:
        self.p, self.exponent = p, exponent(p.beta)
        # The energy of templates in the penalty bends the majorant: less of a step is safe
        bent = p.l1 > 0 and p.beta < 2
        self.template_exponent = 1 / (3 - p.beta) if bent else self.exponent
        self.tiny = torch.finfo(p.V.dtype).tiny
        self.floor = floors(p.V, p.beta) if p.beta != 2 else (0.0, 0.0)
        self.square = energy(p.V) if p.beta == 2 else math.nan
        self.compiled = p.beta == 1 and worthwhile(p.V)
        self.total = mean(p.V) * p.V.numel() if self.compiled else math.nan

    def objective(self, W: Tensor, H: Tensor) -> float:
        """Give the objective with its penalties.

        Args:
            W: Templates.
            H: Activations.
        """
        p = self.p
        if p.beta == 2:
            fit = gram_divergence(self.square, product(p.V.mT, H.mT), H @ H.mT, W.mT)
        elif self.compiled and p.V.dtype == torch.float32:
            fit = self._kullback_leibler(W, H)
        else:
            fit = divergence(p.V, lambda part: W @ H[:, part], p.beta, self.floor)
        return fit + p.penalty(H)

    def _kullback_leibler(self, W: Tensor, H: Tensor) -> float:
        exact, floor = torch.float64, self.floor[1]
        model = float(W.sum(0, dtype=exact) @ H.sum(1, dtype=exact)) + floor * self.p.V.numel()
        return logarithm_sum(self.p.V, W, H, floor) - self.total + model

    def step(self, W: Tensor, H: Tensor, far_W: Tensor, far_H: Tensor) -> tuple[Tensor, Tensor]:
        """Update H at one point, then W at another.

        Args:
            W: Templates that H is updated for.
            H: Activations, from which a step that raises the objective is shortened.
            far_W: The point where W is updated.
            far_H: The point where H is updated.
        """
        p, known = self.p, self.p.n_fixed == W.shape[1]
        if p.beta == 2:
            H = self._quadratic(W.mT, far_H, self._extra(far_H), p.V, W.mT @ W)
            H = self._shortened(W, far_H, H)
            return self._even(W if known else self._quadratic_templates(far_W, H), H)
        if p.temporal_continuity:
            H = self._shortened(W, far_H, self._pass(W, far_H, None)[0])
            sums = None if known else self._pass(None, H, far_W)[1]
        else:
            H, sums = self._pass(W, far_H, None if known else far_W)
        return self._even(W if sums is None else self._templates(far_W, H, sums), H)

    def _even(self, W: Tensor, H: Tensor) -> tuple[Tensor, Tensor]:
        return unit_templates(W, H, self.p.n_fixed) if self.p.l1 else (W, H)

    def _extra(self, H: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """Give what the penalties add to numerators and denominators of activations."""
        p = self.p
        if not p.temporal_continuity:
            return 0.0, p.l1
        # T sum (h_t - h_{t-1})^2 / sum h^2: the gradient's negative and positive parts, with an
        # edge's missing neighbour standing for itself
        weight = 2 * p.temporal_continuity * H.shape[1]
        square = H.square().sum(1, keepdim=True).clamp_min(self.tiny)
        change = H.diff(dim=1).square().sum(1, keepdim=True)
        near = torch.zeros_like(H)
        near[:, 1:] += H[:, :-1]
        near[:, :-1] += H[:, 1:]
        neighbours = torch.full_like(H[:1], 2.0)
        neighbours[:, :1] -= 1
        neighbours[:, -1:] -= 1
        return weight * (near / square + H * change / square**2), weight * (
            neighbours * H / square
        ) + p.l1

    def _quadratic(
        self,
        Wt: Tensor,
        H: Tensor,
        extra: tuple[Tensor | float, Tensor | float],
        V: Tensor,
        gram: Tensor,
    ) -> Tensor:
        """Update for half the squared error, from products only."""
        above, below = product(V, Wt.mT) + extra[0], gram @ H + extra[1]
        return above.div_(below.clamp_min_(self.tiny)).mul_(H)

    def _quadratic_templates(self, W: Tensor, H: Tensor) -> Tensor:
        h = H[self.p.n_fixed :]
        return self._templates(W, H, Sums(product(self.p.V.mT, h.mT), (h @ H.mT) @ W.mT))

    def _pass(
        self, W: Tensor | None, H: Tensor, far_W: Tensor | None
    ) -> tuple[Tensor, Sums | None]:
        """Read V once: update H unless W is None, and sum for far_W unless that is None."""
        if self.compiled:
            return self._compiled_pass(W, H, far_W)
        p, beta = self.p, self.p.beta
        sums, new = None, H
        model: Tensor | None = None
        H = torch.cat([H, torch.ones_like(H[:1])])  # a component that stands for the floor
        if far_W is not None:
            sums = Sums.empty(far_W.shape[1] - p.n_fixed, far_W, beta)
            far_W = with_floor(far_W, self.floor[1])
        if W is not None:
            new, (more, less), total = torch.empty_like(new), self._extra(new), W.sum(0)[:, None]
            floored = with_floor(W, self.floor[1])
        for part in blocks(p.V):
            h, v = H[:, part], p.V[:, part]
            v = v.clamp_min(self.floor[0]) if self.floor[0] else v
            if model is None or model.shape != v.shape:
                model = torch.empty_like(v)  # in the order in which the data lie
            if W is not None:
                above, rest = terms(v, torch.mm(floored, h, out=model), beta)
                above = W.mT @ above
                below = total.expand_as(above).clone() if rest is None else W.mT @ rest
                above += more if isinstance(more, float) else more[:, part]
                below += less if isinstance(less, float) else less[:, part]
                ratio = above.div_(below.clamp_min_(self.tiny))
                h = torch.cat([power(ratio, self.exponent).mul_(h[:-1]), h[-1:]])
                new[:, part] = h[:-1]
            if far_W is not None and sums is not None:
                sums.add(v, torch.mm(far_W, h, out=model), h[p.n_fixed : -1], beta)
        return new, sums

    def _compiled_pass(
        self, W: Tensor | None, H: Tensor, far_W: Tensor | None
    ) -> tuple[Tensor, Sums | None]:
        V, floor = self.p.V, self.floor[1]
        if W is not None:
            more, less = self._extra(H)
            above = quotient_product(V, W, H, floor) + more
            below = (W.sum(0)[:, None] + less).clamp_min(self.tiny)
            H = above.div_(below).mul_(H)
        if far_W is None:
            return H, None
        above = quotient_product(V.mT, H.mT, far_W.mT, floor)[self.p.n_fixed :]
        return H, Sums(above, H[self.p.n_fixed :].sum(1, keepdim=True))

    def _templates(self, W: Tensor, H: Tensor, sums: Sums) -> Tensor:
        p, free = self.p, W[:, self.p.n_fixed :]
        below = sums.below
        if p.l1:  # the gradient of ||w_k|| sum_t h_kt
            loudness = H[p.n_fixed :].sum(1) / free.norm(dim=0).clamp_min(self.tiny)
            below = below + (p.l1 * loudness * free).mT
        ratio = power(sums.above / below.clamp_min(self.tiny), self.template_exponent)
        return torch.cat([W[:, : p.n_fixed], ratio.mT * free], 1)

    def _shortened(self, W: Tensor, H: Tensor, new: Tensor) -> Tensor:
        """Shorten a step until the objective does not rise; temporal continuity has no majorant."""
        if not self.p.temporal_continuity:
            return new
        before = self.objective(W, H)
        ratio = new / torch.where(H > 0, H, torch.ones_like(H))
        for _ in range(_HALVINGS):
            if self.objective(W, new) <= before:
                return new
            ratio = ratio.sqrt_()
            new = H * ratio
        return H


def power(ratio: Tensor, exponent: float) -> Tensor:
    """Raise to a power in place, which costs nothing where it is one.

    Args:
        ratio: What is raised.
        exponent: The power.
    """
    return ratio if exponent == 1 else ratio.pow_(exponent)


def with_floor(W: Tensor, floor: float) -> Tensor:
    """Append a template that stands for the floor of the model.

    Args:
        W: Templates (freq, components).
        floor: Its value.
    """
    return torch.cat([W, torch.full_like(W[:, :1], floor)], 1)


def multiplicative(p: Problem, W: Tensor, H: Tensor, *, extrapolate: bool) -> Outcome:
    """Minimise a beta-divergence and penalties by multiplicative updates.

    Args:
        p: The problem; with l1 > 0 the free templates have unit energy.
        W: Initial templates; zeros stay.
        H: Initial activations; zeros stay.
        extrapolate: Whether to update at points beyond the last step's end [Hien2025]. Wherever
            the objective is evaluated and has risen, the steps since the last value are taken back,
            and the next ones are plain.

    Shape:
        W: (freq, components)
        H: (components, frames)

    References:
        [Fevotte2011] Algorithms for nonnegative matrix factorization with the beta-divergence,
        Neural Computation 23(9).
        [Hien2025] Block majorization minimization with extrapolation and application to beta-NMF,
        SIAM Journal on Mathematics of Data Science.
        [Virtanen2007] Monaural sound source separation by nonnegative matrix factorization with
        temporal continuity and sparseness criteria, IEEE TASLP 15(3).
    """
    if p.l1 or p.temporal_continuity:
        W, H = unit_templates(W, H, p.n_fixed)
    return descend(p, Updates(p), W, H, extrapolate=extrapolate)
