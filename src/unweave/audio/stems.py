"""Stem files (`.stem.mp4`): a mixture and its sources in one MP4, as DJs and MUSDB use them.

Written files have the mixture as first AAC stream, which is what ordinary players play, then one
stream for each source; names stand in the `stem` box of Native Instruments' format and as the
streams' titles. DJ software expects exactly four sources at 44.1 kHz, stereo.
"""

import os
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unweave.audio import _mp4
from unweave.audio._source import AudioSource, Source
from unweave.audio._types import Samples
from unweave.audio.formats import FORMATS, check_limits, has_av
from unweave.audio.reading import AudioReader, read
from unweave.audio.writing import (
    Audio,
    FileWriter,
    check_tags,
    require_finite,
    require_some,
    to_samples,
)
from unweave.errors import AudioFileError, DependencyError, ParameterError

MIXTURE = "mixture"
_MUSDB = (MIXTURE, "drums", "bass", "other", "vocals")
_BLOCK = 1 << 16


class StemWriter(FileWriter):
    """Encode a stem file piece by piece, in memory that does not grow with its length.

    Args:
        path: File to create or replace, by custom `NAME.stem.mp4`.
        sample_rate: Samples per second; one that AAC knows.
        channels: Channels of every stream.
        stems: Names of the sources, in order, without the mixture.
        tags: Text to keep, by the names that `info` uses.

    Raises:
        ParameterError: AAC cannot hold this rate or channel count, or the names are not unique.
        AudioFileError: The file cannot be written.
        DependencyError: PyAV is missing.

    Example:
        >>> from unweave import audio
        >>> names = ["drums", "vocals"]
        >>> with audio.StemWriter("song.stem.mp4", sample_rate=44100, stems=names) as writer:
        ...     writer.write(torch.zeros(3, 2, 44100))
        >>> audio.info("song.stem.mp4").streams
        3
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sample_rate: int,
        channels: int = 2,
        stems: Sequence[str],
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.stems = list(stems)
        if not self.stems or len({*self.stems, MIXTURE}) != len(self.stems) + 1:
            raise ParameterError(f"stems={self.stems} must be unique names other than {MIXTURE!r}")
        rate, self.channels, _ = check_limits(
            FORMATS["m4a"], sample_rate=sample_rate, channels=channels, subtype=None
        )
        kept = check_tags(tags)
        if not has_av():
            raise DependencyError("writing stem.mp4 needs PyAV: pip install 'unweave[av]'")
        from unweave.audio._av import AvEncoder

        super().__init__(path)
        with self._guard():
            self._encoder = self._streams = AvEncoder(
                self._part.path,
                sample_rate=rate,
                channels=self.channels,
                container="mp4",
                titles=[MIXTURE, *self.stems],
                tags=kept,
            )

    def write(self, block: Audio) -> None:
        """Append a block to every stream.

        Args:
            block: Samples of the mixture, then of each stem, as floats with full scale at 1.

        Raises:
            ParameterError: The shape or dtype does not fit, or samples are NaN or infinite.
            AudioFileError: The file cannot be written, for example because the disk is full.

        Shape:
            (1 + stems, channels, time)
        """
        self._require_open()
        streams = 1 + len(self.stems)
        if block.ndim != 3 or block.shape[0] != streams:
            raise ParameterError(
                f"block of shape {tuple(block.shape)} must be "
                f"(streams={streams}, channels={self.channels}, time): mixture, then stems"
            )
        samples: list[Samples] = [to_samples(stream, self.channels) for stream in block]
        for stream in samples:
            require_finite(stream, "stem.mp4")
        with self._guard():
            self._streams.write_streams(samples)
        self.frames += len(samples[0])

    def _finish(self) -> None:
        require_some(self.frames, FORMATS["m4a"])
        self._streams.close()
        _mp4.add_stem_names(self._part.path, self.stems)


def write_stems(
    path: str | os.PathLike[str],
    mixture: Audio,
    stems: Mapping[str, Audio],
    sample_rate: int,
    *,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write a mixture and its sources as one stem file.

    Args:
        path: File to create or replace, by custom `NAME.stem.mp4`.
        mixture: What ordinary players will play.
        stems: The sources by name, each of the mixture's shape.
        sample_rate: Samples per second; one that AAC knows.
        tags: Text to keep, by the names that `info` uses.

    Raises:
        ParameterError: Shapes differ, or AAC cannot hold this rate or channel count.
        AudioFileError: The file cannot be written.
        DependencyError: PyAV is missing.

    Shape:
        (channels, time) each

    Example:
        >>> from unweave import audio
        >>> silence = torch.zeros(2, 44100)
        >>> audio.write_stems("song.stem.mp4", silence, {"vocals": silence}, 44100)
    """
    signals = [torch.as_tensor(signal) for signal in (mixture, *stems.values())]
    shapes = {tuple(signal.shape) for signal in signals}
    if len(shapes) != 1 or signals[0].ndim != 2:
        raise ParameterError(
            f"shapes {sorted(shapes)} of mixture and stems must be one (channels, time)"
        )
    channels, time = signals[0].shape
    with StemWriter(
        path, sample_rate=sample_rate, channels=channels, stems=list(stems), tags=tags
    ) as writer:
        for start in range(0, time, _BLOCK):
            writer.write(torch.stack([signal[:, start : start + _BLOCK] for signal in signals]))


def read_stems(
    path: AudioSource, *, start: float = 0.0, duration: float | None = None
) -> tuple[dict[str, Tensor], int]:
    """Read all streams of a stem file.

    Args:
        path: Path, or binary file object.
        start: Where to begin, in seconds.
        duration: How many seconds to read; None reads to the end.

    Returns:
        The signals by name, 'mixture' first, and their sample rate in Hz. Names come from the
        file in lower case; five streams without names are taken in the order of MUSDB: mixture,
        drums, bass, other, vocals.

    Raises:
        AudioFileError: The file cannot be read, or its streams differ in rate, length or channels.
        DependencyError: PyAV is missing.

    Shape:
        (channels, time) each

    Example:
        >>> from unweave import audio
        >>> silence = torch.zeros(2, 44100)
        >>> audio.write_stems("song.stem.mp4", silence, {"vocals": silence}, 44100)
        >>> list(audio.read_stems("song.stem.mp4", start=0.5)[0])
        ['mixture', 'vocals']
    """
    source = Source(path)
    try:
        with AudioReader(source.path) as reader:
            facts = reader.info
        names = _names(source, facts.streams)
        parts = [
            read(source.path, start=start, duration=duration, stream=index)
            for index in range(facts.streams)
        ]
    finally:
        source.close()
    if len({(rate, signal.shape) for signal, rate in parts}) != 1:
        raise AudioFileError(f"the streams of {source.name!r} differ in rate, length or channels")
    return dict(zip(names, (signal for signal, _ in parts), strict=True)), parts[0][1]


def _names(source: Source, streams: int) -> list[str]:
    """Name the streams: by the file's own list, by MUSDB's order, or by number."""
    listed = [name.strip().lower() for name in _mp4.stem_names(source.path)]
    unique = {*listed, MIXTURE, ""}
    if len(listed) == streams - 1 and len(unique) == len(listed) + 2:
        return [MIXTURE, *listed]
    if streams == len(_MUSDB):
        return list(_MUSDB)
    return [MIXTURE, *(f"stem {index}" for index in range(1, streams))]
