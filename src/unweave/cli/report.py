"""What a run over many songs says: progress on stderr, one table or JSON line a song on stdout."""

import math
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.cli.output import complain, console, describe, json_line, print_json, table

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from unweave.separation import Separator
    from unweave.separation.batch import FileResult

SOME_FAILED, MISSING = 1, 3


class ProgressStyle(StrEnum):
    """How progress is shown: a bar where stderr is a terminal, or what is asked for."""

    AUTO = "auto"
    BAR = "bar"
    JSON = "json"
    NONE = "none"


@dataclass(frozen=True)
class Verbosity:
    """How much is said.

    Attributes:
        quiet: only errors.
        verbose: also model, device and notes.
        debug: tracebacks of errors.
    """

    quiet: bool = False
    verbose: bool = False
    debug: bool = False


class Reporter:
    """Collects results and tells of them.

    Args:
        as_json: one JSON object a song instead of tables.
        style: of the progress.
        verbosity: how much is said.

    Attributes:
        names: what to call songs that were not given by their path.
    """

    def __init__(self, *, as_json: bool, style: ProgressStyle, verbosity: Verbosity) -> None:
        self.as_json = as_json
        self.style = style
        self.verbosity = verbosity
        self.done = self.failed = self.skipped = 0
        self.missing = False
        self.names: dict[Path, str] = {}
        self._bars: Progress | None = None
        self._tasks: dict[Path, TaskID] = {}
        self._songs: TaskID | None = None
        self._lock = threading.Lock()
        self._said = 0.0

    def begin(self, separator: "Separator") -> None:
        """Say with what the songs are separated."""
        if self.verbosity.verbose:
            kind = type(separator.model).__name__
            stems = ", ".join(separator.stems)
            print(f"{kind} on {separator.device}: {stems}", file=sys.stderr)

    @contextmanager
    def live(self, songs: int, *, counted: bool = False) -> Iterator[None]:
        """Show progress bars for as long as this lasts.

        Args:
            songs: how many there are.
            counted: show how many of them are done, each of which `add` is told of.
        """
        bar = self.style is ProgressStyle.BAR
        auto = self.style is ProgressStyle.AUTO and sys.stderr.isatty()
        if self.verbosity.quiet or not (bar or auto) or not songs:
            yield
            return
        from rich import progress

        with progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
            # A redirected stdout must not end up among the bars on stderr.
            redirect_stdout=sys.stdout.isatty(),
        ) as self._bars:
            if counted and songs > 1:
                self._songs = self._bars.add_task(f"0 of {songs} songs", total=songs)
            yield
        self._bars = self._songs = None

    def progress(
        self, path: Path, done: float, total: float | None, facts: dict[str, float] | None = None
    ) -> None:
        """Take note of how far a song is; called from the engine's threads.

        Args:
            path: of the song.
            done: so many seconds, or other units.
            total: of them in all.
            facts: what else is known by now, by name.
        """
        with self._lock:
            if self._bars is not None:
                if path not in self._tasks:
                    name = Path(self._given(path)).name
                    self._tasks[path] = self._bars.add_task(name, total=total)
                self._bars.update(self._tasks[path], completed=done)
                if facts:
                    said = ", ".join(f"{name} {value:.6g}" for name, value in facts.items())
                    name = Path(self._given(path)).name
                    self._bars.update(self._tasks[path], description=f"{name}: {said}")
            elif self.style is ProgressStyle.JSON:
                self._progress_event(path, done, total, facts or {})

    def _progress_event(
        self, path: Path, done: float, total: float | None, facts: dict[str, float]
    ) -> None:
        """At most ten events a second, and always the last one of a song."""
        now = time.monotonic()
        finished = total is not None and done >= total - 1e-6
        if finished or now - self._said > 0.1:
            self._said = now
            event = {"event": "progress", "input": self._given(path), "done": done, "total": total}
            print(json_line(event | facts, sys.stderr), file=sys.stderr, flush=True)

    def fail(self, given: str, error: Exception) -> None:
        """Tell of an input that cannot be done."""
        from unweave.errors import DependencyError

        self.failed += 1
        self.missing |= isinstance(error, DependencyError)
        if self.verbosity.debug:
            traceback.print_exception(error)
        message = describe(error)
        for path, name in self.names.items():
            message = message.replace(str(path), name)
        if given not in message:
            message = f"{given!r}: {message}"
        if "cannot write" in message:
            message += " (--output takes another folder)"
        complain(message)
        if self.as_json:
            print_json({"input": given, "status": "failed", "error": message})

    def _given(self, path: Path) -> str:
        return self.names.get(path, str(path))

    def add(self, result: "FileResult") -> None:
        """Tell of a song."""
        with self._lock:
            task = self._tasks.pop(result.path, None)
            if self._bars is not None and task is not None:
                self._bars.remove_task(task)
            if self._bars is not None and self._songs is not None:
                self._bars.advance(self._songs)
                songs = self._bars.tasks[self._bars.task_ids.index(self._songs)]
                said = f"{songs.completed:.0f} of {songs.total:.0f} songs"
                self._bars.update(self._songs, description=said)
        if result.error is not None:
            self.fail(self._given(result.path), result.error)
            return
        self.done += result.status == "ok"
        self.skipped += result.status == "skipped"
        if self.as_json:
            print_json({"input": self._given(result.path)} | as_json(result))
        elif not self.verbosity.quiet:
            self._print(result)

    def _print(self, result: "FileResult") -> None:
        out = console()
        if result.status == "skipped":
            out.print(f"{result.track}: all stems are there, skipped")
            return
        rows = table("stem", "file", "peak dBFS", "LUFS", right=("peak dBFS", "LUFS"))
        for stem in result.stems:
            rows.add_row(stem.name, str(stem.path), *_levels(stem.peak, stem.loudness))
        out.print(rows)
        for note in result.notes:
            out.print(note)
        if result.gain != 1:
            lower = -20 * math.log10(result.gain)
            out.print(
                f"all stems were lowered by {lower:.1f} dB, so that none clips"
                " (wav with --subtype float needs no such thing)"
            )
        out.print(
            f"{result.track}: {result.seconds:.1f} s of music separated in {result.elapsed:.1f} s"
            f" ({result.speed:.1f} x real time)"
        )

    def end(self) -> int:
        """Sum up, and return the exit code."""
        songs = self.done + self.failed + self.skipped
        if songs > 1 and not self.verbosity.quiet and not self.as_json:
            print(f"{self.done} done, {self.skipped} skipped, {self.failed} failed", flush=True)
        if not self.failed:
            return 0
        return MISSING if self.missing else SOME_FAILED


def as_json(result: "FileResult") -> dict[str, Any]:
    """Give what became of a song, for JSON.

    Args:
        result: of a song that is done, or was skipped.
    """
    return {
        "track": result.track,
        "status": result.status,
        "seconds": result.seconds,
        "elapsed": round(result.elapsed, 3),
        "real_time_factor": round(result.speed, 2),
        "sample_rate": result.sample_rate,
        "gain": result.gain,
        "notes": list(result.notes),
        "stems": {
            stem.name: {"path": str(stem.path), "peak": stem.peak, "loudness": stem.loudness}
            for stem in result.stems
        },
    }


def _levels(peak: float, loudness: float) -> tuple[str, str]:
    """Put peak and loudness into words; what is short or very soft has no loudness."""
    if peak <= 0:
        return "silent", "silent"
    return f"{20 * math.log10(peak):.1f}", f"{loudness:.1f}" if math.isfinite(loudness) else "-"
