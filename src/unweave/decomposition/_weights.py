"""Non-negative weights of atoms: the compiled active-set method, or plain tensor operations.

Both forms take inner products only. The plain forms stop when nothing changes much any more, where
the compiled one is exact to rounding; it needs numba, and the CPU.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import import_module
from itertools import pairwise

import torch
from torch import Tensor

from unweave._core.forms import is_transformed
from unweave.decomposition.simplex import simplex_projection
from unweave.errors import DependencyError, ParameterError

BACKENDS = ("auto", "compiled", "torch")
_SHARE = 2**11  # frames that are worth a thread of their own
_AT_ONCE = 1024  # frames that stop together
_OPTIMAL = 1e-7  # of the norms of atom and frame: slopes smaller than it are none
_STOP = 1e-7  # of the first step: steps smaller than it end the iteration


@cache
def compiled_available() -> bool:
    """Tell whether numba can be imported.

    Returns:
        Whether the compiled form can run.

    Example:
        >>> compiled_available() in (True, False)
        True
    """
    try:
        import_module("numba")
    except ImportError:
        return False
    return True


def use_compiled(backend: str, like: Tensor) -> bool:
    """Choose the form.

    Args:
        backend: "auto", "compiled" or "torch".
        like: What the weights are of.

    Returns:
        Whether the compiled form runs.

    Raises:
        ParameterError: There is no such form, or the compiled one cannot do this.
        DependencyError: The compiled form is asked for, and numba is missing.

    Example:
        >>> use_compiled("torch", torch.ones(1))
        False
    """
    if backend not in BACKENDS:
        raise ParameterError(f"backend={backend!r} must be one of {', '.join(BACKENDS)}")
    here = like.device.type == "cpu" and not is_transformed() and not torch.compiler.is_compiling()
    if backend == "compiled":
        if not here:
            raise ParameterError("backend='compiled' works on the CPU only: use 'auto'")
        if not compiled_available():
            raise DependencyError(
                "backend='compiled' needs numba: install it with pip install 'unweave[fast]'"
            )
        return True
    return backend == "auto" and here and compiled_available()


def solve(
    A: Tensor, b: Tensor, energy: Tensor, h: Tensor, *, hull: bool, backend: str = "auto"
) -> tuple[Tensor, Tensor]:
    """Give the weights h >= 0 that bring sums of atoms nearest to frames.

    Args:
        A: Inner products of the atoms, in double precision.
        b: Inner products of frames and atoms.
        energy: Of each frame.
        h: Weights to start from, optimal among those that are zero where these are.
        hull: Whether the sum of the weights is at most one.
        backend: "auto", "compiled" or "torch".

    Returns:
        The weights, and the energy of what they leave of each frame.

    Shape:
        A: (atoms, atoms)
        b: (frames, atoms)
        energy: (frames,)
        h: (frames, atoms)
        returns: (frames, atoms), (frames,)

    Example:
        >>> A, b = torch.eye(2).double(), torch.tensor([[0.5, -1.0]]).double()
        >>> solve(A, b, torch.ones(1).double(), torch.zeros(1, 2).double(), hull=False)[0]
        tensor([[0.5000, 0.0000]], dtype=torch.float64)
    """
    if use_compiled(backend, A):
        return _compiled(A, b, energy, h, hull)
    work = _fast_gradient if hull else _coordinate_descent
    found = h.clone()
    for frames in torch.split(_improvable(A, b, energy, h, hull), _AT_ONCE):
        found[frames] = work(A, b[frames], h[frames])
    left = energy + (found * (found @ A - 2 * b)).sum(-1)
    return found, left.clamp_min(0)


def _improvable(A: Tensor, b: Tensor, energy: Tensor, h: Tensor, hull: bool) -> Tensor:
    """Give the frames that some atom, or the origin, would bring nearer."""
    gradient = h @ A - b
    slope, small = gradient, _OPTIMAL * (A.diagonal().clamp_min(0) * energy[:, None]).sqrt()
    if hull:  # weights go from the mixture so far to one corner, which may be the origin
        slope = torch.nn.functional.pad(gradient, (0, 1))
        slope = slope - (gradient * h).sum(-1, keepdim=True)
        small = torch.cat([small, _OPTIMAL * energy[:, None]], 1)
    improvable = (slope < -small).any(-1)
    return improvable.nonzero().flatten()


def _compiled(A: Tensor, b: Tensor, energy: Tensor, h: Tensor, hull: bool) -> tuple[Tensor, Tensor]:
    kernel = import_module("unweave.decomposition._activeset").solve_frames
    lift = float(A.diagonal().max()) if hull else 0.0
    Q = torch.nn.functional.pad(A, (0, 1, 0, 1)) + (lift or 1.0) if hull else A
    lift = (lift or 1.0) if hull else 0.0
    found, left = h.contiguous().clone(), torch.empty_like(energy)
    arrays = [x.contiguous().numpy() for x in (Q, b, energy, found, left)]
    threads = max(1, min(torch.get_num_threads(), len(b) // _SHARE))
    edges = [len(b) * i // threads for i in range(threads + 1)]
    spans = list(pairwise(edges))
    if threads == 1:
        kernel(*arrays, spans[0], lift)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda span: kernel(*arrays, span, lift), spans))
    return found, left


def _fast_gradient(A: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Find weights in the hull by projected gradient steps with momentum, restarted on increase.

    References:
        [Gillis2014] Successive nonnegative projection algorithm for robust nonnegative blind source
        separation, SIAM J. Imaging Sci. 7(2), whose inner solver this is.
    """
    steepest = torch.linalg.matrix_norm(A, 2)
    if not steepest > 0:
        return torch.zeros_like(h)
    alpha, y, first = 0.05, h, None
    objective = torch.inf
    for _ in range(500):
        new = simplex_projection(y - (y @ A - b) / steepest)
        moved = (new - h).norm()
        value = float((new * (new @ A - 2 * b)).sum())
        after = ((alpha**4 + 4 * alpha**2) ** 0.5 - alpha**2) / 2
        momentum = alpha * (1 - alpha) / (alpha**2 + after)
        rises = value > objective
        y = new if rises else new + momentum * (new - h)
        h, alpha, objective = new, (0.05 if rises else after), value
        first = moved if first is None else first
        if moved <= _STOP * first:
            break
    return h


def _coordinate_descent(A: Tensor, b: Tensor, h: Tensor) -> Tensor:
    """Find weights in the cone by making them optimal one after the other, again and again."""
    A, b, h = A.clone(), b.mT.contiguous(), h.mT.clone()
    diagonal = A.diagonal()
    silent = diagonal <= 0
    diagonal = torch.where(silent, 1, diagonal)
    first = None
    for _ in range(500):
        moved = h.new_zeros(())
        for i in range(len(A)):
            row = (h[i] + (b[i] - A[i] @ h) / diagonal[i]).clamp_min(0)
            row = torch.where(silent[i], 0, row)
            moved += (row - h[i]).square().sum() * diagonal[i]
            h[i] = row
        first = moved if first is None else first
        if moved <= _STOP**2 * first:
            break
    return h.mT
