"""`unweave plot`: pictures of audio files and of training."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unweave.cli.output import print_json

if TYPE_CHECKING:
    from unweave.plots._figure import Drawn

OUTPUT = Path("plot.png")


class Kind(StrEnum):
    """What is drawn."""

    SPECTROGRAM = "spectrogram"
    WAVEFORM = "waveform"
    STEMS = "stems"
    COMPARE = "compare"
    CURVES = "curves"


class Scale(StrEnum):
    """Of the frequency axis."""

    MEL = "mel"
    LOG = "log"
    LINEAR = "linear"


def plot(
    kind: Annotated[Kind, typer.Argument(help="What to draw.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Audio files; for stems also a folder of them; for compare the estimate and the"
            " true sound; for curves a CSV file, TensorBoard's file, or the folder of a model."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The picture: .png, .svg, .pdf, .jpg.")
    ] = OUTPUT,
    scale: Annotated[Scale, typer.Option(help="Of the frequency axis.")] = Scale.MEL,
    start: Annotated[float, typer.Option(metavar="SEC", help="Leave out the beginning.")] = 0.0,
    duration: Annotated[float | None, typer.Option(metavar="SEC", help="Stop after this.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing picture.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Draw sounds or training: spectrograms, waveforms, sheets of stems, comparisons, curves.

    unweave plot stems stems/song -o song.png

    unweave plot compare stems/song/vocals.wav true/vocals.wav --start 10 --duration 5
    """
    from unweave.errors import AudioFileError
    from unweave.plots import save

    if output.exists() and not overwrite:
        raise AudioFileError(f"{str(output)!r} exists: give --overwrite, or another --output")
    drawn = _DRAW[kind](files, scale.value, (start, duration))
    _say_start(drawn, start)
    save(drawn, output)
    if as_json:
        print_json({"kind": kind.value, "inputs": [str(f) for f in files], "output": str(output)})
    else:
        print(output)


def _say_start(drawn: "Drawn", start: float) -> None:
    """Let the label of time tell what was left out."""
    from unweave.plots._figure import clock

    first = drawn if not isinstance(drawn, Sequence) else drawn[0]
    for ax in first.figure.figure.axes if start else ():
        if (label := ax.get_xlabel()).startswith("time"):
            ax.set_xlabel(label.replace("time", f"time after {clock(start)}", 1))


Span = tuple[float, float | None]


def _each(kind: str) -> Callable[[list[Path], str, Span], "Drawn"]:
    """Draw every file on its own axes, one below the other."""

    def draw(files: list[Path], scale: str, span: Span) -> "Drawn":
        from unweave import plots
        from unweave.plots._figure import colour_bar, new_figure

        audio = _read(_unique(files), span)
        options: dict[str, Any] = {"scale": scale} if kind == "spectrogram" else {}
        function = getattr(plots, kind)
        if len(audio) == 1:
            (name, (sound, rate)) = next(iter(audio.items()))
            only: Drawn = function(sound, sample_rate=rate, **options)
            only.set_title(name, loc="left", fontsize=10, fontweight="bold")  # type: ignore[union-attr]
            return only
        figure = new_figure(10.0, (2.8 if kind == "spectrogram" else 2.0) * len(audio))
        for row, (name, (sound, rate)) in enumerate(audio.items()):
            ax = figure.add_subplot(len(audio), 1, row + 1)
            function(sound, sample_rate=rate, ax=ax, **options)
            for image in ax.images:
                colour_bar(image, ax, "level (dB)", figure)
            ax.set_title(name, loc="left", fontsize=10, fontweight="bold")
        return figure

    return draw


def _stems(files: list[Path], scale: str, span: Span) -> "Drawn":
    from unweave.plots import stems

    named = _folder(files[0]) if len(files) == 1 and files[0].is_dir() else _unique(files)
    audio = _read(named, span)
    return stems(
        {name: sound for name, (sound, _) in audio.items()},
        sample_rate=_rate(audio),
        scale=scale,
    )


def _compare(files: list[Path], scale: str, span: Span) -> "Drawn":
    from unweave.errors import ParameterError
    from unweave.plots import compare

    if len(files) != 2:
        raise ParameterError(
            f"compare takes two files, the estimate and the true sound; {len(files)} were given"
        )
    audio = _read({"estimate": files[0], "true": files[1]}, span)
    return compare(audio["estimate"][0], audio["true"][0], sample_rate=_rate(audio), scale=scale)


def _curves(files: list[Path], _scale: str, _span: Span) -> "Drawn":
    from unweave.plots import history, read_curves

    found = {name: read_curves(file) for name, file in _unique(files).items()}
    if len(found) == 1:
        return history(next(iter(found.values())))
    together = {f"{curve} ({name})": v for name, of in found.items() for curve, v in of.items()}
    return history(together)


_DRAW: dict[Kind, Callable[[list[Path], str, Span], "Drawn"]] = {
    Kind.SPECTROGRAM: _each("spectrogram"),
    Kind.WAVEFORM: _each("waveform"),
    Kind.STEMS: _stems,
    Kind.COMPARE: _compare,
    Kind.CURVES: _curves,
}


def _unique(files: list[Path]) -> dict[str, Path]:
    """Name files by their stems, or by their paths where stems are alike."""
    stems = [file.stem for file in files]
    return {f.stem if stems.count(f.stem) == 1 else str(f): f for f in files}


def _folder(folder: Path) -> dict[str, Path]:
    """Give the audio of a folder, the mixture first and the voice next, as sheets are read."""
    from unweave.audio import supported_formats
    from unweave.errors import AudioFileError

    suffixes = {f".{name}" for name in supported_formats()} | {".oga", ".aif"}
    files = [p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.name[0] != "."]
    if not files:
        raise AudioFileError(f"the folder {str(folder)!r} holds no audio files")
    order = ("mixture", "original", "vocals", "drums", "bass", "other", "residual")
    places = {name: place for place, name in enumerate(order)}
    return _unique(sorted(files, key=lambda p: (places.get(p.stem, len(order)), p.name)))


def _read(files: dict[str, Path], span: Span) -> dict[str, tuple[Any, int]]:
    from unweave.audio import read

    start, duration = span
    return {name: read(path, start=start, duration=duration) for name, path in files.items()}


def _rate(audio: dict[str, tuple[Any, int]]) -> int:
    from unweave.errors import AudioFileError

    rates = {rate for _, rate in audio.values()}
    if len(rates) > 1:
        said = ", ".join(f"{name} {rate} Hz" for name, (_, rate) in audio.items())
        raise AudioFileError(f"the sample rates differ ({said}): resample the files first")
    return rates.pop()
