"""Separates many files: each is done or fails for itself."""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Literal

import torch
from torch import Tensor

from unweave._core.pool import behind
from unweave.audio import AudioInfo, info, nearest_rate
from unweave.errors import AudioFileError, Cancelled, ParameterError, UnweaveError
from unweave.separation.layout import Job, OutputOptions, Selection, Track, plan_jobs, select_stems
from unweave.separation.network import Cancel
from unweave.separation.separator import Separator
from unweave.separation.songwriter import SongWriter, StemResult
from unweave.separation.stages import resampled
from unweave.separation.workfolder import remove_leftovers

_AHEAD = 32  # blocks that wait to be written while the network works: some MB

FileProgress = Callable[[Path, float, float | None], object]
"""Called with the song's path, the seconds done and the seconds in all."""


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one song.

    Attributes:
        path: of the song.
        track: its name.
        status: "ok", "skipped" (its files are there) or "failed".
        stems: what was written.
        seconds: length of what was separated.
        elapsed: seconds that it took.
        sample_rate: of the written files, in hertz.
        gain: factor that all stems were scaled by so that none clips.
        error: why it failed.
        notes: what else the user should know.
    """

    path: Path
    track: str
    status: Literal["ok", "skipped", "failed"]
    stems: tuple[StemResult, ...] = ()
    seconds: float = 0.0
    elapsed: float = 0.0
    sample_rate: int = 0
    gain: float = 1.0
    error: Exception | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def speed(self) -> float:
        """How many times faster than real time it went; 0 if nothing was separated."""
        return self.seconds / self.elapsed if self.elapsed else 0.0


def separate_files(
    inputs: Iterable[str | Path | Track],
    output: str | Path,
    *,
    separator: Separator,
    options: OutputOptions | None = None,
    workers: int = 1,
    progress: FileProgress | None = None,
    cancel: Cancel | None = None,
) -> Generator[FileResult]:
    """Separate files into a folder.

    All stems of a song appear together, when they are complete; a song that fails leaves nothing.
    Hidden folders that a killed process left in the output folder are removed.

    Args:
        inputs: the songs; a song given twice is done once.
        output: folder for the stems, created if missing.
        separator: does the work.
        options: which stems are written, and how.
        workers: songs that are done at once, each in a thread; memory grows with it.
        progress: called with the song, the seconds done and the seconds in all; with several
            workers from their threads.
        cancel: asked between segments; True stops.

    Returns:
        One result a song, as soon as it is done. Closing the generator stops the work.

    Raises:
        ParameterError: an option does not fit the separator's stems.
        Cancelled: `cancel` said so; finished songs are kept.

    Example:
        >>> from unweave.models.bandmask import BandMaskNet
        >>> separator = Separator(BandMaskNet(widths=(4, 4, 4), recurrent=8), device="cpu")
        >>> [result] = separate_files(["no such song.wav"], "stems", separator=separator)
        >>> result.status, str(result.error)
        ('failed', "...no such song.wav...")
    """
    options = options or OutputOptions()
    if workers < 1:
        raise ParameterError(f"workers={workers} must be a positive integer")
    whole = options.two_stems or options.stem_mp4 or options.mixture
    if whole and not separator.complete:
        # All stems must sum to the mixture, so that "everything else" is the rest of it.
        separator = separator.with_options(residual=True)
    selections = select_stems(separator.stems, options)
    jobs = plan_jobs(
        [Track.of(given) for given in inputs],
        Path(output),
        names=[selection.name for selection in selections],
        options=options,
    )
    remove_leftovers(Path(output))
    song = _Batch(Path(output), separator, selections, options, progress).run
    if workers == 1 or len(jobs) < 2:
        return (song(job, cancel=cancel) for job in jobs)
    return _in_threads(song, jobs, min(workers, len(jobs)), cancel)


def _in_threads(
    song: Callable[..., FileResult], jobs: list[Job], workers: int, cancel: Cancel | None
) -> Generator[FileResult]:
    stop = Event()
    threads = torch.get_num_threads()

    def stopped() -> bool:
        return stop.is_set() or (cancel is not None and cancel())

    with ThreadPoolExecutor(
        workers,
        thread_name_prefix="unweave-song",
        # Threads share the processors; more of them than processors would only be in the way.
        initializer=torch.set_num_threads,
        initargs=(max(1, threads // workers),),
    ) as pool:
        waiting: set[Future[FileResult]] = {pool.submit(song, job, cancel=stopped) for job in jobs}
        try:
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
            torch.set_num_threads(threads)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What all songs of a batch have in common."""

    folder: Path
    separator: Separator
    selections: list[Selection]
    options: OutputOptions
    progress: FileProgress | None

    def run(self, job: Job, *, cancel: Cancel | None) -> FileResult:
        """Do one song, and turn what goes wrong with it into a result."""
        began = time.perf_counter()
        try:
            if _may_skip(job, self.options):
                return FileResult(job.track.path, job.track.name, "skipped")
            result = self._write(job, cancel)
        except Cancelled:
            raise
        except (UnweaveError, OSError, MemoryError) as error:
            result = FileResult(job.track.path, job.track.name, "failed", error=error)
        return replace(result, elapsed=time.perf_counter() - began)

    def _write(self, job: Job, cancel: Cancel | None) -> FileResult:
        facts = info(job.track.path)
        if facts.exact and facts.frames == 0:
            raise AudioFileError(f"{str(job.track.path)!r} holds no samples: nothing to separate")
        rate, notes = _written_rate(facts, self.options)
        counter = _Counter()
        blocks = self.separator.stream_file(
            job.track.path,
            start=self.options.start,
            duration=self.options.duration,
            progress=None if self.progress is None else partial(self.progress, job.track.path),
            cancel=cancel,
        )
        stems = (_mixed(block, self.selections) for block in counter.count(blocks))
        with SongWriter(
            job.targets,
            names=[selection.name for selection in self.selections],
            folder=self.folder,
            sample_rate=rate,
            channels=facts.channels,
            options=self.options,
            # "software" tells what made the song's own file
            tags={name: text for name, text in facts.tags.items() if name != "software"},
        ) as writer:
            behind(writer.write, resampled(stems, facts.sample_rate, rate), ahead=_AHEAD)
            written = writer.finish(cancel=cancel)
        return FileResult(
            job.track.path,
            job.track.name,
            "ok",
            stems=tuple(written),
            seconds=counter.frames / facts.sample_rate,
            sample_rate=rate,
            gain=writer.gain,
            notes=notes,
        )


def _may_skip(job: Job, options: OutputOptions) -> bool:
    """Tell whether the song is done already, or raise if it must not be done."""
    if job.refusal is not None:
        raise ParameterError(f"{job.track.path}: {job.refusal}")
    there = [path for path in job.targets.values() if os.path.lexists(path)]
    if options.existing == "skip":
        return len(there) == len(job.targets)
    if options.existing == "refuse" and there:
        raise ParameterError(
            f"{job.track.path}: {there[0]} exists: give --overwrite, --skip-existing or another"
            " output folder"
        )
    return False


def _written_rate(facts: AudioInfo, options: OutputOptions) -> tuple[int, tuple[str, ...]]:
    """Return a sample rate that the format can hold, and what to say about it."""
    format = "m4a" if options.stem_mp4 else options.format
    rate = nearest_rate(format, facts.sample_rate)
    if rate == facts.sample_rate:
        return rate, ()
    return rate, (f"{format} cannot hold {facts.sample_rate} Hz: resampled to {rate} Hz",)


def _mixed(block: Tensor, selections: list[Selection]) -> Tensor:
    """Sum the stems of each selection."""
    if all(selection.parts == (i,) for i, selection in enumerate(selections)):
        return block[: len(selections)]
    return torch.stack([block[list(selection.parts)].sum(0) for selection in selections])


class _Counter:
    """Counts the frames that pass."""

    def __init__(self) -> None:
        self.frames = 0

    def count(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        for block in blocks:
            self.frames += block.shape[-1]
            yield block
