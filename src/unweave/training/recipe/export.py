"""Turn a run's best weights into a file that ships (see `--help`)."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    best: Annotated[list[Path], typer.Argument(help="best.safetensors of one or more runs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
) -> None:
    """Write weights in half precision; those of several runs become members whose masks average."""
    import torch
    from safetensors.torch import load_file

    from unweave.models import save_weights
    from unweave.models.bandmask import BandMaskNet

    config = {"members": len(best)}
    net = BandMaskNet(members=len(best))
    for member, path in zip(net.members, best, strict=True):
        tensors = load_file(path)
        member.load_state_dict({k.removeprefix("members.0."): v for k, v in tensors.items()})
    save_weights(output, net, architecture="bandmask", config=config, dtype=torch.float16)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    typer.run(export)
