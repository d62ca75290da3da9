"""Non-negative least squares: how much of each template is in every frame."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave.decomposition._gram import energies, inner
from unweave.decomposition._weights import solve
from unweave.errors import ParameterError


@two_array_function
def nnls(W: Tensor, V: Tensor, *, backend: str = "auto") -> Tensor:
    """Give the activations H >= 0 whose product with templates is nearest to a spectrogram.

    Every frame is min_h |v - W h|^2 over h >= 0, by inner products in double precision. The
    compiled form is exact (an active-set method [Lawson1974]); the plain form makes one activation
    after the other optimal, up to 500 times. Where templates are linearly dependent, several
    activations are equally good. Gradients are not followed.

    Args:
        W: Templates, of any sign.
        V: A spectrogram, of any sign.
        backend: "auto", "compiled" (numba, on the CPU, on the threads torch uses) or "torch".

    Returns:
        The activations, in the spectrogram's dtype.

    Raises:
        ParameterError: Shapes or dtypes do not fit, or there are NaN or infinite values.
        DependencyError: backend="compiled" without numba.

    Shape:
        W: (..., freq, components)
        V: (..., freq, frames)
        returns: (..., components, frames)

    Example:
        >>> W = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> nnls(W, torch.tensor([[2.0], [5.0], [3.0]])).flatten()
        tensor([2., 3.])
        >>> nnls(W, torch.tensor([[2.0], [1.0], [-1.0]])).flatten()
        tensor([1.5000, 0.0000])

    References:
        [Lawson1974] C. L. Lawson, R. J. Hanson, Solving least squares problems, chapter 23.
    """
    fits = W.ndim >= 2 and V.ndim >= 2 and W.shape[:-1] == V.shape[:-1]
    if not fits or not W.is_floating_point() or not V.is_floating_point():
        raise ParameterError(
            f"W {tuple(W.shape)} ({W.dtype}) and V {tuple(V.shape)} ({V.dtype}) must be real"
            " floating matrices (..., freq, components) and (..., freq, frames)"
        )
    lead, count, frames = V.shape[:-2], W.shape[-1], V.shape[-1]
    out = V.new_zeros(*lead, count, frames)
    if not out.numel() or not V.shape[-2]:
        return out
    rows = out.reshape(-1, count, frames)
    flat = [x.detach().reshape(-1, *x.shape[-2:]) for x in (W, V)]
    for row, templates, spectrogram in zip(rows, *flat, strict=True):
        atoms = templates.to(torch.float64)
        b, energy = inner(spectrogram, atoms), energies(spectrogram)
        if not (b.isfinite().all() and energy.isfinite().all() and atoms.isfinite().all()):
            raise ParameterError("W and V must be finite, but hold NaN or infinity")
        start = b.new_zeros(b.shape)
        h, _ = solve(atoms.mT @ atoms, b, energy, start, hull=False, backend=backend)
        row.copy_(h.mT)
    return out
