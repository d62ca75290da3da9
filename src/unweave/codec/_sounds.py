"""Audio files as sources of samples: short ones in memory, long ones read where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.nn.functional import pad

from unweave import audio
from unweave.codec._encoding import Read
from unweave.codec.metadata import SpectrogramInfo
from unweave.errors import AudioFileError

SLACK = 0.5  # seconds by which stems of a song may differ in length, as lossy codecs do
_SHORT = 2**24  # samples of a channel that are kept in memory: six minutes


@dataclass(frozen=True)
class Sound:
    """A signal.

    Attributes:
        read: Gives its samples, (channels, time), from one index to before another.
        sample_rate: Samples per second.
        channels: Channels.
        length: Samples of a channel.
    """

    read: Read
    sample_rate: int
    channels: int
    length: int


@contextmanager
def opened(sources: Sequence[tuple[Path, int]]) -> Iterator[Sound]:
    """Open files whose signals are summed, up to the end of the shortest.

    Args:
        sources: Files and the index of the stream in each.

    Raises:
        AudioFileError: A file cannot be read, or they do not fit together.
    """
    with ExitStack() as stack:
        sounds = [stack.enter_context(_one(*source)) for source in sources]
        first, *others = sounds
        for (path, _), other in zip(sources[1:], others, strict=True):
            _compare(sources[0][0], first, path, other)
        length = min(sound.length for sound in sounds)

        def total(begin: int, end: int) -> Tensor:
            found = first.read(begin, end)
            if others:
                found = found.clone()
            for other in others:
                found += other.read(begin, end)
            return found

        yield Sound(total, first.sample_rate, first.channels, length)


@contextmanager
def _one(path: Path, stream: int) -> Iterator[Sound]:
    with audio.AudioReader(path, stream=stream) as reader:
        facts = reader.info
        if not facts.exact or facts.frames <= _SHORT:
            sound = reader.read(facts.frames if facts.exact and facts.frames else 1 << 62)
            yield Sound(
                lambda begin, end: sound[:, begin:end],
                facts.sample_rate,
                len(sound),
                sound.shape[1],
            )
            return

        def read(begin: int, end: int) -> Tensor:
            reader.seek(begin)
            return reader.read(end - begin)

        yield Sound(read, facts.sample_rate, facts.channels, facts.frames)


def _compare(one: Path, first: Sound, path: Path, other: Sound) -> None:
    rates, counts = (first.sample_rate, other.sample_rate), (first.channels, other.channels)
    if rates[0] != rates[1] or counts[0] != counts[1]:
        raise AudioFileError(
            f"{str(path)!r} has {rates[1]} Hz and {counts[1]} channels, {one.name!r} has"
            f" {rates[0]} Hz and {counts[0]}: they cannot be summed"
        )
    if abs(other.length - first.length) > SLACK * rates[0]:
        raise AudioFileError(
            f"{str(path)!r} is {other.length / rates[0]:.2f} s long, {one.name!r}"
            f" {first.length / rates[0]:.2f} s: stems must be aligned and equally long"
        )


@contextmanager
def phases(path: Path, info: SpectrogramInfo) -> Iterator[Read]:
    """Open the audio whose phases are taken, and make it as long as that of an image.

    Raises:
        AudioFileError: It cannot be read, or does not fit.
    """
    with opened([(path, 0)]) as sound:
        rate = sound.sample_rate
        if rate != info.sample_rate or sound.channels not in (1, info.channels):
            raise AudioFileError(
                f"the phases of {str(path)!r} do not fit: it has {rate} Hz and {sound.channels}"
                f" channels, the image {info.sample_rate} Hz and {info.channels}"
            )
        if abs(sound.length - info.length) > SLACK * rate:
            raise AudioFileError(
                f"the phases of {str(path)!r} do not fit: it is {sound.length / rate:.2f} s long,"
                f" the image's audio {info.seconds:.2f} s"
            )

        def read(begin: int, end: int) -> Tensor:
            last = min(end, sound.length)
            found = sound.read(min(begin, last), last)
            return pad(found, (0, end - begin - found.shape[1]))

        yield read
