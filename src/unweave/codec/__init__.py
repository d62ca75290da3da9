"""Spectrograms as image files: small, quick to load, and complete in themselves."""

from unweave.codec.bandwidth import (
    BandwidthLimit,
    kept_bins,
    limit_bandwidth,
    restore_bandwidth,
)
from unweave.codec.codec import SpectrogramCodec
from unweave.codec.images import ImageHeader, decode_image, encode_image, open_image
from unweave.codec.laws import Scaling, scale, unscale
from unweave.codec.metadata import SpectrogramInfo
from unweave.codec.planes import ImagePlanes, from_planes, to_planes
from unweave.codec.quantization import (
    Quantization,
    dequantize,
    level_bounds,
    quantization_error,
    quantize,
)
from unweave.codec.settings import PRESETS, CodecSettings, preset_settings

__all__ = [
    "PRESETS",
    "BandwidthLimit",
    "CodecSettings",
    "ImageHeader",
    "ImagePlanes",
    "Quantization",
    "Scaling",
    "SpectrogramCodec",
    "SpectrogramInfo",
    "decode_image",
    "dequantize",
    "encode_image",
    "from_planes",
    "kept_bins",
    "level_bounds",
    "limit_bandwidth",
    "open_image",
    "preset_settings",
    "quantization_error",
    "quantize",
    "restore_bandwidth",
    "scale",
    "to_planes",
    "unscale",
]
