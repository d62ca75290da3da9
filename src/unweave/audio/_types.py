"""What the decoders share: the facts about a file and the shape of a decoder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Interleaved float32 samples of shape (time, channels), as the codecs speak them."""

TAGS = (
    "title",
    "artist",
    "album",
    "date",
    "comment",
    "genre",
    "tracknumber",
    "copyright",
    "license",
    "software",
)
"""The tags that are carried from file to file; each container keeps those it has a place for."""


@dataclass(frozen=True)
class AudioInfo:
    """Facts about an audio file, from its header.

    Attributes:
        path: The file's name as it was given, or the name of the stream.
        sample_rate: Samples per second.
        channels: Channels of the stream that `read` returns.
        frames: Samples per channel.
        format: Container: 'WAV', 'FLAC', 'OGG', 'MP3', 'M4A', ...
        subtype: Coding of the samples: 'PCM_16', 'FLOAT', 'VORBIS', 'AAC', ...
        tags: Those of `title, artist, album, date, ...` that the file holds.
        streams: Audio streams in the container; 5 for a Native-Instruments stem file.
        exact: False where the container states no exact length (webm, wma, raw AAC): `frames` is
            then an estimate and the decoder has the last word.
    """

    path: str
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str
    tags: Mapping[str, str] = field(default_factory=dict)
    streams: int = 1
    exact: bool = True

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


class Decoder(Protocol):
    """What a back end must do: decode forward, and jump.

    Attributes:
        info: The file's facts.
        slack: Samples that may lack of the stated length without the file being called truncated;
            None if the length was only guessed.
    """

    info: AudioInfo
    slack: int | None

    def read(self, frames: int) -> Samples:
        """Return up to `frames` samples of shape (time, channels); fewer only at the end."""
        ...

    def seek(self, frame: int) -> None:
        """Go to a sample index between 0 and the file's length."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Encoder(Protocol):
    """What a back end must do to write a file."""

    def write(self, block: Samples) -> None:
        """Append samples of shape (time, channels)."""
        ...

    def close(self) -> None:
        """Finish the file; all errors that were held back come out here."""
        ...
