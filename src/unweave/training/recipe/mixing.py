"""Mixtures from the pool, and the loss of a mask without ever leaving the band domain.

For one band and frame let X be the mixture's spectrum, S a stem's, m the stem's mask, which is
constant within the band. The squared error summed over the band's bins is

    sum |m X - S|^2 = m^2 Exx - 2 m Exs + Ess,   Exx = sum |X|^2, Exs = sum Re(S conj X).

So three numbers a band replace all its bins, and the loss is exact.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unweave.models.bandmask import BandMaskNet
from unweave.training.recipe.corpus import STEMS
from unweave.training.recipe.pool import Pool

VOCALS, OTHER = STEMS.index("vocals"), STEMS.index("other")


@dataclass(frozen=True)
class MixConfig:
    """How mixtures are made.

    Attributes:
        batch_size: mixtures a step.
        coherent: share of mixtures whose stems belong together.
        voiceless: share made of a voice and a recorded accompaniment.
        absent: probability that a stem is silent.
        spread: standard deviation of a stem's level around its target, in dB.
    """

    batch_size: int = 8
    coherent: float = 0.35
    voiceless: float = 0.08
    absent: float = 0.12
    spread: float = 4.0


@dataclass(frozen=True)
class Bands:
    """Band sums of a batch of mixtures.

    Attributes:
        mixture: Exx, shape (batch, 2, frames, bands).
        cross: Exs, shape (batch, stems, 2, frames, bands).
        voiceless: True where the "other" slot holds a whole accompaniment, shape (batch,).
        hints: what the network's `VoiceUNet` takes for voice, of the shape of `mixture`, or None.
    """

    mixture: Tensor
    cross: Tensor
    voiceless: Tensor
    hints: Tensor | None = None


def draw_batch(pool: Pool, config: MixConfig, net: BandMaskNet, rng: np.random.Generator) -> Bands:
    """Mix stems at random levels and return the band sums.

    Args:
        pool: where the excerpts come from.
        config: shares and spreads.
        net: what is trained; it knows the bands, and may have hints to give.
        rng: draws everything.
    """
    sums = net.bin_sums[: next(iter(pool.store.values())).shape[-1]]
    first = next(iter(pool.store.values()))
    stems = torch.zeros(config.batch_size, len(STEMS), *first.shape[2:])
    voiceless = torch.zeros(config.batch_size, dtype=torch.bool)
    for item in range(config.batch_size):
        kind = rng.random()
        if kind < config.coherent:
            stems[item] = _any(pool, "song", rng)
        elif kind < config.coherent + config.voiceless and "accompaniment" in pool.store:
            stems[item, VOCALS] = _any(pool, "vocals", rng)[0]
            stems[item, OTHER] = _any(pool, "accompaniment", rng)[0]
            voiceless[item] = True
        else:
            for slot, name in enumerate(STEMS):
                stems[item, slot] = _any(pool, name, rng)[0]
    stems *= _gains(config, rng)
    mixture = stems.sum(1, keepdim=True)
    cross = stems.mul_(mixture).sum(2) @ sums
    with torch.no_grad():
        hints = net.hints(torch.complex(mixture[:, 0, 0], mixture[:, 0, 1]))
    return Bands(mixture.square_().sum(2)[:, 0] @ sums, cross, voiceless, hints)


def _any(pool: Pool, kind: str, rng: np.random.Generator) -> Tensor:
    slots = pool.store[kind]
    return slots[int(rng.integers(len(slots)))]


def _gains(config: MixConfig, rng: np.random.Generator) -> Tensor:
    """Draw level, polarity and left/right swap: (batch, stems, 1, 2 mid/side, 1, 1)."""
    shape = (config.batch_size, len(STEMS))
    gain = 10 ** (rng.normal(0, config.spread, shape) / 20) * rng.choice([-1.0, 1.0], shape)
    gain *= rng.random(shape) >= config.absent
    swap = rng.choice([-1.0, 1.0], shape)
    both = torch.from_numpy(np.stack([gain, gain * swap], axis=-1)).float()
    return both[:, :, None, :, None, None]


def band_loss(masks: Tensor, bands: Bands, *, weight_power: float) -> Tensor:
    """Return the mean squared error of the masked mixtures, with loud cells tamed.

    Args:
        masks: shape (batch, stems, 2, frames, bands).
        bands: band sums of the mixtures.
        weight_power: p; a cell weighs Exx^-p, so 0 is plain squared error and 1 makes every
            cell count alike.

    Returns:
        A scalar: the error minus the stems' own energy, relative to the mixture's energy.
    """
    energy = bands.mixture + 1e-8 * bands.mixture.mean((1, 2, 3), keepdim=True) + 1e-12
    weight = energy**-weight_power
    weight = weight / (energy * weight).mean((1, 2, 3), keepdim=True)
    grouped = bands.voiceless[:, None, None, None]
    error = _error(masks[:, VOCALS], bands.mixture, bands.cross[:, VOCALS])
    rest = [i for i in range(len(STEMS)) if i != VOCALS]
    apart = torch.stack([_error(masks[:, i], bands.mixture, bands.cross[:, i]) for i in rest]).sum(
        0
    )
    together = _error(masks[:, rest].sum(1), bands.mixture, bands.cross[:, rest].sum(1))
    return ((error + torch.where(grouped, together, apart)) * weight).mean()


def _error(mask: Tensor, mixture: Tensor, cross: Tensor) -> Tensor:
    return mask * (mask * mixture - 2 * cross)
