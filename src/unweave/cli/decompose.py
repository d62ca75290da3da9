"""`unweave decompose`: a song to components, without any training."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from unweave.cli.inputs import seconds
from unweave.cli.report import ProgressStyle, Reporter, Verbosity

HOW, WHERE, TALK = "Decomposition", "Output", "Messages"
_BETAS = {"frobenius": 2.0, "kl": 1.0, "is": 0.0}


class Method(StrEnum):
    """What takes the song apart."""

    NMF = "nmf"
    SNPA = "snpa"
    SPA = "spa"
    XRAY = "xray"
    GREEDY = "greedy"
    HPSS = "hpss"
    REPET = "repet"
    REPET_SIM = "repet-sim"


class Init(StrEnum):
    """Where NMF starts."""

    NNDSVDA = "nndsvda"
    NNDSVD = "nndsvd"
    SEPARABLE = "separable"
    RANDOM = "random"


class Mode(StrEnum):
    """What becomes of factors."""

    MASK = "mask"
    RAW = "raw"


class Likeness(StrEnum):
    """What components of a source have in common."""

    TIMBRE = "timbre"
    ACTIVATION = "activation"


def decompose(
    song: Annotated[Path, typer.Argument(help="Audio file.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="Folder for everything.", rich_help_panel=WHERE),
    ] = Path("components"),
    method: Annotated[
        Method,
        typer.Option(
            help="nmf; frames of the song itself: snpa, spa, xray, greedy; harmonic and"
            " percussive: hpss; background and foreground: repet, repet-sim.",
            rich_help_panel=HOW,
        ),
    ] = Method.NMF,
    components: Annotated[
        int | None,
        typer.Option("--components", "-k", help="How many (default 7).", rich_help_panel=HOW),
    ] = None,
    beta: Annotated[
        str | None,
        typer.Option(
            help="What NMF minimises: frobenius, kl, is, or a number (default frobenius).",
            rich_help_panel=HOW,
        ),
    ] = None,
    init: Annotated[
        Init | None,
        typer.Option(help="Where NMF starts (default nndsvda).", rich_help_panel=HOW),
    ] = None,
    starts: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Tries of NMF, the best of which is kept; further ones are random (default 1).",
            rich_help_panel=HOW,
        ),
    ] = None,
    n_iter: Annotated[
        int | None,
        typer.Option(min=1, help="The most iterations of NMF (default 200).", rich_help_panel=HOW),
    ] = None,
    mode: Annotated[
        Mode | None,
        typer.Option(
            help="mask: shares of the song, which sum to it; raw: the factors themselves."
            " (default mask).",
            rich_help_panel=HOW,
        ),
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(
            help="Exponent of magnitudes whose shares are the masks (default 1).",
            rich_help_panel=HOW,
        ),
    ] = None,
    clusters: Annotated[
        int | None,
        typer.Option(
            metavar="K", min=1, help="Put components together to K sources.", rich_help_panel=HOW
        ),
    ] = None,
    cluster_by: Annotated[
        Likeness | None,
        typer.Option(help="By what (default timbre).", rich_help_panel=HOW),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            min=1,
            help="How clearly parts of hpss and repet must be such; the rest is residual."
            " (default 1).",
            rich_help_panel=HOW,
        ),
    ] = None,
    n_fft: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Samples of a frame (default 4096; hpss, repet: 2048).",
            rich_help_panel=HOW,
        ),
    ] = None,
    hop_length: Annotated[
        int | None,
        typer.Option(
            "--hop-length",
            "--hop",
            min=1,
            help="Samples from frame to frame (default a quarter of a frame).",
            rich_help_panel=HOW,
        ),
    ] = None,
    start: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            help="Leave out the beginning: seconds, or 1:30.",
            rich_help_panel=HOW,
        ),
    ] = 0.0,
    duration: Annotated[
        float | None,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            help="Take apart so much and no more: seconds, or 1:30.",
            rich_help_panel=HOW,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of random starts.", rich_help_panel=HOW)] = 0,
    device: Annotated[
        str,
        typer.Option(
            help="auto, cpu, cuda, cuda:1 (default auto, a GPU if there is one).",
            envvar="UNWEAVE_DEVICE",
            show_default=False,
            rich_help_panel=HOW,
        ),
    ] = "auto",
    references: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the true sources, to which components are matched one to one.",
            rich_help_panel=WHERE,
        ),
    ] = None,
    format: Annotated[
        str, typer.Option(help="wav, flac, ogg, mp3, opus, m4a, ...", rich_help_panel=WHERE)
    ] = "wav",
    subtype: Annotated[
        str | None, typer.Option(help="pcm_16, pcm_24, float, ...", rich_help_panel=WHERE)
    ] = None,
    picture: Annotated[
        bool, typer.Option(help="Draw what was found.", rich_help_panel=WHERE)
    ] = True,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=WHERE)
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout.", rich_help_panel=TALK)
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
    """Take a song apart without training: component-01.wav, ..., factors.npz, components.png.

    unweave decompose song.wav --components 12 --beta kl --clusters 4 -o parts

    unweave decompose song.wav --method hpss --margin 2

    Components come the loudest first. All channels share one factorisation, of the mean of their
    magnitudes; every channel is masked by itself. With --references, matches.csv says which
    component is which, in dB.

    Exit codes: 0 done, 1 the song or the references cannot be used, 2 usage, 3 an optional
    dependency is missing, 130 Ctrl-C.
    """
    from unweave.cli.decomposing import run
    from unweave.cli.taking_apart import Plan

    named: dict[str, Any] = {"components": components, "init": init, "starts": starts}
    named |= {"beta": _beta(beta), "n_iter": n_iter, "mode": mode, "power": power}
    named |= {"clusters": clusters, "cluster_by": cluster_by, "margin": margin}
    given = {key: value for key, value in named.items() if value is not None}
    _check(method, given)
    plan = Plan(
        song=song,
        output=output,
        method=method.value,
        **{key: getattr(value, "value", value) for key, value in given.items()},
        n_fft=n_fft,
        hop_length=hop_length,
        references=references,
        start=start,
        duration=duration,
        format=format,
        subtype=subtype,
        picture=picture,
        overwrite=overwrite,
        seed=seed,
        device=device,
    )
    verbosity = Verbosity(quiet=quiet, debug=debug)
    reporter = Reporter(as_json=as_json, style=progress, verbosity=verbosity)
    raise typer.Exit(run(plan, reporter))


def _beta(word: str | None) -> float | None:
    from unweave.errors import ParameterError

    if word is None:
        return None
    try:
        return _BETAS[word.lower()] if word.lower() in _BETAS else float(word)
    except ValueError as error:
        raise ParameterError(f"--beta {word!r} must be frobenius, kl, is or a number") from error


def _check(method: Method, given: dict[str, Any]) -> None:
    """Refuse options that would not do anything."""
    from unweave.cli.taking_apart import FACTORING, SPLITTING
    from unweave.errors import ParameterError

    only_nmf = ("beta", "init", "starts", "n_iter")
    for option in given:
        allowed: tuple[str, ...] = SPLITTING if option == "margin" else FACTORING
        if option in only_nmf:
            allowed = ("nmf",)
        if method not in allowed:
            raise ParameterError(
                f"--{option.replace('_', '-')} does nothing with --method {method}: it is for"
                f" {', '.join(allowed)}"
            )
    if "components" in given and given["components"] < 1:
        raise ParameterError(f"--components {given['components']} must be at least 1")
    if given.get("mode") == Mode.RAW and "power" in given:
        raise ParameterError("--power shapes masks: leave it out with --mode raw")
    if "cluster_by" in given and "clusters" not in given:
        raise ParameterError("--cluster-by needs --clusters")
    if not given.get("power", 1.0) > 0:
        raise ParameterError(f"--power {given['power']} must be positive")
    if given.get("clusters", 0) > given.get("components", 7):
        raise ParameterError(
            f"--clusters {given['clusters']} must be at most --components"
            f" {given.get('components', 7)}"
        )
