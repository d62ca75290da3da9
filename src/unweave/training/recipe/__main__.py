"""Train the shipped separator: `python -m unweave.training.recipe --help`."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    corpus: Annotated[
        Path, typer.Option(help="As python -m unweave.training.recipe.corpus builds it.")
    ],
    validation: Annotated[list[Path], typer.Option(help="Folder of a held-out song's stems.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoints and log.")],
    leave_out: Annotated[list[str] | None, typer.Option(help="Track never trained on.")] = None,
    steps: Annotated[int, typer.Option(help="Length of the learning-rate schedule.")] = 4000,
    voice: Annotated[
        Path | None, typer.Option(help="What python -m unweave.training.recipe.voice wrote.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option(help="best.safetensors of a run to go on from.")
    ] = None,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 1.5e-3,
    seed: Annotated[int, typer.Option(help="Of weights, excerpts and mixtures.")] = 0,
    threads: Annotated[int, typer.Option(help="Of the processor.")] = 1,
) -> None:
    """Train until the schedule ends; resume from OUTPUT/last.pt when it is there.

    Every 200 steps the averaged weights are scored on the held-out songs; the best so far are
    kept as OUTPUT/best.safetensors.
    """
    import torch

    from unweave.training.recipe.run import RunConfig, run

    torch.set_num_threads(threads)
    held_out = tuple(leave_out or ()) + tuple(path.name for path in validation)
    config = RunConfig(
        steps=steps,
        seed=seed,
        leave_out=held_out,
        learning_rate=learning_rate,
        voice=voice,
        start=start,
    )
    run(corpus, validation, output, config)


if __name__ == "__main__":
    typer.run(train)
