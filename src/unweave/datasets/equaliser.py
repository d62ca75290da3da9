"""Changes the timbre of stems by random shelves and bells.

References:
    [BristowJohnson2005] Cookbook formulae for audio equalizer biquad filter coefficients.
"""

import torch
from torch import Tensor

from unweave._core.checks import non_negative, positive_int
from unweave.datasets.augment import Augmentation, uniform
from unweave.datasets.repitch import smooth
from unweave.errors import ParameterError

LOW, BELL, HIGH = range(3)
_RANGES = {LOW: (60.0, 250.0), BELL: (250.0, 5000.0), HIGH: (2500.0, 8000.0)}
_QUALITY = (0.5, 2.0)
_SHELF_QUALITY = 0.7071  # the steepest shelf without a bump
_RINGING = 0.1  # seconds after which the filters have died away


class Equaliser(Augmentation):
    """Filter each stem by a low shelf, a bell and a high shelf, drawn at random.

    Corners lie at 60 to 250 Hz, 250 to 5000 Hz and 2500 to 8000 Hz, as far as they are below 0.45
    of the sample rate. The stems are filtered as by the usual recursive biquads, at rest before.

    Args:
        sample_rate: Of the stems, in Hz.
        gain_db: Largest gain of each filter, up or down.
        p: Probability that a stem is changed.

    Raises:
        ParameterError: A parameter is out of range.

    Example:
        >>> augment = Equaliser(44100, p=1.0)
        >>> augment(torch.rand(4, 2, 1000), torch.Generator().manual_seed(0)).shape
        torch.Size([4, 2, 1000])
    """

    def __init__(self, sample_rate: int, gain_db: float = 6.0, p: float = 0.3) -> None:
        super().__init__(p)
        self.sample_rate = positive_int("sample_rate", sample_rate)
        if non_negative("gain_db", gain_db) > 30:
            raise ParameterError(f"gain_db={gain_db} must be at most 30 dB")
        self.gain_db = gain_db

    def change(self, stems: Tensor, generator: torch.Generator) -> Tensor:
        """Draw three filters for each stem.

        Args:
            stems: Stems of one or many songs.
            generator: Draws.

        Returns:
            The new stems.
        """
        shape = stems.shape[:-2]
        chosen = self.chosen(shape, stems, generator)
        gains = uniform((*shape, 3), -self.gain_db, self.gain_db, stems, generator)
        quality = uniform(shape, *_QUALITY, stems, generator)
        where = [uniform(shape, 0, 1, stems, generator) for _ in _RANGES]
        if not bool(chosen.any()):
            return stems.clone()
        picked, time = stems[chosen], stems.shape[-1]
        size = smooth(time + round(_RINGING * self.sample_rate))
        z = _circle(size, stems)
        curve = torch.ones(1, dtype=z.dtype, device=z.device)
        for kind, (low, high) in _RANGES.items():
            corner = low * (high / low) ** where[kind][chosen]
            corner = corner.clamp(max=0.45 * self.sample_rate) / self.sample_rate
            q = quality[chosen] if kind == BELL else torch.full_like(corner, _SHELF_QUALITY)
            b, a = biquad(kind, corner, gains[chosen][:, kind], q)
            curve = curve * response(b, a, z)
        spectrum = torch.fft.rfft(picked, size) * curve[:, None]
        out = stems.clone()
        out[chosen] = torch.fft.irfft(spectrum, size)[..., :time]
        return out


def biquad(kind: int, corner: Tensor, gain_db: Tensor, quality: Tensor) -> tuple[Tensor, Tensor]:
    """Give the coefficients of shelves or bells.

    Args:
        kind: LOW, BELL or HIGH.
        corner: Corner or centre, as a share of the sample rate.
        gain_db: Gain below the corner, at the centre, or above the corner.
        quality: Centre over bandwidth; 0.71 for the steepest shelf without a bump.

    Returns:
        Coefficients of the numerator and the denominator, of powers 0, -1 and -2 of z.

    Shape:
        corner, gain_db, quality: (filters,)
        returns: (filters, 3) each
    """
    root = 10 ** (gain_db / 40)
    cos, alpha = (2 * torch.pi * corner).cos(), (2 * torch.pi * corner).sin() / (2 * quality)
    if kind == BELL:
        b = [1 + alpha * root, -2 * cos, 1 - alpha * root]
        a = [1 + alpha / root, -2 * cos, 1 - alpha / root]
        return torch.stack(b, -1), torch.stack(a, -1)
    # the high shelf is the low one with the frequency axis turned around: z becomes -z
    turn = 1 if kind == LOW else -1
    above, below, cos, bend = root + 1, root - 1, turn * cos, 2 * root.sqrt() * alpha
    b = [
        root * (above - below * cos + bend),
        turn * 2 * root * (below - above * cos),
        root * (above - below * cos - bend),
    ]
    a = [
        above + below * cos + bend,
        turn * -2 * (below + above * cos),
        above + below * cos - bend,
    ]
    return torch.stack(b, -1), torch.stack(a, -1)


def response(b: Tensor, a: Tensor, z: Tensor) -> Tensor:
    """Give the frequency responses of filters.

    Args:
        b: Coefficients of the numerators.
        a: Coefficients of the denominators.
        z: Points exp(-i w) of the unit circle.

    Returns:
        Complex gains.

    Shape:
        b, a: (filters, 3)
        z: (bins,)
        returns: (filters, bins)
    """
    over, under = ((c[:, :1] + z * (c[:, 1:2] + z * c[:, 2:])) for c in (b, a))
    return over / under


def _circle(size: int, stems: Tensor) -> Tensor:
    angle = torch.arange(size // 2 + 1, dtype=stems.dtype, device=stems.device)
    angle = angle * (-2 * torch.pi / size)
    return torch.polar(torch.ones_like(angle), angle)
