"""Runs the plan of a constant-Q transform on signals: one matrix product an octave."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.forms import needs_plain_form
from unweave._core.fourier import Finish, in_blocks
from unweave._core.frames import Framing
from unweave.errors import ParameterError
from unweave.transforms._cq_plan import Plan
from unweave.transforms._decimate import decimate


def filterbank(
    rows: Tensor,
    plan: Plan,
    *,
    pad_mode: str = "constant",
    finish: Finish | None = None,
    kernels: tuple[Tensor, ...] = (),
) -> Tensor:
    """Give the values of all bins at all frames; linear in the signal as long as `finish` is.

    Args:
        rows: Real signals, float32 or float64.
        plan: The stages of the transform.
        pad_mode: What continues the signal of each stage at its ends.
        finish: Turns complex values (rows, some frames, bins) into what is wanted of each.
        kernels: Filters that stand for those of the stages, such as trained ones.

    Returns:
        Complex values, or what `finish` made of them.

    Raises:
        ParameterError: The signal is too short to be mirrored.

    Shape:
        rows: (rows, time)
        returns: (rows, frames, bins)
    """

    def values(products: Tensor) -> Tensor:
        spectra = torch.view_as_complex(products.unflatten(-1, (-1, 2)))
        return spectra if finish is None else finish(spectra)

    count = plan.count(rows.shape[-1])
    if plan.factor > 1:
        rows = decimate(rows, plan.factor)
    parts = []
    for index, stage in enumerate(plan.stages):
        weights = kernels[index].to(rows) if kernels else stage.kernels(rows)
        padded = _padded(rows, stage.n_fft // 2, pad_mode)
        framing = Framing(weights[:, 0], stage.hop_length, center=False)
        parts.append(
            in_blocks(padded, framing, count, lambda f, w=weights: values(f @ w), (weights,))
        )
        if stage.halve:
            rows = decimate(rows, 2)
    return torch.cat(parts[::-1], -1)


def _padded(rows: Tensor, margin: int, mode: str) -> Tensor:
    if mode == "reflect" and rows.shape[-1] <= margin:
        raise ParameterError(
            f"a signal of {rows.shape[-1]} samples (where it is analysed) is too short to be"
            f" mirrored by the {margin} samples that half the longest filter needs: use"
            " pad_mode='constant', or a longer signal"
        )
    return pad(rows, (margin, margin), mode=mode)
