"""What a codec is asked to do: its settings, and the presets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from unweave._core.checks import non_negative, positive_int
from unweave._core.windows import WINDOW_NAMES
from unweave.codec.bandwidth import kept_bins
from unweave.codec.images import FORMATS, check_quality
from unweave.codec.laws import EXPONENT, FACTOR, check_law
from unweave.codec.planes import check_stereo
from unweave.codec.quantization import Bounds, check_bits
from unweave.errors import ParameterError

PAD_MODES = ("reflect", "constant", "replicate")
_EIGHT_BITS = ("avif", "jpeg", "jxl", "webp")  # formats that keep 8 bits, and not all of them


@dataclass(frozen=True)
class CodecSettings:
    """How audio becomes an image.

    Attributes:
        n_fft: Samples of a frame.
        hop_length: Samples from one frame to the next.
        window: Name of the window, of `n_fft` samples.
        center: Whether frame t is centred on sample t * hop_length, or starts there.
        pad_mode: What continues the signal at its ends; see `transforms.stft`.
        max_frequency: The highest frequency that is kept, in Hz; None keeps all.
        law: "power", "log", "log1p" or "linear"; see `scale`.
        exponent: Of the power law.
        factor: Where the law "log1p" bends.
        percentiles: Between which percentiles of the levels the codes lie.
        dynamic_range: If given, how far below the upper bound the lower one lies, in levels (dB for
            the law "log").
        bits: Bits of a code: 8, or 1 to 16 with the format "png".
        rounding: "nearest" or "floor".
        stereo: Planes of two channels: "mid_side" or "left_right".
        format: "jpeg", "png", "webp", "avif" or "jxl".
        quality: 0 to 100, the higher the better, for formats that are not lossless.
        norbert: Whether pictures are to be those of norbert's README era: its count of bins, whole
            hops, its quantization tables, left in red and right in green.
    """

    n_fft: int = 2048
    hop_length: int = 1024
    window: str = "hann"
    center: bool = True
    pad_mode: str = "reflect"
    max_frequency: float | None = 16_000.0
    law: str = "power"
    exponent: float = EXPONENT
    factor: float = FACTOR
    percentiles: Bounds = (0.0, 100.0)
    dynamic_range: float | None = None
    bits: int = 8
    rounding: str = "nearest"
    stereo: str = "mid_side"
    format: str = "jpeg"
    quality: int = 75
    norbert: bool = False

    def __post_init__(self) -> None:
        positive_int("n_fft", self.n_fft)
        positive_int("hop_length", self.hop_length)
        if self.max_frequency is not None:
            non_negative("max_frequency", self.max_frequency)
        check_law(self.law, self.exponent, self.factor)
        check_stereo(self.stereo)
        check_bits(self.bits)
        check_quality(self.quality)
        for name, choices in (
            ("window", WINDOW_NAMES),
            ("pad_mode", PAD_MODES),
            ("format", FORMATS),
        ):
            if getattr(self, name) not in choices:
                raise ParameterError(f"{name}={getattr(self, name)!r} must be one of {choices}")
        if self.format in _EIGHT_BITS and self.bits != 8:
            raise ParameterError(f"bits={self.bits} needs format='png': {self.format} takes 8")
        if self.norbert and (self.format, self.stereo) != ("jpeg", "left_right"):
            raise ParameterError("norbert=True needs format='jpeg' and stereo='left_right'")

    def bins(self, sample_rate: float) -> int:
        """Count the bins that are kept.

        Args:
            sample_rate: Samples per second.

        Returns:
            Number of bins.
        """
        bins = kept_bins(
            n_fft=self.n_fft, sample_rate=sample_rate, max_frequency=self.max_frequency
        )
        # norbert leaves out the bin at its limit, too
        return bins - 1 if self.norbert and self.max_frequency is not None else bins


PRESETS = {
    "norbert": CodecSettings(
        pad_mode="constant",
        law="log",
        dynamic_range=80.0,
        rounding="floor",
        stereo="left_right",
        quality=80,
        norbert=True,
    ),
    "small": CodecSettings(format="avif", quality=70),
    "balanced": CodecSettings(),
    "fast": CodecSettings(format="png", bits=6),
    "transparent": CodecSettings(max_frequency=None, quality=90),
}
"""The settings of each preset: a README-era norbert, the smallest, the default, what loads fastest,
the best."""

_ALIKE = {
    "small": {"jpeg": 65, "webp": 85, "jxl": 85},
    "balanced": {"webp": 90, "avif": 80, "jxl": 91},
    "transparent": {"webp": 98, "avif": 94, "jxl": 97},
}
"""Of other formats, the quality that keeps as much as the preset; `benchmarks/codec_quality.py`."""


def preset_settings(preset: str = "balanced", **changes: Any) -> CodecSettings:
    """Give the settings of a preset, with changes.

    The formats' scales of quality differ: with another format and no quality, it is one that keeps
    about as much as the preset's own.

    Args:
        preset: "norbert", "small", "balanced", "fast" or "transparent".
        **changes: Attributes of `CodecSettings`.

    Returns:
        The settings.

    Raises:
        ParameterError: The preset or a setting is unknown, or settings do not fit together.

    Example:
        >>> preset_settings("balanced", quality=90).quality
        90
        >>> preset_settings("balanced", format="avif").quality
        80
    """
    if preset not in PRESETS:
        guess = get_close_matches(str(preset), PRESETS, 1)
        hint = f"did you mean {guess[0]!r}? " if guess else ""
        raise ParameterError(f"unknown preset {preset!r}: {hint}choose from {tuple(PRESETS)}")
    known = CodecSettings.__dataclass_fields__
    for name in changes:
        if name not in known:
            guess = get_close_matches(name, known, 1)
            hint = f"did you mean {guess[0]!r}? " if guess else ""
            raise ParameterError(f"unknown setting {name!r}: {hint}choose from {tuple(known)}")
    alike = _ALIKE.get(preset, {}).get(str(changes.get("format")))
    return replace(PRESETS[preset], **({} if alike is None else {"quality": alike}) | changes)
