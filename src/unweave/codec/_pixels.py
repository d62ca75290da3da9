"""From levels to the pixels of one image, upright, and from pixels to magnitudes."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from unweave.codec import _jpeg, _lut
from unweave.codec._jpeg import Pixels
from unweave.codec._shares import count_shares, edges, in_shares
from unweave.codec.laws import unscale
from unweave.codec.metadata import SpectrogramInfo
from unweave.codec.planes import from_planes, to_planes
from unweave.codec.quantization import Bounds, dequantize, quantize
from unweave.errors import CodecError

_BLOCK = 8  # of pixels that the coders transform together
_AT_ONCE = 2**16  # values that stay in the cache


def plane_rows(bins: int, format: str, colours: bool) -> int:
    """Give the rows of a plane: whole blocks, so that no block holds pixels of two planes."""
    return bins if colours or format == "png" else -(-bins // _BLOCK) * _BLOCK


def to_pixels(levels: Tensor, info: SpectrogramInfo, format: str) -> Pixels:
    """Make the image of levels (channels, bins, frames).

    Planes are stacked, each with its low frequencies at the bottom; edges are repeated up to whole
    blocks, and to the width that can be cut into segments.
    """
    planes = to_planes(levels, stereo=info.stereo, center=info.center_level)
    codes = quantize(planes, bounds=info.bounds, bits=info.bits, rounding=info.rounding)
    depth = 8 if info.bits <= 8 else 16
    codes = codes << (depth - info.bits)
    pixels: Pixels = codes.numpy().astype(np.uint8 if depth == 8 else np.uint16)
    if info.colours:  # norbert's
        blue = np.zeros_like(pixels[:1])
        return np.ascontiguousarray(np.concatenate([pixels, blue])[:, ::-1].transpose(1, 2, 0))
    frames = pixels.shape[-1]
    width = _jpeg.interval(frames)[1] if format == "jpeg" else frames
    edges = ((0, 0), (0, info.rows - info.bins), (0, width - frames))
    return np.pad(pixels, edges, "edge")[:, ::-1].reshape(-1, width)


def to_magnitudes(pixels: Pixels, info: SpectrogramInfo, out: Tensor) -> None:
    """Fill the lowest bins of `out`, (channels, freq, frames), from as many columns of pixels."""
    if info.colours:
        planes = np.ascontiguousarray(pixels[:, :, :2].transpose(2, 0, 1))
    else:
        planes = pixels.reshape(info.channels, info.rows, -1)
    both = info.stereo == "mid_side" and info.channels == 2
    cubes = info.law == "power" and info.bounds[0] == 0 and 1 / info.exponent == 3
    table = _table(info, both, cubes)
    if not math.isfinite(table[-1]):
        raise CodecError(f"the image's user comment says bounds={info.bounds}: too loud to be true")
    compiled = _lut.fills()
    if compiled is None or info.bits > 8 or planes.dtype != np.uint8:
        _by_steps(planes, info, out)
        return
    fill, values = compiled[both, cubes], out.numpy()
    shares = count_shares(planes.size)
    places = edges(info.bins, shares)
    in_shares(lambda i: fill(planes, table, values, places[i], places[i + 1]), shares)


def _table(info: SpectrogramInfo, both: bool, cubes: bool) -> Pixels:
    """Give the magnitudes of pixels 0 ... 255, or, of sums of two planes, of -128 ... 383.

    Of cubes only the highest pixel and its magnitude are given. Of more than 8 bits, which no
    table is for, it is that of 8.
    """
    lower, upper = info.bounds
    bits = min(info.bits, 8)
    if info.law != "power" or lower != 0:
        return _magnitudes(info.law, info.exponent, info.factor, info.bounds, bits, both)
    # All tables of one power are multiples of one.
    with np.errstate(all="ignore"):
        loudest = np.float32(np.float64(upper) ** (1 / info.exponent))
        if cubes:
            return np.array([256 - (256 >> bits), loudest], np.float32)
        unit = _magnitudes(info.law, info.exponent, info.factor, (0.0, 1.0), bits, both)
        table: Pixels = unit * loudest
    return table


@lru_cache(maxsize=32)
def _magnitudes(
    law: str, exponent: float, factor: float, bounds: Bounds, bits: int, both: bool
) -> Pixels:
    pixels = torch.arange(-128, 384) if both else torch.arange(256)
    codes = (pixels >> (8 - bits)).clamp(0, (1 << bits) - 1)
    levels = dequantize(codes, bounds=bounds, bits=bits, dtype=torch.float64)
    return unscale(levels, law=law, exponent=exponent, factor=factor).float().numpy()


def _by_steps(planes: Pixels, info: SpectrogramInfo, out: Tensor) -> None:
    """Do the same by the steps of the codec, some bins at a time."""
    depth = 8 if planes.dtype == np.uint8 else 16
    lower, upper = info.bounds
    at_once = max(1, _AT_ONCE // (info.channels * max(1, planes.shape[2])))
    for first in range(0, info.bins, at_once):
        last = min(first + at_once, info.bins)
        part = planes[:, info.rows - last : info.rows - first][:, ::-1] >> (depth - info.bits)
        codes = torch.from_numpy(part.astype(np.float32))
        levels = dequantize(codes, bounds=info.bounds, bits=info.bits)
        levels = from_planes(levels, stereo=info.stereo, center=info.center_level)
        levels = levels.clamp_(lower, upper)
        out[:, first:last] = unscale(
            levels, law=info.law, exponent=info.exponent, factor=info.factor
        )
