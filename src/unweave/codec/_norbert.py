"""Files of norbert's README era: what they say, and how its numbers relate to ours.

norbert took scipy's spectra, which are divided by the sum of the window, and natural logarithms;
its files hold nothing but the bounds of these.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from unweave._core.windows import get_window
from unweave.codec.images import ImageHeader
from unweave.codec.metadata import KEY, SpectrogramInfo
from unweave.codec.quantization import Bounds
from unweave.codec.settings import PRESETS, CodecSettings
from unweave.errors import CodecError

SAMPLE_RATE = 44_100  # the files do not say; norbert's default
_DB = 20 / math.log(10)


def comment(info: SpectrogramInfo) -> str:
    """Give a user comment that norbert and unweave can read."""
    gain = _gain(info.window, info.n_fft)
    bounds = [level / _DB - gain for level in info.bounds]
    return json.dumps({"bounds": bounds, KEY: info.values()})


def is_norbert(found: Mapping[str, Any]) -> bool:
    """Tell whether a comment is norbert's own."""
    return KEY not in found and "bounds" in found


def read_info(
    found: Mapping[str, Any], header: ImageHeader, settings: CodecSettings
) -> SpectrogramInfo:
    """Give what a file of norbert's own says, completed by settings.

    Raises:
        CodecError: Its bounds are no bounds, or it has more bins than the settings allow.
    """
    settings = settings if settings.norbert else PRESETS["norbert"]
    freq_bins = settings.n_fft // 2 + 1
    if header.height > freq_bins:
        raise CodecError(
            f"norbert's file has {header.height} bins, and n_fft={settings.n_fft} gives"
            f" {freq_bins}: open it with SpectrogramCodec('norbert', n_fft=..., hop_length=...)"
        )
    return SpectrogramInfo(
        sample_rate=SAMPLE_RATE,
        length=(header.width - 1) * settings.hop_length,
        channels=2 if header.colours else 1,
        n_fft=settings.n_fft,
        hop_length=settings.hop_length,
        window=settings.window,
        center=settings.center,
        pad_mode=settings.pad_mode,
        frames=header.width,
        bins=header.height,
        law="log",
        exponent=settings.exponent,
        factor=settings.factor,
        bounds=_bounds(found["bounds"], _gain(settings.window, settings.n_fft)),
        bits=8,
        rounding="floor",
        stereo="left_right",
        rows=header.height,
        colours=header.colours,
    )


def _bounds(found: Any, gain: float) -> Bounds:
    if isinstance(found, list) and len(found) == 2 and all(type(b) in (int, float) for b in found):
        lower, upper = ((bound + gain) * _DB for bound in found)
        if math.isfinite(lower) and lower < upper < 700:  # dB; float32 ends at 770
            return lower, upper
    raise CodecError(f"norbert's file says bounds={found!r}: two numbers that rise are wanted")


def _gain(window: str, n_fft: int) -> float:
    return math.log(float(get_window(window, n_fft).sum()))
