"""The `unweave` command: one file a verb, nothing heavy imported before a verb runs."""

import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from unweave import __version__
from unweave.cli.config import config
from unweave.cli.decode import decode
from unweave.cli.decompose import decompose
from unweave.cli.encode import encode
from unweave.cli.evaluate import evaluate
from unweave.cli.export import export
from unweave.cli.info import info
from unweave.cli.models import models
from unweave.cli.output import complain, describe, show_traceback
from unweave.cli.plot import plot
from unweave.cli.separate import separate
from unweave.cli.settings import OUTER
from unweave.cli.train import train
from unweave.errors import (
    Cancelled,
    ConfigError,
    DependencyError,
    ParameterError,
    UnweaveError,
    WeightsError,
)

SOME_FAILED, USAGE, MISSING, INTERRUPTED = 1, 2, 3, 130
SETTINGS = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda word: word.replace("_", "-"),
}

app = typer.Typer(
    name="unweave",
    help="Take a music mixture apart into its sources.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
app.command("separate", context_settings=SETTINGS)(separate)
app.command("config", context_settings=OUTER)(config)
app.command("train", context_settings=OUTER)(train)
app.command("export", context_settings=SETTINGS)(export)
app.command("evaluate", context_settings=SETTINGS)(evaluate)
app.command("encode", context_settings=SETTINGS)(encode)
app.command("decode", context_settings=SETTINGS)(decode)
app.command("decompose", context_settings=SETTINGS)(decompose)
app.command("plot", context_settings=SETTINGS)(plot)
app.command("models", context_settings=SETTINGS)(models)
app.command("info", context_settings=SETTINGS)(info)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"unweave {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line and leave with its exit code.

    0: all done. 1: some input failed, the rest was done. 2: the command was not understood.
    3: weights or an optional dependency are missing. 130: interrupted. A reader of stdout that
    goes away (`unweave ... | head`) ends the command with 1 and without a word.
    """
    _open_streams()
    for name in ("SIGTERM", "SIGHUP"):  # Windows knows no SIGHUP: the terminal was closed
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:  # as nohup has it
            signal.signal(number, _interrupt)
    # Threads that wait by spinning slow a busy machine down tenfold; torch reads this on import.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # File names need not be text; within JSON this is how they are written anyway.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = app(prog_name="unweave", standalone_mode=False) or 0
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()
        sys.exit(code)
    except (KeyboardInterrupt, Abort, Cancelled):
        _leave("interrupted; finished files are kept", INTERRUPTED)
    except BrokenPipeError:
        _leave("", SOME_FAILED)
    except TyperException as error:
        _leave(_usage(error), error.exit_code)
    except (WeightsError, DependencyError) as error:
        _leave(str(error), MISSING)
    except (ParameterError, ConfigError) as error:
        _leave(str(error), USAGE)
    except (UnweaveError, OSError, MemoryError) as error:
        _leave(describe(error), SOME_FAILED)


def _usage(error: TyperException) -> str:
    """Say what was not understood, and where it is explained; nothing if help was shown."""
    if not error.format_message():
        return ""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "unweave"
    words = [word for word in sys.argv[1:] if word[:1] == "-" and os.path.lexists(word)]
    hint = f"; write ./{words[0]} for the file of that name" if words else ""
    return f"{error.format_message().rstrip('.')} ({command} --help{hint})"


def _open_streams() -> None:
    """Let closed standard streams lead nowhere.

    Otherwise the next file that is opened, a stem for example, would take the place of stdout or
    stderr, and receive what a decoder has to say.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _leave(message: str, code: int) -> NoReturn:
    if "--debug" in sys.argv:
        show_traceback()
    if message:
        complain(message)
    try:
        sys.stdout.flush()
    except OSError:
        # What is left has nowhere to go, and Python would complain of it once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)
