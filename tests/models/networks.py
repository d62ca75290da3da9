"""The networks in small, and something to give each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unweave.models import (
    AudioNetLSTM,
    AudioNetSimple,
    AudioNetVAE,
    HybridNet,
    OpenUnmix,
    SpectrogramNetLSTM,
    SpectrogramNetSimple,
    SpectrogramNetVAE,
    TFCTDFUNet,
)

BINS, FRAMES, CHANNELS = 33, 20, 2
SMALL = {"hidden_channels": 4, "dropout_p": 0.0}
RECURRENT = {"hidden_size": 16, "recurrent_depth": 2}


@dataclass(frozen=True)
class Case:
    """A small network.

    Attributes:
        build: makes it.
        masks: whether its answer is a mask on its input.
        spectral: whether it takes spectrograms.
    """

    build: Callable[..., nn.Module]
    masks: bool = False
    spectral: bool = True

    def inputs(self, length: int, batch: int = 2, seed: int = 0) -> Tensor:
        """Magnitudes, or samples."""
        generator = torch.Generator().manual_seed(seed)
        if self.spectral:
            return torch.rand(batch, CHANNELS, BINS, length, generator=generator)
        return torch.rand(batch, CHANNELS, length, generator=generator) * 2 - 1

    def estimate(self, net: nn.Module, mixture: Tensor) -> Tensor:
        """What the network makes of a mixture."""
        return net(mixture) * mixture if self.masks else net(mixture)


def _mask(kind: type[nn.Module], **words: object) -> Case:
    def build(**more: object) -> nn.Module:
        return kind(BINS, FRAMES, CHANNELS, **{**SMALL, **words, **more})

    return Case(build, masks=True)


def _wave(kind: type[nn.Module], **words: object) -> Case:
    def build(**more: object) -> nn.Module:
        return kind(num_channels=CHANNELS, **{**SMALL, **words, **more})

    return Case(build, spectral=False)


CASES = {
    "SpectrogramNetSimple": _mask(SpectrogramNetSimple),
    "SpectrogramNetLSTM": _mask(SpectrogramNetLSTM, **RECURRENT),
    "SpectrogramNetLSTM along frequency": _mask(SpectrogramNetLSTM, **RECURRENT, input_axis=1),
    "SpectrogramNetVAE": _mask(SpectrogramNetVAE, **RECURRENT),
    "AudioNetSimple": _wave(AudioNetSimple),
    "AudioNetLSTM": _wave(AudioNetLSTM, **RECURRENT),
    "AudioNetVAE": _wave(AudioNetVAE, **RECURRENT),
    "HybridNet": _wave(HybridNet, **RECURRENT, n_fft=64, hop_length=32),
    "OpenUnmix": Case(lambda: OpenUnmix(BINS, CHANNELS, hidden_size=32, nb_layers=2, max_bin=25)),
    "TFCTDFUNet": Case(
        lambda: TFCTDFUNet(
            BINS, CHANNELS, hidden_channels=4, num_levels=2, num_convolutions=2, bottleneck=2
        )
    ),
}
