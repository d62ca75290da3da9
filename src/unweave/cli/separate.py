"""`unweave separate`: files, folders, globs or standard input to stems."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unweave.cli.inputs import find_tracks, seconds, spooled_stdin
from unweave.cli.own_model import SEPARATED, OwnModel, own_model
from unweave.cli.report import ProgressStyle, Reporter, Verbosity
from unweave.models import list_models

if TYPE_CHECKING:
    from unweave.separation import Separator
    from unweave.separation.layout import OutputOptions

FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "aiff", "caf", "m4a")
NAME = "{track}/{stem}.{ext}"
WHAT, HOW, WHERE, TALK = "What to separate", "Separation", "Output", "Messages"


def separate(
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Audio files, folders, globs, or - for standard input (./-x.wav for a name that"
            " begins with a dash); before them the folder of a model of one's own, if it is to be"
            " used."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            "--save",
            help="Folder for the stems: ./stems, with a model of one's own the current one.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option(
            help="Path of each file within OUTPUT: {track}, {stem}, {ext}; {parent}: the song's"
            " folder; {suffix}: of the song's file.",
            rich_help_panel=WHERE,
        ),
    ] = NAME,
    stems: Annotated[
        str | None,
        typer.Option(help="Write only these, such as vocals,drums.", rich_help_panel=WHAT),
    ] = None,
    two_stems: Annotated[
        str | None,
        typer.Option(
            help="Write this stem and all the rest as a second one: vocals for karaoke.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    residual: Annotated[
        bool,
        typer.Option("--residual", help="Write what no stem holds.", rich_help_panel=WHAT),
    ] = False,
    start: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            help="Leave out the beginning: seconds, or 1:30.",
            rich_help_panel=WHAT,
        ),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            help="Separate so much and no more: seconds, or 1:30.",
            rich_help_panel=WHAT,
        ),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            help="wav, flac, ogg, mp3, opus, m4a, aiff or caf.",
            autocompletion=lambda: list(FORMATS),
            rich_help_panel=WHERE,
        ),
    ] = "wav",
    subtype: Annotated[
        str | None,
        typer.Option(
            help="Coding of the samples: pcm_16, pcm_24, pcm_32, float or double, where the format"
            " has it. Left out: float for wav, aiff and caf, pcm_24 for flac.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    stem_mp4: Annotated[
        bool,
        typer.Option(
            "--stem-mp4", help="Write one .stem.mp4 a song, for DJ software.", rich_help_panel=WHERE
        ),
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(
            help="Name (see `unweave models`) or weights file.",
            autocompletion=lambda: list_models(),
            rich_help_panel=HOW,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1, mps.", envvar="UNWEAVE_DEVICE", rich_help_panel=HOW
        ),
    ] = "auto",
    segment: Annotated[
        float | None,
        typer.Option(
            metavar="SEC",
            help="Seconds seen at once; memory grows with it. Left out: what the model likes.",
            rich_help_panel=HOW,
        ),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            help="Share of a segment that its successor repeats, 0 to 0.95. Left out: 0.1.",
            rich_help_panel=HOW,
        ),
    ] = None,
    shifts: Annotated[
        int,
        typer.Option(
            help="Average this many shifted runs: a little better, as many times slower.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    wiener: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Refine by N steps of a multichannel Wiener filter; it helps where the stems lie"
            " at different places in the stereo picture.",
            rich_help_panel=HOW,
        ),
    ] = 0,
    workers: Annotated[
        int, typer.Option(help="Songs done at once; memory grows with it.", rich_help_panel=HOW)
    ] = 1,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Leave songs alone whose files are all there.",
            rich_help_panel=WHERE,
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=WHERE)
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a song on stdout.", rich_help_panel=TALK),
    ] = False,
    progress: Annotated[
        ProgressStyle,
        typer.Option(
            help="On stderr: a bar, one JSON object a line, or none; auto: a bar on terminals.",
            rich_help_panel=TALK,
        ),
    ] = ProgressStyle.AUTO,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Say nothing but errors.", rich_help_panel=TALK)
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Say also which model runs on which device.",
            rich_help_panel=TALK,
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors.", rich_help_panel=TALK)
    ] = False,
) -> None:
    """Separate songs into stems: OUTPUT/<track>/vocals.wav, drums.wav, bass.wav, other.wav.

    The stems keep the song's sample rate, channels and length, and sum to the song.

    With a model that `unweave train` made, as in `unweave separate my_model song.mp3 --residual`,
    OUTPUT/separated_audio/<track>/ gets original.wav, a file a target, and residual.wav.

    Exit codes: 0 all done, 1 some input failed (the rest is done), 2 usage, 3 weights or an
    optional dependency missing, 130 Ctrl-C.
    """
    from unweave.errors import ParameterError

    if skip_existing and overwrite:
        raise ParameterError("--skip-existing and --overwrite exclude each other")
    existing: Literal["refuse", "skip", "overwrite"] = (
        "skip" if skip_existing else "overwrite" if overwrite else "refuse"
    )
    reporter = Reporter(
        as_json=as_json,
        style=progress,
        verbosity=Verbosity(quiet=quiet, verbose=verbose, debug=debug),
    )
    if output is not None and output.exists() and not output.is_dir():
        raise ParameterError(f"--output {str(output)!r} is a file: give a folder for the stems")
    if stem_mp4 and (name != NAME or format != "wav" or subtype is not None):
        raise ParameterError(
            "--stem-mp4 writes OUTPUT/<track>.stem.mp4 in AAC: leave out --name, --format and"
            " --subtype"
        )
    from unweave.separation.layout import OutputOptions

    options = OutputOptions(
        name=_with_ext(name, format),
        format=format,
        subtype=subtype,
        stems=_chosen(stems, residual),
        two_stems=two_stems,
        stem_mp4=stem_mp4,
        start=start,
        duration=duration,
        existing=existing,
    )
    own, inputs = own_model(inputs, model)
    words = {"segment": segment, "overlap": overlap, "shifts": shifts, "wiener": wiener}
    separator = _build(own or model, device, residual, words)
    if own is not None:
        options = own.laid_out(options, residual)
    reporter.begin(separator)
    folder = (output or Path("stems")) if own is None else (output or Path()) / SEPARATED
    raise typer.Exit(_run(inputs, folder, separator, options, workers, reporter))


def _chosen(stems: str | None, residual: bool) -> tuple[str, ...] | None:
    """Split the names of the stems to write."""
    from unweave.errors import ParameterError

    if stems is None:
        return None
    chosen = tuple(s.strip() for s in stems.split(",") if s.strip())
    if not chosen:
        raise ParameterError("--stems names no stem: give for example --stems vocals,drums")
    return (*chosen, "residual") if residual else chosen


def _with_ext(name: str, format: str) -> str:
    """Let `--name song/{stem}` do without its suffix, and see that one fits the format."""
    from unweave.audio import supported_formats
    from unweave.errors import ParameterError

    suffix = Path(name).suffix.removeprefix(".").lower()
    if suffix not in supported_formats():
        return name if name.endswith("{ext}") else f"{name}.{{ext}}"
    if suffix != format.lower():
        raise ParameterError(
            f"--name {name!r} ends in .{suffix}, but {format} is written: give --format {suffix},"
            " or {ext} for the suffix"
        )
    return name


def _build(
    model: OwnModel | str | None, device: str, residual: bool, words: dict[str, Any]
) -> "Separator":
    from unweave.models import DEFAULT_MODEL
    from unweave.separation import Separator

    given = {key: value for key, value in words.items() if value is not None}
    chosen = model.network if isinstance(model, OwnModel) else model or DEFAULT_MODEL
    return Separator(chosen, device=device, residual=residual, **given)


def _run(
    inputs: list[str],
    output: Path,
    separator: "Separator",
    options: "OutputOptions",
    workers: int,
    reporter: Reporter,
) -> int:
    """Separate everything and return the exit code."""
    from unweave.separation.batch import separate_files

    with _scratch(inputs) as scratch:
        tracks = []
        for given in dict.fromkeys(inputs):
            try:
                if given == "-":
                    tracks += (found := spooled_stdin(scratch))
                    reporter.names[found[0].path] = "-"
                else:
                    tracks += find_tracks(given, avoid=output, refuse=reporter.fail)
            except OSError as error:
                reporter.fail(given, error)
        results = separate_files(
            tracks,
            output,
            separator=separator,
            options=options,
            workers=workers,
            progress=reporter.progress,
        )
        # Closed here and now, or threads would go on after an interruption of the reporter
        with closing(results), reporter.live(len(tracks), counted=True):
            for result in results:
                reporter.add(result)
    return reporter.end()


@contextmanager
def _scratch(inputs: list[str]) -> Iterator[Path]:
    """Give a folder for what standard input holds, and remove it."""
    if "-" not in inputs:
        yield Path()
        return
    with tempfile.TemporaryDirectory(prefix="unweave-") as folder:
        kept = Path(folder) / "stdin"  # what {parent} stands for
        kept.mkdir()
        yield kept
