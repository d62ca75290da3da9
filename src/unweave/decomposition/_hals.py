"""Hierarchical alternating least squares: plain, accelerated and extrapolated.

Each row of a factor is solved exactly with the others kept, x_k = max(0, x_k + (b_k - a_k X)/a_kk),
from the products A = W'W and B = W'V (H likewise). One product with V costs as much as dozens of
sweeps over the rows, so the accelerated form [Gillis2012] makes several; the extrapolated form
[Ang2019] also goes on a little in the direction of the last step, and takes that back whenever the
objective would rise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch
from torch import Tensor

from unweave.decomposition._divergence import energy, gram_divergence
from unweave.decomposition._problem import Outcome, Problem, Record, unit_templates
from unweave.decomposition._products import over_threads, product, worthwhile

SWEEPS = 8  # over all rows for each product with V
_SHARE = 2**22  # multiplications that are worth a thread of their own
_FIRST, _FASTER, _SLOWER, _LIMIT_GROWS = 0.5, 1.05, 1.5, 1.01  # of the extrapolation [Ang2019]


def sweep(A: Tensor, B: Tensor, X: Tensor, sweeps: int = 1, first: int = 0) -> None:
    """Minimise <A, X X'> / 2 - <B, X> over X >= 0 by turns of rows, in place.

    Rows without energy (a_kk = 0) stay as they are, so that a component whose template died may
    come back with its activations, and the other way round.

    Args:
        A: Gram matrix of the other factor.
        B: Products of the other factor and the data; -inf keeps a value of X at zero.
        X: The factor; overwritten.
        sweeps: How often all rows have their turn.
        first: The first row that may change.

    Shape:
        A: (components, components)
        B: (components, count)
        X: (components, count)
    """
    energies = A.diagonal().tolist()
    for _ in range(sweeps):
        for k in range(first, len(A)):
            if energies[k] > 0:
                others = A[k] / energies[k]
                others[k] = 0
                rest = torch.addmv(B[k], X.mT, others, beta=1 / energies[k], alpha=-1)
                torch.clamp_min(rest, 0, out=X[k])


def compiled_sweep(A: Tensor, B: Tensor, X: Tensor, sweeps: int = 1, first: int = 0) -> None:
    """Do what `sweep` does, compiled, on the CPU: blocks of columns stay in the fastest cache."""
    kernels, (rows, columns) = import_module("unweave.decomposition._sweeps"), X.shape
    kernel = partial(kernels.sweeps, A.numpy(), B.contiguous().numpy(), X.numpy(), sweeps, first)
    blocks = -(-columns // kernels.columns(X.itemsize))
    over_threads(kernel, blocks, sweeps * rows * rows * columns // _SHARE)


def unit_sweep(A: Tensor, B: Tensor, X: Tensor, sweeps: int = 1, first: int = 0) -> None:
    """Do what `sweep` does over rows of unit energy, which makes the minimum a direction."""
    for _ in range(sweeps):
        for k in range(first, len(A)):
            rest = torch.addmv(B[k], X.mT, A[k], alpha=-1).add_(X[k], alpha=float(A[k, k]))
            rest.clamp_min_(0)
            norm = float(rest.norm())
            if norm > 0:
                torch.div(rest, norm, out=X[k])


@dataclass
class _Extrapolation:
    """How far to go on: 0 for one step after each that went too far."""

    factor: float = _FIRST
    limit: float = 1.0
    pause: bool = True

    def now(self) -> float:
        return 0.0 if self.pause else self.factor

    def worked(self) -> None:
        if not self.pause:
            self.factor = min(self.limit, self.factor * _FASTER)
            self.limit = min(1.0, self.limit * _LIMIT_GROWS)
        self.pause = False

    def failed(self) -> None:
        self.limit, self.factor, self.pause = self.factor, self.factor / _SLOWER, True


class _Steps:
    """One side's update at a time, of one problem; templates lie as rows, (components, freq)."""

    def __init__(self, p: Problem, sweeps: int) -> None:
        self.p, self.sweeps = p, sweeps
        self.solve = compiled_sweep if worthwhile(p.V) else sweep
        self.W_zeros = None if p.W_zeros is None else p.W_zeros.mT
        self.square = energy(p.V)

    def products(self, Wt: Tensor) -> tuple[Tensor, Tensor]:
        return Wt @ Wt.mT, product(self.p.V, Wt.mT)

    def activations(self, products: tuple[Tensor, Tensor], H: Tensor) -> Tensor:
        gram, cross = products
        if self.p.l1:
            cross = cross - self.p.l1
        if self.p.H_zeros is not None:
            cross = cross.masked_fill(self.p.H_zeros, -torch.inf)
        H = H.clone()
        self.solve(gram, cross, H, self.sweeps)
        return H

    def templates(self, Wt: Tensor, H: Tensor) -> tuple[Tensor, float]:
        """Give new templates and the objective."""
        gram, cross = H @ H.mT, product(self.p.V.mT, H.mT)
        free = cross if self.W_zeros is None else cross.masked_fill(self.W_zeros, -torch.inf)
        Wt = Wt.clone()
        solve = unit_sweep if self.p.l1 else self.solve
        solve(gram, free, Wt, self.sweeps, self.p.n_fixed)
        return Wt, gram_divergence(self.square, cross, gram, Wt) + self.p.penalty(H)

    def objective(self, products: tuple[Tensor, Tensor], H: Tensor) -> float:
        """Give the objective where the products with the templates are known."""
        gram, cross = products
        return gram_divergence(self.square, cross, gram, H) + self.p.penalty(H)


def hals(p: Problem, W: Tensor, H: Tensor, *, sweeps: int, extrapolate: bool) -> Outcome:
    """Minimise ||V - W H||^2 / 2 + l1 sum(H) over non-negative factors.

    Args:
        p: The problem; with l1 > 0 the free templates have unit energy.
        W: Initial templates.
        H: Initial activations.
        sweeps: How many sweeps over all rows each product with V serves.
        extrapolate: Whether to go on in the direction of the last step while that helps.

    Shape:
        W: (freq, components)
        H: (components, frames)

    References:
        [Cichocki2009] Fast local algorithms for large scale nonnegative matrix and tensor
        factorizations, IEICE Trans. E92-A(3).
        [Gillis2012] Accelerated multiplicative updates and hierarchical ALS algorithms for
        nonnegative matrix factorization, Neural Computation 24(4).
        [Ang2019] Accelerating nonnegative matrix factorization algorithms using extrapolation,
        Neural Computation 31(2).
    """
    if p.l1:
        W, H = unit_templates(W, H, p.n_fixed)
    steps, record = _Steps(p, sweeps), Record(p.tol, progress=p.progress)
    further = _Extrapolation()
    Wt, known = W.mT.contiguous(), p.n_fixed == W.shape[1]
    products = steps.products(Wt)
    record.add(0, steps.objective(products, H))
    best = start = last = (Wt, H)  # the accepted pair, where to go on from, the last step's end
    for iteration in range(1, p.n_iter + 1):
        factor = further.now() if extrapolate else 0.0
        if iteration > 1 and not known:
            products = steps.products(start[0])
        new_H = steps.activations(products, start[1])
        far_H = _beyond(new_H, last[1], factor)
        if known:
            new_Wt, value = Wt, steps.objective(products, far_H)
        else:
            new_Wt, value = steps.templates(start[0], far_H)
        if value > record.values[-1]:
            record.reject(iteration)
            if not factor:
                record.converged = True  # but for rounding, plain steps never raise it
                break
            further.failed()
            start = last = best
            continue
        further.worked()
        best, start = (new_Wt, far_H), (_beyond(new_Wt, last[0], factor), far_H)
        last = (new_Wt, new_H)
        if record.add(iteration, value):
            break
    return Outcome(best[0].mT.contiguous(), best[1], record)


def _beyond(new: Tensor, old: Tensor, factor: float) -> Tensor:
    return torch.lerp(old, new, 1 + factor).clamp_min_(0) if factor else new
