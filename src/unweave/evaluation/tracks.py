"""All scores of one track: of each stem, over the whole track and in windows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from unweave.errors import ParameterError
from unweave.evaluation.bsseval import BSSScores, bss_eval
from unweave.evaluation.scaleinvariant import si_sar, si_sir
from unweave.evaluation.sdr import sdr, si_sdr

METRICS = ("sdr", "si_sdr", "si_sir", "si_sar", "bss_sdr", "bss_isr", "bss_sir", "bss_sar")
"""Names of the scores in the order of tables: of whole tracks, then medians of windows."""


_PIECE = 2**20  # samples that are searched for sound at once


@dataclass(frozen=True)
class StemScores:
    """How near an estimated stem comes to the true one, in dB.

    Attributes:
        values: The scores by the names of `METRICS`; nan where there is no result.
        frames: Those of BSSEval in every window, each of shape (windows,); None if not measured.
    """

    values: Mapping[str, float]
    frames: BSSScores | None = None


@dataclass(frozen=True)
class BSSSettings:
    """How BSSEval measures; see `bss_eval`.

    Attributes:
        window: Length of a window in seconds.
        hop: Seconds from one window to the next.
        bits: Round signals to so many bits first, as campaigns' files did; None leaves them.
    """

    window: float = 1.0
    hop: float = 1.0
    bits: int | None = 16


def score_track(
    estimates: Mapping[str, Tensor],
    references: Mapping[str, Tensor],
    *,
    sample_rate: float,
    bss: BSSSettings | None = BSSSettings(),
) -> dict[str, StemScores]:
    """Score the estimated stems of a track by SDR, SI-SDR, SI-SIR, SI-SAR and BSSEval version 4.

    Interference is what shines through of all other true stems that are given, with an estimate or
    without, so give all there are. A stem that is silent throughout has no scores (nan) and
    takes no part in those of the others; so has one whose estimate is silent, except for its SDR,
    which is 0 dB.

    Args:
        estimates: Estimated stems by name.
        references: True stems by name; those without an estimate get no scores.
        sample_rate: In hertz.
        bss: How BSSEval measures; None leaves it out, which saves nine tenths of the time.

    Returns:
        The scores by name, in the order of the references.

    Raises:
        ParameterError: No stem has both, or the signals differ in shape.

    Shape:
        each (channels, time)

    Example:
        >>> noise = torch.randn(2, 1, 16000, generator=torch.Generator().manual_seed(0))
        >>> true = {"vocals": noise[0], "drums": noise[1]}
        >>> got = {"vocals": 0.9 * noise[0], "drums": noise[1] + 0.1 * noise[0]}
        >>> scores = score_track(got, true, sample_rate=8000)
        >>> [round(scores[stem].values["sdr"]) for stem in scores]
        [20, 20]
    """
    names = [name for name in references if name in estimates]
    if not names:
        raise ParameterError(
            f"estimates of {', '.join(estimates) or 'nothing'} and true stems"
            f" {', '.join(references) or 'none'} have no name in common"
        )
    shapes = {tuple(estimates[n].shape) for n in names} | {
        tuple(x.shape) for x in references.values()
    }
    if len(shapes) > 1 or len(min(shapes)) != 2:
        raise ParameterError(
            f"stems of the shapes {', '.join(map(str, sorted(shapes)))} were given: all must have"
            " one shape (channels, time)"
        )
    played = [name for name in names if bool(references[name].any())]
    sounding = [name for name in played if bool(estimates[name].any())]
    scores = {name: dict.fromkeys(METRICS, math.nan) for name in names}
    for name in played:
        scores[name]["sdr"] = float(sdr(estimates[name], references[name]))
    if not sounding:
        return {name: StemScores(values) for name, values in scores.items()}
    # What has no estimate stands in for its own, whose scores are not asked for
    others = [n for n in references if n not in estimates and bool(references[n].any())]
    e = torch.stack([*(estimates[n] for n in sounding), *(references[n] for n in others)])
    s = torch.stack([references[n] for n in (*sounding, *others)])
    for metric, measure in (("si_sdr", si_sdr), ("si_sir", si_sir), ("si_sar", si_sar)):
        for name, value in zip(sounding, measure(e, s).tolist(), strict=False):
            scores[name][metric] = value
    frames = {} if bss is None else _windows([*sounding, *others], e, s, sample_rate, bss)
    frames = {name: found for name, found in frames.items() if name in names}
    for name, found in frames.items():
        for metric, value in found.median()._asdict().items():
            scores[name][f"bss_{metric}"] = float(value)
    return {name: StemScores(values, frames.get(name)) for name, values in scores.items()}


def _windows(
    names: list[str], e: Tensor, s: Tensor, sample_rate: float, settings: BSSSettings
) -> dict[str, BSSScores]:
    """Measure BSSEval of the stems that it does not call silent, all together."""
    kept = [n for n in range(len(names)) if _audible(e[n], settings) and _audible(s[n], settings)]
    if not kept:
        return {}
    if len(kept) < len(names):  # copies only what must be
        names, e, s = [names[n] for n in kept], e[kept], s[kept]
    found = bss_eval(
        e,
        s,
        sample_rate=sample_rate,
        window=settings.window,
        hop=settings.hop,
        bits=settings.bits,
    )
    rows = zip(*(values.unbind() for values in found), strict=True)
    return {name: BSSScores(*row) for name, row in zip(names, rows, strict=True)}


def _audible(x: Tensor, settings: BSSSettings) -> bool:
    """Tell whether something is left in the sum of the channels, as BSSEval asks for."""
    steps = None if settings.bits is None else 2.0 ** (settings.bits - 1)
    for start in range(0, x.shape[-1], _PIECE):  # mostly the first will do
        part = x[:, start : start + _PIECE]
        rounded = part if steps is None else (part * steps).round()
        if bool((rounded.sum(0) != 0).any()):
            return True
    return False
