"""The augmentation that is worth starting with."""

from unweave.datasets.augment import ChannelSwap, Compose, Gain, Polarity
from unweave.datasets.equaliser import Equaliser
from unweave.datasets.limiter import Limiter
from unweave.datasets.repitch import Repitch


def standard_augmentation(sample_rate: int) -> Compose:
    """Give what has helped most separators: pitch, level, side, polarity, timbre, mastering.

    Cross-track mixing, which helps most, is a matter of drawing: `AudioFolder(remix=0.75)`.

    Args:
        sample_rate: Of the stems, in Hz.

    Returns:
        Transposition by up to 4 semitones (probability 0.3, all stems together), gains of 0.25 to
        1.25, channels swapped and signs turned (0.5), filters of up to 6 dB (0.3), and a limiter on
        the mixture (0.2).

    Example:
        >>> standard_augmentation(44100)
        Compose(Repitch(...), Gain(...), ChannelSwap(...), Polarity(...), Equaliser(...), ...)
    """
    return Compose(
        Repitch(4.0, p=0.3),
        Gain(0.25, 1.25),
        ChannelSwap(0.5),
        Polarity(0.5),
        Equaliser(sample_rate, 6.0, p=0.3),
        Limiter(sample_rate, 6.0, p=0.2),
    )
