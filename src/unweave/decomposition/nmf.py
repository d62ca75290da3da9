"""Non-negative matrix factorisation of spectrograms."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave.decomposition._coarse import Solver, coarse_start
from unweave.decomposition._divergence import mean
from unweave.decomposition._given import Given, check_beta, check_spectrogram
from unweave.decomposition._hals import SWEEPS, hals
from unweave.decomposition._level import level, louder, quieter
from unweave.decomposition._multiplicative import multiplicative
from unweave.decomposition._problem import Outcome, Problem, Record, Told
from unweave.decomposition._starts import INITS
from unweave.errors import ParameterError

# Of each solver how many iterations over some frames are worth it where there are many
_SOLVERS: dict[str, tuple[Solver, int]] = {
    "ehals": (partial(hals, sweeps=SWEEPS, extrapolate=True), 16),
    "ahals": (partial(hals, sweeps=SWEEPS, extrapolate=False), 0),
    "hals": (partial(hals, sweeps=1, extrapolate=False), 0),
    "emu": (partial(multiplicative, extrapolate=True), 80),
    "mu": (partial(multiplicative, extrapolate=False), 0),
}
SOLVERS = ("auto", *_SOLVERS)


class NMFResult(NamedTuple):
    """What a factorisation found.

    Attributes:
        W: Templates (..., freq, components), or (..., freq, components, template_frames).
        H: Activations (..., components, frames).
        objective: Values of the divergence with its penalties, summed over all bins, in double
            precision (..., values); the first is that of the start over all frames, and none is
            larger than the one before.
        iterations: After how many iterations each value was (..., values).
        n_iter: Iterations made; of several spectrograms the most.
        converged: Whether the objective settled before n_iter ended; of several all.

    Example:
        >>> result = nmf(torch.ones(5, 7), 1)
        >>> result.objective.dtype, bool(result.objective[-1] < 1e-6)
        (torch.float64, True)
    """

    W: Tensor
    H: Tensor
    objective: Tensor
    iterations: Tensor
    n_iter: int
    converged: bool


@array_function
@torch.no_grad()
def nmf(
    V: Tensor,
    n_components: int,
    *,
    beta: float = 2.0,
    init: str = "nndsvda",
    solver: str = "auto",
    n_iter: int = 200,
    tol: float = 1e-4,
    W: Tensor | None = None,
    H: Tensor | None = None,
    fixed_W: bool = False,
    n_fixed: int = 0,
    l1: float = 0.0,
    temporal_continuity: float = 0.0,
    n_starts: int = 1,
    check_every: int = 10,
    progress: Told | None = None,
    generator: torch.Generator | None = None,
) -> NMFResult:
    """Factorise spectrograms into templates and their activations, V = W H, all non-negative.

    Minimises the beta-divergence of V from W H, summed over all bins. The spectrograms of leading
    axes are factorised each for itself. Factors have the dtype and the device of V; nothing is
    differentiable.

    Args:
        V: Magnitudes or powers, finite and non-negative.
        n_components: Number of templates; more than bins or frames is allowed.
        beta: 2 for half the squared error, 1 for Kullback-Leibler, 0 for Itakura-Saito (data then,
            and below 0.01, have a floor of 1e-7 of their mean, -69 dB of powers), or any other
            number; those far from these leave the range of floats, and are then refused.
        init: Where to start: "nndsvda" (singular vectors, zeros filled), "nndsvd" (zeros kept: for
            HALS only), "separable" (the frames that SNPA selects), or "random".
        solver: "hals" (row by row; beta = 2 only), "ahals" (several sweeps for each product with
            V), "ehals" (which also extrapolates), "mu" (multiplicative updates, any beta), "emu"
            (which extrapolates), or "auto": "ehals" wherever it can do it, "emu" elsewhere. Both
            begin with some of the frames where there are thousands and no start is given.
        n_iter: The most iterations.
        tol: Stop when ten iterations lower the objective by no more than this part of its first
            value; 0 for never.
        W: Templates to start from, or only the leading ones. Zeros of W and H stay exactly zero
            with every solver, so that a score may say what sounds when.
        H: Activations to start from.
        fixed_W: Whether all templates stay as they are (supervised).
        n_fixed: How many leading templates of W stay as they are (semi-supervised).
        l1: Weight of the sum of all activations in the objective: larger values make them sparse.
            Templates that are not fixed then have unit energy.
        temporal_continuity: Weight of sum_k T sum_t (h_t - h_{t-1})^2 / sum_t h_t^2 in the
            objective (T frames): larger values make activations smooth; by "mu" or "emu".
        n_starts: How many starts are tried, the best of which is kept: the first is `init`, the
            others are random.
        check_every: Multiplicative updates evaluate the objective after so many iterations, since
            it costs nearly as much as one of them; HALS has it for nothing, after each.
        progress: Called with the iterations made and the objective, wherever that is evaluated; of
            every start and spectrogram anew, from 0.
        generator: Source of random starts; torch's own if not given.

    Returns:
        Templates, activations and how the objective fell. A silent spectrogram gives activations
        of zero, and templates of zero unless they are given.

    Raises:
        ParameterError: V is negative, not finite or empty; shapes do not fit; an option is out of
            range, or the solver cannot do it; floats do not hold such powers of such data.

    Shape:
        V: (..., freq, frames)
        W: (..., freq, components), or without the leading axes
        H: (..., components, frames), or without the leading axes
        returns: a named tuple, see NMFResult

    Example:
        >>> V = torch.rand(65, 3) @ torch.rand(3, 40)
        >>> W, H, *_ = nmf(V, 3, n_iter=1000, tol=0)
        >>> W.shape, H.shape, bool((V - W @ H).norm() < 0.05 * V.norm())
        (torch.Size([65, 3]), torch.Size([3, 40]), True)

    References:
        [Lee1999] Learning the parts of objects by non-negative matrix factorization, Nature 401.
        [Fevotte2011] Algorithms for nonnegative matrix factorization with the beta-divergence,
        Neural Computation 23(9).
        [Ang2019] Accelerating nonnegative matrix factorization algorithms using extrapolation,
        Neural Computation 31(2).
        [Boutsidis2008] SVD based initialization: a head start for nonnegative matrix factorization,
        Pattern Recognition 41(4).
    """
    V = check_spectrogram(V)
    count = positive_int("n_components", n_components)
    given = Given.checked(V, count, W, H, count if fixed_W else n_fixed)
    problem = Problem(
        V,
        beta=check_beta(beta),
        n_fixed=given.n_fixed,
        l1=non_negative("l1", l1),
        temporal_continuity=non_negative("temporal_continuity", temporal_continuity),
        n_iter=positive_int("n_iter", n_iter),
        tol=non_negative("tol", tol),
        check_every=positive_int("check_every", check_every),
        progress=progress,
    )
    solver = _check_solver(solver, init, problem)
    inits = [init] + ["random"] * (positive_int("n_starts", n_starts) - 1)
    done = []
    for v, factors in given.items(V):
        own = replace(problem, V=v)
        outcomes = (_solve(own, solver, factors, name, generator) for name in inits)
        done.append(min(outcomes, key=lambda outcome: outcome.record.values[-1]))
    return gathered(done, V.shape[:-2])


def _check_solver(solver: str, init: str, p: Problem) -> str:
    """Return the solver, "auto" resolved, or raise where it cannot do what is asked."""
    if solver not in SOLVERS:
        raise ParameterError(f"solver={solver!r} must be one of {', '.join(SOLVERS)}")
    if init not in INITS:
        raise ParameterError(f"init={init!r} must be one of {', '.join(INITS)}")
    quadratic = p.beta == 2 and not p.temporal_continuity
    if solver == "auto":
        solver = "ehals" if quadratic else "emu"
    if solver.endswith("hals") and not quadratic:
        raise ParameterError(
            f"solver={solver!r} minimises squared errors (beta=2) without temporal_continuity: use"
            " 'emu' or 'mu'"
        )
    if solver.endswith("mu") and init == "nndsvd":
        raise ParameterError(
            f"init='nndsvd' has zeros, which solver={solver!r} never leaves: use 'nndsvda'"
        )
    return solver


def _solve(
    p: Problem, solver: str, given: Given, init: str, generator: torch.Generator | None
) -> Outcome:
    """Factorise one spectrogram from one start."""
    peak = float(p.V.max())
    if not peak:
        return _silence(p, given)
    gain = level(peak)
    if gain != 1:
        done = _solve(louder(p, gain), solver, given.louder(gain), init, generator)
        return quieter(done, p, gain)
    start = given.start(p.V, init, positive=solver.endswith("mu"), generator=generator)
    p = replace(p, W_zeros=start.W_zeros, H_zeros=start.H_zeros)
    # Other powers of very quiet or loud data leave single precision: make their mean 1, which
    # makes H as much smaller, and the divergence by that to the power of beta
    gain = 1.0 if p.beta in (0, 1, 2) else 1 / mean(p.V)
    p = louder(p, gain)
    solve, coarse_steps = _SOLVERS[solver]
    W, H = start.W, start.H * gain
    if coarse_steps and given.chooses_templates:
        W, H = coarse_start(p, W, H, solve, coarse_steps)
    return quieter(solve(p, W, H), p, gain)


def _silence(p: Problem, given: Given) -> Outcome:
    """Give activations of zero, and the templates given."""
    W, H = p.V.new_zeros(len(p.V), given.count), p.V.new_zeros(given.count, p.V.shape[1])
    if given.W is not None:
        W[:, : given.W.shape[1]] = given.W
    return Outcome(W, H, Record(p.tol, [0.0], [0], True))


def gathered(outcomes: list[Outcome], lead: tuple[int, ...]) -> NMFResult:
    """Put the factors of all spectrograms together.

    Shorter histories are continued by their last value.

    Args:
        outcomes: Of each spectrogram.
        lead: The leading axes of the spectrograms.
    """
    records = [outcome.record for outcome in outcomes]
    length = max(len(record.values) for record in records)
    values, iterations = (
        torch.tensor([list(row) + [row[-1]] * (length - len(row)) for row in rows], dtype=dtype)
        for rows, dtype in (
            ([record.values for record in records], torch.float64),
            ([record.iterations for record in records], torch.int64),
        )
    )
    W, H = torch.stack([done.W for done in outcomes]), torch.stack([done.H for done in outcomes])
    return NMFResult(
        W.reshape(*lead, *W.shape[1:]),
        H.reshape(*lead, *H.shape[1:]),
        values.reshape(*lead, length),
        iterations.reshape(*lead, length),
        max(record.iterations[-1] for record in records),
        all(record.converged for record in records),
    )
