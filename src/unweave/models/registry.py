"""Which networks there are, and which trained models: data, not code.

Nothing is imported until a network is built, so listing models costs nothing.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unweave.errors import ParameterError

if TYPE_CHECKING:
    from torch import nn

DEFAULT_MODEL = "bandmask"
PRETRAINED = Path(__file__).parent / "pretrained"


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of network that weights files may name.

    Attributes:
        load: imports and returns the class; its constructor takes keyword arguments with defaults
            only, all of them expressible in JSON.
        limits: smallest and largest value of each number (or number within a list) that a weights
            file may ask for, by argument.
    """

    load: Callable[[], "type[nn.Module]"]
    limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that can be asked for by name.

    Attributes:
        name: what to ask for.
        architecture: key of `ARCHITECTURES`.
        config: arguments of the architecture's constructor.
        weights: path of its weights file.
        description: one sentence.
        licence: of the weights, as an SPDX identifier.
    """

    name: str
    architecture: str
    config: Mapping[str, Any]
    weights: Path
    description: str
    licence: str

    @property
    def card(self) -> Path:
        """Path of the model card, a Markdown file beside the weights."""
        return self.weights.with_suffix(".md")


def _bandmask() -> "type[nn.Module]":
    from unweave.models.bandmask import BandMaskNet

    return BandMaskNet


def _separator(name: str) -> Callable[[], "type[nn.Module]"]:
    def load() -> "type[nn.Module]":
        from unweave.models import separators

        found: type[nn.Module] = getattr(separators, name)
        return found

    return load


_AUDIO_LIMITS: dict[str, tuple[float, float]] = {
    "sample_rate": (1000, 768000),
    "channels": (1, 64),
    "segment": (0.1, 600),
    "n_fft": (16, 65536),
    "hop_length": (1, 65536),
    "stft_hop": (1, 65536),
}
_NET_LIMITS: dict[str, tuple[float, float]] = {
    "hidden_channels": (1, 256),
    "leak_factor": (0, 1),
    "dropout_p": (0, 0.99),
    "recurrent_depth": (1, 16),
    "hidden_size": (2, 8192),
    "input_axis": (0, 1),
    "bandwidth": (0, 384000),
    "num_levels": (1, 8),
}

ARCHITECTURES: dict[str, Architecture] = {
    "bandmask": Architecture(
        load=_bandmask,
        limits={
            "widths": (1, 512),
            "recurrent": (1, 2048),
            "dropout": (0, 0.9),
            "members": (1, 16),
            "trust": (0, 1),
        },
    ),
    "mask": Architecture(load=_separator("MaskSeparator"), limits=_AUDIO_LIMITS | _NET_LIMITS),
    "wave": Architecture(load=_separator("WaveSeparator"), limits=_AUDIO_LIMITS | _NET_LIMITS),
    "openunmix": Architecture(
        load=_separator("OpenUnmixSeparator"), limits=_AUDIO_LIMITS | _NET_LIMITS
    ),
    "tfc_tdf": Architecture(load=_separator("TFCTDFSeparator"), limits=_AUDIO_LIMITS | _NET_LIMITS),
}

MODELS: dict[str, ModelInfo] = {
    "bandmask": ModelInfo(
        name="bandmask",
        architecture="bandmask",
        config={"members": 2, "voice": True, "trust": 0.5},
        weights=PRETRAINED / "bandmask.safetensors",
        description="Vocals, drums, bass and other at 44.1 kHz stereo; small, fast on a CPU.",
        licence="MIT",
    ),
}


def list_models(pattern: str = "*") -> list[str]:
    """Name the registered models.

    Args:
        pattern: shell wildcard that names must match.

    Returns:
        Sorted names.

    Example:
        >>> list_models("band*")
        ['bandmask']
    """
    return sorted(name for name in MODELS if fnmatch(name, pattern))


def model_info(name: str) -> ModelInfo:
    """Describe a registered model.

    Args:
        name: of the model.

    Returns:
        What is known of it, without loading it.

    Raises:
        ParameterError: there is no such model.

    Example:
        >>> model_info("bandmsk")
        Traceback (most recent call last):
        unweave.errors.ParameterError: unknown model 'bandmsk': did you mean 'bandmask'? ...
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(list_models())}"
        raise ParameterError(
            f"unknown model {name!r}: {hint} (`unweave models` lists them; a weights file is given"
            " by its path, ending in .safetensors)"
        )
    return MODELS[name]


def create_model(name: str, *, pretrained: bool = True) -> "nn.Module":
    """Build a registered model.

    Args:
        name: of the model.
        pretrained: load its weights; False leaves them random.

    Returns:
        The network, in evaluation mode if it is trained.

    Raises:
        ParameterError: there is no such model.
        WeightsError: its weights cannot be loaded.

    Example:
        >>> create_model("bandmask", pretrained=False).sources
        ('vocals', 'drums', 'bass', 'other')
    """
    info = model_info(name)
    if pretrained:
        from unweave.models.weights import load_weights

        return load_weights(info.weights)
    return ARCHITECTURES[info.architecture].load()(**info.config)


def load_model(name_or_path: str | Path) -> "nn.Module":
    """Load a trained model by its name or from a weights file.

    Args:
        name_or_path: a registered name; a `Path`, or text that ends in a suffix, holds a folder or
            names a file that is there, is taken as a weights file.

    Returns:
        The network in evaluation mode.

    Raises:
        ParameterError: there is no such model.
        WeightsError: the weights cannot be loaded.

    Example:
        >>> load_model("no/such/file.safetensors")
        Traceback (most recent call last):
        unweave.errors.WeightsError: no/such/file.safetensors: no such file ...
    """
    from unweave.models.weights import load_weights

    path = Path(name_or_path)
    if isinstance(name_or_path, Path) or path.suffix or len(path.parts) > 1:
        return load_weights(path)
    if name_or_path not in MODELS and path.exists():
        return load_weights(path)
    return create_model(name_or_path)
