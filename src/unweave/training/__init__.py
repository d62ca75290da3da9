"""Train separators: a folder of stems in, a model of one's own out (extra `train`)."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unweave.training.config import Config
    from unweave.training.config_files import load_config, save_config
    from unweave.training.export import export_model
    from unweave.training.fit import TrainingResult, train
    from unweave.training.model_folder import ModelFolder
    from unweave.training.network import build_network
    from unweave.training.separation_model import (
        AudioModel,
        SeparationModel,
        SpectrogramMaskModel,
    )

# These need torch or pydantic.
_LAZY = {
    "AudioModel": "unweave.training.separation_model",
    "Config": "unweave.training.config",
    "ModelFolder": "unweave.training.model_folder",
    "SeparationModel": "unweave.training.separation_model",
    "SpectrogramMaskModel": "unweave.training.separation_model",
    "TrainingResult": "unweave.training.fit",
    "build_network": "unweave.training.network",
    "export_model": "unweave.training.export",
    "load_config": "unweave.training.config_files",
    "save_config": "unweave.training.config_files",
    "train": "unweave.training.fit",
}

__all__ = [
    "AudioModel",
    "Config",
    "ModelFolder",
    "SeparationModel",
    "SpectrogramMaskModel",
    "TrainingResult",
    "build_network",
    "export_model",
    "load_config",
    "save_config",
    "train",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'unweave.training' has no attribute {name!r}")
