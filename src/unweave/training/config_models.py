"""The kinds of models that a configuration may name, and the settings that each knows."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unweave.errors import ConfigError

_NET = ("normalize_input", "normalize_output", "hidden_channels", "dropout_p", "leak_factor")
_RECURRENT = ("recurrent_depth", "hidden_size")


@dataclass(frozen=True, slots=True)
class ModelType:
    """A kind of model.

    Attributes:
        name: What a configuration calls it.
        summary: What it is, in one line.
        architecture: Key of `unweave.models.registry.ARCHITECTURES`.
        words: Settings of `model_params` that it knows.
        network: Argument `network` of the architecture, if it has one.
        defaults: Settings of any group whose defaults differ from the general ones.
        fixed: Settings that cannot be changed, and their values.
    """

    name: str
    summary: str
    architecture: str
    words: tuple[str, ...]
    network: str | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def variational(self) -> bool:
        """Whether it has a latent variable, for which `kl_div_loss` is meant."""
        return self.name.endswith("VAE")


_MASK = (*_NET, "mask_activation")
_WIDE = {"num_fft": 4096, "window_size": 4096, "hop_length": 1024, "num_channels": 2}
_SHIPPED = {"sample_rate": 44100, **_WIDE}
_STEMS = ("vocals", "drums", "bass", "other")
_LATENT = {"criterion": "kl_div_loss"}


def _unet(
    name: str, summary: str, architecture: str, words: tuple[str, ...], **defaults: Any
) -> ModelType:
    return ModelType(name, summary, architecture, words, name, defaults)


_TYPES = (
    _unet("SpectrogramNetSimple", "U-Net that masks spectrograms", "mask", _MASK),
    _unet(
        "SpectrogramNetLSTM",
        "the same with LSTMs",
        "mask",
        (*_MASK, *_RECURRENT, "input_axis"),
    ),
    _unet(
        "SpectrogramNetVAE",
        "the same with a latent variable and LSTMs",
        "mask",
        (*_MASK, *_RECURRENT, "input_axis"),
        **_LATENT,
    ),
    _unet("AudioNetSimple", "U-Net that draws waveforms", "wave", _NET),
    _unet("AudioNetLSTM", "the same with LSTMs", "wave", (*_NET, *_RECURRENT)),
    _unet(
        "AudioNetVAE",
        "the same with a latent variable and LSTMs",
        "wave",
        (*_NET, *_RECURRENT),
        **_LATENT,
    ),
    _unet(
        "HybridNet",
        "spectrogram and waveform joined",
        "wave",
        (*_MASK, *_RECURRENT),
        num_fft=2048,
        window_size=2048,
    ),
    ModelType(
        "OpenUnmix",
        "the network of Open-Unmix, one a target",
        "openunmix",
        ("hidden_size", "bandwidth"),
        defaults={"hidden_size": 512, "criterion": "spectral_l2", **_WIDE},
    ),
    ModelType(
        "TFCTDFUNet",
        "TFC-TDF U-Net with complex masks, one for all targets",
        "tfc_tdf",
        ("hidden_channels", "num_levels"),
        defaults={"hidden_channels": 32, **_WIDE},
    ),
    ModelType(
        "BandMask",
        "the shipped model's network, which shares the mixture among all targets",
        "bandmask",
        ("widths", "recurrent", "members", "dropout_p"),
        defaults={"dropout_p": 0.1, "targets": _STEMS, **_SHIPPED},
        fixed=_SHIPPED,
    ),
)
MODEL_TYPES: dict[str, ModelType] = {each.name: each for each in _TYPES}
_OLD_NAMES = {"AudioNetSimpleLSTM": "AudioNetLSTM", "TFCTDF": "TFCTDFUNet"}


def model_type(name: str) -> ModelType:
    """Find a kind of model.

    Args:
        name: As in `MODEL_TYPES`, in any case.

    Returns:
        What is known of it.

    Raises:
        ConfigError: There is none of that name.

    Example:
        >>> model_type("spectrogramnetsimple").architecture
        'mask'
        >>> model_type("SpectrogramNet")
        Traceback (most recent call last):
        unweave.errors.ConfigError: unknown model 'SpectrogramNet': did you mean ...
    """
    by_case = {known.lower(): known for known in MODEL_TYPES}
    by_case |= {old.lower(): new for old, new in _OLD_NAMES.items()}
    if found := by_case.get(name.lower()):
        return MODEL_TYPES[found]
    close = [by_case[key] for key in difflib.get_close_matches(name.lower(), by_case, n=3)]
    hint = f"did you mean {' or '.join(dict.fromkeys(close))}? " if close else ""
    raise ConfigError(f"unknown model {name!r}: {hint}known are {', '.join(MODEL_TYPES)}")
