"""Turn a run's best weights into a file that ships (see `--help`)."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import Tensor


def export(
    best: Annotated[list[Path], typer.Argument(help="best.safetensors of one or more runs.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Weights file to write.")],
    trust: Annotated[float, typer.Option(help="How much of the vocals is the voice U-Net's.")] = 0,
) -> None:
    """Write weights in half precision; those of several runs become members whose masks average.

    Runs with a voice U-Net share it: it is that of the first.
    """
    import torch
    from safetensors.torch import load_file

    from unweave.models import save_weights
    from unweave.models.bandmask import BandMaskNet
    from unweave.training.recipe.run import load_member

    runs = [load_file(path) for path in best]
    voice = any(name.startswith("voice.") for name in runs[0])
    config = {"members": len(best), "voice": voice, "trust": trust}
    net = BandMaskNet(members=len(best), voice=voice, trust=trust)
    if net.voice is not None:
        net.voice.load_state_dict(_part(runs[0], "voice."))
    for member, tensors in zip(net.members, runs, strict=True):
        load_member(member, _part(tensors, "members.0."))
    save_weights(output, net, architecture="bandmask", config=config, dtype=torch.float16)
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def _part(tensors: "dict[str, Tensor]", prefix: str) -> "dict[str, Tensor]":
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


if __name__ == "__main__":
    typer.run(export)
