"""Turn a run's best weights into a file that ships: `python -m unweave.training.export --help`."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    best: Annotated[Path, typer.Argument(help="best.safetensors of a run.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
) -> None:
    """Write the weights in half precision, with what is needed to build their network."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    from unweave.models import save_weights
    from unweave.models.bandmask import BandMaskNet

    net = BandMaskNet()
    net.load_state_dict(load_file(best))
    with safe_open(best, framework="pt") as file:
        notes = file.metadata() or {}
    save_weights(
        output, net, architecture="bandmask", config={}, metadata=notes, dtype=torch.float16
    )
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    typer.run(export)
