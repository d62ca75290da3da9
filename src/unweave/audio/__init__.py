"""Audio files to tensors and back: read, write, stream, resample, measure.

Signals are float32 tensors of shape (channels, time). Nothing is resampled, mixed down or
normalised unless it is asked for.
"""

from unweave.audio._types import TAGS, AudioInfo
from unweave.audio.formats import legal_rates, nearest_rate, supported_formats
from unweave.audio.loudness import LoudnessMeter, integrated_loudness
from unweave.audio.reading import AudioReader, blocks, info, read
from unweave.audio.resample import Resampler, resample
from unweave.audio.stems import StemWriter, read_stems, write_stems
from unweave.audio.writing import AudioWriter, write

__all__ = [
    "TAGS",
    "AudioInfo",
    "AudioReader",
    "AudioWriter",
    "LoudnessMeter",
    "Resampler",
    "StemWriter",
    "blocks",
    "info",
    "integrated_loudness",
    "legal_rates",
    "nearest_rate",
    "read",
    "read_stems",
    "resample",
    "supported_formats",
    "write",
    "write_stems",
]
