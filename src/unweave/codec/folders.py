"""Many files: audio to images and back, in threads, each done or failed for itself."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import torch
from torch import Tensor

from unweave import audio
from unweave._core.checks import positive_int
from unweave._core.pool import in_threads
from unweave.audio.formats import resolve_format
from unweave.codec._encoding import Read, Signal, count_frames, part_frames
from unweave.codec._rejoin import rejoined
from unweave.codec._sounds import opened, phases
from unweave.codec.bandwidth import FILLS
from unweave.codec.codec import SpectrogramCodec
from unweave.codec.metadata import SpectrogramInfo
from unweave.errors import AudioFileError, CodecError, ParameterError, UnweaveError

SUFFIXES = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "avif": ".avif", "jxl": ".jxl"}
"""What files of each format are named by `unweave encode`."""

IMAGE_SUFFIXES = frozenset({*SUFFIXES.values(), ".jpeg"})

Existing: TypeAlias = Literal["refuse", "skip", "overwrite"]
Job = TypeVar("Job", "EncodeJob", "DecodeJob")


@dataclass(frozen=True, slots=True)
class EncodeJob:
    """An image, and the audio that it is made of.

    Attributes:
        target: The image.
        sources: Files of audio and the index of the stream in each; several are summed.
    """

    target: Path
    sources: tuple[tuple[Path, int], ...]

    @property
    def name(self) -> Path:
        """The file that stands for the job in reports."""
        return self.sources[0][0] if len(self.sources) == 1 else self.target


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """A file of audio, and the image that it is made of.

    Attributes:
        target: The audio.
        image: The image.
        phases: Audio whose phases are taken; None seeks phases by Griffin and Lim.
    """

    target: Path
    image: Path
    phases: Path | None = None

    @property
    def name(self) -> Path:
        """The file that stands for the job in reports."""
        return self.image


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How images become audio.

    Attributes:
        format: Of the audio, such as "wav".
        subtype: Coding of its samples; None is the format's default.
        fill: What stands in bins that were left out: "zeros" or "extend".
        n_iter: Iterations of Griffin and Lim.
        seed: Of their first phases; the same for every file.

    Raises:
        ParameterError: A value is unknown or out of range.
    """

    format: str = "wav"
    subtype: str | None = None
    fill: str = "zeros"
    n_iter: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        coding = resolve_format(Path(), self.format)
        if self.subtype is not None and self.subtype.upper() not in coding.subtypes:
            raise ParameterError(
                f"subtype={self.subtype!r} must be one of {', '.join(coding.subtypes)} for"
                f" {coding.name}"
            )
        if self.fill not in FILLS:
            raise ParameterError(f"fill={self.fill!r} must be one of {FILLS}")
        positive_int("n_iter", self.n_iter)
        if self.seed < 0:
            raise ParameterError(f"seed={self.seed} must be at least 0")


@dataclass(frozen=True, slots=True)
class CodedFile:
    """What became of one file.

    Attributes:
        source: The file it was made of.
        target: The file that was to be written.
        status: "ok", "skipped" (it is there) or "failed".
        seconds: Length of the audio.
        size: Bytes of the image.
        snr: Of the audio that the image gives back with its own phases, in dB; infinite if nothing
            differs, NaN if it is silent or was not measured.
        peak: Of the audio written, full scale being 1.
        elapsed: Seconds it took.
        error: Why it failed.
    """

    source: Path
    target: Path
    status: Literal["ok", "skipped", "failed"] = "ok"
    seconds: float = 0.0
    size: int = 0
    snr: float = math.nan
    peak: float = 0.0
    elapsed: float = 0.0
    error: Exception | None = None


def encode_files(
    jobs: Sequence[EncodeJob],
    *,
    codec: SpectrogramCodec,
    workers: int = 1,
    existing: Existing = "refuse",
    measure: bool = True,
) -> Generator[CodedFile]:
    """Make images of files of audio.

    Each image appears complete or not at all; a file that fails leaves the others alone. A minute
    of stereo takes some 120 MB of memory in each thread, up to six minutes; longer audio, as JPEG,
    takes no more.

    Args:
        jobs: What is to be made.
        codec: Makes the images.
        workers: How many are made at once, each in a thread.
        existing: What to do where the image is there: "refuse" is an error; "skip" leaves it, but
            is an error if it was made with other settings; "overwrite".
        measure: Whether to measure what each image gives back.

    Returns:
        One result a job, as soon as it is done. Closing the generator stops the work.

    Raises:
        ParameterError: An argument is out of range.

    Example:
        >>> audio.write("a.wav", torch.rand(1, 8000) - 0.5, 8000)
        >>> job = EncodeJob(Path("a.jpg"), ((Path("a.wav"), 0),))
        >>> [file] = encode_files([job], codec=SpectrogramCodec())
        >>> file.status, file.seconds, 20 < file.snr < 30
        ('ok', 1.0, True)
    """
    work = partial(_encode, codec=codec, measure=measure)
    return _run(jobs, work, partial(_fits, codec=codec), workers, existing)


def decode_files(
    jobs: Sequence[DecodeJob],
    *,
    options: DecodeOptions | None = None,
    workers: int = 1,
    existing: Existing = "refuse",
) -> Generator[CodedFile]:
    """Make audio of images, as long as what they were made of.

    Args:
        jobs: What is to be made.
        options: How.
        workers: How many are made at once, each in a thread.
        existing: What to do where the audio is there: "refuse" is an error, "skip", "overwrite".

    Returns:
        One result a job, as soon as it is done. Closing the generator stops the work.

    Raises:
        ParameterError: An argument is out of range.

    Example:
        >>> file = SpectrogramCodec().encode(torch.rand(1, 8000), sample_rate=8000, path="a.jpg")
        >>> [made] = decode_files([DecodeJob(Path("a.wav"), Path("a.jpg"))])
        >>> made.status, audio.info("a.wav").frames
        ('ok', 8000)
    """
    options = options or DecodeOptions()
    work = partial(_decode, options=options)
    return _run(jobs, work, lambda _job: None, workers, existing)


def _run(
    jobs: Sequence[Job],
    work: Callable[[Job], CodedFile],
    fits: Callable[[Job], None],
    workers: int,
    existing: Existing,
) -> Generator[CodedFile]:
    positive_int("workers", workers)
    if existing not in ("refuse", "skip", "overwrite"):
        raise ParameterError(f"existing={existing!r} must be refuse, skip or overwrite")

    def one(job: Job) -> CodedFile:
        """Do one, and turn what goes wrong with it into a result."""
        began = time.perf_counter()
        try:
            if existing != "overwrite" and os.path.lexists(job.target):
                if existing == "refuse":
                    raise ParameterError(
                        f"{str(job.target)!r} exists: give --overwrite, --skip-existing or another"
                        " output folder"
                    )
                fits(job)
                result = CodedFile(job.name, job.target, "skipped")
            else:
                _make_folder(job.target.parent)
                result = work(job)
        except (UnweaveError, OSError, MemoryError) as error:
            result = CodedFile(job.name, job.target, "failed", error=error)
        return replace(result, elapsed=time.perf_counter() - began)

    return in_threads(one, jobs, workers=workers)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise AudioFileError(f"cannot write to {str(folder)!r}: {reason}") from error


def _fits(job: EncodeJob, codec: SpectrogramCodec) -> None:
    """Raise if the image that is there was made with other settings."""
    made, wanted = codec.info(job.target), codec.settings
    names = ("n_fft", "hop_length", "window", "center", "law", "exponent", "bits", "rounding")
    pairs = [(name, getattr(made, name), getattr(wanted, name)) for name in names]
    pairs.append(("bins", made.bins, max(1, wanted.bins(made.sample_rate))))
    for name, found, asked in pairs:
        if found != asked:
            raise CodecError(
                f"{str(job.target)!r} is there with {name}={found!r}, not {asked!r}: --overwrite"
                " makes it anew"
            )


def _encode(job: EncodeJob, codec: SpectrogramCodec, measure: bool) -> CodedFile:
    for path, stream in job.sources:
        _check_length(path, stream, codec)
    with opened(job.sources) as sound:
        file = codec.encode_blocks(
            sound.read,
            channels=sound.channels,
            length=sound.length,
            sample_rate=sound.sample_rate,
            path=job.target,
        )
        snr = _snr(codec, file, sound.read) if measure else math.nan
    seconds = sound.length / sound.sample_rate
    return CodedFile(job.name, job.target, seconds=seconds, size=len(file), snr=snr)


def _check_length(path: Path, stream: int, codec: SpectrogramCodec) -> None:
    """Raise before an hour of audio is read for nothing."""
    facts, made = audio.info(path), codec.settings
    if stream >= facts.streams:
        raise AudioFileError(f"{str(path)!r} has {facts.streams} audio streams, not {stream + 1}")
    if facts.exact and not facts.frames:
        raise AudioFileError(f"{str(path)!r} holds no samples")
    frames = count_frames(facts.frames or 0, made)
    try:
        part_frames(Signal(facts.sample_rate, facts.channels, facts.frames or 0, frames), made)
    except ParameterError as error:
        minutes = facts.frames / facts.sample_rate / 60
        raise ParameterError(f"{str(path)!r} is {minutes:.1f} minutes long: {error}") from error


def _snr(codec: SpectrogramCodec, file: bytes, sound: Read) -> float:
    """Measure what an image gives back with the phases of its audio, in dB."""
    info = codec.info(file)
    signal = noise = 0.0
    at = 0
    for piece in rejoined(_magnitudes(codec, file, info), sound, info):
        true = sound(at, at + piece.shape[-1])
        signal += float(torch.linalg.vector_norm(true, dtype=torch.float64)) ** 2
        noise += float(torch.linalg.vector_norm(true - piece, dtype=torch.float64)) ** 2
        at += piece.shape[-1]
    if signal == 0:
        return math.nan
    return 10 * math.log10(signal / noise) if noise > 0 else math.inf


def _magnitudes(
    codec: SpectrogramCodec, source: bytes | Path, info: SpectrogramInfo, fill: str = "zeros"
) -> Read:
    """Give what decodes frames of a file: of one image once, of several when they are wanted."""
    if info.parts == 1:
        magnitude = codec.decode(source, fill=fill)
        return lambda first, last: magnitude[..., first:last]
    return lambda first, last: codec.decode(source, start=first, frames=last - first, fill=fill)


def _decode(job: DecodeJob, options: DecodeOptions) -> CodedFile:
    codec = SpectrogramCodec()
    info = codec.info(job.image)
    rate = round(info.sample_rate)
    if rate != info.sample_rate:
        raise CodecError(f"{str(job.image)!r} has {info.sample_rate} Hz: no audio file has that")
    peak = 0.0
    with audio.AudioWriter(
        job.target,
        sample_rate=rate,
        channels=info.channels,
        format=options.format,
        subtype=options.subtype,
    ) as writer:
        for piece in _pieces(job, options, codec, info):
            peak = max(peak, float(piece.abs().max()))
            writer.write(piece)
    size = job.image.stat().st_size
    return CodedFile(job.name, job.target, seconds=info.seconds, size=size, peak=peak)


def _pieces(
    job: DecodeJob, options: DecodeOptions, codec: SpectrogramCodec, info: SpectrogramInfo
) -> Iterator[Tensor]:
    if job.phases is None:
        generator = torch.Generator().manual_seed(options.seed)
        yield codec.resynthesise(
            job.image, fill=options.fill, n_iter=options.n_iter, generator=generator
        )
    else:
        with phases(job.phases, info) as read:
            magnitudes = _magnitudes(codec, job.image, info, options.fill)
            yield from rejoined(magnitudes, read, info)
