"""`unweave decode`: images of spectrograms back to audio."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unweave.cli.report import ProgressStyle, Reporter, Verbosity

if TYPE_CHECKING:
    from unweave.codec.folders import CodedFile, DecodeJob
    from unweave.separation.layout import Track

HOW, WHERE, TALK = "Audio", "Output", "Messages"
GRIFFINLIM = "griffinlim"
_MIXTURE = "mixture"


def decode(
    inputs: Annotated[
        list[str], typer.Argument(help="Images, folders that are mirrored, or globs.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the audio.", rich_help_panel=WHERE),
    ],
    phase: Annotated[
        str,
        typer.Option(
            metavar="FILE|FOLDER|griffinlim",
            help="Audio whose phases are taken; of a folder, <path>/<name>, <path>/mixture or"
            " <path> with a suffix of audio. griffinlim seeks phases that fit.",
            rich_help_panel=HOW,
        ),
    ] = GRIFFINLIM,
    iterations: Annotated[int, typer.Option(help="Of griffinlim.", rich_help_panel=HOW)] = 32,
    seed: Annotated[
        int, typer.Option(help="Of griffinlim's first phases.", rich_help_panel=HOW)
    ] = 0,
    fill: Annotated[
        str,
        typer.Option(
            help="What stands above the highest frequency kept: zeros or extend.",
            rich_help_panel=HOW,
        ),
    ] = "zeros",
    format: Annotated[
        str, typer.Option(help="wav, flac, ogg, mp3, opus, ...", rich_help_panel=WHERE)
    ] = "wav",
    subtype: Annotated[
        str | None, typer.Option(help="pcm_16, pcm_24, float, ...", rich_help_panel=WHERE)
    ] = None,
    workers: Annotated[int, typer.Option(help="Files done at once.", rich_help_panel=HOW)] = 1,
    skip_existing: Annotated[
        bool,
        typer.Option("--skip-existing", help="Go on: leave finished files.", rich_help_panel=WHERE),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=WHERE)
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a file on stdout.", rich_help_panel=TALK),
    ] = False,
    progress: Annotated[
        ProgressStyle, typer.Option(help="On stderr.", rich_help_panel=TALK)
    ] = ProgressStyle.AUTO,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Only errors.", rich_help_panel=TALK)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks.", rich_help_panel=TALK)
    ] = False,
) -> None:
    """Turn images that `unweave encode` made back into audio: OUTPUT/<path>/<name>.wav.

    unweave decode images -o music --phase musdb18hq

    The audio is as long as what was encoded, to the sample. Exit codes: 0 all done, 1 some file
    failed (the rest is done), 2 usage, 3 an optional dependency missing, 130 Ctrl-C (go on with
    --skip-existing).
    """
    from unweave.audio.formats import resolve_format
    from unweave.cli.coding import check_output, existing_words, found_tracks, tell
    from unweave.codec.folders import IMAGE_SUFFIXES, DecodeOptions, decode_files

    existing = existing_words(skip_existing=skip_existing, overwrite=overwrite)
    check_output(output)
    options = DecodeOptions(
        format=resolve_format(Path(), format).name,
        subtype=subtype,
        fill=fill,
        n_iter=iterations,
        seed=seed,
    )
    source = _source(phase)
    verbosity = Verbosity(quiet=quiet, debug=debug)
    reporter = Reporter(as_json=as_json, style=progress, verbosity=verbosity)
    tracks = found_tracks(inputs, output, reporter, IMAGE_SUFFIXES)
    jobs = list(_plan(tracks, output, source, options.format, reporter))
    results = decode_files(jobs, options=options, workers=workers, existing=existing)
    raise typer.Exit(tell(results, len(jobs), output, reporter, _facts))


def _facts(file: "CodedFile") -> dict[str, float]:
    return {"peak": file.peak}


def _source(phase: str) -> Path | None:
    from unweave.errors import ParameterError

    path = Path(phase).expanduser()
    if path.exists():
        return path
    if phase != GRIFFINLIM:
        raise ParameterError(
            f"--phase {phase!r} is no file or folder: give audio as long as the images', or"
            f" {GRIFFINLIM}"
        )
    return None


def _plan(
    tracks: "list[Track]", output: Path, source: Path | None, format: str, reporter: Reporter
) -> "Iterator[DecodeJob]":
    """Name every file and find its phases; what cannot be done is told of and left out."""
    from unweave.cli.coding import Claims
    from unweave.codec.folders import DecodeJob
    from unweave.errors import AudioFileError, ParameterError

    claims = Claims([track.path for track in tracks])
    for track in tracks:
        target = output / f"{track.name}.{format}"
        try:
            phases = source if source is None or source.is_file() else _phases(source, track.name)
            claims.claim(target, track.path)
        except (AudioFileError, ParameterError) as error:
            reporter.fail(str(track.path), error)
        else:
            yield DecodeJob(target, track.path, phases)


def _phases(folder: Path, name: str) -> Path:
    """Find the audio in a folder whose phases an image takes."""
    from unweave.datasets.layouts import AUDIO_SUFFIXES
    from unweave.errors import AudioFileError

    parent, _, _ = name.rpartition("/")
    names = (name, f"{parent}/{_MIXTURE}" if parent else _MIXTURE, parent)
    for found in filter(None, names):
        place = folder / found
        beside = sorted(place.parent.iterdir()) if place.parent.is_dir() else []
        for path in beside:
            if path.stem == place.name and path.suffix.lower() in AUDIO_SUFFIXES:
                return path
    wanted = ", ".join(repr(str(folder / found)) for found in dict.fromkeys(filter(None, names)))
    raise AudioFileError(f"no audio gives it phases: looked for {wanted} with a suffix of audio")
