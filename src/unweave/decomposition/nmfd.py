"""Convolutive factorisation: templates are short spectrograms, for drums above all."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.arrays import array_function
from unweave._core.checks import non_negative, positive_int
from unweave.decomposition._descent import descend
from unweave.decomposition._divergence import blocks, divergence, floors, mean
from unweave.decomposition._given import check_beta, check_spectrogram, items_of
from unweave.decomposition._level import level, louder, quieter
from unweave.decomposition._multiplicative import Sums, exponent, power, terms, with_floor
from unweave.decomposition._problem import Outcome, Problem, Record
from unweave.decomposition.nmf import NMFResult, gathered
from unweave.errors import ParameterError


@array_function
@torch.no_grad()
def nmfd(
    V: Tensor,
    n_components: int,
    *,
    template_frames: int,
    beta: float = 1.0,
    n_iter: int = 100,
    tol: float = 1e-4,
    W: Tensor | None = None,
    H: Tensor | None = None,
    fixed_W: bool = False,
    check_every: int = 10,
    generator: torch.Generator | None = None,
) -> NMFResult:
    """Factorise spectrograms into short template spectrograms and when they start.

    The model is sum_k sum_tau W[:, k, tau] H[k, t - tau]: one drum stroke, decay and all, is one
    template, where plain NMF needs several. Multiplicative updates, extrapolated while that helps,
    minimise the beta-divergence.

    Args:
        V: Magnitudes or powers, finite and non-negative.
        n_components: Number of templates.
        template_frames: Length of the templates in frames.
        beta: 1 for Kullback-Leibler, 2 for half the squared error, 0 for Itakura-Saito, or any
            other number.
        n_iter: The most iterations.
        tol: Stop when ten iterations lower the objective by no more than this part of its first
            value; 0 for never.
        W: Templates to start from; zeros of W and H stay zero.
        H: Activations to start from.
        fixed_W: Whether the templates stay as they are.
        check_every: The objective is evaluated after so many iterations.
        generator: Source of the random start; torch's own if not given.

    Returns:
        Templates, activations and how the objective fell.

    Raises:
        ParameterError: V is negative, not finite or empty; shapes do not fit, or an option is out
            of range.

    Shape:
        V: (..., freq, frames)
        W: (..., freq, components, template_frames), or without the leading axes
        H: (..., components, frames), or without the leading axes
        returns: a named tuple, see NMFResult

    Example:
        >>> V = torch.zeros(33, 40)
        >>> V[:, 5:11] = V[:, 22:28] = 0.5 ** torch.arange(6)  # one stroke, twice
        >>> seed = torch.Generator().manual_seed(0)
        >>> found = nmfd(V, 1, template_frames=6, generator=seed)
        >>> sorted(found.H[0].topk(2).indices.tolist())
        [5, 22]

    References:
        [Smaragdis2004] Non-negative matrix factor deconvolution, ICA.
    """
    V = check_spectrogram(V)
    count = positive_int("n_components", n_components)
    length = positive_int("template_frames", template_frames)
    lead, (freq, frames) = V.shape[:-2], V.shape[-2:]
    Ws = items_of("W", W, V, (*lead, freq, count, length), axes=3)
    Hs = items_of("H", H, V, (*lead, count, frames))
    if fixed_W and Ws is None:
        raise ParameterError("fixed_W=True needs the templates W")
    options = Problem(
        V,
        beta=check_beta(beta),
        n_fixed=count if fixed_W else 0,
        n_iter=positive_int("n_iter", n_iter),
        tol=non_negative("tol", tol),
        check_every=positive_int("check_every", check_every),
    )
    done = []
    for item, v in enumerate(V.reshape(-1, freq, frames).unbind()):
        made = _start(v, count, length, generator)
        factors = [
            made[side] if given is None else given[item] for side, given in enumerate((Ws, Hs))
        ]
        done.append(_solve(replace(options, V=v), *factors))
    return gathered(done, lead)


def _start(
    v: Tensor, count: int, length: int, generator: torch.Generator | None
) -> tuple[Tensor, Tensor]:
    """Draw templates that decay, so that they start where strokes do, and activations."""
    device = v.device if generator is None else generator.device
    level = (mean(v) / (count * length)) ** 0.5

    def draw(*shape: int) -> Tensor:
        noise = torch.rand(shape, generator=generator, dtype=v.dtype, device=device)
        return noise.add_(0.5).to(v.device).mul_(level)

    decay = torch.linspace(1, 1 / length, length, dtype=v.dtype, device=v.device)
    return draw(len(v), count, length) * decay, draw(count, v.shape[1])


def _solve(p: Problem, W: Tensor, H: Tensor) -> Outcome:
    peak = float(p.V.max())
    if not peak:
        given = W if p.n_fixed else torch.zeros_like(W)
        return Outcome(given, torch.zeros_like(H), Record(p.tol, [0.0], [0], True))
    gain = level(peak)
    if gain != 1:
        return quieter(_solve(louder(p, gain), W, H * gain), p, gain)
    return quieter(descend(p, _Updates(p, W.shape[-1]), W, H, extrapolate=True), p, gain)


class _Updates:
    """The updates of one problem, block by block; see `_multiplicative`.

    Templates of one tap after the other, (freq, components * taps), and activations shifted
    likewise, (components * taps, frames), make the model an ordinary product.
    """

    def __init__(self, p: Problem, length: int) -> None:
        self.p, self.length = p, length
        self.floor = floors(p.V, p.beta)
        self.exponent, self.tiny = exponent(p.beta), torch.finfo(p.V.dtype).tiny

    def objective(self, W: Tensor, H: Tensor) -> float:
        flat, early = W.flatten(1), self._early(H)
        return divergence(
            self.p.V, lambda part: flat @ self._shifted(early, part), self.p.beta, self.floor
        )

    def step(self, W: Tensor, H: Tensor, far_W: Tensor, far_H: Tensor) -> tuple[Tensor, Tensor]:
        H = self._activations(W, far_H)
        return (W if self.p.n_fixed else self._templates(far_W, H)), H

    def _early(self, H: Tensor) -> Tensor:
        """Put zeros before the first frame, where templates may not start."""
        return pad(H, (self.length - 1, 0))

    def _shifted(self, early: Tensor, part: slice) -> Tensor:
        """Give H[k, t - tau] for some frames t: (components * taps, frames)."""
        windows = early[:, part.start : part.stop + self.length - 1].unfold(1, self.length, 1)
        return windows.flip(-1).mT.flatten(0, 1)

    def _activations(self, W: Tensor, H: Tensor) -> Tensor:
        flat, early = W.flatten(1), self._early(H)
        floored, total = with_floor(flat, self.floor[1]), flat.sum(0)[:, None]
        above, below = torch.zeros_like(early), torch.zeros_like(early)
        for part in blocks(self.p.V):
            shifted = self._shifted(early, part)
            y = floored @ torch.cat([shifted, torch.ones_like(shifted[:1])])
            data, rest = terms(self._data(part), y, self.p.beta)
            self._add(above, flat.mT @ data, part)
            self._add(below, total.expand_as(shifted) if rest is None else flat.mT @ rest, part)
        ratio = above.div_(below.clamp_min_(self.tiny))[:, self.length - 1 :]
        return power(ratio, self.exponent) * H

    def _add(self, sums: Tensor, products: Tensor, part: slice) -> None:
        """Add the products of each tap where that tap's activations are."""
        each = products.reshape(len(sums), self.length, -1)
        for tap in range(self.length):
            back = self.length - 1 - tap
            sums[:, part.start + back : part.stop + back] += each[:, tap]

    def _templates(self, W: Tensor, H: Tensor) -> Tensor:
        flat, early = W.flatten(1), self._early(H)
        floored = with_floor(flat, self.floor[1])
        sums = Sums.empty(flat.shape[1], flat, self.p.beta)
        for part in blocks(self.p.V):
            shifted = self._shifted(early, part)
            y = floored @ torch.cat([shifted, torch.ones_like(shifted[:1])])
            sums.add(self._data(part), y, shifted, self.p.beta)
        ratio = power(sums.above.div_(sums.below.clamp_min_(self.tiny)), self.exponent)
        return (ratio.mT * flat).view_as(W)

    def _data(self, part: slice) -> Tensor:
        v = self.p.V[:, part]
        return v.clamp_min(self.floor[0]) if self.floor[0] else v
