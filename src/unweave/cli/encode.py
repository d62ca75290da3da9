"""`unweave encode`: audio to images of its spectrograms."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unweave.cli.report import ProgressStyle, Reporter, Verbosity

if TYPE_CHECKING:
    from unweave.codec import SpectrogramCodec
    from unweave.codec.folders import CodedFile, EncodeJob
    from unweave.separation.layout import Track

WHAT, HOW, WHERE, TALK = "What to encode", "Images", "Output", "Messages"
_STEM_MP4 = ".stem.mp4"
_MIXTURE = "mixture"


def encode(
    inputs: Annotated[
        list[str], typer.Argument(help="Audio files, folders that are mirrored, or globs.")
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for the images.", rich_help_panel=WHERE),
    ],
    mixtures: Annotated[
        bool,
        typer.Option(
            "--mixtures",
            help="Where a folder of stems has no mixture, make an image of their sum.",
            rich_help_panel=WHAT,
        ),
    ] = False,
    preset: Annotated[
        str,
        typer.Option(help="balanced, small, fast, transparent or norbert.", rich_help_panel=HOW),
    ] = "balanced",
    format: Annotated[
        str | None,
        typer.Option(help="jpeg, png, webp, avif or jxl.", rich_help_panel=HOW),
    ] = None,
    quality: Annotated[
        int | None,
        typer.Option(
            metavar="0-100",
            help="The higher the better; each format has a scale of its own.",
            rich_help_panel=HOW,
        ),
    ] = None,
    bits: Annotated[
        int | None, typer.Option(help="Of a value, 1 to 16, with png.", rich_help_panel=HOW)
    ] = None,
    n_fft: Annotated[
        int | None, typer.Option(help="Samples of a frame.", rich_help_panel=HOW)
    ] = None,
    hop_length: Annotated[
        int | None, typer.Option(help="Samples from frame to frame.", rich_help_panel=HOW)
    ] = None,
    max_frequency: Annotated[
        float | None,
        typer.Option(
            metavar="HZ", help="Leave out what is higher; 0 keeps all.", rich_help_panel=HOW
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Files done at once. [default: processors, at most 4]", rich_help_panel=HOW
        ),
    ] = None,
    measure: Annotated[
        bool,
        typer.Option(
            "--snr/--no-snr",
            help="Measure what each image gives back with its own phases.",
            rich_help_panel=TALK,
        ),
    ] = True,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing", help="Go on: leave finished images.", rich_help_panel=WHERE
        ),
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
    """Turn audio into small images of its spectrograms: OUTPUT/<path>/<name>.jpg.

    unweave encode musdb18hq -o images --mixtures

    A folder is mirrored; a .stem.mp4 becomes a folder of its stems. Such a folder is a data set for
    training (SpectrogramImageFolder), and `unweave decode` makes audio of it. Exit codes: 0 all
    done, 1 some file failed (the rest is done), 2 usage, 130 Ctrl-C (go on with --skip-existing).
    """
    from unweave.cli.coding import check_output, existing_words, found_tracks, tell
    from unweave.codec import SpectrogramCodec
    from unweave.codec.folders import encode_files

    existing = existing_words(skip_existing=skip_existing, overwrite=overwrite)
    check_output(output)
    verbosity = Verbosity(quiet=quiet, debug=debug)
    reporter = Reporter(as_json=as_json, style=progress, verbosity=verbosity)
    changes: dict[str, Any] = {
        "format": format,
        "quality": quality,
        "bits": bits,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "max_frequency": max_frequency,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if max_frequency == 0:
        changes["max_frequency"] = None
    codec = SpectrogramCodec(preset, **changes)
    jobs = _plan(found_tracks(inputs, output, reporter), output, codec, mixtures, reporter)
    results = encode_files(
        jobs, codec=codec, workers=_workers(workers), existing=existing, measure=measure
    )
    raise typer.Exit(tell(results, len(jobs), output, reporter, _facts))


def _facts(file: "CodedFile") -> dict[str, float]:
    return {"snr": file.snr}


def _workers(wanted: int | None) -> int:
    import torch

    return min(4, torch.get_num_threads()) if wanted is None else wanted


def _plan(
    tracks: "list[Track]",
    output: Path,
    codec: "SpectrogramCodec",
    mixtures: bool,
    reporter: Reporter,
) -> "list[EncodeJob]":
    """Name every image; those whose names are taken are told of and left out."""
    from unweave.cli.coding import Claims
    from unweave.codec.folders import SUFFIXES, EncodeJob
    from unweave.errors import ParameterError

    suffix = SUFFIXES[codec.settings.format]
    claims = Claims(track.path for track in tracks)
    jobs = []
    for name, sources in _images(tracks, mixtures):
        job = EncodeJob(output / f"{name}{suffix}", sources)
        try:
            claims.claim(job.target, job.name)
        except ParameterError as error:
            reporter.fail(str(job.name), error)
        else:
            jobs.append(job)
    return jobs


def _images(
    tracks: "list[Track]", mixtures: bool
) -> "Iterable[tuple[str, tuple[tuple[Path, int], ...]]]":
    """Give the name of each image, without its suffix, and what it is made of."""
    folders: dict[str, dict[str, tuple[Path, int]]] = {}
    for track in tracks:
        if track.path.name.lower().endswith(_STEM_MP4):
            stems = _streams(track.path)
            yield from ((f"{track.name}/{stem}", (source,)) for stem, source in stems.items())
        else:
            yield track.name, ((track.path, 0),)
            folder, _, stem = track.name.rpartition("/")
            folders.setdefault(folder, {})[stem] = (track.path, 0)
    for folder, stems in folders.items() if mixtures else ():
        if len(stems) > 1 and _MIXTURE not in (stem.lower() for stem in stems):
            yield f"{folder}/{_MIXTURE}" if folder else _MIXTURE, tuple(stems.values())


def _streams(path: Path) -> dict[str, tuple[Path, int]]:
    """Name the streams of a stem file."""
    from unweave.datasets.layouts import list_dataset

    listings = list_dataset(path.parent, subset=None, layout="stem.mp4")[1]
    parts = next(found.parts for found in listings if path.name == f"{found.name}{_STEM_MP4}")
    return {name: (path, part.stream) for name, part in parts.items()}
