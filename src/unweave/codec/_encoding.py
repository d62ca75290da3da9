"""From magnitudes to files: one image, or several where the audio is long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from unweave._core.frames import Framing
from unweave._core.windows import get_window
from unweave.codec import _mpf, _norbert, _pixels
from unweave.codec.images import MAX_PIXELS, check_size, encode_image
from unweave.codec.laws import scale
from unweave.codec.metadata import (
    MAX_VALUES,
    PARTS_VERSION,
    SpectrogramInfo,
    check_values,
)
from unweave.codec.quantization import Bounds, level_bounds
from unweave.codec.settings import CodecSettings
from unweave.errors import ParameterError
from unweave.transforms import stft

PART_FRAMES = 16_128  # 42 segments; viewers and graphics cards show no more than 16 384 columns
_STEP = 384

Read = Callable[[int, int], Tensor]
"""Gives samples, or magnitudes of frames, from one index to before another."""


@dataclass(frozen=True)
class Signal:
    """What is to be encoded.

    Attributes:
        sample_rate: Samples per second.
        channels: Channels.
        length: Samples of a channel.
        frames: Frames of its spectrogram.
    """

    sample_rate: float
    channels: int
    length: int
    frames: int


def count_frames(length: int, made: CodecSettings) -> int:
    """Give the frames of a spectrogram of so many samples."""
    if made.norbert:
        length += -length % made.hop_length
    window = get_window(made.window, made.n_fft)
    return max(1, Framing(window, made.hop_length, made.center).count(length))


def part_frames(signal: Signal, made: CodecSettings) -> int:
    """Say how many frames each image holds; 0 if one holds all.

    Raises:
        ParameterError: There is too much for the format.
    """
    rows = _rows(signal, made)
    colours = made.norbert and signal.channels == 2
    height = rows * (1 if colours else signal.channels)
    freq_bins = made.n_fft // 2 + 1
    frames = signal.frames
    if made.format == "jpeg" and not made.norbert:
        most = min(PART_FRAMES, MAX_PIXELS // height, MAX_VALUES // (signal.channels * freq_bins))
        frames = min(frames, max(1, most // _STEP * _STEP))
    check_values(signal.channels, freq_bins, frames, ParameterError)
    check_size(frames, height, made.format)
    if frames == signal.frames:
        return 0
    if -(-signal.frames // frames) > _mpf.MAX_IMAGES:
        raise ParameterError(f"{signal.frames} frames are more than a file holds: encode a part")
    return frames


def _rows(signal: Signal, made: CodecSettings) -> int:
    bins = max(1, made.bins(signal.sample_rate))
    if made.norbert:
        return bins
    return _pixels.plane_rows(bins, made.format, colours=False)


def analysed(read: Read, signal: Signal, made: CodecSettings) -> Read:
    """Give what computes magnitudes of frames from samples, with as much around them as counts."""
    reach = -(-made.n_fft // made.hop_length)

    def magnitudes(first: int, last: int) -> Tensor:
        left = max(0, first - reach)
        right = signal.length if last == signal.frames else (last + reach) * made.hop_length
        audio = read(left * made.hop_length, min(right, signal.length))
        if made.norbert:  # in double precision; SciPy completes the last hop
            audio = pad(audio.double(), (0, -audio.shape[-1] % made.hop_length))
        spec = stft(
            audio,
            n_fft=made.n_fft,
            hop_length=made.hop_length,
            window=made.window,
            center=made.center,
            pad_mode=made.pad_mode,
            output="magnitude",
        )
        return spec[..., first - left : last - left]

    return magnitudes


def encode(magnitudes: Read, signal: Signal, made: CodecSettings) -> bytes:
    """Make a file; of long audio only one part is in memory.

    Raises:
        ParameterError: Magnitudes are not finite, or there is too much for the format.
    """
    if made.norbert and signal.channels > 2:
        raise ParameterError(f"norbert's images hold one or two channels, not {signal.channels}")
    step = part_frames(signal, made)
    info = SpectrogramInfo(
        sample_rate=signal.sample_rate,
        length=signal.length,
        channels=signal.channels,
        n_fft=made.n_fft,
        hop_length=made.hop_length,
        window=made.window,
        center=made.center,
        pad_mode=made.pad_mode,
        frames=signal.frames,
        bins=max(1, made.bins(signal.sample_rate)),
        law=made.law,
        exponent=made.exponent,
        factor=made.factor,
        bounds=(0.0, 1.0),
        bits=made.bits,
        rounding=made.rounding,
        stereo=made.stereo,
        rows=_rows(signal, made),
        colours=made.norbert and signal.channels == 2,
    )
    if not step:
        return _image(magnitudes(0, signal.frames), info, made)
    info = replace(info, version=PARTS_VERSION, part_frames=step)
    images = [
        _image(magnitudes(*span), replace(info, part=part), made)
        for part, span in enumerate(info.spans)
    ]
    return _mpf.join(images)


def _image(magnitude: Tensor, info: SpectrogramInfo, made: CodecSettings) -> bytes:
    kept = magnitude[:, : info.bins].detach().cpu()
    kept = kept if kept.dtype == torch.float64 else kept.float()
    levels = scale(kept, law=made.law, exponent=made.exponent, factor=made.factor)
    info = replace(info, bounds=_bounds(levels, made))
    return encode_image(
        _pixels.to_pixels(levels, info, "" if made.norbert else made.format),
        format=made.format,
        quality=made.quality,
        comment=_norbert.comment(info) if made.norbert else info.comment(),
        standard_tables=made.norbert,
    )


def _bounds(levels: Tensor, made: CodecSettings) -> Bounds:
    lower, upper = level_bounds(
        levels, percentiles=made.percentiles, dynamic_range=made.dynamic_range
    )
    if made.law != "log" and made.dynamic_range is None and made.percentiles[0] == 0:
        lower, upper = 0.0, upper if upper > 0 else 1.0  # silence is a code of its own
    return lower, upper
