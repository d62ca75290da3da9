"""Presses the peaks of mixtures, as mastering does, and all stems by the same gain."""

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.datasets.augment import Augmentation, uniform
from unweave.errors import ParameterError

_KNEE = 8  # the gain is (1 + (level / threshold)^8)^(-1/8): 0.75 dB below the corner itself


class Limiter(Augmentation):
    """Press the peaks of each mixture and make up for it, so that the rest grows louder.

    One gain, which follows the peaks of the mixture with a window of 10 ms, multiplies all stems
    and channels: the stems still sum to the mixture, as they would not if each were limited, and
    the mixture, not the stems, decides. The peak of the mixture does not grow.

    Args:
        sample_rate: Of the stems, in Hz.
        drive_db: Largest amount by which peaks are pressed.
        p: Probability that a song is changed.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> stems = torch.randn(4, 2, 44100, generator=torch.Generator().manual_seed(0))
        >>> pressed = Limiter(44100, p=1.0)(stems, torch.Generator().manual_seed(1))
        >>> bool(pressed.sum(0).abs().max() <= stems.sum(0).abs().max())
        True
        >>> bool(pressed.sum(0).square().mean() > stems.sum(0).square().mean())
        True
    """

    def __init__(self, sample_rate: int, drive_db: float = 6.0, p: float = 0.2) -> None:
        super().__init__(p)
        self.sample_rate = positive_int("sample_rate", sample_rate)
        if non_negative("drive_db", drive_db) > 30:
            raise ParameterError(f"drive_db={drive_db} must be at most 30 dB")
        self.drive_db = drive_db

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw by how much each mixture is pressed.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        shape = stems.shape[:-3]
        chosen = self.chosen(shape, stems, generator)
        drive = uniform(shape, 0.0, self.drive_db, stems, generator)
        if not bool(chosen.any()):
            return stems.clone()
        factor = 10 ** (torch.where(chosen, drive, torch.zeros_like(drive)) / 20)
        level = stems.sum(-3).abs().amax(-2)
        peak = level.amax(-1).clamp(min=torch.finfo(stems.dtype).tiny)
        relative = level * (factor / peak)[..., None]  # 1 is where the pressing sets in
        gain = look_ahead_gain(relative, max(1, round(0.005 * self.sample_rate)))
        gain = torch.where(chosen[..., None], gain * factor[..., None], torch.ones_like(gain))
        return stems * gain[..., None, None, :]


def look_ahead_gain(level: Tensor, reach: int) -> Tensor:
    """Give a smooth gain that keeps a signal below 1.

    The mean over a window of gains, each of which suits the loudest sample of the window around it,
    is too large for none.

    Args:
        level: Magnitudes of the signal.
        reach: Samples to either side that a peak is felt.

    Returns:
        Gains from 0 to 1; level * gain is below 1.

    Shape:
        level: (..., time)
        returns: (..., time)
    """
    around = _slide_max(level, reach)
    gain = (1 + around**_KNEE) ** (-1 / _KNEE)
    return _slide_mean(gain, reach).clamp(max=1)  # rounding may leave a hair above


def _slide_max(x: Tensor, reach: int) -> Tensor:
    """Give the largest of the samples t - reach ... t + reach, in log2(reach) passes."""
    time, size = x.shape[-1], 2 * reach + 1
    x = torch.nn.functional.pad(x, (reach, reach))
    have = 1
    while have < size:
        step = min(have, size - have)
        x = torch.maximum(x[..., : x.shape[-1] - step], x[..., step:])
        have += step
    return x[..., :time]


def _slide_mean(x: Tensor, reach: int) -> Tensor:
    """Give the mean of the samples t - reach ... t + reach that there are."""
    total = torch.nn.functional.pad(x.double().cumsum(-1), (1, 0))
    index = torch.arange(x.shape[-1], device=x.device)
    first = (index - reach).clamp(min=0)
    last = (index + reach + 1).clamp(max=x.shape[-1])
    return ((total[..., last] - total[..., first]) / (last - first)).to(x.dtype)
