"""`unweave evaluate`: how near stems come to the true ones."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unweave.cli.report import ProgressStyle, Reporter, Verbosity

if TYPE_CHECKING:
    from unweave.cli.scoring import Plan

WHAT, WHERE, TALK = "What to measure", "Output", "Messages"


class Average(StrEnum):
    """Over tracks."""

    MEDIAN = "median"
    MEAN = "mean"


def evaluate(
    estimates: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|FOLDER",
            help="Name of a model, weights file or folder of a model; or a folder of estimates,"
            " FOLDER/<track>/<stem>.wav.",
        ),
    ],
    dataset: Annotated[
        Path, typer.Argument(help="Folder of tracks with their true stems, or one track.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The table of all tracks. [default: evaluation.csv; for a model of one's own"
            " evaluation-DATASET.csv in its folder]",
            rich_help_panel=WHERE,
        ),
    ] = None,
    museval: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write DIR/test/<track>.json, as museval does.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the scores of all tracks.", rich_help_panel=WHERE),
    ] = None,
    skip_existing: Annotated[
        bool,
        typer.Option(
            "--skip-existing",
            help="Go on: keep the scores that the table holds.",
            rich_help_panel=WHERE,
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=WHERE),
    ] = False,
    stems: Annotated[
        str | None,
        typer.Option(help="Score only these: vocals,drums", rich_help_panel=WHAT),
    ] = None,
    subset: Annotated[
        str | None,
        typer.Option(
            help="train, val or test. [default: test if there is one]", rich_help_panel=WHAT
        ),
    ] = None,
    max_tracks: Annotated[
        int | None, typer.Option(metavar="N", help="Only the first N.", rich_help_panel=WHAT)
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SEC", help="Only the beginning of tracks.", rich_help_panel=WHAT),
    ] = None,
    baselines: Annotated[
        str | None,
        typer.Option(
            help="Also score these: mixture,split,irm,ibm (the mixture itself, equal shares of it,"
            " ideal ratio and binary masks).",
            rich_help_panel=WHAT,
        ),
    ] = None,
    bss: Annotated[
        bool,
        typer.Option(
            "--bss/--no-bss",
            help="Measure BSSEval version 4: most of the time.",
            rich_help_panel=WHAT,
        ),
    ] = True,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1, mps.", envvar="UNWEAVE_DEVICE", rich_help_panel=WHAT
        ),
    ] = "auto",
    average: Annotated[
        Average, typer.Option(help="Over tracks, for the table shown.", rich_help_panel=TALK)
    ] = Average.MEDIAN,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a track on stdout.", rich_help_panel=TALK),
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
    """Measure how near stems come to the true ones: SDR, SI-SDR and BSSEval, in dB.

    unweave evaluate bandmask musdb18hq --baselines mixture,irm --picture scores.png

    unweave evaluate separated_audio musdb18hq

    Tracks that cannot be scored are named, and the others are done. Exit codes: 0 all done, 1 some
    track failed, 2 usage, 3 weights or an optional dependency missing, 130 Ctrl-C (what is done is
    kept: go on with --skip-existing).
    """
    from unweave.cli.scoring import Plan, run

    plan = Plan(
        estimates=estimates,
        dataset=dataset,
        output=output or _table(estimates, dataset),
        museval=museval,
        picture=picture,
        existing="overwrite" if overwrite else "skip" if skip_existing else "refuse",
        stems=_words("--stems", stems),
        subset=subset,
        max_tracks=max_tracks,
        duration=duration,
        baselines=_words("--baselines", baselines) or (),
        bss=bss,
        device=device,
        average=average.value,
    )
    _check(plan, both=overwrite and skip_existing)
    verbosity = Verbosity(quiet=quiet, debug=debug)
    reporter = Reporter(as_json=as_json, style=progress, verbosity=verbosity)
    raise typer.Exit(run(plan, reporter))


def _table(estimates: str, dataset: Path) -> Path:
    """Tell where the scores go; a model's own evaluation.csv belongs to its training."""
    folder = Path(estimates)
    if (folder / "config.json").is_file():
        return folder / f"evaluation-{dataset.resolve().name}.csv"
    return Path("evaluation.csv")


def _words(option: str, text: str | None) -> tuple[str, ...] | None:
    from unweave.errors import ParameterError

    if text is None:
        return None
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise ParameterError(f"{option} {text!r} names nothing")
    return found


def _check(plan: "Plan", *, both: bool) -> None:
    """Refuse what cannot be done before hours are spent on it."""
    from unweave.errors import AudioFileError, ParameterError
    from unweave.evaluation.baselines import BASELINES

    if both:
        raise ParameterError("--skip-existing and --overwrite exclude each other")
    for name in plan.baselines:
        if name not in BASELINES:
            raise ParameterError(f"--baselines {name!r}: known are {', '.join(BASELINES)}")
    limits: dict[str, Any] = {"--max-tracks": plan.max_tracks, "--duration": plan.duration}
    for option, value in limits.items():
        if value is not None and not value > 0:
            raise ParameterError(f"{option} {value} must be positive")
    if plan.museval is not None and not plan.bss:
        raise ParameterError("--museval needs BSSEval: leave out --no-bss")
    for path in (plan.output, plan.picture):
        if path is not None and path.exists() and plan.existing == "refuse":
            raise AudioFileError(
                f"{str(path)!r} exists: --skip-existing goes on with it, --overwrite begins anew"
            )
