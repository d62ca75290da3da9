"""Finds the files of a data set by the way they lie on disk, without opening any.

- tracks: `<root>/[train|val|test]/<track>/<stem>.<ext>`, also `<album>/<track>`, or one track;
- sources: `<root>/[train|val|test]/<source>/<any name>.<ext>`;
- stem.mp4: `<root>/[train|val|test]/<track>.stem.mp4`, as MUSDB18 is handed out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unweave.audio._mp4 import stem_names
from unweave.errors import DatasetError, ParameterError

MIXTURE = "mixture"
STANDARD_STEMS = ("bass", "drums", "other", "vocals")
LAYOUTS = ("tracks", "sources", "stem.mp4")
STEM_MP4 = ".stem.mp4"
MUSDB_STREAMS = (MIXTURE, "drums", "bass", "other", "vocals")
AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("wav", "flac", "ogg", "oga", "opus", "mp3", "m4a", "mp4", "aac", "aif", "aiff", "caf"),
        *("w64", "rf64", "au", "wma", "webm"),
    )
)
# What may lie beside audio without being taken for a stem in a foreign format
_DOCUMENTS = frozenset(
    f".{name}"
    for name in (
        *("md", "txt", "json", "csv", "tsv", "yaml", "yml", "html", "pdf", "png", "jpg", "jpeg"),
        *("mid", "midi", "lab", "jams"),
    )
)
_SUBSETS = {"train": ("train",), "val": ("val", "valid", "validation"), "test": ("test",)}


@dataclass(frozen=True, slots=True)
class Part:
    """Where one signal lies: a file, or one audio stream of a file.

    Attributes:
        path: The file.
        stream: Index among its audio streams.
    """

    path: Path
    stream: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of one track, or a lone file of one source.

    Attributes:
        name: The track's folders below the data set, joined by slashes.
        parts: By stem, which may be "mixture".
    """

    name: str
    parts: Mapping[str, Part]


def list_dataset(
    dataset_path: str | Path,
    *,
    subset: str | None = "train",
    layout: str = "auto",
    targets: Sequence[str] = (),
    suffixes: Collection[str] = AUDIO_SUFFIXES,
) -> tuple[str, list[Listing]]:
    """Find the files of a data set.

    Args:
        dataset_path: Its folder.
        subset: "train", "val" or "test"; None takes the folder as it is. Where there are no
            folders of these names, the whole is "train".
        layout: "tracks", "sources" or "stem.mp4"; "auto" looks which it is.
        targets: Stems that will be asked for; they help to tell the layouts apart.
        suffixes: Of the files that are wanted, in lower case, with their dots.

    Returns:
        The layout, and the tracks in the order of their names; in the layout "sources", one
        listing a file.

    Raises:
        DatasetError: The folder is missing, empty, or holds a foreign file.
        ParameterError: `subset` or `layout` is unknown.

    Example:
        >>> Path("music/song").mkdir(parents=True)
        >>> Path("music/song/vocals.wav").touch()
        >>> layout, tracks = list_dataset("music")
        >>> layout, tracks[0].name, list(tracks[0].parts)
        ('tracks', 'song', ['vocals'])
    """
    if layout not in ("auto", *LAYOUTS):
        raise ParameterError(f"layout={layout!r} must be auto, {', '.join(LAYOUTS)}")
    base = _subset_folder(Path(dataset_path), subset)
    if layout == "auto":
        layout = _detect(base, targets)
    if layout == "stem.mp4":
        found = [_stem_file(path) for path in _files(base) if path.name.endswith(STEM_MP4)]
    elif layout == "sources":
        found = list(_source_files(base, suffixes))
    else:
        found = list(_track_folders(base, base, suffixes))
    if not found:
        raise DatasetError(
            f"{str(base)!r} holds no audio in the layout {layout!r}: expected {_expected(layout)}"
        )
    return layout, found


def _expected(layout: str) -> str:
    return {
        "tracks": "<track>/<stem>.wav (or another format)",
        "sources": "<source>/<name>.wav (or another format)",
        "stem.mp4": "<track>.stem.mp4",
    }[layout]


def _subset_folder(root: Path, subset: str | None) -> Path:
    if not root.is_dir():
        what = "is a file" if root.exists() else "does not exist"
        raise DatasetError(f"data set {str(root)!r} {what}: give the folder that holds the tracks")
    if subset is None:
        return root
    subset = {"valid": "val", "validation": "val"}.get(subset, subset)
    if subset not in _SUBSETS:
        raise ParameterError(f"subset={subset!r} must be train, val or test")
    for name in _SUBSETS[subset]:
        if (root / name).is_dir():
            return root / name
    there = [name for names in _SUBSETS.values() for name in names if (root / name).is_dir()]
    if subset == "train" and not there:
        return root
    remedy = "; `AudioFolder(...).split(0.2)` takes some of the training tracks" * (subset == "val")
    others = f" (it has {', '.join(there)})" if there else ""
    raise DatasetError(f"data set {str(root)!r} has no folder {subset!r}{others}{remedy}")


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DatasetError(f"{str(folder)!r} cannot be listed: {error.strerror}") from error


def _files(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_file()]


def _folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _detect(base: Path, targets: Iterable[str]) -> str:
    if any(path.name.endswith(STEM_MP4) for path in _files(base)):
        return "stem.mp4"
    folders = {path.name for path in _folders(base)}
    wanted = set(targets)
    if (wanted and wanted <= folders) or (folders and folders <= set(STANDARD_STEMS)):
        return "sources"
    return "tracks"


def _stem_file(path: Path) -> Listing:
    listed = [name.strip().lower() for name in stem_names(path)]
    named = len(listed) == 4 and len({*listed, MIXTURE, ""}) == 6
    names = (MIXTURE, *listed) if named else MUSDB_STREAMS
    parts = {name: Part(path, stream) for stream, name in enumerate(names)}
    return Listing(path.name.removesuffix(STEM_MP4), parts)


def _source_files(base: Path, suffixes: Collection[str]) -> Iterator[Listing]:
    for folder in _folders(base):
        found = False
        for path in sorted(folder.rglob("*")):
            inner = path.relative_to(folder)
            if path.is_dir() or any(part.startswith(".") for part in inner.parts):
                continue
            if _wanted(path, suffixes):
                found = True
                name = inner.with_suffix("").as_posix()
                yield Listing(f"{folder.name}/{name}", {folder.name: Part(path)})
        if not found:
            raise DatasetError(f"{str(folder)!r} holds no audio files of the source")


def _track_folders(base: Path, folder: Path, suffixes: Collection[str]) -> Iterator[Listing]:
    """Walk down to the folders that hold audio: <track> or <album>/<track>."""
    parts: dict[str, Part] = {}
    inner = _folders(folder)
    for path in _files(folder):
        # beside albums and tracks anything may lie; within a track, all must be understood
        if (inner and path.suffix.lower() not in suffixes) or not _wanted(path, suffixes):
            continue
        stem = path.stem.lower()
        if stem in parts:
            raise DatasetError(
                f"track {folder.name!r} has two files of the stem {stem!r}: "
                f"{parts[stem].path.name} and {path.name}; keep one"
            )
        parts[stem] = Part(path)
    if parts and inner:
        raise DatasetError(
            f"{str(folder)!r} holds both audio files and folders: put the tracks into folders"
            " of their own, and nothing else beside them"
        )
    if parts:
        name = folder.name if folder == base else folder.relative_to(base).as_posix()
        yield Listing(name, parts)
        return
    if not inner and folder != base:
        raise DatasetError(f"track folder {str(folder)!r} holds no audio files")
    for child in inner:
        yield from _track_folders(base, child, suffixes)


def _wanted(path: Path, suffixes: Collection[str]) -> bool:
    """Tell audio from documents, or raise for a foreign file."""
    suffix = path.suffix.lower()
    if suffix in suffixes:
        return True
    if suffix in _DOCUMENTS or path.stem.lower() in ("license", "licence", "readme", "thumbs"):
        return False
    allowed = "audio" if len(suffixes) > 1 else f"{''.join(suffixes)[1:]} file"
    raise DatasetError(
        f"foreign file {str(path)!r} in the data set: it is no {allowed}; "
        "move it away (text, tables and pictures may stay)"
    )
