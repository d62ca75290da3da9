"""The `unweave` command: one file a verb, nothing heavy imported before a verb runs."""

import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.exceptions import Abort, TyperException

from unweave import __version__
from unweave.cli.info import info
from unweave.cli.models import models
from unweave.cli.output import complain, show_traceback
from unweave.cli.separate import separate
from unweave.errors import Cancelled, DependencyError, ParameterError, UnweaveError, WeightsError

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
    3: weights or an optional dependency are missing. 130: interrupted.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (KeyboardInterrupt, Abort, Cancelled):
        _leave("interrupted; finished files are kept", INTERRUPTED)
    except BrokenPipeError:
        _leave("the reader of the output went away", SOME_FAILED)
    except TyperException as error:
        _leave(f"{error.format_message()} (unweave --help)", error.exit_code)
    except (WeightsError, DependencyError) as error:
        _leave(str(error), MISSING)
    except ParameterError as error:
        _leave(str(error), USAGE)
    except (UnweaveError, OSError, MemoryError) as error:
        _leave(str(error) or type(error).__name__, SOME_FAILED)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _leave(message: str, code: int) -> NoReturn:
    if "--debug" in sys.argv:
        show_traceback()
    complain(message)
    sys.exit(code)
