"""What `unweave encode` and `unweave decode` share: finding files, telling of results."""

import math
import time
from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from unweave.cli.inputs import find_tracks
from unweave.cli.output import console, print_json
from unweave.cli.report import Reporter

if TYPE_CHECKING:
    from unweave.codec.folders import CodedFile, Existing
    from unweave.separation.layout import Track


def existing_words(*, skip_existing: bool, overwrite: bool) -> "Existing":
    """Say what is to be done with files that are there."""
    from unweave.errors import ParameterError

    if skip_existing and overwrite:
        raise ParameterError("--skip-existing and --overwrite exclude each other")
    return "skip" if skip_existing else "overwrite" if overwrite else "refuse"


def check_output(output: Path) -> None:
    """Refuse a file where a folder must be."""
    from unweave.errors import ParameterError

    if output.exists() and not output.is_dir():
        raise ParameterError(f"--output {str(output)!r} is a file: give a folder")


def found_tracks(
    inputs: Iterable[str],
    output: Path,
    reporter: Reporter,
    suffixes: Collection[str] | None = None,
) -> "list[Track]":
    """Find the files that were given, and tell of what cannot be found."""
    tracks: dict[Path, Track] = {}
    for given in dict.fromkeys(inputs):
        try:
            for track in find_tracks(given, avoid=output, refuse=reporter.fail, suffixes=suffixes):
                tracks.setdefault(track.path.absolute(), track)
        except OSError as error:
            reporter.fail(given, error)
    return list(tracks.values())


class Claims:
    """The files that will be written, each by one input and none over an input.

    Args:
        inputs: Files that must stay.
    """

    def __init__(self, inputs: Iterable[Path]) -> None:
        self._taken = {_identity(path): path for path in inputs}

    def claim(self, target: Path, source: Path) -> None:
        """Take a name.

        Raises:
            ParameterError: It is taken.
        """
        from unweave.errors import ParameterError

        other = self._taken.get(key := _identity(target))
        if other is not None:
            raise ParameterError(
                f"{source}: {str(target)!r} is "
                + (
                    "an input: give another output folder"
                    if _identity(other) == key
                    else f"made of {str(other)!r} already: rename one of them"
                )
            )
        self._taken[key] = source


def _identity(path: Path) -> str:
    """Make equal what may be the same file, also where file systems ignore case."""
    return str(path.resolve()).casefold()


@dataclass
class Totals:
    """Sums over files.

    Attributes:
        files: How many were written.
        seconds: Of their audio.
        size: Bytes of their images.
        snrs: In dB, of those that were measured and are not silent.
    """

    files: int = 0
    seconds: float = 0.0
    size: int = 0
    snrs: list[float] = field(default_factory=list)

    def add(self, file: "CodedFile") -> None:
        """Count a file."""
        self.files += 1
        self.seconds += file.seconds
        self.size += file.size
        if not math.isnan(file.snr):
            self.snrs.append(file.snr)

    @property
    def rate(self) -> float:
        """Kilobytes a second of audio."""
        return self.size / 1000 / self.seconds if self.seconds else 0.0


def tell(
    results: "Generator[CodedFile]",
    jobs: int,
    output: Path,
    reporter: Reporter,
    facts: "Callable[[CodedFile], dict[str, Any]]",
) -> int:
    """Let the work be done, tell of each file and of all, and return the exit code.

    Args:
        results: What becomes of each file.
        jobs: How many there are.
        output: Stands for all in the progress.
        reporter: Tells.
        facts: Gives what is to be told of a file beyond its length.
    """
    totals, began = Totals(), time.perf_counter()
    # Closed here and now, or threads would go on after an interruption of the reporter
    with closing(results), reporter.live(jobs):
        for number, file in enumerate(results, 1):
            _tell_one(file, reporter, facts)
            if file.status == "ok":
                totals.add(file)
            reporter.progress(output, number, jobs)
    elapsed = time.perf_counter() - began
    speed = totals.seconds / elapsed
    if reporter.as_json:
        summary: dict[str, Any] = {
            "files": totals.files,
            "skipped": reporter.skipped,
            "failed": reporter.failed,
            "seconds": totals.seconds,
            "bytes": totals.size,
            "kilobytes_per_second": round(totals.rate, 3),
            "median_snr": median(totals.snrs) if totals.snrs else None,
            "lowest_snr": min(totals.snrs) if totals.snrs else None,
            "elapsed": round(elapsed, 3),
            "real_time_factor": round(speed, 2),
        }
        print_json({"summary": summary})
    elif totals.files > 1 and not reporter.verbosity.quiet:
        text = f"{totals.files} files, {totals.seconds:.0f} s, {totals.rate:.1f} kB/s"
        if totals.snrs:
            text += f", SNR {median(totals.snrs):.1f} dB (lowest {min(totals.snrs):.1f})"
        console().print(f"{text}, {speed:.0f} x real time")
    return reporter.end()


def _tell_one(
    file: "CodedFile", reporter: Reporter, facts: "Callable[[CodedFile], dict[str, Any]]"
) -> None:
    if file.error is not None:
        reporter.fail(str(file.source), file.error)
        return
    reporter.done += file.status == "ok"
    reporter.skipped += file.status == "skipped"
    if reporter.as_json:
        row: dict[str, Any] = {
            "input": str(file.source),
            "output": str(file.target),
            "status": file.status,
        }
        if file.status == "ok":
            row |= {"seconds": file.seconds, "bytes": file.size, **facts(file)}
            row["elapsed"] = round(file.elapsed, 3)
        print_json(row)
    elif not reporter.verbosity.quiet:
        if file.status == "skipped":
            console().print(f"{file.target}: is there, skipped")
            return
        rate = file.size / 1000 / file.seconds if file.seconds else 0.0
        words = [f"{file.seconds:.1f} s", f"{rate:.1f} kB/s"]
        words += [text for text in map(_worded, *zip(*facts(file).items(), strict=True)) if text]
        console().print(f"{file.target}: {', '.join(words)}")


def _worded(name: str, value: float) -> str:
    """Put a fact into words, if it is worth them."""
    if name == "snr":
        return "" if math.isnan(value) else f"SNR {value:.1f} dB"
    return f"peaks at {20 * math.log10(value):+.1f} dBFS" if value > 1 else ""
