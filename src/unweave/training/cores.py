"""The part of a separator that other run times can compute: its network, without transforms."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unweave.errors import ParameterError
from unweave.models.separators import (
    MaskSeparator,
    OpenUnmixSeparator,
    TFCTDFSeparator,
    WaveSeparator,
)
from unweave.training.config import Config


@dataclass(frozen=True, slots=True)
class Core:
    """A network without transforms, and how to use it.

    Attributes:
        module: The network.
        example: An input of the size it is exported for.
        enters: Name of the input.
        leaves: Name of the output.
        story: What goes in, what comes out, what is to be done around it.
        facts: The same for programs.
    """

    module: nn.Module
    example: Tensor
    enters: str
    leaves: str
    story: str
    facts: dict[str, Any]


class _Masks(nn.Module):
    """Magnitudes (batch, channels, freq, frames) to masks (batch, sources, channels, freq, frames).

    Args:
        networks: One a source.
        method: Name of the method of each that draws the mask.
    """

    def __init__(self, networks: nn.ModuleList, method: str) -> None:
        super().__init__()
        self.networks, self._method = networks, method

    def forward(self, magnitude: Tensor) -> Tensor:
        return torch.stack([getattr(each, self._method)(magnitude) for each in self.networks], 1)


class _Stems(nn.Module):
    """Mixtures (batch, channels, time) to stems (batch, sources, channels, time).

    Args:
        networks: One a source.
    """

    def __init__(self, networks: nn.ModuleList) -> None:
        super().__init__()
        self.networks = networks

    def forward(self, mixture: Tensor) -> Tensor:
        return torch.stack([network(mixture) for network in self.networks], 1)


def core_of(network: nn.Module, config: Config, frames: int | None = None) -> Core:
    """Take the core out of a separator.

    Args:
        network: As `build_network` makes it.
        config: That it was made of.
        frames: Of the input; None takes those of an excerpt of the training.

    Returns:
        The core.

    Raises:
        ParameterError: There is none without transforms, or `frames` is out of range.
    """
    if frames is not None and frames < 1:
        raise ParameterError(f"frames={frames} must be a positive number")
    data = config.dataset_params
    samples = round(data.sample_length * data.sample_rate)
    facts: dict[str, Any] = {"sources": list(data.targets), "sample_rate": data.sample_rate}
    if isinstance(network, WaveSeparator) and config.kind.name != "HybridNet":
        example = torch.zeros(1, data.num_channels, frames or samples)
        story = "A mixture (1, channels, time) in, its stems (1, sources, channels, time) out."
        return Core(_Stems(network.networks), example, "mixture", "stems", story, facts)
    facts |= {"n_fft": data.num_fft, "hop_length": data.hop_length, "window": "hann"}
    bins, count = data.num_fft // 2 + 1, frames or samples // data.hop_length + 1
    if isinstance(network, MaskSeparator | OpenUnmixSeparator):
        method = "forward" if isinstance(network, MaskSeparator) else "mask"
        story = (
            "Magnitudes (1, channels, freq, frames) of the mixture's spectrogram in, masks (1,"
            " sources, channels, freq, frames) out, with which the complex spectrogram is"
            " multiplied."
        )
        example = torch.rand(1, data.num_channels, bins, count)
        module: nn.Module = _Masks(network.networks, method)
        return Core(module, example, "magnitude", "masks", story, facts)
    if isinstance(network, TFCTDFSeparator):
        story = (
            "The mixture's complex spectrogram, divided by the mean of its magnitudes, as (1, 2"
            " channels, freq, frames), the real and the imaginary part of each channel in turn, in;"
            " complex masks (1, 2 sources channels, freq, frames) in the same order out, with which"
            " the complex spectrogram is multiplied."
        )
        example = torch.randn(1, 2 * data.num_channels, bins, count)
        return Core(network.network, example, "spectrum", "masks", story, facts)
    raise ParameterError(
        f"{config.kind.name} computes transforms between its layers, which other run times do not"
        " know: export it as safetensors"
    )
