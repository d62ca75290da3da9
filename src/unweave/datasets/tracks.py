"""The tracks of a data set: their stems, checked to be complete and alike."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unweave import audio
from unweave.datasets.layouts import AUDIO_SUFFIXES, MIXTURE, Listing, Part, list_dataset
from unweave.errors import AudioFileError, DatasetError, ParameterError

MISSING = ("error", "silent")


@dataclass(frozen=True, slots=True)
class AudioPart:
    """One signal of a data set and the facts about it.

    Attributes:
        path: The file.
        stream: Index among its audio streams.
        sample_rate: In Hz.
        channels: Of the signal.
        frames: Samples of each channel, as far as the header knows.
    """

    path: Path
    stream: int
    sample_rate: int
    channels: int
    frames: int


@dataclass(frozen=True, slots=True)
class Track:
    """One song: its stems, and its mixture if that is a file of its own.

    Attributes:
        name: The song's folders below the data set.
        stems: By name, without the mixture.
        mixture: None if the mixture is the sum of the stems.
    """

    name: str
    stems: Mapping[str, AudioPart]
    mixture: AudioPart | None = None

    @property
    def parts(self) -> list[AudioPart]:
        """All signals of the track, the mixture first."""
        return [*([] if self.mixture is None else [self.mixture]), *self.stems.values()]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return min(part.frames / part.sample_rate for part in self.parts)

    def read(
        self, targets: Sequence[str], *, start: float = 0.0, duration: float | None = None
    ) -> tuple[Tensor, Tensor, int]:
        """Read the whole track, or a part of it, as its files hold it.

        Args:
            targets: Stems wanted, in this order; one that the track has not is silent.
            start: Where to begin, in seconds.
            duration: How many seconds to read; None reads to the end.

        Returns:
            The mixture, the targets, and their sample rate in Hz. Without a file of its own, the
            mixture is the sum of all stems of the track.

        Raises:
            DatasetError: Rates or channels of the files differ.
            AudioFileError: A file cannot be read.

        Shape:
            (channels, time) and (targets, channels, time)

        Example:
            >>> for stem in ("vocals", "drums"):
            ...     Path("song").mkdir(exist_ok=True)
            ...     audio.write(f"song/{stem}.wav", torch.full((2, 80), 0.25), 8000)
            >>> mixture, targets, rate = scan_dataset("song")[0].read(["vocals"])
            >>> mixture.shape, float(mixture[0, 0]), targets.shape, rate
            (torch.Size([2, 80]), 0.5, torch.Size([1, 2, 80]), 8000)
        """
        wanted = {name: self.stems[name] for name in targets if name in self.stems}
        mixture = {} if self.mixture is None else {MIXTURE: self.mixture}
        needed = {**mixture, **(wanted if mixture else self.stems)}
        require_alike(needed.values(), f"track {self.name!r}")
        signals = {
            name: audio.read(part.path, stream=part.stream, start=start, duration=duration)[0]
            for name, part in needed.items()
        }
        shortest = min(signal.shape[1] for signal in signals.values())
        signals = {name: signal[:, :shortest] for name, signal in signals.items()}
        whole = signals[MIXTURE] if mixture else torch.stack(list(signals.values())).sum(0)
        stems = [signals[name] if name in wanted else torch.zeros_like(whole) for name in targets]
        rate = next(iter(needed.values())).sample_rate
        return whole, torch.stack(stems) if stems else whole.new_empty(0, *whole.shape), rate


def scan_dataset(
    dataset_path: str | Path,
    *,
    subset: str | None = "train",
    targets: Sequence[str] = (),
    layout: str = "auto",
    audio_format: str | None = None,
    missing: str = "error",
) -> list[Track]:
    """Find the tracks of a data set, and check that each has its stems.

    Args:
        dataset_path: Its folder, in one of the layouts of `unweave.datasets`.
        subset: "train", "val" or "test"; None takes the folder as it is. Where there are no
            folders of these names, the whole is "train".
        targets: Stems that every track must have.
        layout: "tracks", "sources" or "stem.mp4"; "auto" looks which it is.
        audio_format: The only file format that is allowed, such as "wav"; None allows all.
        missing: "error" if a track without one of its stems is a mistake, "silent" if that stem is
            not played in it. Besides the targets, stems that most tracks have are expected of all,
            unless the mixture is a file of its own.

    Returns:
        The tracks in the order of their names. In the layout "sources" each file is a track of
        one stem.

    Raises:
        DatasetError: The data set is missing, empty, lacks a stem, or holds a foreign or damaged
            file; the text names it.
        ParameterError: An argument is unknown.

    Example:
        >>> Path("music/song").mkdir(parents=True)
        >>> audio.write("music/song/drums.wav", torch.zeros(2, 800), 8000)
        >>> scan_dataset("music", targets=["vocals"])
        Traceback (most recent call last):
        unweave.errors.DatasetError: track 'song' lacks the stem 'vocals' (it has drums): ...
    """
    if missing not in MISSING:
        raise ParameterError(f"missing={missing!r} must be error or silent")
    layout, listings = list_dataset(
        dataset_path,
        subset=subset,
        layout=layout,
        targets=targets,
        suffixes=_suffixes(audio_format),
    )
    if layout != "sources" and missing == "error":
        _require_stems(listings, targets)
    _require_targets(str(dataset_path), listings, targets)
    return [_track(listing) for listing in listings]


def _suffixes(audio_format: str | None) -> Collection[str]:
    if audio_format is None:
        return AUDIO_SUFFIXES
    suffix = "." + audio_format.lower().removeprefix("stem.").lstrip(".")
    if suffix not in AUDIO_SUFFIXES:
        known = ", ".join(sorted(name[1:] for name in AUDIO_SUFFIXES))
        raise ParameterError(f"audio_format={audio_format!r} must be one of {known}")
    return (suffix,)


def _require_stems(listings: Sequence[Listing], targets: Sequence[str]) -> None:
    """Raise for the first track that lacks a target, or a stem that most others have."""
    counts = Counter(name for listing in listings for name in listing.parts)
    usual = [name for name, count in counts.items() if 2 * count > len(listings)]
    for listing in listings:
        expected = targets if MIXTURE in listing.parts else [*targets, *sorted(usual)]
        for name in expected:
            if name not in listing.parts and name != MIXTURE:
                there = ", ".join(sorted(listing.parts))
                raise DatasetError(
                    f"track {listing.name!r} lacks the stem {name!r} (it has {there}): add the"
                    " file, or pass missing='silent' (--missing silent) if it is not played there"
                )


def _require_targets(root: str, listings: Sequence[Listing], targets: Sequence[str]) -> None:
    there = {name for listing in listings for name in listing.parts} - {MIXTURE}
    for name in targets:
        if name not in there:
            has = f"it has {', '.join(sorted(there))}" if there else "it has only mixtures"
            raise DatasetError(f"nothing in the data set {root!r} is named {name!r}: {has}")


def _track(listing: Listing) -> Track:
    parts = {name: _probe(part, listing) for name, part in listing.parts.items()}
    mixture = parts.pop(MIXTURE, None)
    return Track(listing.name, parts, mixture)


def _probe(part: Part, listing: Listing) -> AudioPart:
    try:
        facts = audio.info(part.path)
    except AudioFileError as error:
        raise DatasetError(f"track {listing.name!r} has a damaged file: {error}") from error
    if part.stream >= facts.streams:
        raise DatasetError(
            f"{str(part.path)!r} has {facts.streams} audio streams, not the {len(listing.parts)} of"
            f" a stem file ({', '.join(listing.parts)})"
        )
    if not facts.frames and facts.exact:
        raise DatasetError(f"{str(part.path)!r} holds no samples")
    return AudioPart(part.path, part.stream, facts.sample_rate, facts.channels, facts.frames)


def require_alike(parts: Collection[AudioPart], whose: str) -> None:
    """Raise unless signals have one rate and one number of channels.

    Args:
        parts: The signals.
        whose: What they belong to, for the error.

    Raises:
        DatasetError: They differ.
    """
    first = next(iter(parts))
    for part in parts:
        if part.sample_rate != first.sample_rate:
            raise DatasetError(
                f"{whose}: {str(part.path)!r} has {part.sample_rate} Hz, {first.path.name!r} has"
                f" {first.sample_rate} Hz: resample one of them"
            )
        if part.channels != first.channels:
            raise DatasetError(
                f"{whose}: {str(part.path)!r} has {part.channels} channels, {first.path.name!r}"
                f" has {first.channels}"
            )
