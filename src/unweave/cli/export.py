"""`unweave export`: a trained model for others."""

from pathlib import Path
from typing import Annotated

import typer

from unweave.cli.output import print_json


def export(
    name: Annotated[Path, typer.Argument(help="Folder of the model.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", "--save", help="File to write; its card is beside.")
    ],
    format: Annotated[
        str | None, typer.Option(help="safetensors, onnx or pt2; else by the suffix.")
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in half precision (safetensors).")
    ] = False,
    frames: Annotated[
        int | None, typer.Option(help="Frames (or samples) of the input of onnx and pt2.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Write the best weights of a model and a card with its data, settings and scores.

    safetensors is for `unweave separate --model FILE`; onnx and pt2 hold the core of the network,
    without transforms, for other programs.
    """
    from unweave.training import export_model

    made = export_model(
        name,
        output,
        format=format,  # type: ignore[arg-type]  # it is checked there
        half=half,
        frames=frames,
        overwrite=overwrite,
    )
    if as_json:
        print_json({"file": str(made[0]), "card": str(made[1]), "bytes": made[0].stat().st_size})
        return
    for path in made:
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
