"""`unweave separate my_model song.mp3`: a model that `unweave train` made."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from unweave.separation.layout import OutputOptions

ORIGINAL, SEPARATED = "original", "separated_audio"


@dataclass(frozen=True)
class OwnModel:
    """A model's network, and how what it separates is laid out.

    Attributes:
        network: With its trained weights.
    """

    network: "nn.Module"

    def laid_out(self, options: "OutputOptions", residual: bool) -> "OutputOptions":
        """Let the song go beside its stems, and what no stem holds only where it is asked for.

        Args:
            options: As the command has them.
            residual: Whether the residual is asked for.

        Returns:
            What is to be written.
        """
        if options.stem_mp4:
            return options
        if options.two_stems is not None:
            return replace(options, mixture=ORIGINAL)
        stems = options.stems
        if stems is None:
            sources: tuple[str, ...] = tuple(self.network.sources)  # type: ignore[arg-type]
            stems = (*sources, "residual") if residual else sources
        return replace(options, stems=stems, mixture=ORIGINAL)


def own_model(inputs: list[str], model: str | None) -> tuple[OwnModel | None, list[str]]:
    """Tell whether the first word is a model's folder.

    Args:
        inputs: The words of the command.
        model: What --model says.

    Returns:
        The model, or None; and the words that mean songs.

    Raises:
        ParameterError: There are no songs, or two models.
        ConfigError: The model's settings are damaged.
        WeightsError: It has no weights yet, or they are damaged or foreign.
    """
    from unweave.training.places import is_model_folder

    path = Path(inputs[0]).expanduser()
    if not is_model_folder(path):
        return None, inputs
    from unweave.errors import ParameterError
    from unweave.training.model_folder import ModelFolder

    if model is not None:
        raise ParameterError(f"{inputs[0]!r} is a model, and so is --model {model!r}: give one")
    if len(inputs) == 1:
        raise ParameterError(
            f"{inputs[0]!r} is a model: name what to separate, as in `unweave separate {inputs[0]}"
            " song.mp3`"
        )
    return OwnModel(ModelFolder.open(path).load_network()), inputs[1:]
