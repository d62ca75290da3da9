"""Networks, and the trained models that the package carries."""

from importlib import import_module
from typing import TYPE_CHECKING

from unweave.models.registry import (
    DEFAULT_MODEL,
    ModelInfo,
    create_model,
    list_models,
    load_model,
    model_info,
)

if TYPE_CHECKING:
    from unweave.models.audio_nets import AudioNetLSTM, AudioNetSimple, AudioNetVAE
    from unweave.models.hybrid import HybridNet
    from unweave.models.openunmix import OpenUnmix
    from unweave.models.protocol import SeparationNetwork
    from unweave.models.separators import (
        MaskSeparator,
        OpenUnmixSeparator,
        TFCTDFSeparator,
        WaveSeparator,
    )
    from unweave.models.spectrogram_nets import (
        SpectrogramNetLSTM,
        SpectrogramNetSimple,
        SpectrogramNetVAE,
    )
    from unweave.models.tfc_tdf import TFCTDFUNet
    from unweave.models.weights import load_weights, save_weights

# These need torch; listing models does not.
_LAZY = {
    "AudioNetLSTM": "unweave.models.audio_nets",
    "AudioNetSimple": "unweave.models.audio_nets",
    "AudioNetVAE": "unweave.models.audio_nets",
    "HybridNet": "unweave.models.hybrid",
    "MaskSeparator": "unweave.models.separators",
    "OpenUnmix": "unweave.models.openunmix",
    "OpenUnmixSeparator": "unweave.models.separators",
    "SeparationNetwork": "unweave.models.protocol",
    "SpectrogramNetLSTM": "unweave.models.spectrogram_nets",
    "SpectrogramNetSimple": "unweave.models.spectrogram_nets",
    "SpectrogramNetVAE": "unweave.models.spectrogram_nets",
    "TFCTDFSeparator": "unweave.models.separators",
    "TFCTDFUNet": "unweave.models.tfc_tdf",
    "WaveSeparator": "unweave.models.separators",
    "load_weights": "unweave.models.weights",
    "save_weights": "unweave.models.weights",
}

__all__ = [
    "DEFAULT_MODEL",
    "AudioNetLSTM",
    "AudioNetSimple",
    "AudioNetVAE",
    "HybridNet",
    "MaskSeparator",
    "ModelInfo",
    "OpenUnmix",
    "OpenUnmixSeparator",
    "SeparationNetwork",
    "SpectrogramNetLSTM",
    "SpectrogramNetSimple",
    "SpectrogramNetVAE",
    "TFCTDFSeparator",
    "TFCTDFUNet",
    "WaveSeparator",
    "create_model",
    "list_models",
    "load_model",
    "load_weights",
    "model_info",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'unweave.models' has no attribute {name!r}")
