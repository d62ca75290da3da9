"""`unweave train`: train the model of a folder, or go on with its training."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from unweave.cli.output import console, print_json, table
from unweave.cli.report import ProgressStyle
from unweave.cli.settings import Found, parameter, run_with_settings

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from unweave.training import TrainingResult
    from unweave.training.events import Event

_DOC = """Train a model, or go on with its training: the same command trains for max_epochs more.

    unweave train my_model path/to/dataset

    unweave train my_model --max-epochs 20

NAME is a folder made by `unweave config`. Each epoch leaves its state in NAME/checkpoint; a run
that was interrupted or killed goes on from its last whole epoch. Settings given here count for this
run only."""


def train(context: typer.Context) -> None:
    """Train a model, or go on with its training."""
    flag = typer.Option
    own = [
        parameter("name", Path, typer.Argument(help="Folder of the model.")),
        parameter(
            "dataset_path",
            Path | None,
            typer.Argument(metavar="DATASET", help="Folder of the data set; kept for next time."),
            None,
        ),
        parameter(
            "evaluate",
            bool,
            flag("--evaluate/--no-evaluate", help="Write evaluation.csv at the end."),
            True,
        ),
        parameter("as_json", bool, flag("--json", help="Print the result as JSON."), False),
        parameter("progress", ProgressStyle, flag(help="On stderr."), ProgressStyle.AUTO),
        parameter("quiet", bool, flag("--quiet", "-q", help="Only errors."), False),
        parameter("debug", bool, flag("--debug", help="Show tracebacks."), False),
    ]
    groups = ("dataset_params", "training_params", "visualizer_params")
    run_with_settings(context, _train, own, doc=_DOC, groups=groups)


def _train(
    name: Path,
    dataset_path: Path | None,
    evaluate: bool,
    as_json: bool,
    progress: ProgressStyle,
    quiet: bool,
    settings: Found,
) -> None:
    from unweave.training import train as run
    from unweave.training.fit import first_process

    speaks = first_process() and not quiet
    with _listening(progress, speaks) as listener:
        result = run(name, dataset_path, listener=listener, evaluate=evaluate, **settings)
    if not first_process():
        return
    if as_json:
        print_json({key: _plain(value) for key, value in asdict(result).items()})
    elif speaks:
        _print(result)


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _print(result: "TrainingResult") -> None:
    out = console()
    if result.scores:
        columns = list(result.scores[0])
        rows = table(*columns, right=tuple(columns[2:]))
        for score in result.scores:
            rows.add_row(*(_cell(value) for value in score.values()))
        out.print(rows)
    if result.stopped:
        out.print("stopped: the loss of the validation does not improve any more")
    out.print(
        f"{result.folder}: {result.epochs} epochs, {result.steps} updates in all;"
        f" best was epoch {result.best_epoch} (loss {result.best_loss:.5g});"
        f" this run took {result.seconds:.0f} s, {100 * result.waited:.1f} % of it waiting for data"
    )


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f}" if value == value else ""


@contextmanager
def _listening(style: ProgressStyle, speaks: bool) -> "Iterator[Listening | None]":
    """Show what the training tells of itself for as long as this lasts."""
    bar = style is ProgressStyle.BAR or (style is ProgressStyle.AUTO and sys.stderr.isatty())
    if not speaks or style is ProgressStyle.NONE:
        yield None
    elif not bar:
        yield Listening(as_json=style is ProgressStyle.JSON)
    else:
        from rich import progress

        with progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.TaskProgressColumn(),
            progress.TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        ) as bars:
            yield Listening(bars)


class Listening:
    """Show events: as bars with a line an epoch, as lines alone, or as JSON; all on stderr.

    Args:
        bars: Where bars are drawn.
        as_json: Whether each event is a JSON object.
    """

    def __init__(self, bars: "Progress | None" = None, *, as_json: bool = False) -> None:
        self._bars, self._as_json = bars, as_json
        self._tasks: dict[str, TaskID] = {}
        self._begun = 0
        self._said: float | None = None

    def __call__(self, event: "Event") -> None:
        """Take an event."""
        if self._as_json:
            told = {key: _finite(value) for key, value in asdict(event).items()}
            print(json.dumps(told), file=sys.stderr, flush=True)
            return
        if self._bars is not None and event.event != "checkpoint":
            self._draw(self._bars, event)
        if event.event in ("epoch", "checkpoint"):
            line = _line(event) if event.event == "epoch" else f"kept {event.path}"
            if self._bars is not None:
                self._bars.console.print(line, markup=False)
            else:
                print(line, file=sys.stderr, flush=True)
        elif event.event == "decode" and self._bars is None and event.step < event.steps:
            self._now_and_then(f"decoding the data set: {event.step} of {event.steps} signals")

    def _now_and_then(self, line: str) -> None:
        now = time.monotonic()
        self._said = now if self._said is None else self._said
        if now - self._said > 5:
            self._said = now
            print(line, file=sys.stderr, flush=True)

    def _draw(self, bars: "Progress", event: "Event") -> None:
        if event.event == "decode":
            self._bar("decoding the data set", event.step, event.steps)
            return
        if "decoding the data set" in self._tasks:
            bars.remove_task(self._tasks.pop("decoding the data set"))
        first = self._tasks.get("epochs")
        if first is None:
            self._begun = event.epoch - 1
        self._bar(
            "epochs",
            event.epoch - self._begun - (event.event == "step"),
            event.epochs - self._begun,
        )
        self._bar(f"epoch {event.epoch}", event.step, event.steps)
        if event.event == "epoch":
            bars.remove_task(self._tasks.pop(f"epoch {event.epoch}"))

    def _bar(self, name: str, done: float, total: float) -> None:
        assert self._bars is not None
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total)
        self._bars.update(self._tasks[name], completed=done)


def _line(event: "Event") -> str:
    parts = [f"epoch {event.epoch}/{event.epochs}", f"loss {event.loss:.5g}"]
    if event.val_loss == event.val_loss:
        parts.append(f"validation {event.val_loss:.5g}")
    if event.val_si_sdr == event.val_si_sdr:
        parts.append(f"SI-SDR {event.val_si_sdr:.2f} dB")
    parts += [f"lr {event.lr:.3g}", f"{event.seconds:.1f} s"]
    return ", ".join(parts) + (" *" if event.best else "")


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not abs(value) < float("inf") else value
