"""Compare stems in files with their references: `python -m unweave.evaluation --help`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from unweave.audio import read
from unweave.errors import UnweaveError
from unweave.evaluation import sdr, si_sdr


def compare(
    estimates: Annotated[Path, typer.Argument(help="Folder of separated stems.")],
    references: Annotated[Path, typer.Option(help="Folder of the true stems and the mixture.")],
) -> None:
    """Print SDR and SI-SDR in dB of every stem, beside those of the unseparated mixture."""
    found = {path.stem: path for path in sorted(references.iterdir()) if path.is_file()}
    mixture, _ = read(found["mixture"])
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title="against the true stems, in dB")
    for column in ("stem", "SDR", "SDR of the mixture", "SI-SDR", "SI-SDR of the mixture"):
        table.add_column(column, justify="left" if column == "stem" else "right")
    for path in sorted(estimates.iterdir()):
        if path.stem in found and path.is_file():
            reference, _ = read(found[path.stem])
            estimate, _ = read(path)
            values = (
                sdr(estimate, reference),
                sdr(mixture, reference),
                si_sdr(estimate, reference),
                si_sdr(mixture, reference),
            )
            table.add_row(path.stem, *(f"{float(value):.1f}" for value in values))
    Console().print(table)


def main() -> None:
    """Run the comparison; errors are one line."""
    try:
        typer.run(compare)
    except (UnweaveError, OSError, KeyError) as error:
        raise SystemExit(f"unweave: {error}") from None


if __name__ == "__main__":
    main()
