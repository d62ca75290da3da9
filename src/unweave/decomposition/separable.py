"""Separable factorisation: the templates are frames of the spectrogram itself.

V = W H with W = V[:, J]. If every source sounds alone in some frame, J are these frames, and they
can be found without any iteration that may end in a bad minimum: they are the corners of the cloud
of all frames.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import array_function
from unweave._core.checks import positive_int
from unweave.decomposition import _snpa, _spa, _xray
from unweave.decomposition._gram import Frames, energies, inner, sums
from unweave.decomposition._weights import solve
from unweave.errors import ParameterError

_SELECT = {"snpa": _snpa.select, "spa": _spa.select, "greedy": _xray.select_in_two_passes}
METHODS = ("snpa", "spa", "xray", "greedy")
SELECTIONS = ("max", "dist", "rand", "greedy")


class SeparableNMF(NamedTuple):
    """A factorisation whose templates are frames.

    Attributes:
        indices: The frames chosen, in the order in which they were found.
        W: These frames of the spectrogram.
        H: How much of each is in every frame.

    Example:
        >>> indices, W, H = separable_nmf(torch.eye(3), 2)
        >>> indices, W.shape, H.shape
        (tensor([0, 1]), torch.Size([3, 2]), torch.Size([2, 3]))
    """

    indices: Tensor
    W: Tensor
    H: Tensor


@array_function
def separable_nmf(
    V: Tensor,
    n_components: int,
    *,
    method: str = "snpa",
    normalize: bool = True,
    gate_db: float | None = 60.0,
    selection: str = "max",
    generator: torch.Generator | None = None,
) -> SeparableNMF:
    """Explain a spectrogram by some of its own frames.

    The activations are the non-negative least-squares solution for the spectrogram as it is,
    whatever the frames were chosen by.

    The methods are "snpa" [Gillis2014b], the frame farthest from the hull of those chosen; "spa"
    [Araujo2001], the frame farthest from their span, which ends too early where sources are
    linearly dependent; "xray" [Kumar2013], corners of their cone; and "greedy", the frames that
    explain the most of what remains, each chosen anew in a second pass.

    Frames that are combinations of those chosen, down to 1e-9 of the largest energy, are never
    chosen. There may therefore be fewer components than asked for: no more than there are frames,
    than the rank with "spa", and none at all for silence. In a batch, items with fewer components
    than others are padded: with index -1, and zeros in W and H. Of frames that are alike, any one
    may be chosen.

    Time grows as components * freq * frames, and memory as components * frames; "greedy", and
    "xray" with selection "dist" and "greedy", need frames^2 values and more time: 240 MB for three
    minutes at 44.1 kHz and a hop of 1024.

    Args:
        V: Magnitudes; integers become float32. Without `normalize` they may be negative, for data
            with additive noise.
        n_components: How many frames at most.
        method: "snpa", "spa", "xray" or "greedy".
        normalize: Whether frames are compared at the same sum, so that loud mixtures do not hide
            the sources. Otherwise levels count: right only if no frame is louder than the sum of
            its parts.
        gate_db: Frames whose energy is by more than this many decibels below that of the loudest
            are not chosen: at the same sum, noise of silent frames would look like a source. None
            lets all frames but zeros be chosen.
        selection: With "xray", how the frame outside the cone is found that shows where to go:
            "max" (the most of it remains), "dist" (its remainder has the most in common with all
            frames) or "rand" (any); "greedy" takes at once the frame that explains the most, which
            is not correct even without noise.
        generator: For "rand", and for "xray" without `normalize`; the same every time by default.

    Returns:
        Indices, W and H.

    Raises:
        ParameterError: V has no values, or NaN, infinite or negative ones, or an option is out of
            range.

    Shape:
        V: (..., freq, frames)
        returns: (..., components), (..., freq, components), (..., components, frames)

    Example:
        >>> W = torch.tensor([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        >>> H = torch.tensor([[3.0, 1.0, 0.0, 2.0], [1.0, 0.0, 2.0, 2.0]])
        >>> found = separable_nmf(W @ H, 2)
        >>> found.indices, found.H
        (tensor([1, 2]), tensor([[3.0000, 1.0000, 0.0000, 2.0000],
                [0.5000, 0.0000, 1.0000, 1.0000]]))

    References:
        [Araujo2001] The successive projections algorithm for variable selection in spectroscopic
        multicomponent analysis, Chemometrics and Intelligent Laboratory Systems 57(2).
        [Kumar2013] A. Kumar, V. Sindhwani, P. Kambadur, Fast conical hull algorithms for
        near-separable non-negative matrix factorization, ICML.
        [Gillis2014b] N. Gillis, Successive nonnegative projection algorithm for robust nonnegative
        blind source separation, SIAM J. Imaging Sci. 7(2).
    """
    count = positive_int("n_components", n_components)
    _check_options(method, selection, gate_db)
    if not (V.is_floating_point() or V.is_complex()):
        V = V.to(torch.float32)
    _check_values(V, normalize)
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    items = V.detach().reshape(-1, *V.shape[-2:])
    found = []
    for item in items:
        power = energies(item)
        frames = Frames(item, _gains(item, power, normalize, gate_db), power)
        if method == "xray":
            found.append(_xray.select(frames, count, selection, generator, normalize))
        else:
            found.append(_SELECT[method](frames, count))
    return _result(V, items, found)


def _check_options(method: str, selection: str, gate_db: float | None) -> None:
    for name, value, allowed in (
        ("method", method, METHODS),
        ("selection", selection, SELECTIONS),
    ):
        if value not in allowed:
            raise ParameterError(f"{name}={value!r} must be one of {', '.join(allowed)}")
    number = isinstance(gate_db, int | float) and not isinstance(gate_db, bool)
    if gate_db is not None and not (number and 0 < gate_db < math.inf):
        raise ParameterError(f"gate_db={gate_db!r} must be None or a positive number of decibels")


def _check_values(V: Tensor, normalize: bool) -> None:
    if V.ndim < 2 or not V.is_floating_point() or not V.numel():
        raise ParameterError(
            f"V of shape {tuple(V.shape)} and dtype {V.dtype} must be a real spectrogram"
            " (..., freq, frames) with values: take .abs() of a complex one"
        )
    low, high = V.aminmax()
    if not (low.isfinite() and high.isfinite()):
        raise ParameterError("V must be finite, but holds NaN or infinity")
    if normalize and low < 0:
        raise ParameterError(
            f"V holds negative values, down to {float(low):.3g}: take magnitudes, or choose"
            " normalize=False for data with additive noise"
        )


def _gains(V: Tensor, energy: Tensor, normalize: bool, gate_db: float | None) -> Tensor:
    """Give what each frame is multiplied by: 0 where it is too silent to be chosen."""
    gate = 0.0 if gate_db is None else 10 ** (-gate_db / 10)
    audible = energy > gate * energy.max()
    if not normalize:
        return audible.to(torch.float64)
    return audible / torch.where(audible, sums(V), 1.0)


def _result(V: Tensor, items: Tensor, found: list[list[int]]) -> SeparableNMF:
    """Gather the templates and activations of all items, as many as the richest has."""
    count, (freq, frames) = max(map(len, found)), V.shape[-2:]
    indices = torch.full((len(items), count), -1, dtype=torch.long, device=V.device)
    W, H = V.new_zeros(len(items), freq, count), V.new_zeros(len(items), count, frames)
    for i, (item, chosen) in enumerate(zip(items, found, strict=True)):
        if chosen:
            size = len(chosen)
            indices[i, :size] = torch.tensor(chosen, device=V.device)
            W[i, :, :size] = item[:, chosen]
            atoms = item[:, chosen].to(torch.float64)
            b = inner(item, atoms)
            start = b.new_zeros(b.shape)
            h, _ = solve(atoms.mT @ atoms, b, energies(item), start, hull=False)
            H[i, :size] = h.mT
    lead = V.shape[:-2]
    return SeparableNMF(
        indices.reshape(*lead, count),
        W.reshape(*lead, freq, count),
        H.reshape(*lead, count, frames),
    )
