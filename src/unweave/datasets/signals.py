"""From the files of a data set to decoded signals of one rate, one channel number, one length."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from unweave._core.checks import positive_int
from unweave.datasets.drawing import Signals
from unweave.datasets.options import FolderOptions
from unweave.datasets.pcm import Decoded, PcmCache
from unweave.datasets.tracks import AudioPart, Track
from unweave.errors import DatasetError

RESIDUAL = "residual"
_ALL_STEMS = 4  # so many are taken to make up their mixture
# ... and so are fewer, if one of them is by its name all the rest
_REST = {"other", "others", "accompaniment", "instrumental", "music", "noise", "rest", RESIDUAL}
_TOLERANCE = 0.5  # seconds by which the stems of a track may differ in length, as lossy codecs do


@dataclass(frozen=True, slots=True)
class Shape:
    """What all signals are to have in common.

    Attributes:
        sample_rate: In Hz.
        channels: Of each signal.
    """

    sample_rate: int
    channels: int


def settle_shape(
    tracks: Sequence[Track], sample_rate: int | None, channels: int | None, resample: bool
) -> Shape:
    """Take rate and channels from the caller or the files, and raise where files do not fit.

    Args:
        tracks: The tracks.
        sample_rate: Wanted rate in Hz; None takes that of the files.
        channels: Wanted number; None takes that of the files.
        resample: Whether files of other rates are fine.

    Returns:
        Rate and channels.

    Raises:
        DatasetError: A file has another rate or other channels.
    """
    first = tracks[0].parts[0]
    rate = first.sample_rate if sample_rate is None else positive_int("sample_rate", sample_rate)
    number = first.channels if channels is None else positive_int("num_channels", channels)
    for part in (part for track in tracks for part in track.parts):
        if part.sample_rate != rate and not resample:
            whose = f"{first.path.name!r} has" if sample_rate is None else "sample_rate is"
            raise DatasetError(
                f"{str(part.path)!r} has {part.sample_rate} Hz, but {whose} {rate} Hz: pass"
                f" resample=True to convert it{_or_all(tracks, part.sample_rate)}"
            )
        if channels is None and part.channels != number:
            raise DatasetError(
                f"{str(part.path)!r} has {part.channels} channels, but {first.path.name!r} has"
                f" {number}: pass num_channels=1 for their means, or 2 to repeat those of mono"
            )
        if number != 1 and part.channels not in (1, number):
            raise DatasetError(
                f"{str(part.path)!r} has {part.channels} channels: {number} cannot be made of"
                " them, only 1 can (num_channels=1, --num-channels 1)"
            )
    return Shape(rate, number)


def _or_all(tracks: Sequence[Track], rate: int) -> str:
    alike = all(part.sample_rate == rate for track in tracks for part in track.parts)
    return f", or sample_rate={rate}, which all files have" if alike else ""


def limit_tracks(tracks: Sequence[Track], limit: int | None, layout_sources: bool) -> list[Track]:
    """Keep the first tracks; of lone files, the first of every source.

    Args:
        tracks: All tracks.
        limit: How many are kept; None keeps all.
        layout_sources: Whether each track is a lone file of one source.

    Returns:
        The tracks that are kept.
    """
    if limit is None:
        return list(tracks)
    if not layout_sources:
        return list(tracks[:limit])
    counts: dict[str, int] = {}
    kept = []
    for track in tracks:
        (source,) = track.stems
        counts[source] = counts.get(source, 0) + 1
        if counts[source] <= limit:
            kept.append(track)
    return kept


def all_sources(tracks: Sequence[Track], targets: Sequence[str]) -> list[str]:
    """Name the sources of a data set, targets first.

    Args:
        tracks: The tracks.
        targets: The targets.

    Returns:
        The targets, then the others in the order of their names.

    Example:
        >>> all_sources([Track("song", {"bass": None, "vocals": None})], ["vocals"])
        ['vocals', 'bass']
    """
    others = {name for track in tracks for name in track.stems} - set(targets)
    return [*targets, *sorted(others)]


def need_only(track: Track, targets: Collection[str], whole: bool) -> Track:
    """Leave out the signals of a track that will not be read.

    Args:
        track: The track.
        targets: Stems asked for.
        whole: Whether all stems are needed, because their sum is the mixture.

    Returns:
        The track with the targets and the mixture, or with all stems. The mixture is kept with all
        stems where these do not make it up: what they leave of it is one more stem.
    """
    if track.mixture is None:
        return track
    if not whole:
        kept = {name: part for name, part in track.stems.items() if name in targets}
        return replace(track, stems=kept)
    complete = len(track.stems) >= _ALL_STEMS or not _REST.isdisjoint(track.stems)
    return replace(track, mixture=None) if complete else track


def decode_tracks(
    tracks: Sequence[Track], shape: Shape, options: FolderOptions, whole: bool = False
) -> list[Signals]:
    """Decode all signals of the tracks, or find them decoded.

    Args:
        tracks: The tracks.
        shape: Rate and channels.
        options: Where the cache lies, and who is told of the progress.
        whole: Whether what the stems leave of a mixture becomes a stem, "residual", in its stead.

    Returns:
        The signals of each track.

    Raises:
        DatasetError: A file is damaged, the stems of a track differ in length, or the disk is full.
    """
    cache = PcmCache(options.cache_dir, sample_rate=shape.sample_rate, channels=shape.channels)
    parts = [part for track in tracks for part in track.parts]
    decoded = cache.decode(parts, progress=options.progress)
    signals = [_signals(track, decoded) for track in tracks]
    if not whole:
        return signals
    return [_without_mixture(*pair, cache) for pair in zip(tracks, signals, strict=True)]


def _without_mixture(track: Track, signals: Signals, cache: PcmCache) -> Signals:
    if track.mixture is None or signals.mixture is None:
        return signals
    rest = cache.remainder(track.mixture, signals.mixture, list(signals.stems.values()))
    return replace(signals, stems={**signals.stems, RESIDUAL: rest}, mixture=None)


def _signals(track: Track, decoded: dict[AudioPart, Decoded]) -> Signals:
    signals = [(part, decoded[part]) for part in track.parts]
    shortest = min(signals, key=lambda pair: pair[1].frames)
    longest = max(signals, key=lambda pair: pair[1].frames)
    difference = (longest[1].frames - shortest[1].frames) / shortest[1].sample_rate
    if difference > _TOLERANCE:
        lengths = [pair[1].frames / pair[1].sample_rate for pair in (longest, shortest)]
        raise DatasetError(
            f"track {track.name!r}: {longest[0].path.name!r} is {lengths[0]:.2f} s long,"
            f" {shortest[0].path.name!r} {lengths[1]:.2f} s: stems must be aligned and equally long"
        )
    stems = {name: decoded[part] for name, part in track.stems.items()}
    mixture = None if track.mixture is None else decoded[track.mixture]
    return Signals(track.name, stems, mixture, shortest[1].frames)
