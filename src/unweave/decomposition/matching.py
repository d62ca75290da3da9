"""Which component is which source: every pair is compared, and the best pairing is found.

A decomposition gives its components in no particular order. All ratios below follow from inner
products of references s and estimates e alone, so that one pass over the signals compares all
pairs:

    SNR     |s|^2 / |s - e|^2             |s - e|^2 = |s|^2 - 2 <s, e> + |e|^2
    SI-SDR  |a s|^2 / |a s - e|^2         a s is the projection of e on s
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unweave._core.arrays import two_array_function
from unweave._core.assignment import assign
from unweave.errors import ParameterError

METRICS = ("si_sdr", "snr", "norm_ratio")
PAIRINGS = ("one_to_one", "best")
_BLOCK = 2**15  # samples of each signal at once: what is made of them stays in the cache


class Match(NamedTuple):
    """Which estimate belongs to which reference.

    Attributes:
        indices: For each reference the index of its estimate, or -1 where it has none.
        scores: For each reference the ratio of that pair in dB, or nan where it has no estimate.
        table: The ratio of every pair in dB: references in rows, estimates in columns.
        unmatched: For each estimate whether it belongs to no reference.

    Example:
        >>> x = torch.eye(2, 8)[:, None]
        >>> match_components(x, x + 0.1).scores.round()
        tensor([12., 12.])
    """

    indices: Tensor
    scores: Tensor
    table: Tensor
    unmatched: Tensor


@two_array_function
def match_components(
    references: Tensor,
    estimates: Tensor,
    *,
    metric: str = "si_sdr",
    pairing: str = "one_to_one",
) -> Match:
    """Assign components to true sources, so that the sum of the ratios in dB is the largest.

    A silent reference has no ratio (nan) and takes no estimate. A silent estimate has a SI-SDR of
    -inf. With fewer estimates than references, some references stay without one; with more, some
    estimates do.

    Metric "norm_ratio" with pairing "best" gives the figures of demonstrations that take 10 log10
    of a ratio of norms and the best component of each reference. They differ from what is meant
    elsewhere: a ratio of norms in these units is *half* of the signal-to-noise ratio in dB, which
    compares energies; and where each reference chooses for itself, one component may stand for
    several sources while others stand for none, which flatters the mean.

    Args:
        references: True sources.
        estimates: Components, in any number and order.
        metric: "si_sdr", which forgives a wrong level; "snr", which does not; or "norm_ratio",
            half of "snr".
        pairing: "one_to_one" uses each estimate once at most [Kuhn1955]; "best" takes the best
            estimate of each reference, whether or not others take it too.

    Returns:
        Indices, scores, table and unmatched estimates. Ratios are exact to about 140 dB.

    Raises:
        ParameterError: Shapes do not fit, an option is unknown, or a signal has NaN or infinity.

    Shape:
        references: (..., sources, channels, time)
        estimates: (..., components, channels, time)
        returns: (..., sources), (..., sources), (..., sources, components), (..., components)

    Example:
        >>> references = torch.eye(2, 8)[:, None]
        >>> estimates = torch.stack([references[1] + 0.1, references[0], 0 * references[0] + 1])
        >>> match = match_components(references, estimates)
        >>> match.indices, match.unmatched
        (tensor([1, 0]), tensor([False, False,  True]))

    References:
        [Kuhn1955] The Hungarian method for the assignment problem, Naval Research Logistics 2.
    """
    _check(references, estimates)
    for name, value, allowed in (("metric", metric, METRICS), ("pairing", pairing, PAIRINGS)):
        if value not in allowed:
            raise ParameterError(f"{name}={value!r} must be one of {', '.join(allowed)}")
    lead, sources = references.shape[:-3], references.shape[-3]
    gram = _gram(references.detach(), estimates.detach())
    if not gram.isfinite().all():
        raise ParameterError("references and estimates must be finite, but hold NaN or infinity")
    table = _table(gram, sources, metric)
    pair = _one_to_one if pairing == "one_to_one" else _best
    flat = table.reshape(-1, *table.shape[-2:])
    indices = torch.tensor([pair(ratios) for ratios in flat.cpu()], dtype=torch.long)
    indices = indices.reshape(*lead, sources).to(table.device)
    return _result(table.to(references.dtype), indices)


def _check(references: Tensor, estimates: Tensor) -> None:
    for name, x in (("references", references), ("estimates", estimates)):
        if x.ndim < 3 or not x.is_floating_point() or 0 in x.shape[-3:]:
            raise ParameterError(
                f"{name} of shape {tuple(x.shape)} and dtype {x.dtype} must be real floating audio"
                " (..., sources, channels, time) with at least one sample"
            )
    first, second = references.shape, estimates.shape
    if first[:-3] != second[:-3] or first[-2:] != second[-2:]:
        raise ParameterError(
            f"references {tuple(first)} and estimates {tuple(second)} must have the same leading"
            " axes, channels and length: cut the longer ones"
        )


def _gram(references: Tensor, estimates: Tensor) -> Tensor:
    """Give the inner products of all signals with each other, in double precision."""
    total = references.new_zeros((), dtype=torch.float64)
    for start in range(0, references.shape[-1], _BLOCK):
        pieces = [x[..., start : start + _BLOCK].flatten(-2) for x in (references, estimates)]
        block = torch.cat([piece.to(torch.float64) for piece in pieces], -2)
        total = total + block @ block.mT
    return total


def _table(gram: Tensor, sources: int, metric: str) -> Tensor:
    """Give the ratio of each reference (row) and estimate (column) in dB."""
    energies = gram.diagonal(dim1=-2, dim2=-1)
    cross = gram[..., :sources, sources:]
    signal, other = energies[..., :sources, None], energies[..., None, sources:]
    if metric == "si_sdr":
        target = cross.square() / signal
        ratio = target / (other - target).clamp_min(0)
        ratio = torch.where(other == 0, 0.0, ratio)
    else:
        ratio = signal / (signal - 2 * cross + other).clamp_min(0)
    table = (5.0 if metric == "norm_ratio" else 10.0) * ratio.log10()
    return torch.where(signal == 0, torch.nan, table)


def _one_to_one(table: Tensor) -> list[int]:
    """Give the estimate of each reference, each estimate used once at most."""
    audible = [row for row in range(len(table)) if not table[row].isnan().any()]
    rows = table[audible]
    # Ratios that are not finite outweigh all others together, but do not swallow their digits.
    finite = rows.isfinite()
    huge = 2 * max(table.shape) * (1 + float(torch.where(finite, rows, 0.0).abs().sum()))
    costs = -rows.clamp(-huge, huge)
    found = [-1] * len(table)
    if costs.shape[0] <= costs.shape[1]:
        pairs = list(enumerate(assign(costs.tolist())))
    else:
        pairs = [(row, column) for column, row in enumerate(assign(costs.mT.tolist()))]
    for row, column in pairs:
        found[audible[row]] = column
    return found


def _best(table: Tensor) -> list[int]:
    """Give the best estimate of each reference."""
    return [-1 if row.isnan().any() else int(row.argmax()) for row in table]


def _result(table: Tensor, indices: Tensor) -> Match:
    scores = table.gather(-1, indices.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    scores = torch.where(indices < 0, torch.nan, scores)
    every = torch.arange(table.shape[-1], device=table.device)
    unmatched = (indices.unsqueeze(-1) != every).all(-2)
    return Match(indices, scores, table, unmatched)
