"""Extreme rays of the cone of frames: XRAY, and the greedy choice of two passes.

XRAY takes a frame i that is outside of the cone of those chosen, and chooses the frame that goes
the farthest in the direction R_i of what remains of it:

    j = argmax <R_i, v_j> / <p, v_j>        with any positive p

With frames of sum one, p = 1 makes the divisor one. With frames as they are, p = 1 fails already
where a loud frame is the mixture of two others, all three of which then tie; a random p does not.

References:
    [Kumar2013] A. Kumar, V. Sindhwani, P. Kambadur, Fast conical hull algorithms for near-separable
        non-negative matrix factorization, ICML.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave.decomposition._gram import Chosen, Frames, inner
from unweave.decomposition._spa import STOP, longest
from unweave.decomposition._weights import solve

_BLOCK = 2**22  # products of what remains of some frames with all frames


def select(
    frames: Frames,
    count: int,
    selection: str,
    generator: torch.Generator,
    equal_sums: bool = True,
) -> list[int]:
    """Choose frames whose cone is near the others.

    Args:
        frames: What is chosen from.
        count: How many at most.
        selection: How the frame outside the cone is found: the one of which the most remains
            ("max"), whose remainder has the most in common with all frames ("dist"), or any
            ("rand"); "greedy" chooses at once the frame that explains the most.
        generator: Of what is random.
        equal_sums: Whether all frames, times their gains, have the same sum.

    Returns:
        The indices, fewer where all frames are in the cone of those chosen.

    Example:
        >>> frames = Frames(torch.eye(3, 4), torch.ones(4).double())
        >>> select(frames, 4, "max", torch.Generator().manual_seed(0))
        [0, 1, 2]
    """
    chosen, left = Chosen(frames, count), frames.energy.clone()
    h = left.new_zeros(len(left), 0)
    G = frames.all_products() if selection in ("dist", "greedy") else None
    divisor = 1.0 if equal_sums else _divisor(frames, generator)
    enough = STOP * float(left.max())
    while len(chosen.indices) < count and float(left.max()) > enough:
        if G is not None and selection == "greedy":
            score = _scores(G, h, chosen, 2) / frames.energy
        else:
            outside = _outside(selection, left, generator, (G, h, chosen))
            score = (frames.products(outside) - chosen.b @ h[outside]) / divisor
        score = torch.where(frames.gains > 0, score, -torch.inf)
        score[chosen.indices] = -torch.inf
        chosen.add(longest(score, frames.energy))
        h, left = solve(chosen.A, chosen.b, frames.energy, pad(h, (0, 1)), hull=False)
        left[chosen.indices] = 0
    return chosen.indices


def select_in_two_passes(frames: Frames, count: int) -> list[int]:
    """Choose the frames that explain the most, then choose each again in the light of the others.

    The score of a frame is what the remainders have in common with it, sum_i <R_i, v_j>_+ / |v_j|.
    In the first pass the remainders are those of the hull. It begins with what explains a little of
    everything; so a second pass drops each frame in turn, the oldest first, and chooses again.

    Args:
        frames: What is chosen from.
        count: How many at most.

    Returns:
        The indices, fewer where all frames are in the hull of those chosen.

    Example:
        >>> V = torch.cat([torch.eye(3), torch.ones(3, 1) / 3], 1)
        >>> sorted(select_in_two_passes(Frames(V, torch.ones(4).double()), 3))
        [0, 1, 2]
    """
    chosen, left = Chosen(frames, count), frames.energy.clone()
    h = left.new_zeros(len(left), 0)
    G, enough = frames.all_products(), STOP * float(left.max())
    while len(chosen.indices) < count and float(left.max()) > enough:
        chosen.add(_most(G, h, chosen))
        h, left = solve(chosen.A, chosen.b, frames.energy, pad(h, (0, 1)), hull=True)
        left[chosen.indices] = 0
    for _ in range(len(chosen.indices)):
        chosen.drop_first()
        start = h.new_zeros(len(left), len(chosen.indices))
        h, left = solve(chosen.A, chosen.b, frames.energy, start, hull=False)
        if float(left.max()) > enough:  # else the others had no need of it
            chosen.add(_most(G, h, chosen))
    return chosen.indices


def _divisor(frames: Frames, generator: torch.Generator) -> Tensor:
    """Give <p, v_j> for a random p near 1."""
    p = 0.5 + torch.rand(len(frames.V), 1, generator=generator, dtype=torch.float64)
    return inner(frames.V, p.to(frames.V.device))[:, 0] * frames.gains


def _outside(
    selection: str,
    left: Tensor,
    generator: torch.Generator,
    known: tuple[Tensor | None, Tensor, Chosen],
) -> int:
    """Give a frame that is outside the cone of those chosen."""
    G, h, chosen = known
    if G is not None:
        return int(_distances(G, h, chosen).argmax())
    if selection == "max":
        return longest(left, chosen.frames.energy)
    outside = (left > STOP * chosen.frames.energy.max()).nonzero().flatten()
    return int(outside[torch.randint(len(outside), (), generator=generator)])


def _most(G: Tensor, h: Tensor, chosen: Chosen) -> int:
    """Give the frame, of those not chosen, that has the most in common with what remains."""
    energy = chosen.frames.energy
    score = _scores(G, h, chosen, 1) / energy.sqrt()
    score = torch.where(energy > 0, score, -torch.inf)
    score[chosen.indices] = -torch.inf
    return longest(score, energy)


def _scores(G: Tensor, h: Tensor, chosen: Chosen, power: int) -> Tensor:
    """Give sum_i <R_i, v_j>_+ ** power for every frame j."""
    total = torch.zeros_like(chosen.frames.energy)
    for _, common in _remaining(G, h, chosen):
        total += (common if power == 1 else common.square_()).sum(0)
    return total


def _distances(G: Tensor, h: Tensor, chosen: Chosen) -> Tensor:
    """Give sum_j <R_i, v_j>_+ ** 2 for every frame i."""
    total = torch.zeros_like(chosen.frames.energy)
    for part, common in _remaining(G, h, chosen):
        total[part] = common.square_().sum(1).to(total.dtype)
    return total


def _remaining(G: Tensor, h: Tensor, chosen: Chosen) -> Iterator[tuple[slice, Tensor]]:
    """Give <R_i, v_j>_+ for some frames i, and all j, at a time."""
    rows, columns = h.to(G.dtype), chosen.b.mT.to(G.dtype)
    step = max(1, _BLOCK // len(G))
    for start in range(0, len(G), step):
        part = slice(start, start + step)
        yield part, (G[part] - rows[part] @ columns).clamp_min_(0)
