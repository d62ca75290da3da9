"""Decides which files a separation writes, before anything is separated."""

import math
import os
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unweave.audio.formats import resolve_format
from unweave.errors import ParameterError

FIELDS = ("track", "stem", "ext", "parent", "suffix")
STEM_MP4 = "stem.mp4"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Which stems of a song are written, and how.

    Args:
        name: path of each file within the output folder; `{track}`, `{stem}`, `{ext}`, `{parent}`
            (the folder that the song lies in) and `{suffix}` (of the song's file, such as mp3) are
            filled in.
        format: a format that `unweave.audio.AudioWriter` knows.
        subtype: coding of the samples; None is the format's default.
        stems: write only these.
        two_stems: write this stem and everything else as a second one.
        stem_mp4: write one `{track}.stem.mp4` with the mixture and all stems instead of one file a
            stem.
        start: seconds of each song to leave out at the beginning.
        duration: seconds of each song to separate; None goes on to its end.
        existing: what to do with songs whose files are there already.
        mixture: name under which the song itself is written too; None leaves it out.

    Raises:
        ParameterError: an option is out of range, or two of them do not fit together.

    Example:
        >>> OutputOptions(name="{artist}/{stem}.{ext}")
        Traceback (most recent call last):
        unweave.errors.ParameterError: name='{artist}/{stem}.{ext}' may hold {track}, {stem}, ...
    """

    name: str = "{track}/{stem}.{ext}"
    format: str = "wav"
    subtype: str | None = None
    stems: tuple[str, ...] | None = None
    two_stems: str | None = None
    stem_mp4: bool = False
    start: float = 0.0
    duration: float | None = None
    existing: Literal["refuse", "skip", "overwrite"] = "refuse"
    mixture: str | None = None

    def __post_init__(self) -> None:
        _check_template(self.name)
        coding = resolve_format(Path(), self.format)
        if self.subtype is not None and self.subtype.upper() not in coding.subtypes:
            raise ParameterError(
                f"subtype={self.subtype!r} must be one of {', '.join(coding.subtypes)} for"
                f" {coding.name}"
            )
        if self.existing not in ("refuse", "skip", "overwrite"):
            raise ParameterError(f"existing={self.existing!r} must be refuse, skip or overwrite")
        if not self.start >= 0:
            raise ParameterError(f"start={self.start} s must be 0 or more")
        if self.duration is not None and not 0 < self.duration < math.inf:
            raise ParameterError(f"duration={self.duration} s must be a number above 0")
        if self.two_stems is not None and self.stems is not None:
            raise ParameterError(
                f"stems={list(self.stems)} and two_stems={self.two_stems!r} exclude each other"
            )
        if self.stem_mp4 and self.mixture is not None:
            raise ParameterError("a stem.mp4 holds the mixture: leave out mixture")
        if self.stem_mp4 and (self.two_stems is not None or self.stems is not None):
            raise ParameterError("a stem.mp4 holds all stems: leave out stems and two_stems")


def _check_template(name: str) -> None:
    try:
        fields = [part[1:] for part in string.Formatter().parse(name) if part[1] is not None]
    except ValueError as error:
        raise ParameterError(f"name={name!r} is no template: {error}") from error
    if any(field not in FIELDS or spec or conversion for field, spec, conversion in fields):
        allowed = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise ParameterError(f"name={name!r} may hold {allowed} and plain text only")
    if "stem" not in (field for field, _, _ in fields):
        raise ParameterError(f"name={name!r} must hold {{stem}}: stems need different files")
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ParameterError(f"name={name!r} must stay within the output folder")


@dataclass(frozen=True, slots=True)
class Selection:
    """One file's worth of stems.

    Attributes:
        name: of the written stem.
        parts: which of the separator's stems are summed for it.
    """

    name: str
    parts: tuple[int, ...]


def select_stems(available: Sequence[str], options: OutputOptions) -> list[Selection]:
    """Choose what is written of what is separated.

    Args:
        available: names of the separator's stems, which sum to the mixture.
        options: those asked for.

    Returns:
        One selection a file.

    Raises:
        ParameterError: there is no stem of that name.

    Example:
        >>> select_stems(["vocals", "drums", "bass"], OutputOptions(two_stems="vocals"))
        [Selection(name='vocals', parts=(0,)), Selection(name='accompaniment', parts=(1, 2))]
    """
    wanted = options.stems if options.two_stems is None else (options.two_stems,)
    for name in wanted or ():
        if name not in available:
            raise ParameterError(f"unknown stem {name!r}: the model gives {', '.join(available)}")
    whole = [] if options.mixture is None else [Selection(options.mixture, _all(available))]
    if options.mixture in available:
        raise ParameterError(f"mixture={options.mixture!r} is the name of a stem: take another")
    if options.two_stems is None:
        names = available if wanted is None else wanted
        chosen = [Selection(name, (available.index(name),)) for name in dict.fromkeys(names)]
        return whole + chosen
    index = available.index(options.two_stems)
    rest = tuple(other for other in _all(available) if other != index)
    other = "accompaniment" if options.two_stems == "vocals" else f"no_{options.two_stems}"
    return [*whole, Selection(options.two_stems, (index,)), Selection(other, rest)]


def _all(stems: Sequence[str]) -> tuple[int, ...]:
    return tuple(range(len(stems)))


@dataclass(frozen=True, slots=True)
class Track:
    """One song to separate.

    Attributes:
        path: of its file.
        name: fills `{track}` in the names of its stems.
    """

    path: Path
    name: str

    @classmethod
    def of(cls, given: "str | Path | Track") -> "Track":
        """Name a song after its file.

        Args:
            given: a path, or a track that has a name already.

        Returns:
            The track.

        Example:
            >>> Track.of("in/My Song.stem.mp4").name
            'My Song'
        """
        if isinstance(given, Track):
            return given
        path = Path(given)
        return cls(path, path.stem.removesuffix(".stem") or path.name)


@dataclass(frozen=True, slots=True)
class Job:
    """A song and the files that it becomes.

    Attributes:
        track: the song.
        targets: the files, by stem; one entry named "stem.mp4" if one file holds all stems.
        refusal: why it cannot be done, if so.
    """

    track: Track
    targets: dict[str, Path]
    refusal: str | None = None


def plan_jobs(
    tracks: Iterable[Track], output: Path, *, names: Sequence[str], options: OutputOptions
) -> list[Job]:
    """Name every file, and refuse songs whose files would collide.

    A song that is given twice is done once.

    Args:
        tracks: the songs.
        output: folder that the files go to.
        names: of the stems that are written for each.
        options: how.

    Returns:
        One job a song, in the given order.

    Example:
        >>> job, = plan_jobs([Track.of("a/x.mp3")], Path("out"), names=["bass"], options=
        ...     OutputOptions())
        >>> job.targets["bass"].as_posix()
        'out/x/bass.wav'
    """
    places: dict[Path, str] = {}
    unique = {_identity(track.path, places): track for track in reversed(list(tracks))}
    taken: dict[str, Track] = {}
    jobs = []
    for track in reversed(unique.values()):
        targets = _targets(track, output, names, options)
        keys = [_identity(path, places) for path in targets.values()]
        refusal = None
        for key in keys:
            if key in unique:
                refusal = f"{unique[key].path} would be overwritten: give another output folder"
            elif key in taken:
                refusal = _collision(track, taken[key])
        if refusal is None:
            taken.update(dict.fromkeys(keys, track))
        jobs.append(Job(track, targets, refusal))
    return jobs


def _collision(track: Track, other: Track) -> str:
    """Say that two songs become the same files, and which names would tell them apart."""
    if _folder(track) != _folder(other):
        remedy = "tell them apart by the name {parent}/{track}/{stem}.{ext}"
    elif track.path.suffix != other.path.suffix:
        remedy = "tell them apart by the name {track}.{suffix}/{stem}.{ext}"
    else:
        remedy = "give the folder that holds both, whose layout is kept"
    return (
        f"its stems would go to the same files as those of {other.path}: rename one of the songs,"
        f" or {remedy}"
    )


def _targets(
    track: Track, output: Path, names: Sequence[str], options: OutputOptions
) -> dict[str, Path]:
    if options.stem_mp4:
        return {STEM_MP4: output / f"{track.name}.{STEM_MP4}"}
    ext = resolve_format(Path(), options.format).name
    words = {
        "track": track.name,
        "ext": ext,
        "parent": _folder(track),
        "suffix": track.path.suffix.removeprefix(".") or "none",
    }
    return {stem: output / options.name.format(stem=stem, **words) for stem in names}


def _folder(track: Track) -> str:
    return track.path.absolute().parent.name


def _identity(path: Path, places: dict[Path, str]) -> str:
    """Make equal what may be the same file, also where file systems ignore case.

    The folders are looked up once: catalogues hold a hundred thousand files.
    """
    folder = path.parent
    if folder not in places:
        places[folder] = os.path.realpath(folder)
    joined = os.path.join(places[folder], path.name)  # noqa: PTH118 (many times as fast)
    return (os.path.realpath(joined) if os.path.islink(joined) else joined).casefold()  # noqa: PTH114
