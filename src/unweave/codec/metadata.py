"""What an image says of its spectrogram, as JSON in its user comment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from unweave._core.windows import WINDOW_NAMES
from unweave.codec._mpf import MAX_IMAGES
from unweave.codec.laws import LAWS
from unweave.codec.planes import STEREO
from unweave.codec.quantization import MAX_BITS, ROUNDINGS, Bounds, quantization_error
from unweave.codec.settings import PAD_MODES
from unweave.errors import CodecError, ParameterError

CODEC_VERSION = 1
PARTS_VERSION = 2  # of files of several images
KEY = "unweave"
MAX_VALUES = 2**28  # of a decoded spectrogram: a gigabyte
_MAX_COMMENT = 10_000
_TEXTS = {"window": WINDOW_NAMES, "law": LAWS, "rounding": ROUNDINGS, "stereo": STEREO}
_CHOICES = {**_TEXTS, "pad_mode": PAD_MODES}
_INTEGERS = {
    "n_fft": (1, 2**17),
    "hop_length": (1, 2**20),
    "length": (0, 2**40),
    "channels": (1, 4096),
    "frames": (1, 2**27),
    "bins": (1, 2**16 + 1),
    "rows": (1, 2**17),
    "bits": (1, MAX_BITS),
    "part": (0, MAX_IMAGES - 1),
    "part_frames": (1, 2**27),
}
_NUMBERS = {"sample_rate": (1e-3, 1e9), "exponent": (1e-2, 1e2), "factor": (1e-12, 1e12)}
_HIGHEST = 3e38  # of float32


@dataclass(frozen=True)
class SpectrogramInfo:
    """What a spectrogram image says of itself.

    Attributes:
        sample_rate: Samples per second of the audio.
        length: Samples of the audio.
        channels: Channels of the audio.
        n_fft: Samples of a frame; the spectrogram has n_fft // 2 + 1 bins.
        hop_length: Samples from one frame to the next.
        window: Name of the window.
        center: Whether frames are centred on multiples of the hop.
        pad_mode: What continued the signal at its ends.
        frames: Frames of the spectrogram.
        bins: Bins that were kept, from 0 Hz on.
        law: The scaling law; see `scale`.
        exponent: Of the power law.
        factor: Where the law "log1p" bends.
        bounds: The levels of the lowest and of the highest code; each image has its own.
        bits: Bits of a code.
        rounding: How levels became codes.
        stereo: How two channels became planes.
        rows: Rows of pixels of a plane; at least `bins`.
        colours: Whether left is red and right is green, as norbert has it, or planes are stacked.
        version: Version of the format: 2 if the file holds several images, else 1.
        part: Number of the image among those of the file, from 0 on.
        part_frames: Frames of every image but the last; 0 if there is only one.
    """

    sample_rate: float
    length: int
    channels: int
    n_fft: int
    hop_length: int
    window: str
    center: bool
    pad_mode: str
    frames: int
    bins: int
    law: str
    exponent: float
    factor: float
    bounds: Bounds
    bits: int
    rounding: str
    stereo: str
    rows: int
    colours: bool = False
    version: int = CODEC_VERSION
    part: int = 0
    part_frames: int = 0

    @property
    def parts(self) -> int:
        """Images in the file."""
        return -(-self.frames // self.part_frames) if self.part_frames else 1

    @property
    def span(self) -> tuple[int, int]:
        """The first frame in this image, and the first that is no more in it."""
        return self.spans[self.part]

    @property
    def spans(self) -> list[tuple[int, int]]:
        """The spans of all images."""
        step = self.part_frames or self.frames
        return [(a, min(a + step, self.frames)) for a in range(0, self.frames, step)]

    @property
    def seconds(self) -> float:
        """Length of the audio in seconds."""
        return self.length / self.sample_rate

    @property
    def freq_bins(self) -> int:
        """Bins of the whole spectrogram."""
        return self.n_fft // 2 + 1

    @property
    def error_bound(self) -> float:
        """The largest error of levels that quantization makes; lossy formats add to it."""
        error = quantization_error(bounds=self.bounds, bits=self.bits, rounding=self.rounding)
        # the errors of middle and side add up
        return 2 * error if self.channels == 2 and self.stereo == "mid_side" else error

    @property
    def center_level(self) -> float:
        """The level that stands for equal channels in the plane of the sides."""
        lower, upper = self.bounds
        return lower + (upper - lower) * (1 << (self.bits - 1)) / ((1 << self.bits) - 1)

    def values(self) -> dict[str, Any]:
        """Give what the file states."""
        values = asdict(self)
        return {name: values[name] for name in _names(self.version)}

    def comment(self) -> str:
        """Write it as the JSON of a user comment."""
        return json.dumps({KEY: self.values()}, separators=(",", ":"))


def _names(version: int) -> list[str]:
    names = [field.name for field in fields(SpectrogramInfo)]
    return names if version == PARTS_VERSION else names[:-2]


def parse_comment(comment: str | None) -> dict[str, Any]:
    """Read the JSON of a user comment.

    Raises:
        CodecError: There is none, or it is no JSON object.
    """
    if comment is None:
        raise CodecError(
            "the image has no Exif user comment, so it does not say which spectrogram it holds:"
            " it was not written by unweave, or a program has removed the comment"
        )
    if len(comment) > _MAX_COMMENT:
        raise CodecError(f"the image's user comment has {len(comment)} letters: it is foreign")
    try:
        found = json.loads(comment)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"the image's user comment is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise CodecError("the image's user comment is no JSON object")
    return found


def read_info(found: Mapping[str, Any]) -> SpectrogramInfo:
    """Check every value of a comment; the image's size has still to be compared.

    Raises:
        CodecError: A value is missing or impossible, or the version is unknown.
    """
    values = found.get(KEY)
    if not isinstance(values, dict):
        raise CodecError(f"the image's user comment has no {KEY!r}: another program has written it")
    version = values.get("version")
    if isinstance(version, bool) or version not in (CODEC_VERSION, PARTS_VERSION):
        raise CodecError(
            f"the image has the format version {version!r}; this unweave reads {CODEC_VERSION} and"
            f" {PARTS_VERSION}: a newer one may read it"
        )
    names = _names(version)
    for name in names:
        if name not in values:
            raise CodecError(f"the image's user comment lacks {name!r}")
        _check(name, values[name])
    wanted = {name: values[name] for name in names}
    wanted["bounds"] = tuple(map(float, values["bounds"]))
    info = SpectrogramInfo(**wanted)
    _check_together(info)
    return info


def _check(name: str, value: Any) -> None:
    if name in _CHOICES:
        good = isinstance(value, str) and value in _CHOICES[name]
    elif name in _INTEGERS:
        low, high = _INTEGERS[name]
        good = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    elif name in _NUMBERS:
        good = _is_number(value) and _NUMBERS[name][0] <= value <= _NUMBERS[name][1]
    elif name == "bounds":
        good = isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
    else:
        good = name == "version" or isinstance(value, bool)
    if not good:
        raise CodecError(f"the image's user comment says {name}={value!r}, which cannot be")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < _HIGHEST


def _check_together(info: SpectrogramInfo) -> None:
    lower, upper = info.bounds
    if not lower < upper or info.bins > min(info.rows, info.freq_bins):
        raise CodecError("the image's user comment contradicts itself: bounds or bins cannot be")
    if info.colours and info.channels != 2:
        raise CodecError("the image's user comment says colours, which only two channels have")
    if info.parts > MAX_IMAGES or info.part >= info.parts:
        raise CodecError("the image's user comment contradicts itself: its parts cannot be")
    first, last = info.span
    check_values(info.channels, info.freq_bins, last - first, CodecError)


def check_values(
    channels: int, freq_bins: int, frames: int, error: type[CodecError | ParameterError]
) -> None:
    """Raise if a decoded spectrogram would be too large."""
    values = channels * freq_bins * frames
    if values > MAX_VALUES:
        raise error(
            f"a spectrogram of {channels} x {freq_bins} x {frames} has {values} values;"
            f" {MAX_VALUES} are taken at most in an image: JPEG takes long audio"
        )
